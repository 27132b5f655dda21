"""Which voices may be spoken: the policy `consent` of the settings, which every command that speaks applies.

The Python API applies no policy: a program that uses it makes its own rules, with `StoredVoice.consent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vallecli.checkpoints.small_files import unreadable
from vallecli.errors import ConsentMissing, UnknownVoice
from vallecli.printable import printable
from vallecli.voices import library, presets
from vallecli.voices.library import StoredVoice
from vallecli.voices.record import DECLARED, IMPORTED, VERIFIED

SHOWN = 3  # names in a message
LIST = "valle voices list --checkpoint {}"
WARN, REQUIRE = "warn", "require"
KINDS = {
    DECLARED: "only a declaration of consent, which nobody has verified",
    IMPORTED: "a consent that was verified elsewhere, if at all",
}


def resolve(name: str, checkpoint: str, *, offline: bool = False) -> StoredVoice | Path:
    """Return a voice of the library, or else the file of a preset; see `presets.find`.

    Raises VoiceError and CheckpointError.
    """
    unknown = UnknownVoice(f"there is no preset {printable(name)}", f"Presets: {LIST.format(checkpoint)}")
    if "/" not in name:
        try:
            return library.get(name)
        except UnknownVoice as error:
            unknown = error
    try:
        path = presets.find(name, checkpoint, offline=offline)
    except OSError as error:
        raise unreadable(Path(checkpoint), error) from error
    if path is None:
        raise unknown
    return path


def check(policy: str, voice: StoredVoice | Path) -> bool:
    """Return whether the user is warned of a voice of the library without consent; see `warning`.

    Raises ConsentMissing under REQUIRE.
    """
    if policy == REQUIRE:
        _check_required(voice)
    return policy == WARN and isinstance(voice, StoredVoice) and voice.consent is None


def warning(names: Sequence[str]) -> str:
    """Return the message about voices without consent."""
    listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"no consent is on record for the voice {listed}; see: valle voices consent --help"


def _check_required(voice: StoredVoice | Path) -> None:
    if not isinstance(voice, StoredVoice):
        raise ConsentMissing(
            f"{printable(str(voice))} is not spoken: only voices with verified consent are allowed here",
            "Add it to the library (valle voices add NAME FILE), have its speaker consent (valle voices consent NAME), "
            "and use it by its name.",
        )
    if voice.consent is None or voice.consent.kind != VERIFIED:
        found = "no consent" if voice.consent is None else KINDS[voice.consent.kind]
        raise ConsentMissing(
            f"the voice {voice.name} is not spoken: it has {found}, and verified consent is required here",
            f"Have its speaker consent: valle voices consent {voice.name}",
        )
