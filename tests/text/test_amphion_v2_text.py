"""Phones with their place in the word, by the published table; the ids are those of the published demonstration."""

from __future__ import annotations

import pytest

from vallecli.errors import EmptyText, EmptyTranscript, ForeignPreset, UsageError
from vallecli.text.amphion_v2 import PHONES, AmphionV2FrontEnd, plain
from vallecli.text.arpabet import CONSONANTS, VOWELS
from vallecli.text.base import Phonemes
from vallecli.text.english.cmudict import pronunciations

WRITTEN = {
    ("and keeping eternity before the eyes"): (
        "5 28 149 72 219 134 127 170 115 147 219 113 185 91 149 30 185 123 219 65 115 106 43 172 219 73 29 219 59 214 6"
    ),
    (
        "It presents a unified framework that is inclusive of diverse generation tasks and models with the "
        "added bonus of being easily extendable for new applications"
    ): (
        "5 116 181 219 168 173 124 218 82 149 185 175 219 28 219 210 200 149 30 106 64 72 219 104 173 100 143 "
        "209 94 135 219 73 24 181 219 116 214 219 113 149 136 140 200 179 115 205 219 31 205 219 71 58 206 91 "
        "175 219 131 85 149 88 100 178 30 145 219 180 24 179 136 175 219 28 149 72 219 141 15 76 30 140 214 "
        "219 207 118 74 219 73 29 219 22 76 30 72 219 65 155 149 30 175 219 31 205 219 65 127 115 147 219 125 "
        "218 30 140 123 219 83 136 179 185 82 149 76 30 67 30 139 219 104 43 172 219 144 199 219 25 170 140 "
        "30 136 100 178 30 149 214 6"
    ),
}
GOLDEN = {text: [int(index) for index in ids.split()] for text, ids in WRITTEN.items()}
# The demonstration used the CMUdict of 1998 (version 0.6, in NLTK); ours is newer, and has IH2 at the beginning.
NEWER, OLDER = "inclusive IH2 N K L UW1 S IH0 V", "inclusive IH0 N K L UW1 S IH0 V"


@pytest.fixture
def front_end() -> AmphionV2FrontEnd:
    return AmphionV2FrontEnd()


@pytest.mark.parametrize("text", GOLDEN)
def test_ids_are_the_published_ones(front_end: AmphionV2FrontEnd, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = pronunciations()
    monkeypatch.setattr(words, "lines", [OLDER if line == NEWER else line for line in words.lines])
    assert front_end.encode(text).ids == GOLDEN[text]
    [sentence] = front_end.sentences(text, 200)
    assert front_end.encode(sentence.text).ids == GOLDEN[text]


def test_the_newer_dictionary_changes_one_stress_of_them(front_end: AmphionV2FrontEnd) -> None:
    changed = [
        (PHONES[ours], PHONES[published])
        for text, ids in GOLDEN.items()
        for ours, published in zip(front_end.encode(text).ids, ids, strict=True)
        if ours != published
    ]
    assert changed == [("IH2B", "IH0B")]


def test_every_phone_has_an_id_in_each_place() -> None:
    phonemes = [*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012")]
    assert len(PHONES) == 220
    assert {phoneme + place for phoneme in phonemes for place in "BIE"} <= set(PHONES)


def test_places(front_end: AmphionV2FrontEnd) -> None:
    assert front_end.phones("a cat") == ["<BOS>", "AH0B", "|", "KB", "AE1I", "TE", "<EOS>"]
    assert front_end.phones("the") == ["<BOS>", "DHB", "AH0E", "<EOS>"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't you know? (Really!)", "dont you know really"),
        ("a co-op -- and  more", "a co op and more"),
        ("Café Ångström; naïve:", "cafe angstrom naive"),
        ("!?", ""),
    ],
)
def test_only_letters_are_left(text: str, words: str) -> None:
    assert plain(text) == words


def test_numbers_and_abbreviations_are_spoken(front_end: AmphionV2FrontEnd) -> None:
    [sentence] = front_end.sentences("Dr. Smith has 5 cats, i.e. pets.", 100)
    assert plain(sentence.text) == "doctor smith has five cats that is pets"


def test_transcript_and_text_are_converted_separately(front_end: AmphionV2FrontEnd) -> None:
    tokens = front_end.encode("a cat", prompt_words="It is 5.")
    assert tokens.ids == front_end.encode("it is five").ids + front_end.encode("a cat").ids
    assert tokens.prompt_tokens == len(front_end.encode("it is five").ids)


def test_errors(front_end: AmphionV2FrontEnd) -> None:
    with pytest.raises(EmptyText):
        front_end.encode("?!")
    with pytest.raises(EmptyTranscript):
        front_end.encode("a cat", prompt_words="...")
    with pytest.raises(UsageError, match="'de'"):
        front_end.encode("a cat", language="de")
    with pytest.raises(ForeignPreset):
        front_end.encode("a cat", prompt_words=Phonemes(ids=(1, 2), language="en", family="vallex"))
