"""Voices of requests: the policy of consent, names that are no paths, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vallecli.audio import prompt
from vallecli.errors import ConsentMissing, InvalidVoiceName, TranscriptMissing, UnknownVoice, UsageError
from vallecli.server.voices import ServerVoices
from vallecli.synthesizer import Synthesizer
from vallecli.voices import consent, library

Make = Callable[..., ServerVoices]


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Synthesizer:
    return Synthesizer.load(tiny_checkpoint)


@pytest.fixture
def make(tiny: Synthesizer, tiny_checkpoint: Path) -> Make:
    def voices(policy: str = "warn", synthesizer: Synthesizer = tiny, **values: Any) -> ServerVoices:
        options: dict[str, Any] = {"default": None, "default_transcript": None, "aliases": {}, "offline": True} | values
        return ServerVoices(
            synthesizer, checkpoint=str(tiny_checkpoint), consent=policy, report=lambda _: None, **options
        )

    return voices


@pytest.fixture
def anna(reference: Path) -> library.StoredVoice:
    return library.add("anna", prompt.load(reference))


def test_with_consent_required_only_verified_voices_are_spoken(
    make: Make, anna: library.StoredVoice, reference: Path
) -> None:
    voices = make("require")
    assert list(voices.listed()) == []
    for name in ("anna", "ANNA"):
        with pytest.raises(ConsentMissing, match="no consent"):
            voices.named(name)
    with pytest.raises(ConsentMissing, match="reference audio"):
        voices.uploaded(reference.read_bytes(), None)
    consent.declare(anna, "By letter.")
    with pytest.raises(ConsentMissing, match="declaration"):
        voices.named("anna")
    with pytest.raises(ConsentMissing):
        make("require", default=reference).named(None)


def test_consent_is_read_for_each_request(make: Make, anna: library.StoredVoice) -> None:
    voices = make()
    made = voices.named("anna")
    assert voices.named("anna") is made  # made once
    assert [entry.consent for entry in voices.listed()] == [None]
    consent.declare(anna, "By letter.")
    assert [entry.consent for entry in voices.listed()] == ["declared"]
    library.remove("anna")
    with pytest.raises(UnknownVoice):
        voices.named("anna")


def test_a_voice_that_is_replaced_is_made_again(make: Make, anna: library.StoredVoice, reference: Path) -> None:
    voices = make()
    made = voices.named("anna")
    prepared = prompt.load(reference, max_seconds=2)
    library.add("anna", prepared, overwrite=True)
    assert voices.named("anna") is not made


@pytest.mark.parametrize("name", ["../anna", "/etc/passwd", "anna/../anna", ".", "", "C:\\x", "nano/anna"])
@pytest.mark.usefixtures("anna")
def test_names_are_no_paths(make: Make, reference: Path, name: str) -> None:
    voices = make()
    with pytest.raises((InvalidVoiceName, UnknownVoice)):
        voices.named(name)
    with pytest.raises((InvalidVoiceName, UnknownVoice)):
        voices.named(str(reference))


@pytest.mark.usefixtures("anna")
def test_aliases_and_the_default(make: Make, reference: Path) -> None:
    voices = make(default=reference, aliases={"alloy": "default", "echo": "anna"})
    assert voices.named("alloy") is voices.named(None) is voices.named("default")
    assert voices.named("echo") is voices.named("anna")
    with pytest.raises(UnknownVoice):
        make(aliases={"alloy": "nobody"})
    with pytest.raises(UsageError, match="no default voice"):
        make().named(None)


def test_an_upload_needs_its_words_if_the_checkpoint_does(
    make: Make, transcript_checkpoint: Path, reference: Path, own_folder: Path
) -> None:
    (own_folder / "the reference audio.txt").write_text("Words of another file.", encoding="utf-8")
    voices = make(synthesizer=Synthesizer.load(transcript_checkpoint))
    with pytest.raises(TranscriptMissing):
        voices.uploaded(reference.read_bytes(), None)
    assert voices.uploaded(reference.read_bytes(), "Red green.").transcript == "Red green."
