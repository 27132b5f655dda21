"""The codec's spectral loss is that of its own log-mel magnitudes, with the same gradient."""

import pytest
import torch
from spectral import LogMelLoss

from vallecli.codec.nano import LogMel


@pytest.mark.parametrize(("window", "bands"), [(256, 20), (1024, 80)])
def test_it_has_the_value_and_the_gradient_that_torch_finds(window: int, bands: int) -> None:
    generator = torch.Generator().manual_seed(0)
    out = torch.randn(2, 4 * window, generator=generator).requires_grad_()
    wav = torch.randn(2, 4 * window, generator=generator)
    mel = LogMel(bands, window, window // 4)
    told = (mel(out) - mel(wav)).abs().mean()
    [right] = torch.autograd.grad(told, out)
    loss = LogMelLoss(window, bands)(out, wav)
    [found] = torch.autograd.grad(loss, out)
    assert loss.item() == pytest.approx(told.item(), rel=1e-5)
    assert torch.allclose(found, right, atol=1e-5 * right.abs().max().item())
