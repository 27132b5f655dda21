"""A random checkpoint of the size and layout of the published VALL-E X: 370 million parameters, 1.48 GB.

    python tests/tools/full_size_vallex.py vallex-checkpoint.pt

To measure what converting and loading take, for example with /usr/bin/time -v:

    python -c "from pathlib import Path; from vallecli.families.convert import convert; \\
        convert(Path('vallex-checkpoint.pt'), Path('vallex'))"
    python -c "from vallecli.synthesizer import Synthesizer; Synthesizer.load('vallex', device='cpu')"
"""

from __future__ import annotations

import argparse
import pathlib

import torch
from torch import Tensor

WIDTH, LAYERS, TEXT, LANGUAGES, CODES, STAGES = 1024, 12, 2048, 3, 1024, 7


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the 374 names of the published state dict, but for the six heads that are tied, with their shapes."""
    named: dict[str, tuple[int, ...]] = {
        "ar_audio_embedding.word_embeddings.weight": (CODES + 2, WIDTH),
        "ar_predict_layer.weight": (CODES + 1, WIDTH),
        f"nar_predict_layers.{STAGES - 1}.weight": (CODES, WIDTH),
    }
    named |= {f"nar_audio_embeddings.{i}.word_embeddings.weight": (CODES + (not i), WIDTH) for i in range(STAGES + 1)}
    named |= {f"nar_stage_embeddings.{i}.word_embeddings.weight": (1, WIDTH) for i in range(STAGES)}
    for model in ("ar", "nar"):
        named[f"{model}_text_embedding.word_embeddings.weight"] = (TEXT, WIDTH)
        named[f"{model}_language_embedding.word_embeddings.weight"] = (LANGUAGES, WIDTH)
        named |= {f"{model}_{kind}_position.alpha": (1,) for kind in ("text", "audio")}
        norms = [f"layers.{i}.norm{j}" for i in range(LAYERS) for j in (1, 2)] + ["norm"]
        for norm in (f"{model}_decoder.{norm}" for norm in norms):
            inner = norm if model == "ar" else f"{norm}.norm"
            named |= {f"{inner}.weight": (WIDTH,), f"{inner}.bias": (WIDTH,)}
            if model == "nar":
                named |= {
                    f"{norm}.project_layer.weight": (2 * WIDTH, WIDTH),
                    f"{norm}.project_layer.bias": (2 * WIDTH,),
                }
        for layer in (f"{model}_decoder.layers.{i}" for i in range(LAYERS)):
            named |= {f"{layer}.self_attn.in_proj_weight": (3 * WIDTH, WIDTH)}
            named |= {f"{layer}.self_attn.in_proj_bias": (3 * WIDTH,)}
            for name, rows, columns in (
                ("self_attn.out_proj", WIDTH, WIDTH),
                ("linear1", 4 * WIDTH, WIDTH),
                ("linear2", WIDTH, 4 * WIDTH),
            ):
                named |= {f"{layer}.{name}.weight": (rows, columns), f"{layer}.{name}.bias": (rows,)}
    return named


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {
        name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes().items()
    }
    for head in range(STAGES - 1):
        state[f"nar_predict_layers.{head}.weight"] = state[f"nar_audio_embeddings.{head + 2}.word_embeddings.weight"]
    torch.save({"model": state, "exp_dir": pathlib.PurePosixPath("exp/vallex"), "best_valid_epoch": 1}, args.out)


if __name__ == "__main__":
    main()
