"""The HTML of listening pages: what is in it, what cannot break out of it, and what happens to files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pages import HOSTILE, evaluated, failed, row, scored, write_tone

from vallecli.audio.files import read_audio
from vallecli.errors import OutputExists, OutputNotWritable
from vallecli.quality import clips, report
from vallecli.quality.report import make_page, to_json, write_page
from vallecli.quality.rows import MAX_TEXT, Run


class Parsed(HTMLParser):
    """The scripts, styles, policy and resources of a page, as a browser reads it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.content: dict[str, str] = {}
        self.policy = ""
        self.resources: list[str] = []
        self.tags: list[str] = []
        self.inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.inside = {"script": str(values.get("type")), "style": "style"}.get(tag, self.inside)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(values["content"])
        self.resources += [str(values[name]) for name in ("src", "href", "srcset", "action") if name in values]
        assert not [name for name in values if name.startswith("on") or name == "style"]

    def handle_endtag(self, tag: str) -> None:
        self.inside = None if tag in ("script", "style") else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.content[self.inside] = self.content.get(self.inside, "") + data

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.content["application/json"]))


def page(folder: Path, *rows: dict[str, Any], **options: Any) -> dict[str, Any]:
    return Parsed(make_page([Run("run", folder, rows)], folder=folder, **options)).data


def test_only_this_script_and_style_are_allowed(own_folder: Path) -> None:
    parsed = Parsed(make_page([evaluated(own_folder)], folder=own_folder))
    rules = dict(rule.split(" ", 1) for rule in parsed.policy.split("; "))
    for rule, content in {"script-src": "module", "style-src": "style"}.items():
        digest = hashlib.sha256(parsed.content[content].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert (rules["default-src"], rules["media-src"]) == ("'none'", "blob:")
    assert set(parsed.resources) == {"data:,", "#main"}


def test_hostile_text_stays_text(own_folder: Path) -> None:
    plain = Parsed(make_page([evaluated(own_folder)], folder=own_folder))
    rows = [
        row(own_folder, "a", HOSTILE, heard=HOSTILE, speaker=HOSTILE, notes=[HOSTILE]),
        {**failed(HOSTILE, HOSTILE), "text": HOSTILE, "prompt": HOSTILE[:80]},
    ]
    parsed = Parsed(make_page([Run(HOSTILE, own_folder, rows)], folder=own_folder))
    assert parsed.tags == plain.tags
    assert parsed.content["module"] == plain.content["module"]
    assert parsed.data["rows"][0]["text"] == HOSTILE
    assert parsed.data["rows"][0]["results"][0]["notes"] == [HOSTILE]
    names = [parsed.data["rows"][1]["id"], *parsed.data["runs"], *(clip["name"] for clip in parsed.data["clips"])]
    assert not any("\u202e" in name or "\0" in name for name in names)


def test_json_has_no_characters_of_html() -> None:
    values = ["<!--", "</script>", "&amp;", "\u2028", "\ud800", "é"]
    written = to_json(values)
    assert not re.search(r"[<>&]|[^ -~]", written)
    assert json.loads(written) == values
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))


def test_a_row_has_its_scores_and_differences(own_folder: Path) -> None:
    data = page(own_folder, scored(own_folder, "a", "red grown blue", 1, 0.75, speaker="Ann"))
    (found,) = data["rows"]
    (result,) = found["results"]
    assert (found["id"], found["text"], found["speaker"]) == ("a", "Red green blue.", "Ann")
    assert result["differences"] == [
        ["equal", "red", "red"],
        ["substituted", "green", "grown"],
        ["equal", "blue", "blue"],
    ]
    assert result["scores"] == {
        **{"wer": pytest.approx(100 / 3), "errors": 1, "words": 3, "similarity": 0.75, "seconds": 0.5},
        **{"opinion.ovrl": 3.1, "opinion.sig": 3.5, "opinion.bak": 4.0, "manner.pitch_median": -1.5},
    }
    labels = {score["key"]: score["label"] for score in data["scores"]}
    assert (labels["wer"], labels["manner.pitch_median"]) == ("WER", "Pitch median")
    assert {"errors", "words"}.isdisjoint(labels)


def test_differences_are_those_of_the_scores(own_folder: Path) -> None:
    stored = [["deleted", "Red", ""], ["equal", "green blue", "green blue"]]
    data = page(own_folder, scored(own_folder, "a", "green blue", 1, None, alignment=stored))
    assert data["rows"][0]["results"][0]["differences"] == stored
    for wrong in ([], [["equal", "red"]], [["other", "red", "red"]], [["equal", "red", 1]], "text"):
        data = page(own_folder, scored(own_folder, "a", "green blue", 1, None, alignment=wrong))
        assert data["rows"][0]["results"][0]["differences"] == [
            ["deleted", "red", ""],
            ["equal", "green blue", "green blue"],
        ]


