"""Part-of-speech tags by an averaged perceptron, which distinguish homographs such as "I refuse" and "the refuse".

Tagger and weights are those of Matthew Honnibal (2013): the weights require these feature names, and tags assigned from
left to right. NLTK has the same tagger, but takes seconds to import.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterator, Sequence
from importlib import resources

WEIGHTS = resources.files("vallecli") / "data" / "text" / "tagger.json.gz"
BEFORE, AFTER = ["-START-", "-START2-"], ["-END-", "-END2-"]  # context before the first and after the last word


class Tagger:
    """Assigns tags of the Penn Treebank (VB, NN, ...) to lower-case words and punctuation."""

    def __init__(self) -> None:
        saved = json.loads(gzip.decompress(WEIGHTS.read_bytes()))
        self.weights: dict[str, dict[str, float]] = saved["weights"]  # feature -> tag -> weight
        self.certain: dict[str, str] = saved["tagdict"]  # frequent words that have a single tag
        self.tags: list[str] = saved["classes"]

    def tag(self, words: Sequence[str]) -> list[tuple[str, str]]:
        """Return each word with its tag; tags are assigned from left to right."""
        context = [*BEFORE, *words, *AFTER]
        before, last = BEFORE  # tags of the two previous words
        tagged: list[tuple[str, str]] = []
        for at, word in enumerate(words, len(BEFORE)):
            tag = self.certain.get(word) or self._best(_features(context, at, last, before))
            tagged.append((word, tag))
            before, last = last, tag
        return tagged

    def _best(self, features: Iterator[str]) -> str:
        scores = dict.fromkeys(self.tags, 0.0)
        for feature in features:
            for tag, weight in self.weights.get(feature, {}).items():
                scores[tag] += weight
        return max(scores, key=lambda tag: (scores[tag], tag))


def _features(context: list[str], at: int, last: str, before: str) -> Iterator[str]:
    """Yield the feature names of a word in its context."""
    word = context[at]
    yield "bias"
    yield f"i suffix {word[-3:]}"
    yield f"i pref1 {word[0]}"
    yield f"i-1 tag {last}"
    yield f"i-2 tag {before}"
    yield f"i tag+i-2 tag {last} {before}"
    yield f"i word {word}"
    yield f"i-1 tag+i word {last} {word}"
    yield f"i-1 word {context[at - 1]}"
    yield f"i-1 suffix {context[at - 1][-3:]}"
    yield f"i-2 word {context[at - 2]}"
    yield f"i+1 word {context[at + 1]}"
    yield f"i+1 suffix {context[at + 1][-3:]}"
    yield f"i+2 word {context[at + 2]}"


@functools.cache
def tagger() -> Tagger:
    """Return the tagger, which is loaded once; that takes about 0.25 s."""
    return Tagger()
