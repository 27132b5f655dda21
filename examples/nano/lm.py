"""Stage 4, lm: train the AR model (codebook 1) or the NAR model (codebooks 2 to 8) on the tokens of stage 3.

    python examples/nano/lm.py --run runs/nano --model ar --steps 6000
    python examples/nano/lm.py --run runs/nano --model nar --steps 6000

Each example is a sentence and, as its prompt, a passage of other sentences by the same speaker. Codebook 1 of the
sentence is that of hibari-tts, whoever speaks: the AR learns to write it, and the NAR learns to add a voice to it. The
AR is also trained with prompts of other people, humans, as it will meet them in use (--strangers).

Two techniques make the AR follow the text; both are used in training only. Guided attention: in two middle layers, one
head has an additional loss that makes it attend to the phoneme that sounds next. Corrupted input: a share of the codes
that the AR reads is replaced by random codes, so that it neither relies on the previous frame alone nor fails after one
wrong code.

Three techniques use the fact that similar codes sound alike: the embedding tables start as projections of the codec's
codebooks; a target is shared among the codes that fit nearly as well; and the NAR reads such codes in place of the
correct ones, as it will read its own output in use. In a share of the NAR's rows (--bent) the voice is transformed at
random in every step, so that the NAR uses the prompt instead of memorizing the speakers. A share of its rows (--alone)
has no prompt, which classifier-free guidance requires.

The state is saved in RUN/MODEL.pt; the same command continues from there. Hidden matrices are trained with Muon, all
other parameters with AdamW.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from batches import Batch, Draw, Speech, Steps
from common import log, write_beside
from config import AR_PROMPT, MAX_PROMPT, MODEL
from neighbours import Neighbours
from state import cosine, optimizers, resume, save, set_rate
from torch import Tensor, nn

from vallecli.checkpoints.modules import load_into
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import BOS, CODEBOOK_SIZE, EOS, ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.families.valle.read import read_checkpoint

IGNORE = -100  # target that the loss ignores
GUIDE_WEIGHT = 0.5
CORRUPTED, SPAN = 0.2, 8  # share of the AR's input codes that are random, and the length of such a span
STAGES = (1, 1, 1, 2, 2, 3, 4, 5, 6, 7)  # early codebooks carry most of the information, so they are trained most often
LOG_EVERY, EVAL_EVERY, SAVE_EVERY = 50, 250, 100  # steps
WARMUP = 100  # steps
FLOOR = 0.02  # lowest learning rate, as a share of the peak
TABLE_RATE = 0.3  # share of the learning rate for embeddings and heads: every row of a head changes in every step


class Guide:
    """Collects the attention of one head over the text from two middle layers of an AR."""

    def __init__(self, model: AR, heads: int) -> None:
        self.heads = heads
        self.log_attention: list[Tensor] = []
        middle = len(model.layers) // 2
        for layer in model.layers[middle - 1 : middle + 1]:
            layer.attention.register_forward_hook(self._collect)
        self.mask_BAK = torch.empty(0)
        self.text = 0

    def watch(self, batch: Batch, positions: int) -> None:
        """Prepare for a forward pass over `positions` audio positions."""
        self.log_attention.clear()
        self.text = batch.text_BS.shape[1]
        device = batch.text_BS.device
        text_ok = torch.arange(self.text, device=device) < batch.text_len_B[:, None]  # (B, S)
        causal = torch.ones(positions, positions, dtype=torch.bool, device=device).tril()
        text_keys = text_ok[:, None].expand(-1, positions, -1)
        self.mask_BAK = torch.cat([text_keys, causal.expand(len(text_ok), -1, -1)], -1)

    def _collect(self, attention: Any, inputs: tuple[Tensor, ...], _output: Any) -> None:
        if not attention.training:
            return
        x_BLD = inputs[0]
        width = x_BLD.shape[-1]
        head = width // self.heads
        weight, bias = attention.qkv.weight, attention.qkv.bias
        query = F.linear(x_BLD[:, self.text :], weight[:head], bias[:head])
        key = F.linear(x_BLD, weight[width : width + head], bias[width : width + head])
        scores = (query @ key.transpose(1, 2)).float() / math.sqrt(head)  # (B, A, S + A)
        scores = scores.masked_fill(~self.mask_BAK, -math.inf).log_softmax(-1)
        self.log_attention.append(scores[..., : self.text])

    def loss(self, sounding_BA: Tensor) -> Tensor:
        """Return -log of the attention to the phoneme that sounds, averaged over the frames that have one."""
        known = sounding_BA >= 0
        right = sounding_BA.clamp(min=0)[..., None]
        terms = [-a.gather(-1, right)[..., 0][known].clamp(min=-12).mean() for a in self.log_attention]
        return torch.stack(terms).mean()


def code_losses(logits_NV: Tensor, code_N: Tensor, target_NV: Tensor) -> dict[str, Tensor]:
    """Given logits, codes and soft targets over their neighbours, return loss, cross-entropy and accuracy."""
    log_NV = logits_NV.float().log_softmax(-1)
    return {
        "loss": -(target_NV * log_NV).sum(-1).mean(),
        "ce": F.nll_loss(log_NV.detach(), code_N),
        "accuracy": (log_NV.argmax(-1) == code_N).float().mean(),
    }


def ar_losses(model: AR, batch: Batch, neighbours: Neighbours, guide: Guide | None) -> dict[str, Tensor]:
    """Given a batch, return the losses of the next code of codebook 1."""
    rows, positions = batch.codes_BAQ.shape[:2]
    device = batch.codes_BAQ.device
    at = torch.arange(positions + 1, device=device)[None]
    prompt, length = batch.prompt_len_B[:, None], batch.audio_len_B[:, None]
    shifted = (at - (at > prompt).long()).clamp(max=positions - 1).expand(rows, -1)  # BOS shifts the target by one
    audio_BA = batch.codes_BAQ[..., 0].gather(1, shifted).masked_fill(at == prompt, BOS)
    following = batch.codes_BAQ[..., 0].gather(1, at.clamp(max=positions - 1).expand(rows, -1))
    target = following.masked_fill(at == length, EOS).masked_fill((at < prompt) | (at > length), IGNORE)
    if guide is not None:
        starts = (torch.rand(audio_BA.shape, device=device) < CORRUPTED / SPAN).float()
        spans = F.max_pool1d(starts, SPAN, stride=1, padding=SPAN // 2)[:, : positions + 1].bool()
        audio_BA = torch.where(spans & (at != prompt), torch.randint_like(audio_BA, CODEBOOK_SIZE), audio_BA)
        guide.watch(batch, positions + 1)
    with torch.autocast(device.type, torch.bfloat16):
        logits = model(batch.text_BS, batch.text_len_B, audio_BA, batch.audio_len_B + 1)
    wanted = target != IGNORE
    code_N = target[wanted]
    spread_NV = code_N.new_zeros(len(code_N), EOS + 1, dtype=torch.float32)
    spread_NV[code_N == EOS, EOS] = 1
    speech = (at >= prompt) & (at < length)
    spread_NV[code_N != EOS, :EOS] = neighbours.targets(
        neighbours.residual(batch.codes_BAQ[speech[:, :positions]], 0), 0
    )
    losses = code_losses(logits[wanted], code_N, spread_NV)
    if guide is not None:
        # The position that predicts frame t holds frame t - 1; it should already attend to the phoneme of frame t.
        sounding_BA = batch.sounding_BA.gather(1, at.clamp(max=positions - 1).expand(rows, -1))
        sounding_BA = sounding_BA.masked_fill((at < prompt) | (at >= length), -1)
        losses["guide"] = guide.loss(sounding_BA)
        losses["loss"] = losses["loss"] + GUIDE_WEIGHT * losses["guide"]
    return losses


def nar_losses(model: NAR, batch: Batch, neighbours: Neighbours, stage: int) -> dict[str, Tensor]:
    """Given a batch, return the losses of codebook `stage` + 1 on the target's frames."""
    at = torch.arange(batch.codes_BAQ.shape[1], device=batch.codes_BAQ.device)[None]
    wanted = (at >= batch.prompt_len_B[:, None]) & (at < batch.audio_len_B[:, None])
    codes_BAQ, codes_NQ = batch.codes_BAQ, batch.codes_BAQ[wanted]
    residual_ND = neighbours.residual(codes_NQ, stage)
    if model.training:
        codes_BAQ = codes_BAQ.clone()
        codes_BAQ[wanted], residual_ND = neighbours.vary(codes_NQ, stage)
    with torch.autocast(at.device.type, torch.bfloat16):
        logits = model(batch.text_BS, batch.text_len_B, codes_BAQ, batch.prompt_len_B, batch.audio_len_B, stage=stage)
    target_NV = neighbours.targets(residual_ND, stage)
    losses = code_losses(logits[wanted], target_NV.argmax(-1), target_NV)
    return {**losses, f"ce{stage}": losses["ce"]}


