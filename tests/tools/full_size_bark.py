"""Random weights in suno's files, of the size of the published small ones (4.7 GB, of which 1.6 GB are the models).

    python tests/tools/full_size_bark.py bark-small

To measure what showing, converting and speaking take, for example with /usr/bin/time -v:

    valle checkpoints show bark-small
    valle checkpoints convert bark-small converted
    valle speak --checkpoint bark-small --prompt voice.npz --max-seconds 1 --text "Hello there." -o hello.wav
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "families" / "bark"))

from bark_published import SIZES, arguments, model_tensors, write_preset, write_vocabulary

LAYERS, HEADS, WIDTH = 12, 12, 768


def main() -> None:
    """Write the folder, and a preset in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    write_vocabulary(out)
    write_preset(out / "voice.npz")
    for seed, model in enumerate(SIZES):
        tensors = model_tensors(model, seed, layers=LAYERS, width=WIDTH, scale=0.04)
        moments = {
            index: {"exp_avg": torch.zeros_like(tensor), "exp_avg_sq": torch.zeros_like(tensor)}
            for index, tensor in enumerate({id(tensor): tensor for tensor in tensors.values()}.values())
        }
        contents = {
            "model": {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()},
            "model_args": arguments(model, layers=LAYERS, heads=HEADS, width=WIDTH),
            "best_val_loss": np.float32(2.25),
            "optimizer": {"state": moments},
        }
        torch.save(contents, out / f"{model}.pt")


if __name__ == "__main__":
    main()
