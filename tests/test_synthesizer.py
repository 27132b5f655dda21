"""From a voice and a text to audio, with tiny models."""

from __future__ import annotations

import gc
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
from vallecli.audio import effects, prompt
from vallecli.codec import equalizer
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.linear import Int8Linear
from vallecli.decoding.overlap import one_thread
from vallecli.decoding.request import CausalRequest
from vallecli.decoding.sampling import Sampling
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
    WatermarkMissing,
)
from vallecli.families import detect
from vallecli.families.base import Voice, sentence_seed
from vallecli.families.causal import CausalBackend
from vallecli.families.valle import refine
from vallecli.families.valle.refine import NarInput
from vallecli.marking import perth
from vallecli.quality.candidates import Choice
from vallecli.synthesizer import PAUSE_SECONDS, Job, Synthesizer
from vallecli.text.arpabet import ArpabetFrontEnd

SAMPLE_RATE, HOP = 24_000, 320  # of the tiny models, which have nano's codec
SHORT = Sampling(max_frames=10)


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(tiny_checkpoint), device="cpu", choice=Choice(retries=0))


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


def test_a_voice_has_as_many_frames_as_the_checkpoint_can_use(voice: Voice, reference: Path) -> None:
    assert voice.codes_PQ.shape[1] == 8
    assert 40 < len(voice.codes_PQ) <= 75
    assert (voice.source, voice.transcript) == (str(reference), None)


def test_a_path_a_recording_and_a_voice_give_the_same_voice(tiny: Synthesizer, voice: Voice, reference: Path) -> None:
    prepared = tiny.voice(prompt.load(reference), name="mine")
    np.testing.assert_array_equal(prepared.codes_PQ, voice.codes_PQ)
    assert prepared.source == "mine"
    assert tiny.voice(voice) is voice