def test_characters_that_count_as_words_are_shown_without_spaces(own_folder: Path) -> None:
    texts = {
        "zh": ("今天天气很好。", "今天天氣好"),
        "ja": ("こんにちは", "こんばんは"),
        "ko": ("안녕 하세요", "안녕 하세요"),
    }
    rows = [row(own_folder, name, text, heard=heard) for name, (text, heard) in texts.items()]
    shown = [found["results"][0]["differences"] for found in page(own_folder, *rows)["rows"]]
    assert shown[0][0] == ["equal", "今天天", "今天天"]
    assert shown[1][0] == ["equal", "こん", "こん"]
    assert shown[2] == [["equal", "안녕 하세요", "안녕 하세요"]]


def test_numbers_of_thousands_of_digits_are_shown_without_differences(own_folder: Path) -> None:
    data = page(own_folder, row(own_folder, "a", "9" * 10_000, heard="9" * 9_000))
    assert data["rows"][0]["results"][0]["heard"] == "9" * 9_000


@pytest.mark.parametrize(
    "value", [None, [], {}, "text", True, float("nan"), float("inf"), 10**400, [None], {"a": {"b": {"c": {"d": 1}}}}]
)
def test_values_of_wrong_types_count_as_missing(own_folder: Path, value: Any) -> None:
    names = ("id", "number", "errors", "words", "similarity", "opinion", "manner", "seconds", "notes", "speaker")
    more = ("heard", "alignment", "language", "error", "status", "prompt", "reference", "output", "text")
    data = page(own_folder, row(own_folder, "a") | dict.fromkeys((*names, *more), value))
    assert all(isinstance(number, float) for number in data["rows"][0]["results"][0]["scores"].values())


def test_long_texts_are_shortened(own_folder: Path) -> None:
    data = page(own_folder, row(own_folder, "a", "x" * (MAX_TEXT + 7)))
    assert data["rows"][0]["text"] == "x" * MAX_TEXT + " … (7 more characters)"


def test_audio_in_the_page_is_that_of_the_file(own_folder: Path) -> None:
    shown = page(own_folder, row(own_folder, "a"))["clips"]
    assert [clip["name"] for clip in shown] == ["prompt.wav", "a.wav"]
    assert all("href" not in clip for clip in shown)
    (own_folder / "a.mp3").write_bytes(base64.b64decode(shown[1]["audio"]))
    before_N, after_N = (read_audio(name, sample_rate=24_000) for name in ("a.wav", "a.mp3"))
    after_N = after_N[: len(before_N)]
    assert abs(len(before_N) - len(after_N)) < 1_200
    assert np.corrcoef(np.abs(before_N[: len(after_N)]), np.abs(after_N))[0, 1] > 0.95
    peaks = np.frombuffer(base64.b64decode(shown[1]["peaks"]), np.uint8)
    assert len(peaks) == clips.BARS
    assert peaks[0] == clips.FULL_BAR
    assert peaks[-1] == pytest.approx(0.2 * clips.FULL_BAR, abs=5)


def test_a_prompt_of_many_rows_is_embedded_once(own_folder: Path) -> None:
    data = page(own_folder, *(row(own_folder, name) for name in "abc"))
    assert [found["prompt"] for found in data["rows"]] == [0, 0, 0]
    assert len(data["clips"]) == 4


def test_audio_above_the_limit_is_linked(own_folder: Path) -> None:
    outside = write_tone(own_folder / "voices" / "javascript:alert(1)#?%.wav")
    out = own_folder / "out"
    rows = [row(out, "a", prompt=str(outside))]
    size = sum(len(clip["audio"]) for clip in page(out, *rows)["clips"])
    html = make_page([Run("run", out, rows)], folder=out, max_embedded=size // 2)
    data = Parsed(html).data
    assert not data["embedded"]
    assert [clip["href"] for clip in data["clips"]] == ["./../voices/javascript%3Aalert%281%29%23%3F%25.wav", "./a.wav"]
    assert not any("audio" in clip for clip in data["clips"])
    assert "media-src 'self' file:" in Parsed(html).policy
    assert page(out, *rows, max_embedded=size * 2)["embedded"]


def test_the_estimated_size_is_near_the_real_one(own_folder: Path) -> None:
    for rate in (16_000, 24_000, 48_000):
        path = write_tone(own_folder / f"{rate}.wav", seconds=4, rate=rate)
        clip = clips.read_clip(path)
        assert 0.9 * len(clips.encode(clip)) < clip.encoded_size < 1.6 * len(clips.encode(clip))


def test_long_recordings_are_shortened(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "MAX_SECONDS", 1)
    write_tone(own_folder / "long.wav", seconds=3)
    shown = page(own_folder, {"id": "a", "output": "long.wav"})["clips"][0]
    assert (shown["seconds"], shown["shortened"]) == (1, True)
    (own_folder / "a.mp3").write_bytes(base64.b64decode(shown["audio"]))
    assert len(read_audio("a.mp3", sample_rate=24_000)) < 1.2 * 24_000


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "nan", "pipe", "name"])
def test_files_that_cannot_be_played_have_a_reason(own_folder: Path, kind: str) -> None:
    path: str = "x.wav"
    if kind == "folder":
        Path(path).mkdir()
    elif kind == "text":
        Path(path).write_text("no audio")
    elif kind == "empty":
        soundfile.write(path, np.zeros(0), 24_000)
    elif kind == "nan":
        soundfile.write(path, np.full(1000, np.nan), 24_000, subtype="FLOAT")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "name":
        path = "x\0\ud800.wav"
    shown = page(own_folder, {"id": "a", "output": path, "status": "ok"})["clips"][0]
    assert shown["error"]
    assert not {"audio", "peaks", "href"} & shown.keys()