def bent(batch: Batch, neighbours: Neighbours, share: float) -> Batch:
    """Return a batch in which a share of the rows, prompt and speech, has a randomly transformed voice."""
    codes_BAQ = batch.codes_BAQ.clone()
    chosen_B = torch.rand(len(codes_BAQ), device=codes_BAQ.device) < share
    at = torch.arange(codes_BAQ.shape[1], device=codes_BAQ.device)
    codes_BAQ[chosen_B] = neighbours.bend(codes_BAQ[chosen_B], at < batch.audio_len_B[chosen_B, None])
    return replace(batch, codes_BAQ=codes_BAQ)


def attention(query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor) -> Tensor:
    """Compute F.scaled_dot_product_attention in a way that trains twice as fast on a CPU in bfloat16."""
    with torch.autocast("cpu", enabled=False):
        added = query.new_zeros(attn_mask.shape).masked_fill(~attn_mask, -math.inf)
        scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(2, 3) + added  # (B, H, L, L)
        return scores.softmax(-1) @ value


@torch.no_grad()
def evaluate(model: AR | NAR, unseen: Speech, neighbours: Neighbours, device: str) -> dict[str, float]:
    """Return the cross-entropy on held-out speakers; for the NAR at some stages.

    "spoken" is synthetic speech. The AR is also evaluated on it with prompts of real recordings ("stranger"), the NAR
    on real recordings ("real").
    """
    model.eval()
    found = {}
    if isinstance(model, AR):
        kinds = {"spoken": Draw(longest=AR_PROMPT), "stranger": Draw(strangers=1, longest=AR_PROMPT)}
    else:
        kinds = {"spoken": Draw(), "real": Draw(real=1)}
    for kind, draw in kinds.items():
        batch = unseen.choose(24, random.Random(1), draw).to(device)
        if isinstance(model, AR):
            losses = ar_losses(model, batch, neighbours, None)
            found |= {f"{kind}.{name}": losses[name].item() for name in ("ce", "accuracy")}
        else:
            found |= {
                f"{kind}.ce{stage}": nar_losses(model, batch, neighbours, stage)["ce"].item() for stage in (1, 2, 4, 7)
            }
    return found


