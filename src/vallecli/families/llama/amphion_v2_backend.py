"""A loaded VALL-E v2 of Amphion, and its computations on token ids.

backend = vallecli.load("folder", options={"heads": 16}).backend
codes_T = backend.generate_codes(phones_S, prompt_PQ, frames=40, exclude_eos=True, greedy=True)
codes_TQ = backend.refine(phones_S, prompt_PQ, codes_T)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vallecli import device as devices
from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import skeletons
from vallecli.codec.select import Codecs, CodecSpec
from vallecli.codec.speechtokenizer import SpeechTokenizer
from vallecli.decoding.request import CausalOutput, CausalRequest
from vallecli.decoding.sampling import Sampling
from vallecli.errors import DamagedCheckpoint, InputError, UsageError
from vallecli.families.base import Options, Request
from vallecli.families.causal import CausalBackend, Ids, Limits
from vallecli.families.inference import fill, random_tensors
from vallecli.families.llama.amphion_v2 import (
    CODEBOOK_SIZE,
    MAX_LENGTH,
    MIN_PROMPT_FRAMES,
    NUM_CODEBOOKS,
    AmphionV2AR,
    AmphionV2Config,
    AmphionV2NAR,
    NarInput,
    ar_prefix,
    refine,
)
from vallecli.families.llama.amphion_v2_files import GRID, NAME, Checkpoint, codec_of, read
from vallecli.families.llama.layers import LlamaConfig
from vallecli.text.amphion_v2 import PHONES, AmphionV2FrontEnd
from vallecli.text.base import Tokens
from vallecli.text.reader import TextReader

SAMPLING = Sampling(temperature=0.95, top_k=5, top_p=0.9)  # of the published demonstration
LIMITS = Limits(max_prompt_frames=500, max_text_chars=150)
PUBLISHED_STACK = LlamaConfig(layers=16, width=1024, heads=16, ffn=4096, activation="silu")
SIZES = {NAME: AmphionV2Config(ar=PUBLISHED_STACK, nar=PUBLISHED_STACK, phones=310)}


class AmphionV2Backend(CausalBackend):
    """The AR and the NAR of a checkpoint, on one device and in one precision.

    In the computations on token ids, `phones` is (S,): the ids of the prompt's transcript and of the text, each between
    <BOS> and <EOS>. `prompt_codes` is (P, 8). ValueError for an argument of another shape, or an id that is not in its
    table.
    """

    family = NAME

    def __init__(self, checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype, codec: CodecSpec) -> None:
        """Build the models. Raises DamagedCheckpoint."""
        super().__init__(checkpoint.name, device=device, dtype=dtype, sampling=SAMPLING, limits=LIMITS, codec=codec)
        self.config = checkpoint.config
        with skeletons():
            self.ar, self.nar = AmphionV2AR(self.config), AmphionV2NAR(self.config)
        for prefix, model in (("ar.", self.ar), ("nar.", self.nar)):
            fill(model, model.llama.layers, checkpoint.tensors, prefix, checkpoint.path, device=device, dtype=dtype)
        self.causal = self.ar

    @cached_property
    def front_end(self) -> AmphionV2FrontEnd:
        """Return the text front end. DamagedCheckpoint for a model without rows for all phones."""
        if self.config.phones < len(PHONES):
            raise DamagedCheckpoint(f"{self.name} has {self.config.phones} phone embeddings, not {len(PHONES)}")
        return AmphionV2FrontEnd()

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Return AR and NAR."""
        return self.ar, self.nar

    @property
    def step_modules(self) -> tuple[nn.Module, ...]:
        """Return what a decode step reads, apart from single rows of the embeddings."""
        return self.ar.llama, self.ar.head

    def causal_request(self, request: Request) -> CausalRequest:
        """Return what the AR decodes for a request. InputError if the prompt is too short, or the text too long."""
        prompt_PQ = self.voice_codes(request.voice)
        if len(prompt_PQ) < MIN_PROMPT_FRAMES:
            raise InputError(
                f"{request.voice.source} has {len(prompt_PQ)} frames, this model needs at least {MIN_PROMPT_FRAMES}",
                "Use a longer recording.",
            )
        prefix = ar_prefix(torch.tensor(request.tokens.ids, device=self.device), prompt_PQ[:, 0])
        if self.ar.max_frames(prefix) < 1:
            raise InputError(
                f"text and prompt need {len(prefix)} of {MAX_LENGTH} positions, so that there is no room for speech",
                "Use a shorter prompt or a shorter transcript.",
            )
        return self._causal(prefix, request.sampling)

    def _causal(self, prefix: Tensor, sampling: Sampling) -> CausalRequest:
        return CausalRequest(prefix, sampling, self.ar.max_frames(prefix))

    def finish(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> list[Tensor]:
        """Return all codebooks (T, 8) of some requests, by the NAR."""
        inputs = [
            NarInput(
                torch.tensor(request.tokens.ids, device=self.device),
                self.voice_codes(request.voice),
                output.codes_T,
            )
            for request, output in outputs
        ]
        return refine(self.nar, inputs)

    def uncached_logits(self, request: Request, codes_T: Tensor) -> Tensor:
        """Return the AR's next logits (1, 1025) behind some codes (T,), computed without a cache."""
        prefix = self.causal_request(request).prefix
        logits: Tensor = self.ar(torch.cat([prefix, codes_T])[None])[:, -1]
        return logits

    def random_tokens(self, number: int, generator: torch.Generator) -> Tokens:
        """Return random phones."""
        return Tokens(ids=torch.randint(0, len(PHONES), (number,), generator=generator).tolist())

    # Computations on token ids

    @torch.inference_mode()
    def ar_logits(self, phones: Ids, prompt_codes: Ids, codes: Ids) -> Tensor:
        """Given codebook 1 of the speech (T,), return logits (T + 1, 1025): of its codes, and of the next one.

        Row t depends on the codes before t. All rows are computed at once, without a cache. Class 1024 is EOS.
        """
        prefix = ar_prefix(self._phones(phones), self.prompt_ids(prompt_codes)[:, 0])
        ids_L = torch.cat([prefix, self.ids(codes, CODEBOOK_SIZE, "codes")])
        out: Tensor = self.ar(ids_L[None])[0, len(prefix) - 1 :].float().cpu()
        return out

    def request_of(
        self,
        phones: Ids,
        prompt_codes: Ids,
        *,
        frames: int | None = None,
        exclude_eos: bool = False,
        **sampling: Any,
    ) -> CausalRequest:
        """Return what the engine decodes; see generate_codes."""
        prefix = ar_prefix(self._phones(phones), self.prompt_ids(prompt_codes)[:, 0])
        return self._causal(prefix, self.sampling_of(frames, exclude_eos, sampling))

    def generate_codes(self, phones: Ids, prompt_codes: Ids, **how: Any) -> Tensor:
        """Return codebook 1 of the speech (T,), decoded with the cache.

        T is at most `frames`, and exactly `frames` with `exclude_eos=True`; by default the model's limit. Other
        keywords are fields of Sampling.
        """
        return self.decode_alone(self.request_of(phones, prompt_codes, **how))

    def refine(self, phones: Ids, prompt_codes: Ids, codes: Ids) -> Tensor:
        """Given codebook 1 of the speech (T,), return all of its codebooks (T, 8) by argmax."""
        codes_T = self.ids(codes, CODEBOOK_SIZE, "codes")
        return refine(self.nar, [NarInput(self._phones(phones), self.prompt_ids(prompt_codes), codes_T)])[0].cpu()

    @torch.inference_mode()
    def nar_logits(self, phones: Ids, prompt_codes: Ids, codes: Ids) -> Tensor:
        """Given all codebooks of the speech (T, 8), return logits (7, T, 1024) of codebooks 2 to 8.

        The logits of codebook k + 1 depend on codebooks 1 to k as they are given.
        """
        phones_S, prompt_PQ = self._phones(phones), self.prompt_ids(prompt_codes)
        codes_TQ = self.ids(codes, CODEBOOK_SIZE, "codes", NUM_CODEBOOKS)
        levels = [self.nar([(phones_S, prompt_PQ, codes_TQ[:, :level])], level)[0] for level in range(1, NUM_CODEBOOKS)]
        return torch.stack(levels).float().cpu()

    def _phones(self, phones: Ids) -> Tensor:
        phones_S = self.ids(phones, len(PHONES), "phones")
        if not len(phones_S):
            raise ValueError("phones has no ids")
        return phones_S


def text_reader(contents: Contents, options: Options) -> TextReader:
    """Return what reads texts for all checkpoints of this layout."""
    return TextReader(AmphionV2FrontEnd(), LIMITS.max_text_chars)


def load(contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs) -> AmphionV2Backend:
    """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError."""
    checkpoint = read(contents, options)
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    return AmphionV2Backend(checkpoint, device=device, dtype=precision, codec=codec_of(checkpoint, codecs))


def random_backend(size: str, *, device: torch.device, dtype: str) -> AmphionV2Backend:
    """Return a backend with random weights and a random codec. Raises UsageError for an unknown size."""
    if size not in SIZES:
        raise UsageError(f"there is no size {size!r}", f"Possible sizes: {', '.join(SIZES)}.")
    config = SIZES[size]
    with skeletons():
        tensors = random_tensors({"ar.": AmphionV2AR(config), "nar.": AmphionV2NAR(config)})
    checkpoint = Checkpoint(name=f"random-{size}", path=Path(f"random-{size}"), config=config, tensors=tensors)
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = CodecSpec(grid=GRID, load=lambda: SpeechTokenizer.random(0))
    return AmphionV2Backend(checkpoint, device=device, dtype=precision, codec=codec)
