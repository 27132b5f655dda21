"""Stage 2 of nano's recipe, where it begins with a codec that speaks already."""

from __future__ import annotations

import sys
from pathlib import Path

import codec
import pytest
import torch
from common import FRAME_RATE, SAMPLE_RATE
from config import NOISE, turn_noise
from speech import UNKNOWN

from vallecli.codec.nano import NanoCodec, NanoCodecConfig
from vallecli.synthesizer import Synthesizer

SMALL = {"encoder_dim": 16, "encoder_layers": 1, "decoder_dim": 16, "decoder_layers": 1}
SHIPPED = Path(__file__).parents[2] / "src" / "vallecli" / "data" / "nano"


def test_the_codec_of_a_checkpoint_is_taken_as_it_was_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["codec.py", "--run", str(tmp_path), "--start", str(SHIPPED), "--steps", "0"])
    codec.main()
    frozen = NanoCodec(NanoCodecConfig()).eval()
    frozen.load_state_dict(torch.load(tmp_path / "codec.frozen.pt", weights_only=True))
    turn_noise(frozen, NOISE)  # as it was turned when it was exported
    shipped = Synthesizer.load("nano", device="cpu").backend.codec
    wav_BN = 0.1 * torch.randn(1, SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    codes_BTQ = shipped.encode(wav_BN)
    assert torch.equal(frozen.encode(wav_BN), codes_BTQ)
    torch.testing.assert_close(frozen.decode(codes_BTQ), shipped.decode(codes_BTQ))
    assert not (tmp_path / "codec.jsonl").exists()


def test_codebook_1_is_held_while_the_others_learn_in_more_dimensions() -> None:
    torch.manual_seed(0)
    start = NanoCodec(NanoCodecConfig(latent_dim=20, **SMALL))
    start.codebooks[0, :, : codec.CONTENT] = torch.randn(1024, codec.CONTENT)
    start.codebooks[1:, :, codec.CONTENT :] = torch.randn(7, 1024, 20 - codec.CONTENT)
    trainer = codec.Trainer(NanoCodecConfig(latent_dim=24, **SMALL))
    trainer.begin_with(start)
    wav_BN = 0.1 * torch.randn(2, SAMPLE_RATE)
    assert torch.equal(trainer.codec.encode(wav_BN), start.encode(wav_BN))

    unknown_BT = torch.full((2, FRAME_RATE), UNKNOWN)
    losses = trainer(wav_BN, torch.zeros_like(wav_BN), unknown_BT, torch.full((2, FRAME_RATE), 120.0))
    assert losses["off"].item() == pytest.approx(0, abs=1e-6)
    trainer.publish()
    assert torch.equal(trainer.codec.codebooks[0, :, :20], start.codebooks[0])
    for learned, begun in zip(trainer.codec.codebooks[1:], start.codebooks[1:], strict=True):
        assert not torch.equal(learned[:, :20], begun)
