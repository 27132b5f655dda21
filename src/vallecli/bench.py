"""How long each stage takes, and what share of the memory's speed a step of the AR reaches: what `valle bench` tells.

What is spoken is noise of a given size: random text, a random prompt, and no end before the frames are full. Weights
may be random as well, of a size by name, so that no file is needed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vallecli import device as devices
from vallecli.codec.base import Codec
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.constants import FRAME_RATE
from vallecli.families.valle import refine as nar
from vallecli.families.valle.refine import Draft
from vallecli.decoding.stepper import Stepper
from vallecli.decoding.utterance import FRAMES_PER_TOKEN, Utterance, audio_prefix
from vallecli.errors import UsageError
from vallecli.families.valle.checkpoint import Checkpoint, Limits, outline, state_to_store
from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS, ModelConfig
from vallecli.synthesizer import Synthesizer
from vallecli.text.english.arpabet import ArpabetFrontEnd
from vallecli.families.valle.backend import TokenModel

COPIED = 2**28  # bytes that are copied to see how fast the memory is: more than any cache holds
LENGTHS = 5  # of speech, at which a step without a cache is measured
BRIEF = 8  # frames or steps that warm up what does not hang on their number
LAST = 16  # steps at the end of the frames, of which the time is told apart

NANO = ModelConfig(
    text_vocab=len(ArpabetFrontEnd.vocabulary),
    d_model=256,
    n_heads=4,
    n_layers=6,
    nar_d_model=256,
    nar_n_heads=4,
    nar_n_layers=5,
    bos="after_prompt",
    fixed_stages=True,
    ar_prompt_frames=300,
    guidance=(0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5),
)
VALLEX = ModelConfig(
    text_vocab=2048,
    d_model=1024,
    n_heads=16,
    n_layers=12,
    nar_d_model=1024,
    nar_n_heads=16,
    nar_n_layers=12,
    n_languages=3,
    bos="start",
)
RANDOM_STD = 0.03  # of weights without training
RANDOM = {"nano": NANO, "full": VALLEX}  # sizes that random weights can have


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is measured: utterances that are spoken together, and how long each is."""

    batch: int
    phonemes: int
    """Text ids, the prompt's and those to be said."""
    prompt_frames: int
    frames: int
    steps: int
    """Of the AR, over which its time a step is averaged."""

    def __post_init__(self) -> None:
        """Raise UsageError for speech that is longer than a model ever makes of the text."""
        most = FRAMES_PER_TOKEN * self.phonemes
        if max(self.frames, self.steps) > most:
            raise UsageError(
                f"{self.phonemes} phonemes make at most {most} frames", "Give more --phonemes or fewer --frames."
            )


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of an utterance in each stage; a step is that of all utterances together."""

    prefill_ms: float
    step_ms: float
    step_ms_at_end: float
    """Of the steps up to the last frame, for steps get slower."""
    nar_ms: float
    codec_ms: float


Tell = Callable[[str], object]  # hears what is being done


def random_checkpoint(size: str) -> Checkpoint:
    """Return a checkpoint of random weights. Raises UsageError for a size without a name.

    All tensors begin with the same numbers, so that they are no larger than the largest one. They are in float64: that
    is no model's precision, so each model has weights of its own, as it has from a file.
    """
    if size not in RANDOM:
        raise UsageError(f"there is no size called {size!r}", f"Known are: {', '.join(RANDOM)}.")
    shapes = {
        f"{name}.{key}": tensor.shape
        for name, model in zip(("ar", "nar"), outline(RANDOM[size]), strict=True)
        for key, tensor in state_to_store(model).items()
    }
    most = max(shape.numel() for shape in shapes.values())
    numbers = RANDOM_STD * torch.randn(most, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Checkpoint(
        name=f"random-{size}",
        path=Path(f"random-{size}"),
        model=RANDOM[size],
        tensors={key: numbers[: shape.numel()].view(shape) for key, shape in shapes.items()},
        front_end="none",
        codec={},
        limits=Limits(max_prompt_frames=1, max_text_chars=1),
    )


def random_codec(size: str, device: torch.device) -> Codec:
    """Return a codec of random weights, of the kind that checkpoints of this size have."""
    if size == "nano":
        return NanoCodec(NanoCodecConfig()).eval().to(device)
    return VocosCodec(EncodecCodec.random(0), VocosDecoder()).eval().to(device)


def load(checkpoint: str, random_weights: str | None, *, device: str, dtype: str) -> tuple[TokenModel, Codec]:
    """Return a checkpoint's model and codec, or random ones of a size. Raises what loading raises."""
    if random_weights is None:
        synthesizer = Synthesizer.load(checkpoint, device=device, dtype=dtype)
        return synthesizer, synthesizer.codec
    made, where = random_checkpoint(random_weights), devices.pick(device)
    precision = devices.pick_dtype(dtype, where, made.parameters)
    return TokenModel(made, device=where, dtype=precision), random_codec(random_weights, where)


