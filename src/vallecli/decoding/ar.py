"""The AR loop: codebook 1, one frame after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from vallecli.decoding.sampling import Sampling, sample
from vallecli.model.ar import AR
from vallecli.model.config import BOS, EOS

FRAMES_PER_TOKEN = 16  # the published limit: speech longer than this many frames a text token has gone astray


class StopReason(StrEnum):
    """Why the AR ended."""

    EOS = "eos"
    MAX_FRAMES = "max_frames"


@dataclass(frozen=True)
class Speech:
    """What the AR wrote."""

    codes_T: Tensor
    stop_reason: StopReason


def audio_prefix(bos: str, prompt_P: Tensor) -> Tensor:
    """Given the prompt's codebook 1 (P,), return the AR's audio before the first new frame (A,)."""
    start = prompt_P.new_tensor([BOS])
    return {
        "none": prompt_P,
        "start": torch.cat([start, prompt_P]),
        "after_prompt": torch.cat([prompt_P, start]),
    }[bos]


@torch.inference_mode()
def generate(
    model: AR,
    text_S: Tensor,
    prompt_P: Tensor,
    sampling: Sampling,
    *,
    languages_S: Tensor | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> Speech:
    """Given text ids (S,) and the prompt's codebook 1 (P,), return the codebook 1 of the speech (T,).

    `on_frame` hears how many frames exist after each one. Raises ValueError where a model without BOS gets no prompt.
    """
    audio_A = audio_prefix(model.config.bos, prompt_P)
    if not len(audio_A):
        raise ValueError("this model needs a prompt: it has no BOS to begin from")
    limit = FRAMES_PER_TOKEN * len(text_S)
    if model.config.stop == "argmax" and model.config.bos == "none":
        limit += 1  # lifeiteng/vall-e counts BOS among the frames
    if sampling.max_frames is not None:
        limit = min(limit, sampling.max_frames)
    generator = torch.Generator(text_S.device).manual_seed(sampling.seed)
    lengths = torch.tensor([[len(text_S)], [len(audio_A)]], device=text_S.device)
    cache = model.new_cache(1, len(text_S), len(audio_A) + limit)
    languages_BS = None if languages_S is None else languages_S[None]
    logits_BV = model.prefill(text_S[None], lengths[0], audio_A[None], lengths[1], cache, languages_BS=languages_BS)
    codes: list[Tensor] = []
    while len(codes) < limit:
        if len(codes) < sampling.min_frames:
            logits_BV[:, EOS] = -torch.inf
        code_B = choose(logits_BV, sampling, generator)
        if code_B.item() == EOS or (model.config.stop == "argmax" and logits_BV.argmax(-1).item() == EOS):
            return Speech(torch.cat([text_S.new_empty(0), *codes]), StopReason.EOS)
        codes.append(code_B)
        if on_frame is not None:
            on_frame(len(codes))
        if len(codes) < limit:
            logits_BV = model.step(code_B, cache)
    return Speech(torch.cat([text_S.new_empty(0), *codes]), StopReason.MAX_FRAMES)


def choose(logits_BV: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """Given logits (B, V), return the next codes (B,): the likeliest, or drawn."""
    if sampling.greedy:
        return logits_BV.argmax(-1)
    return sample(
        logits_BV,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        generator=generator,
    )
