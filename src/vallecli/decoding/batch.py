"""Many utterances at once: the AR steps all rows together, and the NAR refines those that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from vallecli.decoding import ar
from vallecli.families.valle import refine as nar
from vallecli.decoding.ar import Tag
from vallecli.families.valle.refine import Draft
from vallecli.decoding.overlap import overlap
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Speech, StopReason, Utterance
from vallecli.families.valle.nar import NAR


@torch.inference_mode()
def decode(
    stepper: Stepper,
    model: NAR,
    utterances: Iterable[tuple[Tag, Utterance]],
    *,
    group: int = 1,
    helpers: int = 0,
    on_frame: Callable[[Tag, int], None] | None = None,
    on_error: Callable[[Tag, Exception], None] | None = None,
) -> Iterator[tuple[Tag, Tensor, StopReason]]:
    """Yield the codes (T, 8) of each utterance as it is done, and why they ended.

    The NAR waits for `group` utterances and takes them in one go, in this thread or those of the helpers; see
    `overlap`. For the rest see `ar.generate_many`.
    """
    ended = _ended(ar.generate_many(stepper, utterances, on_frame=on_frame, on_error=on_error))
    groups = iter(lambda: list(islice(ended, group)), [])
    refined = partial(_refined, model, on_error=on_error)
    for done in overlap(groups, refined, helpers=helpers, ahead=stepper.rows):
        yield from done


def _ended(spoken: Iterable[tuple[Tag, Utterance, Speech]]) -> Iterator[tuple[Tag, Draft, StopReason]]:
    for tag, said, speech in spoken:
        draft = Draft(said.text_S, said.prompt_PQ, speech.codes_T, said.prompt_tokens, said.languages_S)
        yield tag, draft, speech.stop_reason


def _refined(
    model: NAR,
    ended: list[tuple[Tag, Draft, StopReason]],
    *,
    on_error: Callable[[Tag, Exception], None] | None,
) -> list[tuple[Tag, Tensor, StopReason]]:
    try:
        codes = nar.refine_many(model, [draft for _, draft, _ in ended])
    except Exception as error:
        if on_error is None:
            raise
        if len(ended) > 1:  # for one alone there may be memory enough
            return [done for one in ended for done in _refined(model, [one], on_error=on_error)]
        on_error(ended[0][0], error)
        return []
    return [(tag, codes_TQ, reason) for (tag, _, reason), codes_TQ in zip(ended, codes, strict=True)]
