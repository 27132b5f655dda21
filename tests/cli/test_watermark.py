"""`valle detect`: its output, exit codes, and what speak and batch record about the watermark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from voiced import voiced

from vallecli.audio.files import open_output, read_audio
from vallecli.audio.notice import signal
from vallecli.audio.provenance import Provenance
from vallecli.checkpoints import local
from vallecli.marking import perth

if TYPE_CHECKING:
    from conftest import Valle

RATE = 24_000


@pytest.fixture
def recordings() -> dict[str, Path]:
    """A marked file with tags, an unmarked one, a silent one, and one that is no audio, in the current folder."""
    sound = voiced(2.5, RATE)
    made = perth.marker(torch.device("cpu")).mark(sound, RATE).wav
    audio = {"marked.flac": made, "clean.wav": sound, "silent.wav": np.zeros(RATE, np.float32)}
    for name, wav_N in audio.items():
        provenance = Provenance("nano", "2026-11-30") if name == "marked.flac" else None
        with open_output(name, sample_rate=RATE, provenance=provenance) as output:
            output.write(wav_N)
    Path("text.wav").write_text("no audio")
    return {name.partition(".")[0]: Path(name) for name in [*audio, "text.wav"]}


def test_each_file_is_a_line_of_five_fields(valle: Valle, recordings: dict[str, Path]) -> None:
    ran = valle("detect", *(recordings[name] for name in ("marked", "clean", "silent")))
    marked, clean, silent = (line.split("\t") for line in ran.out.decode().splitlines())
    assert marked[:2] == ["marked.flac", "marked"]
    assert float(marked[2]) > 0.7
    assert marked[3] == "0.0-2.5 s"
    assert marked[4].startswith("Synthetic speech (trainedAlgorithmicMedia), made by vallecli")
    assert marked[4].endswith("with the checkpoint nano, 2026-11-30")
    assert clean[:2] == ["clean.wav", "not marked"]
    assert float(clean[2]) < 0.5
    assert clean[3:] == ["-", "no tags of synthetic speech"]
    assert silent == ["silent.wav", "too short or silent to say", "-", "-", "no tags of synthetic speech"]
    assert ran.code == 7
    assert ran.err.startswith("error: 2 of 3 files without a watermark\n")


def test_json_has_an_object_for_each_file(valle: Valle, recordings: dict[str, Path]) -> None:
    ran = valle("detect", "--json", recordings["marked"], recordings["silent"])
    marked, silent = (json.loads(line) for line in ran.out.splitlines())
    assert (marked["file"], marked["verdict"], marked["marked"], marked["speed"]) == (
        "marked.flac",
        "marked",
        [[0, 2.5]],
        1,
    )
    assert marked["synthetic_by_tags"]
    assert marked["tags"]["date"] == "2026-11-30"
    assert (silent["verdict"], silent["score"], silent["best_score"]) == ("too short or silent to say", None, None)
    assert not silent["synthetic_by_tags"]


def test_exit_code_0_if_all_are_marked(valle: Valle, recordings: dict[str, Path]) -> None:
    ran = valle("detect", "--thorough", recordings["marked"], recordings["marked"])
    assert (ran.code, ran.err) == (0, "")


def test_files_that_cannot_be_read(valle: Valle, recordings: dict[str, Path]) -> None:
    alone = valle("detect", recordings["text"])
    assert (alone.code, alone.out) == (3, b"")
    among = valle("detect", recordings["text"], "missing.wav", recordings["clean"])
    assert among.code == 3
    assert [line.split("\t")[0] for line in among.out.decode().splitlines()] == ["clean.wav"]
    assert "text.wav is not readable as audio" in among.err
    assert "2 of 3 files cannot be read" in among.err


def test_a_missing_package_prints_nothing(
    valle: Valle, recordings: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perth, "DISTRIBUTION", "no-such-package")
    ran = valle("detect", "--json", recordings["clean"])
    assert (ran.code, ran.out) == (7, b"")
    assert "no-such-package is not installed" in ran.err


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Any]:
    """Speak a text with --json, and return its result."""

    def run(*options: str) -> dict[str, Any]:
        common = ["--prompt", reference, "--checkpoint", tiny_checkpoint, "--seed", "1", "--max-seconds", "1"]
        ran = valle("speak", *common, "--text", "One is here.", "--json", *options)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return run


def test_speak_records_whether_its_speech_is_marked(speak: Callable[..., Any], valle: Valle) -> None:
    assert speak("-o", "marked.wav")["watermark"] is True
    assert speak("--no-watermark", "-o", "plain.wav")["watermark"] is False
    marked, plain = (json.loads(line) for line in valle("detect", "--json", "marked.wav", "plain.wav").out.splitlines())
    assert marked["verdict"] == "marked"
    assert plain["verdict"] == "not marked"
    assert marked["synthetic_by_tags"]
    assert plain["synthetic_by_tags"]


def test_a_policy_keeps_the_watermark_on(
    speak: Callable[..., Any], valle: Valle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("watermark = true\n")
    monkeypatch.setattr("vallecli.settings.SYSTEM_FILE", policy)
    ran = valle("speak", "--prompt", reference, "--text", "Hi.", "--no-watermark", "-o", "out.wav")
    assert ran.code == 2
    assert f"--no-watermark: watermark is false, but the policy in {policy} requires true" in ran.err
    assert not Path("out.wav").exists()
    monkeypatch.setenv("VALLE_WATERMARK", "0")
    ran = valle("batch", "jobs.csv", "--out-dir", "out")
    assert (ran.code, str(policy) in ran.err) == (2, True)
    monkeypatch.delenv("VALLE_WATERMARK")
    assert speak("-o", "out.wav")["watermark"] is True


def test_a_batch_records_marks_resumes_and_speaks_again_without_them(
    valle: Valle, tiny_checkpoint: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    rows = [{"text": text, "prompt": str(reference), "seed": 1} for text in ("One is here.", "Two is there.")]
    Path("jobs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["batch", "jobs.jsonl", "--out-dir", "out", "--checkpoint", tiny_checkpoint, "--max-seconds", "1"]

    def run(*options: str) -> list[dict[str, Any]]:
        assert valle(*arguments, *options).code == 0
        lines = Path("out/results.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    marked = run()
    assert [record["watermark"] for record in marked] == [True, True]
    hashes = {record["output"]: record["sha256"] for record in marked}
    Path("out/00002.wav").unlink()
    *_, again = run()
    assert again["sha256"] == hashes["00002.wav"]
    plain = run("--no-watermark")[3:]
    assert [record["watermark"] for record in plain] == [False, False]
    assert [record["seed"] for record in plain] == [1, 1]
    assert not {record["sha256"] for record in plain} & set(hashes.values())
    voice = ["--prompt", reference, "--checkpoint", tiny_checkpoint, "--seed", "1", "--max-seconds", "1"]
    assert valle("speak", *voice, "--text", rows[0]["text"], "-o", "alone.wav").code == 0
    assert hashes["00001.wav"] == local.sha256(Path("alone.wav"))


def test_disclose_speaks_a_notice_or_plays_a_signal(speak: Callable[..., Any]) -> None:
    plain = speak("-o", "plain.wav")
    spoken = speak("--disclose", "-o", "spoken.wav")
    assert [piece["text"] for piece in spoken["pieces"]] == ["This speech is synthetic.", "One is here."]
    assert spoken["pieces"][1:] == plain["pieces"]
    toned = speak("-o", "toned.wav", "--disclose", "tone")
    assert toned["pieces"] == plain["pieces"]
    audio = {name: read_audio(f"{name}.wav", sample_rate=RATE) for name in ("plain", "spoken", "toned")}
    signal_N = signal(RATE)
    assert toned["seconds"] == pytest.approx(plain["seconds"] + len(signal_N) / RATE, abs=1e-3)
    np.testing.assert_allclose(audio["toned"][: len(signal_N)], signal_N, atol=1e-4)
    for name in ("spoken", "toned"):
        np.testing.assert_array_equal(audio[name][-len(audio["plain"]) :], audio["plain"])


def test_disclose_has_known_values_only(valle: Valle, reference: Path) -> None:
    ran = valle("speak", "--disclose=tune", "--prompt", reference, "--text", "Hi.")
    assert (ran.code, "Did you mean tone?" in ran.err) == (2, True)


def test_a_batch_discloses_every_row(valle: Valle, tiny_checkpoint: Path, reference: Path) -> None:
    Path("jobs.csv").write_text(f"text,prompt\nOne is here.,{reference}\n")
    seconds = []
    for options in ([], ["--disclose", "tone"], ["--disclose"]):
        arguments = ["--out-dir", "out", "--checkpoint", tiny_checkpoint, "--max-seconds", "0.2"]
        assert valle("batch", *options, "jobs.csv", *arguments).code == 0
        seconds.append(json.loads(Path("out/results.jsonl").read_text().splitlines()[-1])["seconds"])
    assert seconds[1] == pytest.approx(seconds[0] + len(signal(RATE)) / RATE, abs=1e-3)
    assert seconds[2] == pytest.approx(2 * seconds[0] + 0.25, abs=1e-3)  # each has the longest length, and a pause
    assert len(Path("out/results.jsonl").read_text().splitlines()) == 3
