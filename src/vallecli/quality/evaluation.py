"""Scores rows, one at a time, with models that are loaded once. An error in a row is recorded with it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vallecli.audio import prompt
from vallecli.audio.files import read_audio
from vallecli.audio.pcm import Wav
from vallecli.audio.prompt import MAX_READ_SECONDS
from vallecli.audio.transcribe import Recognizer
from vallecli.checkpoints.local import sha256
from vallecli.errors import RowError, SilentPrompt
from vallecli.failures import Failure
from vallecli.families.catalog import is_preset
from vallecli.quality import manner
from vallecli.quality.manner import EMOTION, EmotionModel, Measures
from vallecli.quality.opinion import OpinionModel
from vallecli.quality.pretrained import EXTRA, RATE, Embedding, cosine, find
from vallecli.quality.scores import FAILED, Score, Scores
from vallecli.quality.similarity import WAVLM, Resemblyzer, Wavlm
from vallecli.quality.wer import ENGLISH, word_errors
from vallecli.voices.library import RECORDING, StoredVoice

VERSION = 1  # incremented when the same files should get other scores than before
ASR = "base"  # the recognizer that nano's published figures are measured with
WER, SIMILARITY, OPINION, MANNER = "wer", "similarity", "opinion", "manner"
KINDS = (WER, SIMILARITY, OPINION, MANNER)
DIGITS = 4  # after the point, in records
CONTINUED_NOTE = "the words are those of the prompt and the result together"

Prompt = Path | StoredVoice
Hear = Callable[[Wav, int, str], str]
"""Given audio (N,), its rate in Hz and its language, return its words."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A row to score: its speech, or why there is none."""

    row: int
    id: str
    text: str
    language: str
    speaker: str
    prompt: Prompt | None = None
    output: Path | None = None
    reference: Path | None = None
    cut_off: bool = False
    doubtful: bool = False
    """Whether the guard has found that the speech may have gone wrong."""
    tried: int = 0
    """Number of candidates of the sentences that have several."""
    continues: bool = False
    """Whether the text begins with the words of the prompt, and the speech has only the rest."""
    notes: tuple[str, ...] = ()
    error: Failure | None = None


class Encoder(Protocol):
    """Embeds recordings for a comparison of speakers."""

    def embed(self, wav_N: Wav, source: str | Path) -> Embedding:
        """Given a recording (N,) at RATE, return its embedding (E,). Raises SilentPrompt."""


class Opinions(Protocol):
    """Predicts opinions of listeners."""

    def scores(self, wav_N: Wav) -> dict[str, float]:
        """Given audio (N,) at RATE, return "ovrl", "sig" and "bak"."""


class Emotions(Protocol):
    """Embeds the emotion of recordings."""

    def embed(self, wav_N: Wav) -> Embedding:
        """Given a recording (N,) at RATE, return its embedding (E,)."""


@dataclass(frozen=True, kw_only=True)
class Scorers:
    """The models that score; None for what is not measured."""

    identity: Mapping[str, str]
    """Name -> model: what scores depend on, apart from the row."""
    hear: Hear | None = None
    encoder: Encoder | None = None
    wavlm: Encoder | None = None
    opinions: Opinions | None = None
    emotions: Emotions | None = None
    measures: bool = False
    """Whether manner is measured."""


def load_recognizer(asr: str = ASR, *, offline: bool = False) -> Hear:
    """Load the recognizer: the name of a faster-whisper model or a folder. Raises the errors of `load_scorers`."""
    word_errors("", "", ENGLISH)  # a missing package should not be known with the first row
    folder = None if Path(asr).exists() else find(f"whisper-{asr}")
    recognizer = Recognizer(asr if folder is None else str(folder), offline=offline, extra_name=EXTRA)
    return lambda wav_N, rate, language: recognizer.hear(wav_N, rate, language=language)


