"""Settings of the commands: flag > environment > valle.toml > default; each value knows its source.

The flag `--top-k 20` can also be `VALLE_TOP_K=20` in the environment, or `top_k = 20` in a `valle.toml` of the current
folder or, for all folders, of the user's configuration folder (`~/.config/vallecli` on Linux). The weakest source is a
system-wide `valle.toml`. Its values of some settings are policies: no other source can make them less strict.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vallecli import inputs
from vallecli.errors import PolicyError, UsageError, short

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILE_NAME = "valle.toml"
# Of the whole machine: not a setting of the user, who could move it.
SYSTEM_FOLDER = Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) if os.name == "nt" else Path("/etc")
SYSTEM_FILE = SYSTEM_FOLDER / "vallecli" / FILE_NAME
ENVIRONMENT_PREFIX = "VALLE_"
HUB_OFFLINE = "HF_HUB_OFFLINE"  # read by huggingface_hub, too
DEFAULT = "default"
MAX_CANDIDATES, MAX_RETRIES = 64, 64  # of a sentence
MAX_WINDOW = 4096  # codes of repetition-aware sampling: nearly a minute of speech
MAX_FRAMES = 2**31  # of speech: more than any model makes
MIN_SPEED, MAX_SPEED = 0.5, 2.0  # of FFmpeg's atempo, which would leave samples out above
MAX_PAUSE = 60.0  # seconds of silence between two sentences
MAX_GAIN = 60.0  # dB, up or down
# LUFS: silence by the standard, and nearly full scale.
MIN_LOUDNESS, MAX_LOUDNESS = -70.0, -5.0

SamplingT = TypeVar("SamplingT", bound="DataclassInstance")  # decoding.sampling.Sampling; its import needs torch
ChoiceT = TypeVar("ChoiceT", bound="DataclassInstance")  # candidates.Choice


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run; None leaves the value to the checkpoint; for the seed, a random one is chosen."""

    checkpoint: str = "nano"
    voice: str | None = None
    consent: str = "warn"
    device: str = "auto"
    dtype: str = "auto"
    seed: int | None = None
    greedy: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    top_n_sigma: float | None = None
    repetition_window: int | None = None
    repetition_ratio: float | None = None
    best_of: int | None = None
    pick: str | None = None
    retries: int | None = None
    asr: str | None = None
    seconds: float | None = None
    max_seconds: float | None = None
    sample_rate: int | None = None
    ssml: bool | None = None
    speed: float | None = None
    pause: float | None = None
    paragraph_pause: float | None = None
    gain: float | None = None
    loudness: float | None = None
    lexicon: str | None = None
    offline: bool = False
    watermark: bool = True
    sources: Mapping[str, str] = field(default_factory=dict)  # name -> source of its value

    def source(self, name: str) -> str:
        """Return the source of the value of `name`: a flag, a variable, a file or "default"."""
        return self.sources.get(name, DEFAULT)

    def sampling(self, defaults: SamplingT, *, seed: int, frame_rate: float) -> SamplingT:
        """Return the checkpoint's default sampling, with the settings that were given."""
        given = self._given(SAMPLING)
        if self.max_seconds is not None:
            given["max_frames"] = max(1, int(min(self.max_seconds * frame_rate, MAX_FRAMES)))
        return replace(defaults, seed=seed, **given)

    def choice(self, defaults: ChoiceT) -> ChoiceT:
        """Return how candidates are chosen by default, with the settings that were given."""
        return replace(defaults, **self._given(CHOICE))

    def _given(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


# Settings that are fields of Sampling, and of candidates.Choice.
SAMPLING = ("greedy", "temperature", "top_k", "top_p", "top_n_sigma", "repetition_window", "repetition_ratio")
CHOICE = ("best_of", "pick", "retries", "asr")
# Settings whose value in the system-wide file is a policy, with their values from lax to strict.
POLICIES: dict[str, tuple[Any, ...]] = {"watermark": (False, True), "consent": ("off", "warn", "require")}
PATHS = ("lexicon",)  # settings whose relative paths in a file start at the folder of that file
NAMES = [entry.name for entry in fields(Settings) if entry.name != "sources"]


def resolve(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    files: Sequence[Path] | None = None,
) -> Settings:
    """Given flags (None if not given), return the settings.

    `files` are those of the user, the strongest first. UsageError names the source of an invalid value, and of one
    that is less strict than the policy of SYSTEM_FILE.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, raw, source in _candidates(flags, environment, default_files() if files is None else files):
        if name not in values:
            values[name], sources[name] = _checked(name, raw, source), source
    for name, raw, source in _of_file(SYSTEM_FILE):
        value = _checked(name, raw, source)
        if name not in values:
            values[name], sources[name] = value, source
        elif name in POLICIES and POLICIES[name].index(values[name]) < POLICIES[name].index(value):
            raise PolicyError(name, _written(values[name]), sources[name], _written(value), SYSTEM_FILE)
    if not values.get("offline") and hub_offline(environment):
        values["offline"], sources["offline"] = True, HUB_OFFLINE  # of all programs: --no-offline does not change it
    return Settings(**values, sources=sources)


def _written(value: Any) -> str:
    """Return a value as valle.toml has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def hub_offline(environment: Mapping[str, str]) -> bool:
    """Return whether HF_HUB_OFFLINE keeps all programs that use Hugging Face's hub off the network."""
    return environment.get(HUB_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")


def default_files() -> list[Path]:
    """Return the possible places of valle.toml, the strongest first."""
    return [Path(FILE_NAME), config_folder() / FILE_NAME]


def config_folder() -> Path:
    """Return the user's configuration folder, whether it exists or not."""
    from typer import get_app_dir  # knows the conventions of Linux, macOS and Windows

    return Path(get_app_dir("vallecli"))


def _candidates(
    flags: Mapping[str, Any], environment: Mapping[str, str], files: Sequence[Path]
) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, raw value, source), the strongest source first."""
    for name in NAMES:
        if flags.get(name) is not None:
            yield name, flags[name], ("--no-" if flags[name] is False else "--") + name.replace("_", "-")
    for name in NAMES:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if environment.get(variable):  # an empty variable counts as unset
            yield name, environment[variable], variable
    for path in files:
        yield from _of_file(path)


def _of_file(path: Path) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, raw value, source) of a file. Raises UsageError for one that cannot be read."""
    for name, value in _read(path).items():
        if name in PATHS and isinstance(value, str) and value:
            value = str(path.parent / value)
        yield name, value, str(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        table = inputs.read_toml(path, optional=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}", "Correct the file or move it away.") from error
    for name in table:
        if name not in NAMES:
            raise UsageError(f"{path} has an unknown setting {short(name)}", suggest(name, NAMES))
    return table


def suggest(name: str, known: Sequence[str]) -> str:
    """Return a hint for a mistyped name: the nearest one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Possible values: {', '.join(known)}."


def _boolean(raw: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[str(raw).lower()]


def _at_least(kind: Callable[[Any], Any], minimum: float, *, exclusive: bool = False) -> Callable[[Any], Any]:
    def check(raw: Any) -> Any:
        if isinstance(raw, bool) or (kind is int and isinstance(raw, float)):
            raise ValueError(raw)
        value = kind(raw)
        if not value < float("inf") or value < minimum or (exclusive and value == minimum):
            raise ValueError(raw)
        return value

    return check


def _fraction(raw: Any) -> float:
    value = float(_at_least(float, 0, exclusive=True)(raw))
    if value > 1:
        raise ValueError(raw)
    return value


def _between(minimum: float, maximum: float) -> Callable[[Any], Any]:
    def check(raw: Any) -> Any:
        if isinstance(raw, bool) or not minimum <= (value := float(raw)) <= maximum:
            raise ValueError(raw)
        return value

    return check


def _at_most(kind: Callable[[Any], Any], maximum: float) -> Callable[[Any], Any]:
    def check(raw: Any) -> Any:
        value = _at_least(kind, 0)(raw)
        if value > maximum:
            raise ValueError(raw)
        return value

    return check


def _best_of(raw: Any) -> int:
    value = int(_at_most(int, MAX_CANDIDATES)(raw))
    if value < 1:
        raise ValueError(raw)
    return value


LIKELIHOOD, ASR, SIMILARITY = PICKS = ("likelihood", "asr", "similarity")


def _pick(raw: Any) -> str:
    if raw not in PICKS:
        raise ValueError(raw)
    return str(raw)


def _word(raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError(raw)
    return raw


MIN_RATE, MAX_RATE = 4_000, 192_000  # Hz


def _sample_rate(raw: Any) -> int:
    value = int(_at_least(int, MIN_RATE)(raw))
    if value > MAX_RATE:
        raise ValueError(raw)
    return value


DTYPES = ["auto", "float32", "bfloat16", "float16", "int8"]


def _dtype(raw: Any) -> str:
    if raw not in DTYPES:
        raise ValueError(raw)
    return str(raw)


CONSENT = POLICIES["consent"]


def _consent(raw: Any) -> str:
    if raw not in CONSENT:
        raise ValueError(raw)
    return str(raw)


CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {  # name -> (parser, description of valid values)
    "checkpoint": (_word, "a name or a path"),
    "voice": (_word, "the name of a voice"),
    "consent": (_consent, "one of " + ", ".join(CONSENT)),
    "device": (_word, "auto, cpu, cuda, cuda:N or mps"),
    "dtype": (_dtype, "one of " + ", ".join(DTYPES)),
    "seed": (_at_least(int, 0), "a whole number from 0"),
    "greedy": (_boolean, "true or false"),
    "temperature": (_at_least(float, 0, exclusive=True), "a number above 0"),
    "top_k": (_at_least(int, 1), "a whole number from 1"),
    "top_p": (_fraction, "a number above 0 and at most 1"),
    "top_n_sigma": (_at_least(float, 0), "a number from 0"),
    "repetition_window": (_at_most(int, MAX_WINDOW), f"a whole number from 0 to {MAX_WINDOW}"),
    "repetition_ratio": (_at_most(float, 1), "a number from 0 to 1"),
    "best_of": (_best_of, f"a whole number from 1 to {MAX_CANDIDATES}"),
    "pick": (_pick, "one of " + ", ".join(PICKS)),
    "asr": (_word, "the name of a Whisper model, or a folder"),
    "retries": (_at_most(int, MAX_RETRIES), f"a whole number from 0 to {MAX_RETRIES}"),
    "seconds": (_at_least(float, 0, exclusive=True), "a number of seconds above 0"),
    "max_seconds": (_at_least(float, 0, exclusive=True), "a number of seconds above 0"),
    "sample_rate": (_sample_rate, f"a whole number of Hz from {MIN_RATE} to {MAX_RATE}"),
    "ssml": (_boolean, "true or false"),
    "speed": (_between(MIN_SPEED, MAX_SPEED), f"a number from {MIN_SPEED:g} to {MAX_SPEED:g}"),
    "pause": (_between(0, MAX_PAUSE), f"a number of seconds from 0 to {MAX_PAUSE:g}"),
    "paragraph_pause": (_between(0, MAX_PAUSE), f"a number of seconds from 0 to {MAX_PAUSE:g}"),
    "gain": (_between(-MAX_GAIN, MAX_GAIN), f"a number of dB from {-MAX_GAIN:g} to {MAX_GAIN:g}"),
    "loudness": (
        _between(MIN_LOUDNESS, MAX_LOUDNESS),
        f"a number of LUFS from {MIN_LOUDNESS:g} to {MAX_LOUDNESS:g}, such as -18",
    ),
    "lexicon": (_word, "the path of a file"),
    "offline": (_boolean, "true or false"),
    "watermark": (_boolean, "true or false"),
}


def value_of(name: str, raw: Any) -> Any:
    """Return the value of a setting, given as it was written. ValueError describes valid values."""
    check, expected = CHECKS[name]
    try:
        return check(raw)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"It should be {expected}.") from error


def _checked(name: str, raw: Any, source: str) -> Any:
    try:
        return value_of(name, raw)
    except ValueError as error:
        raise UsageError(f"{source}: {name.replace('_', ' ')} is {short(raw)}", str(error)) from error
