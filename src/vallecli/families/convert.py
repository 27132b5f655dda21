"""From any published layout to our own: a folder with config.json and model.safetensors, which loads in a moment."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError

from vallecli.errors import OutputExists, OutputNotWritable
from vallecli.families.valle import detect, native
from vallecli.families.valle.checkpoint import build, state_to_store


def convert(
    source: Path,
    out: Path,
    *,
    symbols: Path | None = None,
    heads: int | None = None,
    prefix_mode: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write what is at `source` as a checkpoint folder `out`, its tensors in `dtype`; see detect.load for the rest.

    Nothing is left at `out` if it does not succeed. Raises CheckpointError, OutputExists for an `out` that is not an
    empty folder, and OutputNotWritable.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputExists(out)
    checkpoint = detect.load(source, symbols=symbols, heads=heads, prefix_mode=prefix_mode)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith("codec.")}
    for prefix, model in zip(("ar", "nar"), build(checkpoint), strict=True):
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in state_to_store(model).items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = out.absolute().with_name(f".valle-{secrets.token_hex(8)}.part")
        try:
            native.save(
                unfinished,
                name=checkpoint.name,
                model=checkpoint.model,
                tensors=tensors,
                front_end=checkpoint.front_end,
                symbols=checkpoint.symbols,
                codec=checkpoint.codec,
                limits=checkpoint.limits,
                sampling=checkpoint.sampling,
                equalize=checkpoint.equalize,
                dtype=dtype,
            )
            if out.exists():
                out.rmdir()  # empty, and not every system renames onto it
            unfinished.rename(out)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors has its own for a full disk
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputNotWritable(out, reason.lower()) from error
