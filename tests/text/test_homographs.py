"""Homographs by their sentence: reported ones, everyday sentences, and the examples of the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vallecli.text.amphion_v2 import AmphionV2FrontEnd
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.english.homographs import TOKEN, homographs, mark, parse
from vallecli.text.normalize import normalize
from vallecli.text.vallex import VallexFrontEnd

ANNOTATED = re.compile(r"([A-Za-z']+)/([a-z]+)")
SENTENCES = [
    line
    for line in Path(__file__).with_name("homographs.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
EXAMPLES = [text for entry in homographs().table.entries.values() for text in entry.examples]
REPORTED = [
    ("I live here.", "live", "L IH1 V"),
    ("A strong wind came up.", "wind", "W IH1 N D"),
    ("Gone with the wind", "wind", "W IH1 N D"),
    ("She took the lead.", "lead", "L IY1 D"),
    ("the lead singer", "lead", "L IY1 D"),
    ("Can you read this?", "read", "R IY1 D"),
    ("Read the manual.", "read", "R IY1 D"),
    ("The wound was deep.", "wound", "W UW1 N D"),
    ("A single tear.", "tear", "T IH1 R"),
    ("Open your mouth.", "mouth", "M AW1 TH"),
    ("The object is round.", "object", "AA1 B JH EH0 K T"),
    ("I learned English.", "learned", "L ER1 N D"),
    ("He used a knife.", "used", "Y UW1 Z D"),
    ("They rebel.", "rebel", "R IH0 B EH1 L"),
    ("a Polish sausage", "polish", "P OW1 L IH0 SH"),
    ("bow and arrow", "bow", "B OW1"),
]


@pytest.fixture(scope="module")
def front_end() -> ArpabetFrontEnd:
    return ArpabetFrontEnd()


def said(front_end: ArpabetFrontEnd, text: str) -> list[tuple[str, str]]:
    """Return the words of a text in lower case, and their phonemes without marks."""
    spoken = normalize(text)
    words = re.findall(r"[a-z']+", spoken.replace("’", "'").lower())
    found = [" ".join(symbol for symbol in word if symbol[0].isalpha()) for word in front_end.words(spoken)]
    return list(zip(words, found, strict=True))


@pytest.mark.parametrize(("text", "word", "phonemes"), REPORTED, ids=[text for text, _, _ in REPORTED])
def test_reported_homographs(front_end: ArpabetFrontEnd, text: str, word: str, phonemes: str) -> None:
    assert (word, phonemes) in said(front_end, text)


@pytest.mark.parametrize("annotated", SENTENCES)
def test_everyday_sentences(front_end: ArpabetFrontEnd, annotated: str) -> None:
    check(front_end, annotated)


def test_examples_of_the_table(front_end: ArpabetFrontEnd) -> None:
    for annotated in EXAMPLES:
        check(front_end, annotated)
    assert not set(EXAMPLES) & set(SENTENCES)


def check(front_end: ArpabetFrontEnd, annotated: str) -> None:
    """Assert that each annotated word of a sentence is pronounced with its reading."""
    words = said(front_end, ANNOTATED.sub(r"\1", annotated))
    for word, reading in ANNOTATED.findall(annotated.replace(",", " ").replace('"', "")):
        entry = homographs().table.entries[word.lower()]
        pronunciation = entry.readings[reading]
        [symbols] = (pronunciation if word.lower() == entry.word else pronunciation.with_s()).arpabet()
        at = next(index for index, (other, _) in enumerate(words) if other == word.lower())
        assert words[at] == (word.lower(), " ".join(symbols)), annotated
        words = words[at + 1 :]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("We refuse, the refuse. They live! A live show", [1, 4, 7, 10]),
        ("no such word", []),
        ("", []),
        ("The record's end", [1]),
    ],
)
def test_homographs_are_found_in_each_sentence(text: str, places: list[int]) -> None:
    assert list(homographs().find(TOKEN.findall(text))) == places


def test_capitals_distinguish_names(front_end: ArpabetFrontEnd) -> None:
    assert dict(said(front_end, "I will polish it."))["polish"] == "P AA1 L IH0 SH"
    assert dict(said(front_end, "I will buy Polish bread."))["polish"] == "P OW1 L IH0 SH"


def test_without_homographs_words_are_read_as_in_the_dictionary() -> None:
    assert ArpabetFrontEnd(homographs=False).words("I live here")[1] == ["L", "AY1", "V"]


def test_the_transcript_keeps_its_tokens_when_the_text_changes_its_homographs(front_end: ArpabetFrontEnd) -> None:
    tokens = front_end.encode("and they play it.", prompt_words="We record")
    alone = front_end.encode("We record")
    words = [front_end.vocabulary[index] for index in tokens.ids]
    assert words[tokens.prompt_tokens : tokens.prompt_tokens + 3] == [" ", "AH0", "N"]
    assert tokens.ids[: len(alone.ids)] == alone.ids


def test_amphion_v2_reads_homographs_by_the_sentence() -> None:
    phones = AmphionV2FrontEnd().phones("I can't live here. A live show, though.")
    words = [word.split() for word in " ".join(phones[1:-1]).split("|")]
    assert [phone[:-1] for phone in words[2]] == ["L", "IH1", "V"]
    assert [phone[:-1] for phone in words[5]] == ["L", "AY1", "V"]


def test_vallex_reads_homographs_by_the_sentence_only_if_asked() -> None:
    published, chosen = VallexFrontEnd(), VallexFrontEnd(homographs=True)
    text = "They live here, and it's live music!"
    assert published.phonemes(text).split()[1] == published.phonemes(text).split()[5]
    assert chosen.phonemes(text).split()[1] == "lɪv"
    assert chosen.phonemes(text).split()[5] == "laɪv"
    assert chosen.phonemes("A dog barks, twice.") == published.phonemes("A dog barks, twice.")
    assert "lɪv." in chosen.phonemes("[EN]We live[EN][ZH]苹果[ZH]")


def test_marked_texts_keep_everything_else() -> None:
    text = "“We live”, zqa; don’t LIVE, the record’s 5 live-streams."
    marked, pronunciations = mark(text)
    for placeholder in pronunciations:
        assert marked.count(placeholder) == 1
        marked = marked.replace(placeholder, "*")
    assert marked == "“We *”, zqa; don’t *, the * 5 *-streams."


def test_rules_that_cannot_be_read_are_refused() -> None:
    assert parse("bow | knot B OW1 | bend B AW1\n  knot: long _").entries["bow"].rules == [("knot", "long _")]
    with pytest.raises(ValueError, match="bow"):
        parse("bow | knot B OW1 | bend B AW1\n  arrow: long _")
