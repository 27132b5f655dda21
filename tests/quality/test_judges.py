"""Judges: wrong words and other speakers lose, other texts are rejected, and babble behind the last word is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vallecli.audio.transcribe import HeardWord
from vallecli.decoding.sampling import Sampling
from vallecli.errors import ExtraMissing
from vallecli.families.base import Voice
from vallecli.quality import candidates, judges
from vallecli.quality.candidates import Choice
from vallecli.quality.judges import Hearing, Judge, Likeness, judge_for
from vallecli.settings import ASR, LIKELIHOOD, SIMILARITY
from vallecli.synthesizer import Piece, Synthesizer

pytest.importorskip("jiwer")
TEXT = "One is here."
SHORT = Sampling(max_frames=24, seed=3)
RATE = 24_000


class Script:
    """A recognizer that hears what a function says of the audio."""

    def __init__(self, heard: Callable[[np.ndarray], str], words: list[HeardWord] | None = None) -> None:
        self.heard, self.timed = heard, words or []

    def hear(self, wav_N: np.ndarray, sample_rate: int, *, language: str | None = None) -> str:
        assert (sample_rate, language) == (RATE, "en")
        return self.heard(wav_N)

    def words(self, wav_N: np.ndarray, sample_rate: int, *, language: str | None = None) -> list[HeardWord]:
        return self.timed


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(tiny_checkpoint), device="cpu", choice=Choice(retries=0))


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


@pytest.fixture
def judged_by(monkeypatch: pytest.MonkeyPatch, tiny: Synthesizer, voice: Voice) -> Callable[..., Piece]:
    """Speak TEXT, with a judge; the guard finds nothing."""
    monkeypatch.setattr(candidates, "problems", lambda *args, **how: [])

    def speak(judge: Judge, **choice: Any) -> Piece:
        monkeypatch.setattr(candidates, "judge_for", lambda pick, asr: judge)
        [piece] = tiny.speak(TEXT, voice, SHORT, choice=Choice(pick=ASR, **choice))
        return piece

    return speak


def parity(wav_N: np.ndarray) -> int:
    """Return 0 or 1, the same for the same audio."""
    return int(np.abs(wav_N).sum() * 1000) % 2


def test_the_candidate_with_the_fewest_wrong_words_is_kept(judged_by: Callable[..., Piece]) -> None:
    piece = judged_by(Hearing(Script(lambda wav_N: "One is hair." if parity(wav_N) else "One is here")), best_of=8)
    errors = [tried.errors for tried in piece.tried]
    assert set(errors) == {0, 1}
    [kept] = [tried for tried in piece.tried if tried.kept]
    assert (kept.errors, kept.heard, kept.problems) == (0, "One is here", ())
    equal = [tried.log_probability or 0 for tried in piece.tried if tried.errors == 0]
    assert kept.log_probability == max(equal)


def test_another_text_is_rejected_and_decoded_again(judged_by: Callable[..., Piece]) -> None:
    heard = iter(["Buy now and save.", "", "One is here."])
    piece = judged_by(Hearing(Script(lambda wav_N: next(heard))), retries=4)
    assert [tried.problems for tried in piece.tried] == [("other words",), ("other words",), ()]
    assert [tried.errors for tried in piece.tried] == [4, 3, 0]


def test_babble_behind_the_last_word_is_cut(judged_by: Callable[..., Piece]) -> None:
    words = [HeardWord("One", 0.0, 0.05), HeardWord("is", 0.05, 0.1), HeardWord("here.", 0.1, 0.15)]
    script = Script(lambda wav_N: "One is here. Again.", [*words, HeardWord("Again.", 0.2, 0.3)])
    whole = judged_by(Hearing(Script(lambda wav_N: "One is here.")))
    piece = judged_by(Hearing(script))
    assert 0.15 * RATE <= len(piece.audio) <= 0.28 * RATE < len(whole.audio)
    assert len(piece.codes_TQ) == -(-len(piece.audio) // 320) < len(whole.codes_TQ)
    np.testing.assert_array_equal(piece.codes_TQ, whole.codes_TQ[: len(piece.codes_TQ)])
    assert abs(piece.audio[-1]) < 0.01  # faded out, then marked


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        ("One is", [HeardWord("One", 0.0, 0.1), HeardWord("is", 0.1, 0.2)]),  # the end is missing
        (
            "One is is here.",
            [HeardWord(word, 0.05 * n, 0.05 * n + 0.05) for n, word in enumerate(["One", "is", "is", "here"])],
        ),
        ("One is hair.", []),
    ],
)
def test_other_errors_cut_nothing(judged_by: Callable[..., Piece], heard: str, words: list[HeardWord]) -> None:
    whole = judged_by(Hearing(Script(lambda wav_N: "One is here.")))
    piece = judged_by(Hearing(Script(lambda wav_N: heard, words)))
    np.testing.assert_array_equal(piece.codes_TQ, whole.codes_TQ)


def test_the_nearest_voice_is_kept(judged_by: Callable[..., Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    class Encoder:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def embed(self, wav_N: np.ndarray, source: str) -> np.ndarray:
            self.calls.append(source)
            angle = 0.0 if len(self.calls) == 1 else float(np.abs(wav_N).sum()) % 1.5  # the prompt is first
            return np.array([np.cos(angle), np.sin(angle)], np.float32)

    monkeypatch.setattr(judges.similarity, "Resemblyzer", Encoder)
    likeness = Likeness()
    piece = judged_by(likeness, best_of=6)
    similarities = [tried.similarity for tried in piece.tried]
    assert None not in similarities
    [kept] = [tried for tried in piece.tried if tried.kept]
    assert kept.similarity == max(similarity for similarity in similarities if similarity is not None)
    judged_by(likeness, best_of=2)
    assert len(likeness._encoder.calls) == 1 + 6 + 2  # the prompt once


def test_a_missing_package_is_known_before_a_checkpoint_is_loaded(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_for.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "faster_whisper", None)
    (own_folder / "empty").mkdir()
    with pytest.raises(ExtraMissing, match="transcription"):
        Synthesizer.load("empty", choice=Choice(pick=ASR))


def test_the_names_of_the_judges() -> None:
    assert judge_for(LIKELIHOOD, "base") is judges.by_likelihood
    assert {LIKELIHOOD, ASR, SIMILARITY} == set(candidates.PICKS)