def measure(
    work: Work,
    checkpoint: str,
    random_weights: str | None,
    *,
    device: str,
    dtype: str,
    baseline: bool,
    tell: Tell,
) -> dict[str, Any]:
    """Return what `valle bench --json` prints: sizes in bytes, times in seconds but for `_ms`.

    The baseline is the plain way: float32, one utterance, no cache, and the matrix products that torch itself takes.
    """
    model, codec = load(checkpoint, random_weights, device=device, dtype=dtype)
    subject = Bench(model, codec, work, tell)
    times = subject.run()
    read, peak = subject.bytes_per_step(), peak_memory(model.device)
    tell("memory")
    bandwidth = copy_bandwidth(model.device)
    report: dict[str, Any] = {
        "checkpoint": model.name,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **asdict(work),
        **subject.summary(times),
        "peak_memory": peak,
        "bytes_per_step": read,
        "copy_bandwidth": round(bandwidth),
        "bandwidth_share": _rounded(read / (times.step_ms / 1000) / bandwidth),
    }
    if baseline:
        if model.dtype != torch.float32:
            del subject, model
            model, codec = load(checkpoint, random_weights, device=device, dtype="float32")
        plain = Bench(model, codec, replace(work, batch=1), tell)
        report["baseline"] = plain.summary(plain.run_plain())
        report["speedup"] = _rounded(report["baseline"]["real_time_factor"] / report["real_time_factor"])
    return report


