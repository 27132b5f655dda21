"""Texts that go on from the words of a prompt: the continual setting of VALL-E (arXiv 2301.02111, section 5.1)."""

from __future__ import annotations

import re

from vallecli.errors import NoContinuation

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def rest_of(text: str, transcript: str) -> str:
    """Return what a text has behind the words of a transcript, with which it begins; punctuation and case may differ.

    Raises NoContinuation, also if nothing is left.
    """
    end, words = 0, WORD.finditer(text)
    for spoken in WORD.findall(transcript):
        written = next(words, None)
        if written is None or _plain(written.group()) != _plain(spoken):
            raise NoContinuation(spoken, "" if written is None else written.group())
        end = written.end()
    rest = re.sub(r"^[^\w\[]+", "", text[end:])
    if not WORD.search(rest):
        raise NoContinuation("", "")
    return rest


def _plain(word: str) -> str:
    return word.casefold().replace("\u2019", "'")
