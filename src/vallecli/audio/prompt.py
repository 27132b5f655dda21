"""Voice prompts from recordings: trims silence, normalizes the level, keeps the first or the best 10 seconds.

Speech is detected by its energy, relative to the loudness and the noise of the recording. That suffices for recordings
made as a prompt, but steady noise and music pass as speech.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from vallecli import inputs
from vallecli.audio.files import decode_recording, read_recording
from vallecli.audio.pcm import Wav
from vallecli.encoding import decode
from vallecli.errors import InputError, PromptTooShort, SilentPrompt

DEFAULT_RATE = 24_000  # Hz, the rate of most codecs
MAX_READ_SECONDS = 60.0  # of a recording; the rest is not read
MAX_SEARCHED_SECONDS = 600.0  # of a recording whose best part is searched
MIN_SECONDS = 1.0  # of speech; less is refused
GOOD_SECONDS = 3.0  # of speech; less gives a note
MAX_SECONDS = 10.0  # of speech; more is cut at a pause
CUT_FROM = 0.7  # of the maximum length: the pause to cut at is searched from here on

# Levels are measured in steps of 10 ms.
STEPS_PER_SECOND = 100
WINDOW_STEPS = 3  # moving average of the power: 30 ms
PAUSE_STEPS = 12  # length of a pause to cut at: 120 ms
LOUD_STEPS = 8  # the level of speech is exceeded for 80 ms in total; a click is shorter
MIN_SOUND_STEPS = 6  # 60 ms; shorter sounds are clicks
MAX_PAUSE_STEPS = 100  # 1 s; longer silences are removed
AROUND_SOUND_STEPS = 15  # of a pause, 70 ms are kept before and after each sound
STEPS_BEFORE, STEPS_AFTER = 10, 15  # 100 ms and 150 ms kept around speech, for soft beginnings and endings

# Levels in dB relative to full scale, and differences in dB.
SILENT_DB = -85.0  # recordings with quieter speech count as silent,
QUIET_DB = -65.0  # and so do those with quieter speech that does not stand out from the noise
CONTRAST_DB = 15.0  # by this much
RANGE_DB = 40.0  # speech is at most this much below its maximum
SOUND_RANGE_DB = 28.0  # a pause is at least this much below the level of the speech
NOISE_DB = 6.0  # speech is at least this much above the noise,
HEADROOM_DB = 12.0  # or, in loud noise, at most this much below its maximum

TARGET_RMS = 0.1  # of the speech without pauses: -20 dB
MAX_TRANSCRIPT_BYTES = 2**20  # of the words of a minute
PEAK = 0.95  # maximum of the absolute value; takes precedence over TARGET_RMS
FADE_SECONDS = 0.005  # at each cut

# The best part of a long recording has the largest distance between speech and noise, in dB, less these penalties.
MAX_SNR_DB = 40.0  # more is no better
LEVEL_PENALTY = 0.5  # for each dB between the level of the part and that of the recording
PAUSE_PENALTY = 10.0  # dB for a part that consists of pauses
CLIPPED = 0.985  # of the maximum of the recording: samples above may be clipped
CLIPPED_PENALTY = 2000.0  # dB for a part whose samples are all above: 2 dB for 0.1%


@dataclass(frozen=True)
class PreparedPrompt:
    """The speech of a recording, ready for a codec: mono float32 audio (N,)."""

    wav: Wav
    sample_rate: int
    """In Hz."""
    seconds: float
    """Duration of `wav`."""
    notes: list[str] = field(default_factory=list)
    """Messages for the user about defects of the recording; see also `used_part`."""
    cut: bool = False
    """Whether speech was cut off, so that a transcript of the whole recording does not match."""
    found_seconds: float | None = None
    """Duration of all speech that was found, if some of it was cut off."""
    more: bool = False
    """Whether the recording goes on after the part that was read."""
    snr: float | None = None
    """Estimated distance of speech and noise in dB, at most MAX_SNR_DB."""
    all_speech: Wav | None = None
    """The speech that was searched for its best part, at the same level; None if nothing was searched or cut off."""


def load(
    path: str | PathLike[str],
    *,
    sample_rate: int = DEFAULT_RATE,
    max_seconds: float = MAX_SECONDS,
    best: bool = False,
    file: BinaryIO | None = None,
) -> PreparedPrompt:
    """Read and prepare a recording, at `sample_rate` in Hz. Raises the errors of `read_audio` and `prepare`.

    With `best`, ten minutes of it are read and searched, else one minute. With `file`, that open file is read, and
    `path` is its name in messages.
    """
    read = MAX_SEARCHED_SECONDS if best else MAX_READ_SECONDS
    if file is None:
        recording = read_recording(path, sample_rate=sample_rate, max_seconds=read)
    else:
        recording = decode_recording(file, path, sample_rate=sample_rate, max_seconds=read)
    prepared = prepare(recording.wav, path, sample_rate=sample_rate, max_seconds=max_seconds, best=best)
    more = len(recording.wav) >= int(read * sample_rate)
    return replace(prepared, notes=[*recording.notes, *prepared.notes], cut=prepared.cut or more, more=more)


def used_part(recording: PreparedPrompt, source: str | PathLike[str], seconds: float) -> str | None:
    """Return a message about the part of a recording that models use, `seconds` of it; None if they use all of it.

    Models can use less than `prepare` returns.
    """
    used, found = f"{seconds:.1f}", f"{recording.found_seconds or recording.seconds:.1f}"
    if recording.more:
        return f"the first {used} s of speech in {source} are used, of more than {found} s"
    if seconds >= (recording.found_seconds or recording.seconds) or used == found:
        return None
    return f"the first {used} s of {found} s of speech in {source} are used"


def prepare(
    wav_N: Wav,
    source: str | PathLike[str],
    *,
    sample_rate: int = DEFAULT_RATE,
    max_seconds: float = MAX_SECONDS,
    best: bool = False,
) -> PreparedPrompt:
    """Given a recording (N,), return at most `max_seconds` of its speech, at a fixed level: the first, or the best.

    `sample_rate` is in Hz; `source` is the name of the recording in messages. Raises SilentPrompt, and PromptTooShort
    for less than a second of speech.
    """
    if len(wav_N) == 0:
        raise SilentPrompt(source)
    wav_N = (wav_N - wav_N.mean(dtype=np.float64)).astype(np.float32)  # removes the DC offset of a microphone
    step = sample_rate // STEPS_PER_SECOND
    spans, loud = _speech_spans(wav_N, step)
    if not spans:
        raise SilentPrompt(source)
    snr = _signal_to_noise(_levels(wav_N, step))
    wav_N = _join_spans(wav_N, spans, step)
    seconds = len(wav_N) / sample_rate
    if seconds < MIN_SECONDS:
        raise PromptTooShort(source, int(10 * seconds) / 10, MIN_SECONDS)  # rounded down, never "1.0 s"
    found_N, cut = wav_N, seconds > max_seconds
    if cut:
        wav_N = (_best_part if best else _cut_at_pause)(wav_N, max_seconds, step)
    all_speech = _normalize_level(found_N, step) if best and cut else None
    notes = []
    if seconds < GOOD_SECONDS:
        notes.append(f"{source} has only {seconds:.1f} s of speech; 3 to 10 s give a more similar voice")
    if loud < QUIET_DB:
        notes.append(f"{source} is very quiet: the voice may sound noisy")
    return PreparedPrompt(
        _normalize_level(wav_N, step),
        sample_rate,
        len(wav_N) / sample_rate,
        notes,
        cut=cut,
        found_seconds=seconds if cut else None,
        snr=snr,
        all_speech=all_speech,
    )


def speech(wav_N: Wav, source: str | PathLike[str], *, sample_rate: int) -> Wav:
    """Return the speech of a recording (N,) of any length: no silence at its ends, no pauses above a second.

    `sample_rate` is in Hz; `source` is the name of the recording in messages. Raises SilentPrompt.
    """
    step = sample_rate // STEPS_PER_SECOND
    spans = _speech_spans(wav_N, step)[0] if len(wav_N) else []
    if not spans:
        raise SilentPrompt(source)
    return _join_spans(wav_N, spans, step)


def shorten(recording: PreparedPrompt, source: str | PathLike[str], max_seconds: float) -> PreparedPrompt:
    """Return a prepared recording cut at a pause to at most `max_seconds`; a shorter one is returned unchanged."""
    if recording.seconds <= max_seconds:
        return recording
    shorter = prepare(recording.wav, source, sample_rate=recording.sample_rate, max_seconds=max_seconds)
    return replace(shorter, cut=True)


def transcript_file(recording: str | PathLike[str]) -> Path:
    """Return the path of a recording's transcript: ref.txt next to ref.wav."""
    return Path(recording).with_suffix(".txt")


