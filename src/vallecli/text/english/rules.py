"""What a rule of the normalizer is, and the single pass over a text that applies the rules.

A rule belongs to keys: a word in lower case, a character, or a class of tokens such as `NUMBER`. At each token the pass
tries the rules of the token's keys, and the first that matches there replaces what it matches. The replacement is not
read again. So the time for a text depends on the rules of the few keys that it has, not on the number of all rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

Match = re.Match[str]
Spoken = str | Callable[[Match], str | None]

NUMBER = ("<number>",)  # starts with a digit
CAPITALS = ("<capitals>",)  # two or more letters, all capitals
INITIAL = ("<initial>",)  # a single capital
CAMEL = ("<camel>",)  # a capital after the first letter, not all capitals
CODE = ("<code>",)  # letters followed by a digit
DOTTED = ("<dotted>",)  # letters followed by a dot
ADDRESS = ("<address>",)  # the start of a run of characters without spaces that has @, / or a dot inside

TOKEN = re.compile(r"[A-Za-z]+|[^\sA-Za-z]")
RUN = re.compile(r"[^\s()<>\[\]{}\",]+")
DIGITS = re.compile(r"\d+")
INSIDE = re.compile(r"[@/\\]|[^.]\.[^.]")
LOOK_BACK = 60  # characters before a match that `after` can see

# The dot of an abbreviation also ends the sentence if one of these words follows, or nothing.
SENTENCE_OPENERS = (
    "The|This|That|These|Those|There|Then|They|He|She|It|We|You|I|A|An|And|But|So|Or|In|On|At|By|For|From|"
    "If|As|When|While|Where|What|Who|Why|How|My|His|Her|Our|Their|Its|Your|After|Before|Because|Since|"
    "Some|Many|Most|All|Both|No|Not|Now|Yes|Please|However|Although|Also|Let|Do|Did|Does|Is|Are|Was|Were|"
    "Will|Would|Can|Could|Should|To|With"
)
SENTENCE_END = rf"(?=[\"')\]]*\s*$|[\"')\]]*\s+[\"'(]?(?:{SENTENCE_OPENERS})\b)"
AT_SENTENCE_END = re.compile(SENTENCE_END)


def stop(match: Match, written: str) -> str:
    """Return "." if `written`, the end of a match, is an abbreviation whose dot also ends the sentence."""
    return "." if written.endswith(".") and AT_SENTENCE_END.match(match.string, match.end()) else ""


def any_of(words: Iterable[str]) -> str:
    """Return a regular expression for any of the words, the longest first."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) + ")"


def number_then(following: str) -> tuple[str, ...]:
    """Return the keys of numbers whose first run of digits has one of the characters after it; "a" is any letter."""
    return tuple(NUMBER[0] + char for char in following)


@dataclass(frozen=True)
class Rule:
    """Replaces what `written` matches at a token that has one of the keys `at`.

    `spoken` is a template as for `re.Match.expand`, or a function that can return None to decline. `after` must match
    the end of the text before the token. `examples` are written texts and their spoken forms; the tests run them.
    """

    at: Iterable[str]
    written: str
    spoken: Spoken
    examples: Mapping[str, str] = field(default_factory=dict)
    after: str = ""

    @cached_property
    def match(self) -> Callable[[str, int], Match | None]:
        """Match `written` at a position of a text. It is compiled on first use, as most texts need few of the rules."""
        return re.compile(self.written).match

    @cached_property
    def _before(self) -> re.Pattern[str]:
        return re.compile(rf"(?:{self.after})\Z")

    def speak(self, match: Match) -> str | None:
        """Return the spoken form of a match, None if the rule declines."""
        start = match.start()
        if self.after and not self._before.search(match.string, max(0, start - LOOK_BACK), start):
            return None
        return match.expand(self.spoken) if isinstance(self.spoken, str) else self.spoken(match)


class RuleBook:
    """Rules by key. For a key, rules are tried in the order in which they were given."""

    def __init__(self, rules: Iterable[Rule]):
        self.rules = tuple(rules)
        self._by_key: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for key in rule.at:
                self._by_key.setdefault(key, []).append(rule)
        for key in [key for key in self._by_key if key.startswith(NUMBER[0])]:
            self._by_key[key] = [rule for rule in self.rules if {key, *NUMBER} & {*rule.at}]

    def speak(self, text: str) -> str:
        """Return the text with each rule applied. Runs of white space must be single spaces."""
        pieces: list[str] = []
        for piece, _ in self._pieces(text):
            if pieces and pieces[-1][-1].isalnum() and piece[:1].isalnum():
                pieces.append(" ")
            if piece:
                pieces.append(piece)
        return "".join(pieces)

    def used(self, text: str) -> list[Rule]:
        """Return the rules that are applied to a text, in order."""
        return [rule for _, rule in self._pieces(text) if rule]

    def candidates(self, text: str) -> int:
        """Return how many rules are candidates at the tokens of a text, which bounds the time that it takes."""
        keys = [key for match in TOKEN.finditer(text) for key in _keys(text, match.start(), match[0], frozenset())]
        return sum(len(self._rules_of(key)) for key in keys)

    def _rules_of(self, key: str) -> list[Rule]:
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key.get(NUMBER[0], []) if key.startswith(NUMBER[0]) else []
        return found

    def _pieces(self, text: str) -> Iterator[tuple[str, Rule | None]]:
        """Yield the pieces of the spoken text, each with the rule that made it; None for text without a rule."""
        addresses = frozenset(run.start() for run in RUN.finditer(text) if INSIDE.search(run[0]))
        end = copied = 0  # text before `copied` has been yielded
        while token := TOKEN.search(text, end):
            start, end = token.span()
            for key in _keys(text, start, token[0], addresses):
                for rule in self._rules_of(key):
                    match = rule.match(text, start)
                    spoken = rule.speak(match) if match else None
                    if match is None or spoken is None:
                        continue
                    yield text[copied:start], None
                    yield spoken, rule
                    copied = end = match.end()
                    break
                else:
                    continue
                break
        yield text[copied:], None


def _keys(text: str, start: int, token: str, addresses: frozenset[int]) -> list[str]:
    """Return the keys of a token: classes that span several tokens, then its own, then its class."""
    keys = list(ADDRESS) if start in addresses else []
    if not token[0].isalpha():
        keys.append(_number_key(text, start) if token.isdecimal() else token)
        return keys
    keys.append(token.lower())
    following = text[start + len(token) : start + len(token) + 1]
    if following.isdecimal():
        keys += CODE
    elif following == ".":
        keys += DOTTED
    if token.isupper():
        keys += CAPITALS if len(token) > 1 else INITIAL
    elif not token.islower() and not token.istitle():
        keys += CAMEL
    return keys


def _number_key(text: str, start: int) -> str:
    """Return the key of a number: NUMBER with the character after its first run of digits."""
    digits = DIGITS.match(text, start)
    following = text[digits.end() : digits.end() + 1] if digits else ""
    return NUMBER[0] + ("a" if following.isalpha() and following.isascii() else following)
