"""DNSMOS: windows and polynomials with a small network of known outputs; the published file where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from vallecli.checkpoints import registry
from vallecli.checkpoints.local import sha256
from vallecli.errors import DamagedCheckpoint
from vallecli.quality import opinion
from vallecli.quality.opinion import WINDOW, OpinionModel, OpinionModelMissing
from vallecli.quality.pretrained import RATE


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpinionModel:
    """A network whose three outputs are the mean of its window."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input_1", "axes"], ["mean"], keepdims=1),
            helper.make_node("Concat", ["mean", "mean", "mean"], ["out"], axis=1),
        ],
        "means",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [1, WINDOW])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    path = tmp_path / "means.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    monkeypatch.setattr(opinion, "find", lambda name: path)
    spec = registry.get(opinion.CHECKPOINT)
    monkeypatch.setattr(type(spec), "has_hash", lambda self, found: found == sha256(path))
    return OpinionModel()


def test_short_audio_is_repeated_and_outputs_become_scores(model: OpinionModel) -> None:
    found = model.scores(np.full(RATE, 0.5, np.float32))
    assert found["sig"] == pytest.approx(-0.08397278 * 0.25 + 1.22083953 * 0.5 + 0.0052439, abs=1e-5)
    assert found["bak"] == pytest.approx(-0.13166888 * 0.25 + 1.60915514 * 0.5 - 0.39604546, abs=1e-5)
    assert found["ovrl"] == pytest.approx(-0.06766283 * 0.25 + 1.11546468 * 0.5 + 0.04602535, abs=1e-5)


def test_longer_audio_has_a_window_for_each_second(model: OpinionModel) -> None:
    wav_N = np.zeros(11 * RATE + 160, np.float32)
    wav_N[-2 * RATE :] = 1.0
    starts = (0, RATE)  # 11 - 9.01 s are two windows, as the published script counts
    means = [wav_N[start : start + WINDOW].mean() for start in starts]
    assert model.scores(wav_N)["ovrl"] == pytest.approx(np.polyval(opinion.OVERALL, means).mean(), abs=1e-5)


def test_windows_are_those_of_the_published_script(model: OpinionModel) -> None:
    assert list(opinion._windows(WINDOW)) == [(0, WINDOW)]
    # (7 + 9.01) * 16000 is rounded down to 256159: windows from there on are one sample too short, and left out.
    assert [begin // RATE for begin, _ in opinion._windows(18 * RATE)] == [0, 1, 2, 3, 4, 5, 6]


def test_samples_beyond_full_scale_are_clipped(model: OpinionModel) -> None:
    assert model.scores(np.full(RATE, 3.0, np.float32)) == model.scores(np.ones(RATE, np.float32))


def test_no_audio(model: OpinionModel) -> None:
    with pytest.raises(ValueError, match="no audio"):
        model.scores(np.zeros(0, np.float32))


def test_without_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinion, "packaged_file", lambda: None)
    with pytest.raises(OpinionModelMissing) as caught:
        OpinionModel()
    assert "valle checkpoints pull dnsmos" in caught.value.hint
    assert "speechmos" in caught.value.hint


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.onnx").write_bytes(b"other")
    monkeypatch.setattr(opinion, "packaged_file", lambda: tmp_path / "other.onnx")
    with pytest.raises(DamagedCheckpoint, match="not the published file"):
        OpinionModel()


@pytest.mark.skipif(opinion.packaged_file() is None, reason="speechmos is not installed")
def test_the_published_network_prefers_speech_to_noise(reference: Path) -> None:
    from vallecli.audio.files import read_audio

    speech = read_audio(Path(__file__).parents[2] / "examples" / "reference.wav", sample_rate=RATE)
    noise = np.random.default_rng(0).normal(0, 0.05, len(speech)).astype(np.float32)
    clean, noisy = OpinionModel().scores(speech), OpinionModel().scores(speech + noise)
    assert clean["bak"] > noisy["bak"] + 0.5
    assert clean["ovrl"] > noisy["ovrl"] + 0.3
