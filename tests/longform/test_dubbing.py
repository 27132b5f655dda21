"""Dubbing: a cue is where its time says, long speech is made faster, and no two cues are spoken at once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.errors import SubtitleError
from vallecli.longform.assemble import Clip, Track
from vallecli.longform.dubbing import (
    FITS,
    OVERFLOWS,
    STRETCHED,
    TOO_LONG,
    Fit,
    SpokenCue,
    check_length,
    lay_out,
    samples_at,
    spoken_cues,
    with_cast,
)
from vallecli.longform.excerpts import AFTER, BEFORE, FADE, Excerpt, find_speech
from vallecli.longform.subtitles import Cue, Line, format_srt, parse

RATE = 24_000


def clip_of(folder: Path, seconds: float, rate: int = RATE) -> Clip:
    """Return a clip of noise of a duration, without silence."""
    path = folder / f"{seconds}-{rate}.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate)), rate)
    return Clip.of(path, sha256=path.name)


def sound_of(folder: Path, seconds: float) -> Excerpt:
    clip = clip_of(folder, seconds)
    return Excerpt(clip, RATE, 0, clip.frames)


def placed(folder: Path, cues: list[tuple[float, float, float]], **how: float | None) -> tuple[Track, list[Fit]]:
    """Return the layout of cues with a begin, an end and a duration of their speech, in seconds."""
    spoken = [
        SpokenCue(number, Cue(round(start * 1000), round(end * 1000), "x", number), (Line(None, "x"),))
        for number, (start, end, _) in enumerate(cues, start=1)
    ]
    sounds = [[sound_of(folder, seconds)] for _, _, seconds in cues]
    return lay_out(spoken, sounds, sample_rate=RATE, last_end=spoken[-1].cue.end, **how)  # type: ignore[arg-type]


def test_forty_cues_of_which_ten_are_too_short(tmp_path: Path) -> None:
    cues = []
    for index in range(40):
        start = 3 * index + 0.123
        short = index % 4 == 1
        # The gap before the next cue is enough for one half of those that are too short.
        cues.append(
            (start, start + (1.0 if short else 2.5), 2.5 if short and index % 8 == 1 else 4.2 if short else 2.0)
        )
    track, fits = placed(tmp_path, cues)
    assert [fit.status for fit in fits].count(OVERFLOWS) == 5
    assert [fit.status for fit in fits].count(TOO_LONG) == 5
    assert len(track.placed) == 40
    for place, following in zip(track.placed, track.placed[1:], strict=False):
        assert place.end <= following.start
    for (start, end, seconds), place, fit in zip(cues, track.placed, fits, strict=True):
        late = fits[fit.number - 2].excess if fit.number > 1 else 0.0
        assert place.start == samples_at(round(start * 1000), RATE) + round(late * RATE)
        assert place.start / RATE == fit.start
        assert place.end / RATE == fit.end
        assert fit.spoken == seconds
        assert place.end - place.start == round(seconds * RATE / fit.speed)
        if fit.status == FITS:
            assert fit.speed == 1
        elif fit.status == STRETCHED:
            assert 1 < fit.speed <= 1.25
            assert fit.end <= end
        else:
            assert fit.speed == 1.25
        assert fit.excess == pytest.approx(max(0.0, fit.end - (start + 3)) if fit.number < 40 else 0.0, abs=1e-9)
    assert [fit.number - 1 for fit in fits if fit.late] == [fit.number for fit in fits if fit.status == TOO_LONG]
    assert track.samples == samples_at(round(cues[-1][1] * 1000), RATE)
    wav_N = np.concatenate(list(track.blocks()))
    assert len(wav_N) == track.samples
    for place in track.placed:
        np.testing.assert_array_equal(wav_N[place.start : place.end], place.clip.read(RATE))
        wav_N[place.start : place.end] = 0
    assert not wav_N.any()


def test_speech_is_as_fast_as_its_cue_needs_up_to_a_limit(tmp_path: Path) -> None:
    cues = [(1.0, 2.0, 1.0), (3.0, 4.0, 1.1), (5.0, 6.0, 1.25), (7.0, 8.0, 1.3), (9.0, 10.0, 3.0), (11.0, 12.0, 0.5)]
    _, fits = placed(tmp_path, cues)
    assert [fit.status for fit in fits] == [FITS, STRETCHED, STRETCHED, OVERFLOWS, TOO_LONG, FITS]
    assert [fit.speed for fit in fits] == pytest.approx([1.0, 1.1, 1.25, 1.25, 1.25, 1.0])
    assert [fit.end for fit in fits[:3]] == [2.0, 4.0, 6.0]
    assert (fits[4].excess, fits[5].late, fits[5].start) == pytest.approx((0.4, 0.4, 11.4))
    _, slow = placed(tmp_path, cues, max_speed=1.0)
    assert [fit.status for fit in slow] == [FITS, OVERFLOWS, OVERFLOWS, OVERFLOWS, TOO_LONG, OVERFLOWS]
    assert {fit.speed for fit in slow} == {1.0}
    _, fast = placed(tmp_path, cues, max_speed=2.0)
    assert [fit.status for fit in fast] == [FITS, STRETCHED, STRETCHED, STRETCHED, OVERFLOWS, FITS]


def test_the_track_has_the_length_of_the_film(tmp_path: Path) -> None:
    cues = [(0.5, 1.5, 1.0), (2.0, 2.5, 2.0)]
    track, fits = placed(tmp_path, cues)
    assert fits[1].status == OVERFLOWS
    assert track.seconds == fits[1].end == 2.0 + 2.0 / 1.25, "without a film there is time after the last cue"
    track, fits = placed(tmp_path, cues, length=10 * RATE)
    assert (track.seconds, fits[1].excess) == (10, 0)
    track, fits = placed(tmp_path, cues, length=3 * RATE)
    assert (track.seconds, fits[1].end, fits[1].status, fits[1].cut) == (3, 3, TOO_LONG, True)
    assert fits[1].excess == pytest.approx(0.6)
    wav_N = np.concatenate(list(track.blocks()))
    fade = round(FADE * RATE)
    assert len(wav_N) == 3 * RATE
    assert np.abs(wav_N[-2 * fade : -fade]).max() > 0.4
    assert wav_N[-1] == 0
    assert np.abs(wav_N[-fade // 10 :]).max() < 0.1


def test_nothing_is_spoken_after_the_end_of_the_film(tmp_path: Path) -> None:
    track, fits = placed(tmp_path, [(0.0, 1.0, 9.0), (2.0, 3.0, 1.0), (2.5, 3.5, 1.0)], length=3 * RATE)
    assert track.samples == 3 * RATE
    assert len(track.placed) == 1
    assert [fit.cut for fit in fits] == [True, True, True]
    assert all(fit.end >= fit.start for fit in fits)


def test_lines_of_a_cue_are_spoken_one_after_the_other(tmp_path: Path) -> None:
    cue = SpokenCue(1, Cue(1000, 2100, ""), (Line("A", "x"), Line(None, "y")))
    sounds = [[sound_of(tmp_path, 0.6), sound_of(tmp_path, 0.6)]]
    track, fits = lay_out([cue], sounds, sample_rate=RATE, factors={"A": 0.5})
    first, second = track.placed
    assert (first.start, first.factor, second.factor) == (RATE, 0.5, 1.0)
    assert second.start - first.end == 0.1 * RATE
    assert second.end <= 2.1 * RATE + 1
    assert (fits[0].status, fits[0].speed) == (STRETCHED, pytest.approx(1.2))


def test_silence_around_speech_takes_no_time(tmp_path: Path) -> None:
    speech_N = 0.5 * np.sin(np.arange(RATE) * 0.1)
    wav_N = np.concatenate([np.zeros(RATE), speech_N, np.zeros(RATE // 2), speech_N, np.zeros(2 * RATE)])
    wav_N += np.random.default_rng(0).normal(0, 1e-4, len(wav_N))
    first, last = find_speech(wav_N.astype(np.float32), RATE)
    assert first == RATE - BEFORE * RATE
    assert last == pytest.approx(3.5 * RATE + AFTER * RATE, abs=0.011 * RATE)
    assert find_speech(np.zeros(500, np.float32), RATE) == (0, 500)
    assert find_speech(np.zeros(0, np.float32), RATE) == (0, 0)
    soundfile.write(tmp_path / "a.flac", wav_N, RATE)
    excerpt = Excerpt.speech_in(Clip.of(tmp_path / "a.flac", "a"), 16_000)
    assert len(excerpt.read(16_000)) == excerpt.samples(16_000) == pytest.approx(2.6 * 16_000, abs=200)


@pytest.mark.parametrize("speed", [1.0, 1.0001, 1.07, 1.25, 2.0])
@pytest.mark.parametrize("cut", [None, 0, 1, 5_000, 99_999])
def test_an_excerpt_has_the_length_that_it_states(tmp_path: Path, speed: float, cut: int | None) -> None:
    excerpt = Excerpt(clip_of(tmp_path, 1.0), RATE, 1_000, 20_001, speed, cut)
    assert len(excerpt.read(RATE)) == excerpt.samples(RATE)
    assert excerpt.samples(RATE) == min(round(19_001 / speed), math.inf if cut is None else cut)
    np.testing.assert_array_equal(excerpt.read(RATE), excerpt.read(RATE))


def test_cues_without_words_are_not_spoken() -> None:
    cues = parse(format_srt([Cue(0, 1, "[music]"), Cue(2, 3, "Yes."), Cue(4, 5, "♪"), Cue(6, 7, "No.")]), "film.srt")
    assert [(cue.number, cue.text) for cue in spoken_cues(cues)] == [(2, "Yes."), (4, "No.")]


def test_speakers_are_those_of_the_cast() -> None:
    cues = [Cue(0, 1, "<v anna>Hi.", 3), Cue(1, 2, "BOB: Yes: no."), Cue(2, 3, "Note: nothing."), Cue(3, 4, "Anna:")]
    spoken = with_cast(spoken_cues(cues), ["Anna", "Bob"], "film.vtt", default=True)
    assert [cue.lines for cue in spoken] == [
        (Line("Anna", "Hi."),),
        (Line("Bob", "Yes: no."),),
        (Line(None, "Note: nothing."),),
        (Line(None, "Anna:"),),
    ]
    with pytest.raises(SubtitleError, match=r"film.vtt, line 9: 'Ana' is not in the cast") as caught:
        with_cast(spoken_cues([Cue(0, 1, "<v Ana>Hi.", 9)]), ["Anna", "Bob"], "film.vtt", default=True)
    assert caught.value.hint == "Did you mean Anna?"
    with pytest.raises(SubtitleError, match=r"film.vtt, line 5: nobody is named for 'Hi.'"):
        with_cast(spoken_cues([Cue(0, 1, "Hi.", 5)]), ["Anna"], "film.vtt", default=False)


def test_cues_after_the_end_of_the_film_are_an_error() -> None:
    spoken = spoken_cues([Cue(0, 1000, "a", 2), Cue(5000, 9000, "b", 6)])
    check_length(spoken, 5.001, "film.srt")
    with pytest.raises(
        SubtitleError, match=r"film.srt, line 6: this cue begins at 00:00:05,000, after the end"
    ) as caught:
        check_length(spoken, 5.0, "film.srt")
    assert "The film ends at 00:00:05,000" in caught.value.hint