def load_scorers(
    wanted: Collection[str] = KINDS, *, asr: str = ASR, offline: bool = False, hear: Hear | None = None
) -> Scorers:
    """Load the models for kinds of scores. Raises DependencyMissing and CheckpointError, with what is to be done.

    `hear` is the recognizer `asr`, if it is loaded already. WavLM and the emotion model are used if their checkpoints
    are on this machine.
    """
    identity: dict[str, str] = {}
    loaded: dict[str, Any] = {}
    if WER in wanted:
        loaded["hear"] = hear or load_recognizer(asr, offline=offline)
        identity["asr"] = asr
    if SIMILARITY in wanted:
        loaded["encoder"] = Resemblyzer()
        identity["similarity"] = "resemblyzer"
        if (folder := find(WAVLM)) is not None:
            loaded["wavlm"] = Wavlm(folder)
            identity["similarity_wavlm"] = WAVLM
    if OPINION in wanted:
        loaded["opinions"] = OpinionModel()
        identity["opinion"] = "dnsmos"
    if MANNER in wanted:
        manner.check_installed()
        loaded["measures"] = True
        identity["manner"] = "praat"
        if (folder := find(EMOTION)) is not None:
            loaded["emotions"] = EmotionModel(folder)
            identity["emotion"] = EMOTION
    return Scorers(identity=identity, **loaded)


