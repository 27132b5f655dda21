"""What `valle bench` prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from vallecli.cli.reporter import write_json, write_line

COMPARED = ("checkpoint", "dtype", "variant", "step_ms", "real_time_factor", "time_to_first_audio", "ratio")
"""What a comparison shows, beside shares and the times of the models behind the autoregressive one."""


def show(results: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print one result as names and values, several as a row each; as JSON, each is an object on a line."""
    first = results[0]
    if as_json:
        for result in results:
            write_json(result)
    elif len(results) == 1:
        _table(("", "here"), [(name, _written(first[name])) for name in first if name not in ("variant", "ratio")])
    else:
        finish = {f"{name.removesuffix('_gflop')}_ms" for name in first if name.endswith("_gflop")}
        names = [name for name in first if name in COMPARED or name in finish or name.endswith("_share")]
        _table(names, [[_written(result.get(name, "")) for name in names] for result in results])


def _written(value: object) -> str:
    return "unknown" if value is None else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal; else lines with tabs, without a header if its first name is empty."""
    if not sys.stdout.isatty():
        for row in [header, *rows] if header[0] else rows:
            write_line("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
