"""One take of `valle speak`: everything that can be refused is refused before a model is loaded."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli.checkpoints import registry
from vallecli.audio import files, play
from vallecli.audio.prompt import PreparedPrompt
from vallecli.cli.output import STDOUT, Talk, Target, target, write_line
from vallecli.constants import FRAME_RATE
from vallecli.errors import InputError, OutputNotWritable, TextEncodingError, UsageError
from vallecli.jobs.prompts import read_prompt
from vallecli.settings import NAMES, Settings
from vallecli.text.english.normalize import check_words

if TYPE_CHECKING:
    from vallecli.synthesizer import Piece, Synthesizer

SEEDS = 2**31  # seeds that chance chooses from; short enough to type again


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asked for."""

    settings: Settings
    loading: Mapping[str, Any]
    """What Synthesizer.load is told besides, of a checkpoint that does not tell it itself."""
    prompt: str
    prompt_text: str | None
    transcribe: bool
    language: str
    accent: str | None
    text: str | None
    text_file: str | None
    output: str | None
    format: str | None
    force: bool
    save_codes: str | None
    play: bool
    json: bool


def read_text(text: str | None, text_file: str | None) -> str:
    """Return the text from the one place it was given; a byte order mark is dropped."""
    if text is not None and text_file is not None:
        raise UsageError("--text and --text-file both give a text", "Leave one of them out.")
    try:
        if text is not None:
            return text.encode().decode()  # arguments that are not UTF-8 come as lone surrogates
        if text_file is not None and text_file != STDOUT:
            return Path(text_file).read_bytes().decode("utf-8-sig")
        if text_file is None and sys.stdin.isatty():
            raise UsageError("there is no text", "Give it by --text or --text-file, or pipe it in.")
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeError as error:
        source = "--text" if text is not None else "stdin" if text_file in (None, STDOUT) else text_file
        raise TextEncodingError(str(source)) from error
    except OSError as error:
        raise InputError(f"cannot read {text_file}: {error.strerror}", "Check --text-file.") from error


def make(request: Request, talk: Talk) -> None:
    """Check, load, speak and write one take."""
    started = time.perf_counter()
    settings = request.settings
    if request.json and request.output == STDOUT:
        raise UsageError("--json and -o - both want stdout", "Leave one of them out.")
    registry.find(settings.checkpoint, offline=settings.offline)
    text = read_text(request.text, request.text_file)
    check_words(text)
    where = target(request.output, request.format, prompt=request.prompt, text=text, force=request.force)
    check_codes_path(request)
    player = play.find_player() if request.play else None
    recording = read_prompt(request.prompt)
    for note in recording.notes if isinstance(recording, PreparedPrompt) else ():
        talk.say(note)

    import numpy as np

    from vallecli.synthesizer import Synthesizer  # seconds of torch, after all that could be refused without it

    synthesizer = Synthesizer.load(settings.checkpoint, device=settings.device, dtype=settings.dtype, **request.loading)
    take = Take(synthesizer, secrets.randbelow(SEEDS) if settings.seed is None else settings.seed, started)
    voice = synthesizer.voice(recording, request.prompt_text, name=request.prompt, transcribe=request.transcribe)
    talk.say(f"{synthesizer.name} on {synthesizer.device} in {take.dtype}, seed {take.seed}")
    for name in NAMES:
        value = getattr(settings, name)
        talk.detail(f"  {name} {'left open' if value is None else value} ({settings.source(name)})")
    tell = talk.say if isinstance(recording, PreparedPrompt) and recording.cut else talk.detail  # it may be cut again
    tell(f"  prompt: {len(voice.codes_PQ) / FRAME_RATE:.1f} s of {request.prompt}")
    if request.transcribe and voice.transcript is not None:
        talk.say(f"the prompt says: {voice.transcript}")
    heard = []  # only for a player: a long text makes hours of audio
    with talk.progress() as show, where.open() as out:
        for piece in synthesizer.speak(
            text,
            voice,
            settings.sampling(synthesizer.sampling, seed=take.seed),
            language=request.language,
            accent=request.accent,
            on_progress=show,
        ):
            out.write(piece.audio)
            take.add(piece)
            tell_piece(talk, piece, take)
            if player is not None:
                heard.append(piece.audio)
    save_codes(request, take)
    report(request, where, take)
    if player is not None:
        play.play(np.concatenate(heard), player=player)


