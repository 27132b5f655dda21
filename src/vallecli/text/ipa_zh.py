"""Chinese for VALL-E X: numbers in words, words by jieba, bopomofo by pypinyin, then IPA with arrows for the tones."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from vallecli.extras import extra

LONGEST = 16  # digits of a number that cn2an can say; longer ones are read digit by digit
NUMBER = re.compile(r"[0-9０-９]+(?:\.?[0-9０-９]+)?")
HAN = re.compile(r"[\u4e00-\u9fff]")
UNTONED = re.compile(r"(?<=[ㄅ-ㄩ])$")  # the first tone has no mark
COMMAS = str.maketrans(dict.fromkeys("、；：", "，"))
LATIN = {  # the names of the letters
    **{"a": "ㄟˉ", "b": "ㄅㄧˋ", "c": "ㄙㄧˉ", "d": "ㄉㄧˋ", "e": "ㄧˋ", "f": "ㄝˊㄈㄨˋ", "g": "ㄐㄧˋ"},
    **{"h": "ㄝˇㄑㄩˋ", "i": "ㄞˋ", "j": "ㄐㄟˋ", "k": "ㄎㄟˋ", "l": "ㄝˊㄛˋ", "m": "ㄝˊㄇㄨˋ", "n": "ㄣˉ"},
    **{"o": "ㄡˉ", "p": "ㄆㄧˉ", "q": "ㄎㄧㄡˉ", "r": "ㄚˋ", "s": "ㄝˊㄙˋ", "t": "ㄊㄧˋ", "u": "ㄧㄡˉ"},
    **{"v": "ㄨㄧˉ", "w": "ㄉㄚˋㄅㄨˋㄌㄧㄡˋ", "x": "ㄝˉㄎㄨˋㄙˋ", "y": "ㄨㄞˋ", "z": "ㄗㄟˋ"},
}
SPELLED = str.maketrans(LATIN | {letter.upper(): name for letter, name in LATIN.items()})
IPA = (  # one after the other, as the longer ones come first
    *(("ㄅㄛ", "p⁼wo"), ("ㄆㄛ", "pʰwo"), ("ㄇㄛ", "mwo"), ("ㄈㄛ", "fwo"), ("ㄅ", "p⁼"), ("ㄆ", "pʰ"), ("ㄇ", "m")),
    *(("ㄈ", "f"), ("ㄉ", "t⁼"), ("ㄊ", "tʰ"), ("ㄋ", "n"), ("ㄌ", "l"), ("ㄍ", "k⁼"), ("ㄎ", "kʰ"), ("ㄏ", "x")),
    *(("ㄐ", "tʃ⁼"), ("ㄑ", "tʃʰ"), ("ㄒ", "ʃ"), ("ㄓ", "ts`⁼"), ("ㄔ", "ts`ʰ"), ("ㄕ", "s`"), ("ㄖ", "ɹ`")),
    *(("ㄗ", "ts⁼"), ("ㄘ", "tsʰ"), ("ㄙ", "s"), ("ㄚ", "a"), ("ㄛ", "o"), ("ㄜ", "ə"), ("ㄝ", "ɛ"), ("ㄞ", "aɪ")),
    *(("ㄟ", "eɪ"), ("ㄠ", "ɑʊ"), ("ㄡ", "oʊ"), ("ㄧㄢ", "jɛn"), ("ㄩㄢ", "ɥæn"), ("ㄢ", "an"), ("ㄧㄣ", "in")),
    *(("ㄩㄣ", "ɥn"), ("ㄣ", "ən"), ("ㄤ", "ɑŋ"), ("ㄧㄥ", "iŋ"), ("ㄨㄥ", "ʊŋ"), ("ㄩㄥ", "jʊŋ"), ("ㄥ", "əŋ")),
    *(("ㄦ", "əɻ"), ("ㄧ", "i"), ("ㄨ", "u"), ("ㄩ", "ɥ"), ("ˉ", "→"), ("ˊ", "↑"), ("ˇ", "↓↑"), ("ˋ", "↓"), ("˙", "")),
    *(("，", ","), ("。", "."), ("！", "!"), ("？", "?"), ("—", "-")),
)
GLIDES = (
    (re.compile(r"i(?=[aoe])"), "j"),
    (re.compile(r"u(?=[aoəe])"), "w"),
    (re.compile(r"([sɹ]`[⁼ʰ]?)(?=[→↓↑ ]+|$)"), r"\1ɹ`"),  # the vowel of shi, which has no bopomofo
    (re.compile("ɻ"), "ɹ`"),
    (re.compile(r"(s[⁼ʰ]?)(?=[→↓↑ ]+|$)"), r"\1ɹ"),  # that of si
)


def to_ipa(text: str) -> str:
    """Return the IPA of Chinese text, words apart by a space. Raises ExtraMissing."""
    phonemes = _bopomofo(NUMBER.sub(lambda number: _number(number[0]), text)).translate(SPELLED)
    for symbols, ipa in IPA:
        phonemes = phonemes.replace(symbols, ipa)
    for pattern, ipa in GLIDES:
        phonemes = pattern.sub(ipa, phonemes)
    return phonemes


def _bopomofo(text: str) -> str:
    """Return the text with its Chinese words in bopomofo, a space before each but the first."""
    with extra("zh", "Chinese"):
        from pypinyin import BOPOMOFO, lazy_pinyin

    said = ""
    for word in _words().lcut(text.translate(COMMAS)):
        if HAN.search(word):
            word = "".join(UNTONED.sub("ˉ", syllable) for syllable in lazy_pinyin(word, BOPOMOFO))
            said += " " if said else ""
        said += word
    return said


@cache
def _words() -> Any:
    """Return jieba's splitter into words, which takes a second to read its dictionary."""
    with extra("zh", "Chinese"):
        import jieba

    splitter = jieba.Tokenizer()
    # Not its initialize(): that reads a cache anyone may have left in the machine's folder for temporary files.
    splitter.FREQ, splitter.total = splitter.gen_pfdict(splitter.get_dict_file())
    splitter.initialized = True
    return splitter


def _number(digits: str) -> str:
    with extra("zh", "Chinese"):
        import cn2an

    whole, _, fraction = digits.partition(".")
    readable = max(len(whole), len(fraction)) <= LONGEST
    return str(cn2an.an2cn(digits, "low" if readable else "direct"))
