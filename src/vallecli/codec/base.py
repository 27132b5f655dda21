"""The audio grid and the interface of every codec. This module does not import torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vallecli.errors import DamagedCheckpoint, UnknownFormat

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AudioGrid:
    """How a codec divides audio: samples, frames and codes."""

    sample_rate: int  # samples per second
    hop: int  # samples per frame
    codebooks: int  # codes per frame, coarse to fine
    codebook_size: int  # entries per codebook

    def __post_init__(self) -> None:
        """Raise ValueError for a grid that no codec has."""
        if min(self.sample_rate, self.hop, self.codebooks, self.codebook_size) < 1:
            raise ValueError(f"{self} is not an audio grid")

    @property
    def frame_rate(self) -> float:
        """Return the number of frames per second."""
        return self.sample_rate / self.hop


ENCODEC_GRID = AudioGrid(sample_rate=24_000, hop=320, codebooks=8, codebook_size=1024)  # 6 kbps; nano uses it, too


class Codec(Protocol):
    """Audio to discrete codes and back."""

    grid: AudioGrid

    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given float32 audio (B, N) in -1..1 at the grid's rate, return int64 codes (B, T, Q), T = ceil(N / hop)."""

    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), return float32 audio (B, T * hop)."""


@contextmanager
def reading_weights(path: Path, what: str, hint: str) -> Iterator[None]:
    """Raise DamagedCheckpoint with this hint for whatever fails in the body, which loads `what` from a file."""
    try:
        yield
    except (DamagedCheckpoint, UnknownFormat) as error:
        raise DamagedCheckpoint(error.message, hint) from error
    except (RuntimeError, TypeError, AttributeError) as error:  # torch's errors for other names, shapes and types
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedCheckpoint(f"{path} does not contain {what}: {first_line}", hint) from error
