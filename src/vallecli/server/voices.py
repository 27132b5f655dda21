"""Voices of requests: names of the library and of presets, the default voice, and recordings that were uploaded.

A name is never a path: presets are those of the checkpoint, by their names. The policy of consent applies as in the
commands.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vallecli.audio import prompt
from vallecli.audio.prompt import PreparedPrompt
from vallecli.errors import (
    ConsentMissing,
    DamagedVoice,
    InvalidVoiceName,
    PresetError,
    TranscriptMissing,
    UnknownVoice,
    UsageError,
)
from vallecli.families.base import Preset
from vallecli.jobs.prompts import read_prompt
from vallecli.printable import printable
from vallecli.settings import suggest
from vallecli.voices import consent, library, policy, presets
from vallecli.voices.library import StoredVoice

DEFAULT = "default"  # name of the voice that `valle serve` was given
UPLOAD = "the reference audio"  # its name in messages
ALLOWED = "only voices with verified consent are allowed here"
CACHED = 64  # voices that are kept
MAX_VOICES = 1000  # of the library, from which on none are uploaded


@dataclass(frozen=True)
class Listed:
    """A voice that requests can name."""

    name: str
    kind: str
    """library, preset or default."""
    consent: str | None = None
    """Kind of the consent on record, see voices.record."""
    transcript: bool = False


class VoiceMaker(Protocol):
    """Makes the voice of a prompt: a Synthesizer, or the speaker of a cluster, whose workers make it."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate of prompts in Hz."""

    @property
    def needs_transcript(self) -> bool:
        """Return whether prompts need a transcript."""

    def voice(
        self, source: PreparedPrompt | Preset | StoredVoice, transcript: str | None = None, *, name: str = ""
    ) -> Any:
        """Return the voice of a prompt, see Synthesizer.voice."""


