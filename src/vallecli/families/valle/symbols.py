"""Tables of text symbols beside a checkpoint: `*.k2symbols` of lifeiteng/vall-e, `symbols.dict` of Amphion."""

from __future__ import annotations

from pathlib import Path

from vallecli.errors import DamagedCheckpoint

SPECIAL = ("<pad>", "<bos>", "<eos>")  # ids 0 to 2, in no table
MOST = 2**20  # bytes; published tables have less than a thousand


def read_symbols(path: Path, rows: int) -> tuple[str, ...]:
    """Return the symbol of every text id: pad, begin and end, then all of the table by code point, `<eps>` as well.

    A line is a symbol and a number, and the number is not the id. A model with `rows` embeddings may have some that
    no symbol uses, but not the reverse. Raises DamagedCheckpoint.
    """
    hint = "Give the table that came with the checkpoint, lines of a symbol and a number: --symbols FILE"
    try:
        if path.stat().st_size > MOST:
            raise DamagedCheckpoint(f"{path} is too long for a table of symbols", hint)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DamagedCheckpoint(f"cannot read the table of symbols {path}: {reason}", hint) from error
    symbols = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdecimal():
            raise DamagedCheckpoint(f"{path} is not a table of symbols: line {number} is {line[:40]!r}", hint)
        symbols.append(parts[0])
    if not symbols or len(set(symbols)) < len(symbols):
        reason = "a symbol stands in it twice" if symbols else "it is empty"
        raise DamagedCheckpoint(f"{path} is not a table of symbols: {reason}", hint)
    if len(symbols) + len(SPECIAL) > rows:
        raise DamagedCheckpoint(f"{path} has {len(symbols)} symbols, and the model {rows} rows for all of them", hint)
    return (*SPECIAL, *sorted(symbols))
