"""Retelling: predict codebook 1 as hibari-tts would produce it, frame by frame, for speech in any voice.

The AR learns to write the codes of hibari-tts, whoever the prompt's speaker is. The NAR therefore gets a human's prompt
together with codes of hibari-tts, a pair that no recording contains. The speech of stage 1 contains such pairs, because
the same speech in hibari-tts's unchanged voice is stored with every other voice. From it, a small network learns to
predict the codes of hibari-tts from the latents of another voice and the phonemes that sound. It is not trained on
humans, so its training voices are transformed at random, and in some examples it gets the phonemes only.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from align import SILENT
from batches import Row, Speech
from common import CODEBOOK_SIZE, log
from neighbours import Neighbours
from state import cosine, optimizers, resume, save, set_rate
from torch import Tensor, nn

from vallecli.codec.nano import NanoCodec
from vallecli.codec.vocos import Backbone
from vallecli.text.arpabet import ArpabetFrontEnd

STEPS = 1500
BATCH, RATE, WARMUP, FLOOR = 32, 2e-3, 50, 0.02
LENGTH = 96  # frames of a training example
NOTHING = len(ArpabetFrontEnd.vocabulary)  # phoneme id of frames in which no phoneme sounds
PHONE_DIM, DIM, LAYERS = 64, 256, 4
MUTE, BENT = 0.25, 0.8  # probability that an example has no latents, and that latents are transformed
WANDER, KNOTS = 1.5, 8  # standard deviation of phoneme boundary shifts, and the frames between independent shifts
LOG_EVERY, SAVE_EVERY = 50, 250  # steps


def phones(sounding_T: np.ndarray, text_S: np.ndarray) -> Tensor:
    """Given the index of the text id that sounds in each frame, and the text ids, return the id of each frame (T,)."""
    return torch.from_numpy(np.where(sounding_T == SILENT, NOTHING, text_S[np.maximum(sounding_T, 0)])).long()


class Reteller(nn.Module):
    """Maps the latents of a voice and the phonemes to codebook 1 of hibari-tts."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.phones = nn.Embedding(NOTHING + 1, PHONE_DIM)
        self.body = Backbone(latent_dim + PHONE_DIM, DIM, 3 * DIM, LAYERS)
        self.head = nn.Linear(DIM, CODEBOOK_SIZE)

    def forward(self, latents_BTD: Tensor, phone_BT: Tensor) -> Tensor:
        """Given quantised latents (B, T, D) and the id that sounds in each frame, return logits (B, T, V)."""
        features_BTC = torch.cat([latents_BTD, self.phones(phone_BT)], -1)
        out: Tensor = self.head(self.body(features_BTC.transpose(1, 2)))
        return out

    @torch.inference_mode()
    def retell(self, latents_VTD: Tensor, phone_T: Tensor) -> np.ndarray:
        """Given the same speech in V voices, return the code (T,) with the highest mean log-probability."""
        logits_VTC = self(latents_VTD, phone_T.expand(len(latents_VTD), -1))
        codes: np.ndarray = logits_VTC.log_softmax(-1).mean(0).argmax(-1).numpy()
        return codes


def bend(latents_TD: Tensor, deviation_D: Tensor, rng: random.Random) -> Tensor:
    """Given latents (T, D) and their standard deviation (D,), return randomly transformed latents, or zeros."""
    if rng.random() < MUTE:
        return torch.zeros_like(latents_TD)
    if rng.random() > BENT:
        return latents_TD
    dims = len(deviation_D)
    mixed_TD = latents_TD + latents_TD @ torch.randn(dims, dims) * rng.uniform(0, 0.35) / dims**0.5
    moved_D = torch.randn(dims) * deviation_D * rng.uniform(0, 0.8)
    return mixed_TD + moved_D + torch.randn(latents_TD.shape) * deviation_D * rng.uniform(0, 0.4)


