"""Stage 5, export: write the trained parts as one checkpoint folder, in half precision.

    python examples/nano/export.py --run runs/nano --out src/vallecli/data/nano

With --mean, the NAR is the mean of several training rounds, which can be better than each of them.

If the folder contains a model card, OUT/README.md, its sha256 and number of parameters are updated. All other text of
the card is written by hand.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from common import log, write_beside
from config import EQUALIZE, LIMITS, MODEL, NOISE, SAMPLING, turn_noise
from torch import nn

from vallecli.checkpoints.local import sha256
from vallecli.checkpoints.modules import state_to_store
from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.families.valle import native
from vallecli.families.valle.ar import AR
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.text.arpabet import ArpabetFrontEnd


def newest(run: Path, *names: str) -> Path:
    """Return the first of these files that exists in the run folder."""
    return next(run / name for name in names if (run / name).exists())


def update_card(card: Path, facts: dict[str, str]) -> None:
    """Replace the one match of each pattern in a model card. Exits if a pattern does not match exactly once."""
    text = card.read_text()
    for pattern, words in facts.items():
        text, times = re.subn(pattern, words, text)
        if times != 1:
            raise SystemExit(f"{card} contains {pattern} {times} times; it should contain it once")
    with write_beside(card) as path:
        path.write_text(text)


def main() -> None:
    """Write codec, AR and NAR to one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--mean", type=Path, nargs="+", default=[], help="nar.done.pt of other rounds, to average with this run's"
    )
    args = parser.parse_args()
    config, codec_config = ModelConfig.from_dict(MODEL), NanoCodecConfig()
    parts: dict[str, tuple[nn.Module, Path]] = {
        "ar.": (AR(config), args.run / "ar.done.pt"),
        "nar.": (NAR(config), args.run / "nar.done.pt"),
        "codec.": (NanoCodec(codec_config), newest(args.run, "codec.done.pt", "codec.frozen.pt")),
    }
    tensors = {}
    for prefix, (module, path) in parts.items():
        state = torch.load(path, weights_only=True, map_location="cpu")
        if isinstance(module, NAR):
            rounds = [state, *(torch.load(other, weights_only=True, map_location="cpu") for other in args.mean)]
            state = {key: torch.stack([one[key] for one in rounds]).mean(0) for key in state}
        module.load_state_dict(state)
        if isinstance(module, NanoCodec):
            turn_noise(module, NOISE)
        tensors |= {prefix + key: tensor for key, tensor in state_to_store(module).items()}
    checkpoint = Checkpoint(
        name="nano",
        path=args.out,
        model=config,
        tensors=tensors,
        front_end=ArpabetFrontEnd.name,
        codec={"kind": "nano", **codec_config.to_dict()},
        limits=LIMITS,
        sampling=SAMPLING,
        equalize=EQUALIZE,
    )
    native.save(args.out, checkpoint, dtype=torch.float16)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    if (card := args.out / "README.md").exists():
        digest = sha256(args.out / native.TENSORS)
        update_card(
            card,
            {
                r"[\d.]+ million parameters": f"{parameters / 1e6:.1f} million parameters",
                r"sha256 `[0-9a-f]{64}`": f"sha256 `{digest}`",
            },
        )
    megabytes = sum(file.stat().st_size for file in args.out.glob("*.*")) / 1e6
    log(args.run, "export", parameters=parameters, megabytes=megabytes)


if __name__ == "__main__":
    main()
