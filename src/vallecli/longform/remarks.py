"""Remarks in brackets, parentheses or braces, which are not spoken: directions, and sounds for deaf viewers."""

from __future__ import annotations

import re

MAX_REMARK = 2_000  # characters; a bracket that is not closed by then is no remark
MAX_NESTING = 9
PUNCTUATION = frozenset(".,;:!?…")

REMARK = re.compile(
    r"[^\S\n]{0,9}(?:\[[^\[\]]{0,2000}\]|\([^()]{0,2000}\)|\{[^{}]{0,2000}\}|（[^（）]{0,2000}）|【[^【】]{0,2000}】)"
)


def without_remarks(text: str, *, keep: re.Pattern[str] | None = None) -> str:
    """Return a text without remarks, except for those that match `keep`. It has as many lines as before."""
    for _ in range(MAX_NESTING):
        before = text
        text = REMARK.sub(lambda match: _replacement(match, keep), text)
        if text == before:
            break
    return text


def _replacement(match: re.Match[str], keep: re.Pattern[str] | None) -> str:
    if keep is not None and keep.fullmatch(match[0].strip()):
        return match[0]
    following = match.string[match.end() : match.end() + 1]
    return "\n" * match[0].count("\n") or ("" if following in PUNCTUATION else " ")
