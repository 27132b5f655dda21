"""Candidates: which one is kept, when a sentence is decoded again, and that nothing else changes the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vallecli.decoding.sampling import Sampling
from vallecli.errors import NoContinuation, UsageError
from vallecli.families.base import Voice
from vallecli.quality import candidates
from vallecli.quality.candidates import Choice, candidate_seed
from vallecli.quality.guard import Problem
from vallecli.synthesizer import Job, Piece, Synthesizer

SHORT = Sampling(max_frames=24, seed=3)
THREE = "One is here. Two is there. Three is a tree."


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(tiny_checkpoint), device="cpu", choice=Choice(retries=0))


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


@pytest.fixture
def rejected(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Problem]]:
    """What the guard finds, by the first code of an utterance modulo 4; nothing for the others."""
    found: dict[int, list[Problem]] = {}

    def problems(wav_N: Any, rate: int, *, codes_T: Any, frame_rate: float) -> list[Problem]:
        return list(found.get(int(codes_T[0]) % 4, []))

    monkeypatch.setattr(candidates, "problems", problems)
    return found


def test_the_first_candidate_is_what_is_spoken_without_any(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    [piece] = tiny.speak("One is here.", voice, SHORT)
    [same] = tiny.speak("One is here.", voice, SHORT, choice=Choice(retries=9))
    np.testing.assert_array_equal(piece.audio, same.audio)
    assert [tried.kept for tried in same.tried] == [True]


def test_the_most_likely_candidate_is_kept(tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]) -> None:
    [piece] = tiny.speak("One is here.", voice, SHORT, choice=Choice(best_of=5))
    assert len(piece.tried) == 5
    [best] = [tried for tried in piece.tried if tried.kept]
    assert best.log_probability == max(tried.log_probability or 0 for tried in piece.tried)
    [alone] = tiny.speak("One is here.", voice, SHORT)
    assert alone.tried[0].seed == piece.tried[0].seed
    assert len({tried.seed for tried in piece.tried}) == 5
    generated = backend_alone(tiny, voice, best.seed)
    np.testing.assert_array_equal(piece.codes_TQ, generated)


def backend_alone(synthesizer: Synthesizer, voice: Voice, seed: int) -> np.ndarray:
    """Return the codes of one request with this very seed."""
    [request] = synthesizer.backend.requests("One is here.", voice, SHORT)
    request = replace(request, sampling=replace(request.sampling, seed=seed))
    [(_, generated)] = synthesizer.backend.generate([(None, request)], slots=1)
    return generated.codes_TQ.numpy().astype(np.int16)


def test_a_candidate_without_problems_beats_a_likelier_one(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    [piece] = tiny.speak("One is here.", voice, SHORT, choice=Choice(best_of=6))
    rejected[int(piece.codes_TQ[0, 0]) % 4] = [Problem.LOOP]
    [other] = tiny.speak("One is here.", voice, SHORT, choice=Choice(best_of=6))
    assert not other.problems
    assert any(tried.problems == ("loop",) for tried in other.tried)
    assert not np.array_equal(other.codes_TQ, piece.codes_TQ)


def test_a_sentence_is_decoded_again_until_it_is_good(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    [first] = tiny.speak("One is here.", voice, SHORT)
    bad = int(first.codes_TQ[0, 0]) % 4
    rejected[bad] = [Problem.SILENT]
    [piece] = tiny.speak("One is here.", voice, SHORT, choice=Choice(retries=40))
    *failed, kept = piece.tried
    assert len(failed) >= 1
    assert all(tried.problems == ("no speech",) and not tried.kept for tried in failed)
    assert (kept.problems, kept.kept, piece.problems) == ((), True, ())
    sentence = failed[0].seed
    assert [tried.seed for tried in piece.tried] == [candidate_seed(sentence, n) for n in range(len(piece.tried))]


def test_after_the_last_retry_the_best_of_the_bad_ones_is_kept(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    rejected.update({residue: [Problem.LOOP] for residue in range(4)})
    [piece] = tiny.speak("One is here.", voice, SHORT, choice=Choice(best_of=2, retries=2))
    assert len(piece.tried) == 6
    assert piece.problems == ("loop",)
    [kept] = [tried for tried in piece.tried if tried.kept]
    assert kept.log_probability == max(tried.log_probability or 0 for tried in piece.tried)


def test_a_job_in_a_batch_has_the_audio_of_the_job_alone(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    rejected.update({0: [Problem.LOOP], 1: [Problem.NOISE, Problem.PAUSE]})
    how = Choice(best_of=3, retries=2)
    sampling = replace(SHORT, repetition_window=8, repetition_ratio=0.2)
    jobs = [
        Job(key=seed, text=THREE, voice=voice, sampling=replace(sampling, seed=seed), choice=how) for seed in range(4)
    ]
    alone = {job.key: next(iter(tiny.speak_many([job], slots=1))).pieces for job in jobs}
    for slots in (1, 3, 8):
        together = {result.job.key: result.pieces for result in tiny.speak_many(jobs, slots=slots)}
        for key, pieces in alone.items():
            assert [found(piece) for piece in pieces] == [found(piece) for piece in together[key]]
            for one, other in zip(pieces, together[key], strict=True):
                np.testing.assert_array_equal(one.audio, other.audio)
    assert any(len(piece.tried) > 3 for pieces in alone.values() for piece in pieces)


def found(piece: Piece) -> list[Any]:
    """Return what was tried; log-probabilities can differ in the last bits, see ContinuousBatcher."""
    return [
        (tried.seed, tried.problems, pytest.approx(tried.log_probability, abs=1e-5), tried.kept)
        for tried in piece.tried
    ]


def test_sentences_come_in_order_although_one_is_decoded_again(
    tiny: Synthesizer, voice: Voice, rejected: dict[int, list[Problem]]
) -> None:
    plain = list(tiny.speak(THREE, voice, SHORT))
    rejected[int(plain[0].codes_TQ[0, 0]) % 4] = [Problem.LOOP]
    pieces = list(tiny.speak(THREE, voice, SHORT, choice=Choice(best_of=1, retries=30)))
    assert [piece.text for piece in pieces] == ["One is here.", "Two is there.", "Three is a tree."]
    assert len(pieces[0].tried) > 1


def test_an_error_of_a_candidate_is_that_of_its_job(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = tiny.backend.decode

    def fail(generated: Any, voice: Voice) -> Any:
        if voice.source == "broken":
            raise MemoryError("no memory")
        return decode(generated, voice)

    monkeypatch.setattr(tiny.backend, "decode", fail)
    broken = replace(voice, source="broken")
    jobs = [Job(key=name, text=THREE, voice=v, sampling=SHORT) for name, v in (("bad", broken), ("good", voice))]
    results = {r.job.key: r for r in tiny.speak_many(jobs, slots=4)}
    assert isinstance(results["bad"].error, MemoryError)
    assert len(results["good"].pieces) == 3


def test_greedy_candidates_would_be_equal(tiny: Synthesizer, voice: Voice) -> None:
    greedy = replace(SHORT, greedy=True)
    with pytest.raises(UsageError, match="equal candidates"):
        list(tiny.speak("One is here.", voice, greedy, choice=Choice(best_of=2)))
    [result] = tiny.speak_many(
        [Job(key=1, text="One.", voice=voice, sampling=greedy, choice=Choice(best_of=2))], slots=2
    )
    assert isinstance(result.error, UsageError)
    [piece] = tiny.speak("One is here.", voice, greedy, choice=Choice(retries=5))
    assert len(piece.tried) == 1


def test_sentences_that_depend_on_each_other_have_no_candidates() -> None:
    with pytest.raises(UsageError, match="depend on each other"):
        Choice(best_of=2).check(SHORT, independent=False)
    Choice().check(SHORT, independent=False)


@pytest.mark.parametrize(
    "values", [{"best_of": 0}, {"best_of": 65}, {"retries": -1}, {"pick": "luck"}, {"best_of": 1.5}]
)
def test_impossible_choices(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Choice(**values)


def test_the_length_that_the_user_wants_is_no_problem(tiny: Synthesizer, voice: Voice) -> None:
    [piece] = tiny.speak("Peter Piper picked a peck of pickled peppers.", voice, replace(SHORT, max_frames=10))
    assert piece.stop_reason == "max_frames"
    assert not {"cut off", "too short", "ends abruptly"} & set(piece.problems)
    [piece] = tiny.speak("Ow.", voice, replace(SHORT, max_frames=300, min_frames=300))
    assert "cut off" in piece.problems


# Durations, and texts that go on


def test_each_sentence_has_its_share_of_a_duration(tiny: Synthesizer, voice: Voice) -> None:
    pieces = list(
        tiny.speak("One is here. Two is there, and three.", voice, replace(SHORT, max_frames=None), seconds=6)
    )
    seconds = [len(piece.codes_TQ) / tiny.frame_rate for piece in pieces]
    shares = [share * 5.75 for share in (9 / 27, 18 / 27)]  # without the pause
    assert seconds == pytest.approx(shares, rel=0.11)
    assert sum(piece.seconds for piece in pieces) == pytest.approx(6, rel=0.11)


def test_a_text_goes_on_from_the_words_of_the_prompt(transcript_checkpoint: Path, reference: Path) -> None:
    synthesizer = Synthesizer.load(str(transcript_checkpoint), device="cpu", choice=Choice(retries=0))
    voice = synthesizer.voice(reference, "What I said.")
    [whole] = synthesizer.speak("What I said, goes on.", voice, SHORT, goes_on=True)
    [rest] = synthesizer.speak("goes on.", voice, SHORT)
    assert whole.text == "goes on."
    np.testing.assert_array_equal(whole.audio, rest.audio)
    with pytest.raises(NoContinuation):
        list(synthesizer.speak("What he said goes on.", voice, SHORT, goes_on=True))


def test_a_checkpoint_that_reads_no_transcript_cannot_go_on(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(UsageError, match="cannot go on from a prompt"):
        list(tiny.speak("What I said goes on.", voice, SHORT, goes_on=True))
