"""Tables of text symbols: next to the weights or given as an option; files that are no tables are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from published import write_lifeiteng

from vallecli.errors import DamagedCheckpoint
from vallecli.families.detect import describe
from vallecli.families.valle.read import read_checkpoint
from vallecli.families.valle.symbols import read_symbols


def test_symbols_are_numbered_by_code_point_after_the_special_ones(tmp_path: Path) -> None:
    table = tmp_path / "unique_text_tokens.k2symbols"
    table.write_text("<eps> 0\nb 1\n! 2\nɐ 3\n̩ 4\n")
    wanted = ("<pad>", "<bos>", "<eos>", "!", "<eps>", "b", "ɐ", "̩")
    assert read_symbols(table, 20) == wanted
    path = write_lifeiteng(tmp_path / "epoch-1.pt")
    assert read_checkpoint(path).symbols == wanted  # next to the weights
    assert describe(path).missing == ()
    moved = table.rename(tmp_path / "mine.txt")
    assert read_checkpoint(path).symbols is None
    assert "option symbols=FILE" in describe(path).missing[0]
    assert read_checkpoint(path, symbols=moved).symbols == wanted


def test_the_folder_of_the_table_is_never_read_from_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a 0\n")
    path = write_lifeiteng(tmp_path / "here.pt", text_tokens=str(tmp_path / "elsewhere" / "secret"))
    assert read_checkpoint(path).symbols == (
        "<pad>",
        "<bos>",
        "<eos>",
        "a",
    )  # next to the weights
    (tmp_path / "sub").mkdir()
    moved = Path(shutil.move(path, tmp_path / "sub" / "here.pt"))
    assert read_checkpoint(moved).symbols is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "it is empty"),
        (b"a\n", "line 1 is 'a'"),
        (b"a 0\nb c d\n", "line 2"),
        (b"a 0\na 1\n", "it has a symbol twice"),
        (b"\xff\xfe 0\n", "not UTF-8"),
        ("".join(f"{chr(0x4E00 + i)} {i}\n" for i in range(18)).encode(), "18 symbols, but the model has only 20 rows"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "table").write_bytes(table)
    with pytest.raises(DamagedCheckpoint, match=message):
        read_checkpoint(write_lifeiteng(tmp_path / "epoch-1.pt"), symbols=tmp_path / "table")
