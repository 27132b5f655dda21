"""EnCodec: the same codes and audio as by the package alone, for any length and batch, with or without torchaudio."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vallecli.codec.base import ENCODEC_GRID, AudioGrid, Codec
from vallecli.codec.encodec import EncodecCodec, torchaudio_or_stand_in
from vallecli.errors import CheckpointError, DamagedCheckpoint


@pytest.fixture(scope="module")
def codec() -> EncodecCodec:
    return EncodecCodec.random(0)


HOP, NUM_CODEBOOKS, CODEBOOK_SIZE = ENCODEC_GRID.hop, ENCODEC_GRID.codebooks, ENCODEC_GRID.codebook_size


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_grid_is_that_of_the_package(codec: EncodecCodec) -> None:
    as_protocol: Codec = codec
    grid = as_protocol.grid
    assert grid == AudioGrid(sample_rate=24_000, hop=320, codebooks=8, codebook_size=1024)
    assert grid.sample_rate == codec.model.sample_rate
    assert grid.frame_rate == codec.model.frame_rate
    assert grid.codebooks == codec.model.quantizer.get_num_quantizers_for_bandwidth(codec.model.frame_rate, 6.0)
    assert grid.codebook_size == codec.model.quantizer.bins


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (HOP, 1), (HOP + 1, 2), (9_999, 32), (9_600, 30)])
def test_the_number_of_frames_is_rounded_up(codec: EncodecCodec, samples: int, frames: int) -> None:
    codes_BTQ = codec.encode(noise(1, samples))
    assert codes_BTQ.shape == (1, frames, NUM_CODEBOOKS)
    assert codes_BTQ.dtype == torch.int64
    assert codec.decode(codes_BTQ).shape == (1, frames * HOP)


def test_codes_use_their_range_and_decoding_depends_on_each_codebook(codec: EncodecCodec) -> None:
    codes_BTQ = codec.encode(noise(1, 9_600))
    assert len(codes_BTQ.unique()) > 100
    assert 0 <= codes_BTQ.min() <= codes_BTQ.max() < CODEBOOK_SIZE
    wav_BN = codec.decode(codes_BTQ)
    for codebook in range(NUM_CODEBOOKS):
        other = codes_BTQ.clone()
        other[..., codebook] = (other[..., codebook] + 1) % CODEBOOK_SIZE
        assert not torch.equal(codec.decode(other), wav_BN)


def test_it_is_deterministic_and_a_batch_row_equals_the_same_row_alone(codec: EncodecCodec) -> None:
    wav_BN = noise(3, 6_400)
    codes_BTQ = codec.encode(wav_BN)
    assert torch.equal(codec.encode(wav_BN), codes_BTQ)
    decoded_BN = codec.decode(codes_BTQ)
    assert torch.equal(codec.decode(codes_BTQ), decoded_BN)
    for row in range(3):
        alone = slice(row, row + 1)
        # A rounding error may decide between two nearest neighbours.
        assert (codec.encode(wav_BN[alone]) == codes_BTQ[alone]).float().mean() > 0.98
        torch.testing.assert_close(codec.decode(codes_BTQ[alone]), decoded_BN[alone], rtol=1e-4, atol=1e-6)


def test_it_equals_the_package_used_directly(codec: EncodecCodec, tmp_path: Path) -> None:
    with torchaudio_or_stand_in():
        from encodec import EncodecModel
    with pytest.warns(FutureWarning, match="weight_norm"):
        model = EncodecModel.encodec_model_24khz(pretrained=False)
    model.load_state_dict(codec.model.state_dict())
    model.set_target_bandwidth(6.0)
    torch.save(model.state_dict(), tmp_path / "weights.th")
    ours = EncodecCodec.from_weights(tmp_path / "weights.th")
    wav_BN = noise(2, 5_000)
    with torch.inference_mode():
        frames = model.encode(wav_BN[:, None])
        wav_B1N = model.decode(frames)
    codes_BTQ = ours.encode(wav_BN)
    assert torch.equal(codes_BTQ, frames[0][0].transpose(1, 2))
    assert torch.equal(ours.decode(codes_BTQ), wav_B1N[:, 0])


def test_safetensors_are_read_as_well(codec: EncodecCodec, tmp_path: Path) -> None:
    save_file(codec.model.state_dict(), tmp_path / "weights.safetensors")
    codes_BTQ = codec.encode(noise(1, 3_200))
    assert torch.equal(EncodecCodec.from_weights(tmp_path / "weights.safetensors").encode(noise(1, 3_200)), codes_BTQ)


@pytest.fixture(scope="module")
def transformers_encodec() -> Any:
    """The model of the transformers library with random weights and codebooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns
        from transformers import EncodecConfig, EncodecModel

        torch.manual_seed(0)
        model = EncodecModel(EncodecConfig()).eval()
    for name, parameter in model.encoder.named_parameters():
        if "bias" in name:
            parameter.data.zero_()
    for quantizer in model.quantizer.layers:
        quantizer.codebook.embed.normal_(std=1e-3)
    return model


