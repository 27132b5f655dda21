"""Checks the lines of a table and makes rows from them: errors are found here, before a model is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path, PurePath
from typing import Any

from vallecli.audio.formats import FORMATS, G711, check_rate, fits, format_of
from vallecli.audio.signing import check_signable
from vallecli.checkpoints.local import sha256
from vallecli.errors import RowError, UnsafeName, UsageError, short
from vallecli.families.catalog import known_accents, known_languages, known_options
from vallecli.jobs.cells import EFFECTS, boolean_of, setting_of
from vallecli.jobs.fingerprint import derive_seed, digest, in_shard, revision
from vallecli.jobs.names import UsedNames
from vallecli.jobs.prompts import Prompt, PromptChecker
from vallecli.jobs.table import Line
from vallecli.settings import ASR, Settings, suggest
from vallecli.text.base import AUTO
from vallecli.text.lexicon import Lexicon, read_lexicon
from vallecli.text.markup import VERSION as MARKS
from vallecli.text.markup import has_pauses, read_markup
from vallecli.text.normalize import check_words
from vallecli.voices import policy
from vallecli.voices.library import StoredVoice

REQUIRED = ("text", "prompt")
CONTINUE = "continue"  # whether the text begins with the words of the prompt, and only the rest is spoken
SPOKEN = ("text", "prompt_text")
KNOBS = ("seed", "greedy", "temperature", "top_k", "top_p", "max_seconds")
# In fingerprints only if they are set: older results stay valid.
LATER_KNOBS = (
    *("top_n_sigma", "sample_rate", "repetition_window", "repetition_ratio"),
    *("best_of", "pick", "retries", "seconds"),
)
SSML = "ssml"
ROW_SETTINGS = (*KNOBS, *LATER_KNOBS, *EFFECTS, SSML)
COLUMNS = (
    *("id", *REQUIRED, "voice", "prompt_text", "output", "language", "accent", "checkpoint", *ROW_SETTINGS),
    CONTINUE,
)
ACCENTS = known_accents()
LANGUAGES = (AUTO, *known_languages())
ID_DIGITS = 5  # of a row's number as its id, so that names sort like rows
CHARACTERS_PER_SECOND = 15  # of English read aloud


@dataclass(frozen=True, kw_only=True)
class Row:
    """A text to speak, with everything that its audio depends on."""

    number: int
    id: str
    text: str
    prompt: Prompt
    prompt_text: str | None
    output: str  # relative to the output folder
    language: str
    accent: str | None
    settings: Settings
    revision: str
    content: Mapping[str, Any]
    """What the fingerprint is a hash of, except for the seed, the format and how the speech is marked."""
    format: str
    disclose: str | None = None
    signed: str | None = None

    @property
    def goes_on(self) -> bool:
        """Return whether the text begins with the words of the prompt, and only the rest of it is spoken."""
        return bool(self.content.get(CONTINUE))

    @property
    def ssml(self) -> bool:
        """Return whether the text is SSML."""
        return bool(self.settings.ssml)

    @cached_property
    def words(self) -> str:
        """Return the text without marks."""
        return read_markup(self.text, ssml=self.ssml, language=self.language).words

    @property
    def seconds(self) -> float:
        """Return the estimated duration of the audio, without pauses that are longer than usual."""
        return len(self.words) / CHARACTERS_PER_SECOND / (self.settings.speed or 1.0)

    @property
    def prompt_sha256(self) -> str:
        """Return the hash of the prompt."""
        return str(self.content["prompt"])

    @cached_property
    def seed(self) -> int:
        """Return the seed, derived from the content if none was given."""
        return derive_seed(digest(self.content)) if self.settings.seed is None else self.settings.seed

    @cached_property
    def fingerprint(self) -> str:
        """Return the hash of everything that the audio depends on."""
        output = {
            **({"format": self.format} if self.format in G711 else {}),  # others are known from the output's ending
            **({"watermark": True} if self.settings.watermark else {}),
            **({} if self.disclose is None else {"disclose": self.disclose}),
            **({} if self.signed is None else {"signed": self.signed}),
            **{name: value for name in EFFECTS if (value := getattr(self.settings, name)) is not None},
        }
        return digest({**self.content, "seed": self.seed, **output})

    def with_prompt(self, sha256: str, transcript: str | None) -> Row:
        """Return the row that a plan makes if its prompt and the transcript next to it are these."""
        if (sha256, transcript) == (self.prompt_sha256, self.prompt_text):
            return self
        transcribe = bool(self.content["transcribe"]) and transcript is None
        prompt = {"prompt": sha256, "prompt_text": transcript, "transcribe": transcribe}
        return replace(self, prompt_text=transcript, content={**self.content, **prompt})

    def refuse(self, error: Exception) -> RefusedRow:
        """Return the row as one that cannot be spoken."""
        return RefusedRow(self.number, self.id, error, self.text, self.prompt)


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be spoken, and its error."""

    number: int
    id: str
    error: Exception
    text: str = ""
    """The text and the prompt as far as the row has them."""
    prompt: Prompt | None = None


