"""From a recording to a voice prompt: silence trimmed, level set, 3 to 10 seconds kept.

Speech is told from silence by its energy alone, relative to the recording's own loudness and noise. That is enough for
a recording somebody made on purpose; it takes steady noise or music for speech.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vallecli.audio import files
from vallecli.audio.stream import Wav
from vallecli.errors import InputError, PromptTooShort, SilentPrompt, TextEncodingError

DEFAULT_RATE = 24_000  # samples per second, of most codecs
READ_SECONDS = 60.0  # of a recording that are read
MIN_SECONDS = 1.0  # of speech, less is refused
GOOD_SECONDS = 3.0  # of speech, less is warned of
MAX_SECONDS = 10.0  # longer is cut at a pause
CUT_FROM = 0.7  # of the longest length: where the search for that pause begins

STEPS_PER_SECOND = 100  # measurements of the level: one every 10 ms
WINDOW_STEPS = 3  # length of one measurement
PAUSE_STEPS = 12  # a pause to cut at is quiet for that long: 120 ms
LOUD_STEPS = 8  # how loud speech is: a level kept for 80 ms altogether, which one click does not reach
SILENT_DB = -65.0  # of full scale: a recording whose speech is quieter holds nothing but noise
RANGE_DB = 40.0  # speech reaches that far below its loudest
NOISE_DB = 6.0  # speech rises that far above the noise, if
HEADROOM_DB = 12.0  # that leaves its loudest so much room
SHORTEST_SOUND = 6  # steps; what is shorter is a click
LONGEST_PAUSE = 100  # steps; a longer silence inside a recording is taken out
BEFORE, AFTER = 10, 15  # steps kept around speech: soft beginnings, dying endings

TARGET_RMS = 0.1  # of the speech, pauses left out: -20 dB of full scale
PEAK = 0.95  # never exceeded, even where that leaves the speech softer
FADE_SECONDS = 0.005  # at each cut


@dataclass(frozen=True)
class PreparedPrompt:
    """Mono float32 audio (N,) ready for a codec, and what a user should know about it."""

    wav: Wav
    sample_rate: int
    seconds: float
    notes: list[str] = field(default_factory=list)
    cut: bool = False
    """Whether there was more speech, which a transcript of the whole recording would contain."""


def load(
    path: str | PathLike[str], *, sample_rate: int = DEFAULT_RATE, max_seconds: float = MAX_SECONDS
) -> PreparedPrompt:
    """Read a recording, resample it and prepare it. Raises what `files.read` and `prepare` raise."""
    wav_N = files.read(path, sample_rate=sample_rate, max_seconds=READ_SECONDS)
    prepared = prepare(wav_N, path, sample_rate=sample_rate, max_seconds=max_seconds)
    if len(wav_N) >= int(READ_SECONDS * sample_rate):
        prepared.notes.insert(0, f"only the first {READ_SECONDS:g} s of {path} are used")
        return replace(prepared, cut=True)
    return prepared


def prepare(
    wav_N: Wav, source: str | PathLike[str], *, sample_rate: int = DEFAULT_RATE, max_seconds: float = MAX_SECONDS
) -> PreparedPrompt:
    """Given a recording (N,), return its speech, at a fixed level and of at most `max_seconds`.

    `source` is what messages call it. Raises SilentPrompt, or PromptTooShort for less than a second of speech.
    """
    if len(wav_N) == 0:
        raise SilentPrompt(source)
    wav_N = (wav_N - wav_N.mean(dtype=np.float64)).astype(np.float32)  # a microphone's offset is no sound
    step = sample_rate // STEPS_PER_SECOND
    spans = _speech(wav_N, step)
    if not spans:
        raise SilentPrompt(source)
    wav_N = _join(wav_N, spans, step)
    seconds = len(wav_N) / sample_rate
    if seconds < MIN_SECONDS:
        raise PromptTooShort(source, int(10 * seconds) / 10, MIN_SECONDS)  # rounded down: "1.0 s" would puzzle
    notes = []
    if seconds > max_seconds:
        wav_N = _cut_at_pause(wav_N, max_seconds, step)
        notes.append(f"the first {len(wav_N) / sample_rate:.1f} s of {seconds:.1f} s of speech in {source} are used")
    elif seconds < GOOD_SECONDS:
        notes.append(f"{source} holds only {seconds:.1f} s of speech; 3 to 10 s give a closer voice")
    return PreparedPrompt(
        _level(wav_N, step), sample_rate, len(wav_N) / sample_rate, notes, cut=seconds > max_seconds
    )


def shorten(recording: PreparedPrompt, source: str | PathLike[str], max_seconds: float) -> PreparedPrompt:
    """Return a recording cut at a pause to at most `max_seconds`; a shorter one is returned as it is."""
    if recording.seconds <= max_seconds:
        return recording
    shorter = prepare(recording.wav, source, sample_rate=recording.sample_rate, max_seconds=max_seconds)
    return replace(shorter, cut=True)


def transcript_file(recording: str | PathLike[str]) -> Path:
    """Return where a transcript is looked for: ref.txt beside ref.wav."""
    return Path(recording).with_suffix(".txt")


def read_transcript(recording: str | PathLike[str]) -> str | None:
    """Return what the text file beside a recording says, None if there is none. Raises InputError."""
    path = transcript_file(recording)
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise TextEncodingError(path) from error
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "Give --prompt-text.") from error


def _levels(wav_N: Wav, step: int) -> npt.NDArray[np.float64]:
    """Return the level in dB of full scale around each step of 10 ms, ceil(N / step) of them."""
    steps = -(-len(wav_N) // step)
    squares = np.pad(wav_N.astype(np.float64) ** 2, (0, steps * step - len(wav_N))).reshape(steps, step).mean(axis=1)
    window = np.full(WINDOW_STEPS, 1 / WINDOW_STEPS)
    return np.asarray(10 * np.log10(np.convolve(squares, window, mode="same")[:steps] + 1e-12))


def _speech(wav_N: Wav, step: int) -> list[tuple[int, int]]:
    """Return where there is speech, as (start, end) in steps; gaps of up to a second count as speech."""
    levels = _levels(wav_N, step)
    loud = float(np.sort(levels)[-max(1, min(LOUD_STEPS, len(levels) // 2))])
    if loud < SILENT_DB:
        return []
    noise = float(np.percentile(levels, 10))
    threshold = max(loud - RANGE_DB, min(noise + NOISE_DB, loud - HEADROOM_DB))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], levels > threshold, [0]])))
    spans: list[tuple[int, int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if end - start < SHORTEST_SOUND:
            continue
        if spans and start - spans[-1][1] <= LONGEST_PAUSE:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _join(wav_N: Wav, spans: list[tuple[int, int]], step: int) -> Wav:
    """Return the speech with a little of the silence around it, each end faded."""
    pieces = [wav_N[max(0, start - BEFORE) * step : (end + AFTER) * step] for start, end in spans]
    return np.concatenate([_fade(piece, step) for piece in pieces])


def _cut_at_pause(wav_N: Wav, max_seconds: float, step: int) -> Wav:
    """Return the beginning, up to the middle of the quietest moment near the greatest length."""
    longest = int(max_seconds * (step * STEPS_PER_SECOND))
    begin = int(CUT_FROM * longest) // step
    power = 10 ** (_levels(wav_N[:longest], step)[begin:] / 10)
    if len(power) <= PAUSE_STEPS:
        return _fade(wav_N[:longest], step)
    quietest = int(np.convolve(power, np.ones(PAUSE_STEPS), mode="valid").argmin())
    return _fade(wav_N[: (begin + quietest + PAUSE_STEPS // 2) * step], step)


def _fade(wav_N: Wav, step: int) -> Wav:
    """Return the audio with its first and last 5 ms faded, so that a cut does not click."""
    out = wav_N.copy()
    fade = int(FADE_SECONDS * STEPS_PER_SECOND * step)
    slope = np.linspace(0, 1, min(fade, len(out)), dtype=np.float32)
    out[: len(slope)] *= slope
    out[len(out) - len(slope) :] *= slope[::-1]
    return out


def _level(wav_N: Wav, step: int) -> Wav:
    """Return the audio with its speech at -20 dB of full scale, or lower if its peaks would clip."""
    levels = _levels(wav_N, step)
    speech = levels[levels > levels.max() - RANGE_DB / 2]
    rms = float(np.sqrt(np.mean(10 ** (speech / 10))))
    return wav_N * np.float32(min(TARGET_RMS / rms, PEAK / float(np.abs(wav_N).max())))
