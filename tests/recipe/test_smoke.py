"""The whole recipe at toy size, from sentences to a checkpoint that speaks; stages are killed and go on."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import toy
from config import NOISE
from conftest import Valle
from PIL import Image

from vallecli.checkpoints.local import sha256
from vallecli.codec.source_filter import NOISE_BANDS
from vallecli.families.valle.read import read_checkpoint

ROOT = Path(__file__).parents[2]
STAGES = multiprocessing.get_context("forkserver")  # one server imports, once, what takes seconds in each stage
STAGES.set_forkserver_preload(["vallecli.synthesizer", "vector_quantize_pytorch"])
SENTENCES = ["He lived by the river.", "The old ship came home.", "Nobody was in the house."]


def stage(name: str, *arguments: object, kill: str | None = None) -> list[str]:
    """Run a stage in a process of its own and return what it prints; kill it as soon as a line begins with `kill`."""
    output, printed = STAGES.Pipe(duplex=False)
    process = STAGES.Process(target=toy.run, args=(printed, name, *map(str, arguments)))
    process.start()
    printed.close()
    lines = []
    with output, open(output.fileno(), encoding="utf-8", closefd=False) as text:
        for line in text:
            lines.append(line.rstrip())
            if kill is not None and line.startswith(kill):
                process.kill()
                break
    process.join()
    assert process.exitcode == (0 if kill is None else -signal.SIGKILL), "\n".join(lines)
    return lines


def steps(name: str, lines: list[str]) -> list[int]:
    return [int(line.split()[2]) for line in lines if line.startswith(f"{name} step ")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its speech and two recordings."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "texts.txt").write_text("\n".join(SENTENCES))
    (folder / "recordings").mkdir()
    wav, rate = soundfile.read(ROOT / "examples" / "reference.wav")
    for name in ("a", "b"):
        soundfile.write(folder / "recordings" / f"{name}.flac", wav, rate)
        shutil.copy(ROOT / "examples" / "reference.txt", folder / "recordings" / f"{name}.txt")
    stage("data", "--run", folder, "--texts", folder / "texts.txt", "--speakers", 3, "--rows", 2, "--workers", 1)
    return folder


@pytest.fixture(scope="module")
def codec(run: Path) -> Path:
    """The run with its codec, whose training was killed."""
    command = ("--run", run, "--recordings", run / "recordings", "--steps", 4, "--batch", 6)
    assert steps("codec", stage("codec", *command, kill="codec step 3")) == [1, 2, 3]
    assert not (run / "codec.frozen.pt").exists()
    assert steps("codec", stage("codec", *command)) == [3, 4]
    return run


@pytest.fixture(scope="module")
def tokens(codec: Path) -> Path:
    """The run with its tokens; training of what retells was killed."""
    command = ("--run", codec, "--recordings", codec / "recordings", "--workers", 1)
    assert steps("retell", stage("tokens", *command, kill="retell step 3")) == [1, 2, 3]
    assert steps("retell", stage("tokens", *command)) == [3]
    return codec


@pytest.fixture(scope="module")
def models(tokens: Path) -> Path:
    """The run with its language models; training of the AR was killed."""
    command = ("--run", tokens, "--batch", 2, "--steps")
    assert steps("ar", stage("lm", "--model", "ar", "--strangers", 0.5, *command, 4, kill="ar step 3")) == [1, 2, 3]
    assert steps("ar", stage("lm", "--model", "ar", "--strangers", 0.5, *command, 4)) == [3, 4]
    shares = ("--bent", 0.5, "--alone", 0.5)
    assert steps("nar", stage("lm", "--model", "nar", *shares, "--workers", 1, *command, 2)) == [1, 2]
    return tokens


@pytest.fixture(scope="module")
def decoder(models: Path) -> Path:
    """The run whose decoder has learned alone; its training was killed."""
    command = ("--run", models, "--recordings", models / "recordings", "--batch", 6, "--decoder-steps", 3)
    assert steps("decoder", stage("codec", *command, kill="decoder step 3")) == [1, 2, 3]
    assert steps("decoder", stage("codec", *command)) == [3]
    return models


@pytest.fixture(scope="module")
def exported(decoder: Path) -> Path:
    """The checkpoint folder, with the card of the run before."""
    (decoder / "export").mkdir()
    (decoder / "export" / "README.md").write_text(f"1.0 million parameters, sha256 `{'0' * 64}`")
    stage("export", "--run", decoder, "--out", decoder / "export")
    return decoder / "export"


def test_a_speaker_that_was_killed_comes_out_the_same(run: Path) -> None:
    def read() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (run / "speech").iterdir()}

    whole = read()
    assert len(whole) == 6
    (run / "speech" / "s00001.json").unlink()  # it is written last
    (run / "speech" / "s00001.flac").write_bytes(b"half")
    kept = (run / "speech" / "s00000.flac").stat()
    stage("data", "--run", run, "--texts", run / "texts.txt", "--speakers", 3, "--rows", 2, "--workers", 1)
    assert read() == whole
    assert (run / "speech" / "s00000.flac").stat() == kept


def test_recordings_and_spoken_sentences_become_tokens(tokens: Path) -> None:
    def read() -> dict[str, list[list[int]]]:
        return {path.stem: np.load(path)["codes"].tolist() for path in (tokens / "tokens").iterdir()}

    whole = read()
    voices = {f"voice-{name}-{version}" for name in "ab" for version in range(7)}
    assert whole.keys() == {"s00000", "s00001", "s00002", *voices}
    with np.load(tokens / "tokens" / "s00000.npz") as spoken:
        assert (spoken["retold"] != spoken["codes"][:, 0]).any()  # hibari's plain voice is another
    for name in ("s00001", "voice-b-6"):
        (tokens / "tokens" / f"{name}.npz").unlink()
    stage("tokens", "--run", tokens, "--recordings", tokens / "recordings", "--workers", 1)
    assert read() == whole


def test_what_is_exported_speaks(exported: Path, valle: Valle) -> None:
    prompt = ROOT / "examples" / "reference.wav"
    ran = valle("speak", "--checkpoint", exported, "--prompt", prompt, "--text", "Hello.", "-o", "hello.wav")
    assert ran.code == 0, ran.err
    assert soundfile.info("hello.wav").frames > 0


def test_the_card_tells_of_what_is_exported(exported: Path) -> None:
    digest = sha256(exported / "model.safetensors")
    millions = sum(tensor.numel() for tensor in read_checkpoint(exported).tensors.values()) / 1e6
    assert (exported / "README.md").read_text() == f"{millions:.1f} million parameters, sha256 `{digest}`"


def test_the_noise_is_turned_down(exported: Path) -> None:
    learned = torch.load(exported.parent / "codec.done.pt", weights_only=True)["voice.out.bias"]
    turned = read_checkpoint(exported).tensors["codec.voice.out.bias"].float() - learned
    factor = torch.full((NOISE_BANDS,), 10 ** (NOISE / 20))
    torch.testing.assert_close(turned[-NOISE_BANDS:].exp(), factor, atol=5e-3, rtol=0)
    assert turned[:-NOISE_BANDS].abs().max() < 5e-3


def test_the_mean_of_all_rounds_is_exported(exported: Path, tmp_path: Path) -> None:
    state = torch.load(exported.parent / "nar.done.pt", weights_only=True)
    for factor in (3, 5):
        torch.save({key: factor * tensor for key, tensor in state.items()}, tmp_path / f"{factor}.pt")
    others = (tmp_path / "3.pt", tmp_path / "5.pt")
    stage("export", "--run", exported.parent, "--out", tmp_path / "out", "--mean", *others)
    one, mean = (read_checkpoint(folder).tensors for folder in (exported, tmp_path / "out"))
    for key, tensor in one.items():
        factor = 3 if key.startswith("nar.") else 1
        torch.testing.assert_close(mean[key], factor * tensor)


def test_evaluation_speaks_every_row_once(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "sentences.txt").write_text("Hello.\n\nGood day.\n")
    prompt = exported.parent / "recordings" / "a.flac"
    arguments = ("--checkpoint", exported, "--sentences", tmp_path / "sentences.txt", "--prompts", prompt)
    stage("evaluate", *arguments, "--out", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [(row["wav"], row["text"], Path(row["prompt"])) for row in rows] == [
        ("a-00.wav", "Hello.", prompt),
        ("a-01.wav", "Good day.", prompt),
    ]
    assert not (tmp_path / "out" / "recordings.jsonl").exists()
    whole = [(tmp_path / "out" / row["wav"]).read_bytes() for row in rows]
    (tmp_path / "out" / "a-01.json").unlink()
    (tmp_path / "out" / "a-01.wav").write_bytes(b"half")
    stage("evaluate", *arguments, "--out", tmp_path / "out", "--bounds")
    assert [(tmp_path / "out" / row["wav"]).read_bytes() for row in rows] == whole
    text = prompt.with_suffix(".txt").read_text().strip()
    assert json.loads((tmp_path / "out" / "recordings.jsonl").read_text()) == {"wav": str(prompt), "text": text}
    resynthesis = json.loads((tmp_path / "out" / "resynthesis.jsonl").read_text())
    assert resynthesis == {"wav": "a.resynthesis.wav", "text": text, "prompt": str(prompt)}
    assert soundfile.info(tmp_path / "out" / "a.resynthesis.wav").duration > 6


def test_a_run_draws_its_pictures(exported: Path, tmp_path: Path) -> None:
    stage("plots", "--run", exported.parent, "--out", tmp_path, "--checkpoint", exported, "--text", "Good day.")
    for name in ("losses", "attention"):
        assert (tmp_path / f"{name}.png").stat().st_size < 80_000
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 500
            assert len(picture.getcolors()) > 20
