"""A narrow SpeechTokenizer in the published layout, whose codes and audio are frozen in speechtokenizer_golden.json.

    python tests/codec/speechtokenizer_golden.py    # write the file again

Do that only while our codec reproduces vectors of the published implementation, as it did when these were frozen.
Weights and audio come from numpy's RandomState, whose stream is guaranteed not to change. As in published files,
weight_g is not the norm of weight_v and embed_avg is not embed, so shortcuts fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vallecli.codec.speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig

VECTORS = Path(__file__).with_suffix(".json")
CONFIG = SpeechTokenizerConfig(n_filters=4, dimension=16, codebook_size=64)
SEED = 44
SEMANTIC_DIMENSION = 12  # of the training-only projection
EVERY = 41  # of the audio samples, so many apart, are kept
MARGIN = 1e-3  # least relative distance between the best and the second best entry, far above rounding errors
AUDIO = {"multiple": (1, 3200), "one_more": (1, 3201), "one_less": (1, 3199), "one_frame": (1, 200), "batch": (2, 1600)}
DECODED = {"1 frame": (0, 8, 1), "2 frames": (0, 8, 2), "3 frames": (0, 8, 3)}  # first and end level, frames
DECODED |= {"level 0": (0, 1, 10), "levels 0-3": (0, 4, 10), "levels 1-7": (1, 8, 10)}


def layout(config: SpeechTokenizerConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the published tensors, in the order of the file."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(prefix: str, outputs: int, inputs: int, kernel: int) -> None:
        name = f"{prefix}.conv.conv"
        shapes.update({f"{name}.bias": (outputs,), f"{name}.weight_g": (outputs, 1, 1)})
        shapes[f"{name}.weight_v"] = (outputs, inputs, kernel)

    def residuals(side: str, index: int, width: int) -> None:
        for layer in range(index, index + config.n_residual_layers):
            conv(f"{side}.model.{layer}.block.1", width // 2, width, config.residual_kernel_size)
            conv(f"{side}.model.{layer}.block.3", width, width // 2, 1)
            conv(f"{side}.model.{layer}.shortcut", width, width, 1)

    def lstm(prefix: str, width: int, directions: list[str]) -> None:
        for layer in range(config.lstm_layers):
            for direction in directions:
                end = f"l{layer}{direction}"
                inputs = width if layer == 0 else width * len(directions)
                shapes[f"{prefix}.lstm.weight_ih_{end}"] = (4 * width, inputs)
                shapes[f"{prefix}.lstm.weight_hh_{end}"] = (4 * width, width)
                shapes[f"{prefix}.lstm.bias_ih_{end}"] = shapes[f"{prefix}.lstm.bias_hh_{end}"] = (4 * width,)

    step = 2 + config.n_residual_layers  # layers per stride
    width, index = config.n_filters, 1
    conv("encoder.model.0", width, 1, 7)
    for stride in reversed(config.strides):
        residuals("encoder", index, width)
        conv(f"encoder.model.{index + step - 1}", 2 * width, width, 2 * stride)
        width, index = 2 * width, index + step
    directions = ["", "_reverse"] if config.bidirectional else [""]
    lstm(f"encoder.model.{index}", width, directions)
    conv(f"encoder.model.{index + 2}", config.dimension, width * len(directions), 7)
    shapes.update({"transform.weight": (SEMANTIC_DIMENSION, config.dimension), "transform.bias": (SEMANTIC_DIMENSION,)})
    table = (config.codebook_size, config.dimension)
    for level in range(config.n_q):
        name = f"quantizer.vq.layers.{level}._codebook"
        shapes.update({f"{name}.inited": (1,), f"{name}.cluster_size": table[:1]})
        shapes.update({f"{name}.embed": table, f"{name}.embed_avg": table})
    conv("decoder.model.0", width, config.dimension, 7)
    lstm("decoder.model.1", width, [""])
    index = 2
    for stride in config.strides:
        name = f"decoder.model.{index + 1}.convtr.convtr"
        shapes.update({f"{name}.bias": (width // 2,), f"{name}.weight_g": (width, 1, 1)})
        shapes[f"{name}.weight_v"] = (width, width // 2, 2 * stride)
        width //= 2
        residuals("decoder", index + 2, width)
        index += step
    conv(f"decoder.model.{index + 1}", 1, width, 7)
    return shapes


def state_dict(config: SpeechTokenizerConfig = CONFIG, seed: int = SEED) -> dict[str, Tensor]:
    """Return random tensors in the published layout that keep signals and codes varied."""
    random = np.random.RandomState(seed)
    tensors = {}
    for name, shape in layout(config).items():
        values = random.uniform(-1, 1, shape)
        if name.endswith("weight_g"):
            values = 1 + values / 3
        elif name.endswith(("bias", "inited")) or ".bias_" in name:
            values = values / 10
        elif ".lstm." in name:
            values = values * (3 / shape[1]) ** 0.5
        elif name.endswith(".embed"):
            values = values / 2
        tensors[name] = torch.from_numpy(values).float()
    return tensors


def audio(batch: int, samples: int) -> Tensor:
    """Return a few tones of changing loudness and some noise, different in each row (batch, samples)."""
    random = np.random.RandomState(samples)
    time = np.arange(samples) / CONFIG.sample_rate
    rows = []
    for _ in range(batch):
        tones = [np.sin(2 * np.pi * (hz * time + phase)) for hz, phase in random.uniform((60, 0), (3000, 1), (6, 2))]
        loudness = [1 + np.sin(2 * np.pi * hz * time) for hz in random.uniform(2, 12, 6)]
        rows.append(
            sum(a * b for a, b in zip(tones, loudness, strict=True)) / 20 + random.uniform(-0.05, 0.05, samples)
        )
    return torch.from_numpy(np.stack(rows)).float()


def margin(codec: SpeechTokenizer, latents_BDT: Tensor) -> float:
    """Return the least (second best - best) / best squared distance of any choice, in float64."""
    left_BTD = latents_BDT.transpose(1, 2).double()
    least = float("inf")
    for table_VD in codec.codebooks.double():
        distances, rows = (left_BTD[:, :, None] - table_VD).square().sum(-1).topk(2, largest=False)
        least = min(least, (distances[..., 1] / distances[..., 0] - 1).min().item())
        left_BTD = left_BTD - table_VD[rows[..., 0]]
    return least


def compute(codec: SpeechTokenizer) -> dict[str, dict[str, Any]]:
    """Return codes (B, T, Q), latents (B, D, T) and some samples of the audio, for every case."""
    cases = {}
    for name, (batch, samples) in AUDIO.items():
        wav_BN = audio(batch, samples)
        with torch.inference_mode():
            latents_BDT = codec.latents(wav_BN)
        codes_BTQ = codec.encode(wav_BN)
        wav = codec.decode(codes_BTQ)[:, ::EVERY]
        least = margin(codec, latents_BDT)
        cases[name] = {"codes": codes_BTQ, "latents": latents_BDT[:, ::4], "decoded": wav, "margin": least}
    random = np.random.RandomState(1)
    for name, (first, end, frames) in DECODED.items():
        codes_BTQ = torch.from_numpy(random.randint(0, CONFIG.codebook_size, (1, frames, CONFIG.n_q)))
        cases[name] = {"decoded": codec.decode(codes_BTQ[..., first:end], first=first)[:, ::EVERY]}
    return cases


def main() -> None:
    """Write the vectors; a case whose codes are too close to call needs another seed."""
    codec = SpeechTokenizer.from_tensors(Path("golden"), state_dict(), CONFIG)
    frozen = {}
    for name, case in compute(codec).items():
        if case.pop("margin", 1.0) < MARGIN:
            raise SystemExit(f"{name}: the closest choice is within {MARGIN}, change SEED")
        flat = {key: tensor.double().flatten().tolist() for key, tensor in case.items()}
        digits = {"codes": 0, "latents": 5, "decoded": 6}
        frozen[name] = {key: [round(value, digits[key]) for value in values] for key, values in flat.items()}
        if "codes" in case:
            frozen[name]["codes"] = case["codes"].tolist()
    lines = ",\n".join(f'"{name}": {json.dumps(case, separators=(",", ":"))}' for name, case in frozen.items())
    VECTORS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
