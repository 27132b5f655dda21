"""Decoding of recordings as mono: by libsndfile or, for files that it cannot read, by FFmpeg; in blocks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from vallecli.audio import riff
from vallecli.audio.ffmpeg import Blocks, FfmpegSource, Samples, Unreadable

SAMPLE_RATES = range(4_000, 768_001)  # Hz, of all recorders; others come from damaged headers
READ_BLOCK = 1 << 20  # samples of all channels that are read at once: 4 MiB in float32
NO_SAMPLES = "it has no samples"
UNKNOWN_FORMAT = "format not recognised"  # libsndfile's reason

# Channels cancel if their mean has less than this share of the power that it has for unrelated channels.
CANCELLED = 0.2
# A recording counts as clipped if this share of its samples is near its own maximum, or near full scale. The first
# value of a recording that is not clipped is below 0.0005, the second one is near 0.
NEAR_MAXIMUM, SHARE_NEAR_MAXIMUM = 0.95, 0.002
NEAR_FULL_SCALE, SHARE_NEAR_FULL_SCALE = 0.98, 0.001
QUIETEST_CLIPPED = 0.05  # maximum; below, quantization makes many samples equal
MISSING_SECONDS, MISSING_SHARE = 0.1, 0.01  # of the length in the header: less is no reason for a note


class Source(Protocol):
    """The audio of an open file."""

    damaged: bool
    """Whether a part is missing or could not be decoded; known at the end of `blocks`."""

    def blocks(self) -> Blocks:
        """Yield (sample rate in Hz, samples (N, channels)). Raises Unreadable."""


class SndfileSource:
    """The audio of an open file that libsndfile can decode."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.damaged = False

    def blocks(self) -> Blocks:
        """Yield (sample rate in Hz, samples (N, channels)). Raises Unreadable."""
        self.file.seek(0)
        try:
            is_open_file = isinstance(self.file.fileno(), int)
        except OSError:  # bytes in memory
            is_open_file = False
        try:
            with soundfile.SoundFile(self.file.fileno() if is_open_file else self.file, closefd=False) as sound:
                yield from self._read(sound)
        except soundfile.LibsndfileError as error:
            reason = str(error.error_string).rstrip(".").lower()
            raise Unreadable(reason, known=reason != UNKNOWN_FORMAT) from error

    def _read(self, sound: Any) -> Blocks:
        left = sound.frames
        while left > 0:
            block = sound.read(min(left, max(1, READ_BLOCK // sound.channels)), dtype="float32", always_2d=True)
            if len(block) == 0:  # a truncated file has fewer samples than its header states
                break
            left -= len(block)
            yield sound.samplerate, block
        missing = left / sound.samplerate
        self.damaged = missing > max(MISSING_SECONDS, MISSING_SHARE * sound.frames / sound.samplerate)
        if sound.format == "WAV":
            self.damaged |= riff.ends_early(self.file)


@dataclass
class _Powers:
    """The power of the channels of a recording and of their mean, without offset and, as a second value, low hum."""

    count: int = 0
    sums: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, samples_NC: Samples, mean_N: Samples) -> None:
        """Add a block of samples and its mean."""
        columns = np.column_stack([samples_NC, mean_N]).astype(np.float64)
        sums = [columns.sum(axis=0), (columns**2).sum(axis=0), (np.diff(columns, axis=0) ** 2).sum(axis=0)]
        same = self.sums and len(self.sums[0]) == len(sums[0])  # the number of channels can change in a stream
        self.sums = [old + new for old, new in zip(self.sums, sums, strict=True)] if same else sums
        self.count = len(columns) + (self.count if same else 0)

    def cancelled(self) -> int | None:
        """Return the number of the strongest channel from 0 if the channels cancel in their mean, else None."""
        if not self.sums or len(self.sums[0]) < 3:
            return None
        total, squares, differences = self.sums
        powers = squares - total**2 / self.count
        for *channels, mean in (powers, differences):
            unrelated = sum(channels) / len(channels) ** 2  # power of the mean of unrelated channels
            if mean < CANCELLED * unrelated:
                return int(np.argmax(powers[:-1]))
        return None


@dataclass(frozen=True)
class Decoded:
    """A recording as mono float32 audio (N,) at its own sample rate in Hz, and what a listener should know of it."""

    wav_N: Samples
    sample_rate: int
    channel: int | None = None
    """The only channel that is used, from 0, because the channels cancel; None for the mean of all channels."""
    damaged: bool = False
    """Whether a part is missing or could not be decoded."""
    unfinished: bool = False
    """Whether the header states no samples."""

    @property
    def clipped(self) -> bool:
        """Return whether the recording level was too high."""
        level_N = np.abs(self.wav_N)
        maximum = level_N.max(initial=0)
        if maximum < QUIETEST_CLIPPED:
            return False
        near_maximum = np.count_nonzero(level_N >= NEAR_MAXIMUM * maximum) / len(level_N)
        near_full_scale = np.count_nonzero(level_N >= NEAR_FULL_SCALE) / len(level_N)
        return bool(near_maximum >= SHARE_NEAR_MAXIMUM or near_full_scale >= SHARE_NEAR_FULL_SCALE)


@np.errstate(all="ignore")  # the caller looks for NaN and infinity
def decode(file: BinaryIO, *, max_seconds: float | None = None) -> Decoded:
    """Decode at most `max_seconds` of an open file. Raises Unreadable."""
    try:
        return _decode(partial(SndfileSource, file), max_seconds)
    except Unreadable as error:
        first_error = error
    try:
        decoded = _decode(partial(FfmpegSource, file), max_seconds)
    except Unreadable as error:
        raise error if error.known and not first_error.known else first_error from None
    return replace(decoded, unfinished=riff.is_unfinished(file))


def _decode(source: Callable[[], Source], max_seconds: float | None) -> Decoded:
    powers = _Powers()
    decoded = _read(source(), max_seconds, powers=powers)
    channel = powers.cancelled()
    return decoded if channel is None else _read(source(), max_seconds, channel=channel)


def _read(
    source: Source, max_seconds: float | None, *, channel: int | None = None, powers: _Powers | None = None
) -> Decoded:
    """Read one channel or the mean of all, with one block of all channels in memory at a time."""
    mono: list[Samples] = []
    rate, left = 0, None if max_seconds is None else 1
    with closing(source.blocks()) as blocks:
        for rate, samples_NC in blocks:
            if rate not in SAMPLE_RATES:
                raise Unreadable(f"its header has a sample rate of {rate} Hz")
            if max_seconds is not None and not mono:
                left = int(max_seconds * rate)
            samples_NC = samples_NC[:left]
            mono_N = (
                samples_NC.mean(axis=1) if channel is None else samples_NC[:, min(channel, samples_NC.shape[1] - 1)]
            )
            if powers is not None and samples_NC.shape[1] > 1:
                powers.add(samples_NC, mono_N)
            mono.append(mono_N)
            if left is not None:
                left -= len(mono_N)
                if left <= 0:
                    break
    wav_N = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    if len(wav_N) == 0:
        raise Unreadable(NO_SAMPLES)
    return Decoded(wav_N, rate, channel, source.damaged)
