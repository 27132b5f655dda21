"""Consent of a speaker: a statement is read aloud, a speech recognizer hears its words, an embedding its speaker.

The statement has three random words, which are stored until it is read: an older recording does not have them.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from itertools import pairwise

from vallecli import atomic, inputs
from vallecli.audio import prompt, transcribe
from vallecli.audio.prompt import PreparedPrompt
from vallecli.checkpoints import strict_json
from vallecli.errors import ConsentRefused, EmptyTranscript, PromptTooShort, SilentPrompt, VoiceError
from vallecli.voices import library, speaker
from vallecli.voices.library import StoredVoice
from vallecli.voices.record import DECLARED, VERIFIED, Consent, samples_sha256

PENDING = "pending.json"
MAX_PENDING = 4096  # bytes
VALID = timedelta(days=7)  # from the day on which a statement was made
RANDOM_WORDS = 3
# Common words of two or more syllables that sound unlike each other and the rest of the statement.
WORDS = re.findall(
    r"\w+",
    """
    findall animal apple autumn balloon banana basket bicycle breakfast butter button camera candle carpet castle
    chocolate circus coffee corner cotton curtain diamond dinner dolphin dragon elephant engine evening family
    farmer feather finger flower forest garden giraffe guitar hammer holiday honey hospital island jacket kangaroo
    kitchen ladder lemon library lion machine market medicine melody mirror morning mountain museum music necklace
    orange painter paper parrot pencil piano picture pocket potato president rabbit railway rainbow river robin
    saturday school secret shoulder station student summer table thunder tomato train tulip umbrella university
    vacation village violin water wednesday window yellow zebra
    """,
)
STATEMENT = (
    "I am the speaker of this recording. Today, on {date}, I agree that my voice may be copied with {tool}. "
    "My three words are {words}."
)
TOOL = "valle"
MONTHS = re.findall(
    r"\w+", "January February March April May June July August September October November December"
)  # in any locale
LEAST_WORDS = 0.7  # share of the statement's words, in their order, that must be heard
SIMILAR_WORD = 0.75  # a heard word this similar to one of the three counts as it, for spellings such as theater
# The lowest cosine of the embeddings of statement and recording. Of 13,350 pairs of different speakers, 1% reach it,
# and of 461 pairs of the same speaker 10.4% are below (recordings of 3 to 10 s): examples/consent/threshold.py.
THRESHOLD = 0.784
MAX_STATEMENT_SECONDS = 60.0


@dataclass(frozen=True)
class Statement:
    """A statement that is to be read aloud, for one recording."""

    text: str
    words: tuple[str, ...]
    """The random ones."""
    made: str
    """Date, YYYY-MM-DD."""
    recording_sha256: str


def new_statement(voice: StoredVoice) -> Statement:
    """Return a new statement of today, and store it as the only one that is accepted. Raises VoiceError."""
    today = datetime.now(UTC).date()
    words = tuple(secrets.SystemRandom().sample(WORDS, RANDOM_WORDS))
    date = f"{MONTHS[today.month - 1]} {today.day}, {today.year}"
    listed = f"{', '.join(words[:-1])} and {words[-1]}"
    text = STATEMENT.format(date=date, tool=TOOL, words=listed)
    statement = Statement(text, words, today.isoformat(), voice.record.sha256)
    with library.locked(voice.name), atomic.replace_file(voice.path / PENDING) as file:
        file.write(json.dumps({**vars(statement), "words": list(words)}).encode())
    return statement


def pending(voice: StoredVoice) -> Statement | None:
    """Return the statement that is to be read aloud; None if there is none for this recording, or it is too old."""
    try:
        values = strict_json.loads_object(inputs.read_small(voice.path / PENDING, MAX_PENDING).decode())
        statement = Statement(**{**values, "words": tuple(values["words"])})
        age = datetime.now(UTC).date() - datetime.fromisoformat(statement.made).date()
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if statement.recording_sha256 != voice.record.sha256 or not timedelta(0) <= age <= VALID:
        return None
    return statement


def verify(
    voice: StoredVoice,
    statement: Statement,
    spoken: PreparedPrompt,
    *,
    hear: Callable[[PreparedPrompt], str] | None = None,
    embed: Callable[[PreparedPrompt], speaker.Embedding] | None = None,
) -> StoredVoice:
    """Store the consent of a voice if a recording has the words of a statement, read by the voice's speaker.

    Raises ConsentRefused with the reason, DependencyMissing, CheckpointError and VoiceError. `hear` returns the words
    of a recording, `embed` the embedding of its speaker.
    """
    hear, embed = hear or _hear, embed or _embed
    try:
        heard = hear(spoken)
    except EmptyTranscript as error:
        raise _refused("no words are heard in it") from error
    share = heard_share(statement.text, heard)
    missing = [word for word in statement.words if not _is_heard(word, heard)]
    if missing:
        raise _refused(f"its words {', '.join(missing)} are not heard; this is heard: {heard}")
    if share < LEAST_WORDS:
        raise _refused(f"only {share:.0%} of its words are heard; this is heard: {heard}")
    cosine = speaker.similarity(embed(spoken), embed(voice.prompt()))
    if cosine < THRESHOLD:
        raise _refused(f"its speaker is not that of the voice: similarity {cosine:.2f}, at least {THRESHOLD} is needed")
    consent = Consent(
        kind=VERIFIED,
        date=library.timestamp(),
        statement=statement.text,
        heard=heard,
        words=round(share, 3),
        similarity=round(cosine, 3),
        threshold=THRESHOLD,
        statement_sha256=samples_sha256(spoken.wav),
        recording_sha256=voice.record.sha256,
    )
    updated = library.update(voice, replace(voice.record, consent=consent))
    (voice.path / PENDING).unlink(missing_ok=True)  # the same recording is not accepted again
    return updated


def declare(voice: StoredVoice, basis: str) -> StoredVoice:
    """Store a declaration, which nobody has verified. Raises VoiceError for an empty one, or one that is too long."""
    if not basis.strip() or len(basis) > 1000:
        raise VoiceError(
            "a declaration should have 1 to 1000 characters",
            "Write who has agreed to what, when, and where it is kept.",
        )
    consent = Consent(
        kind=DECLARED, date=library.timestamp(), basis=basis.strip(), recording_sha256=voice.record.sha256
    )
    return library.update(voice, replace(voice.record, consent=consent))


def read_statement(path: str) -> PreparedPrompt:
    """Return the speech in a recording of a statement. Raises ConsentRefused if it has none, and AudioError."""
    try:
        return prompt.load(path, max_seconds=MAX_STATEMENT_SECONDS)
    except (SilentPrompt, PromptTooShort) as error:
        raise _refused(error.message) from error


def heard_share(statement: str, heard: str) -> float:
    """Return the share of the words of a statement that were heard, in its order."""
    expected, found = normalize(statement), normalize(heard)
    matches = SequenceMatcher(None, expected, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in matches) / len(expected)


def normalize(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", folded)


def _is_heard(word: str, heard: str) -> bool:
    """Return whether a word, or another spelling of it, was heard."""
    return any(SequenceMatcher(None, word, other).ratio() >= SIMILAR_WORD for other in _joined(normalize(heard)))


def _joined(words: Sequence[str]) -> list[str]:
    """Return words, and each two neighbours as one: a recognizer may hear rail way."""
    return [*words, *(first + second for first, second in pairwise(words))]


def _hear(spoken: PreparedPrompt) -> str:
    return transcribe.transcribe(spoken.wav, spoken.sample_rate)


def _embed(recording: PreparedPrompt) -> speaker.Embedding:
    return speaker.embed(recording.wav, recording.sample_rate)


def _refused(reason: str) -> ConsentRefused:
    return ConsentRefused(
        f"the statement is not accepted: {reason}", "Read the whole statement aloud, in a quiet room, and try again."
    )
