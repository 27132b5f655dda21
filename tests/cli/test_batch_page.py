"""`valle batch --page`: the listening page of all rows of the table, in any run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_batch import TWO, batch, files_in

__all__ = ["batch"]  # a fixture

REFUSED = {"id": "c", "text": "No voice.", "prompt": "nobody.wav"}


def page(folder: str = "out") -> dict[str, Any]:
    html = (Path(folder) / "index.html").read_text("utf-8")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    return dict(json.loads(block[1]))


def shown() -> list[tuple[str, str, str]]:
    return [(row["id"], row["text"], row["results"][0]["status"]) for row in page()["rows"]]


def test_the_page_has_all_rows_of_all_runs(batch) -> None:
    assert batch(TWO[:1], "--page").code == 0
    assert shown() == [("a", TWO[0]["text"], "ok")]
    ran = batch([*TWO, REFUSED], "--page", "--json")
    assert ran.code == 6
    assert (json.loads(ran.out)["made"], json.loads(ran.out)["page"]) == (1, "out/index.html")
    everything = [("a", TWO[0]["text"], "ok"), ("b", "Hello.", "ok"), ("c", "No voice.", "failed")]
    assert shown() == everything
    first = Path("out/index.html").read_bytes()
    ran = batch([*TWO, REFUSED], "--page")
    assert (ran.out, "out/index.html" in ran.err) == (b"out/results.jsonl\n", True)
    assert Path("out/index.html").read_bytes() == first  # nothing was left to do


def test_rows_have_their_audio_notes_and_errors(batch) -> None:
    batch([*TWO, REFUSED], "--page")
    data = page()
    a, b, c = data["rows"]
    assert [data["clips"][row["prompt"]]["name"] for row in (a, b, c)] == ["ref.wav", "ref.wav", "nobody.wav"]
    assert [data["clips"][row["results"][0]["output"]]["name"] for row in (a, b)] == ["a.wav", "b.flac"]
    assert all("audio" in clip for clip in data["clips"] if clip["name"] != "nobody.wav")
    assert "did not end by itself" in a["results"][0]["notes"][0]
    assert a["results"][0]["scores"].keys() == {"seconds"}
    assert c["results"][0]["output"] is None
    assert c["results"][0]["error"]["code"] == "AudioNotFound"


def test_rows_that_are_not_made_yet(batch) -> None:
    batch([REFUSED, *TWO], "--page", "--fail-fast")
    assert [status for _, _, status in shown()] == ["failed", "pending", "pending"]


def test_a_result_of_another_text_is_not_shown(batch) -> None:
    batch([{"id": "a", "text": "Old."}], "--page")
    batch([{"id": "a", "text": "New."}, REFUSED], "--page", "--fail-fast")
    assert shown()[0] == ("a", "New.", "pending")


def test_a_failed_row_has_no_audio_of_an_earlier_one(batch) -> None:
    batch([{"id": "a", "text": "Old."}], "--page")
    ran = batch([{"id": "a", "text": "New.", "prompt": "silent.wav"}], "--page")
    assert ran.code == 6
    assert Path("out/a.wav").exists()
    assert page()["rows"][0]["results"][0]["output"] is None


def test_a_page_of_someone_else_is_kept(batch) -> None:
    Path("out").mkdir()
    Path("out/index.html").write_text("mine")
    ran = batch(TWO, "--page")
    assert (ran.code, "index.html already exists" in ran.err, "--force" in ran.err) == (3, True, True)
    assert files_in("out") == ["index.html"]
    assert batch(TWO, "--page", "--force").code == 0
    assert len(shown()) == 2


def test_no_page_without_the_option(batch) -> None:
    batch(TWO)
    batch(TWO, "--page", "--dry-run")
    assert not Path("out/index.html").exists()


def test_shards_have_one_page_at_the_end(batch, valle) -> None:
    for options in (["--shard", "1/2"], ["--shard", "2/2"]):
        assert batch(TWO, *options, "--page").code == 2
        batch(TWO, *options)
    ran = valle("batch", "--merge", "--out-dir", "out", "--page")
    assert (ran.code, "without --shard" in ran.err) == (2, True)
    ran = batch(TWO, "--page", "--json")
    assert json.loads(ran.out)["made"] == 0
    assert [status for _, _, status in shown()] == ["ok", "ok"]


@pytest.mark.parametrize("name", ["raw", "ulaw"])
def test_formats_without_a_header(batch, name: str) -> None:
    batch(TWO[:1], "--page", "--format", name)
    clip = page()["clips"][1]
    assert ("audio" in clip) == (name == "ulaw")
    assert bool(clip["error"]) == (name == "raw")
