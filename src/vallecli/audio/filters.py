"""FFmpeg's audio filters through PyAV, for mono audio in pieces. PyAV is imported at the first use."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vallecli.audio.ffmpeg import import_av
from vallecli.audio.pcm import Wav
from vallecli.errors import NotFinite

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

BLOCK_SAMPLES = 2**16  # of a frame, so that long audio is not copied at once


class Filter:
    """One filter of FFmpeg, with its options as FFmpeg writes them: Filter("atempo", "tempo=2", 24_000)."""

    def __init__(self, name: str, options: str, sample_rate: int) -> None:
        """Raise DependencyMissing without PyAV."""
        av = import_av()
        self.sample_rate, self.samples = sample_rate, 0
        self.time_base = Fraction(1, sample_rate)
        self.waiting = (av.error.BlockingIOError, av.error.EOFError)
        self.graph = av.filter.Graph()
        source = self.graph.add_abuffer(format="fltp", sample_rate=sample_rate, layout="mono", time_base=self.time_base)
        chain = [source, self.graph.add(name, options), self.graph.add("abuffersink")]
        for before, after in pairwise(chain):
            before.link_to(after)
        self.graph.configure()

    def push(self, wav_N: Wav) -> Iterator[AudioFrame]:
        """Yield what comes out after some samples (N,). Raises NotFinite for NaN and infinite ones."""
        from av import AudioFrame

        if not np.isfinite(wav_N).all():  # a filter may turn them into others
            raise NotFinite("the generated audio")
        for start in range(0, len(wav_N), BLOCK_SAMPLES):
            block_N = np.ascontiguousarray(wav_N[start : start + BLOCK_SAMPLES], np.float32)
            frame = AudioFrame.from_ndarray(block_N[None], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = self.sample_rate, self.time_base, self.samples
            self.samples += len(block_N)
            self.graph.push(frame)
            yield from self._pull()

    def finish(self) -> Iterator[AudioFrame]:
        """Yield the rest."""
        self.graph.push(None)
        yield from self._pull()

    def _pull(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = self.graph.pull()
            except self.waiting:
                return
            yield frame
