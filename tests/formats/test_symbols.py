"""Tables of symbols: what stands for each id, and files that are no tables."""

from pathlib import Path

import pytest

from vallecli.errors import DamagedCheckpoint
from vallecli.formats.symbols import SPECIAL, read_symbols


@pytest.mark.parametrize("content", [None, b"", b"a\nb\n", b"a 1 2\n", b"a one\n", b"a 1\na 2\n", b"\xff 1\n"])
def test_a_table_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "symbols.dict"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=r"symbols\.dict"):
        read_symbols(path, 20)


def test_more_symbols_than_the_model_knows(tmp_path: Path) -> None:
    path = tmp_path / "symbols.dict"
    path.write_text("a 1\nb 2\n")
    assert read_symbols(path, 5) == (*SPECIAL, "a", "b")
    with pytest.raises(DamagedCheckpoint, match="2 symbols, and the model 4 rows"):
        read_symbols(path, 4)
