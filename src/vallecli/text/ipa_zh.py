"""Chinese G2P of VALL-E X: numbers as words, words by jieba, bopomofo by pypinyin, then IPA with arrows for tones."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from vallecli.extras import extra

MAX_DIGITS = 16  # of a number that cn2an has words for; longer ones are read digit by digit
NUMBER = re.compile(r"[0-9０-９]+(?:\.?[0-9０-９]+)?")
HAN = re.compile(r"[\u4e00-\u9fff]")
WITHOUT_TONE = re.compile(r"(?<=[ㄅ-ㄩ])$")  # bopomofo does not mark the first tone
COMMAS = str.maketrans(dict.fromkeys("、；：", "，"))
LETTER_NAMES = {  # of Latin letters, in bopomofo
    **{"a": "ㄟˉ", "b": "ㄅㄧˋ", "c": "ㄙㄧˉ", "d": "ㄉㄧˋ", "e": "ㄧˋ", "f": "ㄝˊㄈㄨˋ", "g": "ㄐㄧˋ"},
    **{"h": "ㄝˇㄑㄩˋ", "i": "ㄞˋ", "j": "ㄐㄟˋ", "k": "ㄎㄟˋ", "l": "ㄝˊㄛˋ", "m": "ㄝˊㄇㄨˋ", "n": "ㄣˉ"},
    **{"o": "ㄡˉ", "p": "ㄆㄧˉ", "q": "ㄎㄧㄡˉ", "r": "ㄚˋ", "s": "ㄝˊㄙˋ", "t": "ㄊㄧˋ", "u": "ㄧㄡˉ"},
    **{"v": "ㄨㄧˉ", "w": "ㄉㄚˋㄅㄨˋㄌㄧㄡˋ", "x": "ㄝˉㄎㄨˋㄙˋ", "y": "ㄨㄞˋ", "z": "ㄗㄟˋ"},
}
SPELLED = str.maketrans(LETTER_NAMES | {letter.upper(): name for letter, name in LETTER_NAMES.items()})
IPA = (  # applied in this order: longer ones come first
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
    (re.compile(r"([sɹ]`[⁼ʰ]?)(?=[→↓↑ ]+|$)"), r"\1ɹ`"),  # the vowel of shi, which bopomofo does not write
    (re.compile("ɻ"), "ɹ`"),
    (re.compile(r"(s[⁼ʰ]?)(?=[→↓↑ ]+|$)"), r"\1ɹ"),  # the vowel of si
)


def to_ipa(text: str) -> str:
    """Return the IPA of Chinese text, with a space between words. Raises ExtraMissing."""
    phonemes = _bopomofo(NUMBER.sub(lambda number: _number(number[0]), text)).translate(SPELLED)
    for symbols, ipa in IPA:
        phonemes = phonemes.replace(symbols, ipa)
    for pattern, ipa in GLIDES:
        phonemes = pattern.sub(ipa, phonemes)
    return phonemes


def _bopomofo(text: str) -> str:
    """Return the text with its Chinese words in bopomofo, and a space before each except the first."""
    with extra("zh", "Chinese"):
        from pypinyin import BOPOMOFO, lazy_pinyin

    converted = ""
    for word in _tokenizer().lcut(text.translate(COMMAS)):
        if HAN.search(word):
            word = "".join(WITHOUT_TONE.sub("ˉ", syllable) for syllable in lazy_pinyin(word, BOPOMOFO))
            converted += " " if converted else ""
        converted += word
    return converted


@cache
def _tokenizer() -> Any:
    """Return jieba's tokenizer, which takes a second to load."""
    with extra("zh", "Chinese"):
        import jieba

    tokenizer = jieba.Tokenizer()
    # Not by initialize(), which loads a cache that anyone can place in the shared folder for temporary files.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def _number(digits: str) -> str:
    with extra("zh", "Chinese"):
        import cn2an

    whole, _, fraction = digits.partition(".")
    readable = max(len(whole), len(fraction)) <= MAX_DIGITS
    return str(cn2an.an2cn(digits, "low" if readable else "direct"))
