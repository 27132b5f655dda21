"""Arguments, files and surroundings that are absurd or malicious: a message and an exit code, never a bug or a hang."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vallecli import inputs
from vallecli.cli import app, speak_run
from vallecli.jobs import dialects
from vallecli.jobs.records import Failure, Record
from vallecli.settings import config_folder

if TYPE_CHECKING:
    from conftest import Ran, Valle

BUG = 1
SHORT = ["--max-seconds", "0.1"]
ESCAPE = "\x1b[31m"
CODES = (0, 2, 3, 4, 5, 6, 7)  # 1 is a bug


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for programs that write to pipes: there are none."""
    monkeypatch.setattr(inputs, "WAIT_FOR_WRITER", 0.01)


@pytest.fixture
def speak(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle speak` with the tiny model, the reference recording and seed 1; later options win."""

    def run(*options: str | Path, stdin: bytes = b"") -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--seed", "1", *SHORT, "-o", "o.wav"]
        return valle("speak", *fixed, *options, stdin=stdin)

    return run


@pytest.fixture
def batch(valle: Valle, tiny_checkpoint: Path, reference: Path) -> Callable[..., Ran]:
    """Run `valle batch` with the tiny model and the reference recording; a table that is not given is a single text."""

    def run(*options: str | Path, stdin: bytes = b"text\nHi.\n") -> Ran:
        fixed = ["--checkpoint", tiny_checkpoint, "--prompt", reference, "--out-dir", "out", *SHORT]
        return valle("batch", *fixed, *options, stdin=stdin)

    return run


# Numbers


def numeric() -> Iterator[tuple[str, str]]:
    """Yield (command, option) for each option that is a number."""
    group: Any = app.commands()
    commands = [(name, command) for name, command in group.commands.items() if not hasattr(command, "commands")]
    commands += [(f"checkpoints {name}", command) for name, command in group.commands["checkpoints"].commands.items()]
    for name, command in commands:
        for parameter in command.params:
            if parameter.type_descriptor.annotation in (int, float):
                yield name, parameter.opts[0]


ABSURD = (str(10**19), "9" * 5000, "1" + "0" * 400, "nan", "-inf", "-1", "0", "1e-320", "", ESCAPE)
NUMERIC = list(numeric())


def test_all_commands_are_searched_for_numbers() -> None:
    assert {("speak", "--top-k"), ("batch", "--slots"), ("bench", "--frames"), ("speak", "--seed")} <= set(NUMERIC)
    assert len(NUMERIC) > 25


@pytest.mark.parametrize(("command", "option"), NUMERIC)
def test_an_absurd_number_is_no_bug(speak, batch, valle: Valle, command: str, option: str) -> None:
    for value in ABSURD:
        if option == "--max-seconds" and value in (str(10**19), "1" + "0" * 400):
            continue  # valid: the tiny model speaks until its own limit
        written = f"{option}={value}"
        if command == "speak":
            ran = speak("--text", "Hi.", "--force", written)
        elif command == "batch":
            ran = batch("-", "--dry-run", written)
        else:
            ran = valle(*command.split(), "--frames=2", "--prompt-frames=2", "--phonemes=4", "--steps=1", written)
        assert ran.code in CODES, (value, ran.err)
        assert ESCAPE not in ran.err


@pytest.mark.parametrize("name", ["VALLE_TOP_K", "VALLE_SEED", "VALLE_DEVICE", "VALLE_CHECKPOINT", "VALLE_LEXICON"])
@pytest.mark.parametrize("value", [str(10**19), "9" * 5000, ESCAPE, "\udcff", "cuda:" + "9" * 5000])
def test_an_absurd_variable_is_no_bug(valle: Valle, reference: Path, monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    ran = valle("speak", "--prompt", reference, "--text", "Hi.", *SHORT, "-o", "o.wav")
    assert ran.code in CODES
    assert ESCAPE not in ran.err


# Files that are no files

SPECIAL = ("fifo", "socket", "device", "loop", "folder", "huge", "binary", "nested")
READ_TO_THE_END = ("default.wav", "results.jsonl")


def make(path: Path, what: str) -> None:
    """Make a file of a kind in SPECIAL; a huge one is smaller where all of it is read, to be hashed or searched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            here = Path.cwd()
            os.chdir(path.parent)  # the length of a socket's path is limited
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
            os.chdir(here)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 2**30 if path.name in READ_TO_THE_END else 2**36)
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "nested":
            path.write_text("[" * 200_000)


READERS: dict[str, tuple[str, list[str]]] = {  # file -> command that reads it
    "prompt.wav": ("speak", ["--text", "Hi.", "--prompt", "prompt.wav"]),
    "prompt.npz": ("speak", ["--text", "Hi.", "--prompt", "prompt.npz"]),
    "reference.txt": ("speak", ["--text", "Hi.", "--prompt", "reference.wav"]),
    "text.txt": ("speak", ["--text-file", "text.txt"]),
    "lexicon.txt": ("speak", ["--text", "Hi.", "--lexicon", "lexicon.txt"]),
    "valle.toml": ("speak", ["--text", "Hi."]),
    "codes.npy": ("speak", ["--text", "Hi.", "--save-codes", "codes.npy"]),
    "o.wav": ("speak", ["--text", "Hi."]),
    "model.pt": ("speak", ["--text", "Hi.", "--checkpoint", "model.pt"]),
    "model.safetensors": ("speak", ["--text", "Hi.", "--checkpoint", "model.safetensors"]),
    "model/config.json": ("speak", ["--text", "Hi.", "--checkpoint", "model"]),
    "symbols.k2": ("speak", ["--text", "Hi.", "--option", "symbols=symbols.k2"]),
    "table.csv": ("batch", ["table.csv", "--dry-run"]),
    "default.wav": ("batch", ["-", "--prompt", "default.wav", "--dry-run"]),
    "out/results.jsonl": ("batch", ["-", "--dry-run"]),
    "out/.results.jsonl.lock": ("batch", ["-"]),
    "out": ("batch", ["-"]),
}


@pytest.mark.parametrize("what", SPECIAL)
@pytest.mark.parametrize("name", READERS)
def test_a_special_file_ends_with_a_message(
    speak, batch, reference: Path, tiny_checkpoint: Path, name: str, what: str
) -> None:
    shutil.copy(reference, "reference.wav")
    if name == "model/config.json":
        shutil.copytree(tiny_checkpoint, "model")
        Path(name).unlink()
    make(Path(name), what)
    command, options = READERS[name]
    ran = (speak if command == "speak" else batch)(*options)
    assert ran.code in CODES, ran.err
    if what in ("fifo", "device", "loop", "huge") and name not in ("reference.txt", "out/.results.jsonl.lock"):
        assert ran.code != 0
        assert ran.err


@pytest.mark.parametrize("what", ["fifo", "device", "socket"])
def test_a_special_transcript_is_refused_by_a_checkpoint_that_reads_it(
    valle: Valle, transcript_checkpoint: Path, reference: Path, what: str
) -> None:
    shutil.copy(reference, "reference.wav")
    make(Path("reference.txt"), what)
    options = ["--checkpoint", transcript_checkpoint, "--text", "Hi.", "-o", "o.wav"]
    ran = valle("speak", "--prompt", "reference.wav", *options)
    assert ran.code == 3
    assert "reference.txt" in ran.err


@pytest.mark.parametrize("argv", [["list"], ["show", "vallex"], ["rm", "vallex"]])
@pytest.mark.parametrize("what", SPECIAL)
def test_a_special_registry_is_refused(valle: Valle, what: str, argv: list[str]) -> None:
    make(config_folder() / "checkpoints.toml", what)
    ran = valle("checkpoints", *argv)
    assert ran.code == 2
    assert "checkpoints.toml" in ran.err


@pytest.mark.parametrize("what", ["a file", "a loop"])
@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"])
def test_a_home_that_is_no_folder_is_no_bug(
    valle: Valle, reference: Path, monkeypatch, variable: str, what: str
) -> None:
    place = Path("place").absolute()
    place.touch() if what == "a file" else place.symlink_to(place)
    if variable == "HOME":
        monkeypatch.delenv("XDG_CONFIG_HOME")
        monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv(variable, str(place))
    for argv in (["list"], ["path", "vallex"], ["add", str(reference), "--as", "vallex"], ["verify"]):
        assert valle("checkpoints", *argv).code in (0, 2, 3, 4)


# Pipes that are meant


def piped(content: bytes) -> str:
    """Return the path of a pipe with this content, as of a shell's `<(command)`."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return f"/dev/fd/{reading}"


def test_pipes_of_a_shell_are_read(speak, batch, reference: Path) -> None:
    assert speak("--text-file", piped(b"Hi.")).code == 0
    assert batch(piped(b"text\nHi.\n")).code == 0


def test_an_endless_stdin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(OSError, match="device"):
        inputs.read_bounded(zeros, "stdin", 1000)
    with pytest.raises(OSError, match="Larger than 10 bytes"):
        inputs.read_bounded(io.BytesIO(bytes(11)), "stdin", 10)


def test_a_named_pipe_with_a_writer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "WAIT_FOR_WRITER", 60)
    os.mkfifo("pipe")
    with subprocess.Popen(["sh", "-c", "echo hello > pipe"]):
        assert inputs.read_input(Path("pipe"), 100) == b"hello\n"


# Contents


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        "a = " + "[" * 3000 + "]" * 3000,
        ".".join("a" * 20_000) + " = 1",
        "#" * 1_000_000,
        "top_p = 0x" + "f" * 9000,
        "top_k = " + "9" * 9000,
        f'"\\u001b[31m" = "{ESCAPE}"',
        '"\\u001b[31m" = 1',
        'checkpoint = "\\u001b[31m"',
        'lexicon = "a\\u0000b"',
        "top_k = {a = 1}",
        "seed = 2020-01-01",
        "\0",
    ],
    ids=range(13),
)
def test_absurd_settings_are_no_bug(valle: Valle, text: str) -> None:
    Path("valle.toml").write_text(text)
    ran = valle("text", "--text", "Hi.")
    assert ran.code in (2, 3, 4)
    assert ESCAPE not in ran.err
    assert len(ran.err) < 1000


RECORD = {
    **{"id": "00001", "row": 1, "status": "ok", "output": "00001.wav", "sha256": "0" * 64, "seconds": 1.0},
    **{"sample_rate": 24000, "real_time_factor": 1.0, "frames": 5, "stop_reason": "eos", "seed": 5},
    **{"checkpoint": "nano", "revision": "x", "notes": [], "error": None, "fingerprint": "abc", "finished": "2026"},
}
FAILURE = {"code": "x", "message": ESCAPE, "hint": ""}


def test_a_record_of_the_right_types_is_read() -> None:
    assert Record.parse(json.dumps(RECORD).encode()).output == "00001.wav"
    failed = {**RECORD, "status": "failed", "error": FAILURE}
    assert Record.parse(json.dumps(failed).encode()).error == Failure("x", ESCAPE, "")


@pytest.mark.parametrize("name", RECORD)
def test_results_with_other_types_are_no_records(batch, valle: Valle, name: str) -> None:
    odd = [True, -(10**30), float("nan"), 10**300, ESCAPE, "x" * 9999, "\ud800", "\0", [], [[]], {}, {"a": 1}, None]
    Path("out").mkdir()
    lines = [json.dumps(RECORD), *(json.dumps({**RECORD, name: value}) for value in odd)]
    Path("out/results.jsonl").write_text("\n".join(lines) + "\n" + "[" * 100_000)
    for ran in (batch("-", "--dry-run"), valle("batch", "--merge", "--out-dir", "out")):
        assert ran.code in (0, 6), ran.err
        assert ESCAPE not in ran.err


@pytest.mark.parametrize(
    "error",
    [
        {},
        {**FAILURE, "more": 1},
        {**FAILURE, "code": 1},
        {**FAILURE, "hint": None},
        [],
        "x",
        5,
        {**FAILURE, "code": []},
    ],
)
def test_errors_of_other_types_are_no_records(error: Any) -> None:
    with pytest.raises(ValueError, match="error"):
        Record.parse(json.dumps({**RECORD, "error": error}).encode())


@pytest.mark.parametrize("code", ["x", "errno", "short", "annotations", "__doc__", "VallecliError", "OutputExists"])
def test_an_error_may_have_any_name(batch, code: str) -> None:
    Path("out").mkdir()
    failed = {**RECORD, "status": "failed", "error": {**FAILURE, "code": code}}
    Path("out/results.jsonl").write_text(json.dumps(failed) + "\n")
    ran = batch("-", "--dry-run")
    assert ran.code in (0, 6)
    assert ESCAPE not in ran.err


def npy(header: str, body: bytes = bytes(128)) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin-1") + body


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2, 8)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 99999999999999, 8)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1, -5, 8)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 8)}",
        "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1, 2, 8)}",
        "{'descr': '<U9999', 'fortran_order': False, 'shape': (1, 2, 8)}",
        "{'descr': '\x1b[31m', 'fortran_order': False, 'shape': (1, 2, 8)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1, " + "9" * 5000 + ", 8)}",
        "(" * 5000,
        "__import__('os')",
    ],
    ids=range(10),
)
def test_a_preset_with_an_absurd_header_is_refused(speak, batch, header: str) -> None:
    with zipfile.ZipFile("voice.npz", "w") as archive:
        archive.writestr("audio_tokens.npy", npy(header))
    ran = speak("--prompt", "voice.npz", "--text", "Hi.")
    assert ran.code == 3
    assert ESCAPE not in ran.err
    assert batch("-", stdin=b"text,prompt\nHi.,voice.npz\n").code == 6


def test_a_preset_that_unpacks_to_gigabytes_is_refused(speak) -> None:
    with zipfile.ZipFile("voice.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("audio_tokens.npy", bytes(2**28))
    assert Path("voice.npz").stat().st_size < 2**20
    assert speak("--prompt", "voice.npz", "--text", "Hi.").code == 3


@pytest.mark.parametrize("pattern", ["'a' , 'b' ; ", ",'", "\",'", "\"he said, 'tis; a|dog's "])
def test_the_dialect_of_a_long_line_is_guessed_from_its_start(monkeypatch, pattern: str) -> None:
    sniff, lengths = csv.Sniffer.sniff, []

    def counted(self: csv.Sniffer, sample: str, delimiters: str | None = None) -> type[csv.Dialect]:
        lengths.append(len(sample))
        return sniff(self, sample, delimiters)

    monkeypatch.setattr(csv.Sniffer, "sniff", counted)
    dialects.parse_csv((pattern * 100_000)[:200_000])
    assert lengths
    assert max(lengths) <= dialects.SNIFF_CHARACTERS <= 10_000


# Outputs that are one file


@pytest.mark.parametrize("second", ["x.npy", "./x.npy", "link.npy", "hard.npy", "X.npy", "folder/x.npy"])
def test_two_outputs_are_two_files(speak, second: str) -> None:
    Path("x.npy").write_bytes(b"mine")
    Path("link.npy").symlink_to("x.npy")
    Path("hard.npy").hardlink_to("x.npy")
    Path("folder").symlink_to(".")
    ran = speak("--text", "Hi.", "-o", "x.npy", "--format", "wav", "--save-codes", second, "--force")
    assert ran.code == 2
    assert "same file" in ran.err
    assert Path("x.npy").read_bytes() == b"mine"


def test_an_output_is_no_input(speak, reference: Path) -> None:
    shutil.copy(reference, "mine.wav")
    Path("link.wav").symlink_to("mine.wav")
    Path("words.txt").write_text("Hi.")
    for options in (
        ["--prompt", "mine.wav", "--text", "Hi.", "-o", "link.wav"],
        ["--text-file", "words.txt", "-o", "words.txt", "--format", "raw"],
    ):
        ran = speak(*options, "--force")
        assert ran.code == 2
        assert "same file" in ran.err
    assert Path("mine.wav").read_bytes() == reference.read_bytes()
    assert Path("words.txt").read_text() == "Hi."


def test_json_and_audio_do_not_share_stdout(speak) -> None:
    assert speak("--text", "Hi.", "-o", "-", "--json").code == 2


def test_an_output_is_not_where_stdout_goes(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("x.wav").open("w") as redirected:
        monkeypatch.setattr(sys, "stdout", redirected)
        request = speak_run.check_distinct
        with pytest.raises(speak_run.UsageError, match="stdout"):
            request({"the audio": Path("x.wav")}, {})
        request({"the audio": Path("y.wav")}, {})


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_force_keeps_the_permissions(speak, mode: int) -> None:
    for name in ("o.wav", "codes.npy"):
        Path(name).touch()
        Path(name).chmod(mode)
    assert speak("--text", "Hi.", "--save-codes", "codes.npy", "--force").code == 0
    for name in ("o.wav", "codes.npy"):
        assert stat.S_IMODE(Path(name).stat().st_mode) == mode
        assert Path(name).stat().st_size > 100


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_permissions_of_new_files_are_those_of_the_umask(speak, mask: int) -> None:
    before = os.umask(mask)
    try:
        assert speak("--text", "Hi.").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("o.wav").stat().st_mode) == 0o666 & ~mask


# What is printed


@pytest.mark.parametrize(
    "argv",
    [
        ["speak", "--prompt", f"{ESCAPE}.wav", "--text", "Hi.", "-o", "o.wav"],
        ["speak", "--prompt", "a\udcff\n.wav", "--text", "Hi.", "-o", "o.wav"],
        ["speak", f"--{ESCAPE}"],
        [ESCAPE],
        ["text", "--checkpoint", ESCAPE, "--text", "Hi."],
        ["text", "--lexicon", ESCAPE, "--text", "Hi."],
        ["batch", ESCAPE, "--out-dir", "out"],
        ["checkpoints", "show", ESCAPE],
        ["checkpoints", "pull", ESCAPE, "--offline"],
        ["checkpoints", "convert", ESCAPE, "out"],
        ["bench", "--random-weights", ESCAPE],
    ],
)
def test_names_in_messages_are_escaped(valle: Valle, argv: list[str]) -> None:
    ran = valle(*argv)
    assert ran.code in (2, 3, 4)
    assert "\x1b" not in ran.err
    assert "\\x1b" in ran.err or "\\udcff" in ran.err


def test_data_on_a_terminal_is_escaped_and_in_a_pipe_it_is_not(speak, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ESCAPE.encode() in speak("--text", "Hi.", "-o", f"{ESCAPE}.wav").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ran = speak("--text", "Hi.", "-o", f"{ESCAPE}.wav", "--force")
    assert (ran.code, ran.out.decode().strip()) == (0, "\\x1b[31m.wav")


def test_credentials_are_hidden_in_a_bug_and_in_results(valle: Valle, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://name:secret@host/file?token=hidden"

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot load {url}{ESCAPE}\nC++ stack")

    monkeypatch.setattr("vallecli.cli.text_run.run", fail)
    for verbose in ([], ["-v"]):
        ran = valle("text", "--text", "Hi.", *verbose)
        assert ran.code == BUG
        assert "this is a bug" in ran.err
        assert not any(part in ran.err for part in ("secret", "hidden", "\x1b"))
        assert ("C++ stack" in ran.err) == bool(verbose)
    failure = Failure.of(RuntimeError(url))
    assert not any(part in failure.message for part in ("secret", "hidden"))


# Surroundings


def test_a_folder_that_was_removed_is_a_message(speak, batch, valle: Valle, tmp_path: Path, reference: Path) -> None:
    for argv in (
        lambda: speak("--text", "Hi."),
        lambda: batch("-"),
        lambda: valle("checkpoints", "convert", "nano", "out"),
        lambda: valle("checkpoints", "list"),
    ):
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        try:
            ran = argv()
        finally:
            os.chdir(tmp_path)
        assert ran.code in (0, 2, 3, 4), ran.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_a_locale_without_unicode_is_no_bug(tmp_path: Path, encoding: str) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    environment["PYTHONCOERCECLOCALE"] = "0"
    command = [sys.executable, "-m", "vallecli", "text"]
    given: dict[str, Any] = {"capture_output": True, "env": environment, "check": False}
    ran = subprocess.run([*command, "--text", "Näive ☃"], **given)
    assert ran.returncode == 0, ran.stderr
    assert b"\t" in ran.stdout
    ran = subprocess.run([*command, "--lexicon", "Ä☃.txt", "--text", "Hi."], **given)
    assert ran.returncode == 3, ran.stderr


LIMITED = """
import resource, sys
from vallecli.__main__ import main
resource.setrlimit(getattr(resource, sys.argv[1]), (int(sys.argv[2]),) * 2)
sys.argv[1:3] = []
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("what", "limit", "codes"), [("RLIMIT_AS", 2**28, (5,)), ("RLIMIT_NOFILE", 4, (5,)), ("RLIMIT_FSIZE", 0, (3,))]
)
def test_too_little_of_the_system_is_no_bug(reference: Path, what: str, limit: int, codes: tuple[int, ...]) -> None:
    argv = ["speak", "--prompt", str(reference), "--text", "Hi.", *SHORT, "-o", "o.wav"]
    command = [sys.executable, "-c", LIMITED, what, str(limit), *argv]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in codes, ran.stderr
    assert "bug" not in ran.stderr
    assert not Path("o.wav").exists()
