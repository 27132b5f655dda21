"""Each rule of the English normalizer has examples that use it; the time for a text does not depend on the rules."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from vallecli.text.english import markup
from vallecli.text.english.normalize import TABLES, normalize, rule_book
from vallecli.text.english.rules import NUMBER, Rule, RuleBook

RULES = [(name, rule) for name, table in TABLES.items() for rule in table]
EXAMPLES = [(name, written, spoken) for name, rule in RULES for written, spoken in rule.examples.items()]
EXAMPLES += [
    ("markup", written, spoken)
    for table in (markup.BEFORE_SIMPLIFY, markup.INLINE)
    for _, _, examples in table
    for written, spoken in examples.items()
]


@pytest.mark.parametrize(("table", "written", "spoken"), EXAMPLES)
def test_example(table: str, written: str, spoken: str) -> None:
    assert normalize(written) == spoken
    assert re.fullmatch(r"[A-Za-z' ,.?!;:]+", spoken)
    assert normalize(spoken) == spoken


@pytest.mark.parametrize(("table", "rule"), RULES)
def test_a_rule_is_used_by_its_examples(table: str, rule: Rule) -> None:
    assert rule.examples
    used = [used for written in rule.examples for used in rule_book().used(_text_of(written))]
    assert rule in used


def _text_of(written: str) -> str:
    """Return an example as the rules see it: simplified, and one paragraph."""
    from vallecli.text.english.characters import simplify

    text = simplify(markup.replace_inline(written, markup.BEFORE_SIMPLIFY))
    return " ".join(markup.paragraphs(text))


def test_importing_the_rules_imports_no_numbers_and_compiles_no_rule() -> None:
    code = """
import re, sys
compile, sources = re.compile, []
re.compile = lambda pattern, flags=0: sources.append(pattern) or compile(pattern, flags)
from vallecli.text.english.normalize import rule_book
assert not {"inflect", "numpy", "torch", "g2p_en"} & sys.modules.keys()
assert len(rule_book().rules) > 200
assert not {rule.written for rule in rule_book().rules} & {*sources}
rule_book().speak("at 3:30pm")
assert {rule.written for rule in rule_book().rules} & {*sources}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rules_of_other_keys_are_not_tried() -> None:
    text = "On May 1, 2024 Dr. Smith paid $12.50 for 3 GPUs (at 3:30pm), e.g. the H200. He said they were good. " * 2
    before = rule_book().candidates(text)
    others = [Rule((f"word{index}",), "word", "word") for index in range(1000)]
    book = RuleBook((*others, *rule_book().rules))
    assert book.candidates(text) == before
    assert book.speak(text) == rule_book().speak(text)


def test_plain_words_have_few_candidates() -> None:
    text = "When the rain came down in the night we ran for the old house, and nobody knew that it was empty. " * 2
    assert rule_book().candidates(text) < 30


def test_each_rule_has_keys_that_can_occur() -> None:
    for _, rule in RULES:
        keys = list(rule.at)
        assert keys
        assert all(
            (key == key.lower() or not key.isascii()) and (key.startswith("<") or key.isalpha() or len(key) == 1)
            for key in keys
        ), keys


def test_numbers_are_dispatched_by_the_character_after_their_digits() -> None:
    colon, any_number = Rule((f"{NUMBER[0]}:",), r"\d+:\d+", "time"), Rule(NUMBER, r"\d+", "number")
    book = RuleBook((colon, any_number))
    assert book.speak("5 and 5:30 and 6") == "number and time and number"
    assert [book.candidates(text) for text in ("5", "5:30")] == [1, 4]