@dataclass(frozen=True)
class Plan:
    """The rows of a run, in the order of the table."""

    rows: list[Row] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    without_consent: tuple[str, ...] = ()
    """Names of voices that the user is warned of."""
    uses_default: bool = False
    """Whether a row, possibly a refused one, has the default checkpoint."""

    def with_rows(self, rows: list[Row], refused: list[RefusedRow]) -> Plan:
        """Return the plan with other rows, and refused ones in any order."""
        return replace(self, rows=rows, refused=sorted(refused, key=lambda row: row.number))


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """Values for rows that do not have their own, and options that apply to all rows."""

    settings: Settings
    options: Mapping[str, Any] = field(default_factory=dict)
    """Loader options as written; see Synthesizer.load."""
    decoder: str | None = None
    """Decoder of EnCodec's codes; see Synthesizer.load."""
    prompt: Prompt | None = None
    """Prompt of rows without one; prompt_text is its transcript."""
    prompt_text: str | None = None
    language: str = AUTO
    accent: str | None = None
    format: str = "wav"
    transcribe: bool = False
    disclose: str | None = None
    """A kind in audio.formats.DISCLOSURES."""
    signed: str | None = None
    """Hash of the certificate chain that signs the files, if they are signed."""
    shard: tuple[int, int] = (1, 1)

    @cached_property
    def lexicon(self) -> Lexicon | None:
        """Return the pronunciation lexicon of the settings, which is read once. Raises InputError."""
        return None if self.settings.lexicon is None else read_lexicon(self.settings.lexicon)


def make_plan(lines: Sequence[Line], defaults: Defaults, *, base: Path, out: Path, table: Path | None = None) -> Plan:
    """Check each line and return the rows of this shard; prompts in lines are relative to `base`, outputs to `out`.

    Raises UsageError for invalid defaults, InputError for an invalid lexicon, and CheckpointError and InputError for
    the default checkpoint and the default prompt if a row uses them.
    """
    check_choice("--language", defaults.language, LANGUAGES)
    if defaults.accent is not None:
        check_choice("--accent", defaults.accent, ACCENTS)
    check_choice("--format", defaults.format, list(FORMATS))
    if defaults.signed is not None:
        check_signable(defaults.format)
    planner = _Planner(defaults, base=base, out=out)
    refused: list[RefusedRow] = []
    claimed = []
    for line in lines:
        try:
            name, output = planner.claim(line)
        except Exception as error:
            name = str(line.values.get("id", default_id(line.number)))
            if in_shard(name, defaults.shard):
                refused.append(_refused(line, name, error, base))
            continue
        if in_shard(name, defaults.shard):
            claimed.append((line, name, output))
    uses_default = any("checkpoint" not in line.values for line, _, _ in claimed)
    if uses_default:
        planner.revision(defaults.settings.checkpoint)  # its error is not one of a row
    if defaults.prompt is not None and any(_has_default_prompt(line) for line, _, _ in claimed):
        planner.check_prompt(defaults.prompt)
    plan = Plan(refused=refused, uses_default=uses_default)
    for line, name, output in claimed:
        try:
            plan.rows.append(planner.row(line, name, output))
        except Exception as error:
            plan.refused.append(_refused(line, name, error, base))
    plan = replace(plan, without_consent=tuple(planner.without_consent))
    default = defaults.prompt if isinstance(defaults.prompt, Path) else None
    return _refuse_overwriting(plan, out, input_files(lines, base, [table, default]))


def _refused(line: Line, name: str, error: Exception, base: Path) -> RefusedRow:
    """Return the row of a line that has an error."""
    text, prompt = line.values.get("text"), line.values.get("prompt")
    return RefusedRow(
        line.number,
        name,
        error,
        text if isinstance(text, str) else "",
        base / prompt.strip() if isinstance(prompt, str) else None,
    )


