"""`valle speak` end to end with a tiny model: outputs, messages and errors."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import torch

import vallecli
from vallecli import synthesizer
from vallecli.audio import effects, play
from vallecli.cli import speak_run
from vallecli.cli.output import default_name, target
from vallecli.cli.speak_run import read_text
from vallecli.errors import UsageError
from vallecli.families.valle import refine
from vallecli.text.arpabet import ArpabetFrontEnd

if TYPE_CHECKING:
    from conftest import Ran, Valle

SAMPLE_RATE, HOP = 24_000, 320  # of the tiny model, which is nano's
HELLO = ["--text", "Hello there."]
SHORT = ["--max-seconds", "0.2"]  # the tiny model rarely ends by itself


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle speak` with the tiny model, the reference recording and seed 1; later options win."""

    def run(*options: str | Path, stdin: bytes = b"") -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", *SHORT]
        return valle("speak", *fixed, *options, stdin=stdin)

    return run


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Outputs


def test_the_file_is_named_after_prompt_and_text_and_stdout_is_its_path(speak, own_folder: Path) -> None:
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
    assert default_name("some/where/ref.flac", text, ".wav") == name


def test_the_first_message_names_checkpoint_device_precision_and_seed(speak) -> None:
    first = speak(*HELLO, "-o", "a.wav").err.splitlines()[0]
    assert first == "tiny on cpu in float32, seed 1"


def test_the_used_part_of_a_long_prompt_is_reported(speak, reference: Path) -> None:
    wav_N, rate = soundfile.read(reference)
    soundfile.write("long.wav", np.tile(wav_N, 3), rate)
    messages = speak(*HELLO, "--prompt", "long.wav", "-o", "a.wav").err
    assert "the first 0.9 s of 12.0 s of speech in long.wav are used" in messages  # the checkpoint uses one second
    assert messages.count("long.wav") == 1


def test_quiet_prints_nothing(speak) -> None:
    assert speak(*HELLO, "-q", "-o", "a.wav").err == ""


