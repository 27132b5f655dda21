"""The preset of a recording: HuBERT's features become semantic tokens, EnCodec's codes the rest.

HuBERT base (arXiv 2106.07447) is computed by transformers. The quantizer is that of gitmylo's
bark-voice-cloning-HuBERT-quantizer: an LSTM that was trained to predict the semantic tokens of Bark.

Suffixes of tensors: N samples or semantic tokens, F features, V classes.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vallecli.checkpoints import lookup, small_files, weights
from vallecli.checkpoints.contents import CONFIGURATIONS
from vallecli.checkpoints.modules import check_tensors, load_into, skeletons
from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.encodec import torchaudio_or_stand_in
from vallecli.errors import DamagedCheckpoint, MissingCheckpoint, PromptTooShort, short
from vallecli.extras import extra
from vallecli.families.bark.config import COARSE_CODEBOOKS, HEAD_WIDTH, SEMANTIC_SIZE
from vallecli.families.bark.presets import BarkPreset, new_preset
from vallecli.families.base import Options

HUBERT, QUANTIZER = "hubert-base-ls960", "bark-quantizer"  # entries of the registry
HUBERT_RATE = 16_000  # Hz
LAYER = 9  # of HuBERT, whose output is quantized
MIN_SAMPLES = 400  # at 16 kHz, that HuBERT needs for a frame
SHORTEST = 0.83  # seconds; of shorter clips, the numbers of tokens and frames do not fit
LOWPASS_WIDTH, ROLLOFF = 6, 0.99  # of the resampler: zero crossings, and share of the band that is kept
MAX_LAYERS, MAX_WIDTH = 64, 2**13  # far above any published model
CONVOLUTIONS = range(7)  # of HuBERT

# fairseq's names -> transformers' names of HuBERT
RENAMES = {
    "post_extract_proj.": "feature_projection.projection.",
    "encoder.pos_conv.0.": "encoder.pos_conv_embed.conv.",
    ".self_attn_layer_norm.": ".layer_norm.",
    ".self_attn.": ".attention.",
    ".fc1.": ".feed_forward.intermediate_dense.",
    ".fc2.": ".feed_forward.output_dense.",
    "mask_emb": "masked_spec_embed",
}
UNUSED = ("label_embs_concat", "final_proj.")  # of fairseq


def resample_16k(wav_N: Tensor, rate: int = ENCODEC_GRID.sample_rate) -> Tensor:
    """Return audio (N,) at 16 kHz, by interpolation with a sinc under a Hann window, as torchaudio does by default.

    The published quantizers were trained on features of audio that was resampled so.
    """
    common = math.gcd(rate, HUBERT_RATE)
    before, after = rate // common, HUBERT_RATE // common
    if before == after:
        return wav_N
    cutoff = min(before, after) * ROLLOFF
    width = math.ceil(LOWPASS_WIDTH * before / cutoff)
    places = torch.arange(-width, width + before, dtype=torch.float64) / before
    times = (places - torch.arange(after, dtype=torch.float64)[:, None] / after) * cutoff
    times = times.clamp(-LOWPASS_WIDTH, LOWPASS_WIDTH)
    window = (times * math.pi / LOWPASS_WIDTH / 2).cos().square()
    kernel = (torch.sinc(times) * window * cutoff / before).to(wav_N)
    padded = F.pad(wav_N, (width, width + before))[None, None]
    out = F.conv1d(padded, kernel[:, None], stride=before)[0].T.flatten()
    return out[: math.ceil(after * len(wav_N) / before)]


class Quantizer(nn.Module):
    """Features of HuBERT to semantic tokens: two layers of LSTM, in version 1 a linear layer, and the classes."""

    def __init__(self, inputs: int, hidden: int, intermediate: int | None, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, num_layers=2, batch_first=True)
        self.intermediate = None if intermediate is None else nn.Linear(hidden, intermediate)
        self.fc = nn.Linear(hidden if intermediate is None else intermediate, classes)

    def forward(self, features_NF: Tensor) -> Tensor:
        """Given features (N, F), return log-probabilities (N, V)."""
        x, _ = self.lstm(features_NF[None])
        if self.intermediate is not None:
            x = self.intermediate(x)  # no activation follows, as published
        out: Tensor = self.fc(x)[0].log_softmax(-1)
        return out


class Cloner:
    """HuBERT and a quantizer, on one device, in float32."""

    def __init__(self, hubert: nn.Module, quantizer: Quantizer) -> None:
        self.hubert, self.quantizer = hubert, quantizer

    @classmethod
    def load(cls, options: Options, device: torch.device) -> Self:
        """Return what makes presets, from the files of loader options or those of the registry.

        Raises CheckpointError for files that are missing or damaged, and DependencyMissing.
        """
        found, missing = [], []
        for option, entry in (("hubert", HUBERT), ("quantizer", QUANTIZER)):
            try:
                found.append(Path(options.get(option) or lookup.find(entry)))
            except MissingCheckpoint:
                missing.append(entry)
        if missing:
            raise MissingCheckpoint(*missing)
        hubert, quantizer = found
        return cls(read_hubert(hubert).to(device), read_quantizer(quantizer).to(device))

    @torch.inference_mode()
    def features(self, wav_N: Tensor) -> Tensor:
        """Given audio (N,) at 16 kHz as it is, not normalized, return the features (N / 320, F) of layer 9."""
        out: Tensor = self.hubert(wav_N[None], output_hidden_states=True).hidden_states[LAYER][0]
        return out

    @torch.inference_mode()
    def log_probabilities(self, features_NF: Tensor) -> Tensor:
        """Return the log-probabilities (N, V) of the semantic tokens of features (N, F)."""
        out: Tensor = self.quantizer(features_NF)
        return out

    def tokens(self, features_NF: Tensor) -> Tensor:
        """Return the semantic tokens (N,) of features (N, F)."""
        return self.log_probabilities(features_NF).argmax(-1)

    def preset(self, wav_N: Tensor, codes_TQ: Tensor, source: str) -> BarkPreset:
        """Return the preset of a clip (N,) at 24 kHz with its codes (T, 8). PromptTooShort for less than 0.83 s."""
        rate = ENCODEC_GRID.sample_rate
        seconds = len(wav_N) / rate
        resampled_N = resample_16k(wav_N)
        if len(resampled_N) < MIN_SAMPLES:
            raise PromptTooShort(source, seconds, SHORTEST)
        tokens_N = self.tokens(self.features(resampled_N)).cpu().numpy()
        codes_QT = codes_TQ.T.cpu().numpy()
        try:
            return new_preset(tokens_N, codes_QT[:COARSE_CODEBOOKS], codes_QT)
        except ValueError as error:
            raise PromptTooShort(source, seconds, SHORTEST) from error


# Files


def _weight_file(path: Path) -> Path:
    """Return a file, or the weight file of a folder. Raises DamagedCheckpoint."""
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in weights.SUFFIXES)
    if not found:
        raise DamagedCheckpoint(f"{path} has no weight file", "Give the file itself.")
    return found[0]


def read_quantizer(path: Path) -> Quantizer:
    """Return a quantizer of version 0 or 1; its shapes say which. Raises DamagedCheckpoint and UnknownFormat."""
    path = _weight_file(path)
    tensors = check_tensors(path, weights.read_tensors(path))
    try:
        inputs, classes = tensors["lstm.weight_ih_l0"].shape[1], tensors["fc.weight"].shape[0]
        hidden = tensors["lstm.weight_hh_l0"].shape[1]
        middle = tensors["intermediate.weight"].shape[0] if "intermediate.weight" in tensors else None
    except (KeyError, IndexError) as error:
        raise DamagedCheckpoint(f"{path} is not a quantizer of HuBERT's features") from error
    if not 0 < classes <= SEMANTIC_SIZE or not all(0 < size <= MAX_WIDTH for size in (inputs, hidden, middle or 1)):
        raise DamagedCheckpoint(f"{path} has sizes that no quantizer has")
    _check_info(path, {"input_size": inputs, "hidden_size": hidden, "output_size": classes})
    with skeletons():
        model = Quantizer(inputs, hidden, middle, classes)
    load_into(model, tensors, "", path)
    return model.eval().requires_grad_(False)


def _check_info(path: Path, sizes: Mapping[str, int]) -> None:
    """Raise DamagedCheckpoint if a newer file states other sizes than those of its tensors."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("/.info")), None)
        if name is None or archive.getinfo(name).file_size > small_files.MAX_JSON_BYTES:
            return
        text = archive.read(name).decode("utf-8", "replace")
    stated = small_files.parse_json(path, text, "a quantizer")
    if other := [key for key, size in sizes.items() if stated.get(key, size) != size]:
        raise DamagedCheckpoint(f"{path} states another {other[0]} than its tensors have: {short(stated[other[0]])}")