def goes_on(line: Line) -> bool:
    """Return whether the text of a line begins with the words of its prompt. Raises RowError."""
    written = line.values.get(CONTINUE)
    try:
        return written is not None and boolean_of(written)
    except ValueError as error:
        raise RowError(f"{CONTINUE} is {short(written)}", str(error)) from error


def _has_default_prompt(line: Line) -> bool:
    """Return whether a line has no voice but that of all rows."""
    return "prompt" not in line.values and "voice" not in line.values


def default_id(number: int) -> str:
    """Return the id of a row without one: 00007 for the seventh row below the header."""
    return f"{number:0{ID_DIGITS}d}"


def check_choice(name: str, value: str, known: Sequence[str]) -> None:
    """Raise UsageError for an option whose value is not one of the known ones."""
    if value not in known:
        raise UsageError(f"{name} is {short(value)}", suggest(value, known))


def input_files(lines: Sequence[Line], base: Path, others: Sequence[Path | None]) -> set[str]:
    """Return the real paths of all prompts, also of other shards and of refused rows, and of the other inputs."""
    prompts = {value for line in lines if isinstance(value := line.values.get("prompt"), str) and "\0" not in value}
    paths = [*(base / name.strip() for name in prompts), *(path for path in others if path is not None)]
    return {real_path(path) for path in paths}


