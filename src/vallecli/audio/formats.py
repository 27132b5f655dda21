"""Formats of written audio: their names, file endings and sample rates. Imports nothing heavy: help texts use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from vallecli.errors import UsageError

TELEPHONE_RATE = 8_000  # Hz, of G.711 in telephone networks
MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz


@dataclass(frozen=True)
class Format:
    """A format of written audio."""

    title: str
    """The name in messages."""
    ending: str
    """File ending of default names."""
    rates: tuple[int, ...] = ()
    """Sample rates in Hz, in ascending order; () means any."""
    default_rate: int | None = None
    """Sample rate in Hz if none is given; None means that of the checkpoint."""
    extra_frames: int = 0
    """Frames that a decoder may return in excess of those written, because the codec has blocks of fixed length."""


FORMATS = {
    "wav": Format("WAV", ".wav"),
    "flac": Format("FLAC", ".flac"),
    "ogg": Format("Ogg Vorbis", ".ogg"),
    "mp3": Format("MP3", ".mp3", MPEG_RATES, extra_frames=1_152),
    "opus": Format("Opus", ".opus", OPUS_RATES),
    "m4a": Format("AAC", ".m4a", MPEG_RATES, extra_frames=1_024),
    "m4b": Format("AAC", ".m4b", MPEG_RATES, extra_frames=1_024),  # an audiobook: m4a with chapters and a cover
    "raw": Format("raw PCM", ".raw"),
    "ulaw": Format("mu-law", ".wav", default_rate=TELEPHONE_RATE),
    "alaw": Format("A-law", ".wav", default_rate=TELEPHONE_RATE),
}
SPOKEN_NOTICE, SIGNAL = "speech", "tone"  # kinds of disclosure before the speech, see text.notice and audio.notice
DISCLOSURES = (SPOKEN_NOTICE, SIGNAL)
G711 = ("ulaw", "alaw")  # in a WAV file, or without a header
CONTAINERS = ("wav", "raw")  # formats whose file endings can also have G.711
ENDINGS = {entry.ending: name for name, entry in FORMATS.items() if name not in G711}  # file ending -> format


def format_of(path: PurePath) -> str:
    """Return the format for a file's ending; ulaw and alaw have none. Raises UsageError for an unknown ending."""
    format = ENDINGS.get(path.suffix.lower())
    if format is None:
        raise UsageError(
            f"{path}: unsupported file ending {path.suffix or '(none)'}", f"Supported endings: {', '.join(ENDINGS)}."
        )
    return format


def fits(format: str, path: PurePath) -> bool:
    """Return whether a file's ending is that of a format, or of none."""
    by_ending = ENDINGS.get(path.suffix.lower())
    return by_ending in (None, format) or (format in G711 and by_ending in CONTAINERS)


def has_header(format: str, path: PurePath | None) -> bool:
    """Return whether PCM or G.711 samples follow a WAV header: for G.711, only in a file that ends in .wav."""
    if format in G711:
        return path is not None and path.suffix.lower() == FORMATS["wav"].ending
    return format == "wav"


def check_rate(format: str, sample_rate: int | None) -> None:
    """Raise UsageError for a sample rate in Hz that a format does not have. None, the default, is always valid."""
    entry = FORMATS[format]
    if sample_rate is None or not entry.rates or sample_rate in entry.rates:
        return
    *others, last = (str(rate) for rate in entry.rates)
    raise UsageError(
        f"{entry.title} cannot have a sample rate of {sample_rate} Hz",
        f"Possible rates: {', '.join(others)} and {last} Hz.",
    )


def output_rate(format: str, given: int | None, native: int) -> int:
    """Return the sample rate in Hz of an output: the given one, or the best for audio of `native` Hz.

    By default that is the format's own default rate, or else `native`, or the next higher rate that the format has.
    Raises UsageError for a given rate that the format does not have.
    """
    check_rate(format, given)
    entry = FORMATS[format]
    if given is not None:
        return given
    if entry.default_rate is not None:
        return entry.default_rate
    if not entry.rates or native in entry.rates:
        return native
    return next((rate for rate in entry.rates if rate > native), entry.rates[-1])
