"""One run of `valle speak`: everything that can be refused is refused before a model is loaded."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vallecli import atomic
from vallecli.audio import effects, files, play, prompt, signing
from vallecli.audio.formats import SIGNAL, SPOKEN_NOTICE
from vallecli.audio.levels import Leveller
from vallecli.audio.notice import signal
from vallecli.audio.pcm import Wav
from vallecli.audio.prompt import PreparedPrompt
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import Signer
from vallecli.checkpoints import lookup
from vallecli.cli import signals
from vallecli.cli.inputs import read_text
from vallecli.cli.options import MarkOptions, VoiceOptions
from vallecli.cli.output import STDOUT, Target, check_distinct, target
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.startup import no_garbage_collection
from vallecli.cli.streams import stdout_is_closed
from vallecli.errors import OutputNotWritable, UsageError
from vallecli.jobs.prompts import read_prompt
from vallecli.settings import NAMES, Settings
from vallecli.text.lexicon import Lexicon, read_lexicon
from vallecli.text.markup import read_markup
from vallecli.text.normalize import check_words
from vallecli.text.notice import notice_for
from vallecli.voices import policy
from vallecli.voices.library import StoredVoice

if TYPE_CHECKING:
    from vallecli.families.base import Preset, Voice
    from vallecli.synthesizer import Piece, Progress, Synthesizer

SEEDS = 2**31  # seeds that are chosen from at random; short enough to type


@dataclass(frozen=True, kw_only=True)
class SpeakRequest:
    """The command line."""

    settings: Settings
    options: Mapping[str, Any]
    """Loader options, as written."""
    decoder: str | None
    voice: VoiceOptions
    language: str
    accent: str | None
    text: str | None
    text_file: str | None
    output: str | None
    format: str | None
    force: bool
    save_codes: str | None
    disclose: str | None
    """A kind in audio.formats.DISCLOSURES."""
    marks: MarkOptions
    goes_on: bool
    save_voice: str | None
    play: bool
    json: bool


def run(request: SpeakRequest, reporter: Reporter) -> None:
    """Check the arguments, load the checkpoint, speak and write the audio."""
    started = time.perf_counter()
    settings = request.settings
    check_stdout(request)
    path = lookup.find(settings.checkpoint, offline=settings.offline)
    source = voice_source(request, reporter)
    text = read_text(request.text, request.text_file)
    words = words_of(text, request)
    where = output_of(request, _name(source), words)
    provenance = Provenance.of(settings.checkpoint)
    signer = signer_of(request, where)
    player = play.find_player() if request.play else None
    with no_garbage_collection():
        lexicon, recording = prepare(request, path, source, reporter)
        synthesizer = load(request, lexicon)
    spoken = SpokenText(synthesizer, settings, where.rate(synthesizer.sample_rate), started)
    voice = synthesizer.voice(
        recording, request.voice.prompt_text, name=_name(source), transcribe=request.voice.transcribe
    )
    reporter.info(f"{synthesizer.name} on {synthesizer.device} in {spoken.dtype}, seed {spoken.seed}")
    if request.save_voice is not None:
        synthesizer.backend.save_voice(voice, Path(request.save_voice))
    report_voice(request, recording, str(source), voice, synthesizer.frame_rate, reporter)
    played: list[Wav] = []  # for a player only: a long text makes hours of audio
    with reporter.progress() as show, where.open(spoken.sample_rate, provenance, signer) as out:
        leveller = Leveller(spoken.sample_rate, loudness=settings.loudness, gain=settings.gain)
        speech = leveller.apply(audio(request, text, voice, spoken, reporter, show))
        for wav_N in chain(disclosure(request, spoken), speech):
            out.write(wav_N)
            if player is not None:
                played.append(wav_N)
    for note in leveller.notes:
        reporter.info(note)
    save_codes(request, spoken)
    report(request, where, spoken)
    if player is not None:
        import numpy as np

        play.play(np.concatenate(played), spoken.sample_rate, player=player)


def load(request: SpeakRequest, lexicon: Lexicon | None) -> Synthesizer:
    """Return the checkpoint, ready to speak. Raises CheckpointError, DeviceError and UsageError."""
    from vallecli.quality.candidates import Choice
    from vallecli.synthesizer import Synthesizer

    settings = request.settings
    return Synthesizer.load(
        settings.checkpoint,
        device=settings.device,
        dtype=settings.dtype,
        options=request.options,
        decoder=request.decoder,
        lexicon=lexicon,
        choice=settings.choice(Choice()),
        watermark=settings.watermark,
    )


def voice_source(request: SpeakRequest, reporter: Reporter) -> StoredVoice | Path:
    """Return the voice or the recording to speak with, if the policy of consent allows it. Raises UsageError."""
    source = request.voice.find(request.settings)
    if source is None:
        raise UsageError("there is no voice", "Give a recording by --prompt, or the name of a voice by --voice.")
    if policy.check(request.settings.consent, source):
        reporter.info(policy.warning([_name(source)]))
    return source


def _name(source: StoredVoice | Path) -> str:
    return source.name if isinstance(source, StoredVoice) else str(source)


def check_stdout(request: SpeakRequest) -> None:
    """Refuse stdout as the output if it is closed, or needed for JSON. Raises UsageError."""
    if request.output == STDOUT and stdout_is_closed():
        raise UsageError("stdout is closed", "Name an output file.")
    if request.json and request.output == STDOUT:
        raise UsageError("--json and -o - both need stdout", "Leave one of them out.")


def output_of(request: SpeakRequest, voice: str, text: str) -> Target:
    """Return where the audio goes, and refuse outputs that could not be written. Raises UsageError and OutputError."""
    rate = request.settings.sample_rate
    where = target(request.output, request.format, prompt=voice, text=text, force=request.force, sample_rate=rate)
    more = {"--save-codes": _path(request.save_codes), "--save-voice": _path(request.save_voice)}
    check_ending("--save-codes", more["--save-codes"], (".npy", ".npz"))
    check_ending("--save-voice", more["--save-voice"], (".npz",))
    for path in filter(None, more.values()):
        files.check_writable(path, force=request.force)
    check_distinct(
        {"the audio": where.path, **more},
        {"--prompt": request.voice.prompt, "--text-file": request.text_file, "the lexicon": request.settings.lexicon},
    )
    return where


def prepare(
    request: SpeakRequest, path: Path, source: StoredVoice | Path, reporter: Reporter
) -> tuple[Lexicon | None, PreparedPrompt | Preset | StoredVoice]:
    """Return the lexicon and the recording for a checkpoint. Raises what the checkpoint and its options refuse."""
    from vallecli.families.base import parse_options
    from vallecli.families.detect import detect  # imports torch, which takes seconds

    family, contents = detect(path, verify=False)
    loader_options = parse_options(family, request.options)
    lexicon = None if request.settings.lexicon is None else read_lexicon(request.settings.lexicon)
    if lexicon is not None:
        family.text_reader(contents, loader_options).with_lexicon(lexicon)  # refuses sounds that it does not have
    recording = read_prompt(source, family.describe(contents).grid.sample_rate)
    for note in recording.notes if isinstance(recording, PreparedPrompt) else ():
        reporter.info(note)
    return lexicon, recording


def report_voice(
    request: SpeakRequest,
    recording: PreparedPrompt | Preset | StoredVoice,
    source: str,
    voice: Voice,
    frame_rate: float,
    reporter: Reporter,
) -> None:
    """Print the part of the recording that is used, its transcript if it was recognised, and the settings."""
    settings = request.settings
    for name in NAMES:
        value = getattr(settings, name)
        reporter.detail(f"  {name} {'not set' if value is None else value} ({settings.source(name)})")
    seconds = len(voice.codes_PQ) / frame_rate
    heard = recording.prompt() if isinstance(recording, StoredVoice) else recording
    part = prompt.used_part(heard, source, seconds) if isinstance(heard, PreparedPrompt) else None
    reporter.detail(f"  prompt: {seconds:.1f} s of {source}") if part is None else reporter.info(part)
    if request.voice.transcribe and voice.transcript is not None:
        reporter.info(f"transcript of the prompt: {voice.transcript}")


def words_of(text: str, request: SpeakRequest) -> str:
    """Return the text without its marks. Raises UsageError, MarkupError and EmptyText."""
    if request.settings.ssml and request.goes_on:
        raise UsageError("--ssml and --continue do not fit together", "Leave one of them out.")
    words = read_markup(text, ssml=bool(request.settings.ssml), language=request.language).words
    check_words(words)
    return words


def disclosure(request: SpeakRequest, spoken: SpokenText) -> Iterator[Wav]:
    """Yield the signal (N,) that the speech begins with, if it does; `spoken` counts it."""
    if request.disclose == SIGNAL:
        yield (signal_N := signal(spoken.sample_rate))
        spoken.samples += len(signal_N)


def audio(
    request: SpeakRequest, text: str, voice: Voice, spoken: SpokenText, reporter: Reporter, show: Progress
) -> Iterator[Wav]:
    """Yield the audio (N,) of each sentence; `spoken` counts it before the next one."""

    def report_progress(sentence: int, sentences: int, seconds: float) -> None:
        signals.check()
        show(sentence, sentences, seconds)

    synthesizer, settings = spoken.synthesizer, request.settings
    for piece in synthesizer.speak(
        text,
        voice,
        settings.sampling(synthesizer.sampling, seed=spoken.seed, frame_rate=synthesizer.frame_rate),
        seconds=settings.seconds,
        goes_on=request.goes_on,
        ssml=bool(settings.ssml),
        speed=settings.speed or 1.0,
        pause=settings.pause,
        paragraph_pause=settings.paragraph_pause,
        language=request.language,
        accent=request.accent,
        notice=notice_for(words_of(text, request), request.language) if request.disclose == SPOKEN_NOTICE else None,
        on_progress=report_progress,
    ):
        yield (wav_N := effects.resample(piece.audio, piece.sample_rate, spoken.sample_rate))
        spoken.add(piece, len(wav_N))
        report_piece(reporter, piece, spoken)


class SpokenText:
    """The sentences spoken so far, and how fast."""

    def __init__(self, synthesizer: Synthesizer, settings: Settings, sample_rate: int, started: float) -> None:
        self.synthesizer, self.sample_rate, self.started = synthesizer, sample_rate, started
        self.seed = secrets.randbelow(SEEDS) if settings.seed is None else settings.seed
        self.dtype = str(synthesizer.dtype).removeprefix("torch.")
        self.loaded = time.perf_counter()
        self.pieces: list[Piece] = []
        self.samples = 0
        self.first_audio = 0.0  # seconds since the start of the command
        self.ended = self.loaded

    def add(self, piece: Piece, samples: int) -> None:
        """Count a sentence, after its audio was written."""
        self.ended = time.perf_counter()
        if not self.pieces:
            self.first_audio = self.ended - self.started
        self.samples += samples
        self.pieces.append(replace(piece, audio=piece.audio[:0]))  # hours of audio would not fit into memory

    def seconds_of(self, piece: Piece) -> float:
        """Return the duration of a sentence without the pause before it."""
        return piece.frames / self.synthesizer.frame_rate

    def summary(self) -> dict[str, Any]:
        """Return the output of --json, except for the path; times are in seconds."""
        seconds = self.samples / self.sample_rate
        return {
            "seconds": round(seconds, 3),
            "sample_rate": self.sample_rate,
            "frames": sum(piece.frames for piece in self.pieces),
            "pieces": [
                {
                    "text": piece.text,
                    "frames": piece.frames,
                    "stop_reason": piece.stop_reason,
                    "problems": piece.problems,
                    "tried": [asdict(tried) for tried in piece.tried],
                }
                for piece in self.pieces
            ],
            "seed": self.seed,
            "checkpoint": self.synthesizer.name,
            "device": str(self.synthesizer.device),
            "dtype": self.dtype,
            "watermark": all(piece.watermarked for piece in self.pieces),
            "real_time_factor": round((self.ended - self.loaded) / seconds, 3),
            "time_to_first_audio": round(self.first_audio, 3),
        }


def report_piece(reporter: Reporter, piece: Piece, spoken: SpokenText) -> None:
    """Print a detail of each sentence, and a message for one that did not end by itself."""
    number, seconds = len(spoken.pieces), spoken.seconds_of(piece)
    if piece.stop_reason == "max_frames":
        reporter.info(f"sentence {number} did not end by itself and was cut off after {seconds:.1f} s: {piece.text}")
    elif piece.problems:
        reporter.info(f"sentence {number} may have gone wrong ({', '.join(piece.problems)}): {piece.text}")
    for note in piece.notes:
        reporter.info(f"sentence {number}: {note}")
    if len(piece.tried) > 1:
        reporter.detail(f"  sentence {number}: {len(piece.tried)} candidates")
    reporter.detail(f"  sentence {number}: {seconds:.1f} s, {piece.stop_reason}: {piece.text}")


def report(request: SpeakRequest, where: Target, spoken: SpokenText) -> None:
    """Print the path or, with --json, the summary; nothing if stdout has the audio."""
    if request.json:
        path = None if where.path is None else os.fspath(where.path)
        write_json({"path": path, **spoken.summary()})
    elif where.path is not None:
        write_line(os.fspath(where.path))


def signer_of(request: SpeakRequest, where: Target) -> Signer | None:
    """Return what signs the file, if it is signed. Raises UsageError, SigningError and ExtraMissing."""
    if request.marks.sign is not None:
        if where.path is None:
            raise UsageError("a pipe cannot be signed", "Name an output file.")
        signing.check_signable(where.format)
    return request.marks.signer()


def check_ending(flag: str, path: Path | None, endings: Sequence[str]) -> None:
    """Refuse a file whose name has none of these endings. Raises UsageError."""
    if path is not None and path.suffix not in endings:
        raise UsageError(f"{flag} is {path}", f"End the name in {' or '.join(endings)}.")


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def save_codes(request: SpeakRequest, spoken: SpokenText) -> None:
    """Write codes (T, Q) as int16: .npy has all frames, .npz also the number of frames of each sentence."""
    if request.save_codes is None:
        return
    import numpy as np

    codes_TQ = np.concatenate([piece.codes_TQ for piece in spoken.pieces])
    path = Path(request.save_codes)
    try:
        with atomic.replace_file(path) as file:
            if path.suffix == ".npy":
                np.save(file, codes_TQ)
            else:
                np.savez(file, codes=codes_TQ, frames=np.array([piece.frames for piece in spoken.pieces]))
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error
