"""Written text to spoken words, for the languages that have a normalizer: English."""

from __future__ import annotations

from vallecli.text.english.normalize import check_words, normalize

__all__ = ["check_words", "normalize"]
