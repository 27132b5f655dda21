"""CSV and JSONL: every dialect gives the same rows, and an error in one line does not affect others."""

from __future__ import annotations

import csv
import io
import json

import pytest

from vallecli.errors import RowError, TableError, TextEncodingError
from vallecli.jobs.table import Line, read_table

COLUMNS = ["id", "text", "prompt", "seed"]
REQUIRED = ["text", "prompt"]
ROWS = [
    {"id": "1", "text": 'She said: "Hello, you; \'tis a fine day|night."', "prompt": "a b.wav"},
    {"id": "2", "text": "It's two\nlines, isn't it? 'Yes', he said.", "prompt": "c.wav"},
    {"id": "3", "text": "Ünïcode\u2028你好", "prompt": "ü.wav"},
]


def read(data: bytes | str) -> list[Line]:
    return read_table(data.encode() if isinstance(data, str) else data, "jobs.csv", COLUMNS, REQUIRED)


def as_csv(**dialect: object) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["id", "text", "prompt"], **dialect)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue()


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_dialect_gives_the_same_rows(delimiter: str, quoting: int, end: str, mark: str) -> None:
    lines = read(mark + as_csv(delimiter=delimiter, quoting=quoting, lineterminator=end))
    assert [line.values for line in lines] == ROWS
    assert [line.number for line in lines] == [1, 2, 3]
    assert all(line.error is None for line in lines)


def test_single_quotation_marks_around_all_values() -> None:
    lines = read(as_csv(quotechar="'", quoting=csv.QUOTE_ALL))
    assert [line.values for line in lines] == ROWS


def test_single_quotation_marks_in_rows_only() -> None:
    assert read("text,prompt\n'Hello, you.','a.wav'\n")[0].values == {"text": "Hello, you.", "prompt": "a.wav"}


def test_json_lines_give_the_same_rows() -> None:
    written = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    assert [line.values for line in read("\ufeff" + written)] == ROWS


def test_blank_lines_and_empty_values_are_left_out() -> None:
    lines = read("\nText , PROMPT,id\n\nHello.,a.wav,\n,,\n  \nBye.,b.wav,7\n")
    assert [(line.number, dict(line.values)) for line in lines] == [
        (1, {"text": "Hello.", "prompt": "a.wav"}),
        (2, {"text": "Bye.", "prompt": "b.wav", "id": "7"}),
    ]
    assert read('{"text": "", "prompt": null, "seed": 0}')[0].values == {"seed": 0}


def test_long_values() -> None:
    chapter = "word " * 100_000
    assert read(f"text,prompt\n{chapter},a.wav\n")[0].values["text"] == chapter
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "names no columns"),
        ("\n\n", "names no columns"),
        ("Hello there.,a.wav\n", "names no known column"),
        ("text,prompts\n", "unknown column 'prompts'"),
        ("text,prompt,prompt\n", "two columns 'prompt'"),
        ("text,prompt,\n", "column 3"),
        ("text,id\n", "no column 'prompt'"),
    ],
)
def test_invalid_headers(data: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read(data)


def test_a_mistyped_column_gets_a_suggestion() -> None:
    with pytest.raises(TableError) as raised:
        read("text,promt\n")
    assert raised.value.hint == "Did you mean prompt?"


def test_utf16_is_refused() -> None:
    with pytest.raises(TextEncodingError):
        read("text,prompt\nHello.,a.wav\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("Hello.", "it has 1 values, but the header has 3"),
        ("Hello.,a.wav,1,2", "it has 4 values, but the header has 3"),
        ('"Hello" there.,a.wav,1', "unmatched quotation marks in line 3"),
    ],
)
def test_a_bad_line_does_not_affect_others(bad: str, message: str) -> None:
    first, second, third = read(f"text,prompt,id\nOne.,a.wav,1\n{bad}\nThree.,a.wav,3\n")
    assert (first.error, third.error) == (None, None)
    assert (first.values["text"], third.values["text"]) == ("One.", "Three.")
    assert isinstance(second.error, RowError)
    assert second.error.message.startswith(message)


def test_an_unclosed_quotation_mark_reports_its_lines() -> None:
    first, second = read('text,prompt\nOne.,a.wav\n"Two.,a.wav\nThree.,a.wav\n')
    assert first.error is None
    assert second.error is not None
    assert "lines 3 to 4" in second.error.message


def test_bytes_that_are_not_utf8_affect_only_their_row() -> None:
    first, second = read(b"id,text,prompt\na,caf\xe9,a.wav\nb,Two.,a.wav\n")
    assert isinstance(first.error, TextEncodingError)
    assert first.values == {"id": "a"}
    assert second.error is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("nonsense", "it is not JSON"),
        ("[1, 2]", "it is not a JSON object"),
        ('{"text": "x", "promt": "y"}', "there is no column 'promt'"),
        ('{"seed": ' + "9" * 5000 + "}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_bad_line_of_json_does_not_affect_others(bad: str, message: str) -> None:
    good = json.dumps(ROWS[0])
    first, second, third = read(f"{good}\n{bad}\n{good}\n")
    assert (first.error, third.error) == (None, None)
    assert second.error is not None
    assert second.error.message.startswith(message)


def test_a_lone_surrogate_in_json() -> None:
    assert isinstance(read('{"text": "\\ud800", "prompt": "a.wav"}')[0].error, TextEncodingError)
