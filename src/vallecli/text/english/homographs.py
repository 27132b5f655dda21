"""Homographs: words such as "live" and "record" that are pronounced in more than one way, by their sentence.

`vallecli/data/text/homographs.txt` has the readings of each word, rules and examples; its head explains the format. If
no rule matches, a linear model decides. Its weights in homographs.npz are trained by make_homographs.py on Wikipedia
Homograph Data (Gorman, Mazovetskiy and Nikolaev, LREC 2018) and on the examples: one set of weights for verb against
noun or adjective, which all words with these readings share, and one for each reading of a word of the data.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import numpy.typing as npt

from vallecli.text.english.tagger import tagger
from vallecli.text.phones import Pronunciation

FOLDER = resources.files("vallecli") / "data" / "text"
TABLE, WEIGHTS = FOLDER / "homographs.txt", FOLDER / "homographs.npz"
TOKEN = re.compile(r"[A-Za-z']*[A-Za-z][A-Za-z']*|[,.?!]")
ENDS = frozenset(".?!")  # tokens that end a sentence
MARKS = ENDS | {","}
VERB = "verb"
NOMINAL = frozenset({"noun", "adj"})
SHARED = "*"  # name of the rules and weights of verb against noun or adjective
HASH_BITS = 22  # of the name of a feature
BEFORE, AFTER = 8, 4  # words before and after a homograph that are tagged
NEAR = 5  # words before and after a homograph that have a feature of their own
FINITE = frozenset({"VBD", "VBZ", "VBP", "MD"})  # tags of finite verbs
PHRASE = frozenset({"RB", "JJ", "NN", "CD"})  # first letters of tags within a noun phrase
ITEM = re.compile(r"(!?)(.+?)(\??)")
Weights = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]
"""Sorted hashes of features, and the weight of each."""


@dataclass
class Entry:
    """A word of the table, its readings with their phonemes, and what decides between them."""

    word: str
    readings: dict[str, Pronunciation]
    rules: list[tuple[str, str]] = field(default_factory=list)
    """Reading and pattern."""
    examples: list[str] = field(default_factory=list)
    """Sentences with word/reading."""

    @property
    def has_verb(self) -> bool:
        """Return whether the readings are a verb and a noun or adjective."""
        return VERB in self.readings and not NOMINAL.isdisjoint(self.readings)


@dataclass
class Table:
    """The content of homographs.txt."""

    entries: dict[str, Entry] = field(default_factory=dict)
    """By word and by its form with -s."""
    classes: dict[str, str] = field(default_factory=dict)
    """Frequent word -> its class, for rules and features."""


@dataclass(frozen=True)
class Context:
    """A homograph at a place of its sentence."""

    entry: Entry
    inflected: bool
    """Whether the word is the entry's with -s or 's."""
    cased: Sequence[str]
    """Words and marks of the sentence, as written."""
    words: Sequence[str]
    """The same in lower case."""
    tags: Sequence[str]
    """Tags of the Penn Treebank, "" for words far from homographs."""
    classes: Sequence[str]
    """Classes of the table, else the first letters of the tag."""
    at: int

    def line(self) -> str:
        """Return the sentence for rules: "Aword/TAG@class " for a word with a capital, "aword/TAG@class " for others.

        The homograph is "_A" or "_a".
        """
        parts = [
            f"{'A' if written[0].isupper() else 'a'}{word}/{tag}@{kind} "
            for written, word, tag, kind in zip(self.cased, self.words, self.tags, self.classes, strict=True)
        ]
        parts[self.at] = f"_{parts[self.at][0]} "
        return "".join(parts)

    def features(self) -> list[str]:
        """Return the names of the features of neighbours by their position."""
        at = self.at
        w, t, k = (_window(items, at) for items in (self.words, self.tags, self.classes))
        before = next((place for place in range(at - 1, -1, -1) if self.classes[place] != "adverb"), -1)
        head = next((place for place in range(at - 1, -1, -1) if self.tags[place][:2] not in PHRASE), -1)
        near = self.classes[before] if before >= 0 else ""
        second = self.classes[before - 1] if before > 0 else ""
        past = next((tag for tag in self.tags[at - 1 :: -1] if tag in FINITE), "") if at else ""
        coming = next((tag for tag in self.tags[at + 1 :] if tag in FINITE), "")
        capital = _capital(self.cased, at)
        names = [
            "bias",
            *(f"w{step} {w[step]}" for step in (-2, -1, 1, 2)),
            *(f"s{step} {w[step][-3:]}" for step in (-2, -1, 1, 2)),
            *(f"t{step} {t[step]}" for step in (-2, -1, 0, 1, 2)),
            *(f"k{step} {k[step]}" for step in (-2, -1, 1, 2)),
            f"w-1+1 {w[-1]} {w[1]}",
            f"t-2-1 {t[-2]} {t[-1]}",
            f"t-1+1 {t[-1]} {t[1]}",
            f"t+1+2 {t[1]} {t[2]}",
            f"t-2-1+1 {t[-2]} {t[-1]} {t[1]}",
            f"t-1+0+1 {t[-1]} {t[0]} {t[1]}",
            f"w-1t+1 {w[-1]} {t[1]}",
            f"t-1w+1 {t[-1]} {w[1]}",
            f"t-2w-1 {t[-2]} {w[-1]}",
            f"t0w-1 {t[0]} {w[-1]}",
            f"t0w+1 {t[0]} {w[1]}",
            f"k-2-1 {k[-2]} {k[-1]}",
            f"k-1+1 {k[-1]} {k[1]}",
            f"k+1+2 {k[1]} {k[2]}",
            f"capital {capital} {at == 0}",
            *(f"capital{step} {capital} {_capital(self.cased, at + step)}" for step in (-1, 1)),
            f"before {self.words[before] if before >= 0 else ''}",
            f"before k {near}",
            f"before kk {second} {near}",
            f"before k+1 {near} {k[1]}",
            f"before kk+1 {second} {near} {k[1]}",
            f"head {self.words[head] if head >= 0 else ''}",
            f"head t {self.tags[head] if head >= 0 else ''}",
            f"finite {past} {coming}",
            f"finite {bool(past)} {bool(coming)}",
        ]
        return names + [f"-s {name}" for name in names] if self.inflected else names

    def topics(self) -> list[str]:
        """Return the names of the features of the other words of the sentence."""
        words, at = self.words, self.at
        others = {word for place, word in enumerate(words) if place != at and word not in MARKS}
        near = {word for word in words[max(0, at - NEAR) : at + NEAR + 1] if word in others}
        return [*(f"in {word}" for word in sorted(others)), *(f"near {word}" for word in sorted(near))]

    def pronunciation(self, reading: str) -> Pronunciation:
        """Return the pronunciation of the word with that reading."""
        found = self.entry.readings[reading]
        return found.with_s() if self.inflected else found


class Homographs:
    """Chooses the readings of homographs by rules and weights."""

    def __init__(self, table: Table) -> None:
        """Without weights, which are loaded for the first word that no rule decides."""
        self.table = table

    @functools.cached_property
    def groups(self) -> dict[str, Weights]:
        """Return the weights by SHARED or `group(entry, reading)`."""
        return load_weights()

    def find(self, tokens: Sequence[str]) -> dict[int, Pronunciation]:
        """Return the pronunciation of each homograph by its index; `tokens` are as of TOKEN, in written case."""
        return {index: context.pronunciation(self.choose(context)) for index, context in self.contexts(tokens)}

    def contexts(self, tokens: Sequence[str]) -> Iterator[tuple[int, Context]]:
        """Yield index and context of each homograph."""
        lower = [token.lower().strip("'") or token for token in tokens]
        start = 0
        for end in [*(index + 1 for index, token in enumerate(lower) if token in ENDS), len(lower)]:
            words = lower[start:end]
            if places := [(at, entry) for at, word in enumerate(words) if (entry := self._entry(word))]:
                tags = _tags(words, places[0][0], places[-1][0])
                classes = self._classes(words, tags)
                for at, entry in places:
                    inflected = words[at] != entry.word
                    yield start + at, Context(entry, inflected, tokens[start:end], words, tags, classes, at)
            start = end

    def choose(self, context: Context) -> str:
        """Return the name of the reading."""
        rules = self._rules(context)
        if rules:
            line = context.line()
            for reading, pattern in rules:
                if compiled(pattern).search(line):
                    return reading
        scores = self.scores(context)
        return max(scores, key=lambda reading: scores[reading])  # the first of equals

    def scores(self, context: Context) -> dict[str, float]:
        """Return the score of each reading by the weights."""
        entry = context.entry
        scores = dict.fromkeys(entry.readings, 0.0)
        names = context.features()
        features = hashes(names)
        if entry.has_verb and SHARED in self.groups:
            scores[VERB] += self._sum(SHARED, features)
        trained = [reading for reading in entry.readings if group(entry, reading) in self.groups]
        if trained:
            features = np.concatenate([features, hashes(context.topics())])
            for reading in trained:
                scores[reading] += self._sum(group(entry, reading), features)
        return scores

    def _rules(self, context: Context) -> list[tuple[str, str]]:
        """Return the rules of the word, and those for all verbs unless it is inflected."""
        entry = context.entry
        if context.inflected or not entry.has_verb:
            return entry.rules
        nominal = next(name for name in entry.readings if name in NOMINAL)
        shared = self.table.entries[SHARED].rules
        return [*entry.rules, *((VERB if reading == VERB else nominal, pattern) for reading, pattern in shared)]

    def _entry(self, word: str) -> Entry | None:
        return self.table.entries.get(word) or self.table.entries.get(word.removesuffix("'s"))

    def _classes(self, words: Sequence[str], tags: Sequence[str]) -> list[str]:
        known, found = self.table.classes, []
        for place, (word, tag) in enumerate(zip(words, tags, strict=True)):
            kind = known.get(word) or ("'" in word and known.get(word[word.find("'") :])) or ""
            if word == "to" and place:
                kind = known.get(f"{words[place - 1]} to", kind)
            found.append(kind or (word if word in MARKS else "adverb" if word.endswith("ly") else tag[:2]))
        return found

    def _sum(self, name: str, features: npt.NDArray[np.uint32]) -> float:
        known, weights = self.groups[name]
        at = np.minimum(np.searchsorted(known, features), len(known) - 1)
        return float(weights[at][known[at] == features].sum())


def mark(text: str) -> tuple[str, dict[str, Pronunciation]]:
    """Return a written text with placeholders for its homographs, and their pronunciations; see text.placeholders."""
    tokens = list(TOKEN.finditer(text.replace("’", "'")))
    limit = "zq"
    while limit in text.lower():
        limit += "q"
    pronunciations: dict[str, Pronunciation] = {}
    parts, at = [], 0
    for index, pronunciation in homographs().find([token[0] for token in tokens]).items():
        placeholder = limit + "".join("abcdefghij"[int(digit)] for digit in str(index)) + limit
        pronunciations[placeholder] = pronunciation
        parts += [text[at : tokens[index].start()], placeholder]
        at = tokens[index].end()
    return "".join([*parts, text[at:]]), pronunciations


@functools.cache
def homographs() -> Homographs:
    """Return the homographs, which are loaded once."""
    return Homographs(parse(TABLE.read_text(encoding="utf-8")))


def parse(text: str) -> Table:
    """Return the content of a table. ValueError for a line that it cannot read."""
    table = Table()
    entry = Entry("", {})
    for line in text.splitlines():
        if not line or line[0] == "#":
            continue
        if line[0] == "@":
            name, _, listed = line[1:].partition(": ")
            table.classes |= {word.replace("_", " "): name for word in listed.split()}
            continue
        if line[0] != " ":
            words, *readings = (part.split() for part in line.split(" | "))
            entry = Entry(words[0], {name: Pronunciation("arpabet", (tuple(sounds),)) for name, *sounds in readings})
            table.entries |= dict.fromkeys(words, entry)
            continue
        content = line.strip()
        reading, _, pattern = content.partition(": ")
        if content[0] == ">":
            entry.examples.append(content[2:])
        elif reading in entry.readings and "_" in pattern:
            entry.rules.append((reading, pattern))
        else:
            raise ValueError(f"a line of {entry.word!r} cannot be read: {content}")
    return table


def load_weights() -> dict[str, Weights]:
    """Return the hashes of features and the weights of each group."""
    with WEIGHTS.open("rb") as file, np.load(file) as saved:
        names, sizes = str(saved["names"]).split(), saved["sizes"].tolist()
        gaps = np.ascontiguousarray(saved["gaps"].T).view(np.uint32)[:, 0]
        weights = saved["weights"].astype(np.float32) * saved["scale"]
    ends = np.cumsum(sizes).tolist()
    return {
        name: (np.cumsum(gaps[end - size : end], dtype=np.uint32), weights[end - size : end])
        for name, size, end in zip(names, sizes, ends, strict=True)
    }


def group(entry: Entry, reading: str) -> str:
    """Return the name of the weights of a word's reading."""
    return f"{entry.word}/{reading}"


