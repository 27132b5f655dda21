"""When the words of clips are spoken, as Whisper hears them; what was heard is kept in the work folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from vallecli import inputs
from vallecli.audio.transcribe import MODEL, HeardWord, Recognizer
from vallecli.errors import FolderNotWritable
from vallecli.lines import MAX_LINE, Lines
from vallecli.longform.assemble import Clip
from vallecli.longform.excerpts import find_speech

NAME = "words.jsonl"


class WordTimes:
    """The words of the clips in a work folder."""

    def __init__(self, folder: Path, *, model: str | None = None, offline: bool = False) -> None:
        """Load a Whisper model by its name or folder. Raises ExtraMissing and CheckpointError."""
        self.path, self.model = folder / NAME, model or MODEL
        self.recognizer = Recognizer(self.model, offline=offline)

    def of(
        self, clips: Mapping[str, Clip], *, language: str | None, on_progress: Callable[[float], object]
    ) -> dict[str, list[HeardWord]]:
        """Return the words of each clip, by the id of its utterance. `on_progress` receives the number of clips done.

        A clip whose content was heard before, by the same model in the same language, is not heard again. Raises
        OutputError.
        """
        known = self._known(language)
        try:
            file = Lines(self.path)
        except OSError as error:
            raise FolderNotWritable(self.path, error) from error
        found: dict[str, list[HeardWord]] = {}
        try:
            for done, (name, clip) in enumerate(clips.items()):
                on_progress(done)
                if clip.sha256 not in known:
                    heard = self._hear(clip, language)
                    known[clip.sha256] = heard
                    file.write(self._line(clip, language, heard))
                found[name] = known[clip.sha256]
        finally:
            file.file.close()
        return found

    def _hear(self, clip: Clip, language: str | None) -> list[HeardWord]:
        """Return the words of a clip, none of which is in the silence around the speech: Whisper begins at 0."""
        wav_N = clip.read(clip.sample_rate)
        first, last = (at / clip.sample_rate for at in find_speech(wav_N, clip.sample_rate))
        return [
            HeardWord(word.text, min(max(word.start, first), last), min(max(word.end, first), last))
            for word in self.recognizer.words(wav_N, clip.sample_rate, language=language)
        ]

    def _line(self, clip: Clip, language: str | None, heard: list[HeardWord]) -> bytes:
        entry = {"id": clip.sha256, "model": self.model, "language": language, "words": heard}
        return json.dumps(entry).encode() + b"\n"

    def _known(self, language: str | None) -> dict[str, list[HeardWord]]:
        """Return the words of clips by their hashes. Lines of other programs are skipped."""
        known: dict[str, list[HeardWord]] = {}
        try:
            with inputs.open_regular(self.path) as file:
                while line := file.readline(MAX_LINE):
                    try:
                        entry = json.loads(line)
                        if (entry["model"], entry["language"]) == (self.model, language):
                            words = [
                                HeardWord(str(text), float(start), float(end)) for text, start, end in entry["words"]
                            ]
                            known[str(entry["id"])] = words
                    except (ValueError, KeyError, TypeError, RecursionError):
                        continue
        except OSError:
            pass  # nothing was heard yet
        return known
