"""Pauses in a plain text divide it; the sentences of its parts are numbered as those of one text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vallecli.errors import EmptyText, ForeignText, MarkupError, NoContinuation
from vallecli.text.arpabet import ArpabetFrontEnd
from vallecli.text.markup import Placed, has_pauses, place, read_markup
from vallecli.text.parts import Builder, Markup
from vallecli.text.phones import parse
from vallecli.text.reader import Reading, TextReader
from vallecli.text.vallex import VallexFrontEnd

READER = TextReader(ArpabetFrontEnd(), 110)


def parts(text: str, *, paragraphs: bool = False) -> list[tuple[float | None, str]]:
    return [(part.pause, part.text) for part in read_markup(text, paragraphs=paragraphs).parts]


def placed(markup: Markup) -> list[Placed[Reading]]:
    return list(place(markup, READER.read))


@pytest.mark.parametrize(
    "text",
    [
        "Hello. How are you?\n\nFine. ",
        "",
        "a [pause] b [pause 2] c [pause:x s]",
        "<breakfast/> <br/>",
        "[pause:1s",
        "5s]",
    ],
)
def test_a_text_without_marks_is_one_part_as_it_was_written(text: str) -> None:
    markup = read_markup(text)
    assert [part.text for part in markup.parts] == [text]
    assert (markup.words, markup.end, markup.notes, has_pauses(text)) == (text, None, (), False)


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [
        *(
            ("[pause:0.5s]", 0.5),
            ("[pause 500ms]", 0.5),
            ("[Pause: 2 s]", 2.0),
            ("[pause:.25s]", 0.25),
            ("[pause:60s]", 60),
        ),
        *(('<break time="500ms"/>', 0.5), ("<break time='1.5s' />", 1.5), ('<break strength="strong"/>', 0.75)),
        *(("<break/>", 0.5), ("<BREAK></break>", 0.5), ('<break strength="none" time="+2s"></break>', 2.0)),
        *(('<break strength="none"/>', 0.0), ("[pause:0s]", 0.0), ("[pause:1s] [pause:2s]", 3.0)),
    ],
)
def test_pauses(mark: str, seconds: float) -> None:
    assert has_pauses(mark)
    assert parts(f"Hello {mark} you.") == [(None, "Hello"), (seconds, "you.")]


@pytest.mark.parametrize(
    ("text", "expected", "end"),
    [
        ("[pause:1s] Hi.", [(1.0, "Hi.")], None),
        ("Hi.[pause:1s]", [(None, "Hi.")], 1.0),
        ("Hi [pause:1s]. You!", [(None, "Hi"), (1.0, ". You!")], None),
        ("Hi [pause:1s]. [pause:1s] You!", [(None, "Hi."), (2.0, "You!")], None),
        ("“[pause:1s] Hi.", [(1.0, "“ Hi.")], None),
    ],
)
def test_pauses_at_the_edges_and_marks_without_words(
    text: str, expected: list[tuple[float | None, str]], end: float | None
) -> None:
    assert parts(text) == expected
    assert read_markup(text).end == end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hi.\nYou [pause:61s] there", "line 2, column 5: a pause of 61 s is longer than 60 s"),
        ("Hi [pause:40s][pause:30s]", "line 1, column 15: the pauses at this place are longer than 60 s"),
        ('Hi <break time="soon"/>', "line 1, column 4: the time is 'soon'"),
        ('Hi <break time="1e9s"/>', "the time is '1e9s'"),
        ('Hi <break strength="huge"/>', "the strength is 'huge'"),
        ("Hi [pause:999999999s]", "longer than 60 s"),
    ],
)
def test_impossible_pauses_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(MarkupError) as refused:
        read_markup(text)
    assert message in refused.value.message


def test_blank_lines_are_paragraphs_if_they_matter() -> None:
    text = "One. Two.\n\nThree.\n \n[pause:1s] Four."
    assert [(part.pause, part.paragraph, part.text) for part in read_markup(text, paragraphs=True).parts] == [
        (None, False, "One. Two."),
        (None, True, "Three."),
        (1.0, True, "Four."),
    ]
    assert parts("One. Two.", paragraphs=True) == [(None, "One. Two.")]


def test_sentences_are_numbered_as_those_of_the_text_without_marks() -> None:
    plain = placed(read_markup("One is here. Two is there. Three is gone. Four."))
    marked = placed(read_markup("One is here. Two is there. [pause:1s] Three is gone. [pause:2s] Four. [pause:3s]"))
    assert [(one.index, one.sentence.text) for one in marked] == [(one.index, one.sentence.text) for one in plain]
    assert [one.pause for one in marked] == [None, None, 1.0, 2.0]
    assert [one.after for one in marked] == [0, 0, 0, 3.0]
    assert [one.sentences for one in marked] == [4, 4, 4, 4]


def test_parts_without_words_are_left_out_with_a_note_and_their_pauses_are_added() -> None:
    one, two = placed(read_markup("One. [pause:1s] мир [pause:2s] Two."))
    assert (one.sentence.text, two.sentence.text, two.pause) == ("One.", "Two.", 3.0)
    assert two.notes == ("left out of the text, as it has no words for this checkpoint: мир",)
    with pytest.raises(ForeignText):
        placed(read_markup("мир [pause:2s] мир"))
    with pytest.raises(EmptyText):
        placed(read_markup("... [pause:2s] !"))


def test_language_tags_are_closed_and_opened_around_a_pause() -> None:
    text = "[EN]Hello [pause:1s] you.[EN][ZH]你好[pause:1s]苹果[ZH]"
    assert [text for _, text in parts(text)] == ["[EN]Hello[EN]", "[EN]you.[EN][ZH]你好[ZH]", "[ZH]苹果[ZH]"]
    assert VallexFrontEnd().sentences(parts(text)[0][1], 100)
    assert [text for _, text in parts("a [EN] b [pause:1s] c")] == ["a [EN] b", "c"]  # no tags of a language


@pytest.mark.parametrize(
    ("text", "transcript", "rest"),
    [
        ("Hello you. [pause:1s] Good day.", "Hello you.", ["Good day."]),
        ("Hello [pause:1s] you. Good day. [pause:2s] Bye.", "Hello you.", ["Good day.", "Bye."]),
        ("Hello you. Good [pause:1s] day.", "hello you", ["Good", "day."]),
    ],
)
def test_a_text_goes_on_behind_the_words_of_a_prompt(text: str, transcript: str, rest: list[str]) -> None:
    assert [part.text for part in read_markup(text).after(transcript).parts] == rest
    with pytest.raises(NoContinuation):
        read_markup(text).after("Something else")


def test_a_text_goes_on_behind_words_with_pronunciations() -> None:
    builder = Builder("")
    for word in ("a", "Tomato", "is"):
        builder.add(f" {word} ") if word != "Tomato" else builder.pronounce(word, parse("/təˈmɑːtoʊ/"))  # type: ignore[arg-type]
    builder.add("red today")
    [part] = builder.finish().after("A tomato is").parts
    assert part.text == "red today"


@pytest.mark.parametrize("number", [1, 30, 700])
def test_pronunciations_of_parts_reach_the_phonemes(number: int) -> None:
    builder = Builder("qyza")  # a placeholder that is a word of the text
    sound = parse("T AH0 M AA1 T OW0")
    assert sound is not None
    for count in range(number):
        builder.add("I say " if count % 2 else "Say ")
        builder.pronounce("Tomato" if count % 3 else "tomato", sound)
        builder.add(". ")
    markup = builder.finish()
    spelled = [READER.front_end.spell(one.sentence.tokens) for one in placed(markup)]
    assert sum(line.count("T AH0 M AA1 T OW0") for line in spelled) == number
    assert all("qy" not in one.sentence.text + one.sentence.spoken for one in placed(markup))


def test_a_sound_that_the_checkpoint_does_not_have_is_read_as_it_is_written() -> None:
    builder = Builder("")
    builder.add("I say ")
    builder.pronounce("tomato", parse("/xœt/"))  # type: ignore[arg-type]
    [one] = placed(replace(builder.finish(), notes=("first",)))
    assert one.sentence.spoken == "I say tomato."
    assert one.notes == ("first",)
    assert one.sentence.tokens.notes == ("'tomato' is read as it is written: ARPAbet has no symbol for 'x'",)
