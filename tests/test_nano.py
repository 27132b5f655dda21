"""The weights that ship are those of the model card, and speak."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Valle

from vallecli.checkpoints.registry import BUILT_IN
from vallecli.checkpoints.local import sha256
from vallecli.synthesizer import Synthesizer

FOLDER = BUILT_IN["nano"]
REFERENCE = Path(__file__).parents[1] / "examples" / "reference.wav"
TAKE = Path(__file__).parent / "golden" / "nano_take.json"  # nano_take.py writes it


def test_the_card_tells_of_these_weights() -> None:
    told = re.search(r"sha256 `([0-9a-f]{64})`", (FOLDER / "README.md").read_text())
    assert told is not None
    assert told[1] == sha256(FOLDER / "model.safetensors")


def test_it_is_as_small_as_promised() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 32_000_000


@pytest.fixture(scope="module")
def nano() -> Synthesizer:
    return Synthesizer.load("nano", device="cpu")


def test_a_sentence_ends_by_itself_and_a_seed_is_a_take(nano: Synthesizer) -> None:
    voice = nano.voice(REFERENCE)

    def take(seed: int) -> np.ndarray:
        [piece] = nano.speak("Hello, this is my voice.", voice, replace(nano.sampling, seed=seed))
        assert piece.stop_reason == "eos"
        assert 1 < len(piece.audio) / nano.sample_rate < 4  # seconds
        return piece.codes_TQ

    assert np.array_equal(take(1), take(1))
    assert not np.array_equal(take(1), take(2))


def test_it_says_what_it_said_when_its_take_was_frozen(valle: Valle) -> None:
    take = json.loads(TAKE.read_text())
    plain = ("--device", "cpu", "--dtype", "float32", "--save-codes", "codes.npy", "-o", "take.wav")
    ran = valle("speak", "--prompt", REFERENCE, "--text", take["text"], "--seed", str(take["seed"]), *plain)
    assert ran.code == 0, ran.err
    assert np.load("codes.npy").tolist() == take["codes"]
