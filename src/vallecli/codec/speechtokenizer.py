"""SpeechTokenizer (arXiv 2308.16692): 16 kHz audio, 50 frames per second, 8 codebooks of 1024 entries.

The encoder is a stack of strided convolutions and a bidirectional LSTM, the decoder its mirror image with an LSTM in
one direction (SEANet, arXiv 2210.13438); between them is a residual quantizer without projections. Codebook 0 was
trained towards HuBERT's features (content), codebooks 1 to 7 have the rest (timbre, prosody).

Shapes: B batch, N samples, L length along time inside the network, C channels, D latent width, T frames, Q codebooks.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.checkpoints.modules import check_finite, check_tensors, skeletons
from vallecli.checkpoints.weights import AGAIN, MappedFiles, read, read_json, state_dict
from vallecli.codec.base import AudioGrid
from vallecli.errors import DamagedCheckpoint, short

KERNEL = 7  # of the first and the last convolution, on both sides
CONFIG = "config.json"
CONFIG_KEYS = ("n_filters", "strides", "dimension", "n_q")  # without them, a config.json is another model's
MAX_WIDTH = 8192  # channels
MAX_HOP = 8192  # samples per frame
LIMITS = {  # field of the configuration: least and greatest value
    "n_filters": (2, MAX_WIDTH),
    "dimension": (1, MAX_WIDTH),
    "residual_kernel_size": (1, 31),
    "n_residual_layers": (1, 8),
    "dilation_base": (1, 8),
    "lstm_layers": (1, 8),
    "codebook_size": (2, 2**16),
    "n_q": (1, 64),
    "sample_rate": (1000, 192_000),
}
EMBED = "quantizer.vq.layers.{}._codebook.embed"
USE = "Use the published speechtokenizer_hubert_avg."
TRAINING = re.compile(r"transform\..*|quantizer\.vq\.layers\.\d+\._codebook\.(inited|cluster_size|embed_avg)")


@dataclass(frozen=True, kw_only=True)
class SpeechTokenizerConfig:
    """The fields of the published config.json that describe the network; its other fields belong to training."""

    n_filters: int = 64  # channels at the sample rate; they double with every stride
    strides: tuple[int, ...] = (8, 5, 4, 2)  # in the order of the decoder
    dimension: int = 1024
    bidirectional: bool = True  # the encoder's LSTM
    dilation_base: int = 2
    residual_kernel_size: int = 3
    n_residual_layers: int = 1
    lstm_layers: int = 2
    activation: str = "ELU"
    codebook_size: int = 1024
    n_q: int = 8
    sample_rate: int = 16_000  # Hz

    def __post_init__(self) -> None:
        """Raise ValueError for values that are not supported; they may come from a damaged file."""
        if self.activation != "ELU":
            raise ValueError(f"its activation is {short(self.activation)}; only the variant with ELU is supported")
        if type(self.bidirectional) is not bool:
            raise ValueError(f"bidirectional cannot be {short(self.bidirectional)}")
        for name, (least, greatest) in LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= greatest:
                raise ValueError(f"{name} cannot be {short(value)}, it must be a whole number: {least} to {greatest}")
        listed = isinstance(self.strides, tuple) and 1 <= len(self.strides) <= 8
        if not listed or not all(type(n) is int and n >= 1 for n in self.strides) or self.hop > MAX_HOP:
            raise ValueError(f"strides cannot be {short(self.strides)}: 1 to 8 numbers, with a product up to {MAX_HOP}")
        if self.width > MAX_WIDTH:
            raise ValueError(f"n_filters {self.n_filters} and {len(self.strides)} strides make {self.width} channels")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration in a config.json's object; the published values are defaults. Raises ValueError."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        if isinstance(known.get("strides"), list):
            known["strides"] = tuple(known["strides"])
        return cls(**known)

    @property
    def hop(self) -> int:
        """Return the number of samples per frame."""
        return math.prod(self.strides)

    @property
    def width(self) -> int:
        """Return the channels at the frame rate."""
        return int(self.n_filters * 2 ** len(self.strides))


def reflect_pad(x_BCL: Tensor, left: int, right: int) -> Tensor:
    """Mirror both ends of (B, C, L) without repeating the edge; too short a signal first gets zeros on its right."""
    missing = max(0, max(left, right) - x_BCL.shape[-1] + 1)
    padded = F.pad(F.pad(x_BCL, (0, missing)), (left, right), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


class Conv(nn.Conv1d):
    """Convolution with reflect padding: (B, C, L) to (B, C', ceil(L / stride))."""

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Given (B, C, L), return (B, C', ceil(L / stride)). An odd padding has its extra sample on the left."""
        (kernel,), (stride,), (dilation,) = self.kernel_size, self.stride, self.dilation
        total = (kernel - 1) * dilation - (stride - 1)
        right = total // 2
        to_full_window = -x_BCL.shape[-1] % stride
        return super().forward(reflect_pad(x_BCL, total - right, right + to_full_window))


class ConvTranspose(nn.ConvTranspose1d):
    """Transposed convolution: (B, C, L) to (B, C', L * stride)."""

    def forward(self, x_BCL: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Given (B, C, L), return (B, C', L * stride). An odd excess loses its extra sample on the left."""
        out = super().forward(x_BCL, output_size)
        (kernel,), (stride,) = self.kernel_size, self.stride
        right = (kernel - stride) // 2
        left = kernel - stride - right
        return out[..., left : out.shape[-1] - right]


class Residual(nn.Module):
    """Two convolutions with half the channels between them, beside a convolutional shortcut."""

    def __init__(self, channels: int, config: SpeechTokenizerConfig, index: int) -> None:
        super().__init__()
        hidden, kernel, dilation = channels // 2, config.residual_kernel_size, config.dilation_base**index
        self.block = nn.Sequential(
            nn.ELU(), Conv(channels, hidden, kernel, dilation=dilation), nn.ELU(), Conv(hidden, channels, 1)
        )
        self.shortcut = Conv(channels, channels, 1)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Given (B, C, L), return (B, C, L)."""
        out: Tensor = self.shortcut(x_BCL) + self.block(x_BCL)
        return out


class SkipLSTM(nn.Module):
    """LSTM over frames plus its input, which is repeated if the LSTM has two directions."""

    def __init__(self, channels: int, layers: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers, bidirectional=bidirectional)

    def forward(self, x_BCL: Tensor) -> Tensor:
        """Given (B, C, L), return (B, C, L), or (B, 2C, L) with two directions."""
        x = x_BCL.permute(2, 0, 1)  # (L, B, C)
        y, _ = self.lstm(x)
        out: Tensor = (y + (torch.cat([x, x], -1) if self.lstm.bidirectional else x)).permute(1, 2, 0)
        return out


def new_encoder(config: SpeechTokenizerConfig) -> nn.Module:
    """Return a module that makes latents (B, D, ceil(N / hop)) of audio (B, 1, N)."""
    channels = config.n_filters
    layers: list[nn.Module] = [Conv(1, channels, KERNEL)]
    for stride in reversed(config.strides):
        layers += [Residual(channels, config, index) for index in range(config.n_residual_layers)]
        layers += [nn.ELU(), Conv(channels, 2 * channels, 2 * stride, stride)]
        channels *= 2
    layers += [SkipLSTM(channels, config.lstm_layers, bidirectional=config.bidirectional), nn.ELU()]
    layers += [Conv(2 * channels if config.bidirectional else channels, config.dimension, KERNEL)]
    return nn.Sequential(OrderedDict(model=nn.Sequential(*layers)))  # the published names are model.0, model.1, ...


def new_decoder(config: SpeechTokenizerConfig) -> nn.Module:
    """Return a module that makes audio (B, 1, T * hop), not limited to -1..1, of latents (B, D, T)."""
    channels = config.width
    layers: list[nn.Module] = [Conv(config.dimension, channels, KERNEL)]
    layers += [SkipLSTM(channels, config.lstm_layers, bidirectional=False)]
    for stride in config.strides:
        layers += [nn.ELU(), ConvTranspose(channels, channels // 2, 2 * stride, stride)]
        channels //= 2
        layers += [Residual(channels, config, index) for index in range(config.n_residual_layers)]
    layers += [nn.ELU(), Conv(channels, 1, KERNEL)]
    return nn.Sequential(OrderedDict(model=nn.Sequential(*layers)))


class SpeechTokenizer(nn.Module):
    """Audio to codes and back; implements `codec.base.Codec`. Without an encoder, it only decodes."""

    codebooks: Tensor  # (Q, codebook size, D)

    def __init__(self, config: SpeechTokenizerConfig, *, decode_only: bool = False) -> None:
        super().__init__()
        self.config = config
        self.grid = AudioGrid(
            sample_rate=config.sample_rate, hop=config.hop, codebooks=config.n_q, codebook_size=config.codebook_size
        )
        self.encoder = None if decode_only else new_encoder(config)
        self.decoder = new_decoder(config)
        self.register_buffer("codebooks", torch.zeros(config.n_q, config.codebook_size, config.dimension))

    @classmethod
    def from_weights(cls, path: Path, config_path: Path | None = None, *, decode_only: bool = False) -> Self:
        """Return the codec in SpeechTokenizer.pt, in a trainer's checkpoint, or in .safetensors with the same names.

        Its configuration is `config_path`, else config.json in the same folder. If that does not exist or describes
        another model, sizes are inferred from the tensors and the sample rate is the published one.
        Raises CheckpointError if a file cannot be read and DamagedCheckpoint if it has something else in it.
        """
        contents = read(path)
        generator = contents.get("generator") if isinstance(contents, Mapping) else None
        tensors = state_dict(generator if isinstance(generator, Mapping) else contents)
        if sum(t.numel() * t.element_size() for t in tensors.values() if isinstance(t, Tensor)) > path.stat().st_size:
            raise DamagedCheckpoint(f"{path} is refused: its tensors are larger than the file")
        beside = path.with_name(CONFIG)
        source = config_path or (beside if beside.is_file() else None)
        values = read_json(source) if source else {}
        if not config_path and not all(key in values for key in CONFIG_KEYS):
            source = None
        try:
            config = SpeechTokenizerConfig.from_dict(values) if source else infer_config(path, tensors)
        except ValueError as error:
            raise DamagedCheckpoint(f"{source or path}: {error}", USE) from error
        return cls.from_tensors(path, tensors, config, decode_only=decode_only)

    @classmethod
    def from_tensors(
        cls, path: Path, tensors: Mapping[str, Any], config: SpeechTokenizerConfig, *, decode_only: bool = False
    ) -> Self:
        """Return the codec with the published tensors, in which weight normalization is not folded yet.

        DamagedCheckpoint names tensors that are missing, unknown, of another shape, or not finite.
        """
        with skeletons():
            codec = cls(config, decode_only=decode_only)
        codec._assign(path, _network(path, tensors, decode_only=decode_only))
        return codec.eval().requires_grad_(False)

    @classmethod
    def random(cls, seed: int, config: SpeechTokenizerConfig | None = None) -> Self:
        """Return a codec with random weights and codebooks: the right shapes, varied codes, and noise for sound."""
        with skeletons():
            codec = cls(config or SpeechTokenizerConfig())
        codec.to_empty(device="cpu").requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        for _, layer in codec._layers():
            for name, parameter in layer.named_parameters():
                inputs = layer.hidden_size if isinstance(layer, nn.LSTM) else parameter[0].numel()
                if isinstance(layer, nn.ConvTranspose1d):
                    inputs = 2 * layer.in_channels  # every output sample is reached by two windows
                scale = 0.0 if name.startswith("bias") else (3 / inputs) ** 0.5  # keeps the variance
                parameter.uniform_(-scale, scale, generator=generator)
        codec.codebooks.normal_(std=0.1, generator=generator)  # random latents have 0.1 to 0.2
        return codec.eval()

    def _layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers that have weights, each with the prefix of its published tensors."""
        for name, module in self.named_modules():
            if isinstance(module, Conv):
                yield f"{name}.conv.conv", module
            elif isinstance(module, ConvTranspose):
                yield f"{name}.convtr.convtr", module
            elif isinstance(module, nn.LSTM):
                yield name, module

    def _assign(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Replace all parameters by the published tensors, once all shapes are known to be right."""
        shapes = {EMBED.format(level): self.codebooks.shape[1:] for level in range(self.config.n_q)}
        for prefix, layer in self._layers():
            shapes.update({f"{prefix}.{name}": parameter.shape for name, parameter in layer.named_parameters()})
            if not isinstance(layer, nn.LSTM):
                shape = shapes[f"{prefix}.weight_v"] = shapes.pop(f"{prefix}.weight")
                shapes[f"{prefix}.weight_g"] = torch.Size((shape[0], 1, 1))
        _check_shapes(path, tensors, shapes)
        mapped = MappedFiles()
        for prefix, layer in self._layers():
            for name, _ in list(layer.named_parameters()):
                if name == "weight":
                    g, v = tensors[f"{prefix}.weight_g"], tensors[f"{prefix}.weight_v"]
                    tensor = v.float() * (g.float() / v.float().norm(dim=(1, 2), keepdim=True))
                    mapped.release([v])
                else:
                    tensor = tensors[f"{prefix}.{name}"].float()
                setattr(layer, name, nn.Parameter(tensor, requires_grad=False))
        self.codebooks = torch.stack([tensors[EMBED.format(level)].float() for level in range(self.config.n_q)])
        for name, tensor in self.state_dict().items():
            check_finite(tensor, name, path)

    def latents(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N), N > 0, return the encoder's output (B, D, T), T = ceil(N / hop)."""
        if self.encoder is None:
            raise RuntimeError("this SpeechTokenizer was loaded for decoding only")
        out: Tensor = self.encoder(wav_BN[:, None])
        return out

    def quantize(self, latents_BDT: Tensor, *, first: int = 0) -> Tensor:
        """Given latents (B, D, T), return codes (B, T, Q): per codebook the entry nearest to what is left of them.

        Codebook `first` is the first one; it quantizes the latents themselves.
        """
        batch, dimension, frames = latents_BDT.shape
        left = latents_BDT.transpose(1, 2).reshape(-1, dimension)  # (B*T, D)
        codes = []
        for table_VD in self._tables(first, self.config.n_q - first):
            # |left - row|^2 without |left|^2, which is the same for all rows
            distances = torch.addmm(table_VD.square().sum(1), left, table_VD.T, alpha=-2)  # (B*T, V)
            codes.append(distances.argmin(1))
            left = left - table_VD[codes[-1]]
        return torch.stack(codes, -1).view(batch, frames, len(codes))

    def dequantize(self, codes_BTQ: Tensor, *, first: int = 0) -> Tensor:
        """Given codes (B, T, Q) of codebooks `first` to `first + Q - 1`, return the sum of their entries (B, D, T)."""
        total = self.codebooks.new_zeros(())
        for codes_BT, table_VD in zip(codes_BTQ.unbind(-1), self._tables(first, codes_BTQ.shape[-1]), strict=True):
            total = total + F.embedding(codes_BT, table_VD)
        return total.transpose(1, 2)

    def _tables(self, first: int, levels: int) -> Tensor:
        """Return codebooks `first` to `first + levels - 1`. Raises ValueError if there are not that many."""
        if first < 0 or levels < 1 or first + levels > self.config.n_q:
            raise ValueError(f"there are {self.config.n_q} codebooks, not {levels} from codebook {first} on")
        return self.codebooks[first : first + levels]

    @torch.inference_mode()
    def encode(self, wav_BN: Tensor) -> Tensor:
        """Given float32 audio (B, N) in -1..1, return int64 codes (B, T, Q), T = ceil(N / hop), Q all codebooks."""
        if wav_BN.shape[1] == 0:
            return torch.zeros(len(wav_BN), 0, self.config.n_q, dtype=torch.int64, device=wav_BN.device)
        return self.quantize(self.latents(wav_BN))

    @torch.inference_mode()
    def decode(self, codes_BTQ: Tensor, *, first: int = 0) -> Tensor:
        """Given codes (B, T, Q) of codebooks `first` to `first + Q - 1`, return float32 audio (B, T * hop).

        Samples may exceed -1..1. ValueError if there are fewer codebooks.
        """
        latents_BDT = self.dequantize(codes_BTQ, first=first)
        if codes_BTQ.shape[1] == 0:
            return latents_BDT.new_zeros(len(codes_BTQ), 0)
        wav_B1N: Tensor = self.decoder(latents_BDT)
        return wav_B1N[:, 0]


def _network(path: Path, tensors: Mapping[str, Any], *, decode_only: bool = False) -> Mapping[str, Tensor]:
    """Return the tensors without those of training, and without the encoder's to decode only."""
    if any(name.endswith(".alpha") for name in tensors):
        raise DamagedCheckpoint(f"{path} has Snake activations; only the variant with ELU is supported", USE)
    unused = re.compile(rf"{TRAINING.pattern}|encoder\..*") if decode_only else TRAINING
    return check_tensors(path, {name: tensor for name, tensor in tensors.items() if not unused.fullmatch(name)})


def infer_config(path: Path, tensors: Mapping[str, Any]) -> SpeechTokenizerConfig:
    """Return the configuration that the tensors of a published file imply; the sample rate is the published one.

    Raises DamagedCheckpoint if they are no SpeechTokenizer's, or a variant whose shapes do not imply all of it.
    """
    tensors = _network(path, tensors)

    def count(pattern: str) -> int:
        return sum(re.fullmatch(pattern, name) is not None for name in tensors)

    def shape(name: str, dimensions: int) -> torch.Size:
        if name not in tensors or tensors[name].ndim != dimensions:
            state = "is missing" if name not in tensors else f"is {tuple(tensors[name].shape)}"
            raise DamagedCheckpoint(f"{path} does not contain SpeechTokenizer's weights: {name} {state}", AGAIN)
        return tensors[name].shape

    width, dimension, _ = shape("decoder.model.0.conv.conv.weight_v", 3)
    n_strides = count(r"decoder\.model\.\d+\.convtr\.convtr\.weight_v")
    if count(r"decoder\.model\.\d+\.shortcut\.conv\.conv\.weight_v") != n_strides:  # dilations are not in the shapes
        raise DamagedCheckpoint(f"{path} does not have one residual layer per stride", f"Add its {CONFIG}.")
    return SpeechTokenizerConfig(
        n_filters=width >> n_strides,
        strides=tuple(shape(f"decoder.model.{3 + 3 * i}.convtr.convtr.weight_v", 3)[2] // 2 for i in range(n_strides)),
        dimension=dimension,
        bidirectional=any(name.endswith("_reverse") for name in tensors),
        residual_kernel_size=shape("decoder.model.4.block.1.conv.conv.weight_v", 3)[2],
        lstm_layers=count(r"decoder\.model\.1\.lstm\.weight_ih_l\d+"),
        codebook_size=shape(EMBED.format(0), 2)[0],
        n_q=count(re.escape(EMBED).replace(r"\{\}", r"\d+")),
    )


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    problems = [f"{name} is missing" for name in shapes.keys() - tensors.keys()]
    problems += [f"{name} is unknown" for name in tensors.keys() - shapes.keys()]
    problems += [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(shape)}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    if problems:
        listed = "; ".join(sorted(problems)[:3]) + (f" (and {len(problems) - 3} more)" if len(problems) > 3 else "")
        raise DamagedCheckpoint(f"{path} does not contain SpeechTokenizer's weights: {listed}", AGAIN)
