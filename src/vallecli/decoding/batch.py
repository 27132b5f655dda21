"""Many utterances at once: the AR steps all rows together, and the NAR refines those that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from vallecli.decoding import ar, nar
from vallecli.decoding.ar import Tag
from vallecli.decoding.nar import Draft
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import StopReason, Utterance
from vallecli.model.nar import NAR


@torch.inference_mode()
def decode(
    stepper: Stepper,
    model: NAR,
    utterances: Iterable[tuple[Tag, Utterance]],
    *,
    group: int = 1,
    on_frame: Callable[[Tag, int], None] | None = None,
) -> Iterator[tuple[Tag, Tensor, StopReason]]:
    """Yield the codes (T, 8) of each utterance as it is done, and why they ended.

    The NAR waits for `group` utterances and takes them in one go. For the rest see `ar.generate_many`.
    """
    ended: list[tuple[Tag, Draft, StopReason]] = []
    for tag, spoken, speech in ar.generate_many(stepper, utterances, on_frame=on_frame):
        draft = Draft(spoken.text_S, spoken.prompt_PQ, speech.codes_T, spoken.prompt_tokens, spoken.languages_S)
        ended.append((tag, draft, speech.stop_reason))
        if len(ended) == group:
            yield from _refined(model, ended)
            ended = []
    if ended:
        yield from _refined(model, ended)


def _refined(model: NAR, ended: list[tuple[Tag, Draft, StopReason]]) -> Iterator[tuple[Tag, Tensor, StopReason]]:
    codes = nar.refine_many(model, [draft for _, draft, _ in ended])
    for (tag, _, stop_reason), codes_TQ in zip(ended, codes, strict=True):
        yield tag, codes_TQ, stop_reason
