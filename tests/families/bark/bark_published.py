"""Small checkpoints in the published layouts of Bark. The names are written here by hand.

Vocabularies, positions and special ids are the published ones; widths and depths are tiny. Weights come from numpy's
RandomState, whose stream never changes, in the order of their names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LAYERS, HEADS, WIDTH = 2, 2, 16
SIZES = {"text": (129_600, 10_048), "coarse": (12_096, 12_096), "fine": (1056, 1056)}
SUNO = {"text": "semantic", "coarse": "coarse_acoustics", "fine": "fine_acoustics"}
HUB_NAMES = (
    ("transformer.wtes.", "input_embeds_layers."),
    ("transformer.wte.", "input_embeds_layer."),
    ("transformer.wpe.", "position_embeds_layer."),
    ("transformer.h.", "layers."),
    ("transformer.ln_f.", "layernorm_final."),
    (".ln_", ".layernorm_"),
    (".attn.c_attn.", ".attn.att_proj."),
    (".attn.c_proj.", ".attn.out_proj."),
    (".mlp.c_fc.", ".mlp.in_proj."),
    (".mlp.c_proj.", ".mlp.out_proj."),
)
PIECES = [
    "hello",
    "Hello",
    "there",
    ",",
    ".",
    "!",
    "?",
    "[",
    "]",
    "laughs",
    "♪",
    "a",
    "b",
    "c",
    "d",
    "##a",
    "##b",
    "##c",
]


def model_tensors(
    model: str, seed: int, *, layers: int = LAYERS, width: int = WIDTH, scale: float = 0.4
) -> dict[str, Tensor]:
    """Return the tensors of one model under suno's names."""
    inputs, outputs = SIZES[model]
    fine = model == "fine"
    shapes: dict[str, tuple[int, ...]] = {"transformer.wpe.weight": (1024, width)}
    norms = ["transformer.ln_f"]
    for layer in range(layers):
        at = f"transformer.h.{layer}"
        norms += [f"{at}.ln_1", f"{at}.ln_2"]
        shapes |= {f"{at}.attn.c_attn.weight": (3 * width, width), f"{at}.attn.c_proj.weight": (width, width)}
        shapes |= {f"{at}.mlp.c_fc.weight": (4 * width, width), f"{at}.mlp.c_proj.weight": (width, 4 * width)}
    if fine:
        shapes |= {f"transformer.wtes.{book}.weight": (inputs, width) for book in range(8)}
    else:
        shapes |= {"transformer.wte.weight": (inputs, width), "lm_head.weight": (outputs, width)}
    shapes |= {f"{name}.weight": (width,) for name in norms}
    if fine:
        shapes |= {f"{name}.bias": (width,) for name in norms}
    random = np.random.RandomState(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        values = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
        tensors[name] = 1 + 0.1 * values if name.endswith(("_1.weight", "_2.weight", "_f.weight")) else scale * values
    if fine:
        tensors |= {f"lm_heads.{book}.weight": tensors[f"transformer.wtes.{book + 1}.weight"] for book in range(7)}
    return tensors


def arguments(model: str, *, layers: int = LAYERS, heads: int = HEADS, width: int = WIDTH) -> dict[str, Any]:
    inputs, outputs = SIZES[model]
    sizes = {"block_size": 1024, "n_layer": layers, "n_head": heads, "n_embd": width, "dropout": 0.0, "bias": False}
    if model == "coarse":
        return {**sizes, "vocab_size": inputs}  # the older spelling
    sizes |= {"input_vocab_size": inputs, "output_vocab_size": outputs}
    return {**sizes, "n_codes_total": 8, "n_codes_given": 1} if model == "fine" else sizes


def write_vocabulary(folder: Path) -> Path:
    """Write a vocab.txt with the special pieces where published ones have them."""
    pieces = [f"[unused{index}]" for index in range(104)]
    for index, piece in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        pieces[index] = piece
    path = folder / "vocab.txt"
    path.write_text("\n".join([*pieces, *PIECES]) + "\n", encoding="utf-8")
    return path


def write_suno(folder: Path, *, seed: int = 0) -> Path:
    """Write three .pt files with the training state that published ones have, and a vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder)
    for number, model in enumerate(SIZES):
        tensors = model_tensors(model, seed + number)
        moments = {index: {"exp_avg": torch.zeros(1)} for index in range(3)}
        contents = {
            "model": {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()},
            "model_args": arguments(model),
            "best_val_loss": np.float32(2.25),
            "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4, "params": [0, 1, 2]}]},
        }
        torch.save(contents, folder / f"{model}.pt")
    return folder


def write_transformers(folder: Path, *, seed: int = 0) -> Path:
    """Write pytorch_model.bin, config.json and a vocabulary, without a codec."""
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder)
    state, config = {}, {"model_type": "bark"}
    for number, (model, prefix) in enumerate(SUNO.items()):
        for name, tensor in model_tensors(model, seed + number).items():
            for theirs, ours in HUB_NAMES:
                name = name.replace(theirs, ours)
            state[f"{prefix}.{name}"] = tensor
        if model != "fine":
            mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
            state |= {f"{prefix}.layers.{layer}.attn.bias": mask for layer in range(LAYERS)}
        config[f"{prefix}_config"] = {"hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": HEADS}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_preset(path: Path, *, seed: int = 0, tokens: int = 301, dtype: str = "int64") -> Path:
    """Write an .npz file as published, with coarse and fine codes by columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(seed)
    fine = np.asfortranarray(random.randint(0, 1024, (8, int(tokens * 75 / 49.9))))
    np.savez(
        path,
        semantic_prompt=random.randint(0, 10_000, tokens).astype(dtype),
        coarse_prompt=fine[:2].astype(dtype),
        fine_prompt=fine.astype(dtype),
    )
    return path
