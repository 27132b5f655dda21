"""The seam between families of checkpoints and everything else. This module does not import torch.

A Family recognises, describes and loads checkpoints of one published layout. What it loads is a Backend: it turns a
recording into a Voice, a text into Requests, Requests into codes, and codes into audio.

Suffixes of tensors and arrays that cross a function boundary: B batch, S text tokens, P prompt frames, T generated
frames, Q codebooks, C frequency bands, N samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vallecli.errors import UsageError, short
from vallecli.settings import suggest
from vallecli.text.base import AUTO, Phonemes, Tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vallecli.audio.prompt import PreparedPrompt
    from vallecli.checkpoints.contents import Contents
    from vallecli.codec.base import AudioGrid
    from vallecli.codec.select import Codecs
    from vallecli.decoding.sampling import Sampling
    from vallecli.text.lexicon import Lexicon, Marked
    from vallecli.text.pace import Pace
    from vallecli.text.reader import TextReader

Tag = TypeVar("Tag")  # the caller's identification of a request

MAX_NUMBER = 2**31  # of a loader option

# Loader options


@dataclass(frozen=True, kw_only=True)
class Option:
    """A loader option for a value that a checkpoint does not store: `--option NAME=VALUE`."""

    kind: Literal["int", "float", "choice", "file"]
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None

    def parse(self, name: str, value: Any) -> Any:
        """Return a written value in its type: int, float, str or Path. Raises UsageError."""
        try:
            if isinstance(value, bool) or value == "":
                raise ValueError
            if self.kind == "file":
                return Path(value)
            if self.kind == "choice":
                if str(value) not in self.choices:
                    raise ValueError
                return str(value)
            number = int(str(value)) if self.kind == "int" else float(value)
            if not abs(number) <= MAX_NUMBER or (self.minimum is not None and number < self.minimum):
                raise ValueError
        except (TypeError, ValueError, OverflowError) as error:
            wanted = {
                "int": "a whole number",
                "float": "a number",
                "choice": f"one of {', '.join(self.choices)}",
                "file": "a path",
            }[self.kind]
            least = "" if self.minimum is None else f" of at least {self.minimum:g}"
            raise UsageError(f"option {name} is {short(value)}", f"It should be {wanted}{least}.") from error
        return number


Options = Mapping[str, Any]  # name -> value, parsed

# Voices, requests and their results


def check_ids(array: npt.NDArray[Any], shape: tuple[int | None, ...], below: int) -> None:
    """Raise ValueError for what is no array of this shape, of integers from 0 and below a number; None is any size."""
    sizes = [size for size, wanted in zip(array.shape, shape, strict=True) if wanted in (None, size) and size > 0]
    if len(sizes) != len(shape) or array.dtype.kind != "i" or array.min() < 0 or array.max() >= below:
        raise ValueError(f"an array of shape {array.shape} should have {shape} integers below {below}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model was trained on, and so what it can be given."""

    max_prompt_frames: int
    max_text_chars: int
    """Of one sentence."""

    def __post_init__(self) -> None:
        """Raise ValueError for limits below 1; they may come from a file."""
        for name, limit in vars(self).items():
            if not isinstance(limit, int) or limit < 1:
                raise ValueError(f"{name} cannot be {limit!r}")


@dataclass(frozen=True)
class Voice:
    """A speaker, as the codes of a prompt (P, Q); made once, usable for any text with the same checkpoint.

    A family may derive its own class, with more fields.
    """

    codes_PQ: npt.NDArray[np.int16]
    source: str
    """Where it came from, for messages."""
    transcript: str | None = None
    """The words of the prompt, for families that need them."""
    phonemes: Phonemes | None = None
    """Replaces the transcript in voices from a preset."""
    spectrum_C: npt.NDArray[np.float32] | None = None
    """Average spectrum of the recording in dB, for checkpoints that equalize; see codec.equalizer."""

    def check(self, grid: AudioGrid) -> None:
        """Raise ValueError for arrays that a checkpoint of this grid cannot use; they may come from a file."""
        check_ids(self.codes_PQ, (None, grid.codebooks), grid.codebook_size)
        if self.spectrum_C is not None and (self.spectrum_C.ndim != 1 or not np.isfinite(self.spectrum_C).all()):
            raise ValueError("the spectrum is not one number for each frequency band")


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """One sentence, ready for the models."""

    text: str
    tokens: Tokens
    voice: Voice
    sampling: Sampling
    index: int
    """Position of the sentence in its text."""
    sentences: int
    """Number of sentences of that text."""
    first: bool
    """Whether no sentence with words comes before it: the others begin with a pause."""
    seconds: float | None = None
    """The duration that it should have before its speed is changed, if the user has one in mind."""
    speed: float = 1.0
    """Of the finished speech, at the same pitch."""
    pause: float | None = None
    """Seconds of silence before it; None: synthesizer.PAUSE_SECONDS, unless it is the first."""
    after: float = 0.0
    """Seconds of silence behind it."""


