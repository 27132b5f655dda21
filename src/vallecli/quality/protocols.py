"""Published evaluation protocols as tables: each writes the list of what it uses, which is a table of valle eval.

VALL-E (arXiv 2301.02111, section 5): LibriSpeech test-clean, utterances of 4 to 10 s, with 3 s as the prompt: of
another utterance of the speaker (cross), or the beginning of the same one (continue). Seed-TTS (arXiv 2406.02430): its
list has the prompts. The random choices depend on the utterances alone, so everybody with the corpus gets the same
list.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from vallecli import atomic, inputs
from vallecli.audio.files import read_audio, write_audio
from vallecli.encoding import decode
from vallecli.errors import FolderNotWritable, InputError, UsageError
from vallecli.quality.evaluation import Hear
from vallecli.quality.pretrained import RATE
from vallecli.quality.wer import ENGLISH, heard_part, language_of
from vallecli.settings import suggest

LIST = "protocol.jsonl"
PROMPTS = "prompts"  # folder of the parts of utterances
CROSS, CONTINUE, SEED_TTS = "librispeech-cross", "librispeech-continue", "seed-tts"
PROTOCOLS = (CROSS, CONTINUE, SEED_TTS)

SHORTEST, LONGEST = 4.0, 10.0  # seconds of the utterances that are spoken
PROMPT_SECONDS = 3.0
TRANSCRIPTS = "*.trans.txt"
MAX_LIST_BYTES = 2**26
FIRST_PERSON = re.compile(r"\bi\b")


@dataclass(frozen=True)
class Utterance:
    """A recording of LibriSpeech."""

    id: str
    path: Path
    text: str
    seconds: float

    @property
    def speaker(self) -> str:
        """Return the number of the reader, with which the id begins."""
        return self.id.partition("-")[0]


def write_list(protocol: str, source: Path, out: Path, *, limit: int | None = None, hear: Hear | None = None) -> Path:
    """Write the list of a protocol and the prompts that are parts of utterances, and return the path of the list.

    `source` is the folder test-clean of LibriSpeech, or META.lst of Seed-TTS. With `limit`, the list has so many rows,
    spread evenly over the protocol's. CONTINUE needs `hear`, which finds the words of the prompts; those that a list
    in the folder has are kept. Raises ValueError without it, UsageError for an unknown protocol, InputError for a
    source that is not what it should be, and OutputError.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"there is no protocol {protocol!r}", suggest(protocol, PROTOCOLS))
    if protocol == SEED_TTS:
        rows = _spread(list(_seed_tts(source)), limit)
    else:
        utterances = _librispeech(source)
        chosen = _spread([one for one in utterances if SHORTEST <= one.seconds <= LONGEST], limit)
        if protocol == CROSS:
            made = (_cross(one, utterances, out) for one in chosen)
        elif hear is None:
            raise ValueError(f"{CONTINUE} needs a recognizer")
        else:
            known = _known_words(out / LIST)
            made = (_continue(one, out, hear, known) for one in chosen)
        rows = [row for row in made if row is not None]
    if not rows:
        raise InputError(f"{source} has no utterances for {protocol}", "Give the folder or list of that protocol.")
    path = out / LIST
    try:
        out.mkdir(parents=True, exist_ok=True)
        with atomic.replace_file(path) as file:
            file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    except OSError as error:
        raise FolderNotWritable(path, error) from error
    return path