def read_transcript(recording: str | PathLike[str]) -> str | None:
    """Return the transcript next to a recording, None if there is none. Raises InputError and TextEncodingError."""
    path = transcript_file(recording)
    try:
        written = decode(inputs.read_small(path, MAX_TRANSCRIPT_BYTES), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {path}: {reason}", "Give the transcript.") from error
    return written.replace("\r\n", "\n").replace("\r", "\n").strip()  # fingerprints depend on it


def without_pauses(wav_N: Wav, sample_rate: int) -> Wav:
    """Given speech (N,) at `sample_rate` in Hz, return it without its pauses, (M,); for measurements, not to listen."""
    step = sample_rate // STEPS_PER_SECOND
    levels = _levels(wav_N, step)
    sounds = levels > _speech_level(levels) - SOUND_RANGE_DB
    kept = np.convolve(sounds, np.ones(AROUND_SOUND_STEPS), mode="same") > 0.5
    return wav_N[np.repeat(kept, step)[: len(wav_N)]]


def _levels(wav_N: Wav, step: int) -> npt.NDArray[np.float64]:
    """Return the level around each step of 10 ms, (ceil(N / step),), in dB relative to full scale."""
    steps = -(-len(wav_N) // step)
    squares = np.pad(wav_N.astype(np.float64) ** 2, (0, steps * step - len(wav_N))).reshape(steps, step).mean(axis=1)
    window = np.full(WINDOW_STEPS, 1 / WINDOW_STEPS)
    return np.asarray(10 * np.log10(np.convolve(squares, window, mode="same")[:steps] + 1e-12))


def _speech_spans(wav_N: Wav, step: int) -> tuple[list[tuple[int, int]], float]:
    """Return the spans of speech as (start, end) in steps, and its level in dB.

    Pauses of up to a second are part of a span.
    """
    levels = _levels(wav_N, step)
    loud = float(np.sort(levels)[-max(1, min(LOUD_STEPS, len(levels) // 2))])
    noise = float(np.percentile(levels, 10))
    if loud < SILENT_DB or (loud < QUIET_DB and loud < noise + CONTRAST_DB):
        return [], loud
    threshold = max(loud - RANGE_DB, min(noise + NOISE_DB, loud - HEADROOM_DB))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], levels > threshold, [0]])))
    spans: list[tuple[int, int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if end - start < MIN_SOUND_STEPS:
            continue
        if spans and start - spans[-1][1] <= MAX_PAUSE_STEPS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans, loud


def _join_spans(wav_N: Wav, spans: list[tuple[int, int]], step: int) -> Wav:
    """Return the spans, with a short silence around each and faded ends, one after the other."""
    pieces = [wav_N[max(0, start - STEPS_BEFORE) * step : (end + STEPS_AFTER) * step] for start, end in spans]
    return np.concatenate([_fade(piece, step) for piece in pieces])


def _cut_at_pause(wav_N: Wav, max_seconds: float, step: int) -> Wav:
    """Return the audio up to the middle of the quietest pause in the last 30% of `max_seconds`."""
    longest = int(max_seconds * (step * STEPS_PER_SECOND))
    begin = int(CUT_FROM * longest) // step
    power = 10 ** (_levels(wav_N[:longest], step)[begin:] / 10)
    if len(power) <= PAUSE_STEPS:
        return _fade(wav_N[:longest], step)
    quietest = int(np.convolve(power, np.ones(PAUSE_STEPS), mode="valid").argmin())
    return _fade(wav_N[: (begin + quietest + PAUSE_STEPS // 2) * step], step)


def _best_part(wav_N: Wav, max_seconds: float, step: int) -> Wav:
    """Return the part with the best score between two pauses, or between any two steps if no pauses fit.

    It has at least CUT_FROM of `max_seconds`; of equal parts, the first.
    """
    levels = _levels(wav_N, step)
    longest, shortest = int(max_seconds * STEPS_PER_SECOND), int(CUT_FROM * max_seconds * STEPS_PER_SECOND)
    quiet = levels < _speech_level(levels) - RANGE_DB / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]]))).reshape(-1, 2)
    middles = [int(start + end) // 2 for start, end in edges if end - start >= PAUSE_STEPS]
    every = [0, *middles, len(wav_N) // step]
    parts = _parts(every, shortest, longest) or _parts(
        list(range(0, len(levels), STEPS_PER_SECOND // 2)), shortest, longest
    )
    peaks_N = np.abs(wav_N) >= CLIPPED * np.abs(wav_N).max()
    whole = _speech_level(levels)

    def score(part: tuple[int, int]) -> float:
        inside = levels[slice(*part)]
        level = _speech_level(inside)
        pauses = float(np.mean(inside < level - RANGE_DB / 2))
        clipped = float(np.mean(peaks_N[part[0] * step : part[1] * step]))
        distance = LEVEL_PENALTY * abs(level - whole)
        return _signal_to_noise(inside) - distance - PAUSE_PENALTY * pauses - CLIPPED_PENALTY * clipped

    start, end = max(parts, key=score)
    return _fade(wav_N[start * step : end * step], step)


def _parts(cuts: list[int], shortest: int, longest: int) -> list[tuple[int, int]]:
    """Return the pairs of cuts, in steps, whose distance is from `shortest` to `longest`."""
    return [(a, b) for i, a in enumerate(cuts) for b in cuts[i + 1 :] if shortest <= b - a <= longest]


def _speech_level(levels: npt.NDArray[np.float64]) -> float:
    """Return the mean level of the loud steps in dB: those less than 20 dB below the maximum."""
    loud = levels[levels > levels.max() - RANGE_DB / 2]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))


def _signal_to_noise(levels: npt.NDArray[np.float64]) -> float:
    """Return the distance of speech and noise in dB, at most MAX_SNR_DB; the quietest tenth counts as noise."""
    return min(_speech_level(levels) - float(np.percentile(levels, 10)), MAX_SNR_DB)


def _fade(wav_N: Wav, step: int) -> Wav:
    """Return the audio with 5 ms of fade at both ends, against clicks."""
    out = wav_N.copy()
    fade = int(FADE_SECONDS * STEPS_PER_SECOND * step)
    slope = np.linspace(0, 1, min(fade, len(out)), dtype=np.float32)
    out[: len(slope)] *= slope
    out[len(out) - len(slope) :] *= slope[::-1]
    return out


def _normalize_level(wav_N: Wav, step: int) -> Wav:
    """Return the audio with its speech at -20 dB relative to full scale, or lower if peaks would exceed PEAK."""
    rms = 10 ** (_speech_level(_levels(wav_N, step)) / 20)
    return wav_N * np.float32(min(TARGET_RMS / rms, PEAK / float(np.abs(wav_N).max())))