def main() -> None:
    """Train one of the two models to the given number of steps; continue from the last saved state."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--model", choices=("ar", "nar"), required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8, help="rows per step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--start", type=Path, help="a checkpoint folder with this run's codec or an earlier one")
    parser.add_argument("--real", type=float, default=0.3, help="share of rows from real recordings")
    parser.add_argument("--bent", type=float, default=0, help="share of rows with a randomly changed voice (NAR)")
    parser.add_argument("--strangers", type=float, default=0, help="share of prompts from any real recording (AR)")
    parser.add_argument("--alone", type=float, default=0, help="share of rows without a prompt (NAR)")
    parser.add_argument("--threads", type=int, help="number of CPU threads; default: all")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches, to keep a GPU busy")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.model == "ar" and args.bent:
        parser.error("--bent is for the NAR only: the codes that the AR writes should not depend on the voice")
    if args.model == "ar" and args.alone:
        parser.error("--alone is for the NAR only: the AR is not guided")
    if args.model == "nar" and args.strangers:
        parser.error("--strangers is for the AR only: the NAR copies the voice of its prompt")
    config = ModelConfig.from_dict(MODEL)
    longest = AR_PROMPT if args.model == "ar" else MAX_PROMPT
    draw = Draw(args.real, args.strangers, args.alone, longest)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device == "cpu":
        F.scaled_dot_product_attention = attention
    unseen, seen = Speech.split(args.run / "tokens")
    codec = torch.load(args.run / "codec.frozen.pt", weights_only=True, map_location=args.device)
    neighbours = Neighbours.of(codec["codebooks"], unseen)
    torch.manual_seed(0)
    model = (AR if args.model == "ar" else NAR)(config)
    neighbours.start(model, torch.Generator().manual_seed(0))
    if isinstance(model, NAR):  # embeddings are also heads and start small: full-scale positions would dominate
        for positions in (model.text_positions, model.audio_positions):
            nn.init.constant_(positions.alpha, 0.15)
    guide = Guide(model, config.n_heads) if isinstance(model, AR) else None
    state = args.run / f"{args.model}.pt"
    if args.start is not None:  # before the optimizers exist, because loading replaces the parameters, on the CPU
        load_into(model, read_checkpoint(args.start).tensors, f"{args.model}.", args.start)
    model.to(args.device)
    chain = optimizers(model, args.rate, "layers", betas=(0.9, 0.98), decay=0.01, share=TABLE_RATE)
    step = resume(state, model, chain, args.device)

    def losses_of(batch: Batch, stage: int) -> dict[str, Tensor]:
        if isinstance(model, AR):
            return ar_losses(model, batch, neighbours, guide)
        if args.bent:
            batch = bent(batch, neighbours, args.bent)
        return nar_losses(model, batch, neighbours, stage)

    began = time.time()
    sums, counts = defaultdict[str, Any](float), Counter[str]()
    for batch in Steps(seen, args.batch, draw).loader(step, args.steps, args.workers):
        stage = random.Random(f"stage of {step}").choice(STAGES)  # by step only, so resumed equals uninterrupted
        set_rate(chain, args.rate * cosine(step, args.steps, warmup=WARMUP, floor=FLOOR))
        model.train()
        losses = losses_of(batch.to(args.device), stage)
        model.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in chain:
            optimizer.step()
        step += 1
        for name, value in losses.items():
            sums[name] += value.detach()  # stays on its device: reading the number would synchronize
            counts[name] += 1
        if step % LOG_EVERY == 0:
            means = {name: float(sums[name] / counts[name]) for name in sorted(sums)}
            log(args.run, args.model, step=step, seconds=time.time() - began, **means)
            sums.clear()
            counts.clear()
        if step % EVAL_EVERY == 0 or step == args.steps:
            log(args.run, f"{args.model}.eval", step=step, **evaluate(model, unseen, neighbours, args.device))
        if step % SAVE_EVERY == 0 or step == args.steps:
            save(state, model, chain, step)
    with write_beside(args.run / f"{args.model}.done.pt") as path:
        torch.save(model.state_dict(), path)


if __name__ == "__main__":
    main()
