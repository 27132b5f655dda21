"""CSV in every dialect: text in, a header and rows of cells out. An error in one row is stored with that row."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vallecli.errors import RowError

DELIMITERS = ",;\t|"
UNQUOTED = "|\t"  # delimiters of tables whose quotation marks often are part of a text
SNIFF_CHARACTERS = 1 << 16  # at the start of a table, from which csv guesses the dialect
UNNAMED = re.compile(r"(unnamed: \d+)?")  # in lower case; pandas writes the words for no name
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)  # first line, for spreadsheets
LINE_ENDS = re.compile(r"\r\n|\r|\n")  # not splitlines: texts may contain other line separators


@dataclass(frozen=True)
class ParsedRow:
    """The cells of a row, as many as the header has, or its error."""

    cells: Sequence[str]
    error: RowError | None = None


@dataclass(frozen=True)
class ParsedTable:
    """The names of the columns, in lower case, and the rows that are not blank."""

    header: Sequence[str]
    rows: Sequence[ParsedRow]


def clean(name: str) -> str:
    """Return the name of a column in lower case, without spaces around it."""
    return name.strip().lower()


def lines_of(text: str) -> list[str]:
    """Return the lines that are not blank, without spaces around them."""
    return [line.strip() for line in LINE_ENDS.split(text) if line.strip()]


def parse_csv(text: str) -> ParsedTable:
    """Return the table in the first dialect in which all rows are as long as the header.

    The dialect guessed from the header alone is tried first, because texts are full of commas and apostrophes; it is
    also the result if no dialect fits all rows. A row that is too long by empty cells, or too short by columns without
    a name, fits if no other dialect fits better.
    """
    separator = SEPARATOR_LINE.match(text)
    dialects: list[type[csv.Dialect]]
    if separator is not None and separator[1] in DELIMITERS:
        text = text[separator.end() :]
        dialects = [_dialect(separator[1])]
    else:
        dialects = [_guess_dialect(_first_line(text)), _guess_dialect(text[:SNIFF_CHARACTERS])]
    with _long_fields():
        tables = [_parse(text, dialect) for dialect in dialects]
        fitting = next((table for table in tables if _fits(table)), None)
        if fitting is not None:
            return fitting
        tables = [_adjusted(table) for table in tables]
        if dialects[0].delimiter in UNQUOTED:
            unquoted = _adjusted(_parse(text, _dialect(dialects[0].delimiter, quoting=csv.QUOTE_NONE)))
            if {tuple(row.cells) for row in tables[0].rows if not row.error} <= {tuple(r.cells) for r in unquoted.rows}:
                tables.append(unquoted)
        if len(tables[0].header) == 1:
            tables += [_parse(text, _dialect("\x1f")), _one_column(text)]
    return next((table for table in tables if _fits(table)), _explained(tables[0]))


def _first_line(text: str) -> str:
    line = text.lstrip().partition("\n")[0]
    first, _, rest = line.partition("\r")
    return first if rest.strip() else line  # lines may end in a carriage return alone


def _guess_dialect(sample: str) -> type[csv.Dialect]:
    try:
        dialect = csv.Sniffer().sniff(sample, delimiters=DELIMITERS)
    except csv.Error:
        return csv.excel
    dialect.doublequote = True  # the sniffer sets it only if the sample contains doubled quotation marks
    return dialect


def _dialect(delimiter: str, *, quoting: int = csv.QUOTE_MINIMAL) -> type[csv.Dialect]:
    return type("Given", (csv.excel,), {"delimiter": delimiter, "quoting": quoting})


def _parse(text: str, dialect: type[csv.Dialect]) -> ParsedTable:
    header, *rows = [*_parse_rows(text, dialect)] or [ParsedRow([])]
    return ParsedTable([clean(name) for name in header.cells], rows)


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
            hint = 'Write " inside "..." as "".'
            yield ParsedRow([], RowError(f"unmatched quotation marks in {lines}: {error}", hint))
            continue
        if any(cell.strip() for cell in cells):
            yield ParsedRow(cells)


def _fits(table: ParsedTable) -> bool:
    return all(row.error is None and len(row.cells) == len(table.header) for row in table.rows)


def _adjusted(table: ParsedTable) -> ParsedTable:
    """Return the table; rows lose empty cells beyond the header, and get cells for columns without a name."""
    width = len(table.header)
    rows = []
    for row in table.rows:
        cells = list(row.cells)
        if row.error is None:
            while len(cells) > width and not cells[-1].strip():
                cells.pop()
            if all(UNNAMED.fullmatch(name) for name in table.header[len(cells) :]):
                cells += [""] * (width - len(cells))
        rows.append(ParsedRow(cells, row.error))
    return ParsedTable(table.header, rows)


def _one_column(text: str) -> ParsedTable:
    """Return each line below the first one as a cell: quotation marks and delimiters are part of it."""
    header, *lines = lines_of(text) or [""]
    return ParsedTable([clean(header)], [ParsedRow([line]) for line in lines])


def _explained(table: ParsedTable) -> ParsedTable:
    """Return the table, with an error in each row that is not as long as the header."""
    rows = []
    for row in table.rows:
        error = row.error
        if error is None and len(row.cells) != len(table.header):
            error = RowError(
                f"it has {len(row.cells)} values, but the header has {len(table.header)}",
                'Put "quotation marks" around values that contain the delimiter.',
            )
        rows.append(ParsedRow(row.cells, error))
    return ParsedTable(table.header, rows)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow values of any length: by default, csv refuses more than 131072 characters."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a C long
    try:
        yield
    finally:
        csv.field_size_limit(before)
