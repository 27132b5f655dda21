"""Phonemes of known words, unknown words and homographs, and the words they belong to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vallecli.errors import EmptyText, EmptyTranscript, ForeignPreset, UsageError
from vallecli.text.arpabet import PAD, SEPARATOR, ArpabetFrontEnd
from vallecli.text.base import Phonemes, Sentence
from vallecli.text.english.normalize import normalize
from vallecli.text.english.tagger import tagger


@pytest.fixture(scope="module")
def front_end() -> ArpabetFrontEnd:
    return ArpabetFrontEnd()


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("Hello, world!", "HH AH0 L OW1 , | W ER1 L D !"),
        ("a café", "AH0 | K AH0 F EY1"),
        ("I refuse the refuse", "AY1 | R IH0 F Y UW1 Z | DH AH0 | R EH1 F Y UW2 Z"),  # verb, noun
        ("the cat's and 'em", "DH AH0 | K AE1 T S | AH0 N D | AH0 M"),
        ("well-known", "W EH1 L | N OW1 N"),
        ("so — yes; no: OK…", "S OW1 , | Y EH1 S , | N OW1 , | OW1 K EY1 ."),
        ("what?? “Quoted”", "W AH1 T ? | K W OW1 T IH0 D"),
    ],
)
def test_phonemes(front_end: ArpabetFrontEnd, text: str, phonemes: str) -> None:
    symbols = [SEPARATOR if symbol == "|" else symbol for symbol in phonemes.split()]
    assert front_end.phonemes(text) == symbols


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("AI", "EY1 | AY1"),
        ("an ATM", "AE1 N | EY1 | T IY1 | EH1 M"),
        ("GPUs", "JH IY1 | P IY1 | Y UW1 Z"),
        ("NASA", "N AE1 S AH0"),
        ("Vitamin A.", "V AY1 T AH0 M AH0 N | EY1 ."),
        ("A W", "AH0 | D AH1 B AH0 L Y UW0"),
    ],
)
def test_letters_of_acronyms_are_read_by_name(front_end: ArpabetFrontEnd, written: str, phonemes: str) -> None:
    assert front_end.phonemes(normalize(written)) == [" " if symbol == "|" else symbol for symbol in phonemes.split()]


def test_unknown_words_are_predicted(front_end: ArpabetFrontEnd) -> None:
    assert front_end.words("frobnicate")[0][:4] == ["F", "R", "AA1", "B"]
    assert front_end.words("Zarblax's")[0][-2:] == ["IH0", "Z"]
    assert front_end.words("Frobnik's")[0][-1] == "S"


def test_the_vocabulary_of_trained_checkpoints_is_unchanged(front_end: ArpabetFrontEnd) -> None:
    vocabulary = front_end.vocabulary
    assert (len(vocabulary), len(set(vocabulary))) == (76, 76)
    assert vocabulary[:8] == (PAD, SEPARATOR, ",", ".", "?", "!", "-", "AA0")
    assert vocabulary[51:54] == ("UW2", "B", "CH")
    assert vocabulary[-1] == "ZH"


def test_each_normalized_word_has_phonemes_and_its_index(front_end: ArpabetFrontEnd) -> None:
    text = normalize("Dr. O'Neill's 3 GPUs (well-known!) cost $12.50 -- 'tis xqzt, rock'n'roll; café hmm... 😀 a.b")
    ids, owners = front_end.encode_words(text)
    assert len(ids) == len(owners)
    assert max(owners) + 1 == len(text.split())
    separators = [at for at, symbol in enumerate(ids) if front_end.vocabulary[symbol] == SEPARATOR]
    assert [at for at, owner in enumerate(owners) if owner == -1] == separators
    spoken = [owner for owner in owners if owner >= 0]
    assert sorted(set(spoken)) == list(range(max(owners) + 1))  # every word has phonemes
    assert spoken == sorted(spoken)


@pytest.mark.parametrize("text", ["", " ", "?!", "'", "…", "5"])
def test_text_without_words_is_refused(front_end: ArpabetFrontEnd, text: str) -> None:
    with pytest.raises(EmptyText):
        front_end.encode(text)


def test_the_transcript_is_normalized_and_comes_first(front_end: ArpabetFrontEnd) -> None:
    both = front_end.encode("It is here.", prompt_words="I paid $5.")
    assert both.ids == front_end.encode("I paid five dollars. It is here.").ids
    assert both.prompt_tokens == len(front_end.encode("I paid five dollars.").ids)
    assert front_end.encode("It is here.").prompt_tokens == 0
    with pytest.raises(EmptyTranscript):
        front_end.encode("It is here.", prompt_words="?!")
    with pytest.raises(ForeignPreset):
        front_end.encode("It is here.", prompt_words=Phonemes((30, 25), "en", "vallex"))


def test_sentences_are_normalized_english(front_end: ArpabetFrontEnd) -> None:
    assert front_end.sentences("Take 5. Go!", 100) == [Sentence("Take five.", "en"), Sentence("Go!", "en")]
    with pytest.raises(UsageError):
        front_end.sentences("Take 5.", 100, language="zh")


def test_tags() -> None:
    tagged = "they/PRP refuse/VBP to/TO record/VB the/DT record/NN ,/, which/WDT is/VBZ old/JJ ./."
    pairs = [(word, tag) for word, _, tag in (pair.partition("/") for pair in tagged.split(" "))]
    assert tagger().tag([word for word, _ in pairs]) == pairs


def test_nltk_is_neither_used_nor_replaced() -> None:
    code = """
import sys, types
theirs = sys.modules["nltk"] = types.ModuleType("nltk")
from vallecli.text.arpabet import ArpabetFrontEnd
ArpabetFrontEnd().encode("I refuse the refuse of Zarblax")
assert sys.modules.pop("nltk") is theirs
print(sorted(name for name in sys.modules if name.split(".")[0] in ("nltk", "g2p_en", "scipy", "torch")))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Wi-Fi", ["W AY1", "F AY1"]),
        ("the CT scan", ["DH AH0", "S IY1", "T IY1", "S K AE1 N"]),
        ("Dr Jones", ["D AA1 K T ER0", "JH OW1 N Z"]),
    ],
)
def test_abbreviations_of_public_reports(written: str, spoken: list[str]) -> None:
    assert [" ".join(word) for word in ArpabetFrontEnd().words(normalize(written))] == spoken
