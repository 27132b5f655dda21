"""The built-in checkpoint: its weights are those of the model card, and its output does not change."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import Valle

from vallecli.checkpoints.local import sha256
from vallecli.checkpoints.registry import BUILT_IN
from vallecli.synthesizer import Synthesizer

FOLDER = BUILT_IN["nano"]
REFERENCE = Path(__file__).parents[1] / "examples" / "reference.wav"
FROZEN = Path(__file__).parent / "golden" / "nano_take.json"  # nano_take.py writes it


def test_the_model_card_has_the_hash_of_the_weights() -> None:
    stated = re.search(r"sha256 `([0-9a-f]{64})`", (FOLDER / "README.md").read_text())
    assert stated is not None
    assert stated[1] == sha256(FOLDER / "model.safetensors")


def test_it_has_at_most_32_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 32_000_000


@pytest.fixture(scope="module")
def nano() -> Synthesizer:
    return Synthesizer.load("nano", device="cpu")


def test_a_sentence_ends_by_itself_and_depends_on_the_seed(nano: Synthesizer) -> None:
    voice = nano.voice(REFERENCE)

    def codes(seed: int) -> np.ndarray:
        [piece] = nano.speak("Hello, this is my voice.", voice, replace(nano.sampling, seed=seed))
        assert piece.stop_reason == "eos"
        assert 1 < len(piece.audio) / nano.sample_rate < 4  # seconds
        return piece.codes_TQ

    assert np.array_equal(codes(1), codes(1))
    assert not np.array_equal(codes(1), codes(2))


@pytest.mark.parametrize("text", ["Hello", "A", "One", "5", "dog"])
def test_one_word_ends_by_itself(nano: Synthesizer, text: str) -> None:
    [piece] = nano.speak(text, nano.voice(REFERENCE), replace(nano.sampling, seed=1))
    assert piece.text[-1] == "."
    assert piece.stop_reason == "eos"
    assert piece.frames > 40  # half a second


def test_its_codes_are_the_frozen_ones(valle: Valle) -> None:
    frozen = json.loads(FROZEN.read_text())
    plain = ("--device", "cpu", "--dtype", "float32", "--save-codes", "codes.npy", "-o", "a.wav")
    ran = valle("speak", "--prompt", REFERENCE, "--text", frozen["text"], "--seed", str(frozen["seed"]), *plain)
    assert ran.code == 0, ran.err
    assert np.load("codes.npy").tolist() == frozen["codes"]


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_its_audio_can_have_another_sample_rate(valle: Valle, rate: int) -> None:
    options = ["--device", "cpu", "--seed", "1", "--max-seconds", "0.3", "--json", "--text", "Hello."]
    ran = valle("speak", "--prompt", REFERENCE, *options, "--sample-rate", str(rate), "-o", "a.wav")
    assert ran.code == 0, ran.err
    summary, info = json.loads(ran.out), soundfile.info("a.wav")
    assert info.samplerate == summary["sample_rate"] == rate
    assert info.frames == pytest.approx(summary["frames"] * rate / 75, abs=1)  # nano has 75 frames per second
    assert summary["seconds"] == pytest.approx(info.frames / rate, abs=0.001)
