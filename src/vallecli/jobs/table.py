"""Reads tables: CSV, JSONL or plain lines in, lines of named values out. An error in one line is stored with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath
from typing import Any

from vallecli.encoding import decode, encoding_error
from vallecli.errors import (
    PromptColumnMissing,
    RowError,
    TableError,
    TextEncodingError,
    UnknownColumn,
    VallecliError,
    short,
)
from vallecli.jobs.dialects import UNNAMED, ParsedRow, ParsedTable, clean, lines_of, parse_csv
from vallecli.settings import suggest

TEXT, PROMPT, VOICE = "text", "prompt", "voice"
# A column with the text as it is spoken, beside the column text: the third one of LJSpeech's metadata.csv.
NORMALIZED = re.compile(r"(text[ _])?norm(ali[sz]ed)?([ _](text|transcript|transcription))?")
RECORDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")  # endings that ids lose
SPACE = re.compile(r"\s*")
SHEETS = (".csv", ".tsv")  # endings of tables that begin with a header

Report = Callable[[str], object]


@dataclass(frozen=True)
class Line:
    """One row: its number, from 1 without the header, and the values of its columns, without empty ones."""

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    error: VallecliError | None = None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that a table can have, and must have."""

    known: Sequence[str]
    required: Sequence[str]
    sources: Mapping[str, str] = field(default_factory=dict)
    """Column -> its name in the table, where that is another one."""

    def of(self, names: Sequence[str], source: str) -> dict[int, str]:
        """Return the column of each position in a header; other positions are not used.

        Raises UnknownColumn for a name that is no column, and TableError for two of the same name.
        """
        found: dict[int, str] = {}
        for place, name in enumerate(names):
            try:
                column = self.column(name, names)
            except UnknownColumn as error:
                raise UnknownColumn(f"{source} has an unknown column {short(name)}", error.hint) from None
            if column is None:
                continue
            if column in found.values():
                raise TableError(f"{source} has two columns {short(name)}", "Remove one of them.")
            found[place] = column
        return found

    def column(self, name: str, names: Sequence[str]) -> str | None:
        """Return the column of a name, None if it is not used. Raises UnknownColumn."""
        for column, written in self.sources.items():
            if name == clean(written):
                return column
        if name in self.sources or UNNAMED.fullmatch(name) or (TEXT in names and NORMALIZED.fullmatch(name)):
            return None
        if name not in self.known:
            raise UnknownColumn(f"there is no column {short(name)}", suggest(name, self.known))
        return name

    @property
    def headless(self) -> bool:
        """Return whether texts alone are a table."""
        return list(self.required) == [TEXT] and not self.sources


def read_table(data: bytes, source: str, columns: Columns, report: Report = lambda message: None) -> list[Line]:
    """Return the lines of a table: JSON objects, CSV with a header or, if only texts are required, plain lines.

    JSON objects are written one per line or as an array. Without a header, `id|text` and `id|text|normalized text` are
    recognised, and else each line is a text. A line that cannot be read has an error. Raises TableError for a header
    without a required column or with an unknown one, and TextEncodingError for a header that is not UTF-8. `source` is
    the table's name in messages; `report` receives a message if the columns are not those of the header.
    """
    text = decode(data, source, invalid="surrogateescape").lstrip("\ufeff")  # so that invalid bytes affect one row
    entries = _read_json(text, source)
    if entries is not None:
        lines = [_json_line(number, entry, columns) for number, entry in enumerate(entries, start=1)]
    else:
        lines = _read_lines(text, data, source, columns, report)
    return [_check_encoding(line, data, source) for line in lines]


def _check_encoding(line: Line, data: bytes, source: str) -> Line:
    """Return the line, with an error if its values cannot be encoded as UTF-8."""
    try:
        for value in line.values.values():
            str(value).encode()
    except UnicodeEncodeError:
        kept = {name: value for name, value in line.values.items() if name == "id" and str(value).isascii()}
        if all("\udc80" <= character <= "\udcff" for character in _surrogates(line)):
            return Line(line.number, kept, encoding_error(data, source))
        return Line(line.number, kept, TextEncodingError(source, "broken UTF-16 (half of a character)", None))
    return line


