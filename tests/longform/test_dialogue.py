"""Scripts of several speakers and their cast: who says what, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallecli.errors import CastError, InputError, ScriptError, TextEncodingError
from vallecli.longform.cast import read_cast
from vallecli.longform.dialogue import Pause, Speech, parse, read_script

NAMES = ("ANNA", "Old Bob", "Zoë")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ANNA: Hello.\nOld Bob: Yes?", [Speech("ANNA", "Hello.", 1), Speech("Old Bob", "Yes?", 2)]),
        ("anna:Hello.\r\nOLD  BOB : Yes?\r\n", [Speech("ANNA", "Hello.", 1), Speech("Old Bob", "Yes?", 2)]),
        ("ANNA: One\n  two: three,\nfour.\n\nfive\n", [Speech("ANNA", "One two: three, four.\n\nfive", 1)]),
        ("# Act I\n\n[A garden.\nNight.]\n\nANNA:\n# to herself\nHello.", [Speech("ANNA", "Hello.", 8)]),
        ("ANNA (aside): Well (laughs), [to\nBob: the old one] no.", [Speech("ANNA", "Well, no.", 1)]),
        ("[Enter Bob] ANNA: Hi.\n(He leaves) \nZoe\u0308: Bye", [Speech("ANNA", "Hi.", 1), Speech("Zoë", "Bye", 3)]),
        (
            "[pause 2]\nANNA: One [pause 1.5s] two\n[PAUSE: 500 ms]\n[pause]\nthree\n(pause 0,25 seconds)",
            [
                *(Pause(2.0, 1), Speech("ANNA", "One", 2), Pause(1.5, 2), Speech("ANNA", "two", 2)),
                *(Pause(0.5, 3), Pause(1.0, 4), Speech("ANNA", "three", 5), Pause(0.25, 6)),
            ],
        ),
        ("ANNA: One\n[pause 1s] Old Bob: Two", [Speech("ANNA", "One", 1), Pause(1.0, 2), Speech("Old Bob", "Two", 2)]),
        ("ANNA: At 10:30, see http://x.org now.", [Speech("ANNA", "At 10:30, see http://x.org now.", 1)]),
        ("ANNA: He said, yes, he said this: go.\nAnd so, he said: go.", [
            Speech("ANNA", "He said, yes, he said this: go. And so, he said: go.", 1)
        ]),
        ("\ufeffANNA: Hello.\nOld Bob: [nods]\nANNA: ...", [Speech("ANNA", "Hello.", 1)]),
    ],
)  # fmt: skip
def test_who_says_what(text: str, parts: list[Speech | Pause]) -> None:
    assert parse(text, "play.txt", NAMES) == parts


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        ("", None, "nobody says anything", "ANNA: Good morning."),
        ("# only\n[directions]\nANNA: (nods)\n", None, "nobody says anything", ""),
        ("ANNA: Hello.\n\nANA: Hi.", 3, "'ANA' is not in the cast", "Did you mean ANNA?"),
        ("ANNA: Hello.\nhamlet: Hi.", 2, "'hamlet' is not in the cast", "The cast is ANNA, Old Bob, Zoë. Indent"),
        ("ANNA: Hello.\nHe goes on: well.", 2, "'He goes on' is not in the cast", "Indent the line"),
        ("\nAct one\nANNA: Hello.", 2, "nobody is named for 'Act one'", ""),
        ("ANNA: Hello.\n[pause soon]", 2, "the pause is 'soon'", "[pause 1.5s]"),
        ("ANNA: Hello.\n[pause 1e9s]", 2, "the pause is '1e9s'", ""),
        ("ANNA: Hello.\nmore [pause 601]", 2, "the pause is '601'", "at most 600"),
        ("ANNA: Hello.\n[pause -1s]", 2, "the pause is '-1s'", ""),
    ],
)
def test_errors_name_the_line(text: str, line: int | None, problem: str, hint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text, "play.txt", NAMES)
    place = "play.txt: " if line is None else f"play.txt, line {line}: "
    assert caught.value.message.startswith(place + problem)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 3


def test_files_that_are_no_script(tmp_path: Path) -> None:
    path = tmp_path / "play.txt"
    path.write_bytes("ANNA: Café.".encode("cp1252"))
    with pytest.raises(TextEncodingError, match="windows-1252"):
        read_script(path, NAMES)
    path.write_bytes("ANNA: Café.".encode("utf-16"))
    assert read_script(path, NAMES) == [Speech("ANNA", "Café.", 1)]
    for data in (b"\x7fELF\x02\x01\xff\xfe", b"PK\x03\x04", b"\0" * 9):
        path.write_bytes(data)
        with pytest.raises(InputError):
            read_script(path, NAMES)
    with pytest.raises(InputError, match="no such file"):
        read_script(tmp_path / "other.txt", NAMES)


def test_a_cast(tmp_path: Path) -> None:
    path = tmp_path / "cast.toml"
    path.write_text('[ANNA]\nvoice = "anna"\nspeed = 1.1\n["Old Bob"]\nprompt = "bob.wav"\ngain = -3\n')
    cast = read_cast(path)
    assert {name: (dict(member.columns), member.gain) for name, member in cast.members.items()} == {
        "ANNA": ({"voice": "anna", "speed": 1.1}, 0),
        "Old Bob": ({"prompt": str(tmp_path / "bob.wav")}, -3),
    }


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("", "has no speakers", "[ANNA]"),
        ("[ANNA]\n", "a speaker 'ANNA' without a voice", "prompt"),
        ('[ANNA]\nvoice = "a"\nprompt = "b"\n', "a speaker 'ANNA' with a voice and a prompt", "one of"),
        ('[ANNA]\nvoise = "a"\n', "an unknown setting 'voise'", "Did you mean voice?"),
        ('[ANNA]\nvoice = ""\n', "whose voice is empty", ""),
        ("[ANNA]\nvoice = 3\n", "whose voice is 3", "name"),
        ('[ANNA]\nvoice = "a"\nspeed = [1]\n', "whose speed is [1]", ""),
        ('[ANNA]\nvoice = "a"\nspeed = 9\n', "whose speed is 9", "from 0.5 to 2"),
        ('[ANNA]\nvoice = "a"\nlanguage = "xx"\n', "whose language is 'xx'", "en"),
        ('[ANNA]\nvoice = "a"\ngain = "loud"\n', "whose gain is 'loud'", "dB"),
        ('[ANNA]\nvoice = "a"\nseconds = 3\n', "an unknown setting 'seconds'", ""),
        ('ANNA = "anna.wav"\n', "a speaker 'ANNA' that is no table", "Write [ANNA]"),
        ('[ANNA]\nvoice = "a"\n[anna]\nvoice = "b"\n', "'ANNA' and 'anna' are the same name", ""),
        ('["A:B"]\nvoice = "a"\n', "a speaker 'A:B'", "without a colon"),
        ('[ANNA\nvoice = "a"\n', "cannot be read", "[ANNA]"),
        ("x = 1979-05-27\n", "no table", ""),
    ],
)
def test_a_broken_cast(tmp_path: Path, text: str, problem: str, hint: str) -> None:
    path = tmp_path / "cast.toml"
    path.write_text(text)
    with pytest.raises(CastError) as caught:
        read_cast(path)
    assert caught.value.message.startswith(f"{path} ")
    assert problem in caught.value.message
    assert hint in caught.value.hint


def test_files_that_are_no_cast(tmp_path: Path) -> None:
    with pytest.raises(CastError, match="No such file"):
        read_cast(tmp_path / "cast.toml")
    (tmp_path / "cast.toml").write_bytes(b"\xff\xfe\0\0RIFF")
    with pytest.raises(CastError, match="cannot be read"):
        read_cast(tmp_path / "cast.toml")