@pytest.mark.parametrize("old_names", [False, True], ids=["parametrizations", "weight_g and weight_v"])
def test_it_equals_the_transformers_library_with_its_file(
    transformers_encodec: Any, tmp_path: Path, old_names: bool
) -> None:
    state = transformers_encodec.state_dict()
    if old_names:  # as in the published file
        for number, letter in enumerate("gv"):
            state = {
                key.replace(f"parametrizations.weight.original{number}", f"weight_{letter}"): state[key]
                for key in state
            }
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "model.safetensors")
    ours = EncodecCodec.from_weights(tmp_path / "model.safetensors")
    wav_BN = noise(2, 5_000)
    with torch.inference_mode():
        encoded = transformers_encodec.encode(wav_BN[:, None], bandwidth=6.0)
        wav_B1N = transformers_encodec.decode(encoded.audio_codes, encoded.audio_scales)[0]
    codes_BTQ = ours.encode(wav_BN)
    assert len(codes_BTQ.unique()) > 100
    assert torch.equal(codes_BTQ, encoded.audio_codes[0].transpose(1, 2))
    torch.testing.assert_close(ours.decode(codes_BTQ), wav_B1N[:, 0], rtol=1e-4, atol=1e-6)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing\.th does not exist"):
        EncodecCodec.from_weights(tmp_path / "missing.th")
    (tmp_path / "cut.th").write_bytes(b"PK\x03\x04 and no more")
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "other.th")
    torch.save(torch.zeros(1), tmp_path / "nameless.th")
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 20)
    for name in ("cut.th", "other.th", "nameless.th", "cut.safetensors"):
        with pytest.raises(DamagedCheckpoint, match=name) as caught:
            EncodecCodec.from_weights(tmp_path / name)
        assert "valle checkpoints pull encodec-24khz" in caught.value.hint


def test_random_weights_do_not_use_the_global_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    EncodecCodec.random(0)
    assert torch.equal(torch.rand(4), expected)


def loaded_torchaudio() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "torchaudio"]


@pytest.fixture
def torchaudio_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a torchaudio that is imported before any other; it is not loaded yet."""
    for name in loaded_torchaudio():
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "torchaudio"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in loaded_torchaudio():
        del sys.modules[name]


@pytest.mark.parametrize(
    "body", ["raise OSError('undefined symbol')", "import torchaudio.lib; raise ImportError", "import no_such_module"]
)
def test_a_stand_in_replaces_a_torchaudio_that_does_not_load_and_is_removed(body: str, torchaudio_folder: Path) -> None:
    (torchaudio_folder / "__init__.py").write_text(body)
    (torchaudio_folder / "lib.py").write_text("")
    with torchaudio_or_stand_in():
        assert loaded_torchaudio() == ["torchaudio"]
    assert not loaded_torchaudio()
    with pytest.raises(ZeroDivisionError), torchaudio_or_stand_in():
        _ = 1 / 0
    assert not loaded_torchaudio()


def test_a_torchaudio_that_loads_is_used(torchaudio_folder: Path) -> None:
    (torchaudio_folder / "__init__.py").write_text("real = True")
    with torchaudio_or_stand_in():
        real = sys.modules["torchaudio"]
        assert real.real
    assert sys.modules["torchaudio"] is real