@dataclass(frozen=True, eq=False)
class Generated:
    """The codes (T, Q) of one sentence; `stop_reason` is "eos", or "max_frames" if it was cut off."""

    codes_TQ: Tensor
    stop_reason: str
    log_probability: float | None
    """Of the codes of the autoregressive model, see CausalOutput; None if they were not decoded one by one."""


def sentence_seed(seed: int, index: int) -> int:
    """Return the seed of sentence number `index`: 63 bits, unrelated from one sentence to the next."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


# Presets: published voices in files


@dataclass(frozen=True)
class Preset:
    """A published voice of one family: prompt codes (P, Q), and the phonemes of its words if the family reads them.

    A family may derive its own class, with more fields.
    """

    family: str
    codes_PQ: npt.NDArray[np.int16]
    phonemes: Phonemes | None

    def digest(self) -> str:
        """Return the sha256 of its arrays: 64 hexadecimal digits."""
        found = hashlib.sha256()
        for array in vars(self).values():
            if isinstance(array, np.ndarray):
                found.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
        return found.hexdigest()


# The seam


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a checkpoint is, as far as it can be known without reading the values of its tensors."""

    family: str
    config: Mapping[str, object]
    """Sizes and options of the models, text front end and codec."""
    grid: AudioGrid
    languages: tuple[str, ...]
    tensors: Mapping[str, tuple[int, ...]]
    """Shapes under the published names."""
    missing: tuple[str, ...] = ()
    """Sentences that name what is not stored, and the option that supplies it."""
    notes: tuple[str, ...] = ()
    needs_transcript: bool = False
    """Whether a voice needs the words of its recording, after which it can go on; see Backend."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """A checkpoint in valle's own format: the content of config.json and the tensors of model.safetensors."""

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    files: Mapping[str, str] = field(default_factory=dict)
    """Text of further small files by name, such as a vocabulary."""


