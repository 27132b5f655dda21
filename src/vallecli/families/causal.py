"""What all families with an autoregressive model share: voices, requests, decoding by the engine, audio.

A family derives its backend from CausalBackend and adds its models: `causal` for the engine, `causal_request` for what
a request gives to it, and `finish` for the remaining codebooks.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vallecli import device as devices
from vallecli.audio import prompt
from vallecli.audio.prompt import PreparedPrompt
from vallecli.codec.base import AudioGrid, Codec
from vallecli.codec.select import CodecSpec
from vallecli.decoding import engine
from vallecli.decoding.batcher import ContinuousBatcher
from vallecli.decoding.graphs import new_batcher
from vallecli.decoding.linear import parameter_count
from vallecli.decoding.overlap import one_thread
from vallecli.decoding.request import CausalModel, CausalOutput, CausalRequest, Source
from vallecli.decoding.sampling import Sampling
from vallecli.errors import ForeignPreset, UsageError
from vallecli.families.base import Generated, Preset, Request, Tag, Voice, sentence_seed
from vallecli.families.base import Limits as Limits
from vallecli.text.base import AUTO, FrontEnd, Tokens
from vallecli.text.lexicon import Lexicon, Marked
from vallecli.text.pace import Pace
from vallecli.text.reader import TextReader

Ids = Sequence[Any] | np.ndarray[Any, Any] | Tensor


class CausalBackend(ABC):
    """A `families.base.Backend` whose first codebook is decoded by the engine.

    Codec and front end are loaded at first use, so that a checkpoint whose codec is not installed can still compute on
    token ids.
    """

    family: str
    causal: CausalModel
    needs_transcript: bool = True
    pace: Pace = Pace()

    def __init__(
        self,
        name: str,
        *,
        device: torch.device,
        dtype: torch.dtype,
        sampling: Sampling,
        limits: Limits,
        codec: CodecSpec,
    ) -> None:
        self.name, self.device, self.dtype = name, device, dtype
        self.sampling, self.limits = sampling, limits
        self._codec = codec
        self._spares: dict[int, ContinuousBatcher] = {}  # id of a model -> its last batcher

    # What a family adds

    @property
    @abstractmethod
    def front_end(self) -> FrontEnd:
        """Return the text front end. Raises CheckpointError and DependencyMissing."""

    @abstractmethod
    def causal_request(self, request: Request) -> CausalRequest:
        """Return what the engine decodes for a request. Raises ValueError for one that the model cannot start."""

    @abstractmethod
    def finish(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> list[Tensor]:
        """Given the first codebook of some requests, return all codebooks (T, Q) of each."""

    def finishing(self, outputs: Sequence[tuple[Request, CausalOutput]]) -> Iterator[tuple[str, list[Tensor]]]:
        """Yield the name and the codes of each model that `finish` uses, in turn; the last codes are complete."""
        yield "nar", self.finish(outputs)

    @abstractmethod
    def uncached_logits(self, request: Request, codes_T: Tensor) -> Tensor:
        """Return the next logits (1, V) behind some codes of a request (T,), computed without a cache."""

    @abstractmethod
    def random_tokens(self, number: int, generator: torch.Generator) -> Tokens:
        """Return random text ids, for measurements."""

    @property
    @abstractmethod
    def step_modules(self) -> tuple[torch.nn.Module, ...]:
        """Return what a decode step reads, apart from single rows of the embeddings."""

    @property
    @abstractmethod
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """Return the language models."""

    @property
    def step_rate(self) -> float:
        """Return how many codes of the causal model make a second of speech; by default, one code is a frame."""
        return self.grid.frame_rate

    @property
    def independent(self) -> bool:
        """Return True: by default, sentences know nothing of each other."""
        return True

    def random_voice(self, codes_PQ: Tensor, generator: torch.Generator) -> Voice:
        """Return a voice with these codes, for measurements."""
        return Voice(codes_to_int16(codes_PQ), "random")

    @property
    def voice_type(self) -> type[Voice]:
        """Return the class of the voices of this checkpoint."""
        return Voice

    def save_voice(self, voice: Voice, path: Path) -> None:
        """Raise UsageError: by default, voices are not saved as presets."""
        raise UsageError(f"voices of {self.family} checkpoints cannot be saved as presets", "Keep the recording.")

    # What all families share

    @property
    def grid(self) -> AudioGrid:
        """Return the rates of the codec."""
        return self._codec.grid

    @cached_property
    def codec(self) -> Codec:
        """Return the codec, in float32: audio has finer steps than logits. Raises CheckpointError."""
        codec = self._codec.load()
        codec.eval().to(self.device)
        loaded: Codec = codec
        return loaded

    @cached_property
    def reader(self) -> TextReader:
        """Return what reads texts. Raises CheckpointError and DependencyMissing."""
        return TextReader(self.front_end, self.limits.max_text_chars)

    def use_lexicon(self, lexicon: Lexicon | None) -> None:
        """Use a pronunciation lexicon for all texts from now on; see Backend.use_lexicon."""
        self.reader = self.reader.with_lexicon(lexicon)

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages of the front end."""
        return self.front_end.languages

    @property
    def max_prompt_seconds(self) -> float:
        """Return the length of the longest prompt."""
        return self.limits.max_prompt_frames / self.grid.frame_rate

    @property
    def parameters(self) -> int:
        """Return the number of parameters of the language models."""
        return sum(map(parameter_count, self.modules))

    def prepare(self) -> None:
        """Load the front end and the codec. Raises CheckpointError and DependencyMissing."""
        _ = self.codec, self.front_end

    def make_voice(self, recording: PreparedPrompt, transcript: str | None, source: str) -> Voice:
        """Return the voice of a recording at the grid's rate, of its first `max_prompt_seconds`."""
        recording = prompt.shorten(recording, source, self.max_prompt_seconds)
        wav_BN = torch.from_numpy(recording.wav)[None].to(self.device)
        codes_PQ = self.codec.encode(wav_BN)[0, : self.limits.max_prompt_frames]
        return Voice(codes_to_int16(codes_PQ), source, transcript if self.needs_transcript else None)

    def preset_voice(self, preset: Preset, source: str) -> Voice:
        """Raise ForeignPreset: by default, a family has no presets."""
        raise ForeignPreset(preset.family)

    def requests(
        self, text: str | Marked, voice: Voice, sampling: Sampling, *, language: str = AUTO, accent: str | None = None
    ) -> Iterator[Request]:
        """Yield the sentences of a text, each with a seed derived from its position; see Backend.requests."""
        prompt_words = (voice.phonemes or voice.transcript or "") if self.needs_transcript else None
        first = True
        for reading in self.reader.read(text, language=language, prompt_words=prompt_words, accent=accent):
            yield Request(
                text=reading.text,
                tokens=reading.tokens,
                voice=voice,
                sampling=replace(sampling, seed=sentence_seed(sampling.seed, reading.index)),
                index=reading.index,
                sentences=reading.sentences,
                first=first,
            )
            first = False

    def generate(
        self,
        requests: Iterable[tuple[Tag, Request]],
        *,
        slots: int,
        on_frame: Callable[[Tag, int], None] | None = None,
        on_error: Callable[[Tag, Exception], None] | None = None,
    ) -> Iterator[tuple[Tag, Generated]]:
        """Yield the codes of each request as it is done; see Backend.generate."""

        def report(pair: tuple[Tag, Request], frames: int) -> None:
            if on_frame is not None:
                on_frame(pair[0], frames)

        def fail(pair: tuple[Tag, Request], error: Exception) -> None:
            if on_error is None:
                raise error
            on_error(pair[0], error)

        def finish(outputs: list[tuple[tuple[Tag, Request], CausalOutput]]) -> list[Tensor]:
            return self.finish([(request, output) for (_, request), output in outputs])

        waiting = iter(requests)

        def fetch() -> tuple[tuple[Tag, Request], CausalRequest] | None:
            for pair in waiting:
                try:
                    return pair, self.causal_request(pair[1])
                except Exception as error:
                    fail(pair, error)
            return None

        many = slots > 1 or on_error is not None  # one of many jobs has the same audio whatever the slots
        with self.batcher(slots) as batcher, self._helpers(many=many) as helpers:
            outputs = engine.steps(batcher, Source(fetch), on_frame=report, on_error=fail)
            done = engine.finish_in_groups(
                outputs, finish, group=self.group(slots), helpers=helpers, ahead=batcher.rows, on_error=fail
            )
            for (tag, _), output, codes_TQ in done:
                yield tag, Generated(codes_TQ, str(output.stop_reason), output.log_probability)

    def decode(self, generated: Generated, voice: Voice) -> npt.NDArray[np.float32]:
        """Return the audio (N,) of one sentence."""
        wav_N: npt.NDArray[np.float32] = self.codec.decode(generated.codes_TQ[None])[0].float().cpu().numpy()
        return wav_N

    # Helpers for computations on token ids, which families offer for comparison with other implementations

    def ids(self, values: Ids, classes: int, name: str, width: int | None = None) -> Tensor:
        """Return ids in 0..classes-1 as (L,), or as (L, width). Raises ValueError for anything else."""
        ids = torch.as_tensor(values)
        if ids.is_floating_point() and ids.numel():  # an empty list has no type
            raise ValueError(f"{name} is {str(ids.dtype).removeprefix('torch.')}, it must be whole numbers")
        if not ids.numel() and width is not None:
            ids = ids.reshape(-1, width)
        if ids.ndim != (1 if width is None else 2) or (width is not None and ids.shape[1] != width):
            raise ValueError(f"{name} is {tuple(ids.shape)}, it must be {'(L,)' if width is None else f'(L, {width})'}")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
            raise ValueError(f"{name} has ids outside 0 to {classes - 1}")
        return ids.long().to(self.device)

    def prompt_ids(self, values: Ids) -> Tensor:
        """Return the codes of a prompt (P, Q). Raises ValueError."""
        return self.ids(values, self.grid.codebook_size, "prompt_codes", self.grid.codebooks)

    def voice_codes(self, voice: Voice) -> Tensor:
        """Return the codes of a voice (P, Q) on the device."""
        return torch.from_numpy(voice.codes_PQ).long().to(self.device)

    def sampling_of(self, frames: int | None, exclude_eos: bool, changes: Mapping[str, Any]) -> Sampling:
        """Return the default sampling with other fields, for at most `frames`, or exactly these if EOS is excluded."""
        sampling = replace(self.sampling, **changes)
        if frames is not None:
            sampling = replace(sampling, max_frames=frames, min_frames=min(sampling.min_frames, frames))
        if exclude_eos:
            sampling = replace(sampling, min_frames=sampling.max_frames or sys.maxsize)
        return sampling

    def decode_alone(self, request: CausalRequest) -> Tensor:
        """Return the first codebook (T,) of a request, decoded with the cache, on the CPU."""
        with self.batcher(1) as batcher:
            return engine.decode_one(batcher, request).codes_T.cpu()

    # Decoding

    @contextmanager
    @torch.inference_mode()
    def batcher(self, rows: int, model: CausalModel | None = None) -> Iterator[ContinuousBatcher]:
        """Lend a batcher of `causal` or another model: the last one if it fits, for its memory and CUDA graphs."""
        model = self.causal if model is None else model
        spare = self._spares.pop(id(model), None)
        lent = spare if spare is not None and spare.rows == rows else new_batcher(model, rows)
        try:
            yield lent
        finally:
            for row in range(rows):
                lent.free(row)
            self._spares[id(model)] = lent

    def group(self, slots: int) -> int:
        """Return how many requests `finish` gets at once when `slots` are decoded together."""
        return 1 if self.device.type == "cpu" else -(-slots // 2)  # one request keeps a CPU busy

    def _helpers(self, *, many: bool) -> AbstractContextManager[int]:
        """Yield the number of threads that can finish requests while this one takes decode steps."""
        small = self.parameters < devices.FULL_SIZE
        return one_thread() if many and small and self.device.type == "cpu" else nullcontext(0)


def codes_to_int16(codes: Tensor) -> npt.NDArray[np.int16]:
    """Return codes as a numpy array on the CPU."""
    return codes.cpu().numpy().astype(np.int16)
