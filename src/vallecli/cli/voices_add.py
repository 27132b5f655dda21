"""`valle voices add`, and the arguments that the commands of `valle voices` share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.voices.names import complete

if TYPE_CHECKING:
    from vallecli.audio.prompt import PreparedPrompt

NOISY_DB = 15.0  # a smaller distance of speech and noise is audible in the voice

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists without a question.")]
VoiceName = Annotated[str, typer.Argument(metavar="NAME", help="A name of the list.", autocompletion=complete)]
VoiceNames = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of the list.", autocompletion=complete)]
NewName = Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]


def may_replace(what: str, exists: bool, force: bool) -> bool:
    """Return whether something may be replaced: with --force, or if a person at a terminal agrees."""
    if force or not exists:
        return force
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm(f"{what}: replace it?", err=True)


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the voice: letters, digits, - and _.")],
    recording: Annotated[
        str, typer.Argument(metavar="FILE", help="A recording of one speaker (WAV, MP3, M4A, Opus, video, ...).")
    ],
    transcript: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The words of the recording, for checkpoints that need them; by default REF.txt next to REF.wav.",
        ),
    ] = None,
    transcribe: Annotated[
        bool, typer.Option("--transcribe", help="Transcribe the recording with Whisper (vallecli[asr]).")
    ] = False,
    notes: Annotated[str, typer.Option(metavar="TEXT", help="Anything to remember: source, licence, person.")] = "",
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="Also compute and store the codes of this checkpoint."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print details.")] = False,
) -> None:
    """Add a voice from a recording.

    Silence is removed, the level is normalized, and of a long recording the best 10 seconds are kept: those with the
    least noise and clipping, from pause to pause. Noise, clipping and too little speech are reported; so is a second
    speaker, if Resemblyzer is installed (pip install --no-deps Resemblyzer==0.1.4). The best recording has 5 to 10
    seconds of calm speech of one person in a quiet room.

    \b
    Examples:
      valle voices add anna recording.wav
      valle voices add anna interview.m4a --transcribe --notes "Interview of 2026-03-01"
    """
    from vallecli.audio import prompt
    from vallecli.errors import VallecliError, VoiceExists
    from vallecli.voices import library
    from vallecli.voices.names import check_name, find_name

    reporter: Reporter = context.obj
    reporter.quiet, reporter.verbose = quiet, verbose
    name = check_name(name)
    existing = find_name(name)
    overwrite = may_replace(f"there is a voice {existing} already", existing is not None, force)
    if existing is not None and not overwrite:
        raise VoiceExists(existing)
    prepared = prompt.load(recording, best=True)
    for note in prepared.notes:
        reporter.info(note)
    if prepared.snr is not None and prepared.snr < NOISY_DB:
        reporter.info(f"{recording} is noisy: the speech is only {prepared.snr:.0f} dB above the noise")
    mixed = _seems_mixed(recording, prepared, reporter)
    if prepared.cut:
        found = f"{'more than ' if prepared.more else ''}{prepared.found_seconds or prepared.seconds:.1f} s"
        reporter.info(f"of {found} of speech in {recording}, the best {prepared.seconds:.1f} s are kept")
    transcript = _transcript(recording, prepared, transcript, transcribe=transcribe, reporter=reporter)
    synthesizer = None
    if checkpoint is not None:
        from vallecli.errors import TranscriptMissing
        from vallecli.synthesizer import Synthesizer

        synthesizer = Synthesizer.load(checkpoint)
        if synthesizer.needs_transcript and transcript is None:
            raise TranscriptMissing(recording, prompt.transcript_file(recording))
    voice = library.add(name, prepared, transcript=transcript, notes=notes, overwrite=overwrite)
    if synthesizer is not None:
        try:
            synthesizer.voice(voice)  # caches the codes
        except VallecliError:
            reporter.info(f"the voice {voice.name} is stored, its codes for {checkpoint} are not")
            raise
    reporter.detail(f"{voice.name}: {voice.record.seconds:.1f} s, {voice.record.snr} dB above the noise")
    if as_json:
        write_json(
            {
                "name": voice.name,
                "path": str(voice.path),
                "seconds": voice.record.seconds,
                "snr": voice.record.snr,
                "sha256": voice.record.sha256,
                "transcript": voice.record.transcript,
                "several_speakers": mixed,
                "notes": prepared.notes,
            }
        )
    else:
        write_line(f"{voice.name}\t{Path(voice.path)}")


def _seems_mixed(recording: str, prepared: PreparedPrompt, reporter: Reporter) -> bool | None:
    """Return whether a recording seems to have several speakers, and report it; None if that is not known.

    Raises DamagedCheckpoint for an encoder that is not the published one.
    """
    from vallecli.voices import speaker

    speech_N = prepared.wav if prepared.all_speech is None else prepared.all_speech
    try:
        mixed = speaker.seems_mixed(speech_N, prepared.sample_rate)
    except speaker.SpeakerEncoderMissing as error:
        reporter.info(f"it is not known whether {recording} has several speakers: {error.message}\n  {error.hint}")
        return None
    if mixed:
        reporter.info(f"{recording} seems to have several speakers; a voice needs one: cut the others out")
    return mixed


def _transcript(
    recording: str, prepared: PreparedPrompt, given: str | None, *, transcribe: bool, reporter: Reporter
) -> str | None:
    """Return the words of what is kept of a recording: given, recognised, or from the file beside it.

    Raises PromptTooLong for given words if the recording was cut.
    """
    from vallecli.audio import prompt
    from vallecli.audio import transcribe as asr
    from vallecli.errors import PromptTooLong

    if transcribe and given is None:
        heard = asr.transcribe(prepared.wav, prepared.sample_rate)
        reporter.info(f"transcript: {heard}")
        return heard
    if given is not None:
        if prepared.cut:
            raise PromptTooLong(recording, prepared.seconds)
        return given
    written = prompt.read_transcript(recording)
    if prepared.cut and written is not None:
        reporter.info(f"{prompt.transcript_file(recording)} is not used: it has the words of the whole recording")
        return None
    return written
