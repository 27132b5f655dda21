"""Small checkpoints in the published layouts of Amphion v2 and e-c-k-e-r/vall-e. The names are written here by hand.

Weights come from numpy's RandomState, whose stream never changes, in the order of their names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH, HEADS, LAYERS, FFN = 32, 2, 2, 48
HEAD_WIDTH = WIDTH // HEADS
FILE = "models/ckpt/ar+nar-len-llama-8/fp32.sft"  # of ecker, in its repository
Shapes = dict[str, tuple[int, ...]]


def stack(prefix: str, *, width: int = WIDTH, ffn: int = FFN, layers: int = LAYERS) -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        at = f"{prefix}layers.{layer}"
        shapes |= {f"{at}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {f"{at}.mlp.{name}_proj.weight": (ffn, width) for name in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = (width, ffn)
    return shapes


def norms(prefix: str) -> list[str]:
    names = ("input_layernorm", "post_attention_layernorm")
    return [*(f"{prefix}layers.{layer}.{name}" for layer in range(LAYERS) for name in names), f"{prefix}norm"]


def amphion_shapes() -> tuple[Shapes, Shapes]:
    at = "model.model."
    ar = stack(at) | {f"{name}.weight": (WIDTH,) for name in norms(at)}
    ar |= {f"{at}layers.{layer}.self_attn.rotary_emb.inv_freq": (HEAD_WIDTH // 2,) for layer in range(LAYERS)}
    ar |= {f"{at}embed_tokens.weight": (1334, WIDTH), "model.lm_head.weight": (1334, WIDTH)}
    nar = stack(at) | {f"{at}embed_tokens.weight": (1334, WIDTH), f"{at}embed_cond.weight": (8, WIDTH)}
    for name in norms(at):
        nar |= {f"{name}.to_weight.weight": (WIDTH, WIDTH), f"{name}.to_weight.bias": (WIDTH,)}
    nar |= {f"model.lm_head.{level}.weight": (1334, WIDTH) for level in range(7)}
    nar |= {f"prompt_embedder.embeddings.{book}.weight": (1024, WIDTH) for book in range(8)}
    return ar, nar | {"phone_embedder.weight": (310, WIDTH)}


def ecker_shapes(*, version: int, biases: bool) -> Shapes:
    shapes = stack("model.") | {f"{name}.weight": (WIDTH,) for name in norms("model.")}
    rows = {"text_emb": 256, "langs_emb": 6 if version == 6 else 4, "tasks_emb": 9, "tones_emb": 1, "rvq_l_emb": 8}
    rows |= {"len_emb": 11} | {f"proms_emb.embeddings.{book}": 1024 for book in range(8)}
    rows |= {f"resps_emb.embeddings.{level}": 1024 + (level in (0, 8)) for level in range(9)}
    classes = [1025, *[1024] * 8, 256, 11]
    if version == 6:
        rows["raw_text_emb"] = 60  # 8575 in the published file
        classes.append(60)
    shapes |= {f"{name}.weight": (count, WIDTH) for name, count in rows.items()}
    for head, count in enumerate(classes):
        shapes[f"classifiers.proj.{head}.weight"] = (count, WIDTH)
        if biases:
            shapes[f"classifiers.proj.{head}.bias"] = (count,)
    return shapes | {"sep": (WIDTH,), "dropout_token": (WIDTH,)}


def random_weights(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Return weights that give activations and logits of ordinary sizes."""
    random = np.random.RandomState(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        values = torch.from_numpy(random.uniform(-1, 1, shape)).float()
        if len(shape) == 1:
            offset = 1.0 if "norm" in name else 0.0
            values = offset + values / 5
        elif "layers." in name and "to_weight" not in name:
            values = 4 * values / shape[1] ** 0.5
        tensors[name] = values
    return tensors


def write_amphion(folder: Path, *, seed: int = 0, heads: int | None = HEADS) -> Path:
    """Write the two files, and a config.json that states the number of heads."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shapes in zip(("valle_ar_mls_200", "valle_nar_mls_100"), amphion_shapes(), strict=True):
        tensors = random_weights(shapes, seed)
        torch.save({f"module.{key}": tensor for key, tensor in tensors.items()}, folder / f"{name}.bin")
    if heads is not None:
        (folder / "config.json").write_text(json.dumps({"num_attention_heads": heads}))
    return folder


def ecker_metadata(*, version: int = 6, unified: bool = False, bidirectional: bool = True) -> dict[str, Any]:
    """Return the configuration of a model as its exporter writes it."""
    return {
        "name": "ar+nar-len",
        "version": version,
        "size": {"dim": WIDTH, "heads": HEADS, "layers": LAYERS, "ffn": 2, "audio_tokens": 1024},
        "langs": 6 if version == 6 else 4,
        "arch_type": "llama",
        "capabilities": ["ar", "nar", "len"],
        "experimental": {
            "split_classifiers": True,
            "audio_embedding_sums": True,
            "unified_position_ids": unified,
            "noncausal_masks": bidirectional,
        },
    }


def write_ecker(
    folder: Path,
    *,
    seed: int = 0,
    version: int = 6,
    biases: bool = False,
    symbols: dict[str, int] | None = None,
    metadata: dict[str, Any] | None = None,
    **experimental: bool,
) -> Path:
    """Write the file where the repository has it; return the folder."""
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = ecker_shapes(version=version, biases=biases)
    shapes = {name: _of_ffn(name, shape) for name, shape in shapes.items()}
    tensors = {name: tensor.half() for name, tensor in random_weights(shapes, seed).items()}
    config = ecker_metadata(version=version, **experimental) if metadata is None else metadata
    stored = {"config": json.dumps(config), "userdata": json.dumps({"symmap": symbols or {}})}
    save_file(tensors, path, stored)
    return folder


def _of_ffn(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape with the width of ecker's MLP, which is a multiple of the model's width."""
    return tuple(2 * WIDTH if ".mlp." in name and size == FFN else size for size in shape)
