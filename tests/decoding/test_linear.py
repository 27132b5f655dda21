"""Linear layers: float32 by oneDNN and weights in 8 bits give the product, within their rounding."""

import pytest
import torch
import torch.nn.functional as F

from vallecli.decoding import linear as layers
from vallecli.decoding.linear import FEW, Int8Linear, Linear


def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """Return a list that grows with each product that torch computes by its default."""
    seen: list[torch.dtype] = []
    linear = F.linear

    def recorded(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        seen.append(x.dtype)
        return linear(x, *rest)

    monkeypatch.setattr(layers.F, "linear", recorded)
    return seen


@pytest.mark.skipif(not layers.ONEDNN, reason="this torch is built without oneDNN")
@pytest.mark.parametrize("shape", [(16,), (1, 16), (3, 5, 16), (0, 16)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_float32_is_computed_by_onednn_and_right(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], bias: bool
) -> None:
    by_default = calls(monkeypatch)
    torch.manual_seed(0)
    linear, x = Linear(16, 24, bias=bias), torch.randn(shape)
    for part in (slice(None), slice(8), slice(8, None)):
        expected = x.double() @ linear.weight[part].double().T + (linear.bias[part].double() if bias else 0)
        torch.testing.assert_close(linear(x, part).double(), expected, atol=1e-5, rtol=1e-5)
    assert not by_default
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    linear(x)
    linear.bfloat16()(x.bfloat16())
    assert by_default == [torch.float32, torch.bfloat16]


def test_gradients_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Linear(16, 24), torch.nn.Linear(16, 24)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 16)
    for linear in (ours, theirs):
        linear(x).square().sum().backward()
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, theirs.get_parameter(name).grad)


@pytest.mark.parametrize("positions", [(1,), (FEW,), (FEW + 1,), (3, 5), (7, 31)], ids=str)
@pytest.mark.parametrize("part", [slice(None), slice(64), slice(64, None)], ids=["all", "first", "rest"])
@torch.inference_mode()
def test_8_bits_are_within_the_rounding_of_the_weights(positions: tuple[int, ...], part: slice) -> None:
    torch.manual_seed(0)
    linear = Linear(64, 192)
    linear.weight[5] *= 100  # of one output only: its neighbours keep their own scales
    linear.weight[6] = 0
    x = torch.randn(*positions, 64)
    exact, rounded = linear(x, part), Int8Linear(linear)(x, part)
    assert rounded.shape == exact.shape
    step = linear.weight.abs().amax(1)[part] / 127
    most = step / 2 * x.abs().sum(-1, keepdim=True)
    assert ((exact - rounded).abs() <= most + 1e-4).all()
    assert not torch.equal(exact, rounded)


@torch.inference_mode()
def test_8_bits_give_the_same_for_few_and_for_many_positions() -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(Linear(64, 192)), torch.randn(2 * FEW, 64)
    torch.testing.assert_close(layer(x), torch.cat([layer(x[:FEW]), layer(x[FEW:])]), atol=1e-5, rtol=1e-5)
