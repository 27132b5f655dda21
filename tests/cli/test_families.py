"""The commands with tiny checkpoints of Amphion v2, e-c-k-e-r/vall-e and Bark: other codecs, sample rates and text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
import torch

if TYPE_CHECKING:
    from conftest import Ran, Valle

TESTS = Path(__file__).parents[1]
MAX_SECONDS = 0.2
SYMBOLS = {symbol: index for index, symbol in enumerate(["<unk>", "<bos>", "</eos>", "<mask>", " "])}
SYMBOLS |= {letter: 5 + index for index, letter in enumerate("abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌˈˌː.,!?")}


@dataclass(frozen=True)
class Checkpoint:
    """A tiny checkpoint, and what the commands should print about it."""

    path: Path
    family: str
    sample_rate: int
    frame_rate: int
    files: int
    prompt: str = "ref.wav"

    @property
    def frames(self) -> int:
        return int(MAX_SECONDS * self.frame_rate)


def write_amphion_v2(folder: Path) -> Checkpoint:
    published = SimpleNamespace(**run_path(str(TESTS / "families" / "llama" / "llama_published.py")))
    codec = SimpleNamespace(**run_path(str(TESTS / "codec" / "speechtokenizer_golden.py")))
    published.write_amphion(folder)
    config = codec.SpeechTokenizerConfig(n_filters=4, dimension=16)
    torch.save(codec.state_dict(config), folder / "SpeechTokenizer.pt")
    return Checkpoint(folder, "amphion-v2", 16_000, 50, 3)


def write_ecker(folder: Path) -> Checkpoint:
    tokenizers = pytest.importorskip("tokenizers")
    published = SimpleNamespace(**run_path(str(TESTS / "families" / "llama" / "llama_published.py")))
    published.write_ecker(folder, symbols=SYMBOLS)
    model = tokenizers.models.BPE(SYMBOLS, [], unk_token="<unk>")
    tokenizers.Tokenizer(model).save(str(folder / "tokenizer.json"))
    return Checkpoint(folder, "ecker", 24_000, 75, 1)


def write_bark(folder: Path) -> Checkpoint:
    pytest.importorskip("tokenizers")
    published = SimpleNamespace(**run_path(str(TESTS / "families" / "bark" / "bark_published.py")))
    published.write_suno(folder)
    preset = published.write_preset(folder.parent / "voice.npz")
    return Checkpoint(folder, "bark", 24_000, 75, 3, str(preset))


PUBLISHED = [
    pytest.param(write_amphion_v2, id="amphion-v2"),
    pytest.param(write_ecker, id="ecker", marks=pytest.mark.espeak),
    pytest.param(write_bark, id="bark"),
]


@pytest.fixture(scope="module", params=PUBLISHED)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return request.param(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def checkpoint(written: Checkpoint, reference: Path, own_folder: Path, codecs: None) -> Checkpoint:
    """The checkpoint, with the codecs installed, and a prompt with its transcript."""
    shutil.copy(reference, own_folder / "ref.wav")
    (own_folder / "ref.txt").write_text("What I said.")
    return written


@pytest.fixture
def speak(valle: Valle, checkpoint: Checkpoint) -> Callable[..., Ran]:
    """Run `valle speak` with the checkpoint, and check that it succeeds; later options win."""

    def run(*options: str | Path) -> Ran:
        fixed = ["--prompt", checkpoint.prompt, "--text", "Hello there.", "--language", "en", "--seed", "3"]
        fixed += ["--max-seconds", str(MAX_SECONDS), "--force"]
        ran = valle("speak", "--checkpoint", checkpoint.path, *fixed, *options)
        assert ran.code == 0, ran.err
        return ran

    return run


def test_audio_has_the_rate_of_the_checkpoint(speak, checkpoint: Checkpoint) -> None:
    summary = json.loads(speak("--json", "-o", "a.wav", "--save-codes", "a.npy").out)
    info = soundfile.info("a.wav")
    assert info.samplerate == summary["sample_rate"] == checkpoint.sample_rate
    assert 0 < summary["frames"] <= checkpoint.frames
    assert info.frames == summary["frames"] * checkpoint.sample_rate // checkpoint.frame_rate
    assert summary["seconds"] == pytest.approx(info.duration, abs=0.001)


def test_audio_can_have_another_rate(speak) -> None:
    summary = json.loads(speak("--json", "-o", "a.wav", "--sample-rate", "22050").out)
    info = soundfile.info("a.wav")
    assert info.samplerate == summary["sample_rate"] == 22_050
    assert summary["seconds"] == pytest.approx(info.duration, abs=0.001)


def test_the_same_seed_gives_the_same_bytes(speak, checkpoint: Checkpoint) -> None:
    sampled = ["--option", "decoding=ar"] if checkpoint.family == "ecker" else []  # its other decoding is greedy
    first, again, other = (speak("-o", "-", *sampled, "--seed", seed).out for seed in "334")
    assert first == again != other


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_other_precisions(speak, checkpoint: Checkpoint, dtype: str) -> None:
    summary = json.loads(speak("--json", "-o", "a.wav", "--dtype", dtype).out)
    assert (summary["dtype"], summary["sample_rate"]) == (dtype, checkpoint.sample_rate)


def test_a_batch_is_resumed_and_has_the_audio_of_speak(valle: Valle, speak, checkpoint: Checkpoint) -> None:
    rows = [
        {"id": name, "text": text, "prompt": checkpoint.prompt} for name, text in [("a", "Hello there."), ("b", "Bye.")]
    ]
    rows[1] |= {"sample_rate": 44_100}

    def batch() -> dict[str, Any]:
        Path("jobs.jsonl").write_text("\n".join(map(json.dumps, rows)))
        options = ["--language", "en", "--max-seconds", str(MAX_SECONDS), "--out-dir", "out", "--json"]
        ran = valle("batch", "jobs.jsonl", "--checkpoint", checkpoint.path, *options)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    assert batch()["made"] == 2
    records = {record["id"]: record for record in map(json.loads, Path("out/results.jsonl").read_text().splitlines())}
    assert {name: record["sample_rate"] for name, record in records.items()} == {
        "a": checkpoint.sample_rate,
        "b": 44_100,
    }
    for name, record in records.items():
        assert soundfile.info(f"out/{name}.wav").samplerate == record["sample_rate"]
    speak("-o", "a.wav", "--seed", str(records["a"]["seed"]))
    assert Path("a.wav").read_bytes() == Path("out/a.wav").read_bytes()
    rows.append({"id": "c", "text": "Again.", "prompt": checkpoint.prompt})
    summary = batch()
    assert (summary["made"], summary["done_before"]) == (1, 2)


def test_show_and_verify(valle: Valle, checkpoint: Checkpoint) -> None:
    facts = json.loads(valle("checkpoints", "show", checkpoint.path, "--json").out)
    assert (facts["family"], facts["sample_rate"]) == (checkpoint.family, checkpoint.sample_rate)
    assert facts["missing"] == []
    ran = valle("checkpoints", "verify", checkpoint.path)
    assert ran.code == 0
    states = [line.split("\t")[0] for line in ran.out.decode().splitlines()]
    assert states == ["unknown"] * checkpoint.files  # intact, but not the published files


def test_converted_it_gives_the_same_audio(valle: Valle, speak, checkpoint: Checkpoint) -> None:
    options = [] if checkpoint.family != "ecker" else ["--option", f"tokenizer={checkpoint.path / 'tokenizer.json'}"]
    before = speak("--format", "raw", "-o", "-").out  # a WAV file has the name of the checkpoint
    assert valle("checkpoints", "convert", checkpoint.path, "own").code == 0
    assert speak("--checkpoint", "own", *options, "--format", "raw", "-o", "-").out == before


def test_bench(valle: Valle, checkpoint: Checkpoint) -> None:
    work = ["--frames", "12", "--prompt-frames", "9", "--phonemes", "5", "--threads", "1", "--batch", "2"]
    ran = valle("bench", "--checkpoint", checkpoint.path, "--device", "cpu", *work, "--baseline", "--json")
    assert ran.code == 0, ran.err
    report, *baseline = map(json.loads, ran.out.splitlines())
    models = ("coarse_ms", "fine_ms") if checkpoint.family == "bark" else ("nar_ms",)
    times = ("step_ms", *models, "codec_ms", "real_time_factor", "bytes_per_step")
    assert all(report[name] > 0 for name in times)
    assert [row["variant"] for row in baseline] == ["baseline", "baseline, no cache"]
    assert all(row["step_ms"] > 0 for row in baseline)
