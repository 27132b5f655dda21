"""Small checkpoints with random weights in the published layouts. The published names are written here by hand."""

from __future__ import annotations

import pathlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 1, "nar_d_model": 16, "nar_n_heads": 1, "nar_n_layers": 1}
OPTIONS = {"nhead": 2, "scale_factor": 0.5, "prefix_mode": 0, "share_embedding": True, "norm_first": True}


def published(config: ModelConfig) -> tuple[AR, NAR, dict[str, Tensor]]:
    """Return models with random weights, and their state under the published names of lifeiteng/vall-e."""
    torch.manual_seed(0)
    ar, nar = AR(config), NAR(config)
    for model in (ar, nar):
        model.audio_positions.alpha.data.normal_()
    state = {
        "ar_predict_layer.weight": ar.head.weight,
        "ar_audio_embedding.word_embeddings.weight": ar.audio_embedding.weight,
    }
    state |= {f"nar_audio_embeddings.{i}.word_embeddings.weight": e.weight for i, e in enumerate(nar.audio_embeddings)}
    state |= {f"nar_predict_layers.{i}.weight": head.weight for i, head in enumerate(nar.heads)}
    for stage in range(7):
        state[f"nar_stage_embeddings.{stage}.word_embeddings.weight"] = nar.stage_embeddings.weight[stage : stage + 1]
    for name, model in (("ar", ar), ("nar", nar)):
        state[f"{name}_text_embedding.word_embeddings.weight"] = model.text_embedding.weight
        if model.language_embedding is not None:
            state[f"{name}_language_embedding.word_embeddings.weight"] = model.language_embedding.weight
        state[f"{name}_text_position.alpha"] = model.text_positions.alpha
        state[f"{name}_audio_position.alpha"] = model.audio_positions.alpha
        norms = {f"{name}_decoder.norm": model.norm}
        for i, layer in enumerate(model.layers):
            at = f"{name}_decoder.layers.{i}"
            norms |= {
                f"{at}.{norm}": getattr(layer, norm) for norm in ("norm1", "norm2", "norm3") if hasattr(layer, norm)
            }
            for kind in ("weight", "bias"):
                state[f"{at}.self_attn.in_proj_{kind}"] = getattr(layer.attention.qkv, kind)
                state[f"{at}.self_attn.out_proj.{kind}"] = getattr(layer.attention.out, kind)
                state[f"{at}.linear1.{kind}"] = getattr(layer.linear1, kind)
                state[f"{at}.linear2.{kind}"] = getattr(layer.linear2, kind)
                if config.cross_attention:
                    state[f"{at}.multihead_attn.in_proj_{kind}"] = getattr(layer.cross.qkv, kind)
                    state[f"{at}.multihead_attn.out_proj.{kind}"] = getattr(layer.cross.out, kind)
        for key, norm in norms.items():
            for kind in ("weight", "bias"):
                if name == "ar":
                    state[f"{key}.{kind}"] = getattr(norm, kind)
                else:
                    state[f"{key}.project_layer.{kind}"] = getattr(norm.project, kind)
                    state[f"{key}.norm.{kind}"] = getattr(norm.norm, kind)
    return ar, nar, {key: tensor.detach().clone() for key, tensor in state.items()}


