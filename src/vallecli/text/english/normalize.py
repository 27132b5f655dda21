"""The English normalizer: written text to spoken words, for numbers, money, dates, abbreviations, acronyms, symbols.

Layout becomes paragraphs (markup.py). Then one pass over each paragraph applies the rules, which are tables by kind:
each rule has its examples beside it, written and spoken. Rules of a table come before those of the next.
"""

from __future__ import annotations

import functools
import re

from vallecli.errors import EmptyText
from vallecli.text.english import (
    abbreviations,
    characters,
    dates,
    letters,
    markup,
    measures,
    money,
    numerals,
    places,
    references,
    romans,
    telephones,
    times,
    web,
    years,
)
from vallecli.text.english.characters import simplify
from vallecli.text.english.rules import Match, RuleBook

__all__ = ["check_words", "normalize", "simplify"]

TABLES = {
    "references": references.RULES,
    "web": web.RULES,
    "places": places.RULES,
    "years": years.RULES,
    "dates": dates.RULES,
    "telephones": telephones.RULES,
    "times": times.RULES,
    "money": money.RULES,
    "romans": romans.RULES,
    "abbreviations": abbreviations.RULES,
    "measures": measures.RULES,
    "numerals": numerals.RULES,
    "letters": letters.RULES,
    "characters": characters.RULES,
}
CAPITALS = re.compile(r"(?<![\w'])[A-Z][A-Z']*(?:[ ,.!?;:\"-]+[A-Z][A-Z']*\b(?![a-z.])){2,}")
TIDY: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[^A-Za-z' ,.?!;:]"), " "),
    (re.compile(r"  +"), " "),
)
MARKS = re.compile(r" ?[,.?!;:](?: ?[,.?!;:])* ?")
FIRST_MARKS = re.compile(r"^[\s,.?!;:]+")
QUOTES = re.compile(r"(?<![\w'])'+(?!\w)|'{2,}")
# A quotation in single quotes, which are otherwise apostrophes.
QUOTED = re.compile(r"(?<![\w'])'(?!(?:tis|twas|em|til|cause|n)\b)([A-Za-z](?:[^'\n]|(?<=\w)'(?=\w)){0,300})'(?!\w)")
STRENGTH = "?!.:;,"


@functools.cache
def rule_book() -> RuleBook:
    """Return the rules of all tables."""
    return RuleBook(rule for table in TABLES.values() for rule in table)


def _strongest(match: Match) -> str:
    """Return the strongest mark of a sequence of punctuation marks."""
    return next(mark for mark in STRENGTH if mark in match[0]) + " "


def normalize(text: str) -> str:
    """Return the spoken words of a written text, with the punctuation , . ? ! ; : between them.

    Raises EmptyText for a text without words.
    """
    text = markup.replace_inline(text.replace("\r\n", "\n").replace("\r", "\n"), markup.BEFORE_SIMPLIFY)
    paragraphs = [_spoken(part) for part in markup.paragraphs(simplify(text))]
    spoken = [part for part in paragraphs if any(char.isalpha() for char in part)]
    if not spoken:
        raise EmptyText
    ended = (part if part[-1] in ".?!:;," else f"{part}." for part in spoken[:-1])
    return " ".join([*ended, spoken[-1]])


def check_words(text: str) -> None:
    """Raise EmptyText for a text that has no words for any front end."""
    if not any(char.isalnum() for char in text):
        normalize(text)  # also accepts symbols that are read as words


def _spoken(text: str) -> str:
    """Return the spoken words of a paragraph."""
    if text.isupper():
        text = letters.lower_capitals(text)
    else:
        text = CAPITALS.sub(lambda match: letters.lower_capitals(match[0]), text)
    spoken = rule_book().speak(QUOTED.sub(r"\1", text) if "'" in text else text)
    for pattern, replacement in TIDY:
        spoken = pattern.sub(replacement, spoken)
    spoken = FIRST_MARKS.sub("", MARKS.sub(_strongest, QUOTES.sub("", spoken)))
    spoken = " ".join(spoken.split())
    return spoken if text.endswith(",") else spoken.rstrip(",")  # a comma of a closing bracket
