"""Files of subtitles: what programs write is read, what is spoken of it, and errors that name a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import InputError, SubtitleError, TextEncodingError
from vallecli.longform.subtitles import (
    MAX_BYTES,
    Cue,
    Line,
    check_overlaps,
    format_srt,
    format_vtt,
    lines_of,
    parse,
    read_subtitles,
    spoken_text,
)

HOUR = 3_600_000  # ms


A, B = "00:00:01,000 --> 00:00:02,500", "00:00:03,000 --> 00:00:04,000"
AT_A, AT_B = (1000, 2500), (3000, 4000)
LONG = (100 * HOUR + 1000, 1234 * HOUR + 2000)


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        (f"1\n{A}\nOne.\n\n2\n{B}\nTwo\nlines.\n", [(*AT_A, "One."), (*AT_B, "Two\nlines.")]),
        (f"{A}\nOne.\n\n00:03,000 --> 0:0:4\nTwo".replace(",", "."), [(*AT_A, "One."), (*AT_B, "Two")]),
        (f"\n\n1\r\n{A} X1:1 X2:2 Y1:3 Y2:4\r\nOne.\r\n", [(*AT_A, "One.")]),
        (f"1\r{A}\rOne.\r", [(*AT_A, "One.")]),
        (f"1\n{A}\nOne.\n2\n{B}\nTwo".replace(" ", ""), [(*AT_A, "One."), (*AT_B, "Two")]),
        (f"1\n{A}\n\n\n2\n{B}\nA\n\nB\n", [(*AT_A, ""), (*AT_B, "A\n\nB")]),
        (f"2\n{B}\nTwo\n\n1\n{A}\n1984\n", [(*AT_A, "1984"), (*AT_B, "Two")]),
        ("1\n100:00:01,000 --> 1234:00:02,000\nLong.\n", [(*LONG, "Long.")]),
        ("WEBVTT\n\n00:01.000 --> 00:02.500\nOne.\n", [(*AT_A, "One.")]),
        (
            "WEBVTT - title\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: red }\n\nNOTE\n"
            "no cue\n\nname\n100:00:01.000 --> 1234:00:02.000 align:start line:0%\n<i>One</i>\nmore\n\nNOTE last\n",
            [(*LONG, "<i>One</i>\nmore")],
        ),
        ("WEBVTT\n00:01.000 --> 00:02.500\nWithout an empty line.\n", [(*AT_A, "Without an empty line.")]),
        ("WEBVTT\n\nNOTE\n00:01.000 --> 00:02.500\nA cue of this name.\n", [(*AT_A, "A cue of this name.")]),
    ],
)
def test_what_programs_write(text: str, cues: list[tuple[int, int, str]]) -> None:
    assert [(cue.start, cue.end, cue.text) for cue in parse(text, "film.srt")] == cues
    assert [(cue.start, cue.end, cue.text) for cue in parse("\ufeff" + text, "film.srt")] == cues


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", None, "no subtitles"),
        ("WEBVTT\n\nNOTE only this\n", None, "no subtitles"),
        ("\nHello.\n", 2, "not part of a subtitle"),
        ("1\n-00:00:01,000 --> 00:00:02,000\nx", 2, "negative"),
        ("1\n00:00:01,000 --> -00:00:02,000\nx", 2, "negative"),
        ("1\n00:00:03,000 --> 00:00:02,000\nx", 2, "ends before it begins"),
        ("1\n00:00:03,000 --> 00:00:03,000\nx", 2, "no duration"),
        ("1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\n00:00:61,000 --> 00:02:00,000\nx", 6, "invalid times"),
        ("1\n00:00:01,000 --> 00:00:02,0\nx", 2, "invalid times"),
        ("1\n00:00:01,000 --> \nx", 2, "invalid times"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nOne.\n00:03.000 --> 00:04.000\nTwo", 5, "within a cue"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nOne.\n\nlost\n", 6, "not part of a subtitle"),
        ("1\n00:00:01,000 --> 00:00:02,000\n" + "x" * 20_000, 2, "characters"),
        ("00:00:01,000 --> 00:00:02,000\n" * 100_001, 100_001, "more than 100000 cues"),
    ],
)
def test_errors_name_the_line(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(SubtitleError) as caught:
        parse(text, "film.srt")
    place = "film.srt: " if line is None else f"film.srt, line {line}: "
    assert caught.value.message.startswith(place)
    assert problem in caught.value.message
    assert caught.value.exit_code == 3
    assert len(caught.value.message) < 200


def test_overlaps_are_found_in_the_order_of_the_times() -> None:
    cues = parse("00:05 --> 00:07\nb\n\n00:01 --> 00:05\na\n\n00:06,999 --> 00:08\nc\n", "film.srt")
    with pytest.raises(SubtitleError) as caught:
        check_overlaps(cues, "film.srt")
    assert caught.value.message == (
        "film.srt, line 7: this cue begins at 00:00:06,999, before the one of line 1 ends at 00:00:07,000"
    )
    check_overlaps(cues[:2], "film.srt")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        (r"{\an8}<i>Hello,</i> <b>world</b>.", "Hello, world."),
        ('<font color="#ff0000">Red</font>{b}bold{/b}', "Redbold"),
        ("Two\nlines", "Two lines"),
        ("- Who?\n- Me", "Who? Me"),
        ("- Me\n– You", "Me. You"),
        ("[door slams]", ""),
        ("(SIGHS) Well [he laughs], no.", "Well, no."),
        ("[a [nested] remark] Go", "Go"),
        ("[two\nlines] Go", "Go"),
        ("- [sighs]\n- Yes", "Yes"),
        ("♪ La la la ♪", "La la la"),
        ("# La la la #", "La la la"),
        ("♪♪", ""),
        ("Number #1, a C♯", "Number #1, a C♯"),
        ("2 < 3 and 4 > 3", "2 < 3 and 4 > 3"),
        ("Fish &amp; chips&nbsp;now; AT&T", "Fish & chips now; AT&T"),
        ("<c.yellow.bg_blue>one</c> <00:00:01.500>two <lang en-GB>three</lang>", "one two three"),
        ("<ruby>漢<rt>かん</rt>字<rt>じ</ruby>です（笑）", "漢字です"),
        ("well-known", "well-known"),
        ("...", ""),
        ("\u202bHello\u200f", "Hello"),
    ],
)
def test_only_words_are_spoken(written: str, spoken: str) -> None:
    assert spoken_text(written) == spoken


def test_voice_spans_have_speakers() -> None:
    cue = Cue(0, 1, "Before. <v.loud Mary  Ann &amp; Co>Hello,\nJohn.</v>\n<v John>[sighs]<v John>Hello.")
    assert lines_of(cue) == [Line(None, "Before."), Line("Mary Ann & Co", "Hello, John."), Line("John", "Hello.")]


@pytest.mark.parametrize("form", [format_srt, format_vtt])
def test_what_is_written_is_read_again(form) -> None:
    cues = [Cue(0, 1500, "One."), Cue(1500, 100 * HOUR, "Two\nlines & <more>"), Cue(100 * HOUR, 101 * HOUR, "A -> B")]
    written = form([*cues[:2], Cue(100 * HOUR, 101 * HOUR, "\n A --> B\r\n\n")])
    read = parse(written, "film")
    assert [(cue.start, cue.end) for cue in read] == [(cue.start, cue.end) for cue in cues]
    assert [spoken_text(cue.text) for cue in read] == ["One.", "Two lines & <more>", "A -> B"] or form is format_srt
    assert len(parse(form(read), "film")) == len(cues)


def test_the_formats_are_those_of_players() -> None:
    cues = [Cue(61_001, 62_000, "Tom & Ann"), Cue(HOUR, HOUR + 1, "b")]
    assert format_srt(cues) == ("1\n00:01:01,001 --> 00:01:02,000\nTom & Ann\n\n2\n01:00:00,000 --> 01:00:00,001\nb\n")
    assert format_vtt(cues) == (
        "WEBVTT\n\n00:01:01.001 --> 00:01:02.000\nTom &amp; Ann\n\n01:00:00.000 --> 01:00:00.001\nb\n"
    )


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "film.srt"
    path.write_bytes("1\n00:00:01,000 --> 00:00:02,000\nCafé.\n".encode("cp1252"))
    with pytest.raises(TextEncodingError, match="windows-1252"):
        read_subtitles(path)
    path.write_bytes("1\n00:00:01,000 --> 00:00:02,000\nCafé.\n".encode("utf-16"))
    assert read_subtitles(path) == [Cue(1000, 2000, "Café.", 2)]
    for data, problem in (
        (bytes(range(256)) * 9, "UTF-8"),
        (b"\0" * 99, "no subtitles|not part"),
        (b"x" * (MAX_BYTES + 1), "larger than"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=problem):
            read_subtitles(path)
    with pytest.raises(InputError, match="no such file"):
        read_subtitles(tmp_path / "other.srt")
    with pytest.raises(InputError, match="directory"):
        read_subtitles(tmp_path)
