"""Models with weights in 8 bits: close to the exact ones, and only the matrices of the layers are quantized."""

import pytest
import torch

from vallecli.decoding.linear import Int8Linear, pack
from vallecli.families.valle.ar import AR
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.layers import AdaptiveNorm
from vallecli.families.valle.nar import NAR

SIZES = {"d_model": 64, "n_heads": 2, "n_layers": 2, "nar_d_model": 64, "nar_n_heads": 2, "nar_n_layers": 2}


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_logits_are_close(cross: bool) -> None:
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
    projections = [norm.project for norm in norms]
    replaced: list[torch.nn.Linear] = []
    nar.fix_stages(replaced=lambda linear: None)
    for layers in (ar.layers, nar.layers):
        pack(layers, Int8Linear, replaced=replaced.append)
    for exact, rounded in zip(before, logits(), strict=True):
        assert (exact - rounded).abs().max() < 0.05 * exact.std()
        assert not torch.equal(exact, rounded)
    assert all(isinstance(projection, torch.nn.Linear) for projection in projections)
    assert all(isinstance(head, torch.nn.Linear) for head in (ar.head, *nar.heads))
    assert not [name for name, module in ar.layers.named_modules() if isinstance(module, torch.nn.Linear)]
    per_layer = 6 if cross else 4  # fused qkv and output of each attention, and two of the feed-forward
    assert len(replaced) == per_layer * (config.n_layers + config.nar_n_layers)
