"""`valle speak` end to end with a tiny model: what it writes where, and how it refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

import vallecli
from vallecli import synthesizer
from vallecli.audio import play
from vallecli.cli.output import default_name, target
from vallecli.cli.take import read_text
from vallecli.constants import HOP, SAMPLE_RATE
from vallecli.families.valle import refine as nar
from vallecli.errors import UsageError
from vallecli.text.english.arpabet import ArpabetFrontEnd

if TYPE_CHECKING:
    from conftest import Ran, Valle

HELLO = ["--text", "Hello there."]
SHORT = ["--max-seconds", "0.2"]  # the tiny model seldom stops by itself


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle speak` with the tiny model, the reference recording and seed 1; later options win."""

    def run(*options: str | Path, stdin: bytes = b"") -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", *SHORT]
        return valle("speak", *fixed, *options, stdin=stdin)

    return run


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What it writes, and where


def test_a_file_is_named_after_prompt_and_text_and_its_path_is_all_of_stdout(speak, own_folder: Path) -> None:
    ran = speak(*HELLO)
    assert ran.code == 0
    assert ran.out == b"reference-hello-there.wav\n"
    info = soundfile.info(own_folder / "reference-hello-there.wav")
    assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
    assert info.frames == 15 * HOP  # 0.2 s at 75 frames a second
    assert files_in(own_folder) == ["reference-hello-there.wav"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hello, this is my voice.", "ref-hello-this-is-my-voice.wav"),
        ("Don't /etc/passwd ..", "ref-dont-etc-passwd.wav"),
        ("a" * 300, f"ref-{'a' * 40}.wav"),
        ("one two three four five six seven eight nine", "ref-one-two-three-four-five-six-seven-eight.wav"),
        ("Ça va?", "ref-ça-va.wav"),
    ],
)
def test_names_are_short_and_safe(text: str, name: str) -> None:
    assert default_name("some/where/ref.flac", text, "wav") == name


def test_one_line_on_stderr_tells_what_was_picked(speak) -> None:
    first = speak(*HELLO, "-o", "a.wav").err.splitlines()[0]
    assert first == "tiny on cpu in float32, seed 1"


def test_how_much_of_a_long_prompt_the_model_hears_is_told(speak, reference: Path) -> None:
    wav_N, rate = soundfile.read(reference)
    soundfile.write("long.wav", np.tile(wav_N, 3), rate)
    said = speak(*HELLO, "--prompt", "long.wav", "-o", "a.wav").err
    assert "of 12.0 s of speech in long.wav are used" in said
    assert "prompt: 0.9 s of long.wav" in said  # a checkpoint that hears one second


def test_quiet_says_nothing(speak) -> None:
    assert speak(*HELLO, "-q", "-o", "a.wav").err == ""


