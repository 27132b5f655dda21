"""CSV, JSON and lists: every way to write a table gives the same rows; an error in one line does not affect others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import pytest

from vallecli.errors import PromptColumnMissing, RowError, TableError, TextEncodingError, UnknownColumn
from vallecli.jobs.table import Columns, Line, read_table

COLUMNS = ["id", "text", "prompt", "seed"]
REQUIRED = ["text", "prompt"]
ROWS = [
    {"id": "1", "text": 'She said: "Hello, you; \'tis a fine day|night."', "prompt": "a b.wav"},
    {"id": "2", "text": "It's two\nlines, isn't it? 'Yes', he said.", "prompt": "c.wav"},
    {"id": "3", "text": "Ünïcode\u2028你好", "prompt": "ü.wav"},
]


def read(data: bytes | str, name: str = "jobs.csv", required: Sequence[str] = REQUIRED, **sources: str) -> list[Line]:
    columns = Columns(known=COLUMNS, required=required, sources=sources)
    return read_table(data.encode() if isinstance(data, str) else data, name, columns)


def read_texts(data: bytes | str, name: str = "list.txt") -> list[Line]:
    """Read a table of which only the texts are required, because there is a default prompt."""
    return read(data, name, ["text"])


def values_of(lines: list[Line]) -> list[dict[str, object]]:
    """Return the values of lines without errors."""
    assert [line.error for line in lines] == [None] * len(lines)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    return [dict(line.values) for line in lines]


def as_csv(**dialect: object) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["id", "text", "prompt"], **dialect)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue()


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_dialect_gives_the_same_rows(delimiter: str, quoting: int, end: str, encoding: str) -> None:
    written = as_csv(delimiter=delimiter, quoting=quoting, lineterminator="\n").replace("\n", end)
    rows = [{name: value.replace("\n", end) for name, value in row.items()} for row in ROWS]
    assert values_of(read(written.encode(encoding))) == rows


def test_single_quotation_marks_around_all_values() -> None:
    lines = read(as_csv(quotechar="'", quoting=csv.QUOTE_ALL))
    assert [line.values for line in lines] == ROWS


def test_single_quotation_marks_in_rows_only() -> None:
    assert read("text,prompt\n'Hello, you.','a.wav'\n")[0].values == {"text": "Hello, you.", "prompt": "a.wav"}


def test_json_lines_give_the_same_rows() -> None:
    written = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    for text in (written, written.replace("\n", "\r\n"), written.replace("\n", "\r")):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            assert values_of(read(text.encode(encoding))) == ROWS


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_gives_the_same_rows(indent: int | None) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert values_of(read(f"\n{json.dumps(ROWS, indent=indent)}\n".encode(encoding))) == ROWS
    assert read("[]") == []


def test_json_objects_may_be_longer_than_a_line() -> None:
    assert values_of(read(json.dumps(ROWS[0], indent=2))) == ROWS[:1]
    assert values_of(read("\n".join(json.dumps(row, indent=2) for row in ROWS))) == ROWS


def test_a_damaged_json_array_is_refused_as_one() -> None:
    with pytest.raises(TableError, match=r"jobs\.csv is a JSON array, but a damaged one: ") as raised:
        read('[\n{"text": "One.", "prompt": "a.wav"},\n{"text": "Two."\n]')
    assert "write one object per line" in raised.value.hint


def test_names_in_json_are_those_of_a_header() -> None:
    assert values_of(read('{" Text ": "One.", "PROMPT": "a.wav"}')) == [{"text": "One.", "prompt": "a.wav"}]
    assert values_of(read('{"text": "One.", "prompt": " ", "seed": NaN}')) == [{"text": "One."}]


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
        ("text,prompt,\nHello.,a.wav,x\n", "column 3 of jobs.csv has no name, but row 1 has 'x' in it"),
        (",text,prompt\n0,Hello.,a.wav\n1,Bye.,b.wav\n", "column 1 of jobs.csv has no name"),
        ("text, ,prompt\nHello.,,a.wav\nBye.,x,b.wav\n", "column 2 of jobs.csv has no name, but row 2 has 'x' in it"),
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


@pytest.mark.parametrize(
    "data",
    [
        "text,prompt,\nHello.,a.wav,\n",
        "text,prompt,,,\nHello.,a.wav,,,\n",
        "text,prompt\nHello.,a.wav,\n",  # only in the rows
        "text,prompt,\nHello.,a.wav\n",  # only in the header
        ",text,,prompt\n,Hello.,,a.wav\n",
        "text;prompt;\nHello.;a.wav; \n",
        "text\tprompt\t\nHello.\ta.wav\t\n",
        "text|prompt|\nHello.|a.wav|\n",
        '"text","prompt",""\n"Hello.","a.wav",""\n',
        "text,prompt,Unnamed: 2\nHello.,a.wav,\n",  # pandas
        "sep=,\ntext,prompt\nHello.,a.wav\n",  # for Excel
        '"sep=;"\r\ntext;prompt\r\nHello.;a.wav\r\n',
        "\n\n text , prompt \n\nHello.,a.wav\n , \n\n",
    ],
)
def test_empty_columns_without_a_name_are_ignored(data: str) -> None:
    assert values_of(read(data)) == [{"text": "Hello.", "prompt": "a.wav"}]


def test_texts_keep_their_delimiters_beside_empty_columns() -> None:
    rows = 'text,prompt,\n"Hello, you.",a.wav,\n"One\ntwo",b.wav,\n'
    assert [values["text"] for values in values_of(read(rows))] == ["Hello, you.", "One\ntwo"]
    first, second = read("text,prompt,\nHello, you, all.,a.wav,\nBye.,b.wav,\n")
    assert first.error is not None
    assert first.error.message == "it has 4 values, but the header has 3"
    assert second.error is None


def test_a_column_of_row_numbers_gets_a_hint_of_its_own() -> None:
    with pytest.raises(TableError) as raised:
        read(",text,prompt\n0,Hello.,a.wav\n1,Bye.,b.wav\n")
    assert raised.value.hint == "Name it id, or write the table without row numbers."


def test_quotation_marks_of_texts_in_tables_that_do_not_quote() -> None:
    rows = 'text|prompt\n"Yes," he said.|a.wav\nI said "no".|a.wav\n"Never!|a.wav\n'
    texts = ['"Yes," he said.', 'I said "no".', '"Never!']
    assert [values["text"] for values in values_of(read(rows))] == texts
    assert [values["text"] for values in values_of(read(rows.replace("|", "\t")))] == texts
    quoted = 'text|prompt\n"Yes, ""he"" said."|a.wav\n"Never!|a.wav\n'  # here, they do
    first, second = read(quoted)
    assert first.values["text"] == 'Yes, "he" said.'
    assert second.error is not None


# Other names of columns


@pytest.mark.parametrize(
    "data", ["Sentence,path,id\nHello.,a.wav,1\n", '{"Sentence": "Hello.", "path": "a.wav", "id": "1"}']
)
def test_columns_of_other_names(data: str) -> None:
    expected = [{"text": "Hello.", "prompt": "a.wav", "id": "1"}]
    assert values_of(read(data, text="sentence", prompt="PATH")) == expected
    with pytest.raises(UnknownColumn) if "{" not in data else pytest.raises(AssertionError):
        values_of(read(data, text="sentence"))


def test_a_column_that_is_replaced_by_another_one_is_not_used() -> None:
    assert values_of(read("text,en,prompt\nHallo.,Hello.,a.wav\n", text="en")) == [
        {"text": "Hello.", "prompt": "a.wav"}
    ]
    assert values_of(read("text,prompt\na.wav,Hello.\n", text="prompt", prompt="text")) == [
        {"text": "Hello.", "prompt": "a.wav"}
    ]
    assert values_of(read('{"text": "Hallo.", "en": "Hello."}', text="en")) == [{"text": "Hello."}]


def test_a_name_that_no_column_has() -> None:
    with pytest.raises(TableError, match="has no column 'sentense', which should be the text") as raised:
        read("sentence,prompt\nHello.,a.wav\n", text="sentense")
    assert raised.value.hint == "Did you mean sentence?"
    with pytest.raises(TableError, match="has no column 'sentence'"):
        read("Hello.\nBye.\n", "list.txt", ["text"], text="sentence")


# Without a header


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "texts",
    [
        ["1. Mix.", "2. Bake.", "3. Eat."],
        ["Hello, you.", "Bye, you."],
        ["Hello, you.", '"Yes," he said, "and no."', "It's one; or two | three.", '"Never!'],
        ["[EN]Hello.[EN]", "[ZH]你好。[ZH]"],
        ["[laughs] One, two."],
        ["Hello"],
        ["Hello.", "Hello."],
    ],
)
def test_a_list_of_texts(texts: list[str], end: str, encoding: str) -> None:
    written = f"{end}  {end}".join([*texts, ""])
    assert values_of(read_texts(written.encode(encoding))) == [{"text": text} for text in texts]
    with pytest.raises(PromptColumnMissing, match=r"the first line of list\.txt names no known column") as raised:
        read(written.encode(encoding), "list.txt")
    assert raised.value.hint.endswith("With one prompt for all rows, each line can be a text.")


def test_a_column_of_texts() -> None:
    for row in ["Hello, you.", '"Hello, you."', "Hello; you|all.", 'She said: "hi, you"']:
        expected = row.strip('"') if row.startswith('"') else row
        assert [v["text"] for v in values_of(read_texts(f"Text\n{row}\nBye.\n"))] == [expected, "Bye."]
    assert [v["text"] for v in values_of(read_texts('text\n"Yes," he said.\n\n"Never, ever!\n'))] == [
        '"Yes," he said.',
        '"Never, ever!',
    ]
    assert values_of(read_texts("text,seed\nHello.,1\n")) == [{"text": "Hello.", "seed": "1"}]


LJSPEECH = [
    ("LJ001-0001|Printing, in 2 senses|Printing, in two senses", "LJ001-0001", "Printing, in two senses"),
    ('LJ001-0002|in "being" modern.|"in" being, modern.', "LJ001-0002", '"in" being, modern.'),
    ('LJ001-0003|"Never!|', "LJ001-0003", '"Never!'),
    ("wavs/LJ001-0004.wav| One. | One. ", "wavs/LJ001-0004", "One."),
]


def test_metadata_of_ljspeech() -> None:
    expected = [{"id": name, "text": text} for _, name, text in LJSPEECH]
    written = "\r\n".join(line for line, _, _ in LJSPEECH)
    notes: list[str] = []
    lines = read_table(written.encode(), "metadata.csv", Columns(known=COLUMNS, required=["text"]), notes.append)
    assert values_of(lines) == expected
    assert notes == ["metadata.csv has no header; it is read as id|text|normalized text"]
    two = ["a|One, two.", 'b|"Three.', "c|Four."]
    assert values_of(read_texts("\n".join(two), "metadata.csv")) == [
        dict(zip(["id", "text"], line.split("|"), strict=True)) for line in two
    ]
    for data in (written, "\n".join(two)):
        with pytest.raises(PromptColumnMissing):
            read(data)


def test_a_line_of_metadata_with_other_fields_is_refused_alone() -> None:
    lines = read_texts("a|One.|One.\nb|Two.|Two.|two\nc|Three.\nd|Four.|\ne|Five.|\n")
    assert [None if line.error is None else line.error.message for line in lines] == [
        None,
        "it has 4 values, but the first line has 3",
        "it has 2 values, but the first line has 3",
        None,
        None,
    ]
    assert [line.values["id"] for line in lines] == list("abcde")


@pytest.mark.parametrize("third", ["norm", "Normalized", "normalized_text", "text_normalized", "normalised text"])
@pytest.mark.parametrize("delimiter", ["|", ","])
def test_a_column_of_normalized_texts_is_spoken(third: str, delimiter: str) -> None:
    rows = [["id", "text", third], ["a", "in 2", "in two"], ["b", "Three.", ""]]
    notes: list[str] = []
    written = "\n".join(delimiter.join(row) for row in rows)
    lines = read_table(written.encode(), "lj.csv", Columns(known=COLUMNS, required=["text"]), notes.append)
    assert values_of(lines) == [{"id": "a", "text": "in two"}, {"id": "b", "text": "Three."}]
    assert notes == [f"the texts of lj.csv are those of its column {third.lower()!r}"]
    with pytest.raises(PromptColumnMissing, match=r"lj\.csv has no column 'prompt'"):
        read(written, "lj.csv")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("Texts,Seeds\nHello.,1\n", "list.txt"),
        ("sentence\tpath\nHello.\ta\n", "list.txt"),
        ("Hello there.,ref.wav\nBye, ref.wav\n", "list.txt"),
        ('"Hello, you.",ref.wav\nBye.,ref.wav\n', "list.txt"),
        ("sentence\nHello.\nBye.\n", "lines.csv"),
        ("a b|c|d|e\n", "list.txt"),
    ],
)
def test_tables_that_are_not_lists_of_texts(data: str, name: str) -> None:
    with pytest.raises(UnknownColumn, match=f"the first line of {name} names no known column"):
        read_texts(data, name)


# Errors of single lines


def test_a_header_that_is_not_utf8() -> None:
    with pytest.raises(TextEncodingError) as raised:
        read("text,prompt,größe\n".encode("windows-1252"))
    assert raised.value.hint == "Convert it: iconv -f windows-1252 -t utf-8"


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
    assert first.error.hint == "Convert it: iconv -f windows-1252 -t utf-8"
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
    error = read('{"text": "\\ud800", "prompt": "a.wav"}')[0].error
    assert isinstance(error, TextEncodingError)
    assert error.message == "jobs.csv is not UTF-8 text, but probably broken UTF-16 (half of a character)"
