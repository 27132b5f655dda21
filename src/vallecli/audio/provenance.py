"""Tags of audio files that say in a standard way that the speech is synthetic, by what it was made, and on which day.

WAV files get a LIST INFO chunk and a bext chunk (EBU Tech 3285, Broadcast Wave Format), both before the samples, so
that a pipe has them, too. The digital source type is the term of IPTC for media made by a trained model. Samples
without a header cannot have tags.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from vallecli import __version__
from vallecli.audio.labels import Labels
from vallecli.errors import UsageError
from vallecli.printable import printable

SOFTWARE = f"vallecli {__version__}"
SOURCE_TYPE = "trainedAlgorithmicMedia"
SOURCE_TYPE_URI = f"http://cv.iptc.org/newscodes/digitalsourcetype/{SOURCE_TYPE}"
EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/
MAX_NAME = 80  # characters of a checkpoint's name
INFO_FIELDS = {"title": b"INAM", "artist": b"IART", "album": b"IPRD", "track": b"IPRT", "genre": b"IGNR"}
# Layout of a bext chunk, version 1: description, originator, reference, date, time, samples since midnight, version,
# UMID, reserved. It has no coding history.
BEXT = "<256s32s32s10s8sQH64s190s"


@dataclass(frozen=True)
class Provenance:
    """What the tags of a file say. Equal values give equal bytes."""

    checkpoint: str
    date: str
    """The day in UTC, as in 2026-11-30."""

    @classmethod
    def of(cls, checkpoint: str) -> Provenance:
        """Return the provenance of speech that is made now by a checkpoint, given by name or path.

        The day is that of SOURCE_DATE_EPOCH if it is set. Raises UsageError if that is invalid.
        """
        name = "".join(letter if letter.isprintable() else "?" for letter in PurePath(checkpoint).name)
        return cls(name[:MAX_NAME], _today())

    @property
    def software(self) -> str:
        """Return the program and its version."""
        return SOFTWARE

    @property
    def statement(self) -> str:
        """Return one sentence with everything, for formats with few fields."""
        return f"Synthetic speech ({SOURCE_TYPE}), made by {SOFTWARE} with the checkpoint {self.checkpoint}"

    @property
    def tags(self) -> dict[str, str]:
        """Return the fields of Vorbis comments, ID3 and MP4, by FFmpeg's names for them."""
        return {"comment": self.statement, "encoded_by": SOFTWARE, "date": self.date}


def riff_chunks(provenance: Provenance | None, labels: Labels | None = None) -> bytes:
    """Return the chunks of a WAV file: bext, if there is a provenance, and LIST INFO, if there are fields."""
    bext, fields = b"", {}
    if provenance is not None:
        texts = (provenance.statement, SOFTWARE, "", provenance.date, "00:00:00")
        bext = _chunk(b"bext", struct.pack(BEXT, *(_latin(text) for text in texts), 0, 1, b"", b""))
        fields = {b"ICMT": provenance.statement, b"ICRD": provenance.date, b"ISFT": SOFTWARE}
    for name, value in ({} if labels is None else labels.tags).items():
        fields[INFO_FIELDS[name]] = value
    info = b"".join(_chunk(name, text.encode() + b"\0") for name, text in fields.items())
    return bext + (_chunk(b"LIST", b"INFO" + info) if info else b"")


def _today() -> str:
    written = os.environ.get(EPOCH)
    try:
        now = datetime.fromtimestamp(int(written), UTC) if written else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{EPOCH} is {written!r}", "It should be a number of seconds since 1970.") from error
    return f"{now:%Y-%m-%d}"


def _latin(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)


def is_synthetic(tags: Mapping[str, str]) -> bool:
    """Return whether the tags of a file, of any program, say that a trained model made it."""
    return any(SOURCE_TYPE.lower() in value.lower() for value in tags.values())


def says(tags: Mapping[str, str]) -> str:
    """Return what the tags of a file with `is_synthetic` say, on one line, and the date if there is one."""
    claim = next(value for value in tags.values() if SOURCE_TYPE.lower() in value.lower())
    return ", ".join(printable(text) for text in (claim, tags.get("date", "")) if text)