def shapes(
    *,
    text: int,
    width: int,
    layers: int,
    nar_width: int | None = None,
    languages: int = 0,
    bos: bool = False,
    cross_attention: bool = False,
    stage_alphas: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Return the published names of lifeiteng/vall-e with their shapes; BOS adds a row to the AR's audio embedding."""
    nar_width = nar_width or width
    named: dict[str, tuple[int, ...]] = {
        "ar_audio_embedding.word_embeddings.weight": (1026 if bos else 1025, width),
        "ar_predict_layer.weight": (1025, width),
    }
    for codebook in range(8):
        named[f"nar_audio_embeddings.{codebook}.word_embeddings.weight"] = (1024 if codebook else 1025, nar_width)
    for stage in range(7):
        named[f"nar_predict_layers.{stage}.weight"] = (1024, nar_width)
        named[f"nar_stage_embeddings.{stage}.word_embeddings.weight"] = (1, nar_width)
    for model, dim in (("ar", width), ("nar", nar_width)):
        named[f"{model}_text_embedding.word_embeddings.weight"] = (text, dim)
        if languages:
            named[f"{model}_language_embedding.word_embeddings.weight"] = (languages, dim)
        named[f"{model}_text_position.alpha"] = (1,)
        named[f"{model}_audio_position.alpha"] = (7 if stage_alphas and model == "nar" else 1,)
        linears = {"self_attn.out_proj": (dim, dim), "linear1": (4 * dim, dim), "linear2": (dim, 4 * dim)}
        attentions, norms = ["self_attn"], ["norm1", "norm2"]
        if cross_attention:
            linears["multihead_attn.out_proj"] = (dim, dim)
            attentions, norms = [*attentions, "multihead_attn"], [*norms, "norm3"]
        for layer in (f"{model}_decoder.layers.{i}" for i in range(layers)):
            for attention in attentions:
                named[f"{layer}.{attention}.in_proj_weight"] = (3 * dim, dim)
                named[f"{layer}.{attention}.in_proj_bias"] = (3 * dim,)
            for name, shape in linears.items():
                named |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for norm in [*(f"layers.{i}.{name}" for i in range(layers) for name in norms), "norm"]:
            place = f"{model}_decoder.{norm}"
            if model == "nar":  # it adapts to the stage
                named |= {f"{place}.project_layer.weight": (2 * dim, dim), f"{place}.project_layer.bias": (2 * dim,)}
                place += ".norm"
            named |= {f"{place}.weight": (dim,), f"{place}.bias": (dim,)}
    return named


def tie_heads(state: dict[str, Tensor]) -> None:
    """Make the heads of codebooks 3 to 8 the embeddings of these codebooks, as `share_embedding` does."""
    for stage in range(6):
        state[f"nar_predict_layers.{stage}.weight"] = state[f"nar_audio_embeddings.{stage + 2}.word_embeddings.weight"]


def write(path: Path, state: dict[str, Tensor], **options: Any) -> Path:
    """Write a state dict with the options of a trainer, as lifeiteng/vall-e does."""
    torch.save({"model": state, "exp_dir": pathlib.PurePosixPath("exp/valle"), **options}, path)
    return path


def write_vallex(path: Path) -> Path:
    """Write a checkpoint of VALL-E X."""
    return write(path, published(ModelConfig(text_vocab=70, **SIZES, n_languages=3, bos="start"))[2], **OPTIONS)


def write_lifeiteng(path: Path, **options: Any) -> Path:
    """Write a checkpoint of lifeiteng/vall-e."""
    return write(path, published(ModelConfig(text_vocab=20, **SIZES))[2], **OPTIONS | options)


def legacy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under the names of lifeiteng's first layout; both models get the AR's text tables."""
    state = dict(state)
    for name in ("text_embedding.word_embeddings.weight", "text_position.alpha"):
        state[name] = state.pop(f"ar_{name}")
        del state[f"nar_{name}"]
    alphas = [*state.pop("ar_audio_position.alpha"), *state.pop("nar_audio_position.alpha")]
    state |= {f"audio_positions.{i}.alpha": alpha[None] for i, alpha in enumerate(alphas)}
    state["stage_embeddings.0.word_embeddings.weight"] = torch.zeros(1, 32)
    renames = {
        r"ar_audio_embedding\.(.*)": r"ar_embedding.\1",
        r"nar_audio_embeddings\.(.*)": r"nar_embeddings.\1",
        r"ar_predict_layer\.(.*)": r"predict_layers.0.\1",
    }
    for old, new in renames.items():
        state = {re.sub(old, new, key): tensor for key, tensor in state.items()}
    for stage in range(7):
        key = "stage_embeddings.{}.word_embeddings.weight"
        state[key.format(stage + 1)] = state.pop(f"nar_{key.format(stage)}")
        state[f"predict_layers.{stage + 1}.weight"] = state.pop(f"nar_predict_layers.{stage}.weight")
    return state


ARGS = """{
    model_type: "VALLE",  // JSON5, as published
    "model": {"nhead": 2, "prefix_mode": 1, "share_embedding": true,},
}
"""


def write_amphion(folder: Path, *epochs: str, args: str = ARGS, symbols: str | None = "<eps> 0\nb 1\n! 2\n") -> Path:
    """Write an experiment folder of Amphion v1 with weights of these epochs."""
    for epoch in epochs or ("epoch-0001_step-0000010_loss-3.5",):
        saved = folder / "checkpoint" / epoch
        saved.mkdir(parents=True)
        torch.save(published(ModelConfig(text_vocab=20, **SIZES))[2], saved / "pytorch_model.bin")
    (folder / "args.json").write_text(args)
    if symbols is not None:
        (folder / "symbols.dict").write_text(symbols)
    return folder
