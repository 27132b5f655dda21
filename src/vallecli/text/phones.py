"""Pronunciations in ARPAbet and in IPA, and from one to the other by tables for General American English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

PRIMARY, SECONDARY = "ˈ", "ˌ"
WORD_BOUNDARY = "|"  # between the words of an ARPAbet phrase
IPA_OF_VOWELS = {
    **{"AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɜː", "EY": "eɪ"},
    **{"IH": "ɪ", "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "uː"},
}
IPA_OF_UNSTRESSED = {"AH": "ə", "ER": "ɚ", "IY": "i"}
IPA_OF_CONSONANTS = {
    **{"B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l"},
    **{"M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v"},
    **{"W": "w", "Y": "j", "Z": "z", "ZH": "ʒ"},
}
BEFORE_R = {"ɔː": "oː", "iː": "ɪ", "i": "ɪ"}  # vowels that espeak-ng changes before ɹ
# Consonants that begin a syllable together: a stress mark is placed before them.
ONSETS = (
    "P R|P L|P Y|T R|T W|K R|K L|K W|K Y|B R|B L|B Y|D R|D W|G R|G L|F R|F L|F Y|V Y|TH R|SH R|HH Y|M Y|"
    "S P|S T|S K|S L|S M|S N|S W|S F|S P R|S P L|S T R|S K R|S K W"
)
CLUSTERS = {tuple(onset.split()) for onset in ONSETS.split("|")} | {
    (consonant,) for consonant in IPA_OF_CONSONANTS if consonant != "NG"
}
ARPABET_OF_IPA = {
    **{"ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "a": "AA", "aː": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH"},
    **{"ɔː": "AO", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY", "ɛ": "EH", "ɛː": "EH", "e": "EH", "ɜː": "ER", "ɜ": "ER"},
    **{"ɝ": "ER", "ɝː": "ER", "ɚ": "ER", "ɜːɹ": "ER", "ɜɹ": "ER", "eɪ": "EY", "eː": "EY", "ɪ": "IH", "ᵻ": "IH"},
    **{"iː": "IY", "i": "IY", "oʊ": "OW", "əʊ": "OW", "o": "OW", "oː": "OW", "oːɹ": "AO R", "ɔɪ": "OY"},
    **{"ʊ": "UH", "uː": "UW", "u": "UW", "ʉ": "UW", "ʉː": "UW"},
    **{ipa: arpabet for arpabet, ipa in IPA_OF_CONSONANTS.items()},
    **{"g": "G", "r": "R", "ɻ": "R", "ɫ": "L", "ɾ": "T", "ʤ": "JH", "ʧ": "CH", "ʍ": "W", "hw": "W"},
    **{"l̩": "AH L", "n̩": "AH N", "m̩": "AH M", "ɹ̩": "ER", "r̩": "ER"},
}
REDUCED = frozenset({"ə", "ɐ", "ɚ", "ᵻ"})  # vowels that are never stressed
WEAK = frozenset({"AH", "ER", "IH"})  # vowels that are rarely the stressed one of several
IPA_SYMBOL = re.compile("|".join(sorted(map(re.escape, ARPABET_OF_IPA), key=len, reverse=True)))
IPA_VOWELS = "aɑɒæɐəɚɘɜɝɞɛeɨiɪɯɤoɔøœɶuʉʊʌyʏᵻ"
IPA_LETTERS = frozenset(f"{IPA_VOWELS}bβɓcçɕdðɖɗfɡgɢɣɠhħɦɥɧjʝɟʄkxχlɫɬɭɮʎʟmɱnŋɲɳɴpɸqrɹɾɽɻʀʁsʃʂtθʈvʋⱱwʍɰzʑʒʐʔʕʡʢʤʧʦʣʨʥ")
IPA_MARKS = frozenset(f"{PRIMARY}{SECONDARY}ːˑʰʷʲˠˤⁿˡ˞͜͡ˉˊˋˇ˥˦˧˨˩↑↓→")
ONLY_IPA = (IPA_LETTERS | IPA_MARKS) - frozenset("abcdefghijklmnopqrstuvwxyzçðøœæ")
TYPED = str.maketrans({"'": PRIMARY, "ʹ": PRIMARY, "’": PRIMARY, ":": "ː", ".": "", "͡": "", "͜": "", "‿": "", "-": ""})
STRESS_BEFORE_VOWEL = re.compile(f"([{PRIMARY}{SECONDARY}])([^{IPA_VOWELS} ]+)(?=[{IPA_VOWELS}])")
NUCLEI = re.compile(f"[{IPA_VOWELS}][{IPA_VOWELS}ː]*|\u0329")
ARPABET_SYMBOL = re.compile(r"([A-Za-z]{1,2})([0-2]?)")
VOICELESS, SIBILANTS = frozenset("ptkfθ"), frozenset("szʃʒʤʧ")


@dataclass(frozen=True)
class Pronunciation:
    """How a word or a phrase is pronounced, in the notation in which it was given."""

    notation: Literal["arpabet", "ipa"]
    words: tuple[tuple[str, ...], ...]
    """Symbols of each word; in IPA the characters of a word are one string."""

    def arpabet(self) -> list[list[str]]:
        """Return the ARPAbet symbols of each word, vowels with their stress.

        Raises ValueError for a sound that ARPAbet does not have.
        """
        if self.notation == "arpabet":
            return [list(word) for word in self.words]
        return [_ipa_to_arpabet(*word) for word in self.words]

    def ipa(self) -> list[str]:
        """Return the IPA of each word, with stress marks before the syllable."""
        if self.notation == "ipa":
            return ["".join(word) for word in self.words]
        return [_arpabet_to_ipa(word) for word in self.words]

    def with_s(self) -> Pronunciation:
        """Return the pronunciation with the ending of a plural or a possessive."""
        *before, last = self.words
        sound = self.ipa()[-1].rstrip("ː")[-1]
        ending = "IH0 Z" if sound in SIBILANTS else "S" if sound in VOICELESS else "Z"
        ipa = {"IH0 Z": "ɪz", "S": "s", "Z": "z"}[ending]
        longer = (*last, *ending.split()) if self.notation == "arpabet" else ("".join(last) + ipa,)
        return Pronunciation(self.notation, (*before, longer))


def parse(written: str) -> Pronunciation | None:
    """Return the pronunciation in ARPAbet, or in IPA between slashes or brackets; None for a plain respelling.

    Raises ValueError, which names the symbol that is unknown.
    """
    written = unicodedata.normalize("NFC", written.strip())
    if len(written) > 1 and (written[0], written[-1]) in (("/", "/"), ("[", "]")):
        return Pronunciation("ipa", tuple((word,) for word in _check_ipa(written[1:-1])))
    symbols = written.split()
    if _is_arpabet(symbols):
        return Pronunciation("arpabet", tuple(_check_arpabet(symbols)))
    for char in written:
        if char in ONLY_IPA:
            raise ValueError(f"{char!r} is a symbol of IPA, which is written between slashes: /həˈloʊ/")
        if not char.isalpha() and char not in " -'’":
            raise ValueError(f"{char!r} is neither a letter nor a symbol of ARPAbet")
    if not any(char.isalpha() for char in written):
        raise ValueError("it has no letters")
    return None


def stress_before_vowels(ipa: str) -> str:
    """Return IPA whose stress marks are directly before vowels, where espeak-ng puts them."""
    return STRESS_BEFORE_VOWEL.sub(r"\2\1", ipa)


def without_stress(ipa: str) -> str:
    """Return IPA without stress marks."""
    return ipa.replace(PRIMARY, "").replace(SECONDARY, "")


def is_monosyllable(ipa: str) -> bool:
    """Return whether a word in IPA has at most one group of vowels."""
    return len(NUCLEI.findall(ipa)) < 2


def _is_arpabet(symbols: Sequence[str]) -> bool:
    """Return whether all symbols look like ARPAbet, and one has a stress or all are known and one is a vowel."""
    matches = [ARPABET_SYMBOL.fullmatch(symbol) for symbol in symbols if symbol != WORD_BOUNDARY]
    if not matches or not all(matches):
        return False
    if any(match and match[2] for match in matches):
        return True
    known = all(symbol == WORD_BOUNDARY or symbol in IPA_OF_VOWELS or symbol in IPA_OF_CONSONANTS for symbol in symbols)
    return known and any(symbol in IPA_OF_VOWELS for symbol in symbols)


def _check_arpabet(symbols: Sequence[str]) -> Iterator[tuple[str, ...]]:
    word: list[str] = []
    for symbol in (*symbols, WORD_BOUNDARY):
        if symbol != WORD_BOUNDARY:
            match = ARPABET_SYMBOL.fullmatch(symbol.upper())
            if match is None or not (match[1] in IPA_OF_VOWELS or (match[1] in IPA_OF_CONSONANTS and not match[2])):
                raise ValueError(f"{symbol!r} is no symbol of ARPAbet")
            word.append(symbol.upper())
        elif not word:
            raise ValueError("it has an empty word")
        else:
            yield tuple(_with_stress(word))
            word = []


def _with_stress(symbols: Sequence[str]) -> list[str]:
    """Return ARPAbet symbols in which every vowel has a stress, and one vowel the primary stress."""
    vowels = [at for at, symbol in enumerate(symbols) if symbol.rstrip("012") in IPA_OF_VOWELS]
    stressed = list(symbols)
    if vowels and not any(symbols[at][-1].isdigit() for at in vowels):
        full = [at for at in vowels if symbols[at] not in WEAK]
        stressed[(full or vowels)[0]] += "1"
    return [symbol + "0" if symbol in IPA_OF_VOWELS else symbol for symbol in stressed]


def _check_ipa(written: str) -> list[str]:
    """Return the words of an IPA text, with marks that people type in their place."""
    words = written.translate(TYPED).split()
    if not words:
        raise ValueError("it is empty")
    for word in words:
        for char in word:
            base = unicodedata.normalize("NFD", char)[0]
            if char not in IPA_MARKS and not unicodedata.combining(char) and not {char, base} & IPA_LETTERS:
                raise ValueError(f"{char!r} is no symbol of IPA")
        if not set(unicodedata.normalize("NFD", word)) & IPA_LETTERS:
            raise ValueError(f"{word!r} has no sound")
    return words


def _ipa_to_arpabet(word: str) -> list[str]:
    found: list[str] = []
    stress, primary, full, at = "0", False, None, 0
    while at < len(word):
        if word[at] in (PRIMARY, SECONDARY):
            stress = "1" if word[at] == PRIMARY else "2"
            at += 1
            continue
        match = IPA_SYMBOL.match(word, at)
        if match is None:
            raise ValueError(f"ARPAbet has no symbol for {word[at]!r}")
        for symbol in ARPABET_OF_IPA[match[0]].split():
            if symbol in IPA_OF_VOWELS:
                if full is None and match[0] not in REDUCED:
                    full = len(found)
                primary |= stress == "1"
                symbol, stress = symbol + stress, "0"
            found.append(symbol)
        at = match.end()
    if not primary and full is not None:
        found[full] = found[full][:-1] + "1"
    return found


def _arpabet_to_ipa(symbols: Sequence[str]) -> str:
    parts: list[str] = []
    first_consonant = 0  # of the consonants since the last vowel
    for at, symbol in enumerate(symbols):
        if symbol in IPA_OF_CONSONANTS:
            parts.append(IPA_OF_CONSONANTS[symbol])
            continue
        name, stress = symbol[:-1], symbol[-1]
        vowel = IPA_OF_UNSTRESSED.get(name, IPA_OF_VOWELS[name]) if stress == "0" else IPA_OF_VOWELS[name]
        parts.append(BEFORE_R.get(vowel, vowel) if symbols[at + 1 : at + 2] == ("R",) else vowel)
        if stress != "0":
            start = first_consonant
            while 0 < start < at and tuple(symbols[start:at]) not in CLUSTERS:
                start += 1
            parts[start] = (PRIMARY if stress == "1" else SECONDARY) + parts[start]
        first_consonant = at + 1
    return "".join(parts)