def test_a_recording_at_another_rate_is_resampled(tiny: Synthesizer, reference: Path) -> None:
    recording = prompt.load(reference, sample_rate=16_000)
    voice = tiny.voice(recording)
    expected = tiny.voice(
        replace(recording, wav=effects.resample(recording.wav, 16_000, SAMPLE_RATE), sample_rate=SAMPLE_RATE)
    )
    np.testing.assert_array_equal(voice.codes_PQ, expected.codes_PQ)
    assert not np.array_equal(tiny.voice(replace(recording, sample_rate=SAMPLE_RATE)).codes_PQ, voice.codes_PQ)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"haeds": 2}, "have no option 'haeds'"), ({"heads": 2.5}, "option heads is 2.5"), ({"heads": True}, "heads")],
)
def test_invalid_loader_options(tiny_checkpoint: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Synthesizer.load(tiny_checkpoint, device="cpu", options=options)


def test_pieces_are_the_decoded_codes_with_pauses_between_them(tiny: Synthesizer, voice: Voice) -> None:
    first, second = tiny.speak("One is here. Two is there.", voice, SHORT)
    assert [first.text, second.text] == ["One is here.", "Two is there."]
    assert len(first.audio) == first.frames * HOP
    assert first.sample_rate == second.sample_rate == tiny.sample_rate == SAMPLE_RATE
    pause = int(PAUSE_SECONDS * SAMPLE_RATE)
    assert not second.audio[:pause].any()
    assert second.watermarked
    decoded = tiny.backend.codec.decode(torch.from_numpy(second.codes_TQ).long()[None])[0].numpy()
    np.testing.assert_array_equal(second.audio[pause:], perth.marker(tiny.device).mark(decoded, SAMPLE_RATE).wav)


def test_without_a_watermark_pieces_are_the_decoded_codes(tiny: Synthesizer, voice: Voice) -> None:
    (piece,) = Synthesizer(tiny.backend, watermark=False).speak("One is here.", voice, SHORT)
    assert (piece.watermarked, piece.notes) == (False, ())
    decoded = tiny.backend.codec.decode(torch.from_numpy(piece.codes_TQ).long()[None])[0].numpy()
    np.testing.assert_array_equal(piece.audio, decoded)


def test_a_sentence_that_is_too_short_for_a_watermark_is_noted(tiny: Synthesizer, voice: Voice) -> None:
    (piece,) = tiny.speak("One is here.", voice, Sampling(min_frames=1, max_frames=1))
    assert not piece.watermarked
    assert piece.notes == ("no watermark, because it is too short or silent: One is here.",)


def test_a_missing_watermark_package_is_an_error_before_the_model_is_loaded(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perth.marker.cache_clear()
    monkeypatch.setattr(perth, "DISTRIBUTION", "no-such-package")
    monkeypatch.setattr(detect, "load", None)
    with pytest.raises(WatermarkMissing):
        Synthesizer.load(tiny_checkpoint, device="cpu")


def test_speech_is_equalized_towards_the_recording(tiny_checkpoint: Path, reference: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "equalizing")
    config = json.loads((tmp_path / "equalizing" / "config.json").read_text())
    (tmp_path / "equalizing" / "config.json").write_text(json.dumps({**config, "equalize": 0.5}))
    equalizing = Synthesizer.load(tmp_path / "equalizing", device="cpu", watermark=False)
    voice = equalizing.voice(reference)
    spectrum_C = equalizer.average_spectrum(prompt.load(reference).wav)
    np.testing.assert_array_equal(voice.spectrum_C, spectrum_C)
    (piece,) = equalizing.speak("One is here.", voice, SHORT)
    (plain,) = equalizing.speak("One is here.", replace(voice, spectrum_C=None), SHORT)
    np.testing.assert_array_equal(piece.codes_TQ, plain.codes_TQ)
    np.testing.assert_array_equal(piece.audio, equalizer.equalize(plain.audio, spectrum_C, 0.5))
    assert not np.allclose(piece.audio, plain.audio, rtol=0.1)


def test_a_sentence_does_not_depend_on_those_before_it(tiny: Synthesizer, voice: Voice) -> None:
    after_one = list(tiny.speak("One is here. Two is there.", voice, SHORT))
    after_another = list(tiny.speak("A dog ran by. Two is there.", voice, SHORT))
    np.testing.assert_array_equal(after_one[1].codes_TQ, after_another[1].codes_TQ)
    assert not np.array_equal(after_one[0].codes_TQ, after_another[0].codes_TQ)


def test_equal_sentences_have_different_codes(tiny: Synthesizer, voice: Voice) -> None:
    first, second = tiny.speak("One is here. One is here.", voice, SHORT)
    assert not np.array_equal(first.codes_TQ, second.codes_TQ)


def test_seeds_of_sentences_differ_and_fit_a_generator() -> None:
    seeds = {sentence_seed(seed, index) for seed in (0, 1, 2**70) for index in range(50)}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_first_sentence_is_returned_before_the_second_is_started(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    prefill = ContinuousBatcher.prefill

    def counted(*arguments: Any) -> None:
        started.append(1)
        prefill(*arguments)

    monkeypatch.setattr(ContinuousBatcher, "prefill", counted)
    pieces = tiny.speak("One is here. Two is there.", voice, SHORT)
    next(pieces)
    assert len(started) == 1
    next(pieces)
    assert len(started) == 2


def test_progress_reports_sentences_and_seconds(tiny: Synthesizer, voice: Voice) -> None:
    reports: list[tuple[int, int, float]] = []
    pieces = list(tiny.speak("One. Two.", voice, SHORT, on_progress=lambda *report: reports.append(report)))
    assert reports == [
        (i, 2, frame / tiny.frame_rate) for i, piece in enumerate(pieces) for frame in range(1, piece.frames + 1)
    ]


def test_a_sentence_that_does_not_stop_is_reported(tiny: Synthesizer, voice: Voice) -> None:
    [piece] = tiny.speak("One is here.", voice, replace(SHORT, max_frames=1))
    assert (piece.stop_reason, piece.frames) == ("max_frames", 1)


def test_speech_may_last_two_seconds_however_few_tokens_it_has(tiny: Synthesizer, reference: Path) -> None:
    voice, sampling = tiny.voice(reference), Sampling(min_frames=1000, max_frames=1000)
    [short, long] = tiny.backend.requests("A. What a long sentence, with many words.", voice, sampling)
    limits = [tiny.backend.causal_request(request).max_frames for request in (short, long)]
    assert limits == [150, 16 * len(long.tokens.ids)]  # 75 frames a second; the published limit
    assert 16 * len(short.tokens.ids) < 150
    codes = tiny.backend.generate_codes([1, 2], np.zeros((5, 8), int), exclude_eos=True)
    assert len(codes) == 32  # computations on token ids have the published limit


def test_a_long_sentence_is_split_to_the_limit_of_the_checkpoint(tiny: Synthesizer, voice: Voice) -> None:
    pieces = list(tiny.speak("the cat sat on the mat and " * 20, voice, replace(SHORT, max_frames=1)))
    assert len(pieces) > 1
    assert all(len(piece.text) <= tiny.backend.limits.max_text_chars for piece in pieces)


def test_a_text_without_words(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(EmptyText):
        list(tiny.speak("...", voice, SHORT))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(tiny_checkpoint: Path, reference: Path, dtype: str) -> None:
    half = Synthesizer.load(str(tiny_checkpoint), device="cpu", dtype=dtype)
    [piece] = half.speak("One is here.", half.voice(reference), SHORT)
    assert np.isfinite(piece.audio).all()
    assert piece.audio.dtype == np.float32


@pytest.mark.parametrize("name", ["tiny_checkpoint", "vallex_checkpoint"])
def test_int8(request: pytest.FixtureRequest, reference: Path, name: str) -> None:
    small = Synthesizer.load(str(request.getfixturevalue(name)), device="cpu", dtype="int8")
    assert small.dtype == torch.int8
    assert all(any(isinstance(part, Int8Linear) for part in model.layers.modules()) for model in small.backend.modules)
    [piece] = small.speak("One is here.", small.voice(reference, "What I said."), SHORT)
    assert piece.frames > 0


# Many jobs at the same time


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
    """Set the number of torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    gc.collect()  # generators that an error has left set the number back when they are freed
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3], indirect=True)
@pytest.mark.parametrize("slots", [1, 2, 4, 9])
@pytest.mark.usefixtures("threads")
def test_a_job_gives_the_same_audio_as_its_text_alone(tiny: Synthesizer, voice: Voice, slots: int) -> None:
    given = jobs(voice, Voice(voice.codes_PQ[:20], "shorter"))
    results = {result.job.key: result for result in tiny.speak_many(given, slots=slots)}
    assert results.keys() == {job.key for job in given}
    for job in given:
        result = results[job.key]
        assert result.job is job
        if job.key in "de":
            assert result.pieces == ()
            assert isinstance(result.error, EmptyText if job.key == "d" else UsageError)
            continue
        assert result.error is None
        with one_thread():  # several threads round the last bits of audio differently
            alone = list(tiny.speak(job.text, job.voice, job.sampling, language=job.language))
        assert [piece.text for piece in result.pieces] == [piece.text for piece in alone]
        for piece, expected in zip(result.pieces, alone, strict=True):
            np.testing.assert_array_equal(piece.codes_TQ, expected.codes_TQ)
            np.testing.assert_array_equal(piece.audio, expected.audio)
            assert piece.stop_reason == expected.stop_reason


def test_jobs_are_fetched_one_by_one_and_returned_as_they_are_done(tiny: Synthesizer, voice: Voice) -> None:
    fetched: list[str] = []

    def fetch() -> Iterator[Job]:
        for key in "abcd":
            fetched.append(key)
            yield Job(key=key, text="One is here. Two is there.", voice=voice, sampling=replace(SHORT, max_frames=2))

    seen = [(result.job.key, len(fetched)) for result in tiny.speak_many(fetch(), slots=1)]
    assert seen == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


def raise_at_calls(step: Any, errors: dict[int, Exception]) -> Any:
    """Return a function that raises errors at some calls, counted from 0, and else calls the step."""
    calls = itertools.count()

    def instead(*arguments: Any, **options: Any) -> Any:
        if (call := next(calls)) in errors:
            raise errors[call]
        return step(*arguments, **options)

    return instead


STAGES = [(ContinuousBatcher, "prefill"), (refine, "refine_many"), (Synthesizer, "_piece")]


@pytest.mark.parametrize(("owner", "name"), [*STAGES, (ArpabetFrontEnd, "encode")])
@pytest.mark.parametrize("slots", [1, 3])
def test_an_error_in_a_job_does_not_affect_others(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, slots: int
) -> None:
    texts = ["One is here. Two is there.", "One is here.", "Two is there."]
    given = [Job(key=key, text=text, voice=voice, sampling=SHORT) for key, text in enumerate(texts)]
    expected = {result.job.key: result for result in tiny.speak_many(given, slots=slots)}
    monkeypatch.setattr(owner, name, raise_at_calls(getattr(owner, name), {1: MemoryError(), 2: IndexError("?")}))
    results = list(tiny.speak_many(given, slots=slots))
    assert sorted(result.job.key for result in results) == [0, 1, 2]  # each once, also one of which two sentences fail
    failed = {result.job.key for result in results if result.error is not None}
    assert 1 <= len(failed) <= 2
    for result in results:
        if result.job.key not in failed:
            for piece, before in zip(result.pieces, expected[result.job.key].pieces, strict=True):
                np.testing.assert_array_equal(piece.audio, before.audio)
        else:
            assert result.pieces == ()
    [again] = tiny.speak_many(given[:1], slots=slots)
    np.testing.assert_array_equal(again.pieces[1].audio, expected[0].pieces[1].audio)


def test_with_too_little_memory_for_a_group_requests_are_refined_one_by_one(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [Job(key=key, text="One is here.", voice=voice, sampling=replace(SHORT, seed=key)) for key in range(4)]
    expected = {result.job.key: result.pieces[0].codes_TQ.tolist() for result in tiny.speak_many(given, slots=4)}
    refine_many = refine.refine_many

    def out_of_memory(model: Any, inputs: list[NarInput]) -> list[torch.Tensor]:
        if len(inputs) > 1:
            raise torch.OutOfMemoryError("a group")
        return refine_many(model, inputs)

    monkeypatch.setattr(refine, "refine_many", out_of_memory)
    monkeypatch.setattr(CausalBackend, "group", lambda self, slots: 2)
    codes = {result.job.key: result.pieces[0].codes_TQ.tolist() for result in tiny.speak_many(given, slots=4)}
    assert codes == expected


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
@pytest.mark.parametrize(("owner", "name"), STAGES)
@pytest.mark.usefixtures("threads")
def test_a_device_that_fails_ends_the_batch(
    tiny: Synthesizer, voice: Voice, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    given = [Job(key=key, text="One is here.", voice=voice, sampling=SHORT) for key in range(4)]
    lost = RuntimeError("CUDA error: unspecified launch failure")
    monkeypatch.setattr(owner, name, raise_at_calls(getattr(owner, name), {2: lost}))
    with pytest.raises(RuntimeError, match="launch failure"):
        list(tiny.speak_many(given, slots=2))


def test_speak_works_while_speak_many_is_running(tiny: Synthesizer, voice: Voice) -> None:
    given = [Job(key=seed, text="One is here.", voice=voice, sampling=replace(SHORT, seed=seed)) for seed in range(3)]
    batch = tiny.speak_many(given, slots=1)
    first = next(batch)
    [between] = tiny.speak("Two is there.", voice, SHORT)
    assert [result.job.key for result in (first, *batch)] == [0, 1, 2]
    [again] = tiny.speak("Two is there.", voice, SHORT)
    np.testing.assert_array_equal(between.codes_TQ, again.codes_TQ)


def test_slots_are_at_least_one(tiny: Synthesizer) -> None:
    with pytest.raises(ValueError, match="slots is 0"):
        next(tiny.speak_many([], slots=0))
    assert list(tiny.speak_many([], slots=3)) == []


# Transcripts


@pytest.fixture(scope="module")
def with_transcript(transcript_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(transcript_checkpoint), device="cpu", choice=Choice(retries=0))


@pytest.fixture
def recording(reference: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(reference, tmp_path / "ref.wav"))


def test_a_transcript_is_given_or_found_beside_the_recording(with_transcript: Synthesizer, recording: Path) -> None:
    recording.with_suffix(".txt").write_text("What I said.\n")
    assert with_transcript.voice(recording).transcript == "What I said."
    assert with_transcript.voice(recording, "Something else.").transcript == "Something else."


def test_a_missing_transcript_is_an_error_with_a_hint(with_transcript: Synthesizer, recording: Path) -> None:
    with pytest.raises(TranscriptMissing) as caught:
        with_transcript.voice(recording)
    for solution in ("Give a transcript", str(recording.with_suffix(".txt")), "transcribed"):
        assert solution in caught.value.hint
    assert "--" not in caught.value.hint  # the command line adds its options
    recording.with_suffix(".txt").write_bytes(b"caf\xe9")
    with pytest.raises(TextEncodingError):
        with_transcript.voice(recording)


def test_a_transcript_of_more_than_can_be_used(
    with_transcript: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav_N, rate = soundfile.read(recording)
    soundfile.write(recording, np.tile(wav_N, 3), rate)  # twelve seconds, of which ten are used
    with pytest.raises(PromptTooLong):
        with_transcript.voice(recording, "What I said.")
    monkeypatch.setattr(synthesizer.asr, "transcribe", lambda wav_N, rate: f"{len(wav_N) / rate:.0f} seconds.")
    transcript = with_transcript.voice(recording, transcribe=True).transcript
    assert transcript is not None
    assert 7 <= int(transcript.split()[0]) <= 10


def test_transcribe_is_used_without_a_given_transcript(
    with_transcript: Synthesizer, tiny: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[int] = []

    def transcribe(wav_N: Any, sample_rate: int) -> str:
        rates.append(sample_rate)
        return "Recognized."

    monkeypatch.setattr(synthesizer.asr, "transcribe", transcribe)
    voice = with_transcript.voice(recording, transcribe=True)
    assert voice.transcript == "Recognized."
    assert with_transcript.voice(recording, "Given.", transcribe=True).transcript == "Given."
    recording.with_suffix(".txt").write_text("Written.")
    assert with_transcript.voice(recording).transcript == "Written."
    assert tiny.voice(recording, transcribe=True).transcript is None
    assert rates == [SAMPLE_RATE]


def test_a_transcript_without_words_is_an_error(with_transcript: Synthesizer, recording: Path) -> None:
    with pytest.raises(EmptyTranscript):
        list(with_transcript.speak("One is here.", with_transcript.voice(recording, "..."), SHORT))


def test_the_transcript_is_part_of_the_text(
    with_transcript: Synthesizer, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], int]] = []
    refine_many = refine.refine_many

    def recorded(model: Any, inputs: list[NarInput]) -> list[torch.Tensor]:
        seen.extend((item.text_S.tolist(), item.prompt_tokens) for item in inputs)
        return refine_many(model, inputs)

    monkeypatch.setattr(refine, "refine_many", recorded)
    list(with_transcript.speak("One is here.", with_transcript.voice(recording, "What I said."), SHORT))
    encode = with_transcript.backend.front_end.encode
    assert seen == [(encode("What I said. One is here.").ids, len(encode("What I said.").ids))]


def test_a_model_that_needs_no_transcript_does_not_look_for_one(tiny: Synthesizer, recording: Path) -> None:
    assert tiny.voice(recording, "What I said.").transcript is None


# Languages and presets


@pytest.fixture(scope="module")
def multilingual(vallex_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(vallex_checkpoint), device="cpu", choice=Choice(retries=0))


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "voice.npz"
    codes = np.arange(240).reshape(1, 30, 8)
    np.savez(path, audio_tokens=codes, text_tokens=np.array([[24, 18, 51, 10]]), lang_code=np.array(0))
    return path


def test_a_preset_speaks_three_languages(
    multilingual: Synthesizer, preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    prefill = ContinuousBatcher.prefill

    def recorded(batcher: ContinuousBatcher, row: int, request: CausalRequest) -> None:
        assert request.prefix.text_S.tolist()[:4] == [24, 18, 51, 10]
        seen.append(request.prefix.languages_S.tolist())
        prefill(batcher, row, request)

    monkeypatch.setattr(ContinuousBatcher, "prefill", recorded)
    voice = multilingual.voice(preset)
    assert voice.source == str(preset)
    pieces = list(multilingual.speak("Good morning. 你好吗？", voice, replace(SHORT, max_frames=2)))
    assert [piece.text for piece in pieces] == ["Good morning.", "你好吗？"]
    [piece] = multilingual.speak("はい。", voice, replace(SHORT, max_frames=2), accent="en")
    assert piece.frames == 2
    assert [sorted(set(languages[4:])) for languages in seen] == [[0], [1], [0]]
    assert all(languages[:4] == [1] * 4 for languages in seen)  # the preset's own: Chinese


def test_presets_are_refused_by_other_checkpoints(tiny: Synthesizer, multilingual: Synthesizer, preset: Path) -> None:
    with pytest.raises(ForeignPreset):
        tiny.voice(preset)


def test_an_unknown_language_names_the_known_ones(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(UsageError) as caught:
        list(tiny.speak("One is here.", voice, SHORT, language="zh"))
    assert "en" in caught.value.hint


# Checkpoints and devices


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("front_end", "runes-7", "runes-7"),
        ("codec", {"kind": "opus"}, "opus"),
        ("codec", {"kind": "nano", "colour": 3}, "colour"),
        ("sampling", {"warmth": 3}, "warmth"),
    ],
)
def test_invalid_configurations(tiny_checkpoint: Path, tmp_path: Path, key: str, value: Any, message: str) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "invalid"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(DamagedCheckpoint, match=message):
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
        ("auto", CPU, LARGE, True, torch.float16),
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
    monkeypatch.setattr(device, "_computes_in_bfloat16", lambda where: native and where.type == "cuda")
    monkeypatch.setattr(device, "FBGEMM", native)
    assert device.pick_dtype(name, where, parameters) == expected


def test_weights_that_are_stored_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FBGEMM", True)
    assert device.pick_dtype("auto", CPU, SMALL, stored_in_half=True) == torch.float16
    assert device.pick_dtype("float32", CPU, SMALL, stored_in_half=True) == torch.float32
    monkeypatch.setattr(device, "FBGEMM", False)
    assert device.pick_dtype("auto", CPU, SMALL, stored_in_half=True) == torch.float32


@pytest.mark.skipif(not device.FBGEMM, reason="this CPU has no products with weights in 16 bits")
def test_half_precision_does_not_round_weights_that_are_stored_so(reference: Path) -> None:
    exact, halved = (Synthesizer.load("nano", device="cpu", dtype=dtype) for dtype in ("float32", "auto"))
    assert halved.backend.dtype == torch.float16
    greedy = Sampling(greedy=True, min_frames=20, max_frames=20)
    [one], [other] = (list(model.speak("Hello.", model.voice(reference), greedy)) for model in (exact, halved))
    assert np.array_equal(one.codes_TQ[:, 0], other.codes_TQ[:, 0])


def test_invalid_precisions() -> None:
    with pytest.raises(UsageError, match="int8 needs a CPU") as caught:
        device.pick_dtype("int8", GPU, LARGE)
    assert "bfloat16" in caught.value.hint
    with pytest.raises(UsageError, match="float8"):
        device.pick_dtype("float8", CPU, LARGE)


@pytest.mark.cuda
def test_a_gpu(tiny_checkpoint: Path, reference: Path) -> None:
    on_gpu = Synthesizer.load(str(tiny_checkpoint), device="cuda")
    voice = on_gpu.voice(reference)
    [piece] = on_gpu.speak("One is here.", voice, SHORT)
    assert np.isfinite(piece.audio).all()
    given = [Job(key=seed, text="One is here.", voice=voice, sampling=replace(SHORT, seed=seed)) for seed in range(5)]
    codes = {result.job.key: result.pieces[0].codes_TQ for result in on_gpu.speak_many(given, slots=2)}
    np.testing.assert_array_equal(codes[0], piece.codes_TQ)
    assert codes.keys() == set(range(5))


def test_a_notice_is_spoken_first_and_does_not_change_the_rest(tiny: Synthesizer, voice: Voice) -> None:
    text, pause = "One is here. Two is there.", round(PAUSE_SECONDS * SAMPLE_RATE)
    notice, first, second = tiny.speak(text, voice, SHORT, notice="This speech is synthetic.")
    alone = list(tiny.speak(text, voice, SHORT))
    assert notice.text == "This speech is synthetic."
    assert notice.watermarked
    np.testing.assert_array_equal(first.audio[pause:], alone[0].audio)
    assert not first.audio[:pause].any()
    np.testing.assert_array_equal(second.audio, alone[1].audio)
    job = Job(key=1, text=text, voice=voice, sampling=SHORT, notice="This speech is synthetic.")
    (result,) = tiny.speak_many([job], slots=2)
    assert [piece.text for piece in result.pieces] == [notice.text, first.text, second.text]
    np.testing.assert_allclose(result.pieces[0].audio, notice.audio, atol=1e-3)  # equal with one thread


def test_a_text_that_cannot_be_spoken_is_an_error_with_a_notice_too(tiny: Synthesizer, voice: Voice) -> None:
    with pytest.raises(EmptyText):
        list(tiny.speak("...", voice, SHORT, notice="This speech is synthetic."))