def evaluate(
    items: Sequence[Item],
    file: Scores,
    before: Mapping[str, Score],
    scorers: Scorers,
    *,
    out: Path,
    retry_failed: bool = False,
    on_score: Callable[[Score, bool], None] = lambda score, new: None,
    check_signals: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Score rows, append each to the file of scores, and return all scores in the order of the items.

    `before` are the scores in the file: a row is scored again only if it, its files or the models have changed, or if
    it failed before and `retry_failed`. `on_score` is called for each row, with whether it was scored now.
    `check_signals` may raise. Paths in scores are relative to `out` where they are below it.
    """
    scoring = _Scoring(scorers, out)
    scores = []
    for item in items:
        last = before.get(item.id)
        score = known = scoring.known(item, last, retry_failed=retry_failed)
        if score is None:
            score = scoring.score(item)
            check_signals()  # libraries turn an interrupt into other errors
        if score != last:
            file.append(score)
        on_score(score, known is None)
        scores.append(score)
    return scores


@dataclass
class _Sound:
    """What is known of a recording that several rows may have."""

    wav: Wav
    source: str | Path
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    opinion: dict[str, float] | None = None
    measures: Measures | None = None
    emotion: Embedding | None = None


class _Scoring:
    def __init__(self, scorers: Scorers, out: Path) -> None:
        self.scorers, self.out = scorers, out
        self.hashes: dict[Path, str] = {}
        self.sounds: dict[Any, _Sound] = {}  # of prompts and references, which rows share

    def known(self, item: Item, before: Score | None, *, retry_failed: bool) -> Score | None:
        """Return the scores of an earlier run with what no score depends on; None if the row is to be scored."""
        if before is None or before.inputs != self._inputs(item) or (before.status == FAILED and retry_failed):
            return None
        return replace(before, row=item.row, speaker=item.speaker, doubtful=item.doubtful, tried=item.tried)

    def score(self, item: Item) -> Score:
        """Return the scores of a row; an error is one of them."""
        score = Score(
            id=item.id,
            row=item.row,
            text=item.text,
            language=item.language,
            speaker=item.speaker,
            prompt=self._name(item.prompt),
            output=self._name(item.output),
            reference=self._name(item.reference),
            cut_off=item.cut_off,
            doubtful=item.doubtful,
            tried=item.tried,
            continues=item.continues,
            inputs=self._inputs(item),
        )
        if item.error is not None or item.output is None:
            return replace(score, status=FAILED, error=item.error)
        try:
            return replace(score, **self._measured(item, item.output))
        except Exception as error:
            return replace(score, status=FAILED, error=Failure.of(error))

    def _measured(self, item: Item, output: Path) -> dict[str, Any]:
        """Return the fields of a score. Raises any error of the recordings."""
        notes = list(item.notes)
        sound = _Sound(read_audio(output, sample_rate=RATE), output)
        values: dict[str, Any] = {"seconds": round(len(sound.wav) / RATE, 3)}
        if self.scorers.hear is not None:
            utterance_N = sound.wav
            if item.continues:
                utterance_N = np.concatenate([_spoken_prompt(item), utterance_N])
                notes.append(CONTINUED_NOTE)
            heard = word_errors(item.text, self.scorers.hear(utterance_N, RATE, item.language), item.language)
            values |= vars(heard)
        spoken = _attempt(notes, self._prepare, sound)
        voice = None if item.prompt is None else self._shared(item.prompt, notes)
        reference = None if item.reference is None else self._shared(item.reference, notes)
        if spoken and voice is not None:
            for name, field_name in (("encoder", "similarity"), ("wavlm", "similarity_wavlm")):
                values[field_name] = _similarity(sound, voice, name)
        if spoken and reference is not None:
            values["similarity_to_reference"] = _similarity(sound, reference, "encoder")
        if sound.opinion is not None:
            values["opinion"] = _rounded(sound.opinion)
        if voice is not None and voice.measures is not None and sound.measures is not None:
            changed = manner.differences(voice.measures, sound.measures)
            if voice.emotion is not None and sound.emotion is not None:
                changed["emotion"] = cosine(voice.emotion, sound.emotion)
            values["manner"] = _rounded(changed)
            values["measures"] = {
                "prompt": _rounded(asdict(voice.measures)),
                "output": _rounded(asdict(sound.measures)),
            }
        return {**values, "notes": tuple(notes)}

    def _shared(self, source: Prompt, notes: list[str]) -> _Sound | None:
        """Return a prompt or a reference, which is analysed once; None, with a note, for one without speech."""
        key = source.record.sha256 if isinstance(source, StoredVoice) else source
        if key not in self.sounds:
            if isinstance(source, StoredVoice):
                wav_N = source.prompt(RATE).wav
            elif is_preset(source):
                notes.append(f"{source} is a preset, which has no recording to compare with")
                return None
            else:
                wav_N = read_audio(source, sample_rate=RATE, max_seconds=MAX_READ_SECONDS)
            sound = _Sound(wav_N, source if isinstance(source, Path) else source.name)
            if not _attempt(notes, self._prepare, sound):
                return None
            sound.wav = sound.wav[:0]  # it is not needed any more
            self.sounds[key] = sound
        return self.sounds[key]

    def _prepare(self, sound: _Sound) -> None:
        """Analyse a recording. Raises SilentPrompt if it has no speech; what needs none is known then."""
        if self.scorers.opinions is not None:
            sound.opinion = self.scorers.opinions.scores(sound.wav)
        for name in ("encoder", "wavlm"):
            encoder: Encoder | None = getattr(self.scorers, name)
            if encoder is not None:
                sound.embeddings[name] = encoder.embed(sound.wav, sound.source)
        if self.scorers.measures:
            background = None if sound.opinion is None else sound.opinion["bak"]
            sound.measures = manner.measure(sound.wav, sound.source, background)
        if self.scorers.emotions is not None:
            sound.emotion = self.scorers.emotions.embed(sound.wav)

    def _name(self, source: Prompt | None) -> str | None:
        """Return the path of a recording as scores have it."""
        if source is None:
            return None
        path = source.path / RECORDING if isinstance(source, StoredVoice) else source
        absolute, root = Path(os.path.realpath(path)), Path(os.path.realpath(self.out))
        return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)

    def _inputs(self, item: Item) -> str:
        """Return a hash of everything that the scores of a row depend on."""
        content = {
            "version": VERSION,
            "models": dict(self.scorers.identity),
            "text": item.text,
            "language": item.language,
            "cut_off": item.cut_off,
            **({"continues": True} if item.continues else {}),
            "error": None if item.error is None else vars(item.error),
            "recordings": [self._hash(source) for source in (item.output, item.prompt, item.reference)],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _hash(self, source: Prompt | None) -> str | None:
        """Return the hash of a recording, None if it cannot be read: its error is that of the row."""
        if source is None or isinstance(source, StoredVoice):
            return None if source is None else source.record.sha256
        if source not in self.hashes:
            try:
                self.hashes[source] = sha256(source)
            except (OSError, ValueError):
                return None
        return self.hashes[source]


def _spoken_prompt(item: Item) -> Wav:
    """Return the speech of the prompt of a row (N,) at RATE, as models hear it. Raises AudioError and InputError."""
    if item.prompt is None:
        raise RowError("it continues a prompt, but it has none", "Give the prompt.")
    if isinstance(item.prompt, StoredVoice):
        return item.prompt.prompt(RATE).wav
    return prompt.load(item.prompt, sample_rate=RATE).wav


def _attempt(notes: list[str], analyse: Callable[[_Sound], None], sound: _Sound) -> bool:
    """Analyse a recording and return whether it has speech; otherwise its error is a note."""
    try:
        analyse(sound)
    except SilentPrompt as error:
        notes.append(error.message)
        return False
    return True


def _similarity(sound: _Sound, other: _Sound, name: str) -> float | None:
    if name not in sound.embeddings or name not in other.embeddings:
        return None
    return round(cosine(sound.embeddings[name], other.embeddings[name]), DIGITS)


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, DIGITS) for name, value in values.items()}