def _spread(found: Sequence[Any], limit: int | None) -> list[Any]:
    """Return `limit` of the rows at equal distances, so that all speakers are among them if possible."""
    if limit is None or limit >= len(found):
        return list(found)
    return [found[place * len(found) // limit] for place in range(limit)]


# LibriSpeech


def _librispeech(folder: Path) -> list[Utterance]:
    """Return the utterances below a folder, sorted by id. Raises InputError."""
    found = []
    for transcript in sorted(folder.rglob(TRANSCRIPTS)):
        for line in _lines(transcript):
            name, _, text = line.partition(" ")
            path = transcript.with_name(f"{name}.flac")
            try:
                seconds = soundfile.info(path).duration
            except (OSError, RuntimeError) as error:
                raise InputError(f"cannot read {path}: {error}", "Unpack LibriSpeech again.") from error
            found.append(Utterance(name, path, sentence(text), seconds))
    if not found:
        raise InputError(f"{folder} has no {TRANSCRIPTS}", "Give the unpacked folder LibriSpeech/test-clean.")
    return sorted(found, key=lambda one: one.id)


def sentence(text: str) -> str:
    """Return a transcript in capitals as a sentence: front ends read capitals as letters."""
    lower = FIRST_PERSON.sub("I", text.strip().lower())
    return f"{lower[:1].upper()}{lower[1:]}."


def _cross(one: Utterance, utterances: Sequence[Utterance], out: Path) -> dict[str, Any] | None:
    """Return the row of an utterance, with a part of another one of the speaker as its prompt; None without another."""
    others = [u for u in utterances if u.speaker == one.speaker and u.id != one.id and u.seconds >= PROMPT_SECONDS]
    if not others:
        return None
    generator = random.Random(one.id)
    other = generator.choice(others)
    begin = round(generator.uniform(0, other.seconds - PROMPT_SECONDS), 2)
    return _row(one, other, begin, out)


def _continue(one: Utterance, out: Path, hear: Hear, known: Mapping[tuple[Any, ...], str]) -> dict[str, Any] | None:
    """Return the row of an utterance, with its own beginning as its prompt; None for one of a single word."""
    row = _row(one, one, 0.0, out)
    words = known.get(_identity(row))
    if words is None:
        wav_N = read_audio(out / row["prompt"], sample_rate=RATE)
        words = heard_part(one.text, hear(wav_N, RATE, ENGLISH), ENGLISH)
    return None if words is None else {**row, "prompt_text": words, "continue": True}


def _known_words(path: Path) -> dict[tuple[Any, ...], str]:
    """Return the words of the prompts of an earlier list by their rows; lines of any other kind do not count."""
    known = {}
    if path.is_file():
        for line in _lines(path):
            try:
                row = json.loads(line)
                known[_identity(row)] = str(row["prompt_text"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
    return known


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["id"], row["text"], row["prompt_source"]


def _row(one: Utterance, prompt: Utterance, begin: float, out: Path) -> dict[str, Any]:
    """Return a row, and write its prompt if it does not exist."""
    path = out / PROMPTS / f"{one.id}.wav"
    if not path.is_file():
        rate = soundfile.info(prompt.path).samplerate
        first = int(begin * rate)
        wav_N = read_audio(prompt.path, sample_rate=rate)[first : first + int(PROMPT_SECONDS * rate)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FolderNotWritable(path, error) from error
        write_audio(path, wav_N, sample_rate=rate)
    return {
        "id": one.id,
        "text": one.text,
        "prompt": f"{PROMPTS}/{one.id}.wav",
        "reference": os.path.realpath(one.path),
        "speaker": one.speaker,
        "prompt_source": f"{prompt.id}, {begin:.2f} s to {begin + PROMPT_SECONDS:.2f} s",
    }


# Seed-TTS


def _seed_tts(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of META.lst: id|words of the prompt|prompt|text, and sometimes |recording of the text."""
    folder = Path(os.path.realpath(path)).parent
    for number, line in enumerate(_lines(path), 1):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) not in (4, 5) or not all(fields[:4]):
            raise InputError(
                f"line {number} of {path} is not of the form id|prompt text|prompt|text", "Give META.lst of Seed-TTS."
            )
        name, prompt_text, prompt, text = fields[:4]
        name = name.removesuffix(".wav")
        reference = folder / (fields[4] if len(fields) == 5 and fields[4] else f"wavs/{name}.wav")
        row = {
            "id": name,
            "text": text,
            "prompt": str(folder / prompt),
            "prompt_text": prompt_text,
            "language": language_of(text),
            "speaker": prompt,
        }
        yield {**row, "reference": str(reference)} if reference.is_file() else row


def _lines(path: Path) -> list[str]:
    """Return the lines of a small text file that are not blank. Raises InputError."""
    try:
        text = decode(inputs.read_small(path, MAX_LIST_BYTES), path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}", "Check the name.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
