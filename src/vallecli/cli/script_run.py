"""One run of `valle script`: the dialogue is read, its sentences are spoken as a batch, and the clips become files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from vallecli.atomic import sweep
from vallecli.audio.files import check_writable
from vallecli.audio.formats import FORMATS, SIGNAL, check_rate, format_of, output_rate
from vallecli.audio.labels import Labels
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import check_signable
from vallecli.cli import options, work_run
from vallecli.cli.inputs import VOICE_FLAG
from vallecli.cli.output import check_distinct
from vallecli.cli.reporter import Reporter, write_json, write_line
from vallecli.cli.work_options import WorkOptions, batch_request
from vallecli.cli.work_run import Output, Writer, clock
from vallecli.errors import OutputNotWritable, UsageError
from vallecli.jobs.plan import check_choice
from vallecli.longform.assemble import Source, Tones
from vallecli.longform.cast import read_cast
from vallecli.longform.dialogue import Pause, read_script
from vallecli.longform.made import Made
from vallecli.longform.master import LOUDNESS
from vallecli.longform.play import PAUSE, Scene, Turn, check_voices, lay_out, turns_of
from vallecli.longform.subtitles import FORMATS as SUBTITLES
from vallecli.longform.work import Utterance, work_folder
from vallecli.text.notice import notice_for

DEFAULT_FORMAT = "wav"


@dataclass(frozen=True, kw_only=True)
class ScriptRequest:
    """The command line, apart from the options that all works have."""

    play: str
    cast: str
    output: str | None
    stems: str | None
    subtitles: str | None


def run(context: typer.Context, request: ScriptRequest, work: WorkOptions, reporter: Reporter) -> None:
    """Read the dialogue; print an estimate, or speak it and write the files."""
    settings = options.settings(context)
    target = Path(request.output or Path(request.play).stem + FORMATS[DEFAULT_FORMAT].ending)
    format = format_of(target)
    check_options(request, work.voice, voice=settings.source("voice") if settings.voice is not None else None)
    check_rate(format, settings.sample_rate)
    cast = read_cast(Path(request.cast))
    turns = turns_of(read_script(Path(request.play), cast.names), cast, request.play, language=work.reading.language)
    names = list(dict.fromkeys(turn.name for turn in turns if isinstance(turn, Turn)))
    folder = work_folder(target) if work.work_dir is None else Path(work.work_dir)
    batch = batch_request(context, work, reporter, folder)
    batch = replace(batch, defaults=replace(batch.defaults, prompt=None))  # each speaker has one
    signer = work.marks.signer()
    if signer is not None:
        check_signable(format)
    disclose = work.marks.disclosure()
    stems = stem_paths(request, names, target.suffix)
    made = Made(folder)
    check_outputs(request, target, list(stems.values()), made, force=work.rows.force)
    check_voices([cast.members[name] for name in names], settings)
    notice = opening(turns, work.reading.language, disclose)
    utterances = [*([] if notice is None else [notice]), *sentences_of(turns)]
    if work.rows.dry_run:
        return print_estimate(utterances, batch, reporter)
    spoken = work_run.speak(utterances, batch, reporter, skip_failed=work.skip_failed)
    if spoken is None:
        return None
    first: Source | None = Tones() if disclose == SIGNAL else None if notice is None else spoken.clips.get(notice.id)
    scene = lay_out(
        turns,
        spoken.clips,
        cast,
        sample_rate=output_rate(format, settings.sample_rate, spoken.sample_rate),
        pause=PAUSE if settings.pause is None else settings.pause,
        opening=first,
    )
    title = Path(request.play).stem
    outputs = [Output(target, format, scene.track, Labels(title=title))]
    for name, path in stems.items():
        outputs.append(Output(path, format, scene.stem(name), Labels(title=f"{title}: {name}")))
    loudness = None if work.keep_loudness else LOUDNESS if settings.loudness is None else settings.loudness
    writer = Writer(made, Provenance.of(settings.checkpoint), signer)
    level = work_run.write_outputs(
        outputs, writer, loudness=loudness, gain=settings.gain or 0.0, reporter=reporter, measured=[scene.track]
    )
    texts = write_subtitles(request, target, scene, writer)
    report(outputs, texts, scene, {**level, **spoken.summary}, reporter, as_json=work.printed.as_json)
    return None


def check_options(request: ScriptRequest, given: options.VoiceOptions, *, voice: str | None) -> None:
    """Raise UsageError for options that do not go together; `voice` is the source of a default voice."""
    if given.prompt is not None or given.prompt_text is not None or voice == VOICE_FLAG:
        flag = "--voice" if voice == VOICE_FLAG else "--prompt"
        raise UsageError(f"{flag} is not for a dialogue", "The cast has the voice of each speaker.")
    if request.subtitles is not None:
        check_choice("--subtitles", request.subtitles, [ending.removeprefix(".") for ending in SUBTITLES])


def sentences_of(turns: Sequence[Turn | Pause]) -> list[Utterance]:
    """Return all sentences in order."""
    return [sentence for turn in turns if isinstance(turn, Turn) for sentence in turn.sentences]


def opening(turns: Sequence[Turn | Pause], language: str, disclose: str | None) -> Utterance | None:
    """Return the spoken notice that the speech is synthetic, if there is one: by the first speaker."""
    if disclose is None or disclose == SIGNAL:
        return None
    first = sentences_of(turns)[0]
    return Utterance(notice_for(first.text, first.columns.get("language", language)), first.columns)


def stem_paths(request: ScriptRequest, names: Sequence[str], ending: str) -> dict[str, Path]:
    """Return the file of each speaker, whose name has letters, digits, - and _ only. {} without --stems."""
    if request.stems is None:
        return {}
    paths: dict[str, Path] = {}
    used: set[str] = set()
    for name in names:
        stem = re.sub(r"[^\w]+", "-", name).strip("-") or "speaker"
        unique = next(
            found
            for found in (stem, *(f"{stem}-{number}" for number in range(2, len(names) + 2)))
            if found.casefold() not in used
        )
        used.add(unique.casefold())
        paths[name] = Path(request.stems) / (unique + ending.lower())
    return paths


def check_outputs(request: ScriptRequest, target: Path, stems: Sequence[Path], made: Made, *, force: bool) -> None:
    """Refuse files that cannot be written, or that are not of this work. Raises OutputError and UsageError."""
    check_writable(target, force=True)
    sweep(target.parent)
    if request.stems is not None and os.path.lexists(request.stems) and not Path(request.stems).is_dir():
        raise OutputNotWritable(request.stems, "it is no folder")
    subtitles = [] if request.subtitles is None else [target.with_suffix(f".{request.subtitles}")]
    inputs: dict[str, str | None] = {"PLAY": request.play, "--cast": request.cast}
    for path in (target, *stems, *subtitles):
        made.check(path, force=force)
        check_distinct({f"the output {path}": path}, inputs)
        inputs[f"the output {path}"] = str(path)


def print_estimate(utterances: Sequence[Utterance], batch: Any, reporter: Reporter) -> None:
    """Print the duration of the speech and the time that is left to compute."""
    found = work_run.estimate(utterances, batch, reporter)
    total = sum(found.seconds.get(utterance.id, 0.0) for utterance in utterances)
    if batch.json:
        left = None if found.computing is None else round(found.computing, 1)
        counts = {"rows": found.rows, "todo": found.todo, "failed": found.refused}
        write_json({**counts, "audio_seconds": round(total, 1), "seconds": left})
        return
    time = "an unknown time" if found.computing is None else f"about {clock(found.computing)}"
    failed = f", {found.refused} cannot be spoken" if found.refused else ""
    write_line(f"about {clock(total)} of speech; {found.todo} of {found.rows} sentences to speak, in {time}{failed}")


def write_subtitles(request: ScriptRequest, target: Path, scene: Scene, writer: Writer) -> list[Path]:
    """Write the subtitles beside the result, and return their path. Raises OutputError."""
    if request.subtitles is None:
        return []
    ending = f".{request.subtitles}"
    writer.write_text(target.with_suffix(ending), SUBTITLES[ending](scene.cues()))
    return [target.with_suffix(ending)]


def report(
    outputs: Sequence[Output],
    texts: Sequence[Path],
    scene: Scene,
    summary: dict[str, Any],
    reporter: Reporter,
    *,
    as_json: bool,
) -> None:
    """Print the paths of the files or, with --json, what is known of them."""
    if as_json:
        rate = scene.track.sample_rate
        files = [{"path": os.fspath(output.path), "seconds": round(output.track.seconds, 3)} for output in outputs]
        said = [
            {
                "name": entry.name,
                "text": entry.sentence.text,
                "start": round(entry.placed.start / rate, 3),
                "end": round(entry.placed.end / rate, 3),
            }
            for entry in scene.said
        ]
        write_json({"files": files, "subtitles": [os.fspath(path) for path in texts], "said": said, **summary})
        return
    for path in (*(output.path for output in outputs), *texts):
        write_line(os.fspath(path))
    reporter.info(f"{clock(scene.track.seconds)} of audio, {len(scene.names)} speakers")
