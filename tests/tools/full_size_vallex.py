"""A random checkpoint of the size and layout of the published VALL-E X: 370 million parameters, 1.48 GB.

    python tests/tools/full_size_vallex.py vallex-checkpoint.pt

To measure what converting and loading take, for example with /usr/bin/time -v:

    python -c "from pathlib import Path; from vallecli.families.convert import convert; \\
        convert(Path('vallex-checkpoint.pt'), Path('vallex'), {})"
    python -c "from vallecli.synthesizer import Synthesizer; Synthesizer.load('vallex', device='cpu')"
"""

from __future__ import annotations

import argparse
import pathlib
import sys

import torch
from torch import Tensor

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from published import shapes, tie_heads

SIZES = {"text": 2048, "width": 1024, "layers": 12, "languages": 3, "bos": True}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {
        name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes(**SIZES).items()
    }
    tie_heads(state)
    torch.save({"model": state, "exp_dir": pathlib.PurePosixPath("exp/vallex"), "best_valid_epoch": 1}, args.out)


if __name__ == "__main__":
    main()
