"""Weights in 8 bits: how near they are, by either way of computing, and what is left as it was."""

import pytest
import torch

from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.layers import AdaptiveNorm, Linear
from vallecli.families.valle.nar import NAR
from vallecli.decoding.quantize import FEW, Int8Linear, quantize

SIZES = {"d_model": 64, "n_heads": 2, "n_layers": 2, "nar_d_model": 64, "nar_n_heads": 2, "nar_n_layers": 2}


@pytest.mark.parametrize("positions", [(1,), (FEW,), (FEW + 1,), (3, 5), (7, 31)], ids=str)
@pytest.mark.parametrize("part", [slice(None), slice(64), slice(64, None)], ids=["all", "first", "rest"])
@torch.inference_mode()
def test_a_layer_is_within_the_rounding_of_its_weights(positions: tuple[int, ...], part: slice) -> None:
    torch.manual_seed(0)
    linear = Linear(64, 192)
    linear.weight[5] *= 100  # of one output alone: its neighbours keep their own steps
    linear.weight[6] = 0
    x = torch.randn(*positions, 64)
    exact, rounded = linear(x, part), Int8Linear(linear)(x, part)
    assert rounded.shape == exact.shape
    step = linear.weight.abs().amax(1)[part] / 127
    most = step / 2 * x.abs().sum(-1, keepdim=True)
    assert ((exact - rounded).abs() <= most + 1e-4).all()
    assert not torch.equal(exact, rounded)


@torch.inference_mode()
def test_few_and_many_positions_are_computed_alike() -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(Linear(64, 192)), torch.randn(2 * FEW, 64)
    torch.testing.assert_close(layer(x), torch.cat([layer(x[:FEW]), layer(x[FEW:])]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_models_say_nearly_the_same(cross: bool) -> None:
    torch.manual_seed(0)
    config = ModelConfig(text_vocab=20, **SIZES, cross_attention=cross)
    ar, nar = AR(config).eval(), NAR(config).eval()
    text, length = torch.arange(6)[None], torch.tensor([6])
    audio, frames = torch.randint(0, 1024, (1, 30, 8)), torch.tensor([30])

    def logits() -> list[torch.Tensor]:
        given = (text, length, audio, torch.tensor([10]), frames)
        return [ar(text, length, audio[..., 0], frames), *(nar(*given, stage=stage) for stage in (1, 7))]

    before = logits()
    norms = [module for module in nar.modules() if isinstance(module, AdaptiveNorm)]
    replaced: list[torch.nn.Linear] = []
    for model in (ar, nar):
        quantize(model, replaced=replaced.append)
    for exact, rounded in zip(before, logits(), strict=True):
        assert (exact - rounded).abs().max() < 0.05 * exact.std()
        assert not torch.equal(exact, rounded)
    assert all(isinstance(norm.project, torch.nn.Linear) for norm in norms)
    assert isinstance(ar.head, torch.nn.Linear)
    plain = [name for name, module in ar.layers.named_modules() if isinstance(module, torch.nn.Linear)]
    assert plain == []
