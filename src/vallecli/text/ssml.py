"""SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/), as far as it can be spoken, to the parts of a text.

Known are speak, p, s, break, sub, say-as, phoneme and prosody with a rate. Of everything else the text is read, and a
note says so. The parser is defusedxml's: documents with a DTD or entities are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from vallecli.errors import MarkupError, short
from vallecli.text import phones
from vallecli.text.base import AUTO
from vallecli.text.english import letters, numbers
from vallecli.text.english_sentences import foreign_words
from vallecli.text.parts import Builder, Markup, break_seconds
from vallecli.text.phones import Pronunciation

MAX_CHARS = 2**23  # of a document
MAX_DEPTH = 64  # of elements in elements
MAX_NAMED = 20  # things in a note
MAX_DIGITS = 36  # of a number in words
MAX_PHONEMES = 1_000  # characters
ROOT = "speak"
TAGS = re.compile(r"<[^<>]*>")
HINT = 'SSML is, for example: <speak>Hello.<break time="500ms"/><prosody rate="slow">Good bye.</prosody></speak>'
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 4 / 3, "x-fast": 2.0}
PERCENT = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{0,6})?)%", re.ASCII)
FACTOR = re.compile(r"\d{1,2}(?:\.\d{0,6})?|\.\d{1,6}", re.ASCII)
MIN_RATE, MAX_RATE = 0.1, 10.0  # of one element; speech has the limits of effects.stretch
IPA, ARPABET = "ipa", "x-arpabet"
# Attributes that are read or that mean nothing for speech. Names with a colon are those of XML itself.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    ROOT: ("version", "xml:lang"),
    "break": ("time", "strength"),
    "sub": ("alias",),
    "say-as": ("interpret-as",),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("rate",),
}
SILENT = ("id", "xml:id", "xml:space", "xml:base")
KNOWN = ("p", "s", *ATTRIBUTES)


def read_ssml(text: str, *, language: str = AUTO) -> Markup:
    """Return the parts of an SSML document; `language` decides how words are spelled. MarkupError names the line."""
    from xml.sax import SAXParseException

    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import create_parser

    if len(text) > MAX_CHARS:
        raise MarkupError(f"the document has more than {MAX_CHARS} characters", 1, 1, "Divide it.")
    parser = create_parser(forbid_dtd=True)
    english = language == "en" or (language == AUTO and not foreign_words(TAGS.sub(" ", text)))
    handler = _Handler(Builder(text), parser, english=english)
    parser.setContentHandler(handler)

    def error(problem: str, at: tuple[int, int] | None = None) -> MarkupError:
        return MarkupError(problem, *(at or _position(parser)), HINT)

    try:
        parser.feed(text.removeprefix("\ufeff"))
        parser.close()
    except SAXParseException as wrong:
        raise error(str(wrong.getMessage())) from wrong
    except DefusedXmlException as wrong:
        raise error("a DTD and entities are not allowed") from wrong
    except UnicodeEncodeError as wrong:
        raise MarkupError("it has characters that are not Unicode", 1, 1, HINT) from wrong
    except ValueError as wrong:
        raise error(str(wrong), handler.at) from wrong
    return handler.finish()


def _position(locator: Locator) -> tuple[int, int]:
    """Return the line and the column, from 1."""
    return locator.getLineNumber() or 1, (locator.getColumnNumber() or 0) + 1


@dataclass
class _Element:
    name: str
    at: tuple[int, int]
    """Its line and column."""
    attributes: Mapping[str, str]
    speed: float
    """Of its content."""
    content: list[str] | None = None
    """The text of an element that says how its text is spoken, else None."""


@dataclass
class _Unknown:
    """What has no effect, each once."""

    names: dict[str, None] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.names[name if len(name) <= 40 else f"{name[:40]}…"] = None

    def notes(self) -> list[str]:
        if not self.names:
            return []
        named = list(self.names)[:MAX_NAMED]
        more = f" and {len(self.names) - MAX_NAMED} more" if len(self.names) > MAX_NAMED else ""
        return [f"without effect in SSML, only the text is read: {', '.join(named)}{more}"]


class _Handler(ContentHandler):
    """Raises ValueError for values that are invalid, of the element at the line and column `at`."""

    def __init__(self, builder: Builder, locator: Locator, *, english: bool) -> None:
        super().__init__()
        self.builder, self.locator, self.english = builder, locator, english
        self.unknown = _Unknown()
        self.open: list[_Element] = []
        self.at = 1, 1

    def finish(self) -> Markup:
        """Return the parts."""
        return self.builder.finish(notes=self.unknown.notes())

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        """Open an element."""
        self.at = _position(self.locator)
        if len(self.open) >= MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} elements are inside each other")
        if not self.open and name != ROOT:
            raise ValueError(f"the document is <{name[:40]}>, it should be <{ROOT}>")
        outer = self.open[-1] if self.open else None
        element = _Element(name, self.at, dict(attrs), 1.0 if outer is None else outer.speed)
        self.open.append(element)
        if outer is not None and outer.content is not None:  # text only: a mark inside has no place
            element.content = outer.content
            self.unknown.add(f"<{name}> in <{outer.name}>")
            return
        self._report(name, element.attributes)
        if name in ("p", "s"):
            self.builder.begin(paragraph=name == "p")
        elif name == "break":
            self.builder.pause(break_seconds(element.attributes))
        elif name == "prosody" and "rate" in element.attributes:
            element.speed *= _rate(element.attributes["rate"])
            self.builder.change_speed(element.speed)
        elif name in ("sub", "say-as", "phoneme") and self._has_effect(element):
            element.content = []

    def characters(self, content: str) -> None:
        """Add text."""
        inside = self.open[-1].content if self.open else None
        if inside is not None:
            inside.append(content)
        else:
            self.builder.add(_spaced(content))

    def endElement(self, name: str) -> None:
        """Close an element."""
        element = self.open.pop()
        self.at = element.at
        outer = self.open[-1] if self.open else None
        if element.content is not None:
            if outer is None or outer.content is not element.content:
                self._speak(element, " ".join("".join(element.content).split()))
        elif name in ("p", "s"):
            self.builder.begin(paragraph=name == "p")
        elif name == "prosody" and outer is not None:
            self.builder.change_speed(outer.speed)

    def _report(self, name: str, attributes: Mapping[str, str]) -> None:
        """Note what has no effect."""
        if name not in KNOWN or (name == ROOT and len(self.open) > 1):
            self.unknown.add(f"<{name}>")
            return
        for attribute in attributes:
            known = attribute in ATTRIBUTES.get(name, ()) or attribute in SILENT
            if not known and not attribute.startswith(("xmlns", "xsi:")):
                self.unknown.add(f"{attribute} of <{name}>")

    def _has_effect(self, element: _Element) -> bool:
        """Return whether an element is spoken otherwise than as its text. Raises ValueError without its attributes."""
        name, attributes = element.name, element.attributes
        needed = {"sub": "alias", "say-as": "interpret-as", "phoneme": "ph"}[name]
        if needed not in attributes:
            raise ValueError(f"<{name}> has no {needed}")
        if name == "say-as" and attributes[needed].strip() not in SAY_AS:
            self.unknown.add(f"interpret-as {short(attributes[needed])} of <say-as>")
            return False
        if name == "phoneme" and attributes.get("alphabet", IPA).strip() not in (IPA, ARPABET):
            self.unknown.add(f"alphabet {short(attributes['alphabet'])} of <phoneme>")
            return False
        return True

    def _speak(self, element: _Element, content: str) -> None:
        """Add what an element says in place of its content."""
        attributes = element.attributes
        if element.name == "sub":
            self.builder.add(_spaced(attributes["alias"]))
        elif element.name == "phoneme":
            pronunciation = _pronunciation(attributes.get("alphabet", IPA).strip(), attributes["ph"])
            self.builder.pronounce(content or attributes["ph"].strip(), pronunciation)
        else:
            how = attributes["interpret-as"].strip()
            spoken = _say_as(how, content, english=self.english)
            if spoken is None:
                self.unknown.add(f"interpret-as {how} of {short(content)}")
            self.builder.add(content if spoken is None else spoken)


def _spaced(text: str) -> str:
    """Return text in which line ends and tabs are spaces: in XML, a blank line is no paragraph."""
    return re.sub(r"\s", " ", text)


def _rate(written: str) -> float:
    """Return the factor of a rate: a name, 80%, +20% or 0.8. Raises ValueError."""
    written = written.strip().lower()
    rate = RATES.get(written)
    if rate is None and (match := PERCENT.fullmatch(written)):
        rate = float(match[2]) / 100
        rate = {"": rate, "+": 1 + rate, "-": 1 - rate}[match[1]]
    elif rate is None and FACTOR.fullmatch(written):
        rate = float(written)
    if rate is None or not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"the rate is {short(written)}, it should be like 80%, slow or fast, from 10% to 1000%")
    return rate


def _pronunciation(alphabet: str, ph: str) -> Pronunciation:
    """Return the pronunciation of a phoneme. Raises ValueError."""
    if len(ph) > MAX_PHONEMES:
        raise ValueError(f"ph has more than {MAX_PHONEMES} characters")
    written = f"/{ph.strip().strip('/')}/" if alphabet == IPA else ph
    try:
        found = phones.parse(written)
    except ValueError as error:
        raise ValueError(f"ph is {short(ph)}: {error}") from error
    if found is None or (found.notation == "arpabet") != (alphabet == ARPABET):
        raise ValueError(f"ph is {short(ph)}, which is not {'IPA' if alphabet == IPA else 'ARPAbet'}")
    return found


CHARACTERS, DIGITS, CARDINAL, ORDINAL = ("characters", "spell-out"), "digits", "cardinal", "ordinal"
SAY_AS = (*CHARACTERS, DIGITS, CARDINAL, "number", ORDINAL)


def _say_as(how: str, content: str, *, english: bool) -> str | None:
    """Return how a text is spoken, in words if it is English; None if it cannot be."""
    if how in CHARACTERS:
        return _spelled(content, english=english)
    if how == DIGITS:
        digits = "".join(char for char in content if char.isdecimal() or not char.isalnum())
        if not any(char.isdecimal() for char in digits):
            return None
        return numbers.digits(digits) if english else " ".join(char for char in digits if char.isdecimal())
    whole = content.replace(",", "")
    if re.fullmatch(rf"-?\d{{1,{MAX_DIGITS}}}", whole, re.ASCII) is None:
        return None
    if how == ORDINAL:
        return numbers.ordinal(int(whole)) if english and int(whole) > 0 else None
    return numbers.cardinal(int(whole)) if english else whole


def _spelled(content: str, *, english: bool) -> str | None:
    """Return the letters and digits of a text one by one."""
    spelled = []
    for char in content:
        if char.isascii() and char.isalpha() and english:
            spelled.append(letters.spell(char.upper()))
        elif char.isdecimal() and english:
            spelled.append(numbers.digits(char))
        elif char.isalnum():
            spelled.append(char.upper() if len(char.upper()) == 1 else char)
    return " ".join(spelled) or None
