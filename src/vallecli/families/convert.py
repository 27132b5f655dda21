"""Conversion of any published layout to valle's own format, which loads at once and has no pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from vallecli import atomic
from vallecli.errors import OutputExists, OutputNotWritable
from vallecli.families import native
from vallecli.families.base import parse_options
from vallecli.families.detect import detect


def convert(source: Path, out: Path, options: Mapping[str, Any], *, dtype: torch.dtype = torch.float32) -> None:
    """Write the checkpoint at `source` to a folder `out`, its tensors in `dtype`; `options` as in detect.load.

    Nothing is left at `out` if it fails. Raises CheckpointError, UsageError, OutputExists for an `out` that is not an
    empty folder, and OutputNotWritable.
    """
    try:
        out = out.absolute()
        if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
            raise OutputExists(out)
    except OSError as error:
        raise OutputNotWritable(out, (error.strerror or str(error)).lower(), error.errno) from error
    family, contents = detect(source, verify=True)
    export = family.export(contents, parse_options(family, options))
    try:
        with atomic.replace_folder(out) as folder:
            native.write(folder, export.config, export.tensors, dtype=dtype, files=export.files)
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputNotWritable(out, reason.lower()) from error
