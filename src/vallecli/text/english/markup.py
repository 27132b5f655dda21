"""Layout to paragraphs: Markdown, HTML tags and entities, list items, rules, footnote marks, hyphens at line ends.

Headings, list items and table rows become paragraphs, which end with a stop when they are read. Every pattern is linear
in the length of the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

from vallecli.text.english.characters import SUPERSCRIPTS
from vallecli.text.english.cmudict import pronunciations
from vallecli.text.english.numbers import cardinal
from vallecli.text.english.rules import Match

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
URL_IN_PARENTHESES = r"\((?:[^()\s]|\([^()\s]{0,200}\)){0,2000}(?:\s{1,9}\"[^\"\n]{0,200}\"\s{0,9})?\)"
FOOTNOTE = r"\[(?:\d{1,3}(?:[,–-]\s?\d{1,3}){0,9}|\^[^\]\s]{1,20}|[a-h]|note \d{1,3}|citation needed)\]"

# (pattern, replacement, examples): applied to the whole text, in this order, before line ends are read.
Inline = tuple[re.Pattern[str], str | Callable[[Match], str], dict[str, str]]
BEFORE_SIMPLIFY: tuple[Inline, ...] = (
    (
        re.compile(r"^[^\S\n]{0,9}(?:```|~~~)[^\S\n]{0,9}[\w+-]{0,20}[^\S\n]{0,9}$", re.MULTILINE),
        "\n",
        {"Run:\n```sh\nls\n```\nDone": "Run: ls. Done"},
    ),
    (re.compile(r"`{1,3}([^`\n]{1,500})`{1,3}"), r"\1", {"the `code` here": "the code here"}),
    (
        ENTITY,
        lambda match: html.unescape(match[0]),
        {
            "Fish &amp; chips. It&#39;s fine.": "Fish and chips. It's fine.",
            "5 &lt; 6&nbsp;kg": "five is less than six kilograms",
        },
    ),
    (
        re.compile(rf"(?<=[.,;:!?\"'”’)])[{SUPERSCRIPTS}]{{1,3}}|(?<=[a-z]{{3}})[{SUPERSCRIPTS}]{{1,3}}(?![\w(])"),
        "",
        {"A fact.¹² It is known³ here, in km².": "A fact. It is known here, in square kilometers."},
    ),
)
INLINE: tuple[Inline, ...] = (
    (
        re.compile(r"<!--[^<>]{0,2000}-->|<(script|style)\b[^<>]{0,200}>[^<>]{0,9999}</\1>"),
        " ",
        {"so<!-- no --> so": "so so"},
    ),
    (
        re.compile(r"<br\s{0,3}/?>|</(?:p|div|li|h[1-6]|tr|blockquote|title)>"),
        "\n\n",
        {"<p>One thing</p><p>Then<br>another</p>": "One thing. Then. another"},
    ),
    (re.compile(r"<(?:https?://|mailto:)([^<>\s]{1,500})>"), r" \1 ", {"see <http://a.com> now": "see ay dot com now"}),
    (
        re.compile(r"</?[A-Za-z][\w:-]{0,30}(?:\s[^<>=]{0,99}=[^<>]{0,400}|\s{0,3}/?)>"),
        " ",
        {"so <b>bold</b>": "so bold", '<a href="x.html">here</a> it is': "here it is"},
    ),
    (
        re.compile(r"^[^\S\n]{0,9}\[[^\[\]\n]{1,100}\]:[^\n]{0,2000}$", re.MULTILINE),
        "",
        {"See [this][1].\n\n[1]: https://a.com/b": "See this."},
    ),
    (
        re.compile(rf"!?\[([^\[\]\n]{{0,500}})\](?:{URL_IN_PARENTHESES}|\[[^\[\]\n]{{0,100}}\])"),
        r"\1",
        {
            "I can use [Ingest Plugin](https://www.example.co/guide.html) here.": "I can use Ingest Plugin here.",
            'A ![cat](cat.png "my cat") and [more](a_(b).html).': "A cat and more.",
        },
    ),
    (
        re.compile(rf"(?<=[\w.,;:!?\"')]){FOOTNOTE}(?:{FOOTNOTE})*|(?<=[a-z]) {FOOTNOTE}(?=[.,;]|$)", re.MULTILINE),
        "",
        {"This is a fact.[12] It is known.": "This is a fact. It is known.", "So it is [3, 4].": "So it is."},
    ),
    (
        re.compile(r"(?<![\w*~])(\*{1,3}|~~|_{1,3})(?=[^\s*_~])([^\n]{1,500}?)(?<=[^\s*_~])\1(?![\w*])"),
        r"\2",
        {
            "so **very** _bold_, *it is* ~~not~~ true": "so very bold, it is not true",
            "5*6*7": "five times six times seven",
        },
    ),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!>~-])"), r"\1", {r"1\. not \*bold\*": "One, not bold"}),
    (
        re.compile(r"(?<![A-Za-z])([A-Za-z]{1,40})-\n[^\S\n]{0,9}([a-z]{1,40})"),
        lambda match: _unhyphenated(match[1], match[2]),
        {"an exam-\nple of a well-\nknown word": "an example of a well known word"},
    ),
)
RULE_LINE = re.compile(r"\s*(?:[-=*_~#+.]\s*){3,}|\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*){0,50}\|?\s*")
HEADING = re.compile(r"\s{0,3}#{1,6}(?=\s)")
QUOTE = re.compile(r"\s{0,9}(?:>\s?)+(?=\s*[^\s\d=])")
ITEM = re.compile(r"\s*(?:[-*•◦▪‣–]|\+(?=\s+[A-Za-z]))\s+(?:\[[ xX]\]\s+)?")
NUMBERED = re.compile(r"\s*\(?(?:(?P<number>\d{1,2})|(?P<letter>[a-z])(?=\)))[.)]\s+(?=\S)")
ROW = re.compile(r"\s*\|(.*)\|\s*")
BLANK = re.compile(r"\s*")


def replace_inline(text: str, table: tuple[Inline, ...]) -> str:
    """Return the text with the patterns of a table replaced, in order."""
    for pattern, replacement, _ in table:
        text = pattern.sub(replacement, text)
    return text


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text, with single spaces between words and without the marks of its layout."""
    lines: list[str] = []
    for line in replace_inline(text, INLINE).split("\n"):
        line, starts, ends = _plain_line(line)
        if starts and lines:
            yield " ".join(" ".join(lines).split())
            lines = []
        if line:
            lines.append(line)
        if ends and lines:
            yield " ".join(" ".join(lines).split())
            lines = []
    if lines:
        yield " ".join(" ".join(lines).split())


def _plain_line(line: str) -> tuple[str, bool, bool]:
    """Return a line without the marks of its layout, and whether it starts and ends a paragraph."""
    if BLANK.fullmatch(line) or (len(line) < 300 and RULE_LINE.fullmatch(line)):
        return "", True, True
    quoted = QUOTE.match(line)
    line = line[quoted.end() :] if quoted else line
    if heading := HEADING.match(line):
        return line[heading.end() :].rstrip("# "), True, True
    if row := ROW.fullmatch(line):
        return ", ".join(cell.strip() for cell in row[1].split("|") if cell.strip()), True, True
    if item := ITEM.match(line):
        return line[item.end() :], True, False
    if item := NUMBERED.match(line):
        name = cardinal(int(item["number"])).capitalize() if item["number"] else item["letter"].upper()
        return f"{name}, {line[item.end() :]}", True, False
    return line, False, False


def _unhyphenated(first: str, second: str) -> str:
    """Return the two parts of a word at a line end as one word if the dictionary has it, else as a compound."""
    known = pronunciations()
    together = (first + second).lower()
    apart = first.lower() in known and second in known
    return first + second if together in known or not apart else f"{first}-{second}"