class Take:
    """What has been spoken so far, and how fast."""

    def __init__(self, synthesizer: Synthesizer, seed: int, started: float) -> None:
        self.synthesizer, self.seed, self.started = synthesizer, seed, started
        self.dtype = str(synthesizer.dtype).removeprefix("torch.")
        self.loaded = time.perf_counter()
        self.pieces: list[Piece] = []
        self.samples = 0
        self.first_audio = 0.0  # seconds from the start of the command
        self.ended = self.loaded

    def add(self, piece: Piece) -> None:
        """Count a sentence, once its audio has been handed on."""
        self.ended = time.perf_counter()
        if not self.pieces:
            self.first_audio = self.ended - self.started
        self.samples += len(piece.audio)
        self.pieces.append(replace(piece, audio=piece.audio[:0]))  # hours of it would not fit

    def summary(self) -> dict[str, Any]:
        """Return what --json prints, but for the path; times are in seconds."""
        seconds = self.samples / self.synthesizer.sample_rate
        return {
            "seconds": round(seconds, 3),
            "sample_rate": self.synthesizer.sample_rate,
            "frames": sum(piece.frames for piece in self.pieces),
            "pieces": [{"text": p.text, "frames": p.frames, "stop_reason": p.stop_reason} for p in self.pieces],
            "seed": self.seed,
            "checkpoint": self.synthesizer.name,
            "device": str(self.synthesizer.device),
            "dtype": self.dtype,
            "real_time_factor": round((self.ended - self.loaded) / seconds, 3),
            "time_to_first_audio": round(self.first_audio, 3),
        }


def tell_piece(talk: Talk, piece: Piece, take: Take) -> None:
    """Say how a sentence went; everyone hears of one that did not end by itself."""
    number, seconds = len(take.pieces), piece.frames / FRAME_RATE
    if piece.stop_reason == "max_frames":
        talk.say(f"sentence {number} did not end by itself and was cut off after {seconds:.1f} s: {piece.text}")
    for note in piece.notes:
        talk.say(f"sentence {number}: {note}")
    talk.detail(f"  sentence {number}: {seconds:.1f} s, {piece.stop_reason}: {piece.text}")


def report(request: Request, where: Target, take: Take) -> None:
    """Print the path, or with --json all there is to know; nothing if stdout carries the audio."""
    if request.json:
        path = None if where.path is None else os.fspath(where.path)
        write_line(json.dumps({"path": path, **take.summary()}))
    elif where.path is not None:
        write_line(os.fspath(where.path))


def check_codes_path(request: Request) -> None:
    """Refuse a --save-codes that could not be written."""
    if request.save_codes is None:
        return
    path = Path(request.save_codes)
    if path.suffix not in (".npy", ".npz"):
        raise UsageError(f"{path} names no format for codes by its ending", "End the name in .npy or .npz.")
    files.check_writable(path, force=request.force)


def save_codes(request: Request, take: Take) -> None:
    """Write codes (T, 8) as int16: .npy holds all frames, .npz also how many frames each sentence has."""
    if request.save_codes is None:
        return
    import numpy as np

    codes_TQ = np.concatenate([piece.codes_TQ for piece in take.pieces])
    path = Path(request.save_codes)
    temporary = path.with_name(f".valle-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            if path.suffix == ".npy":
                np.save(file, codes_TQ)
            else:
                np.savez(file, codes=codes_TQ, frames=np.array([piece.frames for piece in take.pieces]))
        temporary.replace(path)
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower()) from error
    finally:
        temporary.unlink(missing_ok=True)
