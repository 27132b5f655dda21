"""Small films for tests, made by PyAV."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

SECONDS = 4
SRT = "1\n00:00:01,000 --> 00:00:02,000\nHello.\n\n2\n00:00:02,500 --> 00:00:03,000\nBye.\n"


def make_film(path: Path, *, audio: bool = True, subtitles: bool = True, codec: str = "mpeg4", start: int = 0) -> Path:
    """Write a film of SECONDS, with a French audio track, subtitles and a chapter; its clock begins at `start`."""
    with av.open(str(path), "w") as film, av.open(io.BytesIO(SRT.encode()), format="srt") as srt:
        film.metadata["title"] = "A film"
        film.set_chapters(
            [{"id": 1, "start": 0, "end": 2, "time_base": Fraction(1), "metadata": {"title": "The beginning"}}]
        )
        video = film.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
        streams = [video]
        if audio:
            sound = film.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48_000, layout="stereo")
            sound.metadata["language"] = "fra"
            sound.disposition = Disposition.default
            streams.append(sound)
        if subtitles:
            copy = film.add_stream_from_template(srt.streams[0])
            copy.metadata["language"] = "fra"
        for index in range(25 * SECONDS):
            image = np.full((48, 64, 3), index, np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = 25 * start + index, Fraction(1, 25)
            film.mux(video.encode(picture))
            if audio:
                frame = av.AudioFrame.from_ndarray(np.full((1, 2 * 1920), 100, np.int16), format="s16", layout="stereo")
                frame.sample_rate, frame.pts = 48_000, 48_000 * start + index * 1920
                film.mux(sound.encode(frame))
        if subtitles:
            for packet in srt.demux():
                if packet.size:
                    packet.stream = copy
                    film.mux(packet)
        for stream in streams:
            film.mux(stream.encode(None))
    return path
