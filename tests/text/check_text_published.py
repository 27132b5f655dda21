"""The front ends of VALL-E X and Amphion v1 give the published ids; run by hand where the vectors are available.

pytest tests/text/check_text_published.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import vallex_golden

from vallecli.families.valle.symbols import read_symbols
from vallecli.text.espeak import EspeakFrontEnd

SHARED = Path(__file__).parents[3] / "shared"
VALLEX = SHARED / "parity" / "vallex_frontend" / "cases.json"
AMPHION = SHARED / "specs" / "data"
AMPHION_ROWS = 512  # of the text embedding


def cases(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return found


@pytest.mark.skipif(not VALLEX.exists(), reason="the published vectors are not available")
def test_vallex() -> None:
    for case in cases(VALLEX):
        expected = {key: case[key] for key in ("phonemes", "ids", "lang_runs")}
        assert vallex_golden.compute(case["text"]) == expected


@pytest.mark.skipif(not AMPHION.exists(), reason="the published vectors are not available")
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("amphion_valle_libritts", "libritts_ids"),
        ("amphion_valle_librilight_6k", "librilight_ids_if_sorted_rule"),
    ],
)
def test_amphion_v1(table: str, key: str) -> None:
    front_end = EspeakFrontEnd(read_symbols(AMPHION / f"{table}.symbols.dict", rows=AMPHION_ROWS))
    for case in cases(AMPHION / "amphion_v1_g2p_golden.json"):
        missing = case[f"missing_in_{table.split('_')[2]}_table"]
        tokens = front_end.encode(case["text"])
        assert [note.rpartition(": ")[2].split() for note in tokens.notes] == ([missing] if missing else [])
        if not missing:
            assert tokens.ids == case[key]
