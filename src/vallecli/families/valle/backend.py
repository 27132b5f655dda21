"""The two models of a checkpoint on token ids alone, for whoever brings codes and phonemes: no codec, no front end.

    model = TokenModel(checkpoint, device=torch.device("cpu"), dtype=torch.float32)
    codes_T = model.generate_codes(text_S, prompt_PQ, frames=40, exclude_eos=True, greedy=True)
    codes_TQ = model.refine(text_S, prompt_PQ, codes_T)

Ids may be lists, numpy arrays or tensors; what comes back are tensors on the CPU, ids in int64 and logits in float32.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vallecli.decoding import ar
from vallecli.families.valle import refine as nar
from vallecli.decoding.graphs import new_stepper
from vallecli.decoding.sampling import Sampling
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import Utterance, audio_prefix
from vallecli.errors import DamagedCheckpoint
from vallecli.families.valle.checkpoint import Checkpoint, build_to_speak
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS

Ids = Sequence[Any] | np.ndarray[Any, Any] | Tensor


class TokenModel:
    """The AR and the NAR of a checkpoint, on one device and in one precision.

    Everywhere: `text` is (S,), prompt and target together as the checkpoint was trained; `prompt_codes` is (P, 8), P
    may be 0 in models with BOS; `languages` is (S,), for models with language embeddings and only for these.
    ValueError where an argument has another shape or an id is not in its table.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> None:
        """Build the models; DamagedCheckpoint if the tensors are not those its configuration tells of.

        torch.int8 is for CPUs; see build_to_speak.
        """
        self.name, self.device, self.dtype = checkpoint.name, device, dtype
        self.config, self.limits = checkpoint.model, checkpoint.limits
        try:
            self.sampling = Sampling(**checkpoint.sampling)  # type: ignore[arg-type]  # as config.json has them
        except (TypeError, ValueError) as error:
            raise DamagedCheckpoint(f"{checkpoint.path} has unknown sampling defaults: {error}") from error
        self.ar, self.nar = build_to_speak(checkpoint, device=device, dtype=dtype)
        self._spare: Stepper | None = None

    @contextmanager
    @torch.inference_mode()
    def stepper(self, rows: int) -> Iterator[Stepper]:
        """Lend rows to decode in: those of the last time where they fit, for the memory they have and their graphs."""
        spare, self._spare = self._spare, None
        lent = spare if spare is not None and spare.rows == rows else new_stepper(self.ar, rows)
        try:
            yield lent
        finally:
            for row in range(rows):
                lent.free(row)
            self._spare = lent

    def group(self, slots: int) -> int:
        """Return how many utterances the NAR refines in one go where so many are spoken together."""
        return 1 if self.device.type == "cpu" else -(-slots // 2)  # a CPU is busy with one

    @torch.inference_mode()
    def ar_logits(self, text: Ids, prompt_codes: Ids, codes: Ids, *, languages: Ids | None = None) -> Tensor:
        """Given codebook 1 of the speech (T,), return logits (T + 1, 1025): of its codes, and of what comes next.

        Row t is computed from the codes before t, all at once and without a cache; class 1024 is EOS.
        """
        text_S, languages_S = self._text(text, languages)
        prefix_A = audio_prefix(self.config, self._prompt(prompt_codes)[:, 0])
        audio_A = torch.cat([prefix_A, self._ids(codes, CODEBOOK_SIZE, "codes")])
        lengths = torch.tensor([[len(text_S)], [len(audio_A)]], device=self.device)
        languages_BS = None if languages_S is None else languages_S[None]
        logits_BAV = self.ar(text_S[None], lengths[0], audio_A[None], lengths[1], languages_BS=languages_BS)
        out: Tensor = logits_BAV[0, len(prefix_A) - 1 :].float().cpu()
        return out

    def generate_codes(
        self,
        text: Ids,
        prompt_codes: Ids,
        *,
        frames: int | None = None,
        exclude_eos: bool = False,
        languages: Ids | None = None,
        **knobs: Any,
    ) -> Tensor:
        """Return codebook 1 of the speech (T,), decoded with the cache; `knobs` are those of `Sampling`.

        T is at most `frames`, and just that where EOS is excluded; by default the model's own limit.
        """
        text_S, languages_S = self._text(text, languages)
        sampling = replace(self.sampling, **knobs)
        if frames is not None:
            sampling = replace(sampling, max_frames=frames, min_frames=min(sampling.min_frames, frames))
        if exclude_eos:
            sampling = replace(sampling, min_frames=sampling.max_frames or sys.maxsize)
        utterance = Utterance(text_S, self._prompt(prompt_codes), sampling, languages_S)
        with self.stepper(1) as stepper:
            return ar.generate(stepper, utterance).codes_T.cpu()

    def refine(
        self, text: Ids, prompt_codes: Ids, codes: Ids, *, prompt_tokens: int = 0, languages: Ids | None = None
    ) -> Tensor:
        """Given codebook 1 of the speech (T,), return all of its codebooks (T, 8) by argmax.

        `prompt_tokens` is how many ids the prompt's transcript alone has, with its begin and end: prefix modes 2 and
        4 drop these from the text.
        """
        text_S, languages_S = self._text(text, languages)
        return nar.refine(
            self.nar,
            text_S,
            self._prompt(prompt_codes),
            self._ids(codes, CODEBOOK_SIZE, "codes"),
            prompt_tokens=prompt_tokens,
            languages_S=languages_S,
        ).cpu()

    @torch.inference_mode()
    def nar_logits(
        self, text: Ids, prompt_codes: Ids, codes: Ids, *, prompt_tokens: int = 0, languages: Ids | None = None
    ) -> Tensor:
        """Given all codebooks of the speech (T, 8), return logits (7, T, 1024) of codebooks 2 to 8.

        Those of codebook k + 1 are computed from codebooks 1 to k as they are given.
        """
        text_S, languages_S = nar.without_prompt(self.config, *self._text(text, languages), prompt_tokens)
        prompt_PQ = self._prompt(prompt_codes)
        codes_AQ = torch.cat([prompt_PQ, self._ids(codes, CODEBOOK_SIZE, "codes", NUM_CODEBOOKS)])
        lengths = torch.tensor([[len(text_S)], [len(prompt_PQ)], [len(codes_AQ)]], device=self.device)
        languages_BS = None if languages_S is None else languages_S[None]
        stages = [
            self.nar(text_S[None], lengths[0], codes_AQ[None], *lengths[1:], stage=stage, languages_BS=languages_BS)
            for stage in range(1, NUM_CODEBOOKS)
        ]
        return torch.cat(stages)[:, len(prompt_PQ) :].float().cpu()

    def _text(self, text: Ids, languages: Ids | None) -> tuple[Tensor, Tensor | None]:
        """Return ids (S,) and languages (S,), these only for models that know them."""
        text_S = self._ids(text, self.config.text_vocab, "text")
        if not len(text_S):
            raise ValueError("text has no ids")
        if (languages is not None) != bool(self.config.n_languages):
            raise ValueError(f"this model knows {self.config.n_languages} languages of text ids")
        if languages is None:
            return text_S, None
        languages_S = self._ids(languages, self.config.n_languages, "languages")
        if len(languages_S) != len(text_S):
            raise ValueError(f"there are {len(text_S)} text ids and {len(languages_S)} languages")
        return text_S, languages_S

    def _prompt(self, codes: Ids) -> Tensor:
        """Return the prompt's codes (P, 8)."""
        return self._ids(codes, CODEBOOK_SIZE, "prompt_codes", NUM_CODEBOOKS)

    def _ids(self, values: Ids, classes: int, name: str, width: int | None = None) -> Tensor:
        """Return ids in 0..classes-1 as (L,), or as (L, width)."""
        ids = torch.as_tensor(values)
        if ids.is_floating_point() and ids.numel():  # an empty list has no type of its own
            raise ValueError(f"{name} is {str(ids.dtype).removeprefix('torch.')}, it must be whole numbers")
        if not ids.numel() and width is not None:
            ids = ids.reshape(-1, width)
        if ids.ndim != (1 if width is None else 2) or (width is not None and ids.shape[1] != width):
            raise ValueError(f"{name} is {tuple(ids.shape)}, it must be {'(L,)' if width is None else f'(L, {width})'}")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
            raise ValueError(f"{name} has ids outside 0 to {classes - 1}")
        return ids.long().to(self.device)
