"""The NAR loop: each codebook is the argmax given those before it, in any prefix mode, with and without guidance."""

import pytest
import torch
from tape import Tape
from torch import Tensor

from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS, ModelConfig, PrefixMode
from vallecli.families.valle.nar import NAR
from vallecli.families.valle.refine import refine

TEXT = torch.tensor([1, 5, 6, 2, 7, 8, 3])
SPEECH = torch.tensor([100, 200, 300])
GUIDANCE = (0.0, 0.0, 0.5, 3.0, 3.0, 3.0, 3.0)
PROMPT = torch.randint(0, CODEBOOK_SIZE, (4, NUM_CODEBOOKS), generator=torch.Generator().manual_seed(0))


def model(prefix_mode: PrefixMode = 1, guidance: tuple[float, ...] = ()) -> NAR:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 1, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 2}
    nar = NAR(ModelConfig(text_vocab=20, **sizes, prefix_mode=prefix_mode, guidance=guidance)).eval()
    with torch.no_grad():
        for layer in nar.layers:  # so that text and prompt matter in layers that were not trained
            layer.attention.qkv.weight.mul_(5)
            layer.attention.out.weight.mul_(20)
    return nar


@pytest.mark.parametrize("mode", [0, 1])
@torch.inference_mode()
def test_each_codebook_is_the_argmax_given_those_before_it(mode: PrefixMode) -> None:
    nar, stages = model(mode), list[int]()
    codes = refine(nar, TEXT, PROMPT, SPEECH, on_stage=stages.append)
    assert stages == list(range(1, NUM_CODEBOOKS))
    assert codes.shape == (len(SPEECH), NUM_CODEBOOKS)
    assert torch.equal(codes[:, 0], SPEECH)
    whole = torch.cat([PROMPT, codes])[None]
    lengths = torch.tensor([[len(TEXT)], [len(PROMPT)], [whole.shape[1]]])
    for stage in range(1, NUM_CODEBOOKS):  # with the final codes as input: a stage must not depend on later ones
        logits = nar(TEXT[None], lengths[0], whole, *lengths[1:], stage=stage)[0, len(PROMPT) :]
        assert torch.equal(logits.argmax(-1), codes[:, stage])


@torch.inference_mode()
def test_guidance_weighs_logits_with_and_without_the_prompt() -> None:
    nar = model(guidance=GUIDANCE)
    codes, plain = refine(nar, TEXT, PROMPT, SPEECH), refine(model(), TEXT, PROMPT, SPEECH)
    assert torch.equal(codes[:, :3], plain[:, :3])  # two stages without guidance
    assert not torch.equal(codes, plain)

    def logits(prompt: Tensor, stage: int) -> Tensor:
        whole = torch.cat([prompt, codes])[None]
        lengths = torch.tensor([[len(TEXT)], [len(prompt)], [whole.shape[1]]])
        return nar(TEXT[None], lengths[0], whole, *lengths[1:], stage=stage)[0, len(prompt) :]

    for stage, weight in enumerate(GUIDANCE, 1):
        guided = (1 + weight) * logits(PROMPT, stage) - weight * logits(PROMPT[:0], stage)
        assert torch.equal(guided.argmax(-1), codes[:, stage])


@pytest.mark.parametrize("mode", [2, 4])
def test_modes_2_and_4_drop_the_text_of_the_prompt(mode: PrefixMode) -> None:
    nar = model(mode)
    shorter = torch.cat([TEXT[:1], TEXT[3:]])  # without the prompt's 4 tokens, all but the first
    assert torch.equal(refine(nar, TEXT, PROMPT, SPEECH, prompt_tokens=4), refine(nar, shorter, PROMPT, SPEECH))
    assert not torch.equal(refine(nar, TEXT, PROMPT, SPEECH), refine(nar, shorter, PROMPT, SPEECH))
    whole = model(1)
    assert torch.equal(refine(whole, TEXT, PROMPT, SPEECH, prompt_tokens=4), refine(whole, TEXT, PROMPT, SPEECH))


@pytest.mark.parametrize(("prompt", "frames"), [(0, 3), (4, 1), (4, 0)])
def test_edges(prompt: int, frames: int) -> None:
    codes = refine(model(), TEXT, PROMPT[:prompt], SPEECH[:frames])
    assert codes.shape == (frames, NUM_CODEBOOKS)
    assert torch.equal(codes[:, 0], SPEECH[:frames])


def test_prompt_and_text_matter() -> None:
    nar = model()
    codes = refine(nar, TEXT, PROMPT, SPEECH)
    assert not torch.equal(codes, refine(nar, TEXT, (PROMPT + 1) % CODEBOOK_SIZE, SPEECH))
    assert not torch.equal(codes, refine(nar, TEXT.flip(0), PROMPT, SPEECH))


@pytest.mark.parametrize(("mode", "guidance"), [(0, ()), (1, ()), (1, GUIDANCE)])
@torch.inference_mode()
def test_no_pass_reads_from_the_device(mode: PrefixMode, guidance: tuple[float, ...]) -> None:
    nar = model(mode, guidance)
    with Tape() as tape:  # which raises when a value is read from the device
        refine(nar, TEXT, PROMPT, SPEECH)
    assert tape.operations