def test_verbose_tells_where_each_setting_came_from(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("VALLE_TOP_K", "20")
    (own_folder / "valle.toml").write_text("temperature = 0.9\n")
    said = speak(*HELLO, "-v", "-o", "a.wav").err
    assert "top_k 20 (VALLE_TOP_K)" in said
    assert "temperature 0.9 (valle.toml)" in said
    assert "seed 1 (--seed)" in said
    assert "device auto (default)" in said
    assert "sentence 1: 0.2 s, max_frames" in said


def test_a_sentence_that_does_not_end_by_itself_is_told(speak) -> None:
    assert "did not end by itself" in speak(*HELLO, "-o", "a.wav").err


def test_piped_wav_holds_the_samples_of_the_file(speak, own_folder: Path) -> None:
    text = ["--text", "One is here. Two is there."]
    speak(*text, "-o", "a.wav")
    piped = speak(*text, "-o", "-")
    from_pipe, rate = soundfile.read(io.BytesIO(piped.out), dtype="int16")
    from_file, _ = soundfile.read(own_folder / "a.wav", dtype="int16")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(from_pipe, from_file)
    assert files_in(own_folder) == ["a.wav"]


def test_raw_is_the_samples_without_a_header(speak, own_folder: Path) -> None:
    speak(*HELLO, "-o", "a.wav")
    piped = speak(*HELLO, "-o", "-", "--format", "raw").out
    samples, _ = soundfile.read(own_folder / "a.wav", dtype="int16")
    assert piped == samples.astype("<i2").tobytes()
    speak(*HELLO, "-o", "a.raw")
    assert (own_folder / "a.raw").read_bytes() == piped


@pytest.mark.parametrize(("options", "form"), [(["-o", "a.flac"], "FLAC"), (["-o", "a", "--format", "ogg"], "OGG")])
def test_other_formats(speak, own_folder: Path, options: list[str], form: str) -> None:
    assert speak(*HELLO, *options).code == 0
    assert soundfile.info(own_folder / options[1]).format == form


def test_format_without_a_name_gives_the_ending(speak) -> None:
    assert speak(*HELLO, "--format", "flac").out == b"reference-hello-there.flac\n"


def test_json_tells_all_there_is_to_know(speak, tiny_checkpoint: Path) -> None:
    ran = speak("--text", "One is here. Two is there.", "--json", "-o", "a.wav")
    told = json.loads(ran.out)
    assert told["path"] == "a.wav"
    assert told["frames"] == 30
    assert told["seconds"] == pytest.approx(30 / 75 + synthesizer.PAUSE)
    assert [piece["stop_reason"] for piece in told["pieces"]] == ["max_frames"] * 2
    assert (told["seed"], told["checkpoint"], told["sample_rate"]) == (1, "tiny", SAMPLE_RATE)
    assert (told["device"], told["dtype"]) == ("cpu", "float32")
    assert told["real_time_factor"] > 0
    assert told["time_to_first_audio"] > 0


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_codes_are_saved(speak, own_folder: Path, ending: str) -> None:
    assert speak("--text", "One is here. Two is there.", "-o", "a.wav", "--save-codes", f"a.{ending}").code == 0
    saved = np.load(own_folder / f"a.{ending}")
    codes = saved if ending == "npy" else saved["codes"]
    assert codes.shape == (30, 8)
    assert codes.dtype == np.int16
    if ending == "npz":
        assert saved["frames"].tolist() == [15, 15]
    assert files_in(own_folder) == [f"a.{ending}", "a.wav"]


def test_play_hands_the_whole_audio_to_a_player(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    played: list[Any] = []
    monkeypatch.setattr(play, "find_player", lambda: ["player"])
    monkeypatch.setattr(play, "play", lambda wav, *, player: played.append(wav))
    assert speak(*HELLO, "--play", "-o", "a.wav").code == 0
    assert len(played[0]) == soundfile.info(own_folder / "a.wav").frames


def test_other_languages_tell_what_was_heard_and_left_out(
    speak, vallex_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer.listening, "transcribe", lambda wav_N: "What I said.")
    ran = speak(
        "--checkpoint", vallex_checkpoint, "--transcribe", "--text", "你好。", "--language", "zh", "-o", "a.wav"
    )
    assert ran.code == 0
    assert "the prompt says: What I said." in ran.err
    ran = speak("--checkpoint", vallex_checkpoint, *HELLO, "-o", "b.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert "--transcribe" in ran.err


def test_a_note_on_a_sentence_is_told(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = ArpabetFrontEnd.encode
    monkeypatch.setattr(
        ArpabetFrontEnd, "encode", lambda *text, **options: replace(encode(*text, **options), notes=("left out: (",))
    )
    assert "sentence 1: left out: (" in speak(*HELLO, "-o", "a.wav").err


# Where the text comes from


def test_the_same_text_from_anywhere_is_the_same_audio(speak, own_folder: Path) -> None:
    (own_folder / "text.txt").write_bytes("\ufeffHello there.\r\n".encode())
    takes = [
        speak("--text", "Hello there.", "-o", "-").out,
        speak("--text-file", "text.txt", "-o", "-").out,
        speak("--text-file", "-", "-o", "-", stdin=b"Hello there.\n").out,
        speak("-o", "-", stdin=b"Hello there.").out,
    ]
    assert len(takes[0]) > 1000
    assert len(set(takes)) == 1


def test_a_terminal_is_no_text_and_takes_no_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(UsageError, match="no text"):
        read_text(None, None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(UsageError, match="terminal"):
        target("-", None, prompt="a.wav", text="Hi", force=False)


def test_only_one_text(speak) -> None:
    ran = speak(*HELLO, "--text-file", "x.txt")
    assert ran.code == 2
    assert "Leave one of them out" in ran.err


# Chance


def test_the_same_seed_gives_the_same_bytes_and_another_another_take(speak) -> None:
    first, again, other = (speak(*HELLO, "-o", "-", "--seed", seed).out for seed in "778")
    assert first == again
    assert first != other


def test_without_a_seed_each_take_is_another_and_can_be_made_again(speak, valle: Valle, tiny_checkpoint, reference):
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, *HELLO, *SHORT, "-o", "-"]
    first, second = valle("speak", *options), valle("speak", *options)
    assert first.out != second.out
    seed = first.err.splitlines()[0].rsplit(" ", 1)[1]
    assert valle("speak", *options, "--seed", seed).out == first.out


def test_greedy_needs_no_chance(speak) -> None:
    first, other = (speak(*HELLO, "-o", "-", "--greedy", "--seed", seed).out for seed in "78")
    assert first == other


# Refusals: each has one message, its exit code, nothing on stdout, and leaves no file


REFUSED_TEXTS = {
    "empty": b"",
    "blank": b" \n\t ",
    "punctuation": b"... ?! -- ,",
    "emoji": "\U0001f600\U0001f680".encode(),
    "control": b"\x00\x07\x1b\x7f",
}


@pytest.mark.parametrize("text", REFUSED_TEXTS.values(), ids=REFUSED_TEXTS)
def test_a_text_without_words(speak, own_folder: Path, text: bytes) -> None:
    ran = speak(stdin=text)
    assert ran.code == 3
    assert "no words" in ran.err
    assert ran.out == b""
    assert files_in(own_folder) == []


def test_bytes_that_are_not_utf8(speak, own_folder: Path) -> None:
    ran = speak(stdin="café".encode("latin1"))
    assert (ran.code, ran.out) == (3, b"")
    assert "stdin is not UTF-8" in ran.err
    (own_folder / "t.txt").write_bytes(b"\xff\xfeh\x00")
    assert "t.txt is not UTF-8" in speak("--text-file", "t.txt").err
    assert speak("--text", "caf\udce9").code == 3


def test_emoji_and_control_characters_beside_words_are_passed_over(speak) -> None:
    plain = speak("--text", "Hello there.", "-o", "-")
    odd = speak("--text", "Hello\x07 there.\x1b \U0001f600", "-o", "-")
    assert odd.code == 0
    assert len(odd.out) == len(plain.out)


def test_a_missing_text_file(speak) -> None:
    ran = speak("--text-file", "nothing.txt")
    assert ran.code == 3
    assert "nothing.txt" in ran.err


def sound(samples: Any, rate: int = 24_000, **options: Any) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, format="WAV", **options)


BUZZ = np.sign(np.sin(np.arange(24_000 * 4) / 30)) * 0.3
BAD_PROMPTS = {
    "missing": (lambda path: None, "ref.wav"),
    "folder": (lambda path: path.mkdir(), "ref.wav"),
    "empty": (lambda path: path.write_bytes(b""), "ref.wav"),
    "not audio": (lambda path: path.write_text("not a sound\n" * 100), "not readable as audio"),
    "silent": (sound(np.zeros(48_000)), "silent"),
    "0.2 s": (sound(BUZZ[:4800]), "at least"),
    "nan": (sound(np.full(48_000, np.nan), subtype="FLOAT"), "NaN"),
}


@pytest.mark.parametrize(("make", "said"), BAD_PROMPTS.values(), ids=BAD_PROMPTS)
def test_a_prompt_that_cannot_be_used(speak, own_folder: Path, make, said: str) -> None:
    make(own_folder / "ref.wav")
    before = files_in(own_folder)
    ran = speak(*HELLO, "--prompt", "ref.wav", "-o", "a.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert said in ran.err
    assert files_in(own_folder) == before


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(8_000, 1, "PCM_U8"), (192_000, 1, "PCM_24"), (44_100, 6, "PCM_16")]
)
def test_unusual_recordings_are_fine(speak, own_folder: Path, rate: int, channels: int, subtype: str) -> None:
    samples = np.repeat(BUZZ[: rate * 4, None], channels, axis=1) if rate > 24_000 else BUZZ[: rate * 4, None]
    samples = np.tile(samples, (-(-rate * 2 // len(samples)), 1))
    sound(samples, rate, subtype=subtype)(own_folder / "ref.wav")
    assert speak(*HELLO, "--prompt", "ref.wav", "-o", "a.wav").code == 0


def test_an_existing_output_is_kept_unless_forced(speak, own_folder: Path) -> None:
    kept = own_folder / "a.wav"
    kept.write_text("mine")
    ran = speak(*HELLO, "-o", "a.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert "--force" in ran.err
    assert kept.read_text() == "mine"
    assert speak(*HELLO, "-o", "a.wav", "--force").code == 0
    assert soundfile.info(kept).frames > 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-o", "none/a.wav"], 3, "none"),
        (["-o", "."], 3, "folder"),
        (["-o", "a.mp5"], 2, ".mp5"),
        (["-o", "a.wav", "--format", "flac"], 2, "--format"),
        (["--format", "wave"], 2, "Did you mean wav?"),
        (["-o", "-", "--json"], 2, "stdout"),
        (["-o", "a.wav", "--save-codes", "a.txt"], 2, ".npy"),
        (["-o", "a.wav", "--save-codes", "none/a.npy"], 3, "none"),
        (["--checkpoint", "nanno"], 4, "Did you mean nano?"),
        (["--device", "cdua"], 2, "cuda"),
        (["--device", "cuda:99"], 5, "cpu"),
        (["--dtype", "float23"], 2, "float32"),
        (["--temperature", "0"], 2, "above 0"),
        (["--top-p", "1.5"], 2, "at most 1"),
        (["--seed", "-1"], 2, "from 0"),
        (["--language", "klingon"], 2, "It knows: en."),
        (["--accent", "zh"], 2, "It knows: en."),
        (["--prompt", "none.npz"], 3, "not a VALL-E X preset"),
        (["--decoder", "vocos"], 2, "cannot be decoded by 'vocos'"),
        (["--symbols", "none.txt"], 4, "none.txt"),
        (["--prefix-mode", "3"], 2, "0, 1, 2 or 4"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_refused(speak, own_folder: Path, options: list[str], code: int, said: str) -> None:
    ran = speak(*HELLO, *options)
    assert (ran.code, ran.out) == (code, b"")
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 3
    assert files_in(own_folder) == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_checkpoint(speak, tiny_checkpoint: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in tiny_checkpoint.iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[: len(content) // 2] if path.name == name else content)
    ran = speak(*HELLO, "--checkpoint", folder)
    assert (ran.code, ran.out) == (4, b"")
    assert name in ran.err


def test_refusals_come_before_the_model_is_loaded(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setattr(synthesizer.Synthesizer, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    (own_folder / "there.wav").touch()
    for options in [["-o", "there.wav"], ["--prompt", "none.wav"], ["--text", "?!"], ["--save-codes", "x/y.npy"]]:
        assert speak(*HELLO, *options).code == 3


def test_an_interrupt_leaves_no_file(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nar, "refine_many", interrupt)
    ran = speak(*HELLO, "-o", "a.wav")
    assert (ran.code, ran.out) == (130, b"")
    assert "interrupted" in ran.err
    assert files_in(own_folder) == []


def test_ten_thousand_words(speak, tiny_checkpoint: Path, tmp_path: Path) -> None:
    roomy = Path(shutil.copytree(tiny_checkpoint, tmp_path / "roomy"))
    config = (roomy / "config.json").read_text()
    (roomy / "config.json").write_text(config.replace('"max_text_chars": 110', '"max_text_chars": 300'))
    text = ("the cat sat on the mat by the old door, " * 6 + "until the sun was low. ") * 154
    options = ["--checkpoint", roomy, "--max-seconds", "0.02", "--json", "-o", "a.wav"]
    told = json.loads(speak(*options, stdin=text.encode()).out)
    assert sum(len(piece["text"].split()) for piece in told["pieces"]) == 65 * 154
    assert told["frames"] == len(told["pieces"]) == 154  # 0.02 s are one frame


# In a process of its own


def start(*options: str | Path, **pipes: Any) -> subprocess.Popen[bytes]:
    source = str(Path(vallecli.__file__).parent.parent)  # absolute: the tests run in folders of their own
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen([sys.executable, "-m", "vallecli", "speak", *options], env=environment, **pipes)


def test_a_reader_that_goes_away_ends_it_quietly(tiny_checkpoint: Path, reference: Path) -> None:
    text = "One is here. " * 300
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "-q", "-o", "-", "--text", text]
    with start(*options, *SHORT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(100)) == 100
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("number", "code", "told"), [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 143, b"")]
)
def test_a_signal_ends_it_and_leaves_no_file(
    number: signal.Signals, code: int, told: bytes, tiny_checkpoint: Path, reference: Path, own_folder: Path
) -> None:
    text = "One is here. " * 3000
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", "-o", "a.wav", "--text", text]
    with start(*options, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"tiny on cpu in float32, seed 1\n"
        process.send_signal(number)
        assert process.stderr.read() == told
    assert process.returncode == code
    assert files_in(own_folder) == []