def read_hubert(path: Path) -> nn.Module:
    """Return HuBERT from the file of transformers, with its config.json if there is one, or from fairseq's.

    Raises DamagedCheckpoint, UnknownFormat and DependencyMissing.
    """
    path = _weight_file(path)
    raw = weights.read(path)
    tensors = {
        _hub_name(name): tensor for name, tensor in weights.state_dict(raw).items() if not name.startswith(UNUSED)
    }
    check_tensors(path, tensors)
    sizes = _hubert_sizes(path, tensors, _stored_heads(path, raw))
    with extra("bark", "cloning"), torchaudio_or_stand_in():
        from transformers import HubertConfig, HubertModel
    with skeletons():
        model: nn.Module = HubertModel(HubertConfig(**sizes))
    if missing := sorted(model.state_dict().keys() - tensors.keys()):
        raise DamagedCheckpoint(f"{path} is not HuBERT: it has no {missing[0]}")
    load_into(model, tensors, "", path)
    return model.eval().requires_grad_(False)


def _hub_name(name: str) -> str:
    """Return the name in transformers of a tensor of HuBERT, named by fairseq or an older transformers."""
    name = name.removeprefix("hubert.")
    if name.startswith("layer_norm."):
        name = f"feature_projection.{name}"
    name = re.sub(r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv.", name)
    name = re.sub(r"^(feature_extractor\.conv_layers\.0)\.2\.", r"\1.layer_norm.", name)
    for theirs, ours in RENAMES.items():
        name = name.replace(theirs, ours)
    for index, last in enumerate(("weight_g", "weight_v")):
        name = name.replace(
            f"pos_conv_embed.conv.{last}", f"pos_conv_embed.conv.parametrizations.weight.original{index}"
        )
    return name


def _stored_heads(path: Path, raw: Any) -> int | None:
    """Return the number of attention heads that fairseq stored, or config.json next to the file; None without."""
    arguments = raw.get("args") if isinstance(raw, Mapping) else None
    heads = arguments.get("encoder_attention_heads") if isinstance(arguments, Mapping) else None
    beside = path.with_name(CONFIGURATIONS[0])
    if heads is None and beside.is_file():
        heads = small_files.read_json(beside).get("num_attention_heads")
    return heads if type(heads) is int and heads > 0 else None


def _hubert_sizes(path: Path, tensors: Mapping[str, Any], heads: int | None) -> dict[str, Any]:
    """Return the arguments of HubertConfig for a model of the size of these tensors. Raises DamagedCheckpoint."""

    def size(name: str, dimension: int) -> int:
        shape = tensors[name].shape if name in tensors else ()
        found = shape[dimension] if dimension < len(shape) else 0
        if not 0 < found <= MAX_WIDTH:
            raise DamagedCheckpoint(f"{path} is not HuBERT: it has no {name}, or of another size")
        return int(found)

    width = size("feature_projection.projection.weight", 0)
    layers = sum(f"encoder.layers.{n}.final_layer_norm.weight" in tensors for n in range(MAX_LAYERS))
    heads = heads or max(1, width // HEAD_WIDTH)
    if layers < LAYER or width % heads:
        raise DamagedCheckpoint(f"{path} is not HuBERT base: it has {layers} layers and {heads} heads of {width}")
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": size("encoder.layers.0.feed_forward.intermediate_dense.weight", 0),
        "conv_dim": [size(f"feature_extractor.conv_layers.{n}.conv.weight", 0) for n in CONVOLUTIONS],
        "feat_extract_norm": "group",
        "do_stable_layer_norm": False,
    }
