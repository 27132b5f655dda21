"""What a player shows of a file: title, author, cover and chapters. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_COVER_BYTES = 1 << 23  # 8 MiB: some players load it whole, for each file of a list
MAX_COMMENTS = 999  # chapters: their numbers have three digits
COVERS = {b"\xff\xd8\xff": "mjpeg", b"\x89PNG\r\n\x1a\n": "png"}  # first bytes of an image -> FFmpeg's codec


@dataclass(frozen=True)
class Chapter:
    """A chapter of a file, from one sample to another."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of a file. Formats leave out what they cannot have.

    MP3, Opus, M4A and M4B have all of them, except that Opus has no cover; FLAC, Ogg Vorbis and WAV have titles,
    authors and tracks.
    """

    title: str | None = None
    author: str | None = None
    album: str | None = None
    track: tuple[int, int] | None = None
    """The number of the file in its album, from 1, and how many there are."""
    genre: str | None = None
    cover: bytes | None = None
    """A JPEG or PNG image, see `cover_codec`."""
    chapters: tuple[Chapter, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        """Return the fields of Vorbis comments, ID3 and MP4, by FFmpeg's names for them."""
        track = None if self.track is None else "/".join(map(str, self.track))
        found = {
            "title": self.title,
            "artist": self.author,
            "album": self.album,
            "track": track,
            "genre": self.genre,
        }
        return {name: value for name, value in found.items() if value}


def chapter_comments(chapters: Sequence[Chapter], sample_rate: int) -> dict[str, str]:
    """Return the Vorbis comments of chapters (https://wiki.xiph.org/Chapter_Extension), at most MAX_COMMENTS of them.

    They are written here because FFmpeg 8 rounds the seconds of its own to the nearest, so that 2.5 s becomes 3.5 s.
    """
    comments = {}
    for number, chapter in enumerate(chapters[:MAX_COMMENTS], start=1):
        seconds, milliseconds = divmod(round(1000 * chapter.start / sample_rate), 1000)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"
        comments[f"CHAPTER{number:03d}"] = time
        comments[f"CHAPTER{number:03d}NAME"] = chapter.title
    return comments


def cover_codec(image: bytes) -> str | None:
    """Return FFmpeg's codec of a cover, "mjpeg" or "png"; None for an image that no format can have as one."""
    if len(image) > MAX_COVER_BYTES:
        return None
    return next((codec for begin, codec in COVERS.items() if image.startswith(begin)), None)
