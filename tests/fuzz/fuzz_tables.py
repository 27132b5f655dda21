"""Tables of `valle batch`: rows of values come out as they were written, and a plan; errors belong to rows."""

from __future__ import annotations

import csv
import functools
import io
import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from mutations import CHARACTERS, VALUES, mutated_bytes, repeated, words

from vallecli.jobs import plan
from vallecli.jobs.plan import Defaults, make_plan
from vallecli.jobs.table import Columns, read_table
from vallecli.settings import Settings

CELL = st.one_of(
    st.sampled_from(("Hello, world.", 'He said "no".', "line\nbreak", "a" * 300, "9" * 400, "\0", "")),
    st.sampled_from(words("it's a;b|c 1 0.5 ref.wav x/y.wav ../x.wav /etc/x.wav con nano -1 1e400 NaN é {} [")),
    st.text(CHARACTERS, max_size=12),
)
LETTERS = st.characters(categories=["L", "N"], include_characters=" ,;.'\"|\n")
PLAIN = st.text(LETTERS, max_size=12).map(lambda text: f"x{text}x")
COLUMN = st.sampled_from((*plan.COLUMNS, "Text", "speaker", "", "unnamed: 0", "normalized text", "text_norm"))


def to_csv(rows: list[list[str]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(errors="surrogatepass")


def to_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


VALID = (
    to_csv([["id", "text", "prompt"], ["one", "Hello, world.", "ref.wav"], ["two", 'He said "no".', "ref.wav"]], ","),
    to_csv([["text", "prompt", "seed", "top_k"], ["Hello; world.", "ref.wav", "7", "20"]] * 2, ";"),
    to_csv([["id", "text"], ["a", "b\nc"]], "\t"),
    to_jsonl([{"text": "Hello.", "prompt": "ref.wav", "temperature": 0.5}, {"text": "x", "id": 3, "greedy": True}]),
    json.dumps([{"text": "Hello.", "prompt": "ref.wav"}] * 2, indent=1).encode(),
    b"LJ001-0001|Written 1|Written one\nLJ001-0002|Two|Two\n",
    b"First line.\nSecond line, with a comma.\n",
    "text\nHéllo\n".encode("utf-16"),
    "text;prompt\nHéllo;ref.wav\n".encode("cp1252"),
)
TOKENS = (*b', " "" | { } [ ] \xef\xbb\xbf \xff\xfe \0'.split(), b"\n", b"\r", b"\t", b"sep=;\n")
REPEATED = ("\t", "\n", " ", '\n"', "{\n", "1 ", "a'b ", *words('" , ; | \' { } [ ] : a, "a", {"a": ," {} [{ id|'))
ROWS = st.lists(st.lists(CELL, max_size=6), max_size=5)
OBJECTS = st.lists(st.dictionaries(COLUMN, st.one_of(CELL, VALUES), max_size=5), max_size=5)
BYTES = st.one_of(
    mutated_bytes(VALID, tokens=TOKENS),
    st.tuples(st.lists(COLUMN, max_size=6), ROWS, st.sampled_from(",;\t|")).map(
        lambda parts: to_csv([parts[0], *parts[1]], parts[2])
    ),
    OBJECTS.map(to_jsonl),
    OBJECTS.map(lambda rows: json.dumps(rows, ensure_ascii=False).encode(errors="surrogatepass")),
    repeated(st.sampled_from(REPEATED), 30_000).map(str.encode),
)
TABLE = st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=5)
SAMPLES = st.one_of(
    st.tuples(st.just("any"), BYTES, st.booleans()),
    st.tuples(st.sampled_from(("csv ,", "csv ;", "csv \t", "jsonl", "json")), TABLE, st.just(False)),
)
FOUND = (
    ("any", b"id|" + b'{"a":' * 6_000, True),  # a message with a name of any length
    ("any", b"{}" * 5_000, False),
    ("any", b'"' + b"[{" * 15_000, False),  # csv.Sniffer needs the square of the length
)


@functools.cache
def reference() -> bytes:
    """Return a recording that serves as a prompt."""
    import numpy as np
    import soundfile

    at = np.arange(4 * 8_000) / 8_000  # seconds
    file = io.BytesIO()
    syllables = np.clip(np.sin(2 * np.pi * 3 * at), 0, 1)
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 200 * at) * syllables, 8_000, format="WAV")
    return file.getvalue()


def check(sample: tuple[str, Any, bool], folder: Path) -> None:
    kind, content, default_prompt = sample
    if kind != "any":
        check_round_trip(kind, content)
        return
    (folder / "ref.wav").write_bytes(reference())
    required = ["text"] if default_prompt else list(plan.REQUIRED)
    lines = read_table(content, "table.csv", Columns(known=plan.COLUMNS, required=required))
    prompt = folder / "ref.wav" if default_prompt else None
    planned = make_plan(
        lines, Defaults(settings=Settings(), prompt=prompt), base=folder, out=folder / "out", table=folder / "table.csv"
    )
    numbers = [row.number for row in (*planned.rows, *planned.refused)]
    assert sorted(numbers) == [line.number for line in lines]
    for row in planned.rows:
        assert (folder / "out" / row.output).resolve().is_relative_to(folder / "out"), "an output leaves the folder"
    for refused in planned.refused:
        assert refused.error.exit_code != 1
    shutil.rmtree(folder / "out", ignore_errors=True)


def check_round_trip(kind: str, rows: list[tuple[str, str]]) -> None:
    if kind.startswith("csv"):
        data = to_csv([["id", "text"], *map(list, rows)], kind[-1])
    else:
        objects = [{"id": name, "text": text} for name, text in rows]
        data = to_jsonl(objects) if kind == "jsonl" else json.dumps(objects).encode()
    lines = read_table(data, f"table.{kind[:4].strip()}", Columns(known=plan.COLUMNS, required=["text"]))
    assert [(line.values["id"], line.values["text"]) for line in lines] == rows
