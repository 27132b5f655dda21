"""The NAR loop: codebooks 2 to 8, all frames at once, one pass a codebook."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vallecli.model.config import NUM_CODEBOOKS, ModelConfig
from vallecli.model.nar import NAR


def without_prompt(
    config: ModelConfig, text_S: Tensor, languages_S: Tensor | None, prompt_tokens: int
) -> tuple[Tensor, Tensor | None]:
    """Return text and languages as the NAR reads them: without the prompt's tokens, where its mode drops them."""
    if config.prefix_mode not in (2, 4) or not prompt_tokens:
        return text_S, languages_S
    kept = torch.cat([text_S[:1], text_S[prompt_tokens - 1 :]])
    return kept, None if languages_S is None else torch.cat([languages_S[:1], languages_S[prompt_tokens - 1 :]])


@torch.inference_mode()
def refine(
    model: NAR,
    text_S: Tensor,
    prompt_PQ: Tensor,
    codes_T: Tensor,
    *,
    prompt_tokens: int = 0,
    languages_S: Tensor | None = None,
    on_stage: Callable[[int], None] | None = None,
) -> Tensor:
    """Given text (S,), prompt codes (P, 8) and the speech's codebook 1 (T,), return its codes (T, 8) by argmax.

    `prompt_tokens` says how many tokens a front end makes of the prompt's transcript alone, with its begin and end
    marks; prefix modes 2 and 4 drop them from the text, all but the first. `on_stage` hears 1 to 7.
    """
    text_S, languages_S = without_prompt(model.config, text_S, languages_S, prompt_tokens)
    prompt, frames = len(prompt_PQ), len(codes_T)
    codes_AQ = codes_T.new_zeros(prompt + frames, NUM_CODEBOOKS)
    codes_AQ[:prompt] = prompt_PQ
    codes_AQ[prompt:, 0] = codes_T
    lengths = torch.tensor([[len(text_S)], [prompt], [prompt + frames]], device=codes_T.device)
    languages_BS = None if languages_S is None else languages_S[None]
    for stage in range(1, NUM_CODEBOOKS if frames else 1):
        logits_BAV = model(
            text_S[None], lengths[0], codes_AQ[None], *lengths[1:], stage=stage, languages_BS=languages_BS
        )
        codes_AQ[prompt:, stage] = logits_BAV[0, prompt:].argmax(-1)
        if on_stage is not None:
            on_stage(stage)
    return codes_AQ[prompt:]
