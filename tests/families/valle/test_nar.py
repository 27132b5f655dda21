"""Which codes each stage of the NAR depends on, and that padding changes nothing."""

import pytest
import torch
from torch import Tensor

from vallecli.families.valle.config import CODEBOOK_SIZE, NUM_CODEBOOKS, ModelConfig, PrefixMode
from vallecli.families.valle.nar import NAR

PROMPT, FRAMES = 4, 5
STAGES = range(1, NUM_CODEBOOKS)


def nar(*, prefix_mode: PrefixMode = 1, tied_heads: bool = True, **options: bool) -> NAR:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 1, "nar_d_model": 32, "nar_n_heads": 4, "nar_n_layers": 2}
    return NAR(ModelConfig(text_vocab=20, **sizes, prefix_mode=prefix_mode, tied_heads=tied_heads, **options)).eval()


def inputs(*lengths: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return arguments of `forward` for rows of (text, prompt, audio) lengths, with padding that is not zero."""
    generator = torch.Generator().manual_seed(0)
    text_len, prompt_len, audio_len = torch.tensor(lengths).T
    text = torch.randint(0, 20, (len(lengths), int(text_len.max())), generator=generator)
    size = (len(lengths), int(audio_len.max()), NUM_CODEBOOKS)
    return text, text_len, torch.randint(0, CODEBOOK_SIZE, size, generator=generator), prompt_len, audio_len


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("stage", [1, 4, 7])
@torch.inference_mode()
def test_a_padded_row_equals_the_same_row_alone(mode: PrefixMode, stage: int, cross: bool) -> None:
    model = nar(prefix_mode=mode, cross_attention=cross)
    lengths = [(7, 3, 9), (3, 5, 6), (5, 0, 4)]
    text, text_len, codes, prompt_len, audio_len = inputs(*lengths)
    batched = model(text, text_len, codes, prompt_len, audio_len, stage=stage)
    assert batched.shape == (3, 9, CODEBOOK_SIZE)
    for row, (s, _, a) in enumerate(lengths):
        one = slice(row, row + 1)
        alone = model(text[one, :s], text_len[one], codes[one, :a], prompt_len[one], audio_len[one], stage=stage)
        torch.testing.assert_close(batched[row, :a], alone[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", [0, 1, 2, 4])
@pytest.mark.parametrize("stage", STAGES)
@torch.inference_mode()
def test_a_stage_depends_on_the_known_codebooks_and_by_mode_on_those_of_the_prompt(
    mode: PrefixMode, stage: int
) -> None:
    model = nar(prefix_mode=mode)
    text, text_len, codes, prompt_len, audio_len = inputs((6, PROMPT, PROMPT + FRAMES))
    before = model(text, text_len, codes, prompt_len, audio_len, stage=stage)

    def matters(frame: int, codebook: int) -> bool:
        other = codes.clone()
        other[0, frame, codebook] = (other[0, frame, codebook] + 1) % CODEBOOK_SIZE
        return not torch.equal(model(text, text_len, other, prompt_len, audio_len, stage=stage), before)

    speech = [matters(PROMPT, codebook) for codebook in range(NUM_CODEBOOKS)]
    prompt = [matters(PROMPT - 1, codebook) for codebook in range(NUM_CODEBOOKS)]
    known = [codebook < stage for codebook in range(NUM_CODEBOOKS)]
    assert speech == known
    assert prompt == (known if mode == 0 else [True] * NUM_CODEBOOKS)


@torch.inference_mode()
def test_stages_have_separate_norms() -> None:
    model = nar(tied_heads=False)
    for head in model.heads[1:]:
        head.weight.copy_(model.heads[0].weight)
    text, text_len, codes, prompt_len, audio_len = inputs((6, PROMPT, PROMPT + FRAMES))
    for table in model.audio_embeddings[1:]:
        table.weight.zero_()
    first, second = (model(text, text_len, codes, prompt_len, audio_len, stage=stage) for stage in (1, 2))
    assert (first - second).abs().max() > 1e-3  # by the stage embedding, as everything else is equal


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_audio_attends_to_every_text_token(cross: bool) -> None:
    model = nar(cross_attention=cross)
    text, *given = inputs((6, PROMPT, PROMPT + FRAMES))
    before = model(text, *given, stage=1)
    for letter in range(6):
        other = text.clone()
        other[0, letter] = (other[0, letter] + 1) % 20
        assert (model(other, *given, stage=1) - before).abs().amax(-1).min() > 1e-4


@torch.inference_mode()
def test_with_stage_alphas_each_stage_scales_the_audio_positions() -> None:
    model, plain = nar(stage_alphas=True), nar()
    given = inputs((6, PROMPT, PROMPT + FRAMES))
    assert all(torch.equal(model(*given, stage=stage), plain(*given, stage=stage)) for stage in STAGES)
    model.audio_positions.alpha[3] = 2
    changed = [not torch.equal(model(*given, stage=stage), plain(*given, stage=stage)) for stage in STAGES]
    assert changed == [stage == 4 for stage in STAGES]


@pytest.mark.parametrize("tied", [True, False])
def test_tied_heads_are_the_embeddings_of_the_same_codebook(tied: bool) -> None:
    model = nar(tied_heads=tied)
    shared = [
        (stage, codebook)
        for stage in STAGES
        for codebook in range(NUM_CODEBOOKS)
        if model.heads[stage - 1].weight is model.audio_embeddings[codebook].weight
    ]
    assert shared == ([(stage, stage + 1) for stage in STAGES[:-1]] if tied else [])


@pytest.mark.parametrize(
    "options", [{}, {"cross_attention": True}, {"stage_alphas": True}, {"fixed_stages": True}], ids=str
)
def test_every_parameter_is_reached_by_training(options: dict[str, bool]) -> None:
    model = nar(**options)
    given = inputs((6, 3, 9), (4, 2, 7))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [model(*given, stage=stage).float().logsumexp(-1).sum() for stage in STAGES]
    torch.stack(outputs).sum().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_fixed_stages_change_no_logit(cross: bool) -> None:
    model, arguments = nar(cross_attention=cross), inputs((6, PROMPT, PROMPT + FRAMES))
    before = [model(*arguments, stage=stage) for stage in STAGES]
    total = sum(parameter.numel() for parameter in model.parameters())
    projections: list[torch.nn.Linear] = []
    model.fix_stages(replaced=projections.append)
    assert all(
        torch.equal(model(*arguments, stage=stage), logits) for stage, logits in zip(STAGES, before, strict=True)
    )
    left = sum(p.numel() for name, p in model.named_parameters() if not name.endswith("scales_and_shifts"))
    assert total - left == sum(linear.weight.numel() + linear.bias.numel() for linear in projections) > 0
    assert len(projections) == 1 + (3 if cross else 2) * len(model.layers)


@torch.inference_mode()
def test_a_model_of_fixed_stages_equals_one_whose_stages_were_fixed() -> None:
    model, fixed = nar(), nar(fixed_stages=True)
    arguments = inputs((6, PROMPT, PROMPT + FRAMES))
    before = [model(*arguments, stage=stage) for stage in STAGES]
    model.fix_stages(replaced=lambda linear: None)
    state = model.state_dict()
    del state["stage_embeddings.weight"]
    fixed.load_state_dict(state)
    fixed.fix_stages(replaced=lambda linear: pytest.fail("nothing is left to project"))
    assert all(
        torch.equal(fixed(*arguments, stage=stage), logits) for stage, logits in zip(STAGES, before, strict=True)
    )
