"""Utterances become rows whose ids depend on nothing but their content."""

from __future__ import annotations

from pathlib import Path

from vallecli.longform.work import Utterance, lines_of, work_folder


def test_an_inserted_or_changed_utterance_changes_no_other_id() -> None:
    texts = ["One is here.", "Two is there.", "Three is gone."]
    before = [Utterance(text, {"voice": "anna"}) for text in texts]
    after = [before[0], Utterance("A new one.", {"voice": "anna"}), Utterance("Two is not there.", {"voice": "anna"})]
    after.append(Utterance(texts[2], {"voice": "anna"}))
    ids = [utterance.id for utterance in before]
    assert [utterance.id for utterance in after][::3] == ids[::2]
    assert len({*ids, *(utterance.id for utterance in after)}) == 5


def test_the_id_depends_on_text_and_all_columns_but_not_on_their_order() -> None:
    columns = {"voice": "anna", "speed": 1.5}
    one = Utterance("Hello.", columns)
    assert one.id == Utterance("Hello.", dict(reversed(columns.items()))).id
    others = [Utterance("hello.", columns), Utterance("Hello.", {"voice": "anna"}), Utterance("Hello.", {"speed": 1.5})]
    assert len({one.id, *(other.id for other in others)}) == 4
    assert one.output == f"{one.id}.flac"


def test_equal_utterances_are_one_row_with_the_number_of_the_first() -> None:
    yes, no = Utterance("Yes."), Utterance("No.")
    lines = lines_of([yes, no, yes, Utterance("Yes.", {"voice": "bo"})])
    assert [(line.number, line.values) for line in lines] == [
        (1, {"id": yes.id, "text": "Yes."}),
        (2, {"id": no.id, "text": "No."}),
        (4, {"id": lines[2].values["id"], "text": "Yes.", "voice": "bo"}),
    ]


def test_the_work_folder_is_beside_the_output() -> None:
    assert work_folder(Path("books/emma.m4b")) == Path("books/emma.m4b.work")
    assert work_folder(Path("emma/")) == Path("emma.work")
