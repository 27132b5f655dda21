"""The spoken notice before a text: one sentence that says that the speech is synthetic, in the text's language."""

from __future__ import annotations

from vallecli.text.base import AUTO, MIX
from vallecli.text.english_sentences import foreign_words, language_of

NOTICES = {
    "en": "This speech is synthetic.",
    "zh": "这段语音是合成的。",
    "ja": "この音声は合成されたものです。",
    "ko": "이 음성은 합성된 것입니다.",
    "de": "Diese Sprache ist künstlich erzeugt.",
    "fr": "Cette voix est synthétique.",
}


def notice_for(text: str, language: str) -> str:
    """Return the notice for a text in a language; AUTO goes by its letters. Without a translation, it is in English."""
    if language == MIX:
        return f"[EN]{NOTICES['en']}[EN]"
    if language == AUTO:
        latin = any(char.isascii() and char.isalpha() for char in text)
        language = "en" if latin else language_of(foreign_words(text)) or "en"
    return NOTICES.get(language, NOTICES["en"])
