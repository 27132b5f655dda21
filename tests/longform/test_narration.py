"""Books as utterances, and their places on a track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vallecli.longform.assemble import Clip, Tones
from vallecli.longform.books.model import Block, Chapter
from vallecli.longform.narration import LEAD, TAIL, Narration, Pauses, lay_out, narrate, silence_of

RATE = 24_000


def chapter(*blocks: tuple[str, str], title: str = "One", number: int = 1) -> Narration:
    blocks_ = tuple(Block(kind, text) for kind, text in blocks)  # type: ignore[arg-type]
    return narrate(number, Chapter(title, blocks_), language="en", columns={"voice": "anna"})


def test_blocks_become_passages_of_sentences() -> None:
    found = chapter(
        ("heading", "Chapter 1"),
        ("paragraph", "Mr. Hale came at 6:15 p.m. on Monday. “Who is it?” asked Anna. Nobody knew…"),
        ("paragraph", "* * *"),
        ("paragraph", "[pause:2s]"),
        ("verse", "The lamp is out,\nthe road is long.\nGo home."),
    )
    assert [(passage.heading, [s.text for s in passage.sentences]) for passage in found.passages] == [
        (True, ["Chapter 1"]),
        (False, ["Mr. Hale came at 6:15 p.m. on Monday.", "“Who is it?” asked Anna.", "Nobody knew…"]),
        (False, ["The lamp is out, the road is long.", "Go home."]),
    ]
    assert {tuple(sentence.columns.items()) for sentence in found.sentences} == {(("voice", "anna"),)}
    assert (found.number, found.title, found.words) == (1, "One", 27)


def test_long_sentences_are_divided_and_lose_no_words() -> None:
    text = ", ".join(f"and then the keeper counted {number} boats" for number in range(60)) + "."
    found = chapter(("paragraph", text))
    sentences = [sentence.text for sentence in found.sentences]
    assert len(sentences) > 5
    assert all(len(sentence) <= 300 for sentence in sentences)
    assert " ".join(sentences) == text


def test_a_chapter_without_words_has_no_passages() -> None:
    assert chapter(("paragraph", "* * *"), ("paragraph", "—")).passages == ()


@pytest.fixture
def two(tmp_path: Path) -> tuple[list[Narration], dict[str, Clip]]:
    """Two chapters, and a clip for each sentence."""
    chapters = [
        chapter(("heading", "Chapter 1"), ("paragraph", "A one. A two."), ("paragraph", "A three.")),
        chapter(("paragraph", "A four."), ("paragraph", "A five. A six."), title="Two", number=2),
    ]
    clips = {}
    for number, sentence in enumerate((s for one in chapters for s in one.sentences), start=1):
        soundfile.write(tmp_path / sentence.output, np.full(1_000 * number, 0.1 * number), RATE)
        clips[sentence.id] = Clip.of(tmp_path / sentence.output)
    return chapters, clips


def test_sentences_follow_each_other_with_the_pauses(two: tuple[list[Narration], dict[str, Clip]]) -> None:
    chapters, clips = two
    pauses = Pauses(sentence=0.1, paragraph=0.2, heading=0.3, chapter=0.4)
    layout = lay_out(chapters, clips, RATE, pauses, opening=None)
    gaps = [(after.start - before.end) / RATE for before, after in zip(layout.read, layout.read[1:], strict=False)]
    assert gaps == pytest.approx([0.3, 0.1, 0.2, 0.4, 0.2, 0.1])
    assert [entry.end - entry.start for entry in layout.read] == [1_000 * number for number in range(1, 8)]
    assert layout.starts == (layout.read[0].start, layout.read[4].start)
    assert layout.read[0].start == LEAD * RATE
    assert layout.track.samples == layout.read[-1].end + TAIL * RATE
    spoken = sum(clip.frames for clip in clips.values()) / RATE
    assert layout.track.seconds == pytest.approx(spoken + silence_of(chapters, pauses))


def test_an_opening_comes_first_and_sentences_without_a_clip_leave_no_gap(
    two: tuple[list[Narration], dict[str, Clip]],
) -> None:
    chapters, clips = two
    missing = [sentence.id for sentence in chapters[0].sentences][2]
    left = {name: clip for name, clip in clips.items() if name != missing}
    pauses = Pauses(sentence=0.1, paragraph=0.2, heading=0.3, chapter=0.4)
    layout = lay_out(chapters, left, RATE, pauses, opening=Tones())
    gaps = [(after.start - before.end) / RATE for before, after in zip(layout.read, layout.read[1:], strict=False)]
    assert gaps == pytest.approx([0.3, 0.2, 0.4, 0.2, 0.1])
    tones = Tones().samples(RATE)
    assert layout.read[0].start == round(LEAD * RATE) + tones + round(0.3 * RATE)
    wav_N = np.concatenate(list(layout.track.blocks()))
    np.testing.assert_array_equal(wav_N[round(LEAD * RATE) :][:tones], Tones().read(RATE))
