"""A loaded VALL-E: the backend of all layouts of this family, and its computations on token ids.

    backend = vallecli.load("vallex-checkpoint.pt").backend
    codes_T = backend.generate_codes(text_S, prompt_PQ, frames=40, exclude_eos=True, greedy=True)
    codes_TQ = backend.refine(text_S, prompt_PQ, codes_T)

For comparison with other implementations, ids may be lists, numpy arrays or tensors; results are tensors on the CPU,
ids in int64 and logits in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vallecli.audio.prompt import PreparedPrompt
from vallecli.codec import equalizer
from vallecli.codec.select import CodecSpec
from vallecli.decoding.request import CausalOutput, CausalRequest
from vallecli.decoding.sampling import Sampling
from vallecli.errors import DamagedCheckpoint, ForeignPreset
from vallecli.families.base import Generated, Preset, Request, Voice
from vallecli.families.causal import CausalBackend, Ids
from vallecli.families.valle import refine as nar_loop
from vallecli.families.valle.ar import Prefix, audio_prefix
from vallecli.families.valle.checkpoint import Checkpoint, build_for_inference
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS, ModelConfig
from vallecli.families.valle.front_ends import check_name, front_end_of
from vallecli.families.valle.preset import FAMILY as PRESET_FAMILY
from vallecli.families.valle.refine import NarInput
from vallecli.text.base import FrontEnd, Tokens
from vallecli.text.vallex import VallexFrontEnd

LEAST_SECONDS = 2  # of the limit of speech: one word has few text tokens, and may be longer than the published limit
FRAMES_PER_TOKEN = 16  # published limit: more frames per text token than this mean that decoding went wrong


class ValleBackend(CausalBackend):
    """The AR and the NAR of a checkpoint, on one device and in one precision.

    In the computations on token ids, `text` is (S,), prompt and target together as in training; `prompt_codes` is
    (P, 8), P may be 0 in models with BOS; `languages` is (S,), for models with language embeddings only. ValueError for
    an argument of another shape, or an id that is not in its table.
    """

    def __init__(
        self, family: str, checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype, codec: CodecSpec
    ) -> None:
        """Build the models. Raises DamagedCheckpoint."""
        check_name(checkpoint.front_end, checkpoint.path)
        try:
            sampling = Sampling(**checkpoint.sampling)  # type: ignore[arg-type]  # as in config.json
        except (TypeError, ValueError) as error:
            raise DamagedCheckpoint(f"{checkpoint.path} has unknown sampling defaults: {error}") from error
        super().__init__(
            checkpoint.name,
            device=device,
            dtype=dtype,
            sampling=sampling,
            limits=checkpoint.limits,
            codec=codec,
        )
        self.family, self.config = family, checkpoint.model
        self._front_end, self._symbols, self._path = checkpoint.front_end, checkpoint.symbols, checkpoint.path
        self._homographs, self._equalize = checkpoint.homographs, checkpoint.equalize
        self.pace = checkpoint.pace
        self.ar, self.nar = build_for_inference(checkpoint, device=device, dtype=dtype)
        self.causal = self.ar

    @cached_property
    def front_end(self) -> FrontEnd:
        """Return the text front end. Raises CheckpointError if its table of symbols is missing, or does not fit."""
        return front_end_of(self._front_end, self._symbols, self.config, self._path, homographs=self._homographs)

    @property
    def needs_transcript(self) -> bool:  # type: ignore[override]
        """Return whether a voice needs the words of its recording."""
        return self.config.needs_transcript

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Return AR and NAR."""
        return self.ar, self.nar

    def make_voice(self, recording: PreparedPrompt, transcript: str | None, source: str) -> Voice:
        """Return the voice of a recording, with its average spectrum if the checkpoint equalizes."""
        voice = super().make_voice(recording, transcript, source)
        return replace(voice, spectrum_C=equalizer.average_spectrum(recording.wav)) if self._equalize else voice

    def preset_voice(self, preset: Preset, source: str) -> Voice:
        """Return the voice of a preset. Raises ForeignPreset unless this checkpoint has the phonemes of VALL-E X."""
        if preset.family != PRESET_FAMILY or self._front_end != VallexFrontEnd.name:
            raise ForeignPreset(preset.family)
        return Voice(preset.codes_PQ, source, phonemes=preset.phonemes)

    def decode(self, generated: Generated, voice: Voice) -> npt.NDArray[np.float32]:
        """Return the audio (N,) of one sentence, its average spectrum moved towards the prompt's if so configured."""
        wav_N = super().decode(generated, voice)
        return wav_N if voice.spectrum_C is None else equalizer.equalize(wav_N, voice.spectrum_C, self._equalize)

    def causal_request(self, request: Request) -> CausalRequest:
        """Return what the AR decodes for a request. Raises ValueError for a model without BOS and an empty prompt."""
        tokens, voice = request.tokens, request.voice
        text_S = torch.tensor(tokens.ids, device=self.device)
        languages_S = None if tokens.languages is None else torch.tensor(tokens.languages, device=self.device)
        least = int(LEAST_SECONDS * self.grid.frame_rate)
        return self._causal(text_S, self.voice_codes(voice), languages_S, request.sampling, least_limit=least)

    def _causal(
        self,
        text_S: Tensor,
        prompt_PQ: Tensor,
        languages_S: Tensor | None,
        sampling: Sampling,
        *,
        least_limit: int = 0,
    ) -> CausalRequest:
        prefix = Prefix(text_S, audio_prefix(self.config, prompt_PQ[:, 0]), languages_S)
        return CausalRequest(prefix, sampling, max(least_limit, max_frames(self.config, len(text_S))))

    def finish(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> list[Tensor]:
        """Return all codebooks (T, 8) of some requests, by the NAR."""
        inputs = []
        for request, output in outputs:
            tokens = request.tokens
            languages_S = None if tokens.languages is None else torch.tensor(tokens.languages, device=self.device)
            text_S, prompt_PQ = torch.tensor(tokens.ids, device=self.device), self.voice_codes(request.voice)
            inputs.append(NarInput(text_S, prompt_PQ, output.codes_T, tokens.prompt_tokens, languages_S))
        return nar_loop.refine_many(self.nar, inputs)

    def uncached_logits(self, request: Request, codes_T: Tensor) -> Tensor:
        """Return the AR's next logits (1, 1025) behind some codes (T,), computed without a cache."""
        prefix = self.causal_request(request).prefix
        audio_BA = torch.cat([prefix.audio_A, codes_T])[None]
        lengths = torch.tensor([[len(prefix.text_S)], [audio_BA.shape[1]]], device=self.device)
        languages_BS = None if prefix.languages_S is None else prefix.languages_S[None]
        logits: Tensor = self.ar(prefix.text_S[None], lengths[0], audio_BA, lengths[1], languages_BS=languages_BS)
        return logits[:, -1]

    def random_tokens(self, number: int, generator: torch.Generator) -> Tokens:
        """Return random text ids."""
        ids = torch.randint(0, self.config.text_vocab, (number,), generator=generator).tolist()
        return Tokens(ids=ids, languages=[0] * number if self.config.n_languages else None)

    @property
    def step_modules(self) -> tuple[nn.Module, ...]:
        """Return what a decode step reads, apart from single rows of the embeddings."""
        return self.ar.layers, self.ar.norm, self.ar.head

    # Computations on token ids

    @torch.inference_mode()
    def ar_logits(self, text: Ids, prompt_codes: Ids, codes: Ids, *, languages: Ids | None = None) -> Tensor:
        """Given codebook 1 of the speech (T,), return logits (T + 1, 1025): of its codes, and of the next one.

        Row t depends on the codes before t. All rows are computed at once, without a cache. Class 1024 is EOS.
        """
        text_S, languages_S = self._text(text, languages)
        prefix_A = audio_prefix(self.config, self.prompt_ids(prompt_codes)[:, 0])
        audio_A = torch.cat([prefix_A, self.ids(codes, CODEBOOK_SIZE, "codes")])
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
        **sampling: Any,
    ) -> Tensor:
        """Return codebook 1 of the speech (T,), decoded with the cache; `sampling` are fields of Sampling.

        T is at most `frames`, and exactly `frames` if EOS is excluded; by default the model's limit.
        """
        text_S, languages_S = self._text(text, languages)
        chosen = self.sampling_of(frames, exclude_eos, sampling)
        return self.decode_alone(self._causal(text_S, self.prompt_ids(prompt_codes), languages_S, chosen))

    def refine(
        self, text: Ids, prompt_codes: Ids, codes: Ids, *, prompt_tokens: int = 0, languages: Ids | None = None
    ) -> Tensor:
        """Given codebook 1 of the speech (T,), return all of its codebooks (T, 8) by argmax.

        `prompt_tokens` is the number of ids of the prompt's transcript alone, with its begin and end: prefix modes 2
        and 4 drop these from the text.
        """
        text_S, languages_S = self._text(text, languages)
        return nar_loop.refine(
            self.nar,
            text_S,
            self.prompt_ids(prompt_codes),
            self.ids(codes, CODEBOOK_SIZE, "codes"),
            prompt_tokens=prompt_tokens,
            languages_S=languages_S,
        ).cpu()

    @torch.inference_mode()
    def nar_logits(
        self, text: Ids, prompt_codes: Ids, codes: Ids, *, prompt_tokens: int = 0, languages: Ids | None = None
    ) -> Tensor:
        """Given all codebooks of the speech (T, 8), return logits (7, T, 1024) of codebooks 2 to 8.

        The logits of codebook k + 1 depend on codebooks 1 to k as they are given.
        """
        text_S, languages_S = nar_loop.without_prompt(self.config, *self._text(text, languages), prompt_tokens)
        prompt_PQ = self.prompt_ids(prompt_codes)
        codes_AQ = torch.cat([prompt_PQ, self.ids(codes, CODEBOOK_SIZE, "codes", NUM_CODEBOOKS)])
        lengths = torch.tensor([[len(text_S)], [len(prompt_PQ)], [len(codes_AQ)]], device=self.device)
        languages_BS = None if languages_S is None else languages_S[None]
        stages = [
            self.nar(text_S[None], lengths[0], codes_AQ[None], *lengths[1:], stage=stage, languages_BS=languages_BS)
            for stage in range(1, NUM_CODEBOOKS)
        ]
        return torch.cat(stages)[:, len(prompt_PQ) :].float().cpu()

    def _text(self, text: Ids, languages: Ids | None) -> tuple[Tensor, Tensor | None]:
        """Return ids (S,) and languages (S,), these only for models that know them."""
        text_S = self.ids(text, self.config.text_vocab, "text")
        if not len(text_S):
            raise ValueError("text has no ids")
        if (languages is not None) != bool(self.config.n_languages):
            raise ValueError(f"this model has {self.config.n_languages} language embeddings")
        if languages is None:
            return text_S, None
        languages_S = self.ids(languages, self.config.n_languages, "languages")
        if len(languages_S) != len(text_S):
            raise ValueError(f"there are {len(text_S)} text ids and {len(languages_S)} languages")
        return text_S, languages_S


def max_frames(config: ModelConfig, text_tokens: int) -> int:
    """Return the number of frames at which the published code stops."""
    limit = FRAMES_PER_TOKEN * text_tokens
    if config.stop == "argmax" and config.bos == "none":
        limit += 1  # lifeiteng/vall-e counts BOS as a frame
    return limit
