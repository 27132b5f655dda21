"""Japanese for VALL-E X: readings and pitch accents by Open JTalk, then IPA with arrows where the pitch moves."""

from __future__ import annotations

import re
from itertools import pairwise

from vallecli.extras import extra

WORDS = r"A-Za-z\d\u3005\u3040-\u30ff\u4e00-\u9fff\uff11-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9d"
PART = re.compile(rf"([{WORDS}]+)|(.)", re.DOTALL)  # what is read, or one mark
# Of a full-context label: the phoneme; how far its mora is from the accent, its place in the accent phrase counted
# from the front, and from the back.
LABEL = re.compile(r"-(?P<phoneme>[^+]*)\+.*?/A:(?P<from_accent>[^+]*)\+(?P<place>[^+]*)\+(?P<left>[^/]*)/")
SILENCE = ("sil", "pau")
ROMAJI = {"ch": "ʧ", "sh": "ʃ", "cl": "Q"}
ASSIMILATED = [  # the first half of a doubled consonant, and the nasal, sound like what comes after them
    (re.compile(rf"{sound}(?=[↑↓]*[{before}])"), ipa)
    for sound, before, ipa in (
        *(("Q", "kg", "k#"), ("Q", "tdjʧ", "t#"), ("Q", "sʃ", "s"), ("Q", "pb", "p#")),
        *(("N", "pbm", "m"), ("N", "ʧʥj", "n^"), ("N", "tdn", "n"), ("N", "kg", "ŋ")),
    )
]
IPA = (  # one after the other; capitals are vowels without voice
    *(("u", "ɯ"), ("ʧ", "tʃ"), ("j", "dʑ"), ("y", "j"), ("ni", "n^i"), ("nj", "n^"), ("hi", "çi"), ("hj", "ç")),
    *(("f", "ɸ"), ("I", "i*"), ("U", "ɯ*"), ("r", "ɾ")),
)


def to_ipa(text: str) -> str:
    """Return the IPA of Japanese text, accent phrases apart by a space. Raises ExtraMissing."""
    with extra("ja", "Japanese"):
        from unidecode import unidecode

    said = ""
    for words, mark in PART.findall(text.replace("％", "パーセント")):
        said += f"{' ' if said else ''}{_romaji(words)}" if words else unidecode(mark).replace(" ", "")
    phonemes = said.replace("...", "…")
    for pattern, ipa in ASSIMILATED:
        phonemes = pattern.sub(ipa, phonemes)
    for romaji, ipa in IPA:
        phonemes = phonemes.replace(romaji, ipa)
    return phonemes


def _romaji(words: str) -> str:
    """Return the phonemes of words without marks, with ↑ and ↓ where the pitch moves."""
    with extra("ja", "Japanese"):
        import pyopenjtalk

        labels = [LABEL.search(label) for label in pyopenjtalk.extract_fullcontext(words)]
    said = ""
    for here, after in pairwise(labels):
        if here is None or after is None or here["phoneme"] in SILENCE:
            continue
        said += ROMAJI.get(here["phoneme"], here["phoneme"])
        place, next_place = int(here["place"]), -1 if after["phoneme"] in SILENCE else int(after["place"])
        if here["left"] == "1" and next_place == 1:
            said += " "
        elif here["from_accent"] == "0" and next_place == place + 1:
            said += "↓"
        elif place == 1 and next_place == 2:
            said += "↑"
    return said