def _surrogates(line: Line) -> Iterator[str]:
    return (c for value in line.values.values() for c in str(value) if "\ud800" <= c <= "\udfff")


# JSON


def _read_json(text: str, source: str) -> list[Any] | None:
    """Return the values of a JSON array, or of lines or a sequence of JSON objects; None for other text.

    A line that is not JSON is its error. Raises TableError for an array of objects that is damaged.
    """
    begin = text.lstrip()[:1]
    if begin == "[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            if not re.match(r"\s*\[\s*\{", text):
                return None  # texts may begin with a bracket
            raise TableError(
                f"{source} is a JSON array, but a damaged one: {error}",
                "Correct it, or write one object per line, without brackets around all and commas between them.",
            ) from error
        return list(value)
    if begin != "{":
        return None
    lines = lines_of(text)
    entries = [_parse_json(line) for line in lines]
    if isinstance(entries[0], RowError):
        return _json_sequence(text) or entries  # objects that are longer than a line
    return entries


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return RowError(f"it is not JSON: {error}", "Write one object per line.")


def _json_sequence(text: str) -> list[Any]:
    """Return the values of a text that is a sequence of JSON values, an empty list for other text."""
    decoder = json.JSONDecoder()
    values, place = [], 0
    while (place := SPACE.match(text, place).end()) < len(text):  # type: ignore[union-attr]  # it matches anything
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return []
        values.append(value)
    return values


def _json_line(number: int, entry: Any, columns: Columns) -> Line:
    if isinstance(entry, RowError):
        return Line(number, error=entry)
    if not isinstance(entry, dict):
        return Line(number, error=RowError(f"it is not a JSON object: {short(entry)}", 'Write {"text": ...}.'))
    values: dict[str, Any] = {}
    unknown = None
    for name, value in entry.items():
        try:
            column = columns.column(clean(name), ())
        except UnknownColumn as error:
            unknown = unknown or error
            continue
        if column is not None and not _is_empty(value):
            values[column] = value
    return Line(number, values, unknown)


def _is_empty(value: Any) -> bool:
    """Return whether a JSON value stands for none; Python's json writes NaN for the missing values of pandas."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


# CSV


def _read_lines(text: str, data: bytes, source: str, columns: Columns, report: Report) -> list[Line]:
    """Return the rows below a header or, if there is none, the lines."""
    table = parse_csv(text)
    first = [name for name in table.header if not UNNAMED.fullmatch(name)]
    if any("\ud800" <= character <= "\udfff" for name in first for character in name):
        raise encoding_error(data, source)
    hint = f"Name the columns in its first line: {','.join(columns.required)} and optional ones."
    if not first:
        raise TableError(f"the first line of {source} names no columns", hint)
    named = {*columns.known, *(clean(name) for name in columns.sources.values())}
    if named.isdisjoint(first) and not columns.sources:
        message = f"the first line of {source} names no known column"
        if not columns.headless:
            hint += " With one prompt for all rows, each line can be a text."
            raise PromptColumnMissing(message, hint)
        lines = lines_of(text)
        if fields := _split_metadata(lines):
            report(f"{source} has no header; it is read as id|text" + "|normalized text" * (fields == 3))
            return [_metadata_line(number, line, fields) for number, line in enumerate(lines, start=1)]
        if _looks_like_table(table, lines, source):
            raise UnknownColumn(message, hint)
        report(f"{source} has no header; each line is a text")
        return [Line(number, {TEXT: line}) for number, line in enumerate(lines, start=1)]
    places = _place_columns(table, source, columns)
    for name in columns.required:
        if name not in places.values() and not (name == PROMPT and VOICE in places.values()):
            kind = PromptColumnMissing if name == PROMPT else TableError
            raise kind(f"{source} has no column {name!r}", hint)
    spoken = None
    if TEXT in table.header and TEXT not in columns.sources:
        spoken = next((place for place, name in enumerate(table.header) if NORMALIZED.fullmatch(name)), None)
    if spoken is not None:
        report(f"the texts of {source} are those of its column {table.header[spoken]!r}")
    return [_csv_line(number, row, places, spoken) for number, row in enumerate(table.rows, start=1)]


def _place_columns(table: ParsedTable, source: str, columns: Columns) -> dict[int, str]:
    """Return the column of each position. Raises TableError."""
    for column, written in columns.sources.items():
        if clean(written) not in table.header:
            hint = suggest(written, table.header)
            raise TableError(f"{source} has no column {short(written)}, which should be the {column}", hint)
    for place, name in enumerate(table.header):
        if UNNAMED.fullmatch(name):
            _check_empty(table, place, source)
    return columns.of(table.header, source)


def _check_empty(table: ParsedTable, place: int, source: str) -> None:
    """Raise TableError if a column without a name has a value."""
    cells = {number: row.cells[place].strip() for number, row in enumerate(table.rows, start=1) if not row.error}
    number = next((number for number, cell in cells.items() if cell), None)
    if number is None:
        return
    counted = list(cells.values()) in ([str(n) for n in range(len(cells))], [str(n) for n in range(1, len(cells) + 1)])
    raise TableError(
        f"column {place + 1} of {source} has no name, but row {number} has {short(cells[number])} in it",
        "Name it id, or write the table without row numbers."
        if counted
        else 'Name it or remove it, or put "quotation marks" around values that contain the delimiter.',
    )


def _csv_line(number: int, row: ParsedRow, places: Mapping[int, str], spoken: int | None) -> Line:
    cells = {place: cell for place, cell in enumerate(row.cells) if cell.strip()}
    values = {places[place]: cell for place, cell in cells.items() if place in places}
    if spoken in cells:
        values[TEXT] = cells[spoken]
    return Line(number, values, row.error)


# Without a header


def _split_metadata(lines: Sequence[str]) -> int:
    """Return 2 or 3 for lines of `id|text` or `id|text|normalized text`, where most have as many fields, else 0."""
    name, *texts = lines[0].split("|")
    fields = 1 + len(texts)
    if fields not in (2, 3) or not name or " " in name:
        return 0
    return fields if sum(line.count("|") == fields - 1 for line in lines) * 2 > len(lines) else 0


def _metadata_line(number: int, line: str, fields: int) -> Line:
    """Return a line of metadata as in LJSpeech: its quotation marks are part of the text."""
    name, *texts = (field.strip() for field in line.split("|"))
    path = PurePosixPath(name)
    values = {"id": str(path.with_suffix("")) if path.suffix.lower() in RECORDINGS else name}
    if len(texts) != fields - 1:
        error = RowError(f"it has {1 + len(texts)} values, but the first line has {fields}", "Write no | in texts.")
        return Line(number, values, error)
    spoken = next((text for text in reversed(texts) if text), "")
    return Line(number, {name: value for name, value in {**values, TEXT: spoken}.items() if value})


def _looks_like_table(table: ParsedTable, lines: Sequence[str], source: str) -> bool:
    """Return whether the first line is a header of unknown columns, or a row, rather than a text."""
    if len(table.header) == 1:
        return PurePath(source).suffix.lower() in SHEETS and table.header[0].replace("_", "").isalnum()
    rows = [table.header, *(row.cells for row in table.rows)]
    if any(len(row) != len(table.header) for row in rows):
        return False
    recordings = any(cell.strip().lower().endswith(RECORDINGS) for row in rows for cell in row)
    return recordings or not any(re.search("[,;] ", line) for line in lines)
