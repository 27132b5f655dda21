"""The layout of lifeiteng/vall-e: icefall's `.pt` files, and the tensor names that VALL-E X and Amphion v1 share.

A checkpoint is a dict with the state dict under `model` and the trainer's settings next to it. Until March 2023 (commit
b83653a) AR and NAR shared the text embedding, and tensors had other names; `modernize` translates these. The symbol of
each text id is in a separate file, the table of symbols.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vallecli.checkpoints.contents import Contents
from vallecli.checkpoints.modules import check_tensors
from vallecli.errors import CheckpointError, DamagedCheckpoint, UsageError, short
from vallecli.families.causal import Limits
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.config import BOS, MAX_WIDTH, NUM_CODEBOOKS, ModelConfig, Stop
from vallecli.families.valle.stored import Stored
from vallecli.families.valle.symbols import read_symbols
from vallecli.text.espeak import EspeakFrontEnd

# Published name -> name in valle; the first pattern that matches is used.
RENAMES = (
    (r"(ar|nar)_text_embedding\.word_embeddings\.weight", r"\1.text_embedding.weight"),
    (r"(ar|nar)_language_embedding\.word_embeddings\.weight", r"\1.language_embedding.weight"),
    (r"ar_audio_embedding\.word_embeddings\.weight", r"ar.audio_embedding.weight"),
    (r"nar_audio_embeddings\.(\d)\.word_embeddings\.weight", r"nar.audio_embeddings.\1.weight"),
    (r"(ar|nar)_(text|audio)_position\.alpha", r"\1.\2_positions.alpha"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)", r"\1.layers.\2.attention.qkv.\3"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.self_attn\.out_proj\.(weight|bias)", r"\1.layers.\2.attention.out.\3"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.multihead_attn\.in_proj_(weight|bias)", r"\1.layers.\2.cross.qkv.\3"),
    (r"(ar|nar)_decoder\.layers\.(\d+)\.multihead_attn\.out_proj\.(weight|bias)", r"\1.layers.\2.cross.out.\3"),
    (r"(ar|nar)_decoder\.(.*)\bproject_layer\.(weight|bias)", r"\1.\2project.\3"),
    (r"(ar|nar)_decoder\.(.*)", r"\1.\2"),
    (r"ar_predict_layer\.weight", r"ar.head.weight"),
    (r"nar_predict_layers\.(\d)\.weight", r"nar.heads.\1.weight"),
)
STAGE_KEY = "nar_stage_embeddings.{}.word_embeddings.weight"
TEXT_KEY = "ar_text_embedding.word_embeddings.weight"
LEGACY_TEXT_KEY = "text_embedding.word_embeddings.weight"
LANGUAGE_KEY = "ar_language_embedding.word_embeddings.weight"  # in VALL-E X only
TABLE = "unique_text_tokens.k2symbols"
CODEC = {"kind": "encodec"}
MAX_NAME = 200  # characters of a name in a message
LIMITS = Limits(max_prompt_frames=750, max_text_chars=150)  # 10 s; trained on up to 14 s, prompt included


def recognise(contents: Contents) -> bool:
    """Return whether a file has the tensor names of this layout, without language embeddings."""
    return TEXT_KEY in contents.own_tensors and LANGUAGE_KEY not in contents.own_tensors


def open_contents(contents: Contents) -> Stored:
    """Return what a trainer's file, or a state dict alone, stores. Raises CheckpointError."""
    held = contents.raw(contents.path)
    trained = isinstance(held, Mapping) and "model" in held
    options = {name: value for name, value in held.items() if name != "model"} if trained else {}
    table = options.get("text_tokens")
    return Stored(
        path=contents.path,
        tensors=contents.own_tensors,
        options=options,
        symbols=contents.beside(table if isinstance(table, str) else TABLE),  # only the name counts, not its folder
    )