class ServerVoices:
    """The voices of a server. Its methods may take seconds, and are called in one thread."""

    def __init__(
        self,
        maker: VoiceMaker,
        *,
        checkpoint: str,
        default: StoredVoice | Path | None,
        default_transcript: str | None,
        aliases: Mapping[str, str],
        consent: str,
        offline: bool,
        report: Callable[[str], object],
    ) -> None:
        """`consent` is the policy. Raises UsageError for an alias of a voice that does not exist, and VoiceError."""
        self.maker, self.aliases, self.consent, self.offline = maker, aliases, consent, offline
        self.checkpoint, self._report = checkpoint, report
        self._default, self._default_transcript = default, default_transcript
        self._presets = {preset.name for preset in presets.of_checkpoint(checkpoint)}
        self._made: OrderedDict[Hashable, Any] = OrderedDict()
        for target in aliases.values():
            if target != DEFAULT or default is None:
                self._check(self._find(target))
        self._spoken_default = None if default is None else self._make(default, name=str(default))

    def listed(self) -> Iterator[Listed]:
        """Yield the voices that requests can name and that the policy allows."""
        if self._default is not None:
            yield Listed(DEFAULT, "default")
        for name, stored in library.voices():
            if stored is not None and self._allowed(stored):
                kind = None if stored.consent is None else stored.consent.kind
                yield Listed(name, "library", kind, stored.transcript is not None)
        if self.consent != policy.REQUIRE:
            yield from (Listed(name, "preset") for name in sorted(self._presets))
        yield from (Listed(name, f"alias of {target}") for name, target in self.aliases.items())

    def named(self, name: str | None) -> Any:
        """Return a voice by its name; None is the default voice.

        Raises UnknownVoice, InvalidVoiceName, ConsentMissing, and the errors of Synthesizer.voice.
        """
        name = DEFAULT if name is None else self.aliases.get(name, name)
        if name != DEFAULT:
            return self._voice_of(self._find(name))
        if self._default is None or self._spoken_default is None:
            raise UsageError("there is no default voice", "Name one of GET /v1/voices.")
        self._check(self._default)
        return self._spoken_default

    def uploaded(self, recording: bytes, transcript: str | None) -> Any:
        """Return the voice of a recording in memory, which is not stored.

        Raises ConsentMissing, AudioError, TranscriptMissing, and the errors of Synthesizer.voice.
        """
        if self.consent == policy.REQUIRE:
            raise ConsentMissing(
                f"{UPLOAD} is not spoken: {ALLOWED}",
                "Name a voice of GET /v1/voices.",
            )
        if self.maker.needs_transcript and transcript is None:
            raise TranscriptMissing(UPLOAD, None)
        prepared = prompt.load(UPLOAD, sample_rate=self.maker.sample_rate, file=io.BytesIO(recording))
        return self.maker.voice(prepared, transcript, name=UPLOAD)

    def add(
        self, name: str, recording: bytes, *, transcript: str | None, notes: str, declaration: str | None
    ) -> tuple[StoredVoice, list[str]]:
        """Store a voice, and return it with notes on its recording; see `valle voices add`.

        `declaration` is a text that says who has agreed to what. Raises VoiceError, AudioError and PromptTooLong.
        """
        if sum(1 for _ in library.voices()) >= MAX_VOICES:
            raise UsageError(f"the library has {MAX_VOICES} voices already", "Remove some: valle voices remove NAME")
        prepared = prompt.load(UPLOAD, best=True, file=io.BytesIO(recording))
        if transcript is not None and prepared.cut:
            raise _too_long(prepared.seconds)
        stored = library.add(name, prepared, transcript=transcript, notes=notes)
        if declaration is not None:
            try:
                stored = consent.declare(stored, declaration)
            except Exception:
                library.remove(stored.name)
                raise
        return stored, prepared.notes

    def _find(self, name: str) -> StoredVoice | Path:
        """Return a voice of the library or the file of a preset. Raises UnknownVoice and InvalidVoiceName."""
        if name in self._presets:
            found = presets.find(name, self.checkpoint, offline=self.offline)
            if found is not None:
                return found
        try:
            return library.get(name)
        except (UnknownVoice, InvalidVoiceName) as error:
            known = [listed.name for listed in self.listed()]
            hint = suggest(name, known) if known else "There are no voices: valle voices add NAME RECORDING"
            if isinstance(error, InvalidVoiceName):
                raise InvalidVoiceName(printable(name[:80]), "it is not a name of GET /v1/voices") from error
            raise UnknownVoice(f"there is no voice {printable(name[:80])}", hint) from error

    def _check(self, source: StoredVoice | Path) -> None:
        """Apply the policy of consent. Raises ConsentMissing."""
        if self.consent == policy.REQUIRE and isinstance(source, Path):
            raise ConsentMissing(f"{source.name} is not spoken: {ALLOWED}", "Name a voice of GET /v1/voices.")
        if policy.check(self.consent, source):
            self._report(policy.warning([str(source.name)]))

    def _allowed(self, stored: StoredVoice) -> bool:
        try:
            policy.check(self.consent, stored)
        except ConsentMissing:
            return False
        return True

    def _voice_of(self, source: StoredVoice | Path) -> Any:
        """Return a voice of the library or of a file, made once for each recording and transcript."""
        self._check(source)
        key: Hashable = source
        if isinstance(source, StoredVoice):
            key = (source.record.sha256, source.transcript)
        if key not in self._made:
            try:
                self._made[key] = self._make(source, name=source.name)
            except PresetError as error:  # its message has the path
                raise DamagedVoice(f"the voice {source.name}", "its file is damaged") from error
            if len(self._made) > CACHED:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]

    def _make(self, source: StoredVoice | Path, *, name: str) -> Any:
        transcript = self._default_transcript if source is self._default else None
        return self.maker.voice(read_prompt(source, self.maker.sample_rate), transcript, name=name)


def _too_long(seconds: float) -> UsageError:
    """Return the error of a transcript of more than what is kept of a recording."""
    return UsageError(
        f"only {seconds:.1f} s of the recording are kept, but its transcript covers all of it", "Shorten both."
    )
