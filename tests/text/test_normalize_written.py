"""Tables of written texts and how they are read: by kind, from public reports, and where we differ from another tool.

In the tables of `written/`, each row has the written text, a tab, and the spoken one; \\n stands for a line end.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vallecli.text.normalize import normalize

TABLES = Path(__file__).with_name("written")
LEFT = TABLES / "left.tsv"


def rows(table: Path) -> list[list[str]]:
    lines = table.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("# ") or "\t" in line]


CASES = [(table.stem, *row) for table in sorted(TABLES.glob("*.tsv")) if table != LEFT for row in rows(table)]


@pytest.mark.parametrize(("table", "written", "spoken"), CASES)
def test_written_to_spoken(table: str, written: str, spoken: str) -> None:
    assert normalize(written.replace("\\n", "\n")) == spoken
    assert normalize(spoken) == spoken


@pytest.mark.parametrize(("written", "spoken", "other", "reason"), rows(LEFT))
def test_readings_that_differ_from_another_tool(written: str, spoken: str, other: str, reason: str) -> None:
    assert normalize(written) == spoken
    assert bare(spoken) != bare(other)  # else the row is no longer left
    assert len(reason.split()) > 5


def bare(text: str) -> str:
    """Return the words of a text without case, punctuation, spaces and "and"; "ay" is the letter A."""
    words = re.sub(r"[^a-z0-9 ]", " ", text.lower().replace("'", "")).split()
    return "".join("a" if word == "ay" else word for word in words if word != "and")
