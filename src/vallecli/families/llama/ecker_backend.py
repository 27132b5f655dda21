"""A loaded e-c-k-e-r/vall-e, and its computations on token ids.

backend = vallecli.load("fp32.sft", options={"tokenizer": "tokenizer.json"}).backend
codes_T = backend.generate_codes(text_S, prompt_PQ, "en", frames=40, exclude_eos=True, greedy=True)
codes_TQ = backend.refine(text_S, prompt_PQ, "en", codes_T)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vallecli import device as devices
from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import skeletons
from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.select import Codecs, CodecSpec
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.decoding import engine
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.request import CausalOutput, CausalRequest, StopReason
from vallecli.decoding.sampling import Sampling
from vallecli.errors import CheckpointError, InputError, UsageError
from vallecli.families.base import Generated, Options, Request, Tag
from vallecli.families.causal import CausalBackend, Ids, Limits
from vallecli.families.inference import fill, random_tensors
from vallecli.families.llama import ecker_nar
from vallecli.families.llama.ecker import Conditions, Ecker, ar, duration
from vallecli.families.llama.ecker_config import CODEBOOK_SIZE, DIGITS, LANGUAGES, NUM_CODEBOOKS, EckerConfig
from vallecli.families.llama.ecker_files import CODEC, NAME, TOKENIZER, Checkpoint, TextPart, read, text_part
from vallecli.families.llama.ecker_nar import MaskedInput, NarInput
from vallecli.families.llama.layers import LlamaConfig
from vallecli.text.base import Tokens
from vallecli.text.ecker import EckerFrontEnd
from vallecli.text.reader import TextReader

AR, NAR_LEN = "ar", "nar-len"
SAMPLING = {  # published defaults
    AR: Sampling(temperature=1.0, top_n_sigma=1.0),
    NAR_LEN: Sampling(greedy=True),
}
MIN_FRAMES, MAX_FRAMES = 75, 900  # 1 s, and 12 s as in the published program
STRETCH = 1.05  # of a predicted duration, as in the published program
LIMITS = Limits(max_prompt_frames=225, max_text_chars=140)  # 3 s, as in the published program, and text for 12 s
SIZES = {
    NAME: EckerConfig(
        name="ar+nar-len",
        llama=LlamaConfig(layers=12, width=1024, heads=16, ffn=4096, activation="gelu"),
        text_vocab=256,
        languages=len(LANGUAGES),
        unified_positions=False,
        bidirectional=True,
        biases=False,
        nar_len=True,
        duration=True,
    )
}


class EckerBackend(CausalBackend):
    """The model of a checkpoint, on one device and in one precision.

    Loader options: `decoding` chooses whether codebook 1 is decoded code by code ("ar") or by demasking ("nar-len");
    `guidance` is the strength of classifier-free guidance. In the computations on token ids, `text` is (S,) with <bos>
    and </eos>, `prompt_codes` is (P, 8), and `language` is one of `LANGUAGES`. ValueError for an argument of another
    shape, or an id that is not in its table.
    """

    family = NAME
    needs_transcript = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: Options,
        *,
        device: torch.device,
        dtype: torch.dtype,
        codec: CodecSpec,
    ) -> None:
        """Build the model. Raises DamagedCheckpoint, and UsageError for a decoding that it was not trained for."""
        self.config, self._checkpoint = checkpoint.config, checkpoint
        self.decoding, self.guidance = options.get("decoding", AR), options.get("guidance", 0.0)
        if self.decoding == NAR_LEN and not (self.config.nar_len and self.config.duration):
            raise UsageError(f"{checkpoint.name} was not trained for the decoding {NAR_LEN}", f"Use {AR}.")
        super().__init__(
            checkpoint.name,
            device=device,
            dtype=dtype,
            sampling=SAMPLING[self.decoding],
            limits=LIMITS,
            codec=codec,
        )
        with skeletons():
            self.model = Ecker(self.config)
        fill(self.model, self.model.llama.layers, checkpoint.tensors, "", checkpoint.path, device=device, dtype=dtype)
        self.ar = self.causal = ar(self.model)

    @cached_property
    def front_end(self) -> EckerFrontEnd:
        """Return the text front end. CheckpointError if there is no tokenizer, or that of another checkpoint."""
        return front_end_of(self._checkpoint)

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages that the model has embeddings of."""
        return LANGUAGES[: self.config.languages]

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Return the model."""
        return (self.model,)

    @property
    def step_modules(self) -> tuple[nn.Module, ...]:
        """Return what a decode step reads, apart from single rows of the embeddings."""
        return self.model.llama, self.model.heads[0]

    def _conditions(self, request: Request) -> Conditions:
        """Return what a request is generated from. Raises InputError for a voice without frames."""
        tokens, prompt_PQ = request.tokens, self.voice_codes(request.voice)
        if not len(prompt_PQ):
            raise InputError(f"{request.voice.source} has no frames", "Use a longer recording.")
        language = tokens.languages[0] if tokens.languages else 0
        return Conditions(torch.tensor(tokens.ids, device=self.device), language, prompt_PQ)

    def causal_request(self, request: Request) -> CausalRequest:
        """Return what the AR decodes for a request. Raises InputError."""
        return CausalRequest(self._conditions(request), request.sampling, MAX_FRAMES)

    def finish(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> list[Tensor]:
        """Return all codebooks (T, 8) of some requests, by the NAR."""
        inputs = [NarInput(self._conditions(request), output.codes_T) for request, output in outputs]
        return ecker_nar.refine(self.model, inputs, strength=self.guidance)

    def uncached_logits(self, request: Request, codes_T: Tensor) -> Tensor:
        """Return the AR's next logits (1, 1025) behind some codes (T,), computed without a cache."""
        return self.ar.logits(self._conditions(request), codes_T)[-1:]

    def random_tokens(self, number: int, generator: torch.Generator) -> Tokens:
        """Return random text ids."""
        ids = torch.randint(0, self.config.text_vocab, (number,), generator=generator).tolist()
        return Tokens(ids=ids, languages=[0] * number)

    # Decoding by demasking

    def generate(
        self,
        requests: Iterable[tuple[Tag, Request]],
        *,
        slots: int,
        on_frame: Callable[[Tag, int], None] | None = None,
        on_error: Callable[[Tag, Exception], None] | None = None,
    ) -> Iterator[tuple[Tag, Generated]]:
        """Yield the codes of each request as it is done; see Backend.generate."""
        if self.decoding == AR:
            yield from super().generate(requests, slots=slots, on_frame=on_frame, on_error=on_error)
            return
        waiting = iter(requests)
        while group := list(islice(waiting, self.group(slots))):
            yield from self._demask_group(group, on_frame, on_error)

    def _demask_group(
        self,
        group: list[tuple[Tag, Request]],
        on_frame: Callable[[Tag, int], None] | None,
        on_error: Callable[[Tag, Exception], None] | None,
    ) -> list[tuple[Tag, Generated]]:
        """Return the codes of some requests, generated together. If that fails, each is tried alone."""
        try:
            generated = self._demask([request for _, request in group])
        except Exception as error:
            if on_error is None:
                raise
            if len(group) > 1:  # there may be memory enough for one at a time
                return [done for item in group for done in self._demask_group([item], on_frame, on_error)]
            on_error(group[0][0], error)
            return []
        if on_frame is not None:
            for (tag, _), done in zip(group, generated, strict=True):
                on_frame(tag, len(done.codes_TQ))
        return [(tag, done) for (tag, _), done in zip(group, generated, strict=True)]

    @torch.inference_mode()
    def _demask(self, requests: Sequence[Request]) -> list[Generated]:
        conditions = [self._conditions(request) for request in requests]
        inputs, reasons = [], []
        for request, known, frames in zip(requests, conditions, self._durations(conditions), strict=True):
            limit = min(MAX_FRAMES, request.sampling.max_frames or MAX_FRAMES)
            length = min(max(frames, request.sampling.min_frames), limit)
            inputs.append(MaskedInput(known, length, request.sampling))
            reasons.append(StopReason.MAX_FRAMES if frames > limit else StopReason.EOS)
        first = ecker_nar.demask(self.model, inputs, strength=self.guidance)
        refined = ecker_nar.refine(
            self.model,
            [NarInput(known, codes_T) for known, codes_T in zip(conditions, first, strict=True)],
            strength=self.guidance,
        )
        return [Generated(codes_TQ, str(reason), None) for codes_TQ, reason in zip(refined, reasons, strict=True)]

    @torch.inference_mode()
    def _durations(self, conditions: Sequence[Conditions]) -> list[int]:
        """Return the predicted number of frames of each, at least a second."""
        greedy = Sampling(greedy=True, min_frames=0)
        requests = [(index, CausalRequest(known, greedy, DIGITS)) for index, known in enumerate(conditions)]
        batcher = ContinuousBatcher(duration(self.model), len(conditions))
        digits = {index: output.codes_T.tolist() for index, output in engine.decode(batcher, requests)}
        return [to_frames(digits[index]) for index in range(len(conditions))]

    # Computations on token ids

    @torch.inference_mode()
    def ar_logits(self, text: Ids, prompt_codes: Ids, language: str, codes: Ids) -> Tensor:
        """Given codebook 1 of the speech (T,), return logits (T + 1, 1025): of its codes, and of the next one.

        Row t depends on the codes before t. All rows are computed at once, without a cache. Class 1024 is EOS.
        """
        conditions = self._known(text, prompt_codes, language)
        return self.ar.logits(conditions, self.ids(codes, CODEBOOK_SIZE, "codes")).float().cpu()

    def request_of(
        self,
        text: Ids,
        prompt_codes: Ids,
        language: str,
        *,
        frames: int | None = None,
        exclude_eos: bool = False,
        **sampling: Any,
    ) -> CausalRequest:
        """Return what the engine decodes; see generate_codes."""
        conditions = self._known(text, prompt_codes, language)
        return CausalRequest(conditions, self.sampling_of(frames, exclude_eos, sampling), MAX_FRAMES)

    def generate_codes(self, text: Ids, prompt_codes: Ids, language: str, **how: Any) -> Tensor:
        """Return codebook 1 of the speech (T,), decoded by the AR with the cache.

        T is at most `frames`, and exactly `frames` with `exclude_eos=True`; by default the model's limit. Other
        keywords are fields of Sampling.
        """
        return self.decode_alone(self.request_of(text, prompt_codes, language, **how))

    def refine(self, text: Ids, prompt_codes: Ids, language: str, codes: Ids) -> Tensor:
        """Given codebook 1 of the speech (T,), return all of its codebooks (T, 8) by argmax."""
        item = NarInput(self._known(text, prompt_codes, language), self.ids(codes, CODEBOOK_SIZE, "codes"))
        return ecker_nar.refine(self.model, [item], strength=self.guidance)[0].cpu()

    @torch.inference_mode()
    def nar_logits(self, text: Ids, prompt_codes: Ids, language: str, codes: Ids) -> Tensor:
        """Given all codebooks of the speech (T, 8), return logits (7, T, 1024) of codebooks 2 to 8.

        The logits of codebook k + 1 depend on codebooks 1 to k as they are given.
        """
        conditions = self._known(text, prompt_codes, language)
        codes_TQ = self.ids(codes, CODEBOOK_SIZE, "codes", NUM_CODEBOOKS)
        levels = [
            self.model.nar_logits([(conditions, codes_TQ[:, :level])], level)[0] for level in range(1, NUM_CODEBOOKS)
        ]
        return torch.stack(levels).float().cpu()

    @torch.inference_mode()
    def duration_logits(self, text: Ids, prompt_codes: Ids, language: str, digits: Ids) -> Tensor:
        """Given the digits of a number of frames (T,), return logits (T + 1, 11) of each of them, and of the next.

        Class 10 ends the number. Raises ValueError if the model was not trained for that.
        """
        conditions = self._known(text, prompt_codes, language)
        return duration(self.model).logits(conditions, self.ids(digits, DIGITS, "digits")).float().cpu()

    def frames(self, text: Ids, prompt_codes: Ids, language: str) -> int:
        """Return the predicted number of frames. Raises ValueError if the model was not trained for that."""
        return self._durations([self._known(text, prompt_codes, language)])[0]

    def demask(
        self, text: Ids, prompt_codes: Ids, language: str, frames: int, *, steps: int = ecker_nar.STEPS, **sampling: Any
    ) -> Tensor:
        """Return codebook 1 of the speech (T,), by demasking in a number of steps; greedy unless `sampling` says so.

        Raises ValueError if the model was not trained for that.
        """
        if not self.config.nar_len:
            raise ValueError("this model was not trained for demasking")
        chosen = Sampling(**{"greedy": True, **sampling})
        item = MaskedInput(self._known(text, prompt_codes, language), frames, chosen)
        return ecker_nar.demask(self.model, [item], strength=self.guidance, steps=steps)[0].cpu()

    def _known(self, text: Ids, prompt_codes: Ids, language: str) -> Conditions:
        text_S, prompt_PQ = self.ids(text, self.config.text_vocab, "text"), self.prompt_ids(prompt_codes)
        if not len(text_S) or not len(prompt_PQ):
            raise ValueError("text and prompt_codes cannot be empty")
        if language not in self.languages:
            raise ValueError(f"language is {language!r}, it must be one of {', '.join(self.languages)}")
        return Conditions(text_S, self.languages.index(language), prompt_PQ)


