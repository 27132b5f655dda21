"""Linear layers: those by oneDNN and the packed ones give the product, within their rounding."""

import pytest
import torch
import torch.nn.functional as F

from vallecli.decoding import linear as layers
from vallecli.decoding.linear import (
    FBGEMM,
    FEW,
    LARGEST,
    Int8Linear,
    Linear,
    packer,
    parameter_count,
    weight_bytes,
)

CPU = torch.device("cpu")


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


PRECISIONS = [torch.float32, torch.bfloat16, torch.float16, torch.int8]
KINDS = [dtype for dtype in PRECISIONS if packer(dtype, CPU, short=True) is not None]


@pytest.fixture(params=[True, False] if FBGEMM else [False], ids=lambda fbgemm: "fbgemm" if fbgemm else "torch")
def fbgemm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Products with and without FBGEMM, which not every CPU has."""
    monkeypatch.setattr(layers, "FBGEMM", request.param)
    return request.param


@pytest.mark.parametrize("positions", [(1,), (FEW,), (FEW + 1,), (3, 5), (7, 31), (0,)], ids=str)
@pytest.mark.parametrize("part", [slice(None), slice(64), slice(64, None)], ids=["all", "first", "rest"])
@torch.inference_mode()
def test_8_bits_are_within_their_rounding(positions: tuple[int, ...], part: slice, fbgemm: bool) -> None:
    torch.manual_seed(0)
    linear = Linear(64, 192, cut=64)
    linear.weight[5] *= 100  # of one output only: its neighbours keep their own scales
    linear.weight[6] = 0
    x = torch.randn(*positions, 64)
    exact, rounded = linear(x, part), Int8Linear(linear)(x, part)
    assert rounded.shape == exact.shape
    step = linear.weight.abs().amax(1)[part] / 127
    most = step / 2 * x.abs().sum(-1, keepdim=True)
    largest = x.abs().amax(-1, keepdim=True) if len(x) else x.sum(-1, keepdim=True)
    most = most + largest / LARGEST / 2 * 64 * (linear.weight.abs().amax(1)[part] + step)
    assert ((exact - rounded).abs() <= most + 1e-4).all()
    assert not len(x) or not torch.equal(exact, rounded)


@torch.inference_mode()
def test_8_bits_give_the_same_for_few_and_for_many_positions(fbgemm: bool) -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(Linear(64, 192)), torch.randn(2 * FEW, 64)
    torch.testing.assert_close(layer(x), torch.cat([layer(x[:FEW]), layer(x[FEW:])]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@torch.inference_mode()
def test_a_row_of_packed_products_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    linear, x = Linear(64, 192, cut=64), torch.randn(40, 64)
    x[1] *= 1000
    x[2] = 0
    x = x.bfloat16() if dtype == torch.bfloat16 else x
    layer = packer(dtype, CPU, short=True)(linear)
    together = layer(x)
    for rows in (1, 2, 4, 7, 16):
        assert torch.equal(together, torch.cat([layer(some) for some in x.split(rows)]))
    for part in (slice(64), slice(64, None)):
        assert torch.equal(layer(x, part), together[:, part])
    with pytest.raises(ValueError, match="not in tuple"):
        layer(x, slice(3))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2), (torch.float16, 1e-3)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_packed_weights_give_the_product(dtype: torch.dtype, error: float, bias: bool) -> None:
    if dtype not in KINDS:
        pytest.skip(f"this CPU or torch has no products in {dtype}")
    torch.manual_seed(0)
    linear, x = Linear(64, 192, bias=bias, cut=64), torch.randn(3, 5, 64)
    layer = packer(dtype, CPU, short=True)(linear)
    found = layer(x.bfloat16() if dtype == torch.bfloat16 else x)
    assert (found - linear(x)).norm() < error * linear(x).norm()
    assert parameter_count(layer) == parameter_count(linear) == 64 * 192 + 192 * bias
    size = 2 if dtype == torch.bfloat16 else 4
    assert weight_bytes(layer) == dtype.itemsize * 64 * 192 + size * 192 * bias


def test_only_a_cpu_packs_and_large_models_only_in_less_precision() -> None:
    assert packer(torch.float32, CPU, short=False) is None
    assert all(packer(dtype, CPU, short=False) is not None for dtype in KINDS if dtype != torch.float32)
    assert all(packer(dtype, torch.device("cuda"), short=True) is None for dtype in PRECISIONS)
