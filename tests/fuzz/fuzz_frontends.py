"""Text of every language to tokens of a checkpoint, by each front end whose packages are installed."""

from __future__ import annotations

import ctypes.util
import functools
import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path

import fuzz_text
from hypothesis import strategies as st
from mutations import CHARACTERS, repeated, texts, words

from vallecli.families.valle.symbols import SPECIAL
from vallecli.text.amphion_v2 import AmphionV2FrontEnd
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.base import AUTO, FrontEnd
from vallecli.text.ecker import EckerFrontEnd
from vallecli.text.espeak import EspeakFrontEnd
from vallecli.text.normalize import check_words
from vallecli.text.reader import TextReader
from vallecli.text.vallex import VallexFrontEnd

IPA = " abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌˈˌː.,!?"
ECKER_SYMBOLS = {"<unk>": 0, "<bos>": 1, "</eos>": 2, "<mask>": 3, **{char: 4 + i for i, char in enumerate(IPA)}}
EXAMPLES = [
    *("今日はいい天気ですね。", "今天天气很好，我们去公园。", "안녕하세요, 세계.", "Schöne Bücher für 3,50 €."),
    *("C'est l'été!", "[EN]I like[EN][ZH]苹果[ZH]", "[JA]こんにちは[JA]", "2024年5月1日 10:30"),
    *("iPhoneを買った。", "我有3.14%的iPhone"),
    *fuzz_text.EXAMPLES[::7],
]
TOKENS = (
    *words("[EN] [ZH] [JA] [KO] [ 。 ， 、 ！ ？ 「 」 … ・ ー 々 〆 ッ ん 第 零 万 亿 兆 2024年 ３ １００ ㍿ ㈱ ℃"),
    *["가", "ㄱ", "ä", "ß", "ç", "œ", "¿", "ر", "ж", "ก"],
    *fuzz_text.TOKENS[::3],
)
SHORT = st.one_of(
    st.sampled_from(TOKENS), st.sampled_from(EXAMPLES), st.lists(st.sampled_from(TOKENS), max_size=3).map("".join)
)
SHORT |= st.text(CHARACTERS, max_size=4)
LONG = 2_000  # characters
MAX_CHARS = (1, 10, 110, 300)  # of a sentence


def _ecker() -> FrontEnd:
    import tokenizers

    model = tokenizers.models.BPE({**ECKER_SYMBOLS, "ðə": 100}, [("ð", "ə")], unk_token="<unk>")
    return EckerFrontEnd(
        tokenizers.Tokenizer(model).to_str(),
        "tokenizer.json",
        languages=("en", "ja", "de", "fr", "zh", "ko"),
        ids=256,
        symbols=ECKER_SYMBOLS,
    )


MAKERS: dict[str, tuple[Callable[[], FrontEnd], tuple[str, ...]]] = {  # front end -> its maker, the packages it needs
    "arpabet": (ArpabetFrontEnd, ()),
    "amphion_v2": (AmphionV2FrontEnd, ()),
    "vallex": (VallexFrontEnd, ("eng_to_ipa", "unidecode", "pypinyin", "jieba", "cn2an", "pyopenjtalk")),
    "espeak": (lambda: EspeakFrontEnd([*SPECIAL, *dict.fromkeys(IPA.replace(" ", "_"))]), ("phonemizer",)),
    "ecker": (_ecker, ("phonemizer", "tokenizers", "langdetect", "pykakasi", "pypinyin")),
}
INSTALLED = [
    name
    for name, (_, packages) in MAKERS.items()
    if all(importlib.util.find_spec(package) for package in packages)
    and ("phonemizer" not in packages or ctypes.util.find_library("espeak-ng"))
]
GREETINGS = {"en": "Yes.", "zh": "你好", "ja": "はい", "de": "Ja", "fr": "Oui", "ko": "네"}
front_end = functools.cache(lambda name: MAKERS[name][0]())


def warm_up(languages: Collection[str] = tuple(GREETINGS)) -> None:
    """Load the packages: phonemizer looks for espeak-ng's library, and copies it to a temporary folder."""
    for name in INSTALLED:
        for language in languages:
            text = GREETINGS[language]
            if language in front_end(name).languages:
                front_end(name).encode(text, language=language)
        if len(languages) > 1:
            front_end(name).sentences("Yes.", 100, language=AUTO)


TEXTS = st.one_of(texts(EXAMPLES, TOKENS, pieces=6), texts(EXAMPLES, TOKENS), repeated(SHORT, LONG))
LANGUAGES = st.sampled_from((AUTO, AUTO, "en", "zh", "ja", "de", "fr", "ko", "mix"))
SAMPLES = st.tuples(
    st.sampled_from(INSTALLED),
    TEXTS,
    LANGUAGES,
    st.sampled_from(MAX_CHARS),
    st.one_of(st.none(), texts(EXAMPLES, TOKENS, pieces=2).map(lambda text: text[:100])),
)
FEW = 10
FOUND: tuple[tuple[str, str, str, int, str | None], ...] = ()


def check(sample: tuple[str, str, str, int, str | None], folder: Path) -> None:
    name, text, language, max_chars, prompt = sample
    check_words(text)
    reader = TextReader(front_end(name), max(max_chars, len(text) // 20))  # at most some dozens of sentences
    tokens = characters = 0
    for reading in reader.read(text, language=language, prompt_words=prompt):
        own = len(reading.tokens.ids) - reading.tokens.prompt_tokens
        assert own > 0, "a sentence without tokens"
        assert reading.tokens.prompt_tokens >= 0
        assert min(reading.tokens.ids) >= 0
        assert reading.tokens.languages is None or len(reading.tokens.languages) == len(reading.tokens.ids)
        reader.front_end.spell(reading.tokens)
        assert all(len(note) < 2_000 for note in reading.tokens.notes), "a note is too long"
        tokens += own
        characters += len(reading.spoken)
    assert tokens <= 200 * len(text) + 500, "more tokens than any reading"
    assert characters <= 60 * len(text) + 500, "longer than any reading"
