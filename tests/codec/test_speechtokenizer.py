"""SpeechTokenizer against frozen vectors, its properties, and files that are not what they should be."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from speechtokenizer_golden import AUDIO, CONFIG, DECODED, VECTORS, audio, compute, layout, state_dict
from torch import Tensor

from vallecli.codec.base import AudioGrid, Codec
from vallecli.codec.speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig, infer_config
from vallecli.errors import CheckpointError, DamagedCheckpoint

FROZEN = json.loads(VECTORS.read_text())
TOLERANCE = 2e-5  # of latents and audio, as between implementations
EMBED = "quantizer.vq.layers.3._codebook.embed"
HOP = CONFIG.hop


@pytest.fixture(scope="module")
def codec() -> SpeechTokenizer:
    return SpeechTokenizer.from_tensors(Path("golden"), state_dict(), CONFIG)


@pytest.fixture(scope="module")
def computed(codec: SpeechTokenizer) -> dict[str, dict[str, Any]]:
    return compute(codec)


def random_codes(codec: SpeechTokenizer, batch: int, frames: int) -> Tensor:
    size = (batch, frames, codec.grid.codebooks)
    return torch.randint(codec.grid.codebook_size, size, generator=torch.Generator().manual_seed(3))


def write(folder: Path, tensors: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    """Write SpeechTokenizer.pt and, if there is one, config.json; return the path of the former."""
    path = folder / "SpeechTokenizer.pt"
    torch.save(tensors, path)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return path


def assert_same(a: SpeechTokenizer, b: SpeechTokenizer) -> None:
    assert a.config == b.config
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


# Frozen vectors


@pytest.mark.parametrize("name", [*AUDIO, *DECODED])
def test_outputs_equal_the_frozen_ones(computed: dict[str, dict[str, Any]], name: str) -> None:
    case, frozen = computed[name], FROZEN[name]
    assert frozen.keys() == case.keys() - {"margin"}
    if name in AUDIO:
        assert case["codes"].tolist() == frozen["codes"]
        torch.testing.assert_close(case["latents"].flatten(), torch.tensor(frozen["latents"]), rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(case["decoded"].flatten(), torch.tensor(frozen["decoded"]), rtol=0, atol=TOLERANCE)


def test_the_published_layout_has_166_tensors() -> None:
    assert len(layout(SpeechTokenizerConfig())) == len(layout(CONFIG)) == 166


# Properties


def test_it_is_a_codec_on_the_published_grid(codec: SpeechTokenizer) -> None:
    as_codec: Codec = codec
    assert as_codec.grid == AudioGrid(sample_rate=16_000, hop=320, codebooks=8, codebook_size=64)
    assert as_codec.grid.frame_rate == 50
    assert not codec.training
    assert not any(parameter.requires_grad for parameter in codec.parameters())


@pytest.mark.parametrize("samples", [0, 1, 2, 5, 9, 319, 320, 321, 639, 640, 641, 959, 960, 961, 4000])
def test_every_started_frame_has_codes_and_audio(codec: SpeechTokenizer, samples: int) -> None:
    codes_BTQ = codec.encode(audio(1, 4000)[:, :samples])
    frames = -(-samples // HOP)
    assert (codes_BTQ.shape, codes_BTQ.dtype) == ((1, frames, 8), torch.int64)
    wav_BN = codec.decode(codes_BTQ)
    assert (wav_BN.shape, wav_BN.dtype) == ((1, frames * HOP), torch.float32)
    assert wav_BN.isfinite().all()


def test_a_row_does_not_depend_on_its_batch(codec: SpeechTokenizer) -> None:
    wav_BN = torch.cat([audio(2, 3200), audio(1, 3201)[:, 1:]])
    codes_BTQ = codec.encode(wav_BN)
    decoded_BN = codec.decode(codes_BTQ)
    assert not torch.equal(codes_BTQ[0], codes_BTQ[1])
    for row in range(3):
        assert torch.equal(codec.encode(wav_BN[row : row + 1]), codes_BTQ[row : row + 1])
        alone = codec.decode(codes_BTQ[row : row + 1])
        torch.testing.assert_close(alone, decoded_BN[row : row + 1], rtol=0, atol=TOLERANCE)


def test_levels_add_up(codec: SpeechTokenizer) -> None:
    codes_BTQ = random_codes(codec, 2, 5)
    parts = codec.dequantize(codes_BTQ[..., :3]) + codec.dequantize(codes_BTQ[..., 3:], first=3)
    torch.testing.assert_close(parts, codec.dequantize(codes_BTQ))
    audio_by_level = [codec.decode(codes_BTQ[..., :levels]) for levels in (1, 4, 8)]
    assert {wav_BN.shape for wav_BN in audio_by_level} == {(2, 5 * HOP)}
    assert not torch.equal(audio_by_level[0], audio_by_level[1])
    assert not torch.equal(codec.decode(codes_BTQ[..., :1]), codec.decode(codes_BTQ[..., :1], first=1))


def test_a_later_first_level_quantizes_the_latents_themselves(codec: SpeechTokenizer) -> None:
    with torch.inference_mode():
        latents_BDT = codec.latents(audio(1, 3200))
        codes_BTQ, later_BTQ = codec.quantize(latents_BDT), codec.quantize(latents_BDT, first=2)
    assert torch.equal(codes_BTQ, codec.encode(audio(1, 3200)))
    nearest_BT = torch.cdist(latents_BDT.transpose(1, 2), codec.codebooks[2][None]).argmin(-1)
    assert torch.equal(later_BTQ[..., 0], nearest_BT)
    assert later_BTQ.shape[-1] == 6
    assert not torch.equal(later_BTQ, codes_BTQ[..., 2:])


def test_codes_and_levels_that_do_not_exist_are_refused(codec: SpeechTokenizer) -> None:
    codes_BTQ = random_codes(codec, 1, 4)
    with pytest.raises(ValueError, match="8 codebooks, not 9 from codebook 0"):
        codec.decode(torch.cat([codes_BTQ, codes_BTQ[..., :1]], -1))
    with pytest.raises(ValueError, match="8 codebooks, not 8 from codebook 1"):
        codec.decode(codes_BTQ, first=1)
    with pytest.raises(ValueError, match="not 0 from"):
        codec.decode(codes_BTQ[..., :0])
    with pytest.raises(IndexError):
        codec.decode(torch.full_like(codes_BTQ, codec.grid.codebook_size))


def test_random_weights_give_varied_codes_and_are_set_by_the_seed() -> None:
    first, same, other = (SpeechTokenizer.random(seed, replace(CONFIG, n_filters=8)) for seed in (5, 5, 6))
    assert_same(first, same)
    codes_BTQ = first.encode(audio(1, 16_000))
    assert min(len(codes_BTQ[0, :, level].unique()) for level in range(8)) > 10
    assert not torch.equal(codes_BTQ, other.encode(audio(1, 16_000)))
    assert 0.01 < first.decode(random_codes(first, 1, 50)).std() < 10
    assert SpeechTokenizerConfig() == SpeechTokenizerConfig.from_dict({})


# Files


def test_all_layouts_of_the_same_weights_give_the_same_codec(codec: SpeechTokenizer, tmp_path: Path) -> None:
    tensors = state_dict()
    published = asdict(CONFIG) | {"semantic_dimension": 12, "sampling_rate": 16_000, "fmax_for_loss": None}
    path = write(tmp_path, tensors, published)
    assert_same(SpeechTokenizer.from_weights(path), codec)
    (tmp_path / "config.json").rename(tmp_path / "other.json")
    assert_same(SpeechTokenizer.from_weights(path, tmp_path / "other.json"), codec)
    assert_same(SpeechTokenizer.from_weights(path), codec)  # inferred
    (tmp_path / "config.json").write_text('{"model_type": "another", "dimension": 3}')
    assert_same(SpeechTokenizer.from_weights(path), codec)
    torch.save({"generator": tensors, "discriminators": {"mpd": {}}, "optim_g": {"state": {}}}, path)
    assert_same(SpeechTokenizer.from_weights(path), codec)
    save_file(tensors, tmp_path / "model.safetensors")
    assert_same(SpeechTokenizer.from_weights(tmp_path / "model.safetensors"), codec)


def test_tensors_of_training_are_not_needed_and_not_used(codec: SpeechTokenizer, tmp_path: Path) -> None:
    unused = ("transform.", ".inited", ".cluster_size", ".embed_avg")
    kept = {name: tensor for name, tensor in state_dict().items() if not any(part in name for part in unused)}
    assert len(kept) == 166 - 2 - 3 * 8
    assert_same(SpeechTokenizer.from_weights(write(tmp_path, kept)), codec)


def test_decoding_needs_no_encoder(codec: SpeechTokenizer, tmp_path: Path) -> None:
    codes_BTQ = random_codes(codec, 1, 5)
    decoder = {name: tensor for name, tensor in state_dict().items() if not name.startswith("encoder.")}
    for tensors in (state_dict(), decoder):
        decode_only = SpeechTokenizer.from_weights(write(tmp_path, tensors, asdict(CONFIG)), decode_only=True)
        assert torch.equal(decode_only.decode(codes_BTQ), codec.decode(codes_BTQ))
        assert not any(name.startswith("encoder.") for name in decode_only.state_dict())
        with pytest.raises(RuntimeError, match="decoding only"):
            decode_only.encode(audio(1, 640))
    with pytest.raises(DamagedCheckpoint, match=r"encoder\.model\.\S+ is missing.*more"):
        SpeechTokenizer.from_weights(tmp_path / "SpeechTokenizer.pt")


def test_half_precision_is_computed_in_float32(codec: SpeechTokenizer, tmp_path: Path) -> None:
    half = SpeechTokenizer.from_weights(write(tmp_path, {name: t.half() for name, t in state_dict().items()}))
    assert {tensor.dtype for tensor in half.state_dict().values()} == {torch.float32}
    codes_BTQ = random_codes(codec, 1, 5)
    torch.testing.assert_close(half.decode(codes_BTQ), codec.decode(codes_BTQ), rtol=0, atol=1e-2)


OTHER_SIZES = [
    replace(CONFIG, strides=(4, 2), n_filters=6, bidirectional=False, lstm_layers=1),
    replace(CONFIG, strides=(3, 7, 2), n_q=3, codebook_size=5, dimension=10, residual_kernel_size=5, lstm_layers=3),
]


@pytest.mark.parametrize("config", OTHER_SIZES)
def test_sizes_are_inferred_from_the_tensors(config: SpeechTokenizerConfig, tmp_path: Path) -> None:
    tensors = state_dict(config, seed=1)
    assert infer_config(tmp_path, tensors) == config
    codec = SpeechTokenizer.from_weights(write(tmp_path, tensors))
    assert codec.config == config
    wav_BN = codec.decode(codec.encode(audio(1, 500)))
    assert wav_BN.shape == (1, -(-500 // config.hop) * config.hop)


def test_more_residual_layers_need_a_configuration(tmp_path: Path) -> None:
    config = replace(CONFIG, n_residual_layers=2, dilation_base=3)
    path = write(tmp_path, state_dict(config))
    with pytest.raises(DamagedCheckpoint, match="one residual layer per stride") as refused:
        SpeechTokenizer.from_weights(path)
    assert "config.json" in refused.value.hint
    codec = SpeechTokenizer.from_weights(write(tmp_path, state_dict(config), asdict(config)))
    assert codec.encode(audio(1, 1000)).shape == (1, 4, 8)
    assert codec.decode(random_codes(codec, 1, 4)).shape == (1, 4 * HOP)


# Files that are refused

DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda t: t.pop("decoder.model.6.convtr.convtr.weight_g"), r"6\.convtr\.convtr\.weight_g is missing"),
    "unknown": (lambda t: t.update(extra=torch.zeros(1)), "extra is unknown"),
    "shape": (lambda t: t.update({EMBED: torch.zeros(64, 15)}), r"3\._codebook\.embed is \(64, 15\) instead of"),
    "level": (lambda t: [t.pop(name) for name in list(t) if ".layers.7." in name], r"7\._codebook\.embed is missing"),
    "Snake": (lambda t: t.update({"encoder.model.2.alpha": torch.ones(1, 8, 1)}), "Snake"),
    "NaN": (lambda t: t[EMBED].fill_(float("nan")), "damaged: codebooks has values that are NaN"),
    "zero norm": (lambda t: t["decoder.model.15.conv.conv.weight_v"].zero_(), r"decoder\.model\.15\.weight has values"),
    "no tensor": (lambda t: t.update({EMBED: "text"}), "str"),
    "integers": (lambda t: t.update({EMBED: torch.zeros(64, 16, dtype=torch.int64)}), "int64"),
    "expanded": (lambda t: t.update({EMBED: torch.zeros(1, 16).expand(64, 16)}), "does not store all values"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_wrong_tensors_are_named(tmp_path: Path, damage: str) -> None:
    tensors: dict[str, Any] = state_dict()
    spoil, reason = DAMAGES[damage]
    spoil(tensors)
    path = write(tmp_path, tensors, asdict(CONFIG))
    with pytest.raises(DamagedCheckpoint, match=reason) as refused:
        SpeechTokenizer.from_weights(path)
    assert str(path) in refused.value.message
    assert "--" not in refused.value.hint


@pytest.mark.parametrize("name", ["decoder.model.0.conv.conv.weight_v", "quantizer.vq.layers.0._codebook.embed"])
def test_sizes_that_cannot_be_inferred_are_named(tmp_path: Path, name: str) -> None:
    tensors = state_dict()
    shape = tuple(tensors[name].shape)
    with pytest.raises(DamagedCheckpoint, match="is missing"):
        infer_config(tmp_path, {key: tensor for key, tensor in tensors.items() if key != name})
    with pytest.raises(DamagedCheckpoint, match=r"is \(1, "):
        infer_config(tmp_path, tensors | {name: torch.zeros(1, *shape)})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (99,)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, state_dict())
    whole = path.read_bytes()
    files = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:99_999] + bytes([whole[99_999] ^ 1]) + whole[100_000:],
        "text": b"not weights at all, just a line of text\n",
        "code": pickle.dumps(Evil()),
    }
    for name, contents in files.items():
        path.write_bytes(contents)
        with pytest.raises(CheckpointError) as refused:
            SpeechTokenizer.from_weights(path)
        assert str(path) in refused.value.message, name
    with pytest.raises(CheckpointError, match="does not exist"):
        SpeechTokenizer.from_weights(tmp_path / "absent.pt")
    for contents in ({}, [torch.zeros(3)], {"generator": 3}, {"generator": {}}, {0: torch.zeros(1)}):
        torch.save(contents, path)
        with pytest.raises(
            DamagedCheckpoint, match=r"does not contain SpeechTokenizer's weights|int 'generator' among"
        ):
            SpeechTokenizer.from_weights(path)


def test_tensors_that_share_their_values_are_refused(tmp_path: Path) -> None:
    tensors = state_dict()
    shared = {name: tensors[EMBED] if name.endswith(".embed") else tensor for name, tensor in tensors.items()}
    big = shared | {f"quantizer.vq.layers.{level}._codebook.embed": tensors[EMBED] for level in range(8, 64)}
    with pytest.raises(DamagedCheckpoint, match="larger than the file"):
        SpeechTokenizer.from_weights(write(tmp_path, big, asdict(replace(CONFIG, n_q=64))))


BAD_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"activation": "Snake"}, "ELU"),
    ({"activation": None}, "ELU"),
    ({"n_filters": 2**40}, "n_filters"),
    ({"n_filters": 1}, "n_filters"),
    ({"n_filters": 64.0}, "n_filters"),
    ({"n_filters": 4096}, "65536 channels"),
    ({"dimension": 10**15}, "dimension"),
    ({"dimension": True}, "dimension"),
    ({"codebook_size": 10**9}, "codebook_size"),
    ({"n_q": 0}, "n_q"),
    ({"n_q": 10**6}, "n_q"),
    ({"lstm_layers": 10**6}, "lstm_layers"),
    ({"lstm_layers": "2"}, "lstm_layers"),
    ({"n_residual_layers": 10**6}, "n_residual_layers"),
    ({"dilation_base": -1}, "dilation_base"),
    ({"residual_kernel_size": 10**6}, "residual_kernel_size"),
    ({"bidirectional": 1}, "bidirectional"),
    ({"sample_rate": 0}, "sample_rate"),
    ({"strides": 8}, "strides"),
    ({"strides": []}, "strides"),
    ({"strides": ["8", 5, 4, 2]}, "strides"),
    ({"strides": [8, 5, -4, 2]}, "strides"),
    ({"strides": [8, 5, 4, 10**9]}, "strides"),
    ({"strides": [1] * 9}, "strides"),
]


@pytest.mark.parametrize(("values", "reason"), BAD_CONFIGS)
def test_unusable_configurations_are_refused(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    config = asdict(CONFIG) | values
    with pytest.raises(ValueError, match=reason):
        SpeechTokenizerConfig.from_dict(config)
    path = write(tmp_path, {"decoder": torch.zeros(1)}, config)
    with pytest.raises(DamagedCheckpoint, match=reason) as refused:
        SpeechTokenizer.from_weights(path)
    assert str(tmp_path / "config.json") in refused.value.message


def test_a_configuration_larger_than_the_file_costs_no_memory(tmp_path: Path) -> None:
    """The greatest sizes would need more than 100 GB; shapes are compared before anything is allocated."""
    greatest = {"n_filters": 512, "dimension": 8192, "codebook_size": 2**16, "n_q": 64, "lstm_layers": 8}
    path = write(tmp_path, state_dict(), asdict(CONFIG) | greatest)
    allocated: list[int] = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and not out.is_meta:
                allocated.append(out.nbytes)
            return out

    with Watch(), pytest.raises(DamagedCheckpoint, match="instead of"):
        SpeechTokenizer.from_weights(path)
    assert max(allocated, default=0) <= path.stat().st_size


def test_a_named_configuration_has_to_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, state_dict())
    with pytest.raises(DamagedCheckpoint, match="does not exist"):
        SpeechTokenizer.from_weights(path, tmp_path / "config.json")
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(DamagedCheckpoint, match="damaged"):
        SpeechTokenizer.from_weights(path)
