"""The NAR loop: codebooks 2 to 8, all frames at once, one pass a codebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vallecli.decoding.finite import FiniteLogits
from vallecli.families.valle.config import NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.layers import key_mask
from vallecli.families.valle.nar import NAR


@dataclass(frozen=True, eq=False)
class NarInput:
    """Codebook 1 of the speech (T,), and the text (S,) and prompt (P, 8) it was decoded from; see `refine`."""

    text_S: Tensor
    prompt_PQ: Tensor
    codes_T: Tensor
    prompt_tokens: int = 0
    languages_S: Tensor | None = None


def without_prompt(
    config: ModelConfig, text_S: Tensor, languages_S: Tensor | None, prompt_tokens: int
) -> tuple[Tensor, Tensor | None]:
    """Return text and languages for the NAR: prefix modes 2 and 4 drop the prompt's tokens."""
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

    Stages with a guidance weight (ModelConfig.guidance) need a second pass without the prompt. `prompt_tokens` is the
    number of tokens of the prompt's transcript alone, with its begin and end marks; prefix modes 2 and 4 drop them
    from the text, all but the first. `on_stage` receives 1 to 7.
    """
    item = NarInput(text_S, prompt_PQ, codes_T, prompt_tokens, languages_S)
    return refine_many(model, [item], on_stage=on_stage)[0]


@torch.inference_mode()
def refine_many(
    model: NAR, inputs: Sequence[NarInput], *, on_stage: Callable[[int], None] | None = None
) -> list[Tensor]:
    """Return the codes (T, 8) of each input, as `refine`, by passes over all inputs at once. Raises NotFinite."""
    read = [without_prompt(model.config, item.text_S, item.languages_S, item.prompt_tokens) for item in inputs]
    known = [(text_S, languages_S) for text_S, languages_S in read if languages_S is not None]
    text_BS = pad_sequence([text_S for text_S, _ in read], batch_first=True)
    languages_BS = pad_sequence([languages_S for _, languages_S in known], batch_first=True) if known else None
    codes_BAQ = pad_sequence([_prompt_and_speech(item) for item in inputs], batch_first=True)
    lengths = [
        (len(text_S), len(item.prompt_PQ), len(item.prompt_PQ) + len(item.codes_T))
        for (text_S, _), item in zip(read, inputs, strict=True)
    ]
    text_len_B, prompt_len_B, audio_len_B = torch.tensor(lengths, device=codes_BAQ.device).T
    positions = codes_BAQ.shape[1]
    speech_BA = key_mask(positions, audio_len_B) & ~key_mask(positions, prompt_len_B)
    spans = [slice(prompt, end) for _, prompt, end in lengths]
    first = min(span.start for span in spans)
    finite = FiniteLogits()
    guidance = model.config.guidance or (0.0,) * (NUM_CODEBOOKS - 1)
    for stage in range(1, NUM_CODEBOOKS if any(len(item.codes_T) for item in inputs) else 1):
        logits_BAV = model(
            text_BS,
            text_len_B,
            codes_BAQ,
            prompt_len_B,
            audio_len_B,
            stage=stage,
            languages_BS=languages_BS,
            first=first,
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
                prompted_TV = logits_AV[span.start - first : span.stop - first]
                prompted_TV += weight * (prompted_TV - alone_TV[: len(prompted_TV)])
        found_BA = codes_BAQ[:, first:, stage]
        found_BA.copy_(torch.where(speech_BA[:, first:], finite.argmax(logits_BAV), found_BA))
        if on_stage is not None:
            on_stage(stage)
    finite.check()
    return [codes_AQ[span] for codes_AQ, span in zip(codes_BAQ, spans, strict=True)]


def _prompt_and_speech(item: NarInput) -> Tensor:
    """Return the codes (P + T, 8) of the prompt and then of the speech, with zeros where they are not known yet."""
    prompt, frames = len(item.prompt_PQ), len(item.codes_T)
    codes_AQ = item.codes_T.new_zeros(prompt + frames, NUM_CODEBOOKS)
    codes_AQ[:prompt] = item.prompt_PQ
    codes_AQ[prompt:, 0] = item.codes_T
    return codes_AQ
