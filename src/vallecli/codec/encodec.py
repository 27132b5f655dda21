"""EnCodec at 24 kHz and 6 kbps (arXiv 2210.13438), by the `encodec` package. Only this module imports the package."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from vallecli.checkpoints.modules import check_finite
from vallecli.checkpoints.weights import read_tensors
from vallecli.codec.base import ENCODEC_GRID, reading_weights

BANDWIDTHS = [1.5, 3.0, 6.0, 12.0, 24.0]  # kbps of the published model, whose codebooks the last one determines
BANDWIDTH = 6.0  # kbps: 8 of the model's 32 codebooks


@contextmanager
def torchaudio_or_stand_in() -> Iterator[None]:
    """Make `import torchaudio` succeed in the body, by an empty module if the real one is missing or does not load.

    encodec 0.1.1 imports torchaudio at module level to read, write and resample files, which is not needed here, and
    next to a CPU build of torch, torchaudio often fails to load its libraries. The empty module is removed afterwards,
    so that no other code finds it.
    """
    before = set(sys.modules)
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError, AttributeError):  # errors of the dynamic loader and of torch.ops
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio" and name not in before]:
            del sys.modules[name]  # partially imported modules
        stand_in = ModuleType("torchaudio")
        stand_in.__spec__ = ModuleSpec("torchaudio", None)  # transformers looks for it
        sys.modules["torchaudio"] = stand_in
        try:
            yield
        finally:
            if sys.modules.get("torchaudio") is stand_in:
                del sys.modules["torchaudio"]
    else:
        yield


class Sizes(NamedTuple):
    """Sizes of a model; by default those of the published one. Tests use smaller ones."""

    dimension: int = 128
    filters: int = 32
    codebooks: int = 32

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Sizes:
        """Return the sizes of tensors, named by either library; the published ones where a tensor is missing."""
        sizes = cls()._asdict()
        for name, pattern, dimension in (
            ("filters", r"encoder\.(model|layers)\.0\.conv\.(conv\.)?weight_g", 0),
            ("filters", r"encoder\.layers\.0\.conv\.parametrizations\.weight\.original0", 0),
            ("dimension", r"quantizer\.(vq\.)?layers\.0\._?codebook\.embed", 1),
        ):
            for key, tensor in tensors.items():
                if re.fullmatch(pattern, key) and 0 < tensor.ndim > dimension:
                    sizes[name] = tensor.shape[dimension]
        count = sum(1 for key in tensors if re.fullmatch(r"quantizer\.(vq\.)?layers\.\d+\._?codebook\.embed", key))
        published = cls()
        return cls(
            dimension=min(max(sizes["dimension"], 1), published.dimension),
            filters=min(max(sizes["filters"], 1), published.filters),
            codebooks=count if ENCODEC_GRID.codebooks <= count <= published.codebooks else published.codebooks,
        )


def _new_model(sizes: Sizes) -> Any:
    """Return the package's 24 kHz model with random weights, and codebooks of zeros."""
    with torchaudio_or_stand_in():
        from encodec.model import EncodecModel
        from encodec.modules.seanet import SEANetDecoder, SEANetEncoder
        from encodec.quantization.vq import ResidualVectorQuantizer
    same: dict[str, Any] = {
        "channels": 1,
        "norm": "weight_norm",
        "causal": True,
        "dimension": sizes.dimension,
        "n_filters": sizes.filters,
    }
    with warnings.catch_warnings():
        # The published weights have the names of the old weight_norm, so its successor cannot be used.
        warnings.filterwarnings("ignore", message=".*weight_norm", category=FutureWarning)
        quantizer = ResidualVectorQuantizer(
            dimension=sizes.dimension, n_q=sizes.codebooks, bins=ENCODEC_GRID.codebook_size
        )
        model = EncodecModel(
            SEANetEncoder(**same), SEANetDecoder(**same), quantizer, BANDWIDTHS, ENCODEC_GRID.sample_rate, channels=1
        )
    model.set_target_bandwidth(BANDWIDTH)
    return model.eval().requires_grad_(False)


# Name in the transformers library -> name in the published file, tried in this order.
RENAMES = (
    (r"(.*)\.parametrizations\.weight\.original0", r"\1.weight_g"),
    (r"(.*)\.parametrizations\.weight\.original1", r"\1.weight_v"),
    (r"(encoder|decoder)\.layers\.(.*)", r"\1.model.\2"),
    (r"(.*)\.conv\.(weight_g|weight_v|bias)", r"\1.conv.conv.\2"),
    (r"quantizer\.layers\.(\d+)\.codebook\.(.*)", r"quantizer.vq.layers.\1._codebook.\2"),
)


def published_names(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Given tensors named by either library, return them under the names of the published file, `wanted`."""
    if all(name in wanted for name in tensors):
        return dict(tensors)
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in RENAMES:
            name = re.sub(f"^{pattern}$", replacement, name)
        if name not in wanted:  # only the package has another name for transposed convolutions
            name = name.replace(".conv.conv.", ".convtr.convtr.")
        renamed[name] = tensor
    return renamed


class EncodecCodec(nn.Module):
    """EnCodec as a `codec.base.Codec`: 75 frames per second, 8 codebooks of 1024."""

    grid = ENCODEC_GRID

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.model = _new_model(sizes or Sizes())

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the codec with the published tensors, named as in encodec_24khz-d7cc33bc.th or by transformers.

        Raises RuntimeError, as torch does, if names or shapes differ.
        """
        codec = cls(Sizes.of(tensors))
        codec.model.load_state_dict(published_names(tensors, codec.model.state_dict()))
        return codec

    @classmethod
    def from_weights(cls, path: Path) -> Self:
        """Return the codec with the weights of a .th file, or of the .safetensors file of the transformers library.

        Raises DamagedCheckpoint if the file cannot be read or has other tensors.
        """
        with reading_weights(path, "EnCodec's weights", "Download it again: valle checkpoints pull encodec-24khz"):
            return cls.from_tensors(read_tensors(path), path)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], path: Path) -> Self:
        """Return the codec with tensors of a file, by either library. DamagedCheckpoint for others."""
        with reading_weights(path, "EnCodec's weights", "Download it again."):
            codec = cls.from_state_dict(tensors)
            for name, tensor in codec.state_dict().items():
                check_finite(tensor, name, path)
            return codec

    @classmethod
    def random(cls, seed: int) -> Self:
        """Return a codec with random weights and codebooks, for tests and measurements."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            codec = cls()
            # With initial biases and codebooks of zeros, every frame would have the same codes.
            for name, parameter in codec.model.encoder.named_parameters():
                if "bias" in name:
                    parameter.zero_()
            for quantizer in codec.model.quantizer.vq.layers:
                quantizer._codebook.embed.normal_(std=1e-3)
        return codec

    @torch.inference_mode()
    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given float32 audio (B, N) in -1..1, return int64 codes (B, T, 8), T = ceil(N / 320)."""
        [(codes_BQT, _)] = self.model.encode(wav_BN[:, None])
        codes: Tensor = codes_BQT.transpose(1, 2)
        return codes

    @torch.inference_mode()
    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """Given codes (B, T, Q), Q up to 32 codebooks, return float32 audio (B, T * 320)."""
        wav_B1N: Tensor = self.model.decode([(codes_BTQ.transpose(1, 2), None)])
        return wav_B1N[:, 0]
