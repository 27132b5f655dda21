"""The options of candidates, retries, durations and continuing, in speak and in tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Valle


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Any:
    fixed = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--text", "One is here.", "--seed", "3", "--force"]

    def run(*options: Any) -> Any:
        return valle("speak", *fixed, "-o", "a.wav", "--json", *options)

    return run


def test_what_was_tried_is_printed(speak: Any) -> None:
    ran = speak("--best-of", "3", "--retries", "1", "--max-seconds", "0.3")
    [piece] = json.loads(ran.out)["pieces"]
    assert len(piece["tried"]) in (3, 6)
    assert sum(tried["kept"] for tried in piece["tried"]) == 1
    assert len({tried["seed"] for tried in piece["tried"]}) == len(piece["tried"])
    [kept] = [tried for tried in piece["tried"] if tried["kept"]]
    assert kept["problems"] == piece["problems"]


def test_a_doubtful_sentence_is_reported(speak: Any) -> None:
    ran = speak("--max-seconds", "0.3")
    assert json.loads(ran.out)["pieces"][0]["problems"]  # speech of random weights
    assert "sentence 1" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--best-of", "0"], "from 1 to 64"),
        (["--retries", "65"], "from 0 to 64"),
        (["--pick", "luck"], "likelihood, asr, similarity"),
        (["--greedy", "--best-of", "2"], "equal candidates"),
        (["--repetition-window", "5000"], "from 0 to 4096"),
        (["--repetition-ratio", "1.5"], "from 0 to 1"),
        (["--seconds", "0"], "above 0"),
        (["--continue"], "cannot go on from a prompt"),
    ],
)
def test_impossible_options(speak: Any, options: list[str], message: str) -> None:
    ran = speak(*options)
    assert (ran.code, ran.out) == (2, b"")
    assert message in ran.err
    assert not Path("a.wav").exists()


def test_speech_has_the_duration_that_is_asked_for(speak: Any) -> None:
    assert json.loads(speak("--seconds", "1.5").out)["seconds"] == pytest.approx(1.5, rel=0.11)


def test_a_table_has_the_options_as_columns(valle: Valle, tiny_checkpoint: Path, reference: Path) -> None:
    rows = [
        {"id": "plain", "text": "One is here."},
        {"id": "best", "text": "One is here.", "best_of": 3, "retries": "1"},
        {"id": "long", "text": "One is here.", "seconds": 1.5, "max_seconds": None},
        {"id": "on", "text": "One is here.", "continue": "true"},
        {"id": "bad", "text": "One is here.", "continue": "perhaps"},
        {"id": "greedy", "text": "One is here.", "greedy": True, "best_of": 2},
    ]
    common = {"prompt": str(reference), "seed": 3, "max_seconds": 0.3}
    Path("jobs.jsonl").write_text("\n".join(json.dumps({**common, **row}) for row in rows))
    ran = valle("batch", "jobs.jsonl", "--checkpoint", tiny_checkpoint, "--out-dir", "out", "--json")
    records = {row["id"]: row for row in map(json.loads, Path("out/results.jsonl").read_text().splitlines())}
    assert records["plain"]["tried"] == []
    assert len(records["best"]["tried"]) in (3, 6)
    assert records["long"]["seconds"] == pytest.approx(1.5, rel=0.11)
    assert "cannot go on" in records["on"]["error"]["message"]
    assert "equal candidates" in records["greedy"]["error"]["message"]
    assert "continue is 'perhaps'" in ran.err
    assert json.loads(ran.out)["failed"] == 3
    again = valle("batch", "jobs.jsonl", "--checkpoint", tiny_checkpoint, "--out-dir", "out", "--json")
    assert (json.loads(again.out)["made"], json.loads(again.out)["done_before"]) == (0, 3)
