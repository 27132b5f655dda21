"""SSML: each known element, what has no effect, and documents that are broken or hostile."""

from __future__ import annotations

import pytest

from vallecli.errors import MarkupError
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.markup import place, read_markup
from vallecli.text.parts import Markup
from vallecli.text.reader import TextReader
from vallecli.text.ssml import MAX_CHARS, MAX_DEPTH

DOCUMENT = """<?xml version="1.0" encoding="UTF-16"?>
<!-- every element that is known -->
<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US"
       xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b">
  <p><s>Hello there</s><s>I am from the <sub alias="World Wide Web Consortium">W3C</sub>.</s></p>
  <p>Wait <break time="500ms"/> for <break strength="strong"/><break/> it.
  <prosody rate="80%">Slowly, <prosody rate="fast">then faster</prosody> and slowly.</prosody></p>
  <p id="last"><say-as interpret-as="characters">AB-2</say-as>, <say-as interpret-as="digits">2024</say-as>,
  <say-as interpret-as="cardinal">1,234</say-as>, <say-as interpret-as="ordinal">3</say-as>;
  <phoneme alphabet="ipa" ph="təˈmɑːtoʊ">Tomato</phoneme> or
  <phoneme alphabet="x-arpabet" ph="T AH0 M EY1 T OW0">tomato</phoneme>, 5 &lt; 6 &amp; so.</p>
  <break time="2s"/>
</speak>
"""


def ssml(content: str, **options: str) -> Markup:
    return read_markup(f"<speak>{content}</speak>", ssml=True, **options)  # type: ignore[arg-type]


def texts(content: str, **options: str) -> list[str]:
    return [" ".join(part.words.split()) for part in ssml(content, **options).parts]


def test_every_element() -> None:
    markup = read_markup(DOCUMENT, ssml=True)
    assert [(" ".join(part.words.split()), part.pause, part.paragraph) for part in markup.parts] == [
        ("Hello there", None, True),
        ("I am from the World Wide Web Consortium.", None, False),
        ("Wait", None, True),
        ("for", 0.5, False),
        ("it.", 1.25, False),
        ("Slowly,", None, False),
        ("then faster", 0.0, False),
        ("and slowly.", 0.0, False),
        (
            "ay B two, two zero two four, one thousand two hundred thirty four, third; Tomato or tomato, 5 < 6 & so.",
            None,
            True,
        ),
    ]
    assert [part.speed for part in markup.parts] == pytest.approx([1, 1, 1, 1, 1, 0.8, 0.8 * 4 / 3, 0.8, 1])
    assert (markup.end, markup.notes) == (2.0, ())
    reader = TextReader(ArpabetFrontEnd(), 110)
    read = list(place(markup, reader.read))
    assert [placed.index for placed in read] == list(range(len(read)))
    spelled = [reader.front_end.spell(placed.sentence.tokens) for placed in read]
    assert any("T AH0 M AA1 T OW0 | AO1 R | T AH0 M EY1 T OW0" in line for line in spelled)
    assert any(line.startswith("EY1 | B IY1 | T UW1 ,") for line in spelled)
    assert read[-1].after == 2.0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<say-as interpret-as="spell-out">GPU 5</say-as>', "G P U five"),
        ('<say-as interpret-as="characters">Ünï ß</say-as>', "Ü N Ï ß"),
        ('<say-as interpret-as="digits">12-34</say-as>', "one two, three four"),
        ('<say-as interpret-as="digits">x²³٣</say-as>', "three"),
        ('<say-as interpret-as="cardinal">-12</say-as>', "minus twelve"),
        ('<say-as interpret-as="ordinal">22</say-as>', "twenty second"),
        ('<sub alias="one">two <b>three</b></sub> four', "one four"),
        ("a<!-- not read --><![CDATA[ < b ]]>c", "a < b c"),
        ("a\n\n- b\n\n- c", "a - b - c"),
        ("&#233;t&#xE9;", "été"),
        ('<s> a </s>!<break strength="none"/>', "a!"),
    ],
)
def test_what_is_read(content: str, expected: str) -> None:
    assert texts(content) == [expected]


def test_other_languages_spell_with_their_own_words() -> None:
    content = '这是<say-as interpret-as="characters">ab</say-as><say-as interpret-as="digits">12</say-as>'
    assert texts(content) == ["这是A B1 2"]
    assert texts('<say-as interpret-as="cardinal">1,200</say-as>', language="de") == ["1200"]
    assert texts('<say-as interpret-as="digits">12</say-as>', language="en") == ["one two"]


