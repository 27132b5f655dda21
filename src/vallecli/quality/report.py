"""The listening page: one HTML file with the rows of one run or of two, to be opened from the disk.

The page has no text of a row in its HTML: all of it is in a JSON block, which the script inserts as text. A strict
Content-Security-Policy allows this script and this style sheet (by their hashes) and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vallecli import inputs
from vallecli.atomic import replace_file
from vallecli.audio.ffmpeg import Unreadable
from vallecli.errors import OutputExists, OutputNotWritable
from vallecli.printable import printable
from vallecli.quality import clips
from vallecli.quality.clips import Clip
from vallecli.quality.rows import OK, PageRow, Run, differences, read_rows, scores_of

NAME = "index.html"
MAX_EMBEDDED = 20_000_000  # characters of embedded audio: mail takes a page of this size
GENERATOR = b'<meta name="generator" content="valle listening page">'
HEAD_BYTES = 4_096  # in which GENERATOR is
FOLDER = "page"
PLACE = re.compile(r"\{\{(policy|style|data|script)\}\}")
STYLE, SCRIPTS = "page.css", ("player.js", "list.js", "blind.js", "main.js")


def check_page(path: Path, *, force: bool = False) -> None:
    """Raise OutputExists if there is a file at `path` that is no listening page, without `force`."""
    if force or not os.path.lexists(path):
        return
    try:
        with inputs.open_regular(path) as file:
            if not path.is_symlink() and GENERATOR in file.read(HEAD_BYTES):
                return
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error
    raise OutputExists(path)


def write_page(
    path: Path,
    runs: Sequence[Run],
    *,
    force: bool = False,
    max_embedded: int = MAX_EMBEDDED,
) -> None:
    """Write the page of one run, or of two runs to compare, whose rows belong together by their ids.

    Audio is embedded as MP3 if all of it has at most `max_embedded` characters; otherwise the page links to the files.
    Raises OutputError, and ExtraMissing for rows with words that were heard, but without their alignment.
    """
    check_page(path, force=force)
    if not 1 <= len(runs) <= 2:
        raise ValueError(f"a page has one run or two, not {len(runs)}")
    html = make_page(runs, folder=path.parent, max_embedded=max_embedded)
    try:
        with replace_file(path, follow_links=False) as file:
            file.write(html.encode())
    except OSError as error:
        raise OutputNotWritable(path, (error.strerror or str(error)).lower(), error.errno) from error


def make_page(runs: Sequence[Run], *, folder: Path, max_embedded: int = MAX_EMBEDDED) -> str:
    """Return the HTML of the page of `write_page` in a folder."""
    data = _Data(folder, max_embedded).of(runs)
    source = resources.files("vallecli.quality") / FOLDER
    style = (source / STYLE).read_text("utf-8")
    script = "".join((source / name).read_text("utf-8") for name in SCRIPTS)
    media = ("blob:",) if data["embedded"] else ("'self'", "file:")
    parts = {"policy": _policy(script, style, media), "style": style, "data": to_json(data), "script": script}
    template = (source / "page.html").read_text("utf-8")
    return PLACE.sub(lambda place: parts[place[1]], template)  # in one pass: a text may contain {{script}}


def _policy(script: str, style: str, media: Sequence[str]) -> str:
    """Return the Content-Security-Policy: this script, this style sheet, these sources of audio, and nothing else."""
    rules = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "media-src": " ".join(media),
        "img-src": "data:",  # the empty icon
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def to_json(data: Any) -> str:
    """Return JSON in ASCII that can be in an HTML element: without <, > and &. Raises ValueError for NaN."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _exists(path: Path | None) -> bool:
    """Return whether there is a file, such as the audio of a row that failed later."""
    try:
        return path is not None and path.is_file()
    except ValueError:  # a name that no file can have
        return False


def _by_name(rows: Sequence[PageRow]) -> dict[tuple[str, str, int], PageRow]:
    """Return rows by id, text, and the number of rows before that have the same ones."""
    found: dict[tuple[str, str, int], PageRow] = {}
    repeated: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found[row.id, row.text, repeated[row.id, row.text]] = row
        repeated[row.id, row.text] += 1
    return found


@dataclass
class _Data:
    """What the page shows, as JSON: rows, and their recordings as numbers in a list without repetition."""

    folder: Path
    max_embedded: int
    clips: list[Clip] = field(default_factory=list)
    numbers: dict[Path, int] = field(default_factory=dict)

    def of(self, runs: Sequence[Run]) -> dict[str, Any]:
        rows = [read_rows(run) for run in runs]
        listed = list(self._rows(rows))
        embedded = sum(clip.encoded_size for clip in self.clips) <= self.max_embedded
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # encoding takes most of the time
            shown = list(pool.map(partial(self._clip, embedded=embedded), self.clips))
        content = {"runs": [printable(run.name) for run in runs], "rows": listed}
        heard = [clip.peaks.hex() for clip in self.clips]
        return {
            **content,
            # Of the rows and their audio: votes that a browser has stored are of no other ones.
            "key": hashlib.sha256(json.dumps([content, heard]).encode()).hexdigest()[:16],
            "scores": scores_of([row for run in rows for row in run]),
            "embedded": embedded,
            "clips": shown,
        }

    def _rows(self, runs: Sequence[Sequence[PageRow]]) -> Iterator[dict[str, Any]]:
        """Yield each row with its results in all runs, in the order of the first run; others follow.

        Rows of two runs belong together if their ids and texts are the same.
        """
        by_run = [_by_name(run) for run in runs]
        for number, name in enumerate(dict.fromkeys(name for run in by_run for name in run), 1):
            found = [run.get(name) for run in by_run]
            first = next(row for row in found if row is not None)
            yield {
                "number": number,
                "id": first.id,
                "text": first.text,
                "speaker": first.speaker,
                "prompt": self._add(first.prompt),
                "reference": self._add(first.reference),
                "results": [None if row is None else self._result(row) for row in found],
            }

    def _result(self, row: PageRow) -> dict[str, Any]:
        return {
            "status": row.status,
            "error": row.error,
            "notes": row.notes,
            "output": self._add(row.output) if row.status == OK or _exists(row.output) else None,
            "heard": row.heard,
            "differences": differences(row),
            "scores": row.scores,
        }

    def _add(self, path: Path | None) -> int | None:
        """Return the number of a recording, which is read if it is new."""
        if path is None:
            return None
        if path not in self.numbers:
            self.numbers[path] = len(self.clips)
            self.clips.append(clips.read_clip(path))
        return self.numbers[path]

    def _clip(self, clip: Clip, *, embedded: bool) -> dict[str, Any]:
        name = printable(clip.path.name)
        shown: dict[str, Any] = {"name": name, "seconds": round(clip.seconds, 3), "error": clip.error}
        if clip.error:
            return shown
        shown["peaks"] = base64.b64encode(clip.peaks).decode("ascii")
        shown["shortened"] = clip.shortened
        if not embedded:
            return {**shown, "href": self._link(clip.path)}
        try:
            return {**shown, "audio": clips.encode(clip)}
        except (OSError, Unreadable, ValueError) as error:
            return {**shown, "error": str(error)}

    def _link(self, path: Path) -> str:
        """Return a URL of a file: relative to the page, if the system can express that."""
        try:
            relative = Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:  # on another drive
            return path.absolute().as_uri()
        return "./" + quote(os.fsencode(relative))  # the dot, because a name can begin like a URL: javascript:
