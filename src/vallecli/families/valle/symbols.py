"""Tables of text symbols next to the weights: `*.k2symbols` of lifeiteng/vall-e, `symbols.dict` of Amphion v1."""

from __future__ import annotations

from pathlib import Path

from vallecli.checkpoints.small_files import read_text
from vallecli.errors import DamagedCheckpoint

SPECIAL = ("<pad>", "<bos>", "<eos>")  # ids 0 to 2, in no table
MAX_BYTES = 2**20  # published tables have less than a thousand


def read_symbols(path: Path, rows: int) -> tuple[str, ...]:
    """Return the symbol of each text id: pad, begin and end, then the symbols of the table in order of code points.

    A line has a symbol and a number, which is not the id; `<eps>` is a symbol like the others. The model has `rows`
    text embeddings, at least one for each symbol. Raises DamagedCheckpoint.
    """
    hint = "Give the table that was published with the checkpoint: lines of a symbol and a number."
    try:
        text = read_text(path, "a table of symbols", MAX_BYTES)
    except DamagedCheckpoint as error:
        raise DamagedCheckpoint(error.message, hint) from error
    symbols = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdecimal():
            raise DamagedCheckpoint(f"{path} is not a table of symbols: line {number} is {line[:40]!r}", hint)
        symbols.append(parts[0])
    if not symbols or len(set(symbols)) < len(symbols):
        reason = "it has a symbol twice" if symbols else "it is empty"
        raise DamagedCheckpoint(f"{path} is not a table of symbols: {reason}", hint)
    if len(symbols) + len(SPECIAL) > rows:
        raise DamagedCheckpoint(f"{path} has {len(symbols)} symbols, but the model has only {rows} rows", hint)
    return (*SPECIAL, *sorted(symbols))
