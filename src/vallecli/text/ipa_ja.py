"""Japanese G2P of VALL-E X: phonemes and pitch accents by Open JTalk, then IPA with arrows for pitch changes."""

from __future__ import annotations

import re
from itertools import pairwise

from vallecli.extras import extra

WORDS = r"A-Za-z\d\u3005\u3040-\u30ff\u4e00-\u9fff\uff11-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9d"
PART = re.compile(rf"([{WORDS}]+)|(.)", re.DOTALL)  # words, or one other character
# A full-context label of Open JTalk: the phoneme; the distance of its mora from the accent; its position in the accent
# phrase, counted from the start and from the end.
LABEL = re.compile(
    r"-(?P<phoneme>[^+]*)\+.*?/A:(?P<from_accent>[^+]*)\+(?P<position>[^+]*)\+(?P<position_from_end>[^/]*)/"
)
SILENCE = ("sil", "pau")
ROMAJI = {"ch": "ʧ", "sh": "ʃ", "cl": "Q"}
ASSIMILATED = [  # geminate (Q) and moraic nasal (N) take the place of articulation of the next sound
    (re.compile(rf"{sound}(?=[↑↓]*[{before}])"), ipa)
    for sound, before, ipa in (
        *(("Q", "kg", "k#"), ("Q", "tdjʧ", "t#"), ("Q", "sʃ", "s"), ("Q", "pb", "p#")),
        *(("N", "pbm", "m"), ("N", "ʧʥj", "n^"), ("N", "tdn", "n"), ("N", "kg", "ŋ")),
    )
]
IPA = (  # applied in this order; capitals are devoiced vowels
    *(("u", "ɯ"), ("ʧ", "tʃ"), ("j", "dʑ"), ("y", "j"), ("ni", "n^i"), ("nj", "n^"), ("hi", "çi"), ("hj", "ç")),
    *(("f", "ɸ"), ("I", "i*"), ("U", "ɯ*"), ("r", "ɾ")),
)


def to_ipa(text: str) -> str:
    """Return the IPA of Japanese text, with a space between accent phrases. Raises ExtraMissing."""
    with extra("ja", "Japanese"):
        from unidecode import unidecode

    phonemes = ""
    for words, mark in PART.findall(text.replace("％", "パーセント")):
        phonemes += f"{' ' if phonemes else ''}{_romaji(words)}" if words else unidecode(mark).replace(" ", "")
    phonemes = phonemes.replace("...", "…")
    for pattern, ipa in ASSIMILATED:
        phonemes = pattern.sub(ipa, phonemes)
    for romaji, ipa in IPA:
        phonemes = phonemes.replace(romaji, ipa)
    return phonemes


def _romaji(words: str) -> str:
    """Return the phonemes of words without punctuation, with ↑ and ↓ where the pitch rises and falls."""
    with extra("ja", "Japanese"):
        import pyopenjtalk

        labels = [LABEL.search(label) for label in pyopenjtalk.extract_fullcontext(words)]
    phonemes = ""
    for label, following in pairwise(labels):
        if label is None or following is None or label["phoneme"] in SILENCE:
            continue
        phonemes += ROMAJI.get(label["phoneme"], label["phoneme"])
        position = int(label["position"])
        next_position = -1 if following["phoneme"] in SILENCE else int(following["position"])
        if label["position_from_end"] == "1" and next_position == 1:
            phonemes += " "
        elif label["from_accent"] == "0" and next_position == position + 1:
            phonemes += "↓"
        elif position == 1 and next_position == 2:
            phonemes += "↑"
    return phonemes
