"""Train homographs.npz: weights for text.english.homographs, from Wikipedia Homograph Data and the table's examples.

    python make_homographs.py WORDIDS.tsv TRAIN.tsv                     # write homographs.npz
    python make_homographs.py WORDIDS.tsv TRAIN.tsv --cross-validate    # print five-fold accuracy

A linear model with squared hinge loss and an L2 penalty, fitted by L-BFGS; the smallest weights are dropped. Accuracy
is the share of sentences with the annotated reading: micro over all sentences, macro as the mean over words.
Cross-validation splits by sentence, and keeps examples for training.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np  # noqa: TID253
import numpy.typing as npt  # noqa: TID253
from scipy import optimize, sparse  # type: ignore[import-untyped]

from vallecli.text.arpabet import tokens_of
from vallecli.text.english.homographs import (
    SHARED,
    TABLE,
    VERB,
    WEIGHTS,
    Context,
    Homographs,
    group,
    hashes,
    parse,
)
from vallecli.text.normalize import normalize

FOLDS = 5
SEED = 0  # of the split into folds
MARGIN = 1.0
PENALTY, SHARED_PENALTY = 6.0, 6.0  # of squared weights
TOPIC = 0.5  # value of the features for words of the sentence; others are 1
EXAMPLE_COUNT = 3.0  # how often an example counts
ITERATIONS = 60  # of L-BFGS
KEPT = 90_000  # weights in the file
STEPS = 127  # of the largest weight
WORST = 12  # words to print

ANNOTATED = re.compile(r"([A-Za-z']+)/([a-z]+)")
# Sounds of the data and of ARPAbet in the same form: IPA without length, with reduced vowels alike.
SOUNDS = {
    **{"AA": "ɑ", "AE": "æ", "AH": "ə", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɚ", "EY": "eɪ", "IH": "ɪ"},
    **{"IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f"},
    **{"G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s"},
    **{"SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ"},
}
IPA_VOWELS = "ɑæəɔaɛɚeɪioʊuʌɝ"
Floats = npt.NDArray[np.float64]
Steps = dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.int8]]]
"""Sorted hashes of features and their weights in steps, by group."""


@dataclass(frozen=True)
class Sample:
    """An annotated homograph."""

    context: Context
    reading: str
    ids: dict[str, str]
    """Reading of each wordid of the data; {} for an example of the table."""
    text: str


# Pronunciations of the data


def ipa_sounds(text: str) -> list[str]:
    """Return the sounds of a pronunciation of the data, with ' before the vowel with primary stress."""
    out: list[str] = []
    stressed = False
    for char in text.replace("ʌ", "ə").replace("ɝ", "ɚ").replace("g", "ɡ"):
        if char in "'ˈ":
            stressed = True
        elif char in IPA_VOWELS:
            out += ["'", char] if stressed else [char]
            stressed = False
        elif char.isalpha() and char != "ː":
            out.append(char)
    return out


