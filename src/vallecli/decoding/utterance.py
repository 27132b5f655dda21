"""What is spoken in one go: what the models are given, and what the AR makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from vallecli.decoding.sampling import Sampling
from vallecli.families.valle.config import BOS, ModelConfig

FRAMES_PER_TOKEN = 16  # the published limit: speech longer than this many frames a text token has gone astray


@dataclass(frozen=True, eq=False)
class Utterance:
    """A text to be said as a prompt goes on; see `tokens` for what the fields hold."""

    text_S: Tensor
    prompt_PQ: Tensor  # of which the AR reads codebook 1 alone
    sampling: Sampling
    languages_S: Tensor | None = None
    prompt_tokens: int = 0


class StopReason(StrEnum):
    """Why the AR ended."""

    EOS = "eos"
    MAX_FRAMES = "max_frames"


@dataclass(frozen=True, eq=False)
class Speech:
    """What the AR wrote."""

    codes_T: Tensor
    stop_reason: StopReason


def audio_prefix(config: ModelConfig, prompt_P: Tensor) -> Tensor:
    """Given the prompt's codebook 1 (P,), return the AR's audio before the first new frame (A,).

    Raises ValueError where a model without BOS gets no prompt.
    """
    if config.ar_prompt_frames:
        prompt_P = prompt_P[: config.ar_prompt_frames]
    start = prompt_P.new_tensor([BOS])
    audio_A = {
        "none": prompt_P,
        "start": torch.cat([start, prompt_P]),
        "after_prompt": torch.cat([prompt_P, start]),
    }[config.bos]
    if not len(audio_A):
        raise ValueError("this model needs a prompt: it has no BOS to begin from")
    return audio_A


def most_frames(config: ModelConfig, utterance: Utterance) -> int:
    """Return how many frames the AR may write."""
    limit = FRAMES_PER_TOKEN * len(utterance.text_S)
    if config.stop == "argmax" and config.bos == "none":
        limit += 1  # lifeiteng/vall-e counts BOS among the frames
    return min(limit, utterance.sampling.max_frames or limit)
