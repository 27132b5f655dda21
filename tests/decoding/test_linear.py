"""Matrix products: what is promised of them, whoever computes them."""

import pytest
import torch
import torch.nn.functional as F

from vallecli.families.valle import layers
from vallecli.families.valle.layers import Linear


def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """Return a list that grows with each product that is left to torch."""
    left: list[torch.dtype] = []
    linear = F.linear

    def heard(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        left.append(x.dtype)
        return linear(x, *rest)

    monkeypatch.setattr(layers.F, "linear", heard)
    return left


@pytest.mark.skipif(not layers.ONEDNN, reason="this torch is built without oneDNN")
@pytest.mark.parametrize("shape", [(16,), (1, 16), (3, 5, 16), (0, 16)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_float32_is_computed_by_onednn_and_right(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], bias: bool
) -> None:
    left = calls(monkeypatch)
    torch.manual_seed(0)
    linear, x = Linear(16, 24, bias=bias), torch.randn(shape)
    for part in (slice(None), slice(8), slice(8, None)):
        expected = x.double() @ linear.weight[part].double().T + (linear.bias[part].double() if bias else 0)
        torch.testing.assert_close(linear(x, part).double(), expected, atol=1e-5, rtol=1e-5)
    assert not left
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    linear(x)
    linear.bfloat16()(x.bfloat16())
    assert left == [torch.float32, torch.bfloat16]


def test_gradients_are_as_ever() -> None:
    torch.manual_seed(0)
    ours, theirs = Linear(16, 24), torch.nn.Linear(16, 24)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 16)
    for linear in (ours, theirs):
        linear(x).square().sum().backward()
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, theirs.get_parameter(name).grad)