def arpabet_sounds(symbols: Iterable[str]) -> list[str]:
    """Return the sounds of phonemes in the form of `ipa_sounds`."""
    return [char for symbol in symbols for char in "'" * (symbol[-1] == "1") + SOUNDS[symbol.rstrip("012")]]


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the edit distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def read_wordids(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the sounds of each wordid of each word."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["homograph"]][row["wordid"]] = ipa_sounds(row["pronunciation"])
    return found


def readings(context: Context, pronunciations: dict[str, list[str]]) -> dict[str, str]:
    """Return the reading of each wordid: one to one, with the smallest sum of distances.

    ValueError if the phonemes of a reading are nearer to another wordid.
    """
    sounds = {
        reading: arpabet_sounds(context.pronunciation(reading).arpabet()[0]) for reading in context.entry.readings
    }
    best = min(
        (dict(zip(pronunciations, order, strict=True)) for order in permutations(sounds)),
        key=lambda pairs: sum(distance(pronunciations[wordid], sounds[reading]) for wordid, reading in pairs.items()),
    )
    for wordid, reading in best.items():
        distances = {name: distance(sounds[reading], other) for name, other in pronunciations.items()}
        if distances[wordid] > min(distances.values()):  # equal for the verb "abuses", whose last sound is missing
            raise ValueError(f"the phonemes of {context.entry.word}/{reading} are not nearest to {wordid}")
    return best


# Samples


def read_samples(path: Path, wordids: dict[str, dict[str, list[str]]], homographs: Homographs) -> list[Sample]:
    """Return the sentences of the data."""
    samples = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            word, text = row["homograph"].lower(), row["sentence"]
            head = text.encode()[: int(row["start"])].decode(errors="ignore").lower()
            before = len(re.findall(rf"(?<![a-z']){re.escape(word)}(?![a-z'])", head))
            context = [found for found in contexts(homographs, text) if found.words[found.at] == word][before]
            ids = readings(context, wordids[row["homograph"]])
            samples.append(Sample(context, ids[row["wordid"]], ids, text))
    return samples


def read_examples(homographs: Homographs) -> list[Sample]:
    """Return the homographs of the table's examples. ValueError for an annotation that is not a homograph's."""
    samples = []
    for entry in {id(entry): entry for entry in homographs.table.entries.values()}.values():
        for text in entry.examples:
            wanted = ANNOTATED.findall(text)
            for context in contexts(homographs, ANNOTATED.sub(r"\1", text)):
                if wanted and wanted[0][0].lower() == context.words[context.at]:
                    reading = wanted.pop(0)[1]
                    if reading not in context.entry.readings:
                        raise ValueError(f"{context.entry.word} has no reading {reading!r}: {text}")
                    samples.append(Sample(context, reading, {}, text))
            if wanted:
                raise ValueError(f"an annotation is not a homograph: {text}")
    return samples


def contexts(homographs: Homographs, text: str) -> list[Context]:
    """Return the homographs of a written text."""
    return [context for _, context in homographs.contexts(tokens_of(normalize(text)))]


# Training


@dataclass
class Problem:
    """Samples as a sparse matrix: a row for each reading of each sample, a column for each weight."""

    matrix: sparse.csr_array
    penalty: Floats
    """Of each weight."""
    sample: npt.NDArray[np.int64]
    """Of each row."""
    right: Floats
    """1 for the row of the annotated reading, else 0."""
    count: Floats
    """How often the sample of each row counts."""
    names: list[tuple[str, int]]
    """Group and hash of each weight."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Problem:
        """Return the problem of some samples. The first reading of a word has no weights: others count against it."""
        columns: list[int] = []
        values: list[float] = []
        starts = [0]  # of the rows in `columns`
        index: dict[tuple[str, int], int] = {}
        sample, right, count = [], [], []
        trained = {item.context.entry.word for item in samples if item.ids}
        for number, item in enumerate(samples):
            entry = item.context.entry
            features = hashes(item.context.features()).tolist()
            topics = hashes(item.context.topics()).tolist()
            for place, reading in enumerate(entry.readings):
                sample.append(number)
                right.append(float(reading == item.reading))
                count.append(1.0 if item.ids else EXAMPLE_COUNT)
                used: list[tuple[str, int, float]] = []
                if entry.has_verb and reading == VERB:
                    used += [(SHARED, feature, 1.0) for feature in features]
                if place and entry.word in trained:
                    used += [(group(entry, reading), feature, 1.0) for feature in features]
                    used += [(group(entry, reading), feature, TOPIC) for feature in topics]
                columns += [index.setdefault((name, feature), len(index)) for name, feature, _ in used]
                values += [value for _, _, value in used]
                starts.append(len(columns))
        matrix = sparse.csr_array((values, columns, starts), shape=(len(sample), len(index)))
        penalty = np.array([SHARED_PENALTY if name == SHARED else PENALTY for name, _ in index])
        return cls(matrix, penalty, np.array(sample), np.array(right), np.array(count), list(index))

    def solve(self) -> Floats:
        """Return the weights with the smallest loss."""
        start = np.zeros(len(self.names))
        options = {"maxiter": ITERATIONS}
        found = optimize.minimize(self.loss, start, jac=True, method="L-BFGS-B", options=options).x
        return np.asarray(found, dtype=np.float64)

    def loss(self, weights: Floats) -> tuple[float, Floats]:
        """Return the penalized squared hinge loss, and its gradient.

        A reading costs the square of what its score lacks to be MARGIN below that of the right one.
        """
        scores = self.matrix @ weights
        best = np.bincount(self.sample, scores * self.right)[self.sample]
        lacking = np.maximum(0.0, MARGIN - best + scores) * (1 - self.right)
        slope = 2 * self.count * lacking
        slope -= self.right * np.bincount(self.sample, slope)[self.sample]
        loss = (self.count * lacking**2).sum() + 0.5 * (self.penalty * weights**2).sum()
        return float(loss), self.matrix.T @ slope + self.penalty * weights

    def with_only(self, kept: npt.NDArray[np.intp]) -> Problem:
        """Return the problem with some of the weights, given by their columns."""
        names = [self.names[column] for column in kept.tolist()]
        return Problem(self.matrix[:, kept], self.penalty[kept], self.sample, self.right, self.count, names)


def train(samples: Sequence[Sample]) -> tuple[Steps, float]:
    """Return the weights of each group in steps, and the size of a step."""
    problem = Problem.of(samples)
    values = problem.matrix.max(axis=0).toarray().ravel()  # of features, which are the same in all samples
    weights = problem.solve()
    if len(weights) > KEPT:
        kept = np.sort(np.argsort(np.abs(weights) * values)[-KEPT:])
        problem, values = problem.with_only(kept), values[kept]
        weights = problem.solve()
    weights *= values
    scale = float(np.abs(weights).max()) / STEPS
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for (name, feature), step in zip(problem.names, np.rint(weights / scale).astype(int).tolist(), strict=True):
        if step:
            found[name].append((feature, step))
    steps = {}
    for name, pairs in sorted(found.items()):
        features, counts = zip(*sorted(pairs), strict=True)
        steps[name] = (np.array(features, dtype=np.uint32), np.array(counts, dtype=np.int8))
    return steps, scale


def save(steps: Steps, scale: float) -> None:
    """Write the file that text.english.homographs reads: hashes as gaps, whose bytes are apart to be compressed."""
    gaps = np.concatenate([np.diff(known, prepend=np.uint32(0)) for known, _ in steps.values()])
    np.savez_compressed(
        str(WEIGHTS),
        names=np.array(" ".join(steps)),
        sizes=np.array([len(known) for known, _ in steps.values()], dtype=np.int32),
        scale=np.float32(scale),
        weights=np.concatenate([counts for _, counts in steps.values()]),
        gaps=np.ascontiguousarray(gaps[:, None].view(np.uint8).T),
    )


def use(homographs: Homographs, steps: Steps, scale: float) -> None:
    """Give the weights to the homographs."""
    homographs.groups = {
        name: (known, counts.astype(np.float32) * np.float32(scale)) for name, (known, counts) in steps.items()
    }


# Accuracy


def accuracy(right: dict[str, list[bool]]) -> str:
    """Return micro and macro accuracy in words; `right` says of each sentence of a word whether it is right."""
    total = sum(map(len, right.values()))
    micro = sum(map(sum, right.values())) / total
    macro = sum(sum(each) / len(each) for each in right.values()) / len(right)
    return f"micro {100 * micro:.1f} %, macro {100 * macro:.1f} % of {total} sentences"


def evaluate(homographs: Homographs, samples: Sequence[Sample], results: dict[str, list[bool]]) -> list[Sample]:
    """Add to `results` whether each sample is read as annotated, by word; return those that are not."""
    wrong = []
    for item in samples:
        correct = homographs.choose(item.context) == item.reading
        results[item.context.words[item.context.at]].append(correct)
        if not correct:
            wrong.append(item)
    return wrong


def cross_validate(homographs: Homographs, samples: Sequence[Sample], examples: Sequence[Sample], misses: int) -> None:
    """Print the accuracy of cross-validation, the worst words, and some of the misses."""
    texts = sorted({item.text for item in samples})
    random.Random(SEED).shuffle(texts)
    fold = {text: index % FOLDS for index, text in enumerate(texts)}
    results: dict[str, list[bool]] = defaultdict(list)
    wrong: list[Sample] = []
    for number in range(FOLDS):
        use(homographs, *train([*(item for item in samples if fold[item.text] != number), *examples]))
        judged: dict[str, list[bool]] = defaultdict(list)
        wrong += evaluate(homographs, [item for item in samples if fold[item.text] == number], judged)
        print(f"fold {number + 1}: {accuracy(judged)}")
        for word, each in judged.items():
            results[word] += each
    for item in wrong[:misses]:
        print(f"  {item.context.words[item.context.at]}/{item.reading}: {item.text}")
    worst = sorted(results, key=lambda word: sum(results[word]) / len(results[word]))[:WORST]
    print("worst:", ", ".join(f"{word} {100 * sum(results[word]) / len(results[word]):.0f} %" for word in worst))
    print(f"cross-validation: {accuracy(results)}")


def main() -> None:
    """Train, or cross-validate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordids", type=Path, help="wordids.tsv of the data")
    parser.add_argument("sentences", type=Path, help="train.tsv of the data")
    parser.add_argument("--cross-validate", action="store_true", help="write nothing, print the accuracy")
    parser.add_argument("--misses", type=int, default=0, help="sentences to print that are not read as annotated")
    options = parser.parse_args()
    homographs = Homographs(parse(TABLE.read_text(encoding="utf-8")))
    samples = read_samples(options.sentences, read_wordids(options.wordids), homographs)
    examples = read_examples(homographs)
    if options.cross_validate:
        cross_validate(homographs, samples, examples, options.misses)
        return
    steps, scale = train([*samples, *examples])
    save(steps, scale)
    use(homographs, steps, scale)
    count, size = sum(len(known) for known, _ in steps.values()), Path(str(WEIGHTS)).stat().st_size
    print(f"{WEIGHTS}: {count} weights, {size} bytes")
    for name, items in (("training data", samples), ("examples", examples)):
        results: dict[str, list[bool]] = defaultdict(list)
        for item in evaluate(homographs, items, results)[: options.misses]:
            print(f"  {item.context.words[item.context.at]}/{item.reading}: {item.text}")
        print(f"{name}: {accuracy(results)}")


if __name__ == "__main__":
    main()
