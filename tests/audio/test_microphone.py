"""Recording with a fake sounddevice: no test needs a microphone. What a user sees is checked at a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vallecli
from vallecli.audio import microphone
from vallecli.errors import AudioError, DependencyMissing, ExtraMissing

if TYPE_CHECKING:
    from conftest import Valle

RATE, BLOCK = 24_000, 1_000  # Hz, samples

# What the real module has of what is used: streams call back with blocks that they use again.
FAKE = """
import numpy as np

class PortAudioError(Exception):
    pass

class InputStream:
    closed = []
    def __init__(self, *, samplerate, channels, dtype, callback):
        if not DEVICE:
            raise PortAudioError("Error querying device -1")
        assert (channels, dtype) == (1, "float32")
        self.callback = callback
    def __enter__(self):
        block_NC = np.empty((1_000, 1), np.float32)
        for number in range(BLOCKS):
            block_NC[:] = number / 1_000
            self.callback(block_NC, len(block_NC), None, None)
        block_NC[:] = -1
    def __exit__(self, *_):
        self.closed.append(True)
"""
Install = Callable[..., Any]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install the fake; without a device, or with a microphone that has given a number of blocks when it is closed."""

    def installed(*, device: bool = True, blocks: int = 48) -> Any:
        module = ModuleType("sounddevice")
        vars(module).update(DEVICE=device, BLOCKS=blocks)
        exec(FAKE, vars(module))
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return module

    return installed


def test_blocks_are_joined(install: Install) -> None:
    module = install(blocks=48)
    waited: list[bool] = []
    wav_N = microphone.record(RATE, 60, lambda: waited.append(True))
    np.testing.assert_array_equal(wav_N, np.repeat(np.arange(48, dtype=np.float32) / 1_000, BLOCK))
    assert (wav_N.dtype, waited, module.InputStream.closed) == (np.float32, [True], [True])


def test_a_recording_has_a_maximum_length(install: Install) -> None:
    install(blocks=48)
    assert len(microphone.record(RATE, 0.52, lambda: None)) == int(0.52 * RATE)


def test_a_microphone_that_gives_nothing(install: Install) -> None:
    install(blocks=0)
    assert microphone.record(RATE, 60, lambda: None).shape == (0,)


def test_without_a_device(install: Install) -> None:
    install(device=False)
    with pytest.raises(AudioError) as caught:
        microphone.record(RATE, 60, lambda: None)
    assert "cannot record: Error querying device -1" in caught.value.message
    assert "Connect a microphone" in caught.value.hint


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ExtraMissing) as caught:
        microphone.record(RATE, 60, lambda: None)
    assert 'pip install "vallecli[consent]"' in caught.value.hint


def test_without_portaudio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(DependencyMissing) as caught:
        microphone.record(RATE, 60, lambda: None)
    assert "PortAudio library not found" in caught.value.message
    assert "libportaudio2" in caught.value.hint


def test_an_interrupt_closes_the_microphone(install: Install) -> None:
    module = install()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        microphone.record(RATE, 60, interrupt)
    assert module.InputStream.closed == [True]


# At a terminal

DEAF = """
class WhisperModel:
    def __init__(self, *_, **__): pass
    def transcribe(self, *_, **__): return iter([]), None
"""
NO_PACKAGE = 'raise ModuleNotFoundError("No module named \'sounddevice\'", name="sounddevice")\n'


def module(*, device: bool = True) -> str:
    return f"DEVICE, BLOCKS = {device}, 48\n{FAKE}"


@pytest.fixture
def at_terminal(valle: Valle, reference: Path, tmp_path: Path) -> Callable[[str, bytes], tuple[int, str]]:
    """Run `valle voices consent anna` at a terminal with a module sounddevice, and type keys at the question."""
    assert valle("voices", "add", "anna", reference, "-q").code == 0

    def run(source: str, keys: bytes) -> tuple[int, str]:
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / "sounddevice.py").write_text(source)
        (tmp_path / "modules" / "faster_whisper.py").write_text(DEAF)
        paths = [str(tmp_path / "modules"), str(Path(vallecli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "vallecli", "voices", "consent", "anna"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TERM": "dumb"}
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=take_terminal,
        ) as running:  # fmt: skip
            os.close(theirs)
            shown = b""
            while chunk := read(ours):
                shown += chunk
                if keys and b"press Enter" in shown:
                    os.write(ours, keys)
                    keys = b""
        os.close(ours)
        return running.returncode, shown.decode()

    return run


def take_terminal() -> None:
    """Make stdin the terminal whose Ctrl-C the process gets."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read(terminal: int) -> bytes:
    """Return what a terminal shows next; nothing at its end."""
    assert select.select([terminal], [], [], 60)[0], "nothing was shown for a minute"
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux's end of a pseudo-terminal
        return b""


AtTerminal = Callable[[str, bytes], tuple[int, str]]


def test_the_statement_is_shown_and_recorded(at_terminal: AtTerminal) -> None:
    code, shown = at_terminal(module(), b"\n")
    assert "I agree that my voice may be copied" in shown
    assert (code, "no words are heard in it" in shown) == (3, True)


@pytest.mark.parametrize("keys", [b"\x03", b"\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_the_recording_is_interrupted(at_terminal: AtTerminal, valle: Valle, keys: bytes) -> None:
    code, shown = at_terminal(module(), keys)
    assert code == 130
    assert shown.rstrip().endswith("interrupted")
    assert "bug in valle" not in shown
    assert valle("voices", "show", "anna").out.endswith(b"consent: none\n")


def test_what_a_user_sees_without_a_device_and_without_the_package(at_terminal: AtTerminal) -> None:
    code, shown = at_terminal(module(device=False), b"")
    assert (code, "error: cannot record: Error querying device -1" in shown) == (3, True)
    assert "record the statement to a file" in shown
    code, shown = at_terminal(NO_PACKAGE, b"")
    assert (code, 'pip install "vallecli[consent]"' in shown) == (7, True)
    assert "I agree" in shown
