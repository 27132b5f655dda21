"""Subtitles in SRT and WebVTT, dialogues, and their cast: what is written is read again; errors belong to a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fuzz_toml import document
from hypothesis import strategies as st
from mutations import CHARACTERS, mutated_bytes, mutated_trees, repeated, words

from vallecli.longform import dialogue, dubbing, subtitles
from vallecli.longform.cast import read_cast
from vallecli.longform.dialogue import Speech
from vallecli.longform.subtitles import ARROW, FORMATS, Cue

SRT = (
    b"1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>, [laughs] world.\n\n2\n00:00:03,000 --> 100:00:04,000\n- A\n- B\n"
)
VTT = (
    b"WEBVTT - x\nX: y\n\nSTYLE\n::cue {}\n\nNOTE z\n\nid\n00:01.000 --> 00:02.000 line:0%\n<v.a Ann>Hi &amp; "
    b"<c>bye</c>\n\n01:00:00.000 --> 01:00:01.000\n<v Bob><ruby>a<rt>b</rt></ruby> \xe2\x99\xaa la \xe2\x99\xaa\n"
)
PLAY = b"# x\n[A room.]\nANN (softly): Hello, [pause 1.5s] you.\n  And: more.\n\nOld Bob: Yes.\n(pause 2)\nANN: No.\n"
NAMES = ["Ann", "Old Bob", "Zo\u00eb"]
CAST = {
    "Ann": {"voice": "ann", "speed": 1.1, "gain": -3, "language": "en", "temperature": 0.5},
    "Old Bob": {"prompt": "bob.wav", "prompt_text": "Hello.", "seed": 3, "checkpoint": "nano"},
}
TOKENS = (
    *b"--> : , . - [ ] ( ) { } < > & ; <v <v.x <rt> </ WEBVTT NOTE ANN: [pause # 00:00:01,000 {\\an8}".split(),
    *(b"&#0;", b"\xff", b"\0"),
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\xe2\x99\xaa",
        b"00:00:01,000 --> 00:00:02,000\n",
        b"[pause 1s]",
    ),
)
REPEATED = (
    "[",
    "(",
    "<",
    "{\\",
    "<v ",
    "<rt>",
    "&",
    "#",
    "\n",
    "-->",
    "a: ",
    "[pause ",
    "(a",
    "[a]",
    "♪",
    "1\n",
    "<a<",
    "{a:",
)
LINES = st.lists(
    st.one_of(st.sampled_from(("One.", "- Two", "[x]", "<i>y</i>", "", "A: b")), st.text(CHARACTERS, max_size=9))
)
TIMES = st.lists(st.integers(0, 400 * 3_600_000), min_size=2, max_size=10, unique=True).map(sorted)
TEXT = st.text(st.characters(categories=["L", "N"], include_characters=" ,.&<>'\n"), max_size=30)
SAMPLES = st.one_of(
    st.tuples(
        st.just("subtitles"),
        st.one_of(
            mutated_bytes([SRT, VTT, SRT.decode().encode("utf-16")], tokens=TOKENS),
            LINES.map(lambda lines: b"00:01,000 --> 00:02,000\n" + "\n".join(lines).encode(errors="surrogatepass")),
            repeated(st.sampled_from(REPEATED), 30_000).map(lambda text: b"00:01 --> 00:02\n" + text.encode()),
        ),
    ),
    st.tuples(st.just("written"), st.tuples(st.sampled_from(sorted(FORMATS)), TIMES, TEXT)),
    st.tuples(
        st.just("dialogue"),
        st.one_of(
            mutated_bytes([PLAY, PLAY.decode().encode("utf-16")], tokens=TOKENS),
            LINES.map(lambda lines: b"ANN: " + "\n".join(lines).encode(errors="surrogatepass")),
            repeated(st.sampled_from((*REPEATED, *words("ANN: pause [pause] x"))), 100_000).map(str.encode),
        ),
    ),
    st.tuples(
        st.just("cast"), st.one_of(mutated_trees([CAST]).map(document), mutated_bytes([document(CAST)], tokens=TOKENS))
    ),
)
FEW = 60
FOUND: tuple[tuple[str, Any], ...] = (("written", (".srt", [0, 1], "\n.")),)


def check(sample: tuple[str, Any], folder: Path) -> None:
    kind, content = sample
    if kind == "written":
        check_written(*content)
        return
    path = folder / kind
    path.write_bytes(content)
    {"subtitles": check_subtitles, "dialogue": check_dialogue, "cast": check_cast}[kind](path)


def check_subtitles(path: Path) -> None:
    cues = subtitles.read_subtitles(path)
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)
    assert all(0 <= cue.start < cue.end and cue.line > 0 for cue in cues)
    spoken = dubbing.spoken_cues(cues)
    for cue in spoken:
        for line in cue.lines:
            assert any(map(str.isalnum, line.text))
            assert "\n" not in line.text
            assert line.speaker is None or line.speaker.strip()
    for write in FORMATS.values():
        again = subtitles.parse(write(cues), "again")
        assert [(cue.start, cue.end) for cue in again] == [(cue.start, cue.end) for cue in cues]
    subtitles.check_overlaps(cues, path)
    dubbing.with_cast(spoken, NAMES, path, default=True)


def check_written(ending: str, times: list[int], text: str) -> None:
    text = "x" + text.replace(ARROW, "")
    cues = [Cue(start, end, text) for start, end in zip(times[::2], times[1::2], strict=False)]
    read = subtitles.parse(FORMATS[ending](cues), "written")
    assert [(cue.start, cue.end) for cue in read] == [(cue.start, cue.end) for cue in cues]
    if not set("<>&\n") & set(text):  # lines of signs alone are not spoken
        spoken = " ".join(text.split())
        assert all([line.text for line in subtitles.lines_of(cue)] == [spoken] for cue in read)
    subtitles.check_overlaps(read, "written")


def check_dialogue(path: Path) -> None:
    parts = dialogue.read_script(path, NAMES)
    lines = path.read_bytes().count(b"\n") + path.read_bytes().count(b"\r") + 1
    assert all(0 < part.line <= lines for part in parts)
    for part in parts:
        if isinstance(part, Speech):
            assert part.name in NAMES
            assert any(map(str.isalnum, part.text))
        else:
            assert 0 <= part.seconds <= dialogue.MAX_PAUSE


def check_cast(path: Path) -> None:
    cast = read_cast(path)
    for name, member in cast.members.items():
        assert member.name == name
        assert ("voice" in member.columns) != ("prompt" in member.columns)
        assert abs(member.gain) <= 60
