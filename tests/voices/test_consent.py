"""Consent: what is accepted, what is refused and why. The recognizer and the speaker encoder are replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vallecli.audio import prompt
from vallecli.audio.prompt import PreparedPrompt
from vallecli.errors import ConsentMissing, ConsentRefused, EmptyTranscript, VoiceError
from vallecli.voices import consent, library, policy, speaker
from vallecli.voices.consent import STATEMENT, WORDS, Statement
from vallecli.voices.library import StoredVoice

SPEAKER, OTHER = np.eye(2, 256, dtype=np.float32)


@pytest.fixture
def anna(reference: Path) -> StoredVoice:
    return library.add("anna", prompt.load(reference))


def verify(voice: StoredVoice, heard: str, spoken_by: speaker.Embedding = SPEAKER) -> StoredVoice:
    """Check a statement that is heard as given, from a speaker; the voice's is SPEAKER."""
    statement = consent.pending(voice)
    assert statement is not None
    spoken = replace(voice.prompt(), notes=["spoken"])

    def embed(recording: PreparedPrompt) -> speaker.Embedding:
        return spoken_by if recording is spoken else SPEAKER

    return consent.verify(voice, statement, spoken, hear=lambda recording: heard, embed=embed)


def spelled(statement: Statement) -> str:
    """Return a statement as a recognizer may write it."""
    return statement.text.upper().replace(",", "").replace("VALLE", "VALLEY") + " THANK YOU."


def test_a_true_statement(anna: StoredVoice) -> None:
    statement = consent.new_statement(anna)
    found = verify(anna, spelled(statement)).consent
    assert found is not None
    assert (found.kind, found.statement, found.similarity) == ("verified", statement.text, 1.0)
    assert found.words is not None
    assert found.words > 0.9
    assert library.get("anna").consent == found
    assert consent.pending(anna) is None  # the same recording is not accepted again


def refusal(voice: StoredVoice, heard: str, spoken_by: speaker.Embedding = SPEAKER) -> str:
    with pytest.raises(ConsentRefused) as caught:
        verify(voice, heard, spoken_by)
    assert library.get("anna").consent is None
    assert consent.pending(voice) is not None  # it can be read once more
    return caught.value.message


def test_what_is_refused(anna: StoredVoice) -> None:
    older = consent.new_statement(anna)
    statement = consent.new_statement(anna)
    assert "not that of the voice: similarity 0.00" in refusal(anna, statement.text, OTHER)
    assert statement.words[0] in refusal(anna, "Good morning, this is another text.")
    replayed = next(word for word in statement.words if word not in older.words)
    assert replayed in refusal(anna, older.text)
    assert "of its words are heard" in refusal(anna, " ".join(statement.words))
    for word in statement.words:
        assert word in refusal(anna, statement.text.replace(word, "thing"))


def test_silence_is_refused(anna: StoredVoice, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "silent.wav", np.zeros(48_000), 24_000)
    with pytest.raises(ConsentRefused, match="is silent"):
        consent.read_statement(str(tmp_path / "silent.wav"))
    statement = consent.new_statement(anna)

    def hear(recording: PreparedPrompt) -> str:
        raise EmptyTranscript

    with pytest.raises(ConsentRefused, match="no words are heard"):
        consent.verify(anna, statement, anna.prompt(), hear=hear, embed=lambda recording: SPEAKER)


@pytest.mark.parametrize(
    "changes", [{"made": "2020-01-01"}, {"made": "2999-01-01"}, {"recording_sha256": "0" * 64}, {"text": None, "x": 1}]
)
def test_statements_that_are_too_old_or_of_another_recording(anna: StoredVoice, changes: dict[str, object]) -> None:
    consent.new_statement(anna)
    path = anna.path / consent.PENDING
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert consent.pending(anna) is None


def test_no_random_word_is_heard_in_the_rest_of_a_statement_or_in_another_word() -> None:
    for month in consent.MONTHS:
        rest = STATEMENT.format(date=f"{month} 30, 2026", tool=consent.TOOL, words="x, y and z")
        assert [word for word in WORDS if consent._is_heard(word, rest)] == []
    for word in WORDS:
        assert [other for other in WORDS if other != word and consent._is_heard(word, other)] == []


@pytest.mark.parametrize(("word", "heard"), [("railway", "the rail way,"), ("carpet", "Carpets."), ("honey", "HONEY")])
def test_other_spellings_are_heard(word: str, heard: str) -> None:
    assert consent._is_heard(word, heard)


def test_declarations(anna: StoredVoice) -> None:
    for basis in ("", " ", "x" * 1001):
        with pytest.raises(VoiceError):
            consent.declare(anna, basis)
    found = consent.declare(anna, "A contract.").consent
    assert found is not None
    assert (found.kind, found.basis, found.similarity) == ("declared", "A contract.", None)
    assert not policy.check("warn", library.get("anna"))
    with pytest.raises(ConsentMissing, match="nobody has verified"):
        policy.check("require", library.get("anna"))


def test_the_policy(anna: StoredVoice) -> None:
    assert [policy.check(name, anna) for name in ("off", "warn")] == [False, True]
    assert not policy.check("warn", Path("ref.wav"))
    with pytest.raises(ConsentMissing, match="no consent"):
        policy.check("require", anna)
    with pytest.raises(ConsentMissing) as caught:
        policy.check("require", Path("ref.wav"))
    assert "valle voices add" in caught.value.hint
    verified = verify(anna, consent.new_statement(anna).text)
    assert not policy.check("require", verified)
    again = library.add("anna", anna.prompt(), overwrite=True)  # a recording that replaces another has no consent
    with pytest.raises(ConsentMissing):
        policy.check("require", again)


def test_the_encoder_reads_windows_of_equal_length() -> None:
    encoder = speaker.SpeakerEncoder().eval()
    noise_N = np.random.default_rng(0).standard_normal(speaker.RATE * 5).astype(np.float32) * 0.1
    assert [len(encoder.windows(noise_N[:length])) for length in (4_000, 25_600, 41_000, 80_000)] == [1, 1, 2, 5]
    assert encoder.mels_FM.shape == (201, 40)
    peaks = encoder.mels_FM.argmax(dim=0)
    assert (peaks.diff() > 0).all()
    # A band is a triangle of unit area in Hz.
    np.testing.assert_allclose(encoder.mels_FM.sum(dim=0) * speaker.RATE / speaker.N_FFT, 1, atol=0.3)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "PACKAGE", "no_such_package")
    speaker.encoder.cache_clear()
    with pytest.raises(speaker.SpeakerEncoderMissing) as caught:
        speaker.embed(np.zeros(16_000, np.float32), 16_000)
    assert "--no-deps" in caught.value.hint
