"""Stage 2, codec: train nano's codec on the speech of stage 1 and, with --recordings, on real recordings.

    python examples/nano/codec.py --run runs/nano --recordings voices/ --steps 1600
    python examples/nano/codec.py --run runs/nano --recordings voices/ --steps 1600 --decoder-steps 4000
    python examples/nano/codec.py --run runs/nano --recordings voices/ --steps 4300 --start src/vallecli/data/nano

The first --steps steps train the whole codec. Then encoder and codebooks are frozen (RUN/codec.frozen.pt), which fixes
the codes for the language models. --decoder-steps further steps train the decoder alone, before or after the language
models are trained. With --start, training begins with the codec of a checkpoint and holds codebook 1 to it, so that the
checkpoint's AR stays valid; only the NAR has to learn new codes.

Losses: L1 distance of log-mel magnitudes and their spectral convergence, both at four resolutions; cross-entropy of the
pitch, measured by Praat; commitment of the latents to the codebooks. Codebook 1 uses separate latent dimensions and has
two more losses: cross-entropy of a linear phoneme classifier, and L1 distance of a linear prediction of the log-mel
magnitudes of the same frame in hibari-tts's voice, which stage 1 stores with every speaker. So it carries what is said
and how, but little of the speaker, which is left to codebooks 2 to 8 in the remaining dimensions. Phoneme times are
known for the speech of stage 1; in a recording with a transcript beside it (a.txt for a.flac) the classifier finds
them, repeatedly during training. If codebook 1 is held, these two losses are replaced by the mean squared difference
between its latents and those of the codec that it is held to.

The state is saved in RUN/codec.pt; the same command continues from there.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import parselmouth
import torch
import torch.nn.functional as F
from align import SOUNDS, Transcript
from common import CODEBOOK_SIZE, HOP, NUM_CODEBOOKS, SAMPLE_RATE, log, write_beside
from config import NOISE, turn_noise
from spectral import MelLosses
from speech import UNKNOWN, frame_labels, read, read_speaker, rows, speakers
from state import cosine, optimizers, resume, save, set_rate
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize
from voice import OtherVoice, pitch

from vallecli.codec.nano import N_FFT, LogMel, NanoCodec, NanoCodecConfig
from vallecli.codec.source_filter import PITCHES, pitches
from vallecli.errors import EmptyText
from vallecli.synthesizer import Synthesizer
from vallecli.text.arpabet import ArpabetFrontEnd

SEGMENT = SAMPLE_RATE  # samples of one training example: one second
FRAMES = SEGMENT // HOP
REAL = 0.7  # share of the examples that come from real recordings, half of them in another voice
QUIET = 0.02  # peak, as a share of full scale, below which a segment counts as silent
CONTENT = 16  # latent dimensions that codebook 1 uses
PLAIN_BANDS = 40  # mel bands of hibari-tts's voice that are predicted from codebook 1
PLAIN_WEIGHT = 0.5
PITCH_WEIGHT = 0.15
CONVERGENCE_WEIGHT = 0.5
COMMIT_WEIGHT = 0.2
HELD_WEIGHT = 3.0
RESOLUTIONS = ((256, 20), (512, 40), (1024, 80), (2048, 160))  # window in samples, mel bands
WARMUP = 200  # steps
FLOOR = 0.05  # lowest learning rate, as a share of the peak
SAVE_EVERY = 250  # steps
ALIGN_EVERY = 400  # steps
RECOGNISED = -2.5  # mean log-probability of a recording's frames; lower: wrong transcript, or classifier too new
LOG_EVERY = 50  # steps


class Trainer(nn.Module):
    """The codec, and what only training needs: moving-average codebooks, a phoneme classifier, mel losses.

    Codebook 1 can be held to that of an already trained codec: see `begin_with`.
    """

    def __init__(self, config: NanoCodecConfig) -> None:
        super().__init__()
        self.codec = NanoCodec(config)
        self.quantizers = nn.ModuleList(
            VectorQuantize(
                config.latent_dim,
                CODEBOOK_SIZE,
                decay=0.99,
                kmeans_init=True,
                kmeans_iters=4,
                threshold_ema_dead_code=0.2,  # uses per batch; a batch has about two frames per code
                rotation_trick=False,
            )
            for _ in range(NUM_CODEBOOKS)
        )
        self.phones = nn.Linear(config.latent_dim, len(SOUNDS))
        self.plain = nn.Linear(config.latent_dim, PLAIN_BANDS)
        self.plain_mel = LogMel(PLAIN_BANDS, N_FFT, HOP)
        self.spectra = nn.ModuleList(MelLosses(window, bands) for window, bands in RESOLUTIONS)
        self.held: NanoCodec | None = None

    @torch.no_grad()
    def begin_with(self, codec: NanoCodec) -> None:
        """Start from the weights of a codec, whose latents may have fewer dimensions, and hold codebook 1 to it."""
        self.held = codec.requires_grad_(False).eval()
        own = self.codec.state_dict()
        for key, tensor in codec.state_dict().items():
            own[key][tuple(map(slice, tensor.shape))] = tensor
        for quantizer, table_VD in zip(self.quantizers, self.codec.codebooks, strict=True):
            learned = quantizer._codebook
            learned.embed.copy_(table_VD[None])
            learned.embed_avg.copy_(table_VD[None])  # a sum over cluster_size codes, which is 1
            learned.initted.fill_(True)

    def spectral_losses(self, out_BN: Tensor, wav_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Given decoded and original audio (B, N), return the mean of each loss of MelLosses over all resolutions."""
        log_l1, convergence = zip(*(losses(out_BN, wav_BN) for losses in self.spectra), strict=True)
        return torch.stack(log_l1).mean(), torch.stack(convergence).mean()

    def split(self, latents_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Given latents (B, T, D), return the part for codebook 1 and the part for the other codebooks (B, T, D)."""
        content, rest = latents_BTD[..., :CONTENT], latents_BTD[..., CONTENT:]
        return F.pad(content, (0, rest.shape[-1])), F.pad(rest, (CONTENT, 0))

    @torch.no_grad()
    def sounds(self, wav_BN: Tensor) -> Tensor:
        """Given audio (B, N), return the classifier's logits (B, T, C)."""
        first_BTD, _, _ = self.quantizers[0](self.split(self.codec.latents(wav_BN))[0])
        logits: Tensor = self.phones(first_BTD)
        return logits

    def decoded_losses(self, latents_BTD: Tensor, wav_BN: Tensor, pitch_BT: Tensor) -> dict[str, Tensor]:
        """Given quantized latents (B, T, D), return the losses of the audio decoded from them at the true pitch.

        So the filters are trained with a correct source, while the pitch has a separate loss.
        """
        with torch.autocast(wav_BN.device.type, torch.bfloat16):
            frames_BTD = self.codec.decoder(latents_BTD.transpose(1, 2))
        controls = self.codec.voice.controls(frames_BTD.float())
        voiced = pitch_BT > 0
        distance = (pitch_BT[voiced].log()[:, None] - pitches(pitch_BT.device).log()).abs()
        right_BT = torch.full(pitch_BT.shape, PITCHES, device=pitch_BT.device)
        right_BT[voiced] = distance.argmin(-1)
        mel, convergence = self.spectral_losses(self.codec.voice.render(pitch_BT, controls), wav_BN)
        off_pitch = F.cross_entropy(controls.pitch_BTC.flatten(0, 1), right_BT.flatten())
        sound = mel + CONVERGENCE_WEIGHT * convergence + PITCH_WEIGHT * off_pitch
        return {"sound": sound, "mel": mel, "convergence": convergence, "pitch": off_pitch}

    def forward(self, wav_BN: Tensor, plain_BN: Tensor, labels_BT: Tensor, pitch_BT: Tensor) -> dict[str, Tensor]:
        """Given audio, the same in hibari-tts's voice (B, N), phoneme classes and pitch (B, T), return the losses.

        Rows of zeros in the second argument mean that this speech is not available in hibari-tts's voice.
        """
        with torch.autocast(wav_BN.device.type, torch.bfloat16):
            latents = self.codec.latents(wav_BN)
        content_BTD, residual = self.split(latents.float())
        codebook_1, *others = self.quantizers
        first_BTD, _, commitment = codebook_1(content_BTD, freeze_codebook=self.held is not None)
        commitment = commitment * (self.held is None)
        quantized = first_BTD.detach()
        for quantizer in others:
            step, _, further = quantizer(residual)
            quantized, residual, commitment = quantized + step, residual - step, commitment + further
        return {
            **self.decoded_losses(quantized, wav_BN, pitch_BT),
            "commit": commitment / NUM_CODEBOOKS,
            **(self.said(first_BTD, plain_BN, labels_BT) if self.held is None else self.kept(content_BTD, wav_BN)),
        }

    def said(self, first_BTD: Tensor, plain_BN: Tensor, labels_BT: Tensor) -> dict[str, Tensor]:
        """Given the quantized latents of codebook 1 (B, T, D), return the losses on their content, and the accuracy."""
        guess = self.phones(first_BTD).flatten(0, 1)
        labels = labels_BT.flatten()
        known = labels != UNKNOWN
        known_B11 = plain_BN.any(1)[:, None, None]
        off_BTC = (self.plain(first_BTD).transpose(1, 2) - self.plain_mel(plain_BN)).abs() * known_B11
        phone = F.cross_entropy(guess, labels, ignore_index=UNKNOWN)
        plain = off_BTC.mean() * len(known_B11) / known_B11.sum().clamp(min=1)
        return {
            "content": phone + PLAIN_WEIGHT * plain,
            "phone": phone,
            "plain": plain,
            "accuracy": ((guess.argmax(-1) == labels) & known).sum() / known.sum().clamp(min=1),
        }

    def kept(self, content_BTD: Tensor, wav_BN: Tensor) -> dict[str, Tensor]:
        """Given the latents for codebook 1 (B, T, D) of audio (B, N), return their distance from the held codec's."""
        assert self.held is not None
        with torch.autocast(wav_BN.device.type, torch.bfloat16):
            told_BTD = self.held.latents(wav_BN).float()[..., :CONTENT]
        off = F.mse_loss(content_BTD[..., :CONTENT], told_BTD) / told_BTD.var()
        return {"content": HELD_WEIGHT * off, "off": off}

    def publish(self) -> None:
        """Copy the learned codebooks into the codec."""
        self.codec.codebooks.copy_(torch.stack([quantizer.codebook for quantizer in self.quantizers]))


@dataclass
class Recording:
    """Real speech in whole frames. Its labels (T,) are UNKNOWN until the classifier has aligned them."""

    wav: np.ndarray
    transcript: Transcript | None
    labels: np.ndarray

    @classmethod
    def read(cls, path: Path, front_end: ArpabetFrontEnd) -> Recording:
        """Read a recording and, if there is a text file beside it, its transcript."""
        wav, text = read(path), path.with_suffix(".txt")
        wav = wav[: len(wav) // HOP * HOP]
        transcript = None
        if text.exists():
            with contextlib.suppress(EmptyText):
                transcript = Transcript.of(text.read_text(), front_end)
        return cls(wav, transcript, np.full(len(wav) // HOP, UNKNOWN))


class Segments:
    """Random one-second segments of speech with phoneme labels."""

    def __init__(self, run: Path, recordings: Path | None, limit: int) -> None:
        self.rng = random.Random(0)
        self.spoken = [(read_speaker(path), rows(path)) for path in speakers(run)[:limit]]
        found = sorted(recordings.iterdir()) if recordings else []
        front_end = ArpabetFrontEnd()
        heard = [Recording.read(path, front_end) for path in found if path.suffix in {".wav", ".flac", ".ogg", ".mp3"}]
        self.recorded = [recording for recording in heard if len(recording.wav) > SEGMENT]

    def realign(self, trainer: Trainer) -> float:
        """Label the recordings with the trainer's classifier; return the share that it recognizes."""
        device, recognised = trainer.phones.weight.device, 0
        trainer.eval()
        for recording in self.recorded:
            if recording.transcript is None:
                continue
            wav = torch.from_numpy(recording.wav.astype(np.float32) / 32768).to(device)
            aligned = recording.transcript.align(trainer.sounds(wav[None])[0].cpu().numpy())
            if aligned is not None and aligned[1].mean() > RECOGNISED:
                recording.labels = recording.transcript.sound_N[aligned[0]]
                recognised += 1
        trainer.train()
        return recognised / max(1, len(self.recorded))

    def one(self) -> tuple[np.ndarray, ...]:
        """Return one second: audio, the same in hibari-tts's voice or zeros (N,), labels and pitch (T,)."""
        real = bool(self.recorded) and self.rng.random() < REAL
        if real:
            recording = self.rng.choice(self.recorded)
            both, known, offset = np.stack([recording.wav, np.zeros_like(recording.wav)], 1), recording.labels, 0
        else:
            both, entries = self.rng.choice(self.spoken)
            entry = self.rng.choice(entries)
            known, offset = frame_labels(entry), entry["start"]
        if len(known) <= FRAMES:
            return self.one()
        first = self.rng.randrange(len(known) - FRAMES)
        begin = offset + first * HOP
        segment, plain = both[begin : begin + SEGMENT].T.astype(np.float32) / 32768
        peak = float(np.abs(segment).max())
        if peak < QUIET:
            return self.one()
        segment /= peak
        if real and self.rng.random() < 1 / 2:
            try:
                segment = OtherVoice.draw(self.rng).speak(segment, self.rng)
            except parselmouth.PraatError:  # sometimes Praat finds no pitch in one second of speech
                return self.one()
        return segment * self.rng.uniform(0.2, 0.95), plain, known[first : first + FRAMES], pitch(segment)

    def batch(self, size: int) -> list[Tensor]:
        """Return audio and the same in hibari-tts's voice (B, N), labels and pitch (B, T)."""
        return [torch.from_numpy(np.stack(arrays)) for arrays in zip(*(self.one() for _ in range(size)), strict=True)]


def train(
    args: argparse.Namespace,
    stage: str,
    trainer: Trainer,
    losses_of: Callable[..., dict[str, Tensor]],
    data: Segments,
    steps: int,
) -> None:
    """Train until step `steps` on the "loss" that `losses_of` returns; continue from RUN/STAGE.pt if it exists."""
    chain = optimizers(trainer, args.rate, "convnext", betas=(0.8, 0.99), decay=1e-3)
    state = args.run / f"{stage}.pt"
    step = resume(state, trainer, chain, args.device)
    data.rng.seed(step)
    began, sums, aligned = time.time(), Counter[str](), False
    aligning = stage == "codec" and trainer.held is None
    while step < steps:
        if aligning and step >= ALIGN_EVERY and (step % ALIGN_EVERY == 0 or not aligned):
            log(args.run, "codec.align", step=step, recognised=data.realign(trainer))
            aligned = True
        set_rate(chain, args.rate * cosine(step, steps, warmup=WARMUP, floor=FLOOR))
        losses = losses_of(*(tensor.to(args.device) for tensor in data.batch(args.batch)))
        trainer.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
        for optimizer in chain:
            optimizer.step()
        step += 1
        sums.update({name: value.item() for name, value in losses.items()})
        if step % LOG_EVERY == 0:
            means = {name: value / LOG_EVERY for name, value in sums.items()}
            log(args.run, stage, step=step, seconds=time.time() - began, **means)
            sums.clear()
        if step % SAVE_EVERY == 0 or step == steps:
            save(state, trainer, chain, step)


def learn_codec(args: argparse.Namespace, data: Segments, frozen: Path) -> None:
    """Train the whole codec and write it as the frozen codec."""
    trainer = Trainer(NanoCodecConfig())
    if args.start is not None:
        codec = Synthesizer.load(args.start, device="cpu").backend.codec
        turn_noise(codec, -NOISE)  # undo what export.py changed
        trainer.begin_with(codec)
    trainer.to(args.device)

    def losses_of(*batch: Tensor) -> dict[str, Tensor]:
        losses = trainer(*batch)
        return {"loss": losses["sound"] + COMMIT_WEIGHT * losses["commit"] + losses["content"], **losses}

    train(args, "codec", trainer, losses_of, data, args.steps)
    trainer.publish()
    with write_beside(frozen) as path:
        torch.save(trainer.codec.state_dict(), path)


def learn_decoder(args: argparse.Namespace, data: Segments, frozen: Path) -> None:
    """Train the decoder of the frozen codec and write RUN/codec.done.pt."""
    trainer = Trainer(NanoCodecConfig()).to(args.device)
    trainer.requires_grad_(False)
    for module in (trainer.codec.decoder, trainer.codec.voice):
        module.requires_grad_(True)
    trainer.codec.load_state_dict(torch.load(frozen, weights_only=True, map_location=args.device))

    def losses_of(wav_BN: Tensor, _plain: Tensor, _labels: Tensor, pitch_BT: Tensor) -> dict[str, Tensor]:
        codes_BTQ = trainer.codec.encode(wav_BN).clone()
        losses = trainer.decoded_losses(trainer.codec.dequantize(codes_BTQ), wav_BN, pitch_BT)
        return {"loss": losses["sound"], **losses}

    train(args, "decoder", trainer, losses_of, data, args.decoder_steps)
    with write_beside(args.run / "codec.done.pt") as path:
        torch.save(trainer.codec.state_dict(), path)


def main() -> None:
    """Train to the given number of steps; continue from the last saved state."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--recordings", type=Path, help="a folder of real speech with transcripts beside it")
    parser.add_argument("--steps", type=int, default=1600, help="steps that train the whole codec")
    parser.add_argument("--start", type=Path, help="a checkpoint folder whose codec training starts from")
    parser.add_argument("--decoder-steps", type=int, default=0, help="further steps that train the decoder only")
    parser.add_argument("--batch", type=int, default=24, help="seconds of speech per step")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--speakers", type=int, default=300, help="number of speakers of stage 1 to keep in memory")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    data = Segments(args.run, args.recordings, args.speakers)
    frozen = args.run / "codec.frozen.pt"
    if not frozen.exists():
        learn_codec(args, data, frozen)
    if args.decoder_steps:
        learn_decoder(args, data, frozen)


if __name__ == "__main__":
    main()
