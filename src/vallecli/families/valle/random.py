"""Random weights of published sizes, to measure speed without any file."""

from __future__ import annotations

from pathlib import Path

import torch

from vallecli import device as devices
from vallecli.codec.base import ENCODEC_GRID, Codec
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.codec.select import CodecSpec
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.errors import UsageError
from vallecli.families.causal import Limits
from vallecli.families.inference import random_tensors
from vallecli.families.valle.backend import ValleBackend
from vallecli.families.valle.checkpoint import Checkpoint, outline
from vallecli.families.valle.config import ModelConfig
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.vallex import VallexFrontEnd

NANO = ModelConfig(
    text_vocab=len(ArpabetFrontEnd.vocabulary),
    d_model=256,
    n_heads=4,
    n_layers=6,
    nar_d_model=256,
    nar_n_heads=4,
    nar_n_layers=5,
    bos="after_prompt",
    fixed_stages=True,
    ar_prompt_frames=300,
    guidance=(0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5),
)
VALLEX = ModelConfig(
    text_vocab=2048,
    d_model=1024,
    n_heads=16,
    n_layers=12,
    nar_d_model=1024,
    nar_n_heads=16,
    nar_n_layers=12,
    n_languages=3,
    bos="start",
)
SIZES = {"nano": NANO, "full": VALLEX}


def random_checkpoint(size: str) -> Checkpoint:
    """Return a checkpoint of random weights; see random_tensors. Raises UsageError for an unknown size."""
    if size not in SIZES:
        raise UsageError(f"there is no size {size!r}", f"Possible sizes: {', '.join(SIZES)}.")
    ar, nar = outline(SIZES[size])
    return Checkpoint(
        name=f"random-{size}",
        path=Path(f"random-{size}"),
        model=SIZES[size],
        tensors=random_tensors({"ar.": ar, "nar.": nar}),
        front_end=ArpabetFrontEnd.name if size == "nano" else VallexFrontEnd.name,
        codec={},
        limits=Limits(max_prompt_frames=750, max_text_chars=150),
    )


def random_codec(size: str) -> Codec:
    """Return a codec of random weights, of the kind that checkpoints of this size have."""
    if size == "nano":
        return NanoCodec(NanoCodecConfig())
    return VocosCodec(EncodecCodec.random(0), VocosDecoder())


def random_backend(family: str, size: str, *, device: torch.device, dtype: str) -> ValleBackend:
    """Return a backend with random weights and a random codec. Raises UsageError for an unknown size."""
    checkpoint = random_checkpoint(size)
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = CodecSpec(grid=ENCODEC_GRID, load=lambda: random_codec(size))
    return ValleBackend(family, checkpoint, device=device, dtype=precision, codec=codec)