def test_audio_of_a_failed_row_is_shown_if_it_exists(own_folder: Path) -> None:
    rows = [row(own_folder, "a", status="failed"), {**failed("b"), "output": "b.wav"}]
    outputs = [found["results"][0]["output"] is not None for found in page(own_folder, *rows)["rows"]]
    assert outputs == [True, False]


def test_silence_has_a_waveform(own_folder: Path) -> None:
    soundfile.write("silence.wav", np.zeros(50), 24_000)  # fewer samples than bars
    shown = page(own_folder, {"id": "a", "output": "silence.wav"})["clips"][0]
    assert base64.b64decode(shown["peaks"]) == bytes(clips.BARS)


def test_rows_of_two_runs_are_paired_by_id_and_text(own_folder: Path) -> None:
    first, second = own_folder / "first", own_folder / "second"
    runs = [
        Run("first", first, [row(first, "a"), row(first, "b"), row(first, "c", "Old text.")]),
        Run("second", second, [row(second, "c", "New text."), row(second, "a"), row(second, "d")]),
    ]
    rows = Parsed(make_page(runs, folder=own_folder)).data["rows"]
    assert [(found["id"], [result is not None for result in found["results"]]) for found in rows] == [
        *[("a", [True, True]), ("b", [True, False]), ("c", [True, False])],
        *[("c", [False, True]), ("d", [False, True])],
    ]


def test_rows_with_the_same_id_and_text_are_all_kept(own_folder: Path) -> None:
    rows = [row(own_folder, "a"), {**row(own_folder, "b"), "id": "a"}]
    assert len(page(own_folder, *rows)["rows"]) == 2


def test_a_page_has_one_run_or_two(own_folder: Path) -> None:
    for runs in ([], [evaluated(own_folder)] * 3):
        with pytest.raises(ValueError, match="one run or two"):
            write_page(own_folder / "index.html", runs)


def test_a_page_without_rows(own_folder: Path) -> None:
    assert page(own_folder)["rows"] == []


def test_the_same_rows_give_the_same_page(own_folder: Path) -> None:
    pages = [make_page([evaluated(own_folder)], folder=own_folder) for _ in range(2)]
    assert pages[0] == pages[1]
    keys = [Parsed(pages[0]).data["key"], page(own_folder, row(own_folder, "a"))["key"]]
    rows = [row(own_folder, "a")]
    write_tone(own_folder / "a.wav", pitch=100)
    assert len({*keys, page(own_folder, *rows)["key"]}) == 3


def test_a_page_replaces_a_page_and_nothing_else(own_folder: Path) -> None:
    path, run = own_folder / "index.html", Run("run", own_folder, [])
    write_page(path, [run])
    before = path.read_bytes()
    write_page(path, [evaluated(own_folder)])
    assert path.read_bytes() != before
    path.write_text("<!doctype html><title>Mine</title>")
    with pytest.raises(OutputExists):
        write_page(path, [run])
    assert "Mine" in path.read_text()
    write_page(path, [run], force=True)
    assert path.read_bytes() == before


def test_a_link_is_replaced_and_its_target_kept(own_folder: Path) -> None:
    target, path = own_folder / "other.html", own_folder / "index.html"
    write_page(target, [Run("run", own_folder, [])])
    before = target.read_bytes()
    path.symlink_to(target)
    with pytest.raises(OutputExists):
        write_page(path, [evaluated(own_folder)])
    write_page(path, [evaluated(own_folder)], force=True)
    assert (path.is_symlink(), target.read_bytes()) == (False, before)


def test_a_page_that_cannot_be_written(own_folder: Path) -> None:
    (own_folder / "index.html").mkdir()
    with pytest.raises(OutputNotWritable):
        write_page(own_folder / "index.html", [])
    with pytest.raises(OutputNotWritable, match="no such file"):
        write_page(own_folder / "gone" / "index.html", [Run("run", own_folder, [])])
    assert [path.name for path in own_folder.iterdir() if path.name.startswith(".valle")] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_script_is_valid(own_folder: Path) -> None:
    script = Path(tempfile.mkdtemp(dir=own_folder)) / "page.mjs"
    script.write_text(Parsed(make_page([Run("run", own_folder, [])], folder=own_folder)).content["module"])
    subprocess.run(["node", "--check", script], check=True)


def test_the_marker_is_at_the_beginning(own_folder: Path) -> None:
    html = make_page([evaluated(own_folder)], folder=own_folder).encode()
    assert html.index(report.GENERATOR) < report.HEAD_BYTES - len(report.GENERATOR)
