"""The grid that every codec and model here shares: 24 kHz audio, 75 frames a second, 8 codebooks of 1024."""

from __future__ import annotations


def exact_div(a: int, b: int) -> int:
    """Return a / b, which has to be a whole number."""
    quotient, rest = divmod(a, b)
    if rest:
        raise ValueError(f"{a} is not a multiple of {b}")
    return quotient


SAMPLE_RATE = 24_000  # samples a second
HOP = 320  # samples a frame
FRAME_RATE = exact_div(SAMPLE_RATE, HOP)  # 75 frames a second
NUM_CODEBOOKS = 8  # EnCodec at 6 kbps
CODEBOOK_SIZE = 1024  # entries of a codebook, 10 bits
