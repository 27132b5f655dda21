"""Reads tables: CSV or JSONL in, lines of named values out. An error in one line is stored with that line."""

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
SNIFF_CHARACTERS = 1 << 16  # at the start of a table, from which csv guesses the dialect


@dataclass(frozen=True)
class Line:
    """One row: its number, from 1 without the header, and the values of its columns, without empty ones."""

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    error: VallecliError | None = None


def read_table(data: bytes, source: str, columns: Sequence[str], required: Sequence[str]) -> list[Line]:
    """Return the lines of a table: JSON objects if its first character is a brace, else CSV with a header.

    A line that cannot be read has an error. Raises TableError for a header without a required column or with an
    unknown one, and TextEncodingError for a header that is not UTF-8. `source` is the table's name in messages.
    """
    text = data.decode("utf-8-sig", errors="surrogateescape")  # so that invalid bytes affect their row only
    if text.lstrip()[:1] == "{":
        lines = list(_json_lines(text, columns))
    else:
        lines = list(_csv_lines(text, source, columns, required))
    return [_check_encoding(line, source) for line in lines]


def _check_encoding(line: Line, source: str) -> Line:
    """Return the line, with an error if its values cannot be encoded as UTF-8."""
    try:
        for value in line.values.values():
            str(value).encode()
    except UnicodeEncodeError:
        kept = {name: value for name, value in line.values.items() if name == "id" and str(value).isascii()}
        return Line(line.number, kept, TextEncodingError(source))
    return line


def _json_lines(text: str, columns: Sequence[str]) -> Iterator[Line]:
    number = 0
    for written in text.split("\n"):  # not splitlines: JSON strings may contain other line separators
        if not written.strip():
            continue
        number += 1
        try:
            entry = json.loads(written)
        except (ValueError, RecursionError) as error:
            yield Line(number, error=RowError(f"it is not JSON: {error}", "Write one object per line."))
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
        header, rows = _parse_csv(text)
        _check_header(header, source, columns, required)
        for number, (cells, error) in enumerate(rows, start=1):
            values = {name: cell for name, cell in zip(header, cells, strict=False) if cell.strip()}
            if error is None and len(cells) != len(header):
                error = RowError(
                    f"it has {len(cells)} values, but the header has {len(header)}",
                    'Put "quotation marks" around values that contain the delimiter.',
                )
            yield Line(number, values, error)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow values of any length: by default, csv refuses more than 131072 characters."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a C long
    try:
        yield
    finally:
        csv.field_size_limit(before)


ParsedRow = tuple[list[str], RowError | None]  # cells, error


def _parse_csv(text: str) -> tuple[list[str], list[ParsedRow]]:
    """Return the header and the rows, in the first dialect in which all rows are as long as the header.

    The dialect guessed from the header alone is tried first, because texts are full of commas and apostrophes; it is
    also the result if no dialect fits all rows.
    """
    tables = []
    for sample in (text.lstrip().partition("\n")[0], text[:SNIFF_CHARACTERS]):
        [[header, _], *rows] = [*_parse_rows(text, _guess_dialect(sample))] or [([], None)]
        tables.append(([name.strip().lower() for name in header], rows))
        if all(error is None and len(cells) == len(header) for cells, error in rows):
            return tables[-1]
    return tables[0]


def _guess_dialect(sample: str) -> type[csv.Dialect]:
    try:
        dialect = csv.Sniffer().sniff(sample, delimiters=DELIMITERS)
    except csv.Error:
        return csv.excel
    dialect.doublequote = True  # the sniffer sets it only if the sample contains doubled quotation marks
    return dialect


def _parse_rows(text: str, dialect: type[csv.Dialect]) -> Iterator[ParsedRow]:
    """Yield the cells of each row that is not blank, or its error."""
    reader = csv.reader(io.StringIO(text, newline=""), dialect, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"line {begin}" if reader.line_num <= begin else f"lines {begin} to {reader.line_num}"
            yield [], RowError(f"unmatched quotation marks in {lines}: {error}", 'Write " inside "..." as "".')
            continue
        if any(cell.strip() for cell in cells):
            yield cells, None


def _check_header(header: Sequence[str], source: str, columns: Sequence[str], required: Sequence[str]) -> None:
    if any("\0" in name or not name.isprintable() for name in header):  # UTF-16, the "Unicode text" of spreadsheets
        raise TextEncodingError(source)
    hint = f"Name the columns in its first line: {','.join(required)} and optional ones."
    if not header:
        raise TableError(f"the first line of {source} names no columns", hint)
    if not set(header) & set(columns):
        raise TableError(f"the first line of {source} names no known column", hint)
    for position, name in enumerate(header, start=1):
        if not name:
            raise TableError(f"column {position} of {source} has no name", "Name it or remove it.")
        if name not in columns:
            raise TableError(f"{source} has an unknown column {name!r}", suggest(name, columns))
        if name in header[: position - 1]:
            raise TableError(f"{source} has two columns {name!r}", "Remove one of them.")
    for name in required:
        if name not in header:
            raise TableError(f"{source} has no column {name!r}", hint)