def hashes(names: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Return the hashes of names of features, of HASH_BITS bits."""
    return np.array([zlib.crc32(name.encode()) for name in names], dtype=np.uint32) >> np.uint32(32 - HASH_BITS)


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a rule, for Context.line."""
    return re.compile("".join(_item(item) for item in pattern.split()))


def _item(item: str) -> str:
    if item in ("_", "_Aa", "_aa", "^"):
        return {"_": "_[Aa] ", "_Aa": "_A ", "_aa": "_a ", "^": "^"}[item]
    if item in ("..", "..."):
        return r"(?:[Aa][a-z']\S* ){0,3}" if item == ".." else r"(?:\S+ )*"
    match = ITEM.fullmatch(item)
    negated, words, optional = match.groups() if match else ("", item, "")
    options = "|".join(_alternative(word) for word in words.split("|"))
    if negated:
        return rf"(?:^|$|(?<!\S)(?!{options})\S+ )"
    return rf"(?:(?<!\S)(?:{options})){optional}"


def _alternative(word: str) -> str:
    if word == "$":
        return r"(?:a[.?!]/\S* )?$"
    if word == "*":
        return r"\S+ "
    if word == "Aa":
        return r"A\S+ "
    if word[0] == "@":
        return rf"\S+{word} "
    if word.isupper():
        return r"[^/ ]+/" + re.escape(word).replace(r"\*", r"[^@ ]*") + r"@\S* "
    return rf"[Aa]{re.escape(word.lower())}/\S* "


def _tags(words: Sequence[str], first: int, last: int) -> list[str]:
    """Return the tags of the words around two homographs and between them, "" for others."""
    start, end = max(0, first - BEFORE), min(len(words), last + AFTER + 1)
    tagged = [tag for _, tag in tagger().tag(words[start:end])]
    return [*[""] * start, *tagged, *[""] * (len(words) - end)]


def _window(items: Sequence[str], at: int) -> dict[int, str]:
    """Return the items from two before to two after a place, "" beyond the ends."""
    return {step: items[at + step] if 0 <= at + step < len(items) else "" for step in range(-2, 3)}


def _capital(cased: Sequence[str], at: int) -> str:
    return ("A" if cased[at][0].isupper() else "a") if 0 <= at < len(cased) else ""
