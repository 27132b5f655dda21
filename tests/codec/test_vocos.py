"""Our Vocos modules against the `vocos` package, with the same random weights."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from vallecli.codec.encodec import torchaudio_or_stand_in
from vallecli.codec.vocos import Backbone, ISTFTHead
from vallecli.constants import HOP

CHANNELS, DIM, HIDDEN, LAYERS = 12, 16, 48, 3
CONDITIONS = 4  # bandwidths of the published model
N_FFT = 4 * HOP


@pytest.fixture(scope="module")
def vocos() -> SimpleNamespace:
    """Give the package's backbone and head, whether or not torchaudio loads."""
    with torchaudio_or_stand_in(), pytest.MonkeyPatch.context() as patch:
        if not hasattr(sys.modules["torchaudio"], "functional"):  # it is the stand-in
            for name in ("torchaudio.functional", "torchaudio.functional.functional"):
                module = ModuleType(name)
                module.__dict__.update(_hz_to_mel=None, _mel_to_hz=None)  # for a head that is not tested here
                patch.setitem(sys.modules, name, module)
        try:
            from vocos.heads import ISTFTHead
            from vocos.models import VocosBackbone
        except ImportError as error:
            pytest.skip(f"vocos cannot be imported: {error}")
    return SimpleNamespace(VocosBackbone=VocosBackbone, ISTFTHead=ISTFTHead)


def randomized(module: nn.Module, seed: int) -> nn.Module:
    """Give every weight a value of its own, the norms' ones and zeros as well."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return module.eval()


def features(frames: int, channels: int = CHANNELS) -> Tensor:
    return torch.randn(2, channels, frames, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("frames", [1, 2, 40])
@pytest.mark.parametrize("conditions", [0, CONDITIONS], ids=["plain", "conditioned"])
def test_backbone_equals_the_package(vocos: SimpleNamespace, conditions: int, frames: int) -> None:
    theirs = vocos.VocosBackbone(CHANNELS, DIM, HIDDEN, LAYERS, adanorm_num_embeddings=conditions or None)
    ours = Backbone(CHANNELS, DIM, HIDDEN, LAYERS, conditions=conditions).eval()
    ours.load_state_dict(randomized(theirs, 1).state_dict())
    with torch.inference_mode():
        for bandwidth in range(conditions) or [None]:
            chosen = None if bandwidth is None else torch.tensor(bandwidth)
            expected = theirs(features(frames), bandwidth_id=chosen)
            torch.testing.assert_close(ours(features(frames), chosen), expected, rtol=1e-5, atol=1e-5)


def test_each_condition_sounds_different() -> None:
    ours = randomized(Backbone(CHANNELS, DIM, HIDDEN, LAYERS, conditions=CONDITIONS), 1)
    with torch.inference_mode():
        outs = [ours(features(5), torch.tensor(bandwidth)) for bandwidth in range(CONDITIONS)]
    assert all(not torch.equal(a, b) for i, a in enumerate(outs) for b in outs[:i])


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_head_equals_the_package(vocos: SimpleNamespace, frames: int) -> None:
    theirs = vocos.ISTFTHead(DIM, N_FFT, HOP, padding="same")
    ours = ISTFTHead(DIM, N_FFT, HOP).eval()
    ours.load_state_dict(randomized(theirs, 2).state_dict())
    x_BTD = features(frames, DIM).transpose(1, 2)
    with torch.inference_mode():
        wav_BN = ours(x_BTD)
        assert wav_BN.shape == (2, frames * HOP)
        assert wav_BN.abs().max() > 0.01
        torch.testing.assert_close(wav_BN, theirs(x_BTD), rtol=1e-4, atol=1e-5)


def test_head_bounds_the_magnitude_as_the_package_does(vocos: SimpleNamespace) -> None:
    theirs = vocos.ISTFTHead(DIM, N_FFT, HOP, padding="same")
    ours = ISTFTHead(DIM, N_FFT, HOP).eval()
    ours.load_state_dict(theirs.eval().state_dict())
    loud_BTD = 2_000 * features(6, DIM).transpose(1, 2)  # exp() of it would be infinite
    with torch.inference_mode():
        wav_BN = ours(loud_BTD)
        assert wav_BN.isfinite().all()
        torch.testing.assert_close(wav_BN, theirs(loud_BTD), rtol=1e-3, atol=1e-2)
