"""Fixtures of all tests: no network, no settings of the user, a synthetic recording, tiny random checkpoints."""

from __future__ import annotations

import ctypes.util
import io
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: small matrices are slower with threads


def pytest_configure() -> None:
    """Handle the signals that the tests' environment ignores, as nohup does: child processes would ignore them, too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `cuda` or `espeak` on machines without a CUDA device, or without espeak-ng."""
    if item.get_closest_marker("espeak") and ctypes.util.find_library("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt install espeak-ng")
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid network connections; tests marked `loopback` may connect to 127.0.0.1, where they run a server."""
    connect = socket.socket.connect
    allowed = ("127.0.0.1", "::1") if request.node.get_closest_marker("loopback") else ()

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in allowed:
            raise OSError(f"a test tried to connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Start each test in an empty folder, without settings, checkpoints and environment variables of the user."""
    for name in [name for name in os.environ if name.startswith(("VALLE_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VALLE_RETRIES", "0")  # speech of random weights is noise, which would be decoded again
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setattr("vallecli.settings.SYSTEM_FILE", tmp_path / "etc" / "valle.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    # huggingface_hub has read the variable when it was imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A small hub on 127.0.0.1 that HF_ENDPOINT points at; tests that use it are marked `loopback`."""
    from huggingface_hub import close_session

    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
    close_session()


@dataclass(frozen=True)
class Ran:
    """The result of a command: exit code, bytes of stdout and text of stderr."""

    code: int
    out: bytes
    err: str


Valle = Callable[..., Ran]


@pytest.fixture
def valle(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Valle:
    """Run `valle` in this process: valle("speak", "--text", "Hi", stdin=b"...") -> Ran."""
    from vallecli.cli.app import main

    def run(*arguments: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return Ran(code, out, err.decode())

    return run


def make_checkpoint(folder: Path, *, front_end: str = "arpabet-1", max_prompt_frames: int = 75, **options: Any) -> Path:
    """Write a VALL-E in valle's own format: two small models and a small codec, with random weights."""
    import torch

    from vallecli.checkpoints.modules import state_to_store
    from vallecli.codec.nano import NanoCodec, NanoCodecConfig
    from vallecli.families.causal import Limits
    from vallecli.families.valle import native
    from vallecli.families.valle.ar import AR
    from vallecli.families.valle.checkpoint import Checkpoint
    from vallecli.families.valle.config import ModelConfig
    from vallecli.families.valle.nar import NAR
    from vallecli.text.arpabet import ArpabetFrontEnd

    sizes = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 2}
    config = ModelConfig.from_dict(
        {"text_vocab": len(ArpabetFrontEnd.vocabulary), "bos": "after_prompt", **sizes, **options}
    )
    widths = NanoCodecConfig(encoder_dim=16, encoder_layers=1, latent_dim=8, decoder_dim=16, decoder_layers=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = {"ar": AR(config), "nar": NAR(config), "codec": NanoCodec(widths)}
        modules["codec"].codebooks.normal_()
    states = {name: state_to_store(module) for name, module in modules.items()}
    checkpoint = Checkpoint(
        name="tiny",
        path=folder,
        model=config,
        tensors={f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()},
        front_end=front_end,
        codec={"kind": "nano", **widths.to_dict()},
        limits=Limits(max_prompt_frames=max_prompt_frames, max_text_chars=110),
    )
    native.save(folder, checkpoint)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the options of nano, which needs no transcript of the prompt."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def transcript_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the options of lifeiteng/vall-e, which needs a transcript of the prompt."""
    folder = tmp_path_factory.mktemp("checkpoints") / "transcript"
    return make_checkpoint(folder, max_prompt_frames=750, bos="none", prefix_mode=4)


@pytest.fixture(scope="session")
def vallex_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the options of VALL-E X: three languages, and it needs a transcript of the prompt."""
    folder = tmp_path_factory.mktemp("checkpoints") / "vallex"
    languages = {"front_end": "vallex-1", "text_vocab": 70, "n_languages": 3}
    return make_checkpoint(folder, max_prompt_frames=750, **languages, bos="start", prefix_mode=1)


@pytest.fixture(scope="session")
def codec_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints with random weights of EnCodec and Vocos, as `valle checkpoints pull` installs them."""
    import torch

    from vallecli.checkpoints import local
    from vallecli.codec.encodec import EncodecCodec
    from vallecli.codec.vocos import VocosDecoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encodec, vocos = EncodecCodec.random(0).model.state_dict(), VocosDecoder().state_dict()
        vocos["feature_extractor.codebook_weights"].normal_()  # with zeros, all codes would sound the same
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("codecs")))
        for name, state in (("encodec-24khz", encodec), ("vocos-encodec-24khz", vocos)):
            local.install(name, "a test", lambda stage, state=state: torch.save(state, stage / "weights.bin"))
        return local.folder()


@pytest.fixture
def codecs(codec_weights: Path, own_folder: Path) -> None:
    """Install the random weights of EnCodec and Vocos."""
    from vallecli.checkpoints import local

    shutil.copytree(codec_weights, local.folder(), copy_function=os.link)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic recording in the place of speech: four seconds of a harmonic tone with syllables."""
    import numpy as np
    import soundfile

    at = np.arange(4 * 24_000) / 24_000  # seconds
    buzz = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * at), 0, 1) * (
        1 - at / 8
    )  # of different loudness: equal ones look clipped
    path = tmp_path_factory.mktemp("recordings") / "reference.wav"
    soundfile.write(path, 0.2 * buzz * syllables, 24_000)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, reference: Path) -> Iterator[Any]:
    """A serving.Server that allows uploads."""
    from serving import start_server

    folder = tmp_path_factory.mktemp("server") / "here"
    started = start_server(
        folder, "--checkpoint", tiny_checkpoint, "--prompt", reference, "--allow-uploads", "--alias", "alloy=default"
    )
    yield started
    started.stop()


@pytest.fixture
def start(tmp_path: Path, tiny_checkpoint: Path, reference: Path) -> Iterator[Callable[..., Any]]:
    """Start a serving.Server with further arguments."""
    from serving import start_server

    started = []

    def begin(*arguments: str | Path, key: str = "") -> Any:
        basic = ("--checkpoint", tiny_checkpoint, "--prompt", reference)
        started.append(start_server(tmp_path / f"server{len(started)}", *basic, *arguments, key=key))
        return started[-1]

    yield begin
    for each in started:
        each.stop()
