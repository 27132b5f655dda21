"""`valle speak` and `valle batch` with effects: files, columns, fingerprints and resuming."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

if TYPE_CHECKING:
    from conftest import Ran, Valle

RATE = 24_000
FRAMES = 60  # of each sentence
SECONDS = FRAMES / 75
TEXT = "One is here. [pause:1s] Two is there.\n\nThree is gone."
SSML = "<speak><s>One is here.</s><break time='300ms'/><prosody rate='slow'>Two is there.</prosody></speak>"
EFFECTS: dict[str, Any] = {"speed": 1.25, "pause": 0.4, "paragraph_pause": 0.8, "gain": -1.5, "loudness": -30}
FLAGS = [word for name, value in EFFECTS.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path, monkeypatch: pytest.MonkeyPatch) -> Valle:
    monkeypatch.setenv("VALLE_MAX_SECONDS", str(SECONDS))
    monkeypatch.setenv("VALLE_CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setenv("VALLE_SEED", "7")
    monkeypatch.setenv("VALLE_DEVICE", "cpu")
    shutil.copy(reference, "ref.wav")

    def run(*arguments: str | Path) -> Ran:
        return valle("speak", "--prompt", "ref.wav", *arguments)

    return run


@pytest.fixture
def batch(speak: Valle, valle: Valle) -> Valle:
    def run(rows: list[dict[str, Any]], *arguments: str, out: str = "out") -> Ran:
        Path("jobs.jsonl").write_text("\n".join(json.dumps({"prompt": "ref.wav", **row}) for row in rows))
        return valle("batch", "jobs.jsonl", "--out-dir", out, "--json", *arguments)

    return run


def records(out: str = "out") -> dict[str, dict[str, Any]]:
    lines = Path(out, "results.jsonl").read_text().splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def read(path: str | Path) -> np.ndarray:
    return soundfile.read(path)[0]


def loudness(wav_N: np.ndarray) -> float:
    return float(pyloudnorm.Meter(RATE).integrated_loudness(wav_N))


def test_speak_with_all_effects(speak: Valle) -> None:
    ran = speak("--text", TEXT, *FLAGS, "-o", "all.wav", "--json")
    assert ran.code == 0, ran.err
    wav_N = read("all.wav")
    spoken = round(FRAMES * 320 / 1.25)
    assert len(wav_N) == 3 * spoken + round(1.8 * RATE)
    assert json.loads(ran.out)["seconds"] == round(len(wav_N) / RATE, 3)
    assert not wav_N[spoken : spoken + RATE].any()
    assert not wav_N[-spoken - round(0.8 * RATE) : -spoken].any()
    assert loudness(wav_N) == pytest.approx(-31.5, abs=0.3)


def test_the_settings_file_has_them_too(speak: Valle) -> None:
    speak("--text", TEXT, *FLAGS, "-o", "flags.wav")
    Path("valle.toml").write_text("".join(f"{name} = {value}\n" for name, value in EFFECTS.items()))
    assert speak("--text", TEXT, "-o", "file.wav").code == 0
    np.testing.assert_array_equal(read("flags.wav"), read("file.wav"))


@pytest.mark.parametrize("target", [-40.0, -23.0])
@pytest.mark.parametrize("form", ["wav", "flac"])
def test_loudness_of_a_file_and_of_a_pipe(speak: Valle, target: float, form: str) -> None:
    options = ["--text", "One is here. Two is there.", "--loudness", str(target), "--format", form]
    ran = speak(*options, "-o", f"a.{form}")
    wav_N = read(f"a.{form}")
    assert loudness(wav_N) == pytest.approx(target, abs=0.3)
    assert "LUFS" not in ran.err
    assert np.abs(wav_N).max() <= 10 ** (-1 / 20) + 1e-3
    Path("piped").write_bytes(speak(*options, "-o", "-").out)
    np.testing.assert_array_equal(read("piped"), wav_N)


def test_gain_is_exact_and_cuts_off_no_peaks(speak: Valle) -> None:
    speak("--text", "One is here.", "-o", "plain.wav")
    assert speak("--text", "One is here.", "--gain", "-6", "-o", "soft.wav").err.count("gain") == 0
    np.testing.assert_allclose(read("soft.wav"), read("plain.wav") * 10 ** (-6 / 20), atol=1 / 32_000)
    assert speak("--text", "One is here.", "--gain", "30", "-o", "loud.wav").code == 0
    assert len(read("loud.wav")) == len(read("plain.wav"))
    assert np.abs(read("loud.wav")).max() == pytest.approx(10 ** (-1 / 20), abs=0.01)
    assert speak("--text", "One is here.", "--gain", "61", "-o", "no.wav").code == 2


def test_a_loudness_that_peaks_forbid_is_not_reached_and_noted(speak: Valle) -> None:
    ran = speak("--text", "One is here.", "--loudness", "-5", "-o", "loud.wav")
    assert "LUFS, not -5, because of its peaks" in ran.err
    assert 20 * np.log10(np.abs(read("loud.wav")).max()) == pytest.approx(-1, abs=0.1)


def test_the_tone_of_a_disclosure_keeps_its_level(speak: Valle) -> None:
    speak("--text", "One is here.", "--disclose", "tone", "-o", "plain.wav")
    speak("--text", "One is here.", "--disclose", "tone", "--loudness", "-40", "-o", "soft.wav")
    plain, soft = read("plain.wav"), read("soft.wav")
    tone = len(plain) - FRAMES * 320
    np.testing.assert_array_equal(plain[:tone], soft[:tone])
    assert loudness(soft[tone:]) == pytest.approx(-40, abs=0.3)


def test_ssml_of_speak(speak: Valle) -> None:
    assert speak("--ssml", "--text", SSML, "-o", "ssml.wav").code == 0
    wav_N, spoken = read("ssml.wav"), FRAMES * 320
    assert len(wav_N) == spoken + round(0.3 * RATE) + round(spoken / 0.75)
    assert not wav_N[spoken : spoken + round(0.3 * RATE)].any()
    broken = speak("--ssml", "--text", "<speak>\n<break time='1e9s'/></speak>", "-o", "no.wav")
    assert (broken.code, Path("no.wav").exists()) == (3, False)
    assert broken.err.startswith("error: the markup of the text is wrong in line 2, column 1: the time is '1e9s'")
    assert speak("--ssml", "--continue", "--text", SSML, "-o", "no.wav").code == 2
    assert speak("--ssml", "--text", "<speak> </speak>", "-o", "no.wav").code == 3


def test_rows_in_a_batch_are_as_alone_and_as_spoken(batch: Valle, speak: Valle) -> None:
    rows = [
        {"id": "all", "text": TEXT, **EFFECTS},
        {"id": "ssml", "text": SSML, "ssml": "true", "speed": "0,8", "loudness": "-28.5"},
        {"id": "plain", "text": "One is here."},
        {"id": "marks", "text": "One. [pause:250ms] Two.", "gain": 3},
    ]
    assert batch(rows).code == 0
    for row in rows:
        assert batch([row], out=f"alone {row['id']}").code == 0
        name = f"{row['id']}.wav"
        np.testing.assert_array_equal(read(Path("out", name)), read(Path(f"alone {row['id']}", name)))
    assert speak("--text", TEXT, *FLAGS, "-o", "all.wav").code == 0
    np.testing.assert_array_equal(read("all.wav"), read("out/all.wav"))
    assert loudness(read("out/ssml.wav")) == pytest.approx(-28.5, abs=0.3)


def test_resumed_is_fresh_and_only_what_has_changed_is_made_again(batch: Valle) -> None:
    rows = [{"id": f"r{number}", "text": TEXT} for number in range(3)]
    rows += [{"id": "ssml", "text": SSML, "ssml": True}]
    assert batch(rows[:2], *FLAGS).code == 0
    before = records()
    assert batch(rows, *FLAGS).code == 0
    assert batch(rows, *FLAGS, out="fresh").code == 0
    resumed, fresh = records(), records("fresh")
    for name in fresh:
        assert resumed[name]["fingerprint"] == fresh[name]["fingerprint"]
        np.testing.assert_array_equal(read(f"out/{name}.wav"), read(f"fresh/{name}.wav"))
    assert [resumed[name]["finished"] for name in before] == [before[name]["finished"] for name in before]
    rows[1]["gain"] = -2
    assert batch(rows, *FLAGS).code == 0
    changed = [name for name, record in records().items() if record["fingerprint"] != fresh[name]["fingerprint"]]
    assert changed == ["r1"]


def test_fingerprints_are_as_before_unless_there_are_effects(batch: Valle, monkeypatch: pytest.MonkeyPatch) -> None:
    """And effects do not change the derived seed: they change how the same speech sounds."""
    monkeypatch.delenv("VALLE_SEED")
    row = {"text": "One is here."}
    variants = [{}, *({name: value} for name, value in EFFECTS.items()), EFFECTS, {"ssml": False}]
    rows = [{"id": str(number), **row, **variant} for number, variant in enumerate(variants)]
    rows += [{"id": "marks", "text": "One is [pause:0s] here."}]
    assert batch(rows).code == 0
    found = records()
    prints = [found[str(number)]["fingerprint"] for number in range(len(variants))]
    assert len({*prints}) == len(prints) - 1
    assert prints[-1] == prints[0]
    assert len({found[str(number)]["seed"] for number in range(len(variants))}) == 1


def test_bad_cells_are_errors_of_their_rows(batch: Valle) -> None:
    rows = [
        {"id": "good", "text": "One is here."},
        *({"id": f"{name} {value}", "text": "Hi.", name: value} for name in EFFECTS for value in ("x", "nan", "1e9")),
        {"id": "broken", "text": "<speak>", "ssml": True},
        {"id": "long", "text": "Hi [pause:99s] you."},
        {"id": "maybe", "text": "Hi", "ssml": "maybe"},
        {"id": "both", "text": SSML, "ssml": True, "continue": True},
    ]
    ran = batch(rows)
    assert ran.code == 6
    assert [name for name, record in records().items() if record["status"] == "ok"] == ["good"]
    assert "the markup of the text is wrong in line 1, column 4: a pause of 99 s is longer than 60 s" in ran.err


def test_a_note_of_the_level_is_in_the_record(batch: Valle) -> None:
    assert batch([{"id": "loud", "text": "One is here.", "loudness": -5}]).code == 0
    assert "LUFS, not -5, because of its peaks" in records()["loud"]["notes"][-1]