def real_path(path: Path) -> str:
    """Return a path with all links followed; a loop of links ends at itself."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a name that no file can have
        return str(path)


def _refuse_overwriting(plan: Plan, out: Path, inputs: set[str]) -> Plan:
    """Return the plan; rows that would overwrite an input are refused."""
    rows, refused = [], list(plan.refused)
    for row in plan.rows:
        if real_path(out / row.output) in inputs:
            refused.append(row.refuse(UnsafeName(row.output, "it is one of the inputs")))
        else:
            rows.append(row)
    return plan.with_rows(rows, refused)


class _Planner:
    def __init__(self, defaults: Defaults, *, base: Path, out: Path) -> None:
        self.defaults, self.base = defaults, base
        self.names = UsedNames(out)
        self.prompts = PromptChecker()
        self.voice = cache(partial(policy.resolve, offline=defaults.settings.offline))
        self.without_consent: dict[str, None] = {}  # names of voices that the user is warned of, each once
        self.revision = cache(partial(revision, offline=defaults.settings.offline))
        self.loading = loading_content(defaults)
        self.lexicon = None if defaults.lexicon is None else defaults.lexicon.sha256

    def claim(self, line: Line) -> tuple[str, str]:
        """Return the id and the output of a line, and reserve them for it. Raises InputError and UsageError."""
        name = _text(line, "id", whole_numbers=True) or default_id(line.number)
        self.names.claim_id(name, line.number)
        if line.error is not None:
            raise line.error
        output = _text(line, "output") or name + FORMATS[self.defaults.format].ending
        return name, self.names.claim_output(output, line.number)

    def row(self, line: Line, name: str, output: str) -> Row:
        """Return the row of a line. Raises InputError, UsageError and CheckpointError."""
        settings = self._settings(line)
        text, prompt, prompt_text = _text(line, "text"), self._prompt(line, settings), _text(line, "prompt_text")
        if text is None or prompt is None:
            needed = "Each row needs a text, and a prompt or a voice."
            raise RowError(f"it has no {'prompt' if text else 'text'}", needed)
        language = _text(line, "language") or self.defaults.language
        accent = _text(line, "accent") or self.defaults.accent
        _check_column("language", language, LANGUAGES)
        if accent is not None:
            _check_column("accent", accent, ACCENTS)
        check_words(read_markup(text, ssml=bool(settings.ssml), language=language).words)
        if settings.ssml and goes_on(line):
            raise RowError(f"it has {SSML} and {CONTINUE}", "Give the text without SSML, or only what is to be spoken.")
        format = self._format(output)
        check_rate(format, settings.sample_rate)
        if self.defaults.signed is not None:
            check_signable(format)
        prompt_sha256 = self.check_prompt(prompt)
        transcribe = self.defaults.transcribe
        if not prompt_text and _has_default_prompt(line):
            prompt_text = self.defaults.prompt_text
        if not prompt_text and not transcribe:
            prompt_text = self.prompts.transcript(prompt)
        version = self.revision(settings.checkpoint)
        content = {
            "text": text,
            "prompt": prompt_sha256,
            "prompt_text": prompt_text,
            "transcribe": transcribe and prompt_text is None,
            "language": language,
            "accent": accent,
            "checkpoint": version,
            "loading": self.loading,
            **{knob: getattr(settings, knob) for knob in KNOBS},
            "greedy": bool(settings.greedy),  # "not set" counts as false, as when it was the only default
            **{knob: value for knob in LATER_KNOBS if (value := getattr(settings, knob)) is not None},
            **({"asr": settings.asr} if settings.pick == ASR and settings.asr is not None else {}),
            **({CONTINUE: True} if goes_on(line) else {}),
            **({SSML: True} if settings.ssml else {"marks": MARKS} if has_pauses(text) else {}),
            **({} if self.lexicon is None else {"lexicon": self.lexicon}),
            # The precision that auto chooses on a machine does not count, like its device: shards may run on several.
            **({} if settings.dtype == "auto" else {"dtype": settings.dtype}),
        }
        return Row(
            number=line.number,
            id=name,
            text=text,
            prompt=prompt,
            prompt_text=prompt_text,
            output=output,
            language=language,
            accent=accent,
            settings=settings,
            revision=version,
            content=content,
            format=format,
            disclose=self.defaults.disclose,
            signed=self.defaults.signed,
        )

    def _format(self, output: str) -> str:
        """Return the format of an output: that of its ending, or G.711 if that is the default and fits the ending."""
        path, default = PurePath(output), self.defaults.format
        return default if default in G711 and fits(default, path) else format_of(path)

    def check_prompt(self, prompt: Prompt) -> str:
        """Return the hash of a prompt. Raises InputError, also for one without the consent that the policy requires."""
        if policy.check(self.defaults.settings.consent, prompt) and isinstance(prompt, StoredVoice):
            self.without_consent[prompt.name] = None
        return self.prompts.check(prompt)

    def _prompt(self, line: Line, settings: Settings) -> Prompt | None:
        name, voice = _text(line, "prompt"), _text(line, "voice")
        if name is not None and voice is not None:
            raise RowError("it has a prompt and a voice", "Leave one of them empty.")
        if voice is not None:
            return self.voice(voice, settings.checkpoint)
        return self.defaults.prompt if name is None else self.base / name

    def _settings(self, line: Line) -> Settings:
        values: dict[str, Any] = {}
        for name in ("checkpoint", *ROW_SETTINGS):
            if name in line.values:
                try:
                    values[name] = setting_of(name, line.values[name])
                except ValueError as error:
                    raise RowError(f"{name} is {short(line.values[name])}", str(error)) from error
        return replace(self.defaults.settings, **values)


def loading_content(defaults: Defaults) -> dict[str, Any]:
    """Return loader options for fingerprints: their values, for files the hashes. Raises UsageError."""
    known = known_options()
    content: dict[str, Any] = {}
    for name, written in defaults.options.items():
        if name not in known:
            raise UsageError(f"there is no option {name!r}", suggest(name, list(known)))
        value = known[name].parse(name, written)
        if known[name].kind == "file":
            value = _sha256_of(name, value)
        elif isinstance(value, str) and value.isdecimal():
            value = int(value)  # as in earlier versions, so that fingerprints stay the same
        content[name] = value
    return content if defaults.decoder is None else {**content, "decoder": defaults.decoder}


def _sha256_of(name: str, path: Path) -> str:
    """Return the sha256 of the file of a loader option. Raises UsageError."""
    try:
        return sha256(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", f"Check the option {name}.") from error


def _text(line: Line, name: str, *, whole_numbers: bool = False) -> str | None:
    """Return a value as text, without spaces around it; those of texts are kept, because fingerprints depend on them.

    Raises RowError for a number, except a whole one with `whole_numbers`.
    """
    value = line.values.get(name)
    if value is None or (isinstance(value, str) and name in SPOKEN):
        return value
    if isinstance(value, str):
        return value.strip()
    if whole_numbers and isinstance(value, float) and value.is_integer():
        value = int(value)
    if whole_numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"{name} is {short(value)}", "It should be text.")


def _check_column(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise RowError(f"{name} is {short(value)}", suggest(value, known))
