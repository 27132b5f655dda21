"""Speed, pauses and marks in spoken texts: durations and places to the sample, and everything else as without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from voiced import voiced

from vallecli.audio.effects import stretch
from vallecli.decoding.sampling import Sampling
from vallecli.errors import EmptyText, MarkupError, UsageError
from vallecli.families.base import Voice
from vallecli.marking import perth
from vallecli.marking.detection import MARKED, detect
from vallecli.quality.candidates import Choice
from vallecli.synthesizer import PAUSE_SECONDS, Job, Piece, Synthesizer

RATE = 24_000
SHORT = Sampling(max_frames=10, min_frames=10)
TEXT = "One is here. Two is there. Three is gone."
SSML = """<speak><p>One is here. <break time="400ms"/> Two is there.</p>
<p><prosody rate="80%">Three is <phoneme ph="ɡɒn">gone</phoneme>.</prosody></p><break time="1s"/></speak>"""


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(str(tiny_checkpoint), device="cpu", watermark=False, choice=Choice(retries=0))


@pytest.fixture(scope="module")
def voice(tiny: Synthesizer, reference: Path) -> Voice:
    return tiny.voice(reference)


@pytest.fixture(scope="module")
def plain(tiny: Synthesizer, voice: Voice) -> list[Piece]:
    return list(tiny.speak(TEXT, voice, SHORT))


def without_pause(piece: Piece, seconds: float) -> np.ndarray:
    """Return the audio behind a pause, which is checked to be silent."""
    samples = round(seconds * RATE)
    assert not piece.audio[:samples].any()
    return piece.audio[samples:]


def speech(pieces: list[Piece], pauses: list[float]) -> list[np.ndarray]:
    return [without_pause(piece, pause) for piece, pause in zip(pieces, pauses, strict=True)]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("text", "options", "pauses"),
    [
        (TEXT, {"pause": 0.0}, [0, 0, 0]),
        (TEXT, {"pause": 0.777}, [0, 0.777, 0.777]),
        ("One is here. Two is there.\n\nThree is gone.", {"paragraph_pause": 1.5}, [0, PAUSE_SECONDS, 1.5]),
        ("One is here. Two is there.\n\nThree is gone.", {"paragraph_pause": 0.0, "pause": 1.0}, [0, 1.0, 0]),
        ("One is here. Two is there.\n\nThree is gone.", {"pause": 0.5}, [0, 0.5, 0.5]),
        ("[pause:1s]One is here. Two is there. [pause:60ms] Three is gone.", {}, [1.0, PAUSE_SECONDS, 0.06]),
        ('One is here.<break time="2s"/>\n\nTwo is there.\n\nThree is gone.', {"paragraph_pause": 1.0}, [0, 2.0, 1.0]),
    ],
)
def test_pauses_are_exact_and_change_no_sentence(
    tiny: Synthesizer, voice: Voice, plain: list[Piece], text: str, options: dict[str, Any], pauses: list[float]
) -> None:
    pieces = list(tiny.speak(text, voice, SHORT, **options))
    same(speech(pieces, pauses), speech(plain, [0, PAUSE_SECONDS, PAUSE_SECONDS]))


def test_a_pause_at_the_end(tiny: Synthesizer, voice: Voice, plain: list[Piece]) -> None:
    *_, last = tiny.speak(f"{TEXT} [pause:2s]", voice, SHORT)
    np.testing.assert_array_equal(last.audio[: -2 * RATE], plain[-1].audio)
    assert not last.audio[-2 * RATE :].any()


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speed_is_that_of_each_sentence_not_of_pauses(
    tiny: Synthesizer, voice: Voice, plain: list[Piece], speed: float
) -> None:
    pieces = list(tiny.speak(TEXT, voice, SHORT, speed=speed, pause=0.5))
    slow = speech(pieces, [0, 0.5, 0.5])
    fast = speech(plain, [0, PAUSE_SECONDS, PAUSE_SECONDS])
    same(slow, [stretch(wav_N, RATE, speed) for wav_N in fast])
    for one, other in zip(slow, fast, strict=True):
        assert len(one) / len(other) == pytest.approx(1 / speed, rel=0.01)
    assert [piece.frames for piece in pieces] == [piece.frames for piece in plain]


def test_ssml_changes_what_it_says_and_nothing_else(tiny: Synthesizer, voice: Voice, plain: list[Piece]) -> None:
    pieces = list(tiny.speak(SSML, voice, SHORT, ssml=True, paragraph_pause=0.9, speed=1.5))
    one, two, three = speech(pieces, [0, 0.4, 0.9])
    expected = speech(plain, [0, PAUSE_SECONDS, PAUSE_SECONDS])
    same([one, two], [stretch(wav_N, RATE, 1.5) for wav_N in expected[:2]])
    assert len(three) == round(pieces[2].frames * 320 / (1.5 * 0.8)) + RATE
    assert not three[-RATE:].any()
    assert pieces[2].text == "Three is gone."
    assert pieces[2].tried[0].log_probability != plain[2].tried[0].log_probability  # another vowel


def test_speeds_multiply_up_to_the_limit_which_is_noted(tiny: Synthesizer, voice: Voice) -> None:
    text = '<speak><prosody rate="x-fast">One is here. Two is there.</prosody> Three is gone.</speak>'
    one, two, three = tiny.speak(text, voice, SHORT, ssml=True, speed=1.5, pause=0)
    assert [len(piece.audio) for piece in (one, two, three)] == [1600, 1600, round(3200 / 1.5)]
    assert [piece.notes for piece in (one, two, three)] == [("its speed of 3.00 is limited to 2",), (), ()]


def test_what_has_no_effect_is_noted_once(tiny: Synthesizer, voice: Voice) -> None:
    text = '<speak><voice name="x">One is here. Two is there.</voice> <voice name="y">Three.</voice></speak>'
    notes = [piece.notes for piece in tiny.speak(text, voice, SHORT, ssml=True)]
    assert notes == [("without effect in SSML, only the text is read: <voice>",), (), ()]


def test_many_texts_together_are_as_each_alone(tiny: Synthesizer, voice: Voice) -> None:
    jobs = [
        Job(key="plain", text=TEXT, voice=voice, sampling=SHORT),
        Job(key="ssml", text=SSML, voice=voice, sampling=SHORT, ssml=True, speed=0.7, pause=0.1, paragraph_pause=2),
        Job(key="marks", text="Hi [pause:1s] you. [pause:2s]", voice=voice, sampling=SHORT, speed=2, notice="Made."),
        Job(key="broken", text="<speak>", voice=voice, sampling=SHORT, ssml=True),
        Job(key="empty", text="<speak/>", voice=voice, sampling=SHORT, ssml=True),
        Job(key="fast", text=TEXT, voice=voice, sampling=SHORT, speed=3),
    ]
    results = {result.job.key: result for result in tiny.speak_many(jobs, slots=4)}
    errors = {key: type(result.error) for key, result in results.items() if result.error}
    assert errors == {"broken": MarkupError, "empty": EmptyText, "fast": UsageError}
    for job in jobs[:3]:
        options = {name: getattr(job, name) for name in ("ssml", "speed", "pause", "paragraph_pause", "notice")}
        alone = list(tiny.speak(job.text, voice, SHORT, **options))
        same([piece.audio for piece in results[job.key].pieces], [piece.audio for piece in alone])


def test_a_notice_is_spoken_before_the_pause_of_the_text(tiny: Synthesizer, voice: Voice) -> None:
    notice, first, second = tiny.speak("[pause:1s] One. Two.", voice, SHORT, notice="Made up.", pause=0.5)
    assert notice.audio[0] != 0
    assert len(without_pause(first, 1.0)) == len(without_pause(second, 0.5)) == len(notice.audio) == 3200


def test_a_text_that_goes_on_has_pauses_too(transcript_checkpoint: Path, reference: Path) -> None:
    speaker = Synthesizer.load(transcript_checkpoint, device="cpu", watermark=False, choice=Choice(retries=0))
    voice = speaker.voice(reference, "Hello you.")
    one, two = speaker.speak("Hello you. [pause:1s] One is here. [pause:2s] Two.", voice, SHORT, goes_on=True)
    assert (one.text, two.text) == ("One is here.", "Two.")
    without_pause(two, 2.0)


@pytest.mark.parametrize("seconds", [4.0, 8.0])
def test_a_duration_counts_pauses_and_speeds(tiny: Synthesizer, voice: Voice, seconds: float) -> None:
    text = (
        "<speak>One is here.<break time='1s'/><prosody rate='50%'>Two is there.</prosody><break time='0.5s'/></speak>"
    )
    never = replace(tiny.sampling, min_eos_p=0.0)
    pieces = list(tiny.speak(text, voice, never, ssml=True, seconds=seconds))
    assert sum(piece.seconds for piece in pieces) == pytest.approx(seconds, rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"speed": 0.4}, "speed is 0.4"), ({"pause": -1}, "pause is -1"), ({"paragraph_pause": float("nan")}, "is nan")],
)
def test_values_out_of_range(tiny: Synthesizer, voice: Voice, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(tiny.speak(TEXT, voice, SHORT, **options))


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_the_watermark_is_that_of_the_finished_speech(tiny_checkpoint: Path, reference: Path, speed: float) -> None:
    marking = Synthesizer.load(tiny_checkpoint, device="cpu", choice=Choice(retries=0))
    (piece,) = marking.speak(
        "One is here.", marking.voice(reference), Sampling(max_frames=90, min_frames=90), speed=speed
    )
    unmarked = stretch(
        marking.backend.codec.decode(torch.from_numpy(piece.codes_TQ).long()[None])[0].numpy(), RATE, speed
    )
    np.testing.assert_array_equal(piece.audio, perth.marker(marking.device).mark(unmarked, RATE).wav)
    stretched = stretch(voiced(6, RATE, 0), RATE, speed)
    marked = perth.marker(marking.device).mark(stretched, RATE).wav
    assert detect(marked, RATE, perth.Detector(marking.device)).verdict == MARKED


def test_other_languages_have_marks_too(vallex_checkpoint: Path, reference: Path) -> None:
    pytest.importorskip("jieba")
    pytest.importorskip("pypinyin")
    speaker = Synthesizer.load(vallex_checkpoint, device="cpu", watermark=False, choice=Choice(retries=0))
    voice = speaker.voice(reference, "Hello you.")
    text = "<speak>你好。<break time='1s'/>我喜欢<phoneme ph='ˈæpəl'>苹果</phoneme>。</speak>"
    one, two = speaker.speak(text, voice, SHORT, ssml=True)
    assert (one.text, two.text) == ("你好。", "我喜欢苹果。")
    without_pause(two, 1.0)
    assert [piece.text for piece in speaker.speak("[EN]One [pause:1s] two.[EN][ZH]你好。[ZH]", voice, SHORT)] == [
        "[EN]One[EN]",
        "[EN]two.[EN]",
        "[ZH]你好。[ZH]",
    ]