def to_frames(digits: Sequence[int]) -> int:
    """Return the number of frames that predicted digits stand for, a little longer and at least a second."""
    value = int("".join(map(str, digits)) or "0")
    return max(MIN_FRAMES, int(value * STRETCH))


def front_end_of(checkpoint: Checkpoint | TextPart) -> EckerFrontEnd:
    """Return the front end. CheckpointError if there is no tokenizer, or that of another checkpoint."""
    if checkpoint.tokenizer is None:
        raise CheckpointError(
            f"{checkpoint.path} was published with a {TOKENIZER}, which is missing",
            f"Put {TOKENIZER} next to the weights, or give it as the loader option tokenizer=FILE.",
        )
    return EckerFrontEnd(
        checkpoint.tokenizer,
        checkpoint.tokenizer_source,
        languages=LANGUAGES[: checkpoint.config.languages],
        ids=checkpoint.config.text_vocab,
        symbols=checkpoint.symbols,
    )


def text_reader(contents: Contents, options: Options) -> TextReader:
    """Return what reads texts for a checkpoint. Raises CheckpointError and DependencyMissing."""
    return TextReader(front_end_of(text_part(contents, options)), LIMITS.max_text_chars)


def load(contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs) -> EckerBackend:
    """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError."""
    checkpoint = read(contents, options)
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = codecs.encodec(CODEC, name=checkpoint.name)
    return EckerBackend(checkpoint, options, device=device, dtype=precision, codec=codec)


def random_backend(size: str, *, device: torch.device, dtype: str) -> EckerBackend:
    """Return a backend with random weights and a random codec. Raises UsageError for an unknown size."""
    if size not in SIZES:
        raise UsageError(f"there is no size {size!r}", f"Possible sizes: {', '.join(SIZES)}.")
    config = SIZES[size]
    with skeletons():
        model = Ecker(config)
    checkpoint = Checkpoint(
        name=f"random-{size}",
        path=Path(f"random-{size}"),
        config=config,
        tensors=random_tensors({"": model}),
        symbols={},
        tokenizer=None,
    )
    precision = devices.pick_dtype(dtype, device, checkpoint.parameters)
    codec = CodecSpec(grid=ENCODEC_GRID, load=lambda: VocosCodec(EncodecCodec.random(0), VocosDecoder()))
    return EckerBackend(checkpoint, {}, device=device, dtype=precision, codec=codec)
