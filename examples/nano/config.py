"""Hyper-parameters of nano as they are written to config.json: model sizes, limits and sampling defaults."""

from __future__ import annotations

import torch

from vallecli.codec.nano import NanoCodec
from vallecli.codec.source_filter import DECIBEL, NOISE_BANDS
from vallecli.families.causal import Limits
from vallecli.text.arpabet import ArpabetFrontEnd

MIN_PROMPT, AR_PROMPT, MAX_PROMPT = 60, 300, 600  # frames of a training prompt: 0.8 to 4 (AR) or 8 seconds (NAR)
MODEL = {
    "text_vocab": len(ArpabetFrontEnd.vocabulary),
    "d_model": 256,
    "n_heads": 4,
    "n_layers": 6,
    "nar_d_model": 256,
    "nar_n_heads": 4,
    "nar_n_layers": 5,
    "bos": "after_prompt",
    "prefix_mode": 1,
    "tied_heads": True,
    "fixed_stages": True,
    "ar_prompt_frames": AR_PROMPT,
    "guidance": (0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5),  # none for codebooks 2 to 4, which carry the words
}
LIMITS = Limits(max_prompt_frames=MAX_PROMPT, max_text_chars=90)
SAMPLING = {"temperature": 0.5, "top_p": 0.9}
NOISE = -3.0  # dB, change of the decoder's noise level at export: lower is clearer, but less similar
EQUALIZE = 0.5  # share of the difference to the prompt's average spectrum


@torch.no_grad()
def turn_noise(codec: NanoCodec, decibels: float) -> None:
    """Change the level of the decoder's noise by a number of decibels, in place."""
    codec.voice.out.bias[-NOISE_BANDS:] += decibels * DECIBEL