class Backend(Protocol):
    """A loaded checkpoint, on one device and in one precision."""

    name: str
    device: torch.device
    dtype: torch.dtype
    sampling: Sampling
    """Default sampling parameters of this checkpoint."""

    @property
    def family(self) -> str:
        """Name of the family."""

    @property
    def grid(self) -> AudioGrid:
        """Rates of the codec."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of a text, apart from automatic detection."""

    @property
    def needs_transcript(self) -> bool:
        """Whether a voice needs the words of its recording."""

    @property
    def step_rate(self) -> float:
        """Codes of the autoregressive model in a second of speech, which are the frames of `Sampling`."""

    @property
    def pace(self) -> Pace:
        """How long utterances are."""

    @property
    def independent(self) -> bool:
        """Whether the speech of a sentence depends on no other: it can be decoded again."""

    @property
    def max_prompt_seconds(self) -> float:
        """Longest prompt that the models can use."""

    def prepare(self) -> None:
        """Load the text front end and the codec. Raises CheckpointError and DependencyMissing for missing parts."""

    def make_voice(self, recording: PreparedPrompt, transcript: str | None, source: str) -> Voice:
        """Return the voice of a recording at the grid's rate, of its first `max_prompt_seconds`."""

    @property
    def voice_type(self) -> type[Voice]:
        """Class of the voices of this checkpoint."""

    def preset_voice(self, preset: Preset, source: str) -> Voice:
        """Return the voice of a preset. Raises ForeignPreset for one of another family."""

    def save_voice(self, voice: Voice, path: Path) -> None:
        """Write a voice as a preset of this family. Raises UsageError if it has none, and OutputNotWritable."""

    def use_lexicon(self, lexicon: Lexicon | None) -> None:
        """Use a pronunciation lexicon for all texts from now on, or none.

        Raises InputError, with the line, for a sound that the checkpoint does not have, and as `prepare` for the front
        end.
        """

    def requests(
        self, text: str | Marked, voice: Voice, sampling: Sampling, *, language: str = AUTO, accent: str | None = None
    ) -> Iterator[Request]:
        """Yield the sentences of a text. Raises TextError, and UsageError for an unknown language."""

    def generate(
        self,
        requests: Iterable[tuple[Tag, Request]],
        *,
        slots: int,
        on_frame: Callable[[Tag, int], None] | None = None,
        on_error: Callable[[Tag, Exception], None] | None = None,
    ) -> Iterator[tuple[Tag, Generated]]:
        """Yield the codes of each request as it is done, with up to `slots` requests at the same time.

        The next request is fetched when a slot is free; a `decoding.request.Source` may have none at one time and more
        later. A request's codes do not depend on the others. `on_frame` receives the number of frames of a request as
        it grows, and ends it by an exception; `on_error` receives the error of one that failed.
        """

    def decode(self, generated: Generated, voice: Voice) -> npt.NDArray[np.float32]:
        """Return the audio (N,) of one sentence, N = T * hop."""


class Family(Protocol):
    """One published layout of checkpoints."""

    @property
    def name(self) -> str:
        """Name of the layout, as in checkpoints.toml."""

    @property
    def options(self) -> Mapping[str, Option]:
        """Loader options by name."""

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages that any checkpoint of this family can know."""

    @property
    def accents(self) -> tuple[str, ...]:
        """Languages whose accent can be chosen; () if the family has no accents."""

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of published sizes that `random` can build."""

    def recognise(self, contents: Contents) -> bool:
        """Return whether the contents are of this family, by names of files and tensors. Raises CheckpointError."""

    def describe(self, contents: Contents) -> Description:
        """Return what the checkpoint is, without reading the values of its tensors. Raises CheckpointError."""

    def files(self, contents: Contents) -> set[Path]:
        """Return the files that the speech depends on, without those of loader options. Raises CheckpointError."""

    def text_reader(self, contents: Contents, options: Options) -> TextReader:
        """Return what the backend of the checkpoint uses to read texts, without reading the values of its tensors.

        Raises CheckpointError, UsageError, and DependencyMissing for packages of the front end.
        """

    def load(
        self, contents: Contents, options: Options, *, device: torch.device, dtype: str, codecs: Codecs
    ) -> Backend:
        """Return the checkpoint, ready to speak. Raises CheckpointError and UsageError.

        `dtype` is a name of device.DTYPES or "auto". Codec and front end are loaded at first use.
        """

    def export(self, contents: Contents, options: Options) -> Export:
        """Return the checkpoint in valle's own format. Raises CheckpointError and UsageError."""

    def random(self, size: str, *, device: torch.device, dtype: str) -> Backend:
        """Return a backend with random weights of a published size, and a random codec."""

    def read_preset(self, path: Path) -> Preset | None:
        """Return the preset in an .npz or .npy file, None if it is of another family. Raises PresetError."""

    def presets(self, folder: Path | None) -> Mapping[str, Path | None]:
        """Return the presets of a checkpoint by name, with their files; None for one that is not on this machine.

        `folder` is that of the checkpoint, None if it is not on this machine. Raises OSError.
        """

    def fetch_preset(self, name: str, *, offline: bool) -> Path:
        """Return the file of a preset of `presets`, downloaded once. Raises CheckpointError."""


def parse_options(family: Family, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return loader options in their types. UsageError for one that the family does not have."""
    for name in written:
        if name not in family.options:
            hint = suggest(name, list(family.options)) if family.options else "This family has no loader options."
            raise UsageError(f"{family.name} checkpoints have no option {name!r}", hint)
    return {name: family.options[name].parse(name, value) for name, value in written.items() if value is not None}