def wander(phone_T: Tensor) -> Tensor:
    """Return phonemes (T,) whose boundaries are shifted by a few frames, as those of an aligner are."""
    knots = torch.randn(1, 1, len(phone_T) // KNOTS + 2) * WANDER
    moved_T = F.interpolate(knots, len(phone_T), mode="linear")[0, 0]
    at_T = torch.arange(len(phone_T)) + moved_T
    return phone_T[at_T.round().long().clamp(0, len(phone_T) - 1)]


def latents(codec: NanoCodec, row: Row) -> Tensor:
    """Return the quantised latents (T, D) of a row."""
    return codec.dequantize(torch.from_numpy(row.codes_TQ).long()[None])[0]


def batch(codec: NanoCodec, rows: list[Row], deviation_D: Tensor, rng: random.Random) -> list[Tensor]:
    """Return random segments of rows: latents (B, T, D), phonemes and codes of hibari-tts (B, T)."""
    examples = []
    for row in rng.choices(rows, k=BATCH):
        first = rng.randrange(len(row.codes_TQ) - LENGTH + 1)
        whole = (
            bend(latents(codec, row), deviation_D, rng),
            wander(phones(row.sounding_T, row.text_S)),
            torch.from_numpy(row.retold_T).long(),
        )
        examples.append([tensor[first : first + LENGTH] for tensor in whole])
    return [torch.stack(parts) for parts in zip(*examples, strict=True)]


@torch.inference_mode()
def evaluate(reteller: Reteller, codec: NanoCodec, speech: list[list[Row]]) -> dict[str, float]:
    """Return the share of frames of unseen speakers with the code of hibari-tts: original codes, and predicted ones."""
    reteller.eval()
    own, retold, frames = 0, 0, 0
    for row in (row for speaker in speech for row in speaker):
        said_T = reteller.retell(latents(codec, row)[None], phones(row.sounding_T, row.text_S))
        own += int((row.codes_TQ[:, 0] == row.retold_T).sum())
        retold += int((said_T == row.retold_T).sum())
        frames += len(said_T)
    reteller.train()
    return {"own": own / frames, "retold": retold / frames}


def learn(run: Path, codec: NanoCodec) -> None:
    """Train on the tokens of the speech of stage 1; continue from the state in RUN/retell.pt if it exists."""
    torch.manual_seed(0)
    reteller = Reteller(codec.config.latent_dim)
    chain = optimizers(reteller, RATE, "convnext", betas=(0.9, 0.999), decay=1e-3)
    step = resume(run / "retell.pt", reteller, chain, "cpu")
    unseen, seen = Speech.split(run / "tokens")
    rows = [row for speaker in seen.spoken for row in speaker if len(row.codes_TQ) >= LENGTH]
    deviation_D = torch.cat([latents(codec, row) for speaker in unseen.spoken for row in speaker]).std(0)
    neighbours = Neighbours.of(codec.codebooks, unseen)
    began, sums = time.time(), Counter[str]()
    while step < STEPS:
        rng = random.Random(step)
        torch.manual_seed(step)
        set_rate(chain, RATE * cosine(step, STEPS, warmup=WARMUP, floor=FLOOR))
        latents_BTD, phone_BT, code_BT = batch(codec, rows, deviation_D, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits_BTV = reteller(latents_BTD, phone_BT)
        target_NV = neighbours.targets(codec.codebooks[0][code_BT.flatten()], 0)
        loss = F.cross_entropy(logits_BTV.float().flatten(0, 1), target_NV)
        reteller.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reteller.parameters(), 1.0)
        for optimizer in chain:
            optimizer.step()
        step += 1
        sums["loss"] += loss.item()
        if step % LOG_EVERY == 0:
            log(run, "retell", step=step, seconds=time.time() - began, loss=sums["loss"] / LOG_EVERY)
            sums.clear()
        if step % SAVE_EVERY == 0 or step == STEPS:
            save(run / "retell.pt", reteller, chain, step)
            log(run, "retell.eval", step=step, **evaluate(reteller, codec, unseen.spoken))


def load(run: Path, codec: NanoCodec) -> Reteller:
    """Return the trained network of a run."""
    reteller = Reteller(codec.config.latent_dim)
    reteller.load_state_dict(torch.load(run / "retell.pt", weights_only=True)["model"])
    return reteller.eval()
