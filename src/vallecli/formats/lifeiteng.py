"""The layout of lifeiteng/vall-e, which VALL-E X shares: an icefall `.pt` file, its keys, its stored options.

A checkpoint is a dict with the state dict under `model` and the trainer's options beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vallecli.errors import CheckpointError, DamagedCheckpoint
from vallecli.formats.pt import read_pt
from vallecli.model.config import BOS, NUM_CODEBOOKS, ModelConfig, Stop

# Published name -> ours; the first pattern that matches is used.
RENAMES = (
    (r"(ar|nar)_text_embedding\.word_embeddings\.weight", r"\1.text_embedding.weight"),
    (r"(ar|nar)_language_embedding\.word_embeddings\.weight", r"\1.language_embedding.weight"),
    (r"ar_audio_embedding\.word_embeddings\.weight", r"ar.audio_embedding.weight"),
    (r"nar_audio_embeddings\.(\d)\.word_embeddings\.weight", r"nar.audio_embeddings.\1.weight"),
    (r"(ar|nar)_(text|audio)_position\.alpha", r"\1.\2_positions.alpha"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)", r"\1.layers.\2.attention.qkv.\3"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.self_attn\.out_proj\.(weight|bias)", r"\1.layers.\2.attention.out.\3"),
    (r"(ar|nar)_decoder\.(.*)\bproject_layer\.(weight|bias)", r"\1.\2project.\3"),
    (r"(ar|nar)_decoder\.(.*)", r"\1.\2"),
    (r"ar_predict_layer\.weight", r"ar.head.weight"),
    (r"nar_predict_layers\.(\d)\.weight", r"nar.heads.\1.weight"),
)
STAGE_KEY = "nar_stage_embeddings.{}.word_embeddings.weight"


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Given a published state dict, return the same tensors under our names; ValueError for an unknown key."""
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}  # left by distributed training
    stages = [STAGE_KEY.format(stage) for stage in range(NUM_CODEBOOKS - 1)]
    ours = {"nar.stage_embeddings.weight": torch.cat([state[key] for key in stages])}
    for key in sorted(state.keys() - set(stages)):
        for pattern, name in RENAMES:
            if match := re.fullmatch(pattern, key):
                ours[match.expand(name)] = state[key]
                break
        else:
            raise ValueError(f"unknown key {key}")
    return ours


def read_model(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Return the model's options, from the shapes and the stored options, and its tensors under our names.

    The stored options are needed for what no shape tells: heads, prefix mode, tied heads. Raises CheckpointError.
    """
    return convert(path, read_pt(path), stop="argmax")


def convert(path: Path, stored: Any, *, stop: Stop) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Do what read_model does with the dict that the file at `path` holds."""
    try:
        if stored.get("add_prenet") or not stored.get("norm_first", True):
            raise CheckpointError(
                f"{path} is a model with prenets or norms behind its layers, which valle does not have",
                "Use one that was trained with norm_first and without add_prenet.",
            )
        tensors = rename(stored["model"])
        config = ModelConfig(
            text_vocab=len(tensors["ar.text_embedding.weight"]),
            d_model=tensors["ar.text_embedding.weight"].shape[1],
            n_heads=stored["nhead"],
            n_layers=_layers(tensors, "ar"),
            nar_d_model=tensors["nar.text_embedding.weight"].shape[1],
            nar_n_heads=int(stored["nhead"] * stored.get("scale_factor", 1.0)),
            nar_n_layers=_layers(tensors, "nar"),
            n_languages=len(tensors.get("ar.language_embedding.weight", ())),
            bos="start" if len(tensors["ar.audio_embedding.weight"]) > BOS else "none",
            prefix_mode=stored["prefix_mode"],
            tied_heads=bool(stored["share_embedding"]),
            stop=stop,
        )
    except KeyError as error:
        raise DamagedCheckpoint(f"{path} is not in the lifeiteng layout: it has no {error.args[0]}") from error
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedCheckpoint(f"{path} is not in the lifeiteng layout: {error}") from error
    return config, tensors


def _layers(tensors: Mapping[str, Tensor], model: str) -> int:
    return sum(key.startswith(f"{model}.layers.") and key.endswith(".attention.qkv.weight") for key in tensors)