def read(stored: Stored, options: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint of a .pt file, or of a state dict alone. Raises CheckpointError.

    A state dict alone does not store heads and prefix mode: UsageError if the options do not give them either.
    """
    return read_with(stored, merged(stored.options, options), options, stop="argmax")


def read_with(stored: Stored, settings: Mapping[str, Any], options: Mapping[str, Any], *, stop: Stop) -> Checkpoint:
    """Return the checkpoint, given the trainer's settings. UsageError if some are missing."""
    if missing := missing_settings(settings):
        raise UsageError(
            f"{stored.path} does not store everything: {'; '.join(missing.values())}",
            "Give these loader options, or the file that the trainer wrote.",
        )
    model, tensors = convert(stored.path, stored.tensors, settings, stop=stop)
    return Checkpoint(
        name=stored.path.absolute().stem,
        path=stored.path,
        model=model,
        tensors=tensors,
        front_end=EspeakFrontEnd.name,
        symbols=symbols_of(stored, options, model),
        codec=CODEC,
        limits=LIMITS,
    )


def merged(stored: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trainer's settings, with loader options in their place."""
    mode = options.get("prefix_mode")
    given = {"nhead": options.get("heads"), "prefix_mode": None if mode is None else int(mode)}
    return {**stored, **{name: value for name, value in given.items() if value is not None}}


def missing_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are not stored and that no shape shows, each with a sentence on the loader option."""
    sentences = {
        "nhead": "the number of attention heads is not stored (option heads=N; 16 in every published checkpoint)",
        "prefix_mode": "the prefix mode of the NAR is not stored (option prefix_mode=0, 1, 2 or 4; mostly 1)",
    }
    return {name: sentence for name, sentence in sentences.items() if name not in settings}


def symbols_of(stored: Stored, options: Mapping[str, Any], model: ModelConfig) -> tuple[str, ...] | None:
    """Return the table that was given, else the one next to the weights. Raises DamagedCheckpoint."""
    path = options.get("symbols") or stored.symbols
    return None if path is None else read_symbols(path, model.text_vocab)


def convert(
    path: Path, state: Mapping[str, Any], options: Mapping[str, Any], *, stop: Stop
) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Return the configuration and the tensors under valle's names, tied ones once. Raises CheckpointError.

    `options` are settings that shapes do not determine: number of heads, prefix mode, whether heads are tied.
    """
    try:
        if options.get("add_prenet") or not options.get("norm_first", True):
            raise CheckpointError(
                f"{path} is a model with prenets or with norms after its layers, which valle does not support",
                "Use a checkpoint that was trained with norm_first and without add_prenet.",
            )
        tensors = rename(check_tensors(path, state))
        config = ModelConfig(**model_options(tensors, options), stop=stop)
    except KeyError as error:
        raise DamagedCheckpoint(f"{path} is not in the lifeiteng layout: it has no {error.args[0]}") from error
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError, ArithmeticError) as error:
        raise DamagedCheckpoint(f"{path} is not in the lifeiteng layout: {error}") from error
    return config, _without_tied_heads(path, tensors) if config.tied_heads else tensors


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Given a published state dict, return the same tensors under valle's names. ValueError for an unknown name."""
    if LEGACY_TEXT_KEY in state:
        state = modernize(state)
    stages = [STAGE_KEY.format(stage) for stage in range(NUM_CODEBOOKS - 1)]
    ours = {"nar.stage_embeddings.weight": torch.cat([state[key] for key in stages])}
    for key in sorted(state.keys() - set(stages)):
        for pattern, name in RENAMES:
            if match := re.fullmatch(pattern, key):
                ours[match.expand(name)] = state[key]
                break
        else:
            raise ValueError(f"unknown key {key[:MAX_NAME]}")
    return ours


def modernize(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Given a state dict of the first layout, return it under the later names. KeyError for a missing tensor.

    Both models used the same text embedding and positions. In lists of 8 tensors, the first is that of the AR.
    """
    state = dict(state)
    text, alpha = state.pop(LEGACY_TEXT_KEY), state.pop("text_position.alpha")
    alphas = [state.pop(f"audio_positions.{index}.alpha") for index in range(NUM_CODEBOOKS)]
    state.pop("stage_embeddings.0.word_embeddings.weight")  # of the AR, which does not use it
    later = {
        "ar_audio_position.alpha": alphas[0],
        "nar_audio_position.alpha": torch.cat(alphas[1:]),
        "ar_audio_embedding.word_embeddings.weight": state.pop("ar_embedding.word_embeddings.weight"),
        "ar_predict_layer.weight": state.pop("predict_layers.0.weight"),
    }
    for model in ("ar", "nar"):
        later |= {f"{model}_text_embedding.word_embeddings.weight": text, f"{model}_text_position.alpha": alpha}
    for stage in range(1, NUM_CODEBOOKS):
        later[STAGE_KEY.format(stage - 1)] = state.pop(f"stage_embeddings.{stage}.word_embeddings.weight")
        later[f"nar_predict_layers.{stage - 1}.weight"] = state.pop(f"predict_layers.{stage}.weight")
    renamed = {re.sub(r"^nar_embeddings\.", "nar_audio_embeddings.", key): tensor for key, tensor in state.items()}
    return renamed | later


def model_options(tensors: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ModelConfig except `stop`. KeyError and others for impossible shapes or options."""
    heads = options["nhead"]
    if type(heads) is not int or not 1 <= heads <= MAX_WIDTH:
        raise ValueError(f"the number of attention heads cannot be {short(heads)}")
    text, nar_text = tensors["ar.text_embedding.weight"], tensors["nar.text_embedding.weight"]
    width, nar_width = text.shape[1], nar_text.shape[1]
    return {
        "text_vocab": len(text),
        "d_model": width,
        "n_heads": heads,
        "n_layers": _layers(tensors, "ar"),
        "nar_d_model": nar_width,
        "nar_n_heads": max(1, heads * nar_width // width),  # both were scaled by one factor
        "nar_n_layers": _layers(tensors, "nar"),
        "n_languages": len(tensors.get("ar.language_embedding.weight", ())),
        "bos": "start" if len(tensors["ar.audio_embedding.weight"]) > BOS else "none",
        "prefix_mode": options["prefix_mode"],
        "tied_heads": bool(options["share_embedding"]) if "share_embedding" in options else _look_tied(tensors),
        "cross_attention": any(".cross." in name for name in tensors),
        "stage_alphas": len(tensors["nar.audio_positions.alpha"]) > 1,
    }


def _layers(tensors: Mapping[str, Tensor], model: str) -> int:
    return sum(key.startswith(f"{model}.layers.") and key.endswith(".attention.qkv.weight") for key in tensors)


TIED = {f"nar.heads.{stage - 1}.weight": f"nar.audio_embeddings.{stage + 1}.weight" for stage in range(1, 7)}


def _look_tied(tensors: Mapping[str, Tensor]) -> bool:
    head, table = next(iter(TIED.items()))
    return head not in tensors or table not in tensors or _same(tensors[head], tensors[table])


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() or (one.dtype == other.dtype and torch.equal(one, other))


def _without_tied_heads(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with tied heads under the names of their embeddings only; files can have either or both."""
    for head, table in TIED.items():
        if head in tensors and table in tensors and not _same(tensors[head], tensors[table]):
            raise DamagedCheckpoint(f"{path} should have heads tied to its embeddings, but {head} differs from {table}")
    heads = {table: tensors[head] for head, table in TIED.items() if head in tensors}
    return heads | {name: tensor for name, tensor in tensors.items() if name not in TIED}
