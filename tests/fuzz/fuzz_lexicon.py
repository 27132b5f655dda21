"""A pronunciation lexicon and a text with its words: entries are found, and only where they are."""

from __future__ import annotations

from pathlib import Path

import fuzz_text
from hypothesis import strategies as st
from mutations import CHARACTERS, mutated_bytes, repeated, texts, words

from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.lexicon import read_lexicon
from vallecli.text.normalize import check_words
from vallecli.text.reader import TextReader

WORDS = ("word", "Word", "vall-e", "C++", "New York", "new york city", *words("it's AI ais naïve 日本 1.5 a İ"))
SOUNDS = (
    *("HH AH0 L OW1", "HH AH0 L OW1 | W ER1 L D", "[həˈloʊ wɜːld]", "vall ee", "B B B B", "a" * 50, "AH0 | | AH0"),
    *words("AH /həˈloʊ/ hel-low 123 AH9 // /x/ ʃ HH /ˈ/ | S Z /a|b/ www.x.y $5"),
)
ENTRY = st.tuples(
    st.one_of(st.sampled_from(WORDS), st.text(CHARACTERS, max_size=8)),
    st.sampled_from(("\t", "\t", "\t", "\t", "\t\t", " ", "")),
    st.one_of(st.sampled_from(SOUNDS), st.text(st.sampled_from("AEHWSTDəɪʊˈˌː/[]| -0123aeb"), max_size=12)),
    st.sampled_from(("\n", "\n", "\r\n", "\r", "\n\n", "\n# comment\n")),
).map("".join)
VALID = tuple(f"{word}\t{sound}\n" for word, sound in zip(WORDS, SOUNDS, strict=False))
FILE = st.one_of(
    st.lists(ENTRY, max_size=6).map(lambda lines: "".join(lines).encode(errors="ignore")),
    st.lists(st.sampled_from(VALID), max_size=6, unique=True).map(lambda lines: "".join(lines).encode()),
    mutated_bytes(["".join(VALID[:5]).encode(), "".join(VALID).encode("utf-16")], tokens=(b"\t", b"\n", b"\xff", b"/")),
    st.integers(1, 20).map(lambda count: b"".join(b"a%s\tAH0\n" % (b" a" * index) for index in range(count))),
)
TEXT = st.one_of(
    texts([*WORDS, "qxza qxxze", *fuzz_text.EXAMPLES[::20]], [" ", *words("s 's ’s - qx QX [ ] za"), *WORDS]),
    repeated(st.sampled_from((*WORDS, "a ", "New ", "qx", "qxza ")), 1_000),
)
SAMPLES = st.tuples(FILE, TEXT)
FEW = 10
FOUND: tuple[tuple[bytes, str], ...] = ()


def check(sample: tuple[bytes, str], folder: Path) -> None:
    content, text = sample
    path = folder / "lexicon.tsv"
    path.write_bytes(content)
    check_words(text)
    lexicon = read_lexicon(path)
    marked = lexicon.mark(text)
    assert len(marked.text) <= 500 * len(text) + 500, "longer than any reading"
    readings = list(TextReader(ArpabetFrontEnd(), 110, lexicon).read(text, prompt_words=text[:20]))
    without = "".join(reading.text + reading.spoken for reading in readings).lower()
    assert all(placeholder not in without or placeholder in text.lower() for placeholder in marked.pronunciations)
