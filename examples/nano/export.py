"""Stage 5, export: the trained parts as one checkpoint folder, in half precision.

python examples/nano/export.py --run runs/nano --out src/vallecli/data/nano
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from common import log
from config import LIMITS, MODEL, SAMPLING
from torch import nn

from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.formats import native
from vallecli.formats.base import state_to_store
from vallecli.model.ar import AR
from vallecli.model.config import ModelConfig
from vallecli.model.nar import NAR
from vallecli.text.arpabet import ArpabetFrontEnd


def newest(run: Path, *names: str) -> Path:
    """Return the first of these files that exists in the run."""
    return next(run / name for name in names if (run / name).exists())


def main() -> None:
    """Gather codec, AR and NAR into one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    config, codec_config = ModelConfig.from_dict(MODEL), NanoCodecConfig()
    parts: dict[str, tuple[nn.Module, Path]] = {
        "ar.": (AR(config), args.run / "ar.done.pt"),
        "nar.": (NAR(config), args.run / "nar.done.pt"),
        "codec.": (NanoCodec(codec_config), newest(args.run, "codec.done.pt", "codec.frozen.pt")),
    }
    tensors = {}
    for prefix, (module, path) in parts.items():
        module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        tensors |= {prefix + key: tensor for key, tensor in state_to_store(module).items()}
    native.save(
        args.out,
        name="nano",
        model=config,
        tensors=tensors,
        front_end=ArpabetFrontEnd.name,
        codec={"kind": "nano", **codec_config.to_dict()},
        limits=LIMITS,
        sampling=SAMPLING,
        dtype=torch.float16,
    )
    log(args.run, "export", megabytes=sum(file.stat().st_size for file in args.out.glob("*.*")) / 1e6)


if __name__ == "__main__":
    main()
