"""CMUdict, the CMU Pronouncing Dictionary, from `vallecli/data/text`; see NOTICE there."""

from __future__ import annotations

import functools
import gzip
from importlib import resources

FILE = resources.files("vallecli") / "data" / "text" / "cmudict.txt.gz"


class Pronunciations:
    """The dictionary in the interface of g2p-en: `word in d` and `d[word][0]`; words are in lower case."""

    def __init__(self) -> None:
        lines = gzip.decompress(FILE.read_bytes()).decode().splitlines()
        self.lines = dict(line.split(" ", 1) for line in lines)  # split further on access: this loads faster

    def __contains__(self, word: str) -> bool:
        return word in self.lines

    def __getitem__(self, word: str) -> list[list[str]]:
        return [self.lines[word].split()]


@functools.cache
def pronunciations() -> Pronunciations:
    """Return the dictionary, which is loaded once; that takes about 0.1 s."""
    return Pronunciations()
