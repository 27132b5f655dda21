"""Sizes of the three models, and the constants of the published implementation (suno-ai/bark)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vallecli.errors import short

SEMANTIC, COARSE, FINE = MODELS = ("semantic", "coarse", "fine")
LANGUAGES = ("en", "de", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh")

POSITIONS = 1024  # of every published model
NUM_CODEBOOKS, CODEBOOK_SIZE = 8, 1024  # of EnCodec at 6 kbps
COARSE_CODEBOOKS = 2  # that the coarse model predicts
FRAME_RATE = 75  # of EnCodec, in Hz

# Semantic model: text -> semantic tokens
SEMANTIC_RATE = 49.9  # tokens per second
SEMANTIC_SIZE = 10_000  # tokens
SEMANTIC_PAD = SEMANTIC_EOS = 10_000
TEXT_OFFSET, TEXT_PAD, SEMANTIC_INFER = 10_048, 129_595, 129_599
TEXT_SIZE = TEXT_PAD - TEXT_OFFSET  # ids of the text vocabulary
MAX_TEXT = MAX_HISTORY = 256  # ids of the text, and tokens of the history
MAX_SEMANTIC = 768  # tokens that are generated

# Coarse model: semantic tokens -> two codebooks, interleaved
RATIO = FRAME_RATE / SEMANTIC_RATE * COARSE_CODEBOOKS  # codes per semantic token
COARSE_PAD, COARSE_INFER = 12_048, 12_050
MAX_SEMANTIC_INPUT = 256
MAX_COARSE_HISTORY = 630  # codes before a window
WINDOW = 60  # codes after which the input is rebuilt

# Fine model: the other codebooks
FINE_PAD = 1024
FINE_HISTORY, FINE_STRIDE = 512, 512  # frames

VOCABULARIES = {SEMANTIC: (129_600, 10_048), COARSE: (12_096, 12_096), FINE: (1_056, 1_056)}  # input and output
MAX_LAYERS, MAX_WIDTH = 128, 2**13  # far above any published model: sizes may come from a damaged file
HEAD_WIDTH = 64  # of all published models, for files that do not store the number of heads


@dataclass(frozen=True, kw_only=True)
class GptConfig:
    """Sizes of one model."""

    layers: int
    width: int
    heads: int
    bias: bool = False
    """Whether linear layers and norms have biases; the norms of the fine model always have."""

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that no model has; they may come from a file."""
        for name, limit in {"layers": MAX_LAYERS, "width": MAX_WIDTH, "heads": MAX_WIDTH}.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} cannot be {short(value)}")
        if not isinstance(self.bias, bool):
            raise ValueError(f"bias cannot be {short(self.bias)}")
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width} cannot be divided among {self.heads} heads")


@dataclass(frozen=True, kw_only=True)
class BarkConfig:
    """Sizes of the three models."""

    semantic: GptConfig
    coarse: GptConfig
    fine: GptConfig

    def of(self, model: str) -> GptConfig:
        """Return the sizes of one of MODELS."""
        sizes: GptConfig = getattr(self, model)
        return sizes

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they are stored in config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BarkConfig:
        """Return the configuration in the fields of config.json. Raises ValueError."""
        try:
            return cls(**{name: GptConfig(**values[name]) for name in MODELS})
        except (KeyError, TypeError) as error:
            raise ValueError(f"its fields are not those of three models: {error}") from error


def frames_of(tokens: int) -> int:
    """Return the number of frames of that many semantic tokens."""
    return int(tokens * RATIO / COARSE_CODEBOOKS)


def tokens_for(frames: int) -> int:
    """Return the least number of semantic tokens that have so many frames."""
    return math.ceil(frames * COARSE_CODEBOOKS / RATIO)


def tokens_within(frames: int) -> int:
    """Return the largest number of semantic tokens that have at most so many frames, but at least one token."""
    return max(1, tokens_for(frames + 1) - 1)


def tokens_of(seconds: float) -> int:
    """Return the number of semantic tokens at which the published program stops, given a duration.

    It stops once the duration is exceeded: 1 s is 50 tokens of 49.9 a second.
    """
    return int(seconds * SEMANTIC_RATE) + 1
