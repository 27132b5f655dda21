"""Placeholders: words of a text that stand for given pronunciations, and the parts between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vallecli.text.phones import Pronunciation

MARKS = r"[^\w\s]"
LEADING, TRAILING = re.compile(f"{MARKS}*"), re.compile(rf"(?:(?<=\s)|^){MARKS}+$")


@dataclass(frozen=True)
class Part:
    """A placeholder, or text between two of them: words, or marks only."""

    text: str
    begins_word: bool
    """Whether a space is before it, or a word without a space between."""
    pronunciation: Pronunciation | None = None

    @property
    def words(self) -> bool:
        """Return whether it has letters or digits."""
        return any(char.isalnum() for char in self.text)


def pattern_of(pronunciations: Mapping[str, Pronunciation] | None) -> re.Pattern[str] | None:
    """Return a pattern of placeholders, which may begin with a capital in the text; None if there are none."""
    if not pronunciations:
        return None
    return re.compile("|".join(sorted(pronunciations, key=len, reverse=True)), re.IGNORECASE)


def parts_between(text: str, pronunciations: Mapping[str, Pronunciation] | None) -> Iterator[Part]:
    """Yield the parts of a text in order; the text itself if it has no placeholders. Parts have no outer spaces."""
    pattern = pattern_of(pronunciations)
    if pattern is None or pronunciations is None or not pattern.search(text):
        yield Part(text, False)
        return
    at = 0
    for match in pattern.finditer(text):
        yield from _marks_apart(text[at : match.start()])
        before = text[match.start() - 1 : match.start()]
        yield Part(match[0], before.isspace() or before.isalnum(), pronunciations[match[0].lower()])
        at = match.end()
    yield from _marks_apart(text[at:])


def convert_between(
    text: str,
    pronunciations: Mapping[str, Pronunciation] | None,
    convert: Callable[[str], str],
    insert: Callable[[Pronunciation], str],
) -> str:
    """Return the text with each placeholder by `insert` and everything else by `convert`, with spaces between words."""
    converted = ""
    for part in parts_between(text, pronunciations):
        if part.pronunciation is not None:
            new = insert(part.pronunciation)
        else:
            new = convert(part.text) if part.words or not pronunciations else part.text
        converted += f" {new}" if part.begins_word and converted else new
    return converted


def _marks_apart(text: str) -> Iterator[Part]:
    """Yield the marks that touch the placeholder before a text, its words, and the marks that touch the next one."""
    touching = LEADING.match(text)
    before = touching[0] if touching else ""
    rest = text[len(before) :]
    found = None if rest.endswith((" ", "\n", "\t")) else TRAILING.search(rest)
    after = found[0] if found else ""
    middle = rest.removesuffix(after)
    if before:
        yield Part(before, False)
    if middle.strip():
        yield Part(middle.strip(), middle[0].isspace() or middle[0].isalnum())
    if after:
        yield Part(after, True)
