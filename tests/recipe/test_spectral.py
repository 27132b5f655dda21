"""The codec's spectral losses are those of its own mel magnitudes, with the same gradient."""

import pytest
import torch
from spectral import MelLosses

from vallecli.codec.nano import LogMel


@pytest.mark.parametrize(("window", "bands"), [(256, 20), (1024, 80)])
def test_it_has_the_value_and_the_gradient_that_torch_finds(window: int, bands: int) -> None:
    generator = torch.Generator().manual_seed(0)
    out = torch.randn(2, 4 * window, generator=generator).requires_grad_()
    wav = torch.randn(2, 4 * window, generator=generator)
    mel = LogMel(bands, window, window // 4)
    told = (mel(out) - mel(wav)).abs().mean()
    [right] = torch.autograd.grad(told, out)
    loss, _ = MelLosses(window, bands)(out, wav)
    [found] = torch.autograd.grad(loss, out)
    assert loss.item() == pytest.approx(told.item(), rel=1e-5)
    assert torch.allclose(found, right, atol=1e-5 * right.abs().max().item())


def test_what_is_loud_counts_by_how_much_of_it_is_off() -> None:
    wav = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    losses = MelLosses(1024, 80)
    assert losses(0.75 * wav, wav)[1].item() == pytest.approx(0.25, rel=1e-4)
    quiet = torch.stack([wav[0], 1e-3 * wav[1]])
    off = torch.stack([wav[0], 2e-3 * wav[1]])
    assert losses(off, quiet)[1].item() == pytest.approx((0 + 1) / 2, rel=1e-2)
