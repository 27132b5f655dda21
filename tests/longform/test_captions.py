"""Captions: times of sentences and of words, whatever a recognizer has heard."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from vallecli.audio.transcribe import HeardWord
from vallecli.longform.captions import align, captions
from vallecli.longform.narration import Read
from vallecli.longform.subtitles import parse
from vallecli.longform.work import Utterance

RATE = 24_000
HELLO = Utterance("Hello, my <old> friend & foe.")
LONG = Utterance("This is a sentence that is longer than one line of subtitles can be on a screen.")
READ = [Read(HELLO, 12_000, 36_000), Read(LONG, 40_001, 100_003)]


def test_cues_have_the_times_of_their_samples_and_the_text() -> None:
    for ending in (".srt", ".vtt"):
        cues = parse(captions(READ, RATE, ending), "book")
        assert [(cue.start, cue.end) for cue in cues] == [(500, 1500), (1667, 4167)]
        assert cues[1].text.replace("\n", " ") == LONG.text
        assert max(map(len, cues[1].text.splitlines())) <= 42
    assert parse(captions(READ, RATE, ".srt"), "book")[0].text == HELLO.text


def test_words_that_were_heard_have_their_times_and_others_share_what_is_between() -> None:
    heard = [HeardWord("hello", 0.1, 0.3), HeardWord("friend", 0.5, 0.8)]
    words = align(HELLO.text, heard, 1.0)
    assert [word.text for word in words] == HELLO.text.split()
    assert (words[0].start, words[0].end) == (0.1, 0.3)
    assert words[1].start == 0.3  # "my <old>" shares 0.3 to 0.5 by letters
    assert 0.3 < words[1].end == words[2].start < words[2].end == 0.5
    assert (words[3].start, words[3].end) == (0.5, 0.8)
    assert (words[4].start, words[-1].end) == (0.8, 1.0)


def test_words_that_were_heard_as_others_have_the_time_of_these() -> None:
    heard = [HeardWord("Hello", 0.1, 0.3), HeardWord("mine", 0.6, 0.8), HeardWord("friend", 1.2, 1.5)]
    words = align("Hello, my old friend.", heard, 2.0)
    assert (words[1].start, words[2].end) == (0.6, 0.8)  # not in the silence around
    (number,) = align("eleven", [HeardWord("11", 0.4, 0.9)], 2.0)
    assert (number.start, number.end) == (0.4, 0.9)


VOCABULARY = ["one", "two", "three", "Four!", "five,", "--", "¿seis?", "the", "the"]
WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=12)
TIMES = st.floats(-1, 5)
HEARD = st.lists(st.tuples(st.sampled_from(["one", "two", "three", "four", "five", "the"]), TIMES, TIMES), max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    WORDS,
    st.lists(st.tuples(st.sampled_from(["one", "two", "three", "four", "five", "the"]), TIMES, TIMES), max_size=12),
)
def test_words_are_whole_and_in_order(text: list[str], heard: list[tuple[str, float, float]]) -> None:
    words = align(" ".join(text), [HeardWord(*word) for word in heard], 2.0)
    assert [word.text for word in words] == text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 2.0 + 1e-9


def test_cues_of_words() -> None:
    heard = {
        HELLO.id: [HeardWord("hello", 0.1, 0.3), HeardWord("friend", 0.5, 0.8)],
        LONG.id: [],
    }
    cues = parse(captions(READ[:1], RATE, ".srt", heard), "book")
    assert [cue.text for cue in cues] == HELLO.text.split()
    assert (cues[0].start, cues[0].end) == (600, 800)
    vtt = captions(READ, RATE, ".vtt", heard)
    assert [cue.start for cue in parse(vtt, "book")] == [500, 1667]
    assert "Hello, <00:00:00.800>my <" in vtt
    assert "&lt;old&gt;" in vtt
    assert "&amp;" in vtt
    for cue in vtt.split("\n\n")[1:]:
        times = re.findall(r"\d\d:\d\d:\d\d\.\d{3}", cue)
        inside = times[:1] + times[2:] + times[1:2]
        assert inside == sorted(set(inside))  # WebVTT: times in a cue increase
