"""Texts with pauses and SSML: what is read has bounded pauses, speeds and parts, and no placeholder is left in it."""

from __future__ import annotations

from pathlib import Path

import fuzz_text
from hypothesis import strategies as st
from mutations import CHARACTERS, repeated, texts, words

from vallecli.errors import EmptyText
from vallecli.settings import MAX_PAUSE
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.markup import has_pauses, place, read_markup
from vallecli.text.normalize import check_words
from vallecli.text.parts import Markup, Part
from vallecli.text.reader import TextReader
from vallecli.text.ssml import MAX_RATE, MIN_RATE

OPENED = (
    *("<p>", "<s>", "<sub alias='two words'>", "<say-as interpret-as='characters'>", "<say-as interpret-as='digits'>"),
    *("<say-as interpret-as='ordinal'>", "<phoneme ph='həˈloʊ'>", "<phoneme alphabet='x-arpabet' ph='HH AH0 L OW1'>"),
    *("<prosody rate='80%'>", "<prosody rate='fast'>", "<prosody rate='+10%' pitch='high'>", "<emphasis>", "<speak>"),
)
MARKS = (
    *("[pause:0.5s]", "[pause 250ms]", "[pause:99s]", "[pause:]", "[pause:1e9s]", "<break/>", "<break time='1s'/>"),
    *(
        "<break strength='x-strong'/>",
        "<break time='61s'/>",
        "<break time='",
        "/>",
        "[EN]",
        "[ZH]",
        "\n\n",
        "qyza",
        "&amp;",
    ),
    *("<!-- x -->", "<![CDATA[ <p> ]]>", "<?pi?>", "&#0;", "&x;", "<!DOCTYPE speak [<!ENTITY x 'y'>]>"),
)
WORDS = words("Hello you. 12 3rd AB-2 tomato! naïve 你好 ... ( ) “ — ½ ²")
ELEMENT = st.tuples(st.sampled_from(OPENED), st.text(CHARACTERS, max_size=4) | st.sampled_from((*WORDS, *MARKS))).map(
    lambda both: f"{both[0]}{both[1]}</{both[0][1:].partition('>')[0].partition(' ')[0]}>"
)
CONTENT = st.recursive(
    st.sampled_from((*WORDS, " ", " ", "<break time='1s'/>", "<break strength='weak'/>")) | ELEMENT,
    lambda inner: st.tuples(st.sampled_from(OPENED), st.lists(inner, max_size=4)).map(
        lambda both: f"{both[0]}{' '.join(both[1])}</{both[0][1:].partition('>')[0].partition(' ')[0]}>"
    ),
)
DOCUMENT = st.lists(CONTENT, max_size=6).map(lambda parts: f"<speak>{' '.join(parts)}</speak>")
PLAIN = texts([*WORDS, *MARKS, *fuzz_text.EXAMPLES[::40]], [" ", *MARKS, *OPENED])
LONG = repeated(
    st.sampled_from((*MARKS, *OPENED, "<break time='", "[pause", "\n ", "\n\n", "a[pause:1s]", "<", "&")), 20_000
)
SAMPLES = st.tuples(
    st.one_of(DOCUMENT, DOCUMENT, PLAIN, LONG, LONG.map(lambda text: f"<speak>{text}</speak>")),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("auto", "en", "zh")),
)
FEW = 15
FOUND: tuple[tuple[str, bool, bool, str], ...] = ()
READER = TextReader(ArpabetFrontEnd(), 110)


def check(sample: tuple[str, bool, bool, str], folder: Path) -> None:
    text, ssml, paragraphs, language = sample
    ssml = ssml or text.startswith("<speak>")
    markup = read_markup(text, ssml=ssml, language=language, paragraphs=paragraphs)
    assert 1 <= len(markup.parts) <= len(text) + 1
    assert sum(len(part.words) for part in markup.parts) <= 500 * len(text) + 500, "longer than any reading"
    assert markup.end is None or 0 <= markup.end <= MAX_PAUSE
    for part in markup.parts:
        assert part.pause is None or 0 <= part.pause <= MAX_PAUSE
        assert 0 < part.speed <= MAX_RATE**64
        assert part.speed >= MIN_RATE**64
    if not (ssml or paragraphs or has_pauses(text)):
        assert markup == Markup(parts=(Part(text=text),))
    check_words(markup.words)
    few = Markup(parts=markup.parts[:20], end=markup.end, notes=markup.notes)
    if not any(char.isalnum() for char in few.words):
        raise EmptyText
    placed = list(place(few, READER.read))
    assert [one.index for one in placed] == sorted({one.index for one in placed})
    for one in placed:
        assert one.pause is None or 0 <= one.pause <= MAX_PAUSE
        assert one.after <= MAX_PAUSE
        shown = (one.sentence.text + one.sentence.spoken).lower()
        assert all(key not in shown or key in text.lower() for part in markup.parts for key in part.pronunciations)
