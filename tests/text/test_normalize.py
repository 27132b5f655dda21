"""The English normalizer: spoken forms of written text, and inputs that are slow for bad regular expressions."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vallecli.errors import EmptyText
from vallecli.text.english.normalize import normalize

SPOKEN = {
    # numbers
    "I have 5 cats.": "I have five cats.",
    "1,234,567 people": "one million two hundred thirty four thousand five hundred sixty seven people",
    "Pi is 3.14159.": "Pi is three point one four one five nine.",
    "it fell by .5": "it fell by point five",
    "It is -5 outside.": "It is minus five outside.",
    "agent 007": "agent zero zero seven",
    "the 21st, 2nd and 1,000th": "the twenty first, second and one thousandth",
    "10-20 people": "ten to twenty people",
    "pages 3–5": "pages three to five",
    "5 - 3 = 2": "five minus three equals two",
    "3 x 4 and 5*6": "three times four and five times six",
    "a 1920x1080 screen": "a nineteen twenty by one thousand eighty screen",
    "half is 1/2, not 3/4": "half is one half, not three quarters",
    "2 1/2 cups and 5½ more": "two and a half cups and five and a half more",
    "open 24/7": "open twenty four seven",
    "version 2.0.1": "version two point zero point one",
    "odds of 3:1": "odds of three to one",
    "२०": "twenty",
    # years
    "in 1999": "in nineteen ninety nine",
    "in 1905, 2005 and 2024": "in nineteen oh five, two thousand five and twenty twenty four",
    "1914-1918": "nineteen fourteen to nineteen eighteen",
    "the 1980s and the 90s": "the nineteen eighties and the nineties",
    "music of the '60s": "music of the sixties",
    # dates
    "2024-05-01": "May first, twenty twenty four",
    "on 5/1/2024.": "on May first, twenty twenty four.",
    "31/12/1999": "December thirty first, nineteen ninety nine",
    "May 1, 2024": "May first, twenty twenty four",
    "Jan. 5 and Sept. 2020": "January fifth and September twenty twenty",
    "5 May 2024": "the fifth of May, twenty twenty four",
    "the 21st of May": "the twenty first of May",
    "May 5-7": "May fifth to seventh",
    "He may 5": "He may five",
    "2024-05-01T15:30": "May first, twenty twenty four fifteen thirty",
    # times
    "at 3:30pm": "at three thirty p m",
    "at 3:05 p.m. He came.": "at three oh five p m. He came.",
    "at 5 a.m. sharp": "at five ay m sharp",
    "12:00": "twelve o'clock",
    "15:45": "fifteen forty five",
    "9am-5pm": "nine ay m to five p m",
    # money
    "$12.50": "twelve dollars and fifty cents",
    "$1": "one dollar",
    "$0.99": "ninety nine cents",
    "£3.01": "three pounds and one penny",
    "€1,000": "one thousand euros",
    "5€": "five euros",
    "$3 million": "three million dollars",
    "$1.5bn and $5k": "one point five billion dollars and five thousand dollars",
    "$5-$10": "five dollars to ten dollars",
    "$5-10": "five to ten dollars",
    "50¢ or US$5": "fifty cents or five U S dollars",
    # measures
    "50% and 5.5 %": "fifty percent and five point five percent",
    "5 km, 10kg and 1 mi": "five kilometers, ten kilograms and one mile",
    "20°C": "twenty degrees Celsius",
    "60 km/h": "sixty kilometers per hour",
    "16GB at 3.5GHz": "sixteen gigabytes at three point five gigahertz",
    "5 m²": "five square meters",
    "a 5-km run": "a five kilometer run",
    "in 90s": "in ninety seconds",
    "5'10\" tall": "five foot ten tall",
    # telephone numbers
    "Call 555-123-4567.": "Call five five five, one two three, four five six seven.",
    "(555) 123-4567": "five five five, one two three, four five six seven",
    "+1 555 123 4567": "plus one, five five five, one two three, four five six seven",
    # abbreviations
    "Dr. Smith": "Doctor Smith",
    "Mr. and Mrs. Jones vs. Prof. X": "Mister and Missus Jones versus Professor X",
    "at 12 Main St. near St. Mary's": "at twelve Main Street near Saint Mary's",
    "on Elm St. The house": "on Elm Street. The house",
    "42 Oak Dr.": "forty two Oak Drive.",
    "pets, e.g. cats": "pets, for example, cats",
    "i.e. that": "that is, that",
    "tea, etc. and so on": "tea, et cetera and so on",
    "tea, etc. The end": "tea, et cetera. The end",
    "No. 5 is alive. No. I won't.": "number five is alive. No. I won't.",
    "see fig. 3 on p. 12": "see figure three on page twelve",
    "J. R. R. Tolkien": "J R R Tolkien",
    "plan B. Then": "plan B. Then",
    # acronyms
    "my GPU and CPUs": "my G P U and C P U's",
    "NASA and UNESCO": "Nasa and Unesco",
    "Buy MISANTHROPY now": "Buy Misanthropy now",
    "the ATM of AI": "the ay T M of ay I",
    "HTML5 on an H200": "H T M L five on an H two hundred",
    "MP3s": "M P threes",
    "the U.S.A.": "the U S ay.",
    "the U.S. Army": "the U S Army",
    "in the U.S. He left": "in the U S. He left",
    "COVID-19": "Covid nineteen",
    "OpenAI, GitHub, iOS": "Open ay I, GitHub, i O S",
    "A grade A dog on A4": "A grade ay dog on ay four",
    "I am NOT here": "I am Not here",
    "IT said it": "I T said it",
    "STOP RIGHT THERE! IT IS MY GPU.": "Stop right there! It is my G P U.",
    # Roman numerals
    "Chapter IV": "Chapter four",
    "Henry VIII": "Henry the eighth",
    "World War II": "World War two",
    "Rocky III": "Rocky three",
    "an IV drip": "an I V drip",
    "when Henry I think": "when Henry I think",
    # symbols
    "salt & pepper": "salt and pepper",
    "x + y = z": "x plus y equals z",
    "#5 of #fun": "number five of hashtag fun",
    "C++ and R&D": "C plus plus and R and D",
    "AT&T": "ay T and T",
    "and/or": "and or",
    "x² and 5 < 6": "x squared and five is less than six",
    "visit example.com.": "visit example dot com.",
    "https://www.a.org/news?page=2, now": "h t t p s colon slash slash w w w dot ay dot org slash news, now",
    "jo.doe@example.co.uk": "jo dot doe at example dot co dot u k",
    "run main.py": "run main dot py",
    "so <b>bold</b>": "so bold",
    # Unicode, punctuation, layout
    "“Café” — it’s naïve…": "Cafe, it's naive.",
    "Straße, Łódź, Ærø": "Strasse, Lodz, Aero",
    "hi 😀👍🏽 there": "hi there",
    "a\x00b\u200bc\ufeff": "abc",
    "ｆｕｌｌ": "full",
    "what?! no!!!": "what? no!",
    "well... maybe": "well, maybe",
    "...hello ,world .": "hello, world.",
    "well-known (old) twenty-one": "well known, old, twenty one",
    "# Title\n\nFirst line\nsame one\n- a point\n- another": "Title. First line same one. a point. another",
}


@pytest.mark.parametrize(("written", "spoken"), SPOKEN.items())
def test_written_to_spoken(written: str, spoken: str) -> None:
    assert normalize(written) == spoken


@pytest.mark.parametrize(
    "text", ["", " \n\t", "...", "?!—", "😀 🎉", "\x00\x07", "\u200b", "()", "'", "Привет", "你好"]
)
def test_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(EmptyText):
        normalize(text)


@pytest.mark.parametrize("written", SPOKEN)
def test_spoken_text_is_not_changed_again(written: str) -> None:
    spoken = normalize(written)
    assert re.fullmatch(r"[A-Za-z' ,.?!;:]+", spoken)
    assert normalize(spoken) == spoken


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after some seconds of CPU time of this process; `re` checks for signals while it matches."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no result after {seconds} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_cpu_limit_interrupts_backtracking() -> None:
    with pytest.raises(TimeoutError), cpu_limit(0.05):
        re.fullmatch("(a|aa)+", "a" * 60 + "b")


def test_ten_thousand_words() -> None:
    text = "On May 1, 2024 Dr. Smith paid $12.50 for 3 GPUs (at 3:30pm), e.g. the H200. " * 600
    with cpu_limit(60):
        spoken = normalize(text)
    assert spoken.count("twelve dollars and fifty cents") == 600


REPEATED = (
    *("a", "1", "1,", ".", "-", "$", "A.", "(", "a.b", "AB ", "A'", "1-", "1/", "1:", "a@", "<a", "etc. ", "\n-", "''"),
    *(
        "1.",
        "1 ",
        "12,",
        "[1]",
        "[a](",
        "**",
        "*a",
        "`",
        "|",
        "_a",
        "#",
        "&",
        "/a",
        "@a",
        "^1",
        "1²",
        "1e",
        "1x",
        "½",
        "IV ",
    ),
    *(
        "May 1-",
        "Mon-",
        "Chapter I ",
        "Dr. ",
        "1 Main ",
        "+1 ",
        "(1) ",
        "111-",
        "PIN ",
        "10:10-",
        "ab-\n",
        "\t",
        "'80s",
        "$1-",
    ),
)


@pytest.mark.parametrize("part", REPEATED)
def test_repetitions_do_not_cause_backtracking(part: str) -> None:
    try:
        with cpu_limit(20):
            normalize(part * (8000 // len(part)))
    except EmptyText:
        assert not re.search("[a-zA-Z0-9]", part)


@pytest.mark.parametrize("part", ["1", ".", " ", "(", "[", "1.", "1 ", "A", "-", "\n", "<", "*"])
def test_a_hundred_thousand_characters_take_linear_time(part: str) -> None:
    try:
        with cpu_limit(60):
            normalize(part * (100_000 // len(part)))
    except EmptyText:
        assert not re.search("[a-zA-Z0-9]", part)


JUNK = "0123456789 aAbBxXkKIVst$€£%°²-–/.,:;!?()[]{}'\"`#@&*+=<>~^_|\\\n\t\x00éß½µ😀\u200b\u0301\ufeff中Ωя۵"


def test_any_text_is_read_or_has_no_words() -> None:
    rng = random.Random(0)
    words = list(SPOKEN)
    for _ in range(1500):
        text = "".join(rng.choices(JUNK, k=rng.randrange(1, 40)))
        if rng.random() < 0.5:
            written = rng.choice(words)
            at = rng.randrange(len(written) + 1)
            text = written[:at] + text[:3] + written[at:]
        try:
            spoken = normalize(text)
        except EmptyText:
            continue
        assert re.fullmatch(r"[A-Za-z' ,.?!;:]+", spoken), text
        assert spoken == " ".join(spoken.split())
        assert re.search("[A-Za-z]", spoken)


def test_white_space_does_not_matter() -> None:
    for written, spoken in SPOKEN.items():
        if "\n" not in written:
            assert normalize(f" \u200b{written.replace(' ', '  ')}\u2003\n") == spoken, written


SENTENCES = {
    "Pay $5.50 by 3 p.m. on May 5.": "Pay five dollars and fifty cents by three p m on May fifth.",
    "Dr. Jones has 2 GPUs.": "Doctor Jones has two G P U's.",
    "It is 6 ft. tall.": "It is six feet tall.",
    "Henry VIII had 6 wives.": "Henry the eighth had six wives.",
    "Call 555-123-4567 now!": "Call five five five, one two three, four five six seven now!",
    "Is 1/2 cup enough?": "Is one half cup enough?",
    "See https://a.org/x.": "See h t t p s colon slash slash ay dot org slash x.",
    "They moved in the '80s.": "They moved in the eighties.",
}


def test_sentences_are_read_as_they_are_read_alone() -> None:
    rng = random.Random(0)
    for _ in range(100):
        chosen = rng.choices(list(SENTENCES), k=4)
        assert normalize(" ".join(chosen)) == " ".join(SENTENCES[written] for written in chosen)
