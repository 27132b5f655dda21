"""The language of the spoken notice."""

from __future__ import annotations

import pytest

from vallecli.text.notice import NOTICES, notice_for


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello.", "auto", "en"),
        ("你好。", "auto", "zh"),
        ("こんにちは、世界。", "auto", "ja"),
        ("안녕하세요.", "auto", "ko"),
        ("I like 苹果.", "auto", "en"),
        ("Guten Tag.", "de", "de"),
        ("12.", "auto", "en"),
        ("Привет.", "auto", "en"),
        ("Hello.", "zh", "zh"),
        ("Hola.", "es", "en"),
    ],
)
def test_the_notice_has_the_language_of_the_text(text: str, language: str, expected: str) -> None:
    assert notice_for(text, language) == NOTICES[expected]


def test_mixed_texts_have_a_tagged_notice() -> None:
    assert notice_for("[EN]Hello[EN][ZH]你好[ZH]", "mix") == "[EN]This speech is synthetic.[EN]"