class Bench:
    """A model and a codec, and the work they are measured at."""

    def __init__(self, model: TokenModel, codec: Codec, work: Work, tell: Tell) -> None:
        self.model, self.codec, self.work, self.tell = model, codec, work, tell
        generator = torch.Generator().manual_seed(0)
        self.drafts: list[Draft] = []
        self.utterances: list[Utterance] = []
        for _ in range(work.batch):
            text_S = torch.randint(0, model.config.text_vocab, (work.phonemes,), generator=generator).to(model.device)
            length = work.prompt_frames + work.frames
            codes_AQ = torch.randint(0, CODEBOOK_SIZE, (length, NUM_CODEBOOKS), generator=generator).to(model.device)
            prompt_PQ, codes_TQ = codes_AQ[: work.prompt_frames], codes_AQ[work.prompt_frames :]
            languages_S = torch.zeros_like(text_S) if model.config.n_languages else None
            sampling = replace(model.sampling, min_frames=work.steps + 1, max_frames=work.steps + 1)
            self.drafts.append(Draft(text_S, prompt_PQ, codes_TQ[:, 0], languages_S=languages_S))
            self.utterances.append(Utterance(text_S, prompt_PQ, sampling, languages_S))
            self.codes_TQ = codes_TQ

    def run(self) -> Times:
        """Measure the stages as `Synthesizer.speak_many` goes through them."""
        with torch.inference_mode(), self.model.stepper(self.work.batch) as stepper:
            self.tell("warming up")
            self._prefill(stepper, self.utterances)
            self._step(stepper, self.work.steps if stepper.every > 1 else min(BRIEF, self.work.steps))
            self._free(stepper)
            self.tell("AR, prefill")
            prefill_ms = self._timed(lambda: self._prefill(stepper, self.utterances))
            self.tell(f"AR, {self.work.steps} steps")
            step_ms = self._step(stepper, self.work.steps)
            self._free(stepper)
            at_end_ms = self._at_end(stepper)
        group = self.drafts[: self.model.group(self.work.batch)]
        return Times(
            prefill_ms=prefill_ms / self.work.batch,
            step_ms=step_ms,
            step_ms_at_end=at_end_ms,
            nar_ms=self._nar(group) / len(group),
            codec_ms=self._codec(),
        )

    @torch.inference_mode()
    def run_plain(self) -> Times:
        """Measure one utterance without a cache: each step is a pass over all there is, measured at some lengths."""
        self.tell("the plain way: AR")
        draft, model, frames = self.drafts[0], self.model, self.work.frames
        prefix_A = audio_prefix(model.config, draft.prompt_PQ[:, 0])
        languages_BS = None if draft.languages_S is None else draft.languages_S[None]
        text_len = torch.tensor([len(draft.text_S)], device=model.device)

        def step(said: int) -> None:
            audio_BA = torch.cat([prefix_A, draft.codes_T[:said]])[None]
            audio_len = torch.tensor([audio_BA.shape[1]], device=model.device)
            model.ar(draft.text_S[None], text_len, audio_BA, audio_len, languages_BS=languages_BS)

        with torch_alone():
            step(0)
            middles = [frames * (2 * part + 1) // (2 * LENGTHS) for part in range(LENGTHS)]
            step_ms = sum(self._timed(partial(step, said)) for said in middles) / LENGTHS
            at_end_ms = self._timed(partial(step, frames))
            nar_ms = self._nar([draft])
        return Times(prefill_ms=0.0, step_ms=step_ms, step_ms_at_end=at_end_ms, nar_ms=nar_ms, codec_ms=self._codec())

    def _prefill(self, stepper: Stepper, utterances: list[Utterance]) -> None:
        for row, utterance in enumerate(utterances):
            stepper.prefill(row, utterance)
        stepper.look()

    def _free(self, stepper: Stepper) -> None:
        for row in range(stepper.rows):
            stepper.free(row)

    def _step(self, stepper: Stepper, steps: int) -> float:
        """Return the milliseconds a step takes where so many are taken."""
        looks = -(-steps // stepper.every)

        def take() -> None:
            for _ in range(looks):
                stepper.step()
                stepper.look()

        return self._timed(take) / looks / stepper.every

    def _at_end(self, stepper: Stepper) -> float:
        """Return the milliseconds of a step where all but the last frames are there, as if they were of the prompt."""
        last = min(LAST, self.work.frames)
        utterances = []
        for spoken, draft in zip(self.utterances, self.drafts, strict=True):
            said_TQ = draft.codes_T[: self.work.frames - last, None].expand(-1, NUM_CODEBOOKS)
            sampling = replace(spoken.sampling, min_frames=last + 1, max_frames=last + 1)
            utterances.append(replace(spoken, prompt_PQ=torch.cat([spoken.prompt_PQ, said_TQ]), sampling=sampling))
        self.tell(f"AR, {last} steps at the end")
        for _ in range(2):  # the first time warms up
            self._prefill(stepper, utterances)
            step_ms = self._step(stepper, last)
            self._free(stepper)
        return step_ms

    def _nar(self, drafts: list[Draft]) -> float:
        self.tell("NAR")
        frames = self.work.frames if self.model.device.type == "cuda" else BRIEF
        nar.refine_many(self.model.nar, [replace(draft, codes_T=draft.codes_T[:frames]) for draft in drafts])
        return self._timed(lambda: nar.refine_many(self.model.nar, drafts))

    def _codec(self) -> float:
        self.tell("codec")
        self.codec.decode(self.codes_TQ[None])
        return self._timed(lambda: self.codec.decode(self.codes_TQ[None]))

    def _timed(self, stage: Callable[[], object]) -> float:
        """Return how many milliseconds a stage takes, to the end of what it leaves to the device."""
        self._wait()
        begun = time.perf_counter()
        stage()
        self._wait()
        return 1000 * (time.perf_counter() - begun)

    def _wait(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)

    def summary(self, times: Times) -> dict[str, Any]:
        """Return the times, and what follows from them for the whole of the work."""
        batch, group = self.work.batch, self.model.group(self.work.batch)
        steps_ms = batch * times.prefill_ms + self.work.frames * times.step_ms
        whole_ms = steps_ms + batch * (times.nar_ms + times.codec_ms)
        first_ms = steps_ms + group * times.nar_ms + times.codec_ms
        return {
            **{name: _rounded(value) for name, value in asdict(times).items()},
            "real_time_factor": _rounded(whole_ms / 1000 / (batch * self.work.frames / FRAME_RATE)),
            "time_to_first_audio": _rounded(first_ms / 1000),
        }

    def bytes_per_step(self) -> int:
        """Return how much a step of the AR has to read: its weights, and halfway through the steps, the cache."""
        model, work = self.model.ar, self.work
        weights = sum(_bytes(module) for module in (model.layers, model.norm, model.head))
        positions = work.phonemes + work.prompt_frames + work.steps // 2
        line = 2 * model.config.d_model * model.head.weight.element_size()
        return weights + work.batch * positions * line * model.config.n_layers


@contextmanager
def torch_alone() -> Iterator[None]:
    """Let matrix products be those that torch itself takes; see model.layers.product."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def copy_bandwidth(device: torch.device) -> float:
    """Return how many bytes a second the memory reads and writes where it does nothing but copy."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * COPIED / best


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that were in use so far: of the GPU, or of this process; None where nobody counts."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")  # digits, not decimals: GPUs are fast


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))