@pytest.mark.parametrize(
    ("content", "noted"),
    [
        ('<voice name="a">Hi <emphasis>you</emphasis></voice> <voice/>', "<voice>, <emphasis>"),
        ('<prosody pitch="high" volume="+6dB">Hi</prosody>', "pitch of <prosody>, volume of <prosody>"),
        (
            '<say-as interpret-as="date" format="mdy">1/2/2024</say-as>',
            "format of <say-as>, interpret-as 'date' of <say-as>",
        ),
        ('<say-as interpret-as="ordinal">first</say-as>', "interpret-as ordinal of 'first'"),
        ('<phoneme alphabet="x-sampa" ph="hE">Hi</phoneme>', "alphabet 'x-sampa' of <phoneme>"),
        ("<speak>Hi</speak>", "<speak>"),
        ('<sub alias="Hi"><break time="x"/></sub>', "<break> in <sub>"),
        ('<p xml:lang="fr">Hi</p>', "xml:lang of <p>"),
        (f"<{'x' * 60}>Hi</{'x' * 60}>", f"<{'x' * 39}…"),
        ("".join(f"<x{number}>a</x{number}>" for number in range(25)), "<x19> and 5 more"),
    ],
)
def test_what_has_no_effect_is_named_once_and_its_text_is_read(content: str, noted: str) -> None:
    markup = ssml(content)
    [note] = markup.notes
    assert note.startswith("without effect in SSML, only the text is read: ")
    assert note.endswith(noted)
    assert any(char.isalnum() for char in markup.words)


@pytest.mark.parametrize(
    ("rate", "speed"),
    [
        *(("x-slow", 0.5), ("slow", 0.75), ("medium", 1), ("default", 1), ("fast", 4 / 3), ("x-fast", 2)),
        *(("50%", 0.5), ("+20%", 1.2), ("-20%", 0.8), ("1.5", 1.5), (" 90% ", 0.9), ("FAST", 4 / 3), ("1000%", 10)),
    ],
)
def test_rates(rate: str, speed: float) -> None:
    assert ssml(f'<prosody rate="{rate}">Hi</prosody>').parts[0].speed == pytest.approx(speed)


def test_nested_rates_multiply_and_end_with_their_element() -> None:
    markup = ssml('a<prosody rate="50%">b<p><prosody rate="200%">c</prosody>d</p></prosody>e')
    assert [(part.words, part.speed) for part in markup.parts] == [("a", 1), ("b", 0.5), ("c", 1), ("d", 0.5), ("e", 1)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        *(
            (f'\n<break time="{time}"/>', "line 2, column 1: the time")
            for time in ("1e9s", "1", "-1s", "NaN", "", "١s")
        ),
        *((f'\n<break time="{time}"/>', "line 2, column 1: a pause of") for time in ("61s", "999999999s", "60001ms")),
        ('<break strength="loud"/>', "line 1, column 8: the strength"),
        ('<break time="50s"/>' * 2, "line 1, column 27: the pauses at this place"),
        *(
            (f'<prosody rate="{rate}">a</prosody>', "line 1, column 8: the rate")
            for rate in ("0%", "-5", "NaN", "inf", "1e3", "-100%", "9999%", "", "0", "quick", "5%")
        ),
        ("\n <phoneme ph='B9'>a</phoneme>", "line 2, column 2: ph is 'B9'"),
        ("<phoneme>a</phoneme>", "<phoneme> has no ph"),
        ("<sub>a</sub>", "<sub> has no alias"),
        ("<say-as>a</say-as>", "<say-as> has no interpret-as"),
        ('<phoneme alphabet="x-arpabet" ph="zz">a</phoneme>', "is not ARPAbet"),
        ('<phoneme alphabet="x-arpabet" ph="/a/">a</phoneme>', "is not ARPAbet"),
        (f'<phoneme ph="{"a" * 2000}">a</phoneme>', "ph has more than 1000 characters"),
        ("\n\n<p>a</s>", "line 3, column 7: mismatched tag"),
        ("a & b", "line 1, column 11: not well-formed"),
        ("a&nbsp;b", "undefined entity"),
        ("\x00", "not well-formed"),
        ("\ud800", "not Unicode"),
        ("<p>" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} elements"),
        ("<p>" * 100_000 + "</p>" * 100_000, f"more than {MAX_DEPTH} elements"),
        ("a" * MAX_CHARS, "characters"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(content: str, problem: str) -> None:
    with pytest.raises(MarkupError) as refused:
        ssml(content)
    assert problem in refused.value.message
    assert len(refused.value.message) < 300


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (f'<!DOCTYPE speak [<!ENTITY a0 "ha">{BOMB}]>\n<speak>&a9;</speak>', "a DTD and entities are not allowed"),
        ('<!DOCTYPE speak [<!ENTITY x SYSTEM "file:///etc/passwd">]><speak>&x;</speak>', "a DTD"),
        ('<!DOCTYPE speak SYSTEM "http://example.com/speak.dtd"><speak>Hi</speak>', "a DTD"),
        ("Hello", "line 1, column 1: syntax error"),
        ("", "no element found"),
        ("<p>Hi</p>", "the document is <p>, it should be <speak>"),
        ("<speak>Hi", "no element found"),
        ("<speak/>Hi", "junk after document element"),
        (f"<{'x' * 1000}/>", "the document is <xxx"),
    ],
)
def test_broken_and_hostile_documents(document: str, problem: str) -> None:
    with pytest.raises(MarkupError) as refused:
        read_markup(document, ssml=True)
    assert problem in refused.value.message
    assert len(refused.value.message) < 300
