"""A pronunciation lexicon: words and phrases whose pronunciation the user states, in a file.

Each line is a word or a phrase, a tab, and its pronunciation: ARPAbet (`HH AH0 L OW1`, with | between words), IPA
between slashes or brackets (`/həˈloʊ/`), or a plain respelling (`vall-ee`). Lines that begin with # are comments. An
entry with capitals matches that case only; its plural in -s is matched, too, and the possessive of every entry.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vallecli import inputs
from vallecli.encoding import decode
from vallecli.errors import InputError
from vallecli.text import phones
from vallecli.text.base import FrontEnd
from vallecli.text.phones import Pronunciation
from vallecli.text.placeholders import pattern_of

MAX_BYTES = 2**24  # of a file: a hundred thousand entries have a few megabytes
EXAMPLE = "A line is a word or a phrase, a tab, and ARPAbet (HH AH0 L OW1), IPA (/həˈloʊ/) or a respelling (hel-low)."
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff66-\uff9f"  # scripts that do not separate words
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")  # of an entry or a text
SPACED = re.compile(rf"[^\W_{UNSPACED}]")  # a letter or digit that needs a boundary next to it
NOT_AFTER_WORD, NOT_BEFORE_WORD = r"(?<!\w)(?<!\w['’])", r"(?!\w)(?!['’]\w)"
SYLLABLES = ("za", "ze", "zi", "zo", "zu")  # of placeholders


@dataclass(frozen=True)
class Entry:
    """A line of a lexicon: `pronunciation` is None for a respelling."""

    written: str
    respelling: str
    pronunciation: Pronunciation | None
    line: int

    @property
    def cased(self) -> bool:
        """Return whether only this case is matched."""
        return self.written != self.written.lower()


@dataclass
class Marked:
    """A text in which placeholders stand for words with a pronunciation, and what they stand for."""

    text: str
    written: dict[str, str] = field(default_factory=dict)
    """Placeholder in lower case -> what was written."""
    pronunciations: dict[str, Pronunciation] = field(default_factory=dict)
    """Placeholder in lower case -> pronunciation."""

    def unmark(self, text: str) -> str:
        """Return a part of the text, which a normalizer may have changed, with words in place of placeholders."""
        pattern = pattern_of(self.pronunciations)
        return text if pattern is None else pattern.sub(lambda match: self.written[match[0].lower()], text)


@dataclass
class _Node:
    """The entries whose words are those on the way to this node, and the nodes of one more word."""

    entries: list[Entry] = field(default_factory=list)
    longer: dict[str, _Node] = field(default_factory=dict)


class Lexicon:
    """The entries of a file."""

    def __init__(self, entries: tuple[Entry, ...], source: str, sha256: str) -> None:
        self.entries, self.source, self.sha256 = entries, source, sha256
        self._root = _Node()
        for entry in entries:
            node = self._root
            for word in WORD.findall(entry.written.lower()):
                node = node.longer.setdefault(word, _Node())
            node.entries.append(entry)
            node.entries.sort(key=lambda one: (len(one.written), one.cased), reverse=True)

    def check(self, front_end: FrontEnd) -> None:
        """Raise InputError, with the line, for a pronunciation with a sound that a front end does not have."""
        for entry in self.entries:
            if entry.pronunciation is None:
                continue
            try:
                front_end.check_pronunciation(entry.pronunciation)
            except ValueError as error:
                raise InputError(
                    f"{self.source}, line {entry.line}: {entry.written!r} cannot be pronounced: {error}",
                    "Write it with the sounds of this checkpoint, or as a respelling.",
                ) from error

    def mark(self, text: str, marked: Marked | None = None) -> Marked:
        """Return the text with placeholders and respellings; `marked` is another text with its own placeholders.

        A placeholder is a word that no normalizer changes. It begins with a capital if the word does.
        """
        text = unicodedata.normalize("NFC", text)
        done = Marked("") if marked is None else Marked("", dict(marked.written), dict(marked.pronunciations))
        prefix = "qx"
        while prefix in text.lower():
            prefix += "x"
        parts, at = [], 0
        for start, match, entry in self._matches(text):
            parts.append(text[at:start])
            at = match.end()
            pronunciation = entry.pronunciation
            if pronunciation is None:
                inserted = entry.respelling + (match["ending"] or "")
            else:
                if match["ending"]:
                    pronunciation = pronunciation.with_s()
                inserted = placeholder(prefix, len(done.pronunciations), len(match[0]))
                done.written[inserted], done.pronunciations[inserted] = " ".join(match[0].split()), pronunciation
            parts.append(inserted[0].upper() + inserted[1:] if match[0][0].isupper() else inserted)
        done.text = "".join([*parts, text[at:]])
        return done

    def _matches(self, text: str) -> Iterator[tuple[int, re.Match[str], Entry]]:
        """Yield where entries begin, from left to right, of several the longest; and what they match."""
        words = list(WORD.finditer(text))
        lowered = [word[0].lower() for word in words]
        end = 0
        for at, word in enumerate(words):
            if word.start() < end:
                continue
            for entry in self._candidates(lowered, at):
                first = WORD.search(entry.written)
                start = word.start() - (first.start() if first else 0)
                match = _pattern(entry.written).match(text, start) if start >= end else None
                if match is not None and text[start - 1 : start] + text[match.end() : match.end() + 1] != "[]":
                    yield start, match, entry
                    end = match.end()
                    break

    def _candidates(self, words: Sequence[str], at: int) -> list[Entry]:
        """Return the entries with the words of a text from a place on, the longest first."""
        found: list[Entry] = []
        node = self._root
        for place in range(at, len(words)):
            word = words[place]
            plural = node.longer.get(word[:-1]) if word.endswith("s") else None
            if plural is not None:
                found = plural.entries + found
            if word not in node.longer:
                break
            node = node.longer[word]
            found = node.entries + found
        return found


def read_lexicon(path: str | os.PathLike[str]) -> Lexicon:
    """Return the lexicon in a file. InputError names the line of an entry that is unknown, incomplete or repeated."""
    name = os.fspath(path)
    try:
        with inputs.open_regular(Path(path)) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
        reason = "there is no such file" if missing else (error.strerror or str(error)).lower()
        raise InputError(f"cannot read the lexicon {name}: {reason}", "Check its name and permissions.") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} is too long for a lexicon", EXAMPLE)
    return Lexicon(tuple(_entries(decode(content, name), name)), name, hashlib.sha256(content).hexdigest())


def _entries(text: str, source: str) -> Iterator[Entry]:
    lines: dict[str, int] = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{source}, line {number}"
        written, tab, value = line.partition("\t")
        written = " ".join(unicodedata.normalize("NFC", written).replace("’", "'").split())
        if not tab or "\t" in value.strip():
            raise InputError(f"{where}: it has {line.strip().count(chr(9))} tabs instead of one", EXAMPLE)
        if not WORD.search(written) or not value.strip():
            missing = "pronunciation" if WORD.search(written) else "word"
            raise InputError(f"{where}: it has no {missing}", EXAMPLE)
        if written in lines:
            raise InputError(f"{where}: {written!r} is already in line {lines[written]}", "Leave one of them out.")
        lines[written] = number
        try:
            pronunciation = phones.parse(value)
        except ValueError as error:
            raise InputError(f"{where}: {value.strip()!r} is no pronunciation: {error}", EXAMPLE) from error
        respelling = " ".join(value.replace("’", "'").split())
        yield Entry(written, respelling, pronunciation, number)


@functools.lru_cache(maxsize=4096)
def _pattern(written: str) -> re.Pattern[str]:
    """Return the pattern of an entry: between other characters than those of words, with `ending` for 's and s."""
    body = r"\s+".join(re.escape(part).replace("'", "['’]") for part in written.split(" "))
    cased = written != written.lower()
    before, after = (
        part if SPACED.match(written[place]) else "" for place, part in ((0, NOT_AFTER_WORD), (-1, NOT_BEFORE_WORD))
    )
    plural = "|s" if cased and after else ""
    return re.compile(rf"{before}{body}(?P<ending>['’]s{plural})?{after}", 0 if cased else re.IGNORECASE)


def placeholder(prefix: str, number: int, length: int) -> str:
    """Return the placeholder with a number, about as long as the text that it stands for."""
    syllables: list[str] = []
    while number or len(prefix) + 2 * len(syllables) < length or not syllables:
        number, rest = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[rest])
    return prefix + "".join(reversed(syllables))
