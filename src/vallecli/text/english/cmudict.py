"""CMUdict, the CMU Pronouncing Dictionary, from `vallecli/data/text`; see NOTICE there."""

from __future__ import annotations

import functools
import gzip
from bisect import bisect_left
from importlib import resources

FILE = resources.files("vallecli") / "data" / "text" / "cmudict.txt.gz"


class Pronunciations:
    """The dictionary in the interface of g2p-en: `word in d` and `d[word][0]`; words are in lower case."""

    def __init__(self) -> None:
        # Sorted, so they are searched as they are: making a dict would take three times as long as reading them.
        self.lines = gzip.decompress(FILE.read_bytes()).decode().splitlines()

    def __contains__(self, word: str) -> bool:
        return self._find(word) is not None

    def __getitem__(self, word: str) -> list[list[str]]:
        if (line := self._find(word)) is None:
            raise KeyError(word)
        return [line.split()[1:]]

    def _find(self, word: str) -> str | None:
        """Return the line of a word."""
        at = bisect_left(self.lines, word)
        return self.lines[at] if at < len(self.lines) and self.lines[at].split(" ", 1)[0] == word else None


@functools.cache
def pronunciations() -> Pronunciations:
    """Return the dictionary, which is loaded once."""
    return Pronunciations()
