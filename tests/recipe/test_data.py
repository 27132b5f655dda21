"""Which texts nano's recipe has spoken."""

from __future__ import annotations

from pathlib import Path

import data
from config import LIMITS


def test_long_sentences_are_cut_and_what_is_not_plain_is_left_out(tmp_path: Path) -> None:
    long = "He went down to the river as he had done on every morning of that year, and nobody ever asked him why."
    lines = [
        "The old ship came home.",
        long,
        '"Come in," she said.',
        "In 1900 it was gone.",
        "Oh.",
        "The old ship came home.",
    ]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    found = data.sentences(tmp_path / "texts.txt")
    assert found[0] == "The old ship came home."
    assert " ".join(found[1:3]) == long
    assert max(map(len, found)) <= LIMITS.max_text_chars
    assert found[3:] == ["Come in, she said."]
