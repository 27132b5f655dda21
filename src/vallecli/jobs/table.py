"""CSV or JSONL as it was given to lines of named values; what is wrong with one line is told with that line."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vallecli.errors import RowError, TableError, TextEncodingError, VallecliError
from vallecli.settings import suggest

DELIMITERS = ",;\t|"
SNIFFED = 1 << 16  # characters that csv gets to see when it guesses the quotation mark


@dataclass(frozen=True)
class Line:
    """One row: its number, from 1 and without the header, and the values of its columns; empty ones are left out."""

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    error: VallecliError | None = None


def read(data: bytes, source: str, columns: Sequence[str], required: Sequence[str]) -> list[Line]:
    """Return the lines of a table: JSON objects where its first character is a brace, else CSV under a header.

    Each line that cannot be read carries its error. Raises TableError for a header that lacks a required column or
    has an unknown one, and TextEncodingError for what is not UTF-8 from the start.
    """
    text = data.decode("utf-8-sig", errors="surrogateescape")  # bytes that are no text spoil no more than their row
    if text.lstrip()[:1] == "{":
        lines = list(_json_lines(text, columns))
    else:
        lines = list(_csv_lines(text, source, columns, required))
    return [_checked(line, source) for line in lines]


def _checked(line: Line, source: str) -> Line:
    """Return the line, with an error if its values hold what cannot be written as UTF-8."""
    try:
        for value in line.values.values():
            str(value).encode()
    except UnicodeEncodeError:
        kept = {name: value for name, value in line.values.items() if name == "id" and str(value).isascii()}
        return Line(line.number, kept, TextEncodingError(source))
    return line


def _json_lines(text: str, columns: Sequence[str]) -> Iterator[Line]:
    number = 0
    for written in text.split("\n"):  # not splitlines: a JSON string may hold other ends of lines
        if not written.strip():
            continue
        number += 1
        try:
            entry = json.loads(written)
        except (ValueError, RecursionError) as error:
            yield Line(number, error=RowError(f"it is not JSON: {error}", "Write one object on each line."))
            continue
        if not isinstance(entry, dict):
            yield Line(number, error=RowError(f"it is not a JSON object: {written:.60}", "Write {...} on each line."))
            continue
        unknown = next((name for name in entry if name not in columns), None)
        values = {name: value for name, value in entry.items() if value is not None and value != ""}
        if unknown is not None:
            yield Line(number, values, RowError(f"there is no column {unknown!r}", suggest(unknown, columns)))
        else:
            yield Line(number, values)


def _csv_lines(text: str, source: str, columns: Sequence[str], required: Sequence[str]) -> Iterator[Line]:
    with _long_fields():
        header, rows = _rows(text)
        _check_header(header, source, columns, required)
        for number, (cells, error) in enumerate(rows, start=1):
            values = {name: cell for name, cell in zip(header, cells, strict=False) if cell.strip()}
            if error is None and len(cells) != len(header):
                error = RowError(
                    f"it has {len(cells)} values, and the header {len(header)}",
                    'Put "quotation marks" around values that hold the delimiter.',
                )
            yield Line(number, values, error)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let a chapter of a book be one value, which csv takes for a mistake by default."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a C long
    try:
        yield
    finally:
        csv.field_size_limit(before)


Cells = tuple[list[str], RowError | None]


def _rows(text: str) -> tuple[list[str], list[Cells]]:
    """Return the header and the rows below it in the first dialect in which each row has the header's length.

    Of the dialects that csv guesses, one made of the header alone is the surer: texts are full of commas and
    apostrophes. If none fits all rows, it is that one.
    """
    tables = []
    for sample in (text.lstrip().partition("\n")[0], text[:SNIFFED]):
        [[header, _], *rows] = [*_parse(text, _dialect(sample))] or [([], None)]
        tables.append(([name.strip().lower() for name in header], rows))
        if all(error is None and len(cells) == len(header) for cells, error in rows):
            return tables[-1]
    return tables[0]


def _dialect(sample: str) -> type[csv.Dialect]:
    try:
        dialect = csv.Sniffer().sniff(sample, delimiters=DELIMITERS)
    except csv.Error:
        return csv.excel
    dialect.doublequote = True  # which it only believes of what it has seen
    return dialect


def _parse(text: str, dialect: type[csv.Dialect]) -> Iterator[Cells]:
    """Yield the cells of each row that is not blank, or what is wrong with it."""
    reader = csv.reader(io.StringIO(text, newline=""), dialect, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"line {begin}" if reader.line_num <= begin else f"lines {begin} to {reader.line_num}"
            yield [], RowError(f"the quotation marks in {lines} do not pair: {error}", 'Write " inside "..." as "".')
            continue
        if any(cell.strip() for cell in cells):
            yield cells, None


def _check_header(header: Sequence[str], source: str, columns: Sequence[str], required: Sequence[str]) -> None:
    if any("\0" in name or not name.isprintable() for name in header):  # UTF-16, as spreadsheets call "Unicode text"
        raise TextEncodingError(source)
    hint = f"Name the columns in its first line: {','.join(required)} and, if wanted, others."
    if not header:
        raise TableError(f"the first line of {source} names no columns", hint)
    if not set(header) & set(columns):
        raise TableError(f"the first line of {source} names no known column", hint)
    for place, name in enumerate(header, start=1):
        if not name:
            raise TableError(f"column {place} of {source} has no name", "Name it, or take it out.")
        if name not in columns:
            raise TableError(f"{source} has an unknown column {name!r}", suggest(name, columns))
        if name in header[: place - 1]:
            raise TableError(f"{source} has two columns {name!r}", "Take one of them out.")
    for name in required:
        if name not in header:
            raise TableError(f"{source} has no column {name!r}", hint)
