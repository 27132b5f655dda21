"""The NAR loop: codebooks 2 to 8, all frames at once, one pass a codebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vallecli.families.valle.config import NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.layers import key_mask
from vallecli.families.valle.nar import NAR


@dataclass(frozen=True, eq=False)
class Draft:
    """Speech of which only codebook 1 is there, and what it was made from; see `refine`."""

    text_S: Tensor
    prompt_PQ: Tensor
    codes_T: Tensor
    prompt_tokens: int = 0
    languages_S: Tensor | None = None


def without_prompt(
    config: ModelConfig, text_S: Tensor, languages_S: Tensor | None, prompt_tokens: int
) -> tuple[Tensor, Tensor | None]:
    """Return text and languages as the NAR reads them: without the prompt's tokens, where its mode drops them."""
    if config.prefix_mode not in (2, 4) or not prompt_tokens:
        return text_S, languages_S
    kept = torch.cat([text_S[:1], text_S[prompt_tokens - 1 :]])
    return kept, None if languages_S is None else torch.cat([languages_S[:1], languages_S[prompt_tokens - 1 :]])


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

    Guided stages, which the model's config tells, also take a pass over the speech without its prompt.
    `prompt_tokens` says how many tokens a front end makes of the prompt's transcript alone, with its begin and end
    marks; prefix modes 2 and 4 drop them from the text, all but the first. `on_stage` hears 1 to 7.
    """
    draft = Draft(text_S, prompt_PQ, codes_T, prompt_tokens, languages_S)
    return refine_many(model, [draft], on_stage=on_stage)[0]


@torch.inference_mode()
def refine_many(model: NAR, drafts: Sequence[Draft], *, on_stage: Callable[[int], None] | None = None) -> list[Tensor]:
    """Return what `refine` makes of each draft, by passes over all of them at once."""
    read = [without_prompt(model.config, d.text_S, d.languages_S, d.prompt_tokens) for d in drafts]
    known = [(text_S, languages_S) for text_S, languages_S in read if languages_S is not None]
    text_BS = pad_sequence([text_S for text_S, _ in read], batch_first=True)
    languages_BS = pad_sequence([languages_S for _, languages_S in known], batch_first=True) if known else None
    codes_BAQ = pad_sequence([_prompt_and_draft(draft) for draft in drafts], batch_first=True)
    lengths = [
        (len(text_S), len(d.prompt_PQ), len(d.prompt_PQ) + len(d.codes_T))
        for (text_S, _), d in zip(read, drafts, strict=True)
    ]
    text_len_B, prompt_len_B, audio_len_B = torch.tensor(lengths, device=codes_BAQ.device).T
    positions = codes_BAQ.shape[1]
    speech_BA = key_mask(positions, audio_len_B) & ~key_mask(positions, prompt_len_B)
    spans = [slice(prompt, end) for _, prompt, end in lengths]
    guidance = model.config.guidance or (0.0,) * (NUM_CODEBOOKS - 1)
    for stage in range(1, NUM_CODEBOOKS if any(len(draft.codes_T) for draft in drafts) else 1):
        logits_BAV = model(
            text_BS, text_len_B, codes_BAQ, prompt_len_B, audio_len_B, stage=stage, languages_BS=languages_BS
        )
        if weight := guidance[stage - 1]:
            speech = [codes_AQ[span] for codes_AQ, span in zip(codes_BAQ, spans, strict=True)]
            alone_BTV = model(
                text_BS,
                text_len_B,
                pad_sequence(speech, batch_first=True),
                torch.zeros_like(prompt_len_B),
                audio_len_B - prompt_len_B,
                stage=stage,
                languages_BS=languages_BS,
            )
            for logits_AV, alone_TV, span in zip(logits_BAV, alone_BTV, spans, strict=True):
                prompted_TV = logits_AV[span]
                prompted_TV += weight * (prompted_TV - alone_TV[: len(prompted_TV)])
        codes_BAQ[..., stage] = torch.where(speech_BA, logits_BAV.argmax(-1), codes_BAQ[..., stage])
        if on_stage is not None:
            on_stage(stage)
    return [codes_AQ[span] for codes_AQ, span in zip(codes_BAQ, spans, strict=True)]


def _prompt_and_draft(draft: Draft) -> Tensor:
    """Return the codes (P + T, 8) of the prompt and, below them, of the speech as far as they are known."""
    prompt, frames = len(draft.prompt_PQ), len(draft.codes_T)
    codes_AQ = draft.codes_T.new_zeros(prompt + frames, NUM_CODEBOOKS)
    codes_AQ[:prompt] = draft.prompt_PQ
    codes_AQ[prompt:, 0] = draft.codes_T
    return codes_AQ