def test_verbose_prints_the_source_of_each_setting(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("VALLE_TOP_K", "20")
    (own_folder / "valle.toml").write_text("temperature = 0.9\n")
    messages = speak(*HELLO, "-v", "-o", "a.wav").err
    assert "top_k 20 (VALLE_TOP_K)" in messages
    assert "temperature 0.9 (valle.toml)" in messages
    assert "seed 1 (--seed)" in messages
    assert "device auto (default)" in messages
    assert "sentence 1: 0.2 s, max_frames" in messages


def test_a_sentence_that_does_not_end_by_itself_is_reported(speak) -> None:
    assert "did not end by itself" in speak(*HELLO, "-o", "a.wav").err


def test_a_piped_wav_has_the_samples_of_the_file(speak, own_folder: Path) -> None:
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


def test_the_format_decides_the_ending_of_a_default_name(speak) -> None:
    assert speak(*HELLO, "--format", "flac").out == b"reference-hello-there.flac\n"


def test_json(speak, tiny_checkpoint: Path) -> None:
    ran = speak("--text", "One is here. Two is there.", "--json", "-o", "a.wav")
    summary = json.loads(ran.out)
    assert summary["path"] == "a.wav"
    assert summary["frames"] == 30
    assert summary["seconds"] == pytest.approx(30 / 75 + synthesizer.PAUSE_SECONDS)
    assert [piece["stop_reason"] for piece in summary["pieces"]] == ["max_frames"] * 2
    assert (summary["seed"], summary["checkpoint"], summary["sample_rate"]) == (1, "tiny", SAMPLE_RATE)
    assert (summary["device"], summary["dtype"]) == ("cpu", "float32")
    assert summary["real_time_factor"] > 0
    assert summary["time_to_first_audio"] > 0


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


def test_play(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    played: list[tuple[int, int]] = []
    monkeypatch.setattr(play, "find_player", lambda: ["player"])
    monkeypatch.setattr(play, "play", lambda wav_N, rate, *, player: played.append((len(wav_N), rate)))
    assert speak(*HELLO, "--play", "-o", "a.wav").code == 0
    assert played == [(soundfile.info(own_folder / "a.wav").frames, SAMPLE_RATE)]


def test_transcribe_prints_the_transcript_and_its_absence_names_the_option(
    speak, vallex_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer.asr, "transcribe", lambda wav_N, sample_rate: "What I said.")
    ran = speak(
        "--checkpoint", vallex_checkpoint, "--transcribe", "--text", "你好。", "--language", "zh", "-o", "a.wav"
    )
    assert ran.code == 0
    assert "transcript of the prompt: What I said." in ran.err
    ran = speak("--checkpoint", vallex_checkpoint, *HELLO, "-o", "b.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert "--transcribe" in ran.err


def test_notes_on_a_sentence_are_printed(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = ArpabetFrontEnd.encode
    monkeypatch.setattr(
        ArpabetFrontEnd, "encode", lambda *text, **options: replace(encode(*text, **options), notes=("left out: (",))
    )
    assert "sentence 1: left out: (" in speak(*HELLO, "-o", "a.wav").err


# Sample rates


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_header_and_json_have_the_requested_sample_rate(speak, rate: int, ending: str) -> None:
    ran = speak(*HELLO, "--sample-rate", str(rate), "--json", "-o", f"a.{ending}")
    assert ran.code == 0, ran.err
    summary, info = json.loads(ran.out), soundfile.info(f"a.{ending}")
    assert info.samplerate == summary["sample_rate"] == rate
    assert info.frames == 15 * HOP * rate // SAMPLE_RATE
    assert summary["seconds"] == pytest.approx(info.frames / rate, abs=0.001)
    assert summary["frames"] == 15  # of the models


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_sample_rates_have_the_same_audio(speak, rate: int) -> None:
    text = ["--text", "One is here. Two is there."]
    speak(*text, "-o", "a.wav")
    speak(*text, "--sample-rate", str(rate), "-o", "b.wav", "--save-codes", "b.npy")
    piped = speak(*text, "--sample-rate", str(rate), "-o", "-").out
    (plain_N, _), (resampled_M, header_rate) = soundfile.read("a.wav"), soundfile.read("b.wav", dtype="float32")
    from_pipe_M, pipe_rate = soundfile.read(io.BytesIO(piped), dtype="float32")
    assert header_rate == pipe_rate == rate
    np.testing.assert_array_equal(from_pipe_M, resampled_M)
    back_N = effects.resample(resampled_M, rate, SAMPLE_RATE)
    assert abs(len(back_N) - len(plain_N)) <= 2
    low_N = effects.resample(effects.resample(plain_N.astype(np.float32), SAMPLE_RATE, 8_000), 8_000, SAMPLE_RATE)
    low_back_N = effects.resample(effects.resample(back_N, SAMPLE_RATE, 8_000), 8_000, SAMPLE_RATE)
    length = min(len(low_N), len(low_back_N))
    assert np.corrcoef(low_N[:length], low_back_N[:length])[0, 1] > 0.99  # below 4 kHz, where all rates have it
    assert np.load("b.npy").shape == (30, 8)


def test_the_sample_rate_can_be_a_setting(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    (own_folder / "valle.toml").write_text("sample_rate = 44100\n")
    assert speak(*HELLO, "-o", "a.wav").code == 0
    assert soundfile.info("a.wav").samplerate == 44_100
    monkeypatch.setenv("VALLE_SAMPLE_RATE", "16000")
    assert "sample_rate 16000 (VALLE_SAMPLE_RATE)" in speak(*HELLO, "-v", "-o", "b.wav").err
    assert soundfile.info("b.wav").samplerate == 16_000


def test_play_gets_the_requested_sample_rate(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[int, int]] = []
    monkeypatch.setattr(play, "find_player", lambda: ["player"])
    monkeypatch.setattr(play, "play", lambda wav_N, rate, *, player: played.append((len(wav_N), rate)))
    assert speak(*HELLO, "--play", "--sample-rate", "16000", "-o", "a.wav").code == 0
    assert played == [(soundfile.info("a.wav").frames, 16_000)]


# Loader options


def test_a_loader_option_overrides_what_the_checkpoint_stores(speak) -> None:
    plain, same, other = (
        speak(*HELLO, "-o", "-", *options) for options in [[], ["--option", "heads=2"], ["--option", "heads=1"]]
    )
    assert plain.code == same.code == other.code == 0
    assert plain.out == same.out != other.out
    assert speak(*HELLO, "-o", "-", "--option", "heads=1", "--option", "prefix-mode=0").code == 0


@pytest.mark.parametrize(("flag", "name", "value"), [("--heads", "heads", "1"), ("--prefix-mode", "prefix_mode", "0")])
def test_deprecated_flags_work_and_print_a_note(speak, flag: str, name: str, value: str) -> None:
    new = speak(*HELLO, "-o", "-", "--option", f"{name}={value}")
    old = speak(*HELLO, "-o", "-", flag, value)
    note = f"{flag} is deprecated and will be removed; use: --option {name}={value}"
    assert new.code == old.code == 0
    assert old.out == new.out
    assert old.err.splitlines()[0] == note
    assert old.err.splitlines()[1:] == new.err.splitlines()
    assert "deprecated" not in new.err


def test_deprecated_flags_are_not_in_the_help(valle: Valle) -> None:
    for command in ("speak", "batch"):
        shown = valle(command, "--help").out.decode()
        assert "--option" in shown
        assert not any(flag in shown for flag in ("--heads", "--prefix-mode", "--symbols"))


@pytest.mark.parametrize("name", ["top-n-sigma", "top-k"])
def test_filters_of_the_sampling_have_an_effect(speak, name: str) -> None:
    plain, other = speak(*HELLO, "-o", "-"), speak(*HELLO, "-o", "-", f"--{name}", "1")
    assert plain.code == other.code == 0
    assert plain.out != other.out


# Text


def test_all_sources_of_the_text_give_the_same_audio(speak, own_folder: Path) -> None:
    (own_folder / "text.txt").write_bytes("\ufeffHello there.\r\n".encode())
    outputs = [
        speak("--text", "Hello there.", "-o", "-").out,
        speak("--text-file", "text.txt", "-o", "-").out,
        speak("--text-file", "-", "-o", "-", stdin=b"Hello there.\n").out,
        speak("-o", "-", stdin=b"Hello there.").out,
    ]
    assert len(outputs[0]) > 1000
    assert len(set(outputs)) == 1


def test_text_and_audio_cannot_be_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(UsageError, match="no text"):
        read_text(None, None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(UsageError, match="terminal"):
        target("-", None, prompt="a.wav", text="Hi", force=False, sample_rate=None)


def test_two_texts_are_refused(speak) -> None:
    ran = speak(*HELLO, "--text-file", "x.txt")
    assert ran.code == 2
    assert "Leave one of them out" in ran.err


# Seeds


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_bytes(speak) -> None:
    first, again, other = (speak(*HELLO, "-o", "-", "--seed", seed).out for seed in "778")
    assert first == again
    assert first != other


def test_a_random_seed_is_printed_and_gives_the_same_bytes(speak, valle: Valle, tiny_checkpoint, reference):
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, *HELLO, *SHORT, "-o", "-"]
    first, second = valle("speak", *options), valle("speak", *options)
    assert first.out != second.out
    seed = first.err.splitlines()[0].rsplit(" ", 1)[1]
    assert valle("speak", *options, "--seed", seed).out == first.out


def test_greedy_does_not_depend_on_the_seed(speak) -> None:
    first, other = (speak(*HELLO, "-o", "-", "--greedy", "--seed", seed).out for seed in "78")
    assert first == other


# Errors: each has one message and its exit code, nothing on stdout, and leaves no file


TEXTS_WITHOUT_WORDS = {
    "empty": b"",
    "blank": b" \n\t ",
    "punctuation": b"... ?! -- ,",
    "emoji": "\U0001f600\U0001f680".encode(),
    "control": b"\x00\x07\x1b\x7f",
}


@pytest.mark.parametrize("text", TEXTS_WITHOUT_WORDS.values(), ids=TEXTS_WITHOUT_WORDS)
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
    (own_folder / "t.txt").write_bytes(b"It\x92s fine. We\x92re here.")
    ran = speak("--text-file", "t.txt")
    assert (ran.code, ran.out) == (3, b"")
    assert "t.txt is not UTF-8 text, but probably windows-1252" in ran.err
    assert "Convert it: iconv -f windows-1252 -t utf-8" in ran.err
    assert speak("--text", "caf\udce9").code == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_text_files_with_a_byte_order_mark_are_the_same_text(speak, own_folder: Path, encoding: str) -> None:
    (own_folder / "t.txt").write_bytes("Hello there.".encode(encoding))
    assert speak("--text-file", "t.txt", "-o", "-").out == speak("--text", "Hello there.", "-o", "-").out


def test_emoji_and_control_characters_between_words_are_ignored(speak) -> None:
    plain = speak("--text", "Hello there.", "-o", "-")
    odd = speak("--text", "Hello\x07 there.\x1b \U0001f600", "-o", "-")
    assert odd.code == 0
    assert len(odd.out) == len(plain.out)


def test_a_missing_text_file(speak) -> None:
    ran = speak("--text-file", "nothing.txt")
    assert ran.code == 3
    assert "nothing.txt" in ran.err


def writes(samples: Any, rate: int = 24_000, **options: Any) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, format="WAV", **options)


BUZZ = np.sign(np.sin(np.arange(24_000 * 4) / 30)) * 0.3
BAD_PROMPTS = {
    "missing": (lambda path: None, "ref.wav"),
    "folder": (lambda path: path.mkdir(), "ref.wav"),
    "empty": (lambda path: path.write_bytes(b""), "ref.wav"),
    "not audio": (lambda path: path.write_text("not a sound\n" * 100), "not readable as audio"),
    "silent": (writes(np.zeros(48_000)), "silent"),
    "0.2 s": (writes(BUZZ[:4800]), "at least"),
    "nan": (writes(np.full(48_000, np.nan), subtype="FLOAT"), "NaN"),
}


@pytest.mark.parametrize(("make", "message"), BAD_PROMPTS.values(), ids=BAD_PROMPTS)
def test_a_prompt_that_cannot_be_used(speak, own_folder: Path, make, message: str) -> None:
    make(own_folder / "ref.wav")
    before = files_in(own_folder)
    ran = speak(*HELLO, "--prompt", "ref.wav", "-o", "a.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert message in ran.err
    assert files_in(own_folder) == before


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(8_000, 1, "PCM_U8"), (192_000, 1, "PCM_24"), (44_100, 6, "PCM_16")]
)
def test_unusual_recordings(speak, own_folder: Path, rate: int, channels: int, subtype: str) -> None:
    samples = np.repeat(BUZZ[: rate * 4, None], channels, axis=1) if rate > 24_000 else BUZZ[: rate * 4, None]
    samples = np.tile(samples, (-(-rate * 2 // len(samples)), 1))
    writes(samples, rate, subtype=subtype)(own_folder / "ref.wav")
    assert speak(*HELLO, "--prompt", "ref.wav", "-o", "a.wav").code == 0


def test_a_missing_optional_package_exits_with_7(
    speak, transcript_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    ran = speak(*HELLO, "--checkpoint", transcript_checkpoint, "--transcribe", "-o", "a.wav")
    assert (ran.code, ran.out) == (7, b"")
    assert 'Run: pip install "vallecli[asr]"' in ran.err
    assert files_in(own_folder) == []


def test_a_missing_player_exits_with_7(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("PATH", str(own_folder))
    ran = speak(*HELLO, "--play", "-o", "a.wav")
    assert (ran.code, ran.out) == (7, b"")
    assert "there is no audio player" in ran.err
    assert files_in(own_folder) == []


def test_an_existing_output_is_kept_without_force(speak, own_folder: Path) -> None:
    kept = own_folder / "a.wav"
    kept.write_text("mine")
    ran = speak(*HELLO, "-o", "a.wav")
    assert (ran.code, ran.out) == (3, b"")
    assert "--force" in ran.err
    assert kept.read_text() == "mine"
    assert speak(*HELLO, "-o", "a.wav", "--force").code == 0
    assert soundfile.info(kept).frames > 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
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
        (["--prompt", "none.npz"], 3, "is not a voice preset"),
        (["--decoder", "vocos"], 2, "cannot be decoded by 'vocos'"),
        (["--option", "symbols=none.txt"], 4, "none.txt"),
        (["--option", "prefix_mode=3"], 2, "It should be one of 0, 1, 2, 4."),
        (["--option", "heads=many"], 2, "It should be a whole number of at least 1."),
        (["--option", "heads=0"], 2, "It should be a whole number of at least 1."),
        (["--option", "haeds=2"], 2, "Did you mean heads?"),
        (["--option", "heads"], 2, "It should be NAME=VALUE"),
        (["--option", "heads="], 2, "It should be NAME=VALUE"),
        (["--option", "=2"], 2, "It should be NAME=VALUE"),
        (["--option", "heads=2", "--option", "heads=2"], 2, "heads is given twice"),
        (["--heads", "2", "--option", "heads=2"], 2, "heads is given twice"),
        (["--heads", "0"], 2, "of at least 1"),
        (["--top-n-sigma", "-1"], 2, "from 0"),
        (["--sample-rate", "100"], 2, "from 4000 to 192000"),
        (["--sample-rate", "192001"], 2, "from 4000 to 192000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_invalid_options_are_refused(speak, own_folder: Path, options: list[str], code: int, message: str) -> None:
    ran = speak(*HELLO, *options)
    assert (ran.code, ran.out) == (code, b"")
    assert message in ran.err
    assert len(ran.err.splitlines()) <= 4
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


@pytest.mark.parametrize("make", ["foreign folder", "foreign file", "text file", "damaged"])
def test_a_bad_checkpoint_is_refused_before_the_prompt_is_read(
    speak, own_folder: Path, tiny_checkpoint: Path, make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("checkpoint")
    if make == "text file":
        path.write_text("not weights")
    elif make == "foreign file":
        torch.save({"something.weight": torch.zeros(2)}, path)
    elif make == "foreign folder":
        path.mkdir()
        (path / "config.json").write_text('{"architectures": ["SomethingElse"]}')
    else:
        shutil.copytree(tiny_checkpoint, path)
        (path / "model.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(speak_run, "read_prompt", lambda *_: pytest.fail("the prompt was read"))
    ran = speak(*HELLO, "--checkpoint", path, "--prompt", "none.wav")
    assert (ran.code, ran.out) == (4, b"")
    assert "checkpoint" in ran.err
    assert "none.wav" not in ran.err
    if make.startswith("foreign"):
        assert "is not a checkpoint in a known format" in ran.err
        assert "Known formats: native, " in ran.err
    assert files_in(own_folder) == ["checkpoint"]


def test_errors_come_before_the_model_is_loaded(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setattr(synthesizer.Synthesizer, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    (own_folder / "there.wav").touch()
    for options in [["-o", "there.wav"], ["--prompt", "none.wav"], ["--text", "?!"], ["--save-codes", "x/y.npy"]]:
        assert speak(*HELLO, *options).code == 3


def test_an_interrupt_leaves_no_file(speak, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(refine, "refine_many", interrupt)
    ran = speak(*HELLO, "-o", "a.wav")
    assert (ran.code, ran.out) == (130, b"")
    assert "interrupted" in ran.err
    assert files_in(own_folder) == []


def test_ten_thousand_words(speak, tiny_checkpoint: Path, tmp_path: Path) -> None:
    long_sentences = Path(shutil.copytree(tiny_checkpoint, tmp_path / "long_sentences"))
    config = (long_sentences / "config.json").read_text()
    (long_sentences / "config.json").write_text(config.replace('"max_text_chars": 110', '"max_text_chars": 300'))
    text = ("the cat sat on the mat by the old door, " * 6 + "until the sun was low. ") * 154
    options = ["--checkpoint", long_sentences, "--max-seconds", "0.02", "--json", "-o", "a.wav"]
    summary = json.loads(speak(*options, stdin=text.encode()).out)
    assert sum(len(piece["text"].split()) for piece in summary["pieces"]) == 65 * 154
    assert summary["frames"] == len(summary["pieces"]) == 154  # 0.02 s is one frame


# In a separate process


@contextmanager
def start(*options: str | Path, **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    source = str(Path(vallecli.__file__).parent.parent)  # absolute: tests run in other folders
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen([sys.executable, "-m", "vallecli", "speak", *options], env=environment, **pipes) as process:
        try:
            yield process
        except BaseException:  # else it would be waited for
            process.kill()
            raise


def test_a_closed_pipe_ends_it_without_message(tiny_checkpoint: Path, reference: Path) -> None:
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
    ("number", "code", "message"),
    [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 143, b""), (signal.SIGHUP, 129, b"")],
)
def test_a_signal_ends_it_without_a_file(
    number: signal.Signals, code: int, message: bytes, tiny_checkpoint: Path, reference: Path, own_folder: Path
) -> None:
    text = "One is here. " * 3000
    options = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", "-o", "a.wav", "--text", text]
    with start(*options, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"tiny on cpu in float32, seed 1\n"
        process.send_signal(number)
        used = b"the first 0.9 s of 4.0 s of speech in %s are used\n" % bytes(reference)  # if it came before the signal
        assert process.stderr.read() in (message, used + message)
    assert process.returncode == code
    assert files_in(own_folder) == []
