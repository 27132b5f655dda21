"""Plot a run: loss curves of each stage, and the attention of the AR while it generates.

    python examples/nano/plots.py --run runs/nano --out runs/nano/plots

Writes OUT/losses.png from RUN/STAGE.jsonl and RUN/STAGE.eval.jsonl of the stages that exist, and OUT/attention.png: the
attention of the guided head in a middle layer of a checkpoint's AR over the text, for each frame of a sentence that it
has just generated. If a stage was killed or restarted, the last run of each step is used.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from common import FRAME_RATE, write_beside
from lm import Guide
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from vallecli.checkpoints import lookup
from vallecli.families.valle.ar import audio_prefix
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.read import read_checkpoint
from vallecli.synthesizer import Synthesizer

STAGES = {"codec": "codec", "decoder": "codec, decoder alone", "ar": "AR", "nar": "NAR"}
HIDDEN = {"step", "seconds", "loss", "accuracy"}  # the loss is the sum of the others
STYLES = ("solid", "dashed", "dotted", "dashdot")  # for training and for each kind of held-out speech
COLOURS = 256  # colours per image, to keep the file small
REFERENCE = Path(__file__).parents[1] / "reference.wav"
DPI = 100

Row = dict[str, float]


def read_log(path: Path) -> list[Row]:
    """Return the rows of a log in the order of their steps; a step that was repeated replaces the earlier rows."""
    rows: list[Row] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        while rows and rows[-1]["step"] >= row["step"]:
            rows.pop()
        rows.append(row)
    return rows


def draw_losses(run: Path) -> Figure:
    """Return a figure with a panel per stage that has a log: one colour per loss, one line style per kind of speech."""
    logs = {stage: read_log(run / f"{stage}.jsonl") for stage in STAGES}
    logs = {stage: rows for stage, rows in logs.items() if rows}
    if not logs:
        raise SystemExit(f"{run} has no log of {', '.join(STAGES)}: train first")
    figure = Figure(figsize=(4 * len(logs), 3.6), layout="constrained")
    for axes, (stage, rows) in zip(figure.subplots(1, len(logs), squeeze=False)[0], logs.items(), strict=True):
        colours: dict[str, str] = {}
        styles: dict[str, str] = {}
        hidden = {*HIDDEN, "ce"} if stage == "nar" else HIDDEN  # a mean over codebooks that differ from step to step
        for log in (rows, read_log(run / f"{stage}.eval.jsonl")):
            for name in dict.fromkeys(name for row in log for name in row):
                kind, _, loss = name.rpartition(".")
                if loss in hidden:
                    continue
                colour = colours.setdefault(loss, f"C{len(colours)}")
                style = styles.setdefault(kind or "training", STYLES[len(styles) % len(STYLES)])
                points = [(row["step"], row[name]) for row in log if name in row]
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=1)
        keys = [Line2D([], [], color=colour, label=loss) for loss, colour in colours.items()]
        keys += [Line2D([], [], color="grey", linestyle=style, label=kind) for kind, style in styles.items()]
        axes.legend(handles=keys, fontsize=7, ncols=2)
        axes.set(title=STAGES[stage], xlabel="step")
    return figure


@torch.no_grad()
def draw_attention(checkpoint: str, text: str, prompt: Path, seed: int) -> Figure:
    """Generate the first sentence of a text and return a figure of the guided head's attention."""
    synthesizer = Synthesizer.load(checkpoint, device="cpu", dtype="float32")
    voice = synthesizer.voice(prompt)
    piece = next(synthesizer.speak(text, voice, replace(synthesizer.sampling, seed=seed)))
    nano = synthesizer.backend
    ids = nano.front_end.encode(piece.text).ids
    text_1S, spoken_T = torch.tensor([ids]), torch.from_numpy(piece.codes_TQ[:, 0]).long()
    prefix_A = audio_prefix(nano.config, torch.from_numpy(voice.codes_PQ[:, 0]).long())
    audio_1A = torch.cat([prefix_A, spoken_T[:-1]])[None]  # each position predicts the next frame
    lengths = torch.tensor([[len(ids)], [audio_1A.shape[1]]])
    ar, _ = build(read_checkpoint(lookup.find(checkpoint)))  # weights that are not packed
    guide = Guide(ar.train(), nano.config.n_heads)  # it collects in training mode only; the AR is the same in both
    guide.watch(SimpleNamespace(text_BS=text_1S, text_len_B=lengths[0]), audio_1A.shape[1])
    ar(text_1S, lengths[0], audio_1A, lengths[1])
    attention_TS = guide.log_attention[-1][0, -len(spoken_T) :].exp()
    figure = Figure(figsize=(8, 0.14 * len(ids) + 1), layout="constrained")
    axes = figure.subplots()
    extent = (0, len(spoken_T) / FRAME_RATE, len(ids) - 0.5, -0.5)
    image = axes.imshow(attention_TS.T, aspect="auto", cmap="magma", vmin=0, extent=extent, interpolation="nearest")
    symbols = [nano.front_end.vocabulary[i] for i in ids]
    axes.set_yticks(range(len(ids)), symbols, fontsize=7)
    axes.set(title=piece.text, xlabel="seconds of speech")
    figure.colorbar(image, label="attention")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    with write_beside(path) as part:
        Image.open(drawn).convert("RGB").quantize(COLOURS).save(part, "PNG", optimize=True)
    print(path)


def main() -> None:
    """Write both images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint", default="nano", help="the checkpoint whose AR is plotted, a name or a path")
    parser.add_argument("--text", default="The ferry leaves at dawn, so pack your bags tonight.", help="a sentence")
    parser.add_argument("--prompt", type=Path, default=REFERENCE, help="a recording")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    save(draw_losses(args.run), args.out / "losses.png")
    save(draw_attention(args.checkpoint, args.text, args.prompt, args.seed), args.out / "attention.png")


if __name__ == "__main__":
    main()
