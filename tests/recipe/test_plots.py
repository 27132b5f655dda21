"""Pictures of a run: what was done again counts once, and stages that are not there are left out."""

import json
from pathlib import Path

import pytest
from plots import draw_losses, read_log


def write(path: Path, rows: list[dict[str, float]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_stage_that_went_back_is_drawn_as_it_went_on(tmp_path: Path) -> None:
    losses = [(50, 9), (100, 8), (150, 7), (100, 6), (150, 5), (200, 4)]
    write(tmp_path / "ar.jsonl", [{"step": step, "ce": ce} for step, ce in losses])
    assert [(row["step"], row["ce"]) for row in read_log(tmp_path / "ar.jsonl")] == [
        (50, 9),
        (100, 6),
        (150, 5),
        (200, 4),
    ]
    write(tmp_path / "ar.jsonl", [{"step": step, "ce": step} for step in (50, 100, 50)])
    assert read_log(tmp_path / "ar.jsonl") == [{"step": 50, "ce": 50}]
    assert read_log(tmp_path / "nar.jsonl") == []


def test_each_stage_that_was_logged_has_a_panel(tmp_path: Path) -> None:
    write(tmp_path / "ar.jsonl", [{"step": 50, "ce": 5.0, "loss": 6.0}, {"step": 100, "ce": 4.0, "loss": 5.0}])
    write(tmp_path / "ar.eval.jsonl", [{"step": 100, "spoken.ce": 4.5, "spoken.accuracy": 0.1}])
    write(tmp_path / "nar.jsonl", [{"step": 50, "ce": 6.0, "ce1": 5.0}])
    ar, nar = draw_losses(tmp_path).axes
    assert [line.get_ydata().tolist() for line in ar.lines] == [[5.0, 4.0], [4.5]]
    assert [line.get_ydata().tolist() for line in nar.lines] == [[5.0]]


def test_a_run_without_logs_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no log"):
        draw_losses(tmp_path)
