"""`valle text`: sentences, spoken words and phonemes of a checkpoint's front end, without its weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from published import write_lifeiteng

from vallecli.checkpoints.registry import BUILT_IN
from vallecli.families.valle.symbols import SPECIAL

if TYPE_CHECKING:
    from conftest import Valle


def lines_of(out: bytes) -> list[list[str]]:
    return [line.split("\t") for line in out.decode().splitlines()]


def test_each_line_is_a_sentence_with_its_spoken_words_and_phonemes(valle: Valle) -> None:
    ran = valle("text", "--text", "Dr. Jones paid $5.\n\nHello")
    assert (ran.code, ran.err) == (0, "")
    assert lines_of(ran.out) == [
        ["1", "Doctor Jones paid five dollars.", "D AA1 K T ER0 | JH OW1 N Z | P EY1 D | F AY1 V | D AA1 L ER0 Z ."],
        ["2", "Hello.", "HH AH0 L OW1 ."],
    ]


def test_json_has_the_same(valle: Valle) -> None:
    shown = json.loads(valle("text", "--text", "Take 5. Go!", "--json").out)
    assert (shown["checkpoint"], shown["front_end"]) == ("nano", "arpabet-1")
    assert shown["sentences"][1] == {
        "sentence": 2,
        "text": "Go!",
        "language": "en",
        "spoken": "Go!",
        "phonemes": "G OW1 !",
        "tokens": 3,
        "pause": None,
        "pause_after": None,
        "paragraph": False,
        "speed": 1.0,
        "notes": [],
    }


def test_marks_of_a_text_are_in_a_fourth_column(valle: Valle) -> None:
    text = '<speak><p>Go. <prosody rate="80%">Stop!</prosody></p><break time="1s"/><p><sub alias="now">N</sub></p><p>Go'
    ran = valle("text", "--ssml", "--text", f'{text}<emphasis>.</emphasis></p><break time="2s"/></speak>')
    assert ran.err == "sentence 1: without effect in SSML, only the text is read: <emphasis>\n"
    assert lines_of(ran.out) == [
        ["1", "Go.", "G OW1 ."],
        ["2", "Stop!", "S T AA1 P !", "speed 0.8"],
        ["3", "now.", "N AW1 .", "pause 1 s"],
        ["4", "Go.", "G OW1 .", "paragraph, pause 2 s after it"],
    ]
    assert lines_of(valle("text", "--text", "Go. [pause:0.5s] Stop!").out)[1][3] == "pause 0.5 s"
    broken = valle("text", "--ssml", "--text", "<speak>\n<p>Hi</speak>")
    assert broken.code == 3
    assert broken.err.startswith("error: the markup of the text is wrong in line 2, column 8: mismatched tag\n")


def test_all_sources_of_the_text_give_the_same(valle: Valle) -> None:
    Path("text.txt").write_bytes("\ufeffGood day. It's me.\r\n".encode())
    outputs = {
        valle("text", "--text", "Good day. It's me.").out,
        valle("text", "--text-file", "text.txt").out,
        valle("text", "--text-file", "-", stdin=b"Good day. It's me.").out,
        valle("text", stdin=b"Good day. It's me.").out,
    }
    assert len(outputs) == 1
    assert len(lines_of(outputs.pop())) == 2


def test_it_prints_what_speak_gives_to_the_models(valle: Valle, tiny_checkpoint: Path, reference: Path) -> None:
    text = ["--checkpoint", tiny_checkpoint, "--text", "I paid $5 on May 3. Then what? The end"]
    spoken = valle(
        *("speak", *text, "--prompt", reference, "--seed", "1"),
        *("--max-seconds", "0.1", "--json", "-o", "a.wav"),
    )
    shown = [sentence["text"] for sentence in json.loads(valle("text", *text, "--json").out)["sentences"]]
    assert shown == [piece["text"] for piece in json.loads(spoken.out)["pieces"]]
    assert len(shown) == 3


def test_nano_needs_neither_torch_nor_its_weights(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copy(BUILT_IN["nano"] / "config.json", folder)
    code = (
        "import sys; from vallecli.cli.app import main; code = main(sys.argv[1:]);"
        "print(sorted({'torch', 'soundfile', 'safetensors'} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "text", "--checkpoint", str(folder), "--text", "Hello."],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\tHello.\tHH AH0 L OW1 .\n", "[]\n")


def test_vallex_detects_the_language_or_gets_it(valle: Valle, vallex_checkpoint: Path) -> None:
    pytest.importorskip("eng_to_ipa")
    pytest.importorskip("jieba")
    ran = valle("text", "--checkpoint", vallex_checkpoint, "--text", "It costs $5. 你好。", "--json")
    english, chinese = json.loads(ran.out)["sentences"]
    assert (english["text"], english["spoken"]) == ("It costs $5.", "it costs five dollars.")
    assert english["phonemes"] == "ɪt kɔsts faɪv ˈdɔləɹz."
    assert (english["language"], chinese["language"]) == ("en", "zh")
    assert chinese["phonemes"].startswith("ni↓↑")
    ran = valle("text", "--checkpoint", vallex_checkpoint, "--text", "5.", "--language", "zh")
    assert lines_of(ran.out)[0][2].startswith("u↓↑")


def test_a_file_that_does_not_store_everything(valle: Valle, tmp_path: Path) -> None:
    pytest.importorskip("phonemizer")
    path = write_lifeiteng(tmp_path / "some.pt")
    ran = valle("text", "--checkpoint", path, "--text", "Hello!")
    assert ran.code == 4
    assert "symbols=FILE" in ran.err
    symbols = ["!", "_", "h", "l", "oʊ", "ə"]
    (tmp_path / "table.k2symbols").write_text("".join(f"{symbol} {at}\n" for at, symbol in enumerate(symbols)))
    table = f"symbols={tmp_path / 'table.k2symbols'}"
    ran = valle("text", "--checkpoint", path, "--option", table, "--text", "Hello (there)!")
    assert lines_of(ran.out)[0][:2] == ["1", "Hello (there)!"]
    assert lines_of(ran.out)[0][2].startswith("həloʊ")
    assert "sentence 1: left out, as the checkpoint has no symbols for them: ( )" in ran.err
    assert set(lines_of(ran.out)[0][2]) <= set("".join(symbols)) | {" "}
    assert SPECIAL[1] not in ran.out.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--text", "?!"], 3, "the text has no words"),
        (["--text", "Hi", "--text-file", "a.txt"], 2, "Leave one of them out"),
        (["--text-file", "none.txt"], 3, "cannot read none.txt"),
        (["--text", "Hi", "--checkpoint", "nothing"], 4, "no checkpoint called 'nothing'"),
        (["--text", "Hi", "--language", "zh"], 2, "does not know the language 'zh'"),
        (["--text", "Hi", "--option", "heads=many"], 2, "option heads is 'many'"),
        (["--text", "Hi", "--lexicon", "none.txt"], 3, "cannot read the lexicon none.txt"),
        (["--txt", "Hi"], 2, "Did you mean --text?"),
    ],
)
def test_errors_have_the_exit_codes_of_speak(valle: Valle, arguments: list[str], code: int, message: str) -> None:
    ran = valle("text", *arguments)
    assert (ran.code, ran.out) == (code, b"")
    assert message in ran.err


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "今日はいい天気ですね。",
            "only Japanese letters",
            "Use a checkpoint that speaks Japanese. Known ones: vallex, ecker, bark, bark-small.",
        ),
        (
            "今天天气很好。",
            "only Chinese letters",
            "Use a checkpoint that speaks Chinese. Known ones: vallex, ecker, bark, bark-small.",
        ),
        (
            "안녕하세요",
            "only Korean letters",
            "Use a checkpoint that speaks Korean. Known ones: ecker, bark, bark-small.",
        ),
        ("Привет, мир!", "only Cyrillic letters", "Write the text in English"),
        ("नमस्ते", "only Devanagari letters", "Write the text in English"),
    ],
)
def test_an_english_checkpoint_says_that_it_speaks_english(valle: Valle, text: str, message: str, hint: str) -> None:
    ran = valle("text", "--text", text)
    assert (ran.code, ran.out) == (3, b"")
    assert f"this checkpoint speaks English, and the text has {message}" in ran.err
    assert hint in ran.err


def test_words_in_other_letters_are_named_in_a_note(valle: Valle) -> None:
    ran = valle("text", "--text", "Hello, мир and 世界, naïve Straße! All done.")
    assert [spoken for _, spoken, _ in lines_of(ran.out)][1] == "All done."
    assert ran.err == "sentence 1: left out of the text, as this checkpoint speaks English: мир, 世界\n"
    assert valle("text", "-q", "--text", "Hello, мир.").err == ""
    words = " ".join(f"слово{letter}" for letter in "абвгдежз")
    assert "словод and 3 more" in valle("text", "--text", f"Hello {words}").err


# Lexicons


def test_a_lexicon_is_a_flag_a_variable_or_a_setting(valle: Valle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, sound in {"a": "AA1", "b": "IY1", "c": "OW1"}.items():
        Path(f"{name}.txt").write_text(f"zorb\t{sound}\n")

    def phonemes(*options: str) -> str:
        return lines_of(valle("text", "--text", "Zorb.", *options).out)[0][2]

    plain = phonemes()
    Path("valle.toml").write_text('lexicon = "c.txt"\n')
    assert phonemes() == "OW1 ."
    monkeypatch.setenv("VALLE_LEXICON", "b.txt")
    assert phonemes() == "IY1 ."
    assert phonemes("--lexicon", "a.txt") == "AA1 ."
    assert plain not in ("OW1 .", "IY1 .", "AA1 .")


def test_a_lexicon_in_the_configuration_folder_is_found_from_everywhere(
    valle: Valle, tmp_path: Path, own_folder: Path
) -> None:
    folder = tmp_path / "config" / "vallecli"
    folder.mkdir(parents=True)
    (folder / "valle.toml").write_text('lexicon = "names/mine.txt"\n')
    (folder / "names").mkdir()
    (folder / "names" / "mine.txt").write_text("zorb\tAA1\n")
    assert lines_of(valle("text", "--text", "Zorb.").out)[0][2] == "AA1 ."


def test_an_unknown_symbol_is_refused_with_its_line(valle: Valle) -> None:
    Path("names.txt").write_text("# names\nzorb\tZ AO1 R BX\n")
    ran = valle("text", "--text", "Zorb.", "--lexicon", "names.txt")
    assert (ran.code, ran.out) == (3, b"")
    assert "names.txt, line 2: 'Z AO1 R BX' is no pronunciation: 'BX' is no symbol of ARPAbet" in ran.err


def test_speak_and_python_use_the_lexicon(valle: Valle, tiny_checkpoint: Path, reference: Path) -> None:
    import vallecli

    Path("names.txt").write_text("zorb\tHH AH0 L OW1\n")
    fixed = ["speak", "--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", "--max-seconds", "0.2"]
    hello = valle(*fixed, "--text", "Hello.", "-o", "-").out
    zorb = valle(*fixed, "--text", "Zorb.", "--lexicon", "names.txt", "-o", "-")
    assert zorb.code == 0
    assert zorb.out == hello != valle(*fixed, "--text", "Zorb.", "-o", "-").out
    plain = vallecli.load(tiny_checkpoint, device="cpu")
    given = vallecli.load(tiny_checkpoint, device="cpu", lexicon="names.txt")
    [expected], [piece] = (
        list(synthesizer.speak(text, synthesizer.voice(reference)))
        for synthesizer, text in ((plain, "Hello."), (given, "Zorb."))
    )
    np.testing.assert_array_equal(piece.codes_TQ, expected.codes_TQ)
    assert piece.text == "Zorb."


def test_speak_refuses_a_lexicon_before_it_reads_the_prompt(valle: Valle, tiny_checkpoint: Path) -> None:
    Path("names.txt").write_text("loch\t/lɒx/\n")
    ran = valle(
        *("speak", "--checkpoint", tiny_checkpoint, "--prompt", "none.wav"),
        *("--text", "Hi.", "--lexicon", "names.txt", "-o", "-"),
    )
    assert (ran.code, ran.out) == (3, b"")
    assert "names.txt, line 1: 'loch' cannot be pronounced: ARPAbet has no symbol for 'x'" in ran.err


def test_batch_makes_rows_again_when_the_lexicon_changes(valle: Valle, tiny_checkpoint: Path, reference: Path) -> None:
    Path("jobs.csv").write_text(f"text,prompt\nZorb.,{reference}\n")
    fixed = ["batch", "jobs.csv", "--out-dir", "out", "--checkpoint", tiny_checkpoint, "--max-seconds", "0.2"]

    def made(*options: str) -> tuple[int, str]:
        ran = valle(*fixed, "--seed", "1", *options)
        assert ran.code == 0, ran.err
        records = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
        return len(records), records[-1]["sha256"]

    plain = made()
    assert made() == plain
    Path("names.txt").write_text("zorb\tHH AH0 L OW1\n")
    count, first = made("--lexicon", "names.txt")
    assert (count, first != plain[1]) == (2, True)
    Path("copy.txt").write_text("zorb\tHH AH0 L OW1\n")
    assert made("--lexicon", "copy.txt") == (2, first)  # the same content
    Path("names.txt").write_text("zorb\tAA1\n")
    assert made("--lexicon", "names.txt")[0] == 3
    assert made() == (4, plain[1])
    Path("names.txt").write_text("zorb\tBX1\n")
    ran = valle(*fixed, "--lexicon", "names.txt")
    assert ran.code == 3
    assert "names.txt, line 1" in ran.err
