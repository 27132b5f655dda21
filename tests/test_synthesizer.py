"""From a voice and a text to audio, with tiny models."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from vallecli import device, synthesizer
from vallecli.audio import prompt
from vallecli.codec import equalizer
from vallecli.constants import HOP, SAMPLE_RATE
from vallecli.families.valle import refine as nar
from vallecli.decoding.overlap import one_thread_each
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Utterance
from vallecli.errors import (
    DamagedCheckpoint,
    DeviceError,
    EmptyText,
    EmptyTranscript,
    ForeignPreset,
    PromptTooLong,
    TextEncodingError,
    TranscriptMissing,
    UsageError,
)
from vallecli.synthesizer import PAUSE, Job, Synthesizer, Voice, piece_seed
from vallecli.text.english.arpabet import ArpabetFrontEnd

SHORT = Sampling(max_frames=10)


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(tiny_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


def test_a_voice_is_as_long_as_the_checkpoint_can_hear(voice: Voice, reference: Path) -> None:
    assert voice.codes_PQ.shape[1] == 8
    assert 40 < len(voice.codes_PQ) <= 75
    assert (voice.source, voice.transcript) == (str(reference), None)


def test_a_voice_is_the_same_from_a_path_from_a_recording_and_from_itself(
    tiny: Synthesizer, voice: Voice, reference: Path
) -> None:
    prepared = tiny.voice(prompt.load(reference), name="mine")
    np.testing.assert_array_equal(prepared.codes_PQ, voice.codes_PQ)
    assert prepared.source == "mine"
    assert tiny.voice(voice) is voice


def test_pieces_join_into_the_codes_audio_with_pauses_between(tiny: Synthesizer, voice: Voice) -> None:
    first, second = tiny.speak("One is here. Two is there.", voice, SHORT)
    assert [first.text, second.text] == ["One is here.", "Two is there."]
    assert len(first.audio) == first.frames * HOP
    pause = int(PAUSE * SAMPLE_RATE)
    assert not second.audio[:pause].any()
    decoded = tiny.codec.decode(torch.from_numpy(second.codes_TQ).long()[None])[0].numpy()
    np.testing.assert_array_equal(second.audio[pause:], decoded)


def test_speech_is_equalized_towards_the_recording(tiny_checkpoint: Path, reference: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "equalizing")
    config = json.loads((tmp_path / "equalizing" / "config.json").read_text())
    (tmp_path / "equalizing" / "config.json").write_text(json.dumps({**config, "equalize": 0.5}))
    equalizing = Synthesizer.load(tmp_path / "equalizing", device="cpu")
    voice = equalizing.voice(reference)
    spectrum_C = equalizer.average_spectrum(prompt.load(reference).wav)
    np.testing.assert_array_equal(voice.spectrum_C, spectrum_C)
    (piece,) = equalizing.speak("One is here.", voice, SHORT)
    (plain,) = equalizing.speak("One is here.", replace(voice, spectrum_C=None), SHORT)
    np.testing.assert_array_equal(piece.codes_TQ, plain.codes_TQ)
    np.testing.assert_array_equal(piece.audio, equalizer.equalize(plain.audio, spectrum_C, 0.5))
    assert not np.allclose(piece.audio, plain.audio, rtol=0.1)


def test_a_take_does_not_hang_on_the_sentences_before_it(tiny: Synthesizer, voice: Voice) -> None:
    after_one = list(tiny.speak("One is here. Two is there.", voice, SHORT))
    after_another = list(tiny.speak("A dog ran by. Two is there.", voice, SHORT))
    np.testing.assert_array_equal(after_one[1].codes_TQ, after_another[1].codes_TQ)
    assert not np.array_equal(after_one[0].codes_TQ, after_another[0].codes_TQ)


def test_equal_sentences_get_different_takes(tiny: Synthesizer, voice: Voice) -> None:
    first, second = tiny.speak("One is here. One is here.", voice, SHORT)
    assert not np.array_equal(first.codes_TQ, second.codes_TQ)


def test_seeds_of_sentences_differ_and_fit_a_generator() -> None:
    seeds = {piece_seed(seed, index) for seed in (0, 1, 2**70) for index in range(50)}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_first_sentence_comes_before_the_second_is_begun(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    prefill = Stepper.prefill

    def counted(*arguments: Any) -> None:
        begun.append(1)
        prefill(*arguments)

    monkeypatch.setattr(Stepper, "prefill", counted)
    pieces = tiny.speak("One is here. Two is there.", voice, SHORT)
    next(pieces)
    assert len(begun) == 1
    next(pieces)
    assert len(begun) == 2


def test_progress_counts_sentences_and_frames(tiny: Synthesizer, voice: Voice) -> None:
    heard: list[tuple[int, int, int]] = []
    pieces = list(tiny.speak("One. Two.", voice, SHORT, on_progress=lambda *at: heard.append(at)))
    assert heard == [(i, 2, frame) for i, piece in enumerate(pieces) for frame in range(1, piece.frames + 1)]


def test_a_sentence_that_does_not_stop_is_reported(tiny: Synthesizer, voice: Voice) -> None:
    [piece] = tiny.speak("One is here.", voice, replace(SHORT, max_frames=1))
    assert (piece.stop_reason, piece.frames) == ("max_frames", 1)


def test_a_long_sentence_is_cut_to_what_the_checkpoint_can_say(tiny: Synthesizer, voice: Voice) -> None:
    pieces = list(tiny.speak("the cat sat on the mat and " * 20, voice, replace(SHORT, max_frames=1)))
    assert len(pieces) > 1
    assert all(len(piece.text) <= tiny.limits.max_text_chars for piece in pieces)


def test_nothing_to_say(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(EmptyText):
        list(tiny.speak("...", voice, SHORT))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_speaks(tiny_checkpoint: Path, reference: Path, dtype: str) -> None:
    half = Synthesizer.load(str(tiny_checkpoint), device="cpu", dtype=dtype)
    [piece] = half.speak("One is here.", half.voice(reference), SHORT)
    assert np.isfinite(piece.audio).all()
    assert piece.audio.dtype == np.float32


@pytest.mark.parametrize("name", ["tiny_checkpoint", "vallex_checkpoint"])
def test_weights_in_8_bits_speak(request: pytest.FixtureRequest, reference: Path, name: str) -> None:
    small = Synthesizer.load(str(request.getfixturevalue(name)), device="cpu", dtype="int8")
    assert small.dtype == torch.int8
    held = [tensor.dtype for model in (small.ar, small.nar) for tensor in model.layers.state_dict().values()]
    assert torch.int8 in held
    [piece] = small.speak("One is here.", small.voice(reference, "What I said."), SHORT)
    assert piece.frames > 0


# Many texts at once


def jobs(voice: Voice, reference: Voice) -> list[Job]:
    return [
        Job(key="a", text="One is here. Two is there. And a third one.", voice=voice, sampling=SHORT),
        Job(key="b", text="One is here.", voice=voice, sampling=replace(SHORT, seed=5, max_frames=25)),
        Job(
            key="c", text="Now what? ... - ... Nothing.", voice=reference, sampling=Sampling(greedy=True, max_frames=7)
        ),
        Job(key="d", text="...", voice=voice),
        Job(key="e", text="One is here.", voice=voice, language="zh"),
        Job(key="f", text="One is here.", voice=voice, sampling=replace(SHORT, top_k=5, max_frames=40)),
        Job(key="g", text="Two is there.", voice=voice, sampling=SHORT),
    ]


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let torch think that there are so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3], indirect=True)
@pytest.mark.parametrize("slots", [1, 2, 4, 9])
@pytest.mark.usefixtures("threads")
def test_a_job_gives_what_the_same_text_gives_alone(tiny: Synthesizer, voice: Voice, slots: int) -> None:
    given = jobs(voice, Voice(voice.codes_PQ[:20], "shorter"))
    spoken = {done.job.key: done for done in tiny.speak_many(given, slots=slots)}
    assert spoken.keys() == {job.key for job in given}
    for job in given:
        done = spoken[job.key]
        assert done.job is job
        if job.key in "de":
            assert done.pieces == ()
            assert isinstance(done.error, EmptyText if job.key == "d" else UsageError)
            continue
        assert done.error is None
        with one_thread_each():  # more than one round the last bits of audio in another way
            alone = list(tiny.speak(job.text, job.voice, job.sampling, language=job.language))
        assert [piece.text for piece in done.pieces] == [piece.text for piece in alone]
        for piece, expected in zip(done.pieces, alone, strict=True):
            np.testing.assert_array_equal(piece.codes_TQ, expected.codes_TQ)
            np.testing.assert_array_equal(piece.audio, expected.audio)
            assert piece.stop_reason == expected.stop_reason


def test_jobs_are_asked_for_one_by_one_and_given_as_they_are_done(tiny: Synthesizer, voice: Voice) -> None:
    asked: list[str] = []

    def ask() -> Iterator[Job]:
        for key in "abcd":
            asked.append(key)
            yield Job(key=key, text="One is here. Two is there.", voice=voice, sampling=replace(SHORT, max_frames=2))

    seen = [(done.job.key, len(asked)) for done in tiny.speak_many(ask(), slots=1)]
    assert seen == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


def in_turn(step: Any, errors: dict[int, Exception]) -> Any:
    """Return what does the same as a step, but for the calls, counted from 0, that raise an error."""
    calls = itertools.count()

    def instead(*arguments: Any, **options: Any) -> Any:
        if (call := next(calls)) in errors:
            raise errors[call]
        return step(*arguments, **options)

    return instead


STAGES = [(Stepper, "prefill"), (nar, "refine_many"), (Synthesizer, "_piece")]


@pytest.mark.parametrize(("owner", "name"), [*STAGES, (ArpabetFrontEnd, "encode")])
@pytest.mark.parametrize("slots", [1, 3])
def test_an_error_in_a_job_leaves_the_others_alone(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, slots: int
) -> None:
    texts = ["One is here. Two is there.", "One is here.", "Two is there."]
    given = [Job(key=key, text=text, voice=voice, sampling=SHORT) for key, text in enumerate(texts)]
    expected = {done.job.key: done for done in tiny.speak_many(given, slots=slots)}
    monkeypatch.setattr(owner, name, in_turn(getattr(owner, name), {1: MemoryError(), 2: IndexError("?")}))
    told = list(tiny.speak_many(given, slots=slots))
    assert sorted(done.job.key for done in told) == [0, 1, 2]  # each once, also one of which two sentences fail
    failed = {done.job.key for done in told if done.error is not None}
    assert 1 <= len(failed) <= 2
    for done in told:
        if done.job.key not in failed:
            for piece, before in zip(done.pieces, expected[done.job.key].pieces, strict=True):
                np.testing.assert_array_equal(piece.audio, before.audio)
        else:
            assert done.pieces == ()
    [again] = tiny.speak_many(given[:1], slots=slots)
    np.testing.assert_array_equal(again.pieces[1].audio, expected[0].pieces[1].audio)


def test_what_has_not_enough_memory_together_is_refined_one_by_one(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [Job(key=key, text="One is here.", voice=voice, sampling=replace(SHORT, seed=key)) for key in range(4)]
    expected = {done.job.key: done.pieces[0].codes_TQ.tolist() for done in tiny.speak_many(given, slots=4)}
    refine_many = nar.refine_many

    def cramped(model: Any, drafts: list[nar.Draft]) -> list[torch.Tensor]:
        if len(drafts) > 1:
            raise torch.OutOfMemoryError("together")
        return refine_many(model, drafts)

    monkeypatch.setattr(nar, "refine_many", cramped)
    monkeypatch.setattr(Synthesizer, "group", lambda self, slots: 2)
    told = {done.job.key: done.pieces[0].codes_TQ.tolist() for done in tiny.speak_many(given, slots=4)}
    assert told == expected


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
@pytest.mark.parametrize(("owner", "name"), STAGES)
@pytest.mark.usefixtures("threads")
def test_a_device_that_fails_ends_the_batch(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    given = [Job(key=key, text="One is here.", voice=voice, sampling=SHORT) for key in range(4)]
    lost = RuntimeError("CUDA error: unspecified launch failure")
    monkeypatch.setattr(owner, name, in_turn(getattr(owner, name), {2: lost}))
    with pytest.raises(RuntimeError, match="launch failure"):
        list(tiny.speak_many(given, slots=2))


def test_speaking_goes_on_while_a_batch_is_under_way(tiny: Synthesizer, voice: Voice) -> None:
    given = [Job(key=seed, text="One is here.", voice=voice, sampling=replace(SHORT, seed=seed)) for seed in range(3)]
    batch = tiny.speak_many(given, slots=1)
    first = next(batch)
    [between] = tiny.speak("Two is there.", voice, SHORT)
    assert [done.job.key for done in (first, *batch)] == [0, 1, 2]
    [again] = tiny.speak("Two is there.", voice, SHORT)
    np.testing.assert_array_equal(between.codes_TQ, again.codes_TQ)


def test_a_batch_needs_a_slot(tiny: Synthesizer) -> None:
    with pytest.raises(ValueError, match="0 slots"):
        next(tiny.speak_many([], slots=0))
    assert list(tiny.speak_many([], slots=3)) == []


# Transcripts


@pytest.fixture(scope="module")
def wanting(transcript_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(transcript_checkpoint), device="cpu")


@pytest.fixture
def recording(reference: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(reference, tmp_path / "ref.wav"))


def test_a_transcript_is_given_or_found_beside_the_recording(wanting: Synthesizer, recording: Path) -> None:
    recording.with_suffix(".txt").write_text("What I said.\n")
    assert wanting.voice(recording).transcript == "What I said."
    assert wanting.voice(recording, "Something else.").transcript == "Something else."


def test_a_missing_transcript_is_asked_for(wanting: Synthesizer, recording: Path) -> None:
    with pytest.raises(TranscriptMissing) as caught:
        wanting.voice(recording)
    for way in ("--prompt-text", str(recording.with_suffix(".txt")), "--transcribe"):
        assert way in caught.value.hint
    recording.with_suffix(".txt").write_bytes(b"caf\xe9")
    with pytest.raises(TextEncodingError):
        wanting.voice(recording)


def test_a_transcript_of_more_than_can_be_heard(
    wanting: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav_N, rate = soundfile.read(recording)
    soundfile.write(recording, np.tile(wav_N, 3), rate)  # twelve seconds, of which ten are used
    with pytest.raises(PromptTooLong):
        wanting.voice(recording, "What I said.")
    monkeypatch.setattr(synthesizer.listening, "transcribe", lambda wav_N: f"{len(wav_N) / SAMPLE_RATE:.0f} seconds.")
    transcript = wanting.voice(recording, transcribe=True).transcript
    assert transcript is not None
    assert 7 <= int(transcript.split()[0]) <= 10


def test_a_recording_is_transcribed_if_wanted_and_nobody_tells_what_it_says(
    wanting: Synthesizer, tiny: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def transcribe(wav_N: Any) -> str:
        heard.append(len(wav_N))
        return "Overheard."

    monkeypatch.setattr(synthesizer.listening, "transcribe", transcribe)
    voice = wanting.voice(recording, transcribe=True)
    assert voice.transcript == "Overheard."
    assert wanting.voice(recording, "Given.", transcribe=True).transcript == "Given."
    recording.with_suffix(".txt").write_text("Written.")
    assert wanting.voice(recording).transcript == "Written."
    assert tiny.voice(recording, transcribe=True).transcript is None
    assert len(heard) == 1


def test_a_transcript_without_words_is_an_error(wanting: Synthesizer, recording: Path) -> None:
    with pytest.raises(EmptyTranscript):
        list(wanting.speak("One is here.", wanting.voice(recording, "..."), SHORT))


def test_the_transcript_is_part_of_the_text(
    wanting: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], int]] = []
    refine_many = nar.refine_many

    def watched(model: Any, drafts: list[nar.Draft]) -> list[torch.Tensor]:
        seen.extend((draft.text_S.tolist(), draft.prompt_tokens) for draft in drafts)
        return refine_many(model, drafts)

    monkeypatch.setattr(nar, "refine_many", watched)
    list(wanting.speak("One is here.", wanting.voice(recording, "What I said."), SHORT))
    encode = wanting.front_end.encode
    assert seen == [(encode("What I said. One is here.").ids, len(encode("What I said.").ids))]


def test_a_model_that_needs_no_transcript_does_not_look_for_one(tiny: Synthesizer, recording: Path) -> None:
    assert tiny.voice(recording, "What I said.").transcript is None


# Languages and presets


@pytest.fixture(scope="module")
def polyglot(vallex_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(vallex_checkpoint), device="cpu")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "voice.npz"
    codes = np.arange(240).reshape(1, 30, 8)
    np.savez(path, audio_tokens=codes, text_tokens=np.array([[24, 18, 51, 10]]), lang_code=np.array(0))
    return path


def test_a_preset_speaks_three_languages(polyglot: Synthesizer, preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    prefill = Stepper.prefill

    def watched(stepper: Stepper, row: int, utterance: Utterance) -> None:
        assert utterance.text_S.tolist()[:4] == [24, 18, 51, 10]
        assert utterance.languages_S is not None
        seen.append(utterance.languages_S.tolist())
        prefill(stepper, row, utterance)

    monkeypatch.setattr(Stepper, "prefill", watched)
    voice = polyglot.voice(preset)
    assert voice.source == str(preset)
    pieces = list(polyglot.speak("Good morning. 你好吗？", voice, replace(SHORT, max_frames=2)))
    assert [piece.text for piece in pieces] == ["Good morning.", "你好吗？"]
    [piece] = polyglot.speak("はい。", voice, replace(SHORT, max_frames=2), accent="en")
    assert piece.frames == 2
    assert [sorted(set(languages[4:])) for languages in seen] == [[0], [1], [0]]
    assert all(languages[:4] == [1] * 4 for languages in seen)  # the preset's own: Chinese


def test_a_preset_is_for_vallex_alone(tiny: Synthesizer, polyglot: Synthesizer, preset: Path) -> None:
    with pytest.raises(ForeignPreset):
        tiny.voice(preset)


def test_an_unknown_language_names_the_known(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(UsageError) as caught:
        list(tiny.speak("One is here.", voice, SHORT, language="zh"))
    assert "en" in caught.value.hint


# Checkpoints and devices


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("front_end", "runes-7", "runes-7"),
        ("codec", {"kind": "opus"}, "opus"),
        ("codec", {"kind": "nano", "colour": 3}, "colour"),
        ("sampling", {"warmth": 3}, "warmth"),
    ],
)
def test_a_configuration_from_another_world(
    tiny_checkpoint: Path, tmp_path: Path, key: str, value: Any, said: str
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "odd"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(DamagedCheckpoint, match=said):
        Synthesizer.load(str(folder), device="cpu")


def test_devices() -> None:
    assert device.pick("cpu") == torch.device("cpu")
    assert device.pick("auto").type in ("cpu", "cuda")
    assert device.available()[0] == "cpu"
    with pytest.raises(DeviceError) as caught:
        device.pick("cuda:99")
    assert "cpu" in caught.value.hint
    for name in ("gpu", "cpu:0", "cuda:x", "cuda:", ""):
        with pytest.raises(UsageError):
            device.pick(name)


CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
SMALL, LARGE = 12_000_000, 370_000_000  # parameters: nano, and what is published


@pytest.mark.parametrize(
    ("name", "where", "parameters", "native", "expected"),
    [
        ("auto", CPU, SMALL, False, torch.float32),
        ("auto", CPU, LARGE, False, torch.float32),
        ("auto", GPU, SMALL, True, torch.float32),
        ("auto", GPU, LARGE, True, torch.bfloat16),
        ("auto", GPU, LARGE, False, torch.float32),  # a GPU that would only emulate it
        ("auto", torch.device("mps"), LARGE, False, torch.float32),
        ("float16", CPU, LARGE, False, torch.float16),
        ("bfloat16", CPU, SMALL, False, torch.bfloat16),
        ("int8", CPU, LARGE, False, torch.int8),
    ],
)
def test_precisions(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    where: torch.device,
    parameters: int,
    native: bool,
    expected: torch.dtype,
) -> None:
    monkeypatch.setattr(device, "_computes_in_bfloat16", lambda where: native)
    assert device.pick_dtype(name, where, parameters) == expected


def test_precisions_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="int8 is for the CPU") as caught:
        device.pick_dtype("int8", GPU, LARGE)
    assert "bfloat16" in caught.value.hint
    with pytest.raises(UsageError, match="float8"):
        device.pick_dtype("float8", CPU, LARGE)


@pytest.mark.cuda
def test_a_gpu_speaks(tiny_checkpoint: Path, reference: Path) -> None:
    on_gpu = Synthesizer.load(str(tiny_checkpoint), device="cuda")
    voice = on_gpu.voice(reference)
    [piece] = on_gpu.speak("One is here.", voice, SHORT)
    assert np.isfinite(piece.audio).all()
    given = [Job(key=seed, text="One is here.", voice=voice, sampling=replace(SHORT, seed=seed)) for seed in range(5)]
    spoken = {done.job.key: done.pieces[0].codes_TQ for done in on_gpu.speak_many(given, slots=2)}
    np.testing.assert_array_equal(spoken[0], piece.codes_TQ)
    assert spoken.keys() == set(range(5))
