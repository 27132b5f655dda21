"""What makes an AR an AR: causality, padding that changes nothing, a cache that changes nothing."""

import pytest
import torch
from torch import Tensor

from vallecli.families.valle.ar import AR
from vallecli.decoding.cache import KVCache
from vallecli.families.valle.config import BOS, EOS, Bos, ModelConfig

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def tiny(*, bos: Bos, n_languages: int = 0, cross_attention: bool = False) -> AR:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 1}
    options = {"n_languages": n_languages, "cross_attention": cross_attention}
    return AR(ModelConfig(text_vocab=20, **sizes, bos=bos, **options)).eval()


@pytest.fixture(params=[False, True], ids=["one sequence", "cross-attention"])
def model(request: pytest.FixtureRequest) -> AR:
    return tiny(bos="after_prompt", cross_attention=request.param)


def rows(*lengths: int, top: int) -> tuple[Tensor, Tensor]:
    """Return ids (B, L) whose padding is not zero, and their lengths."""
    generator = torch.Generator().manual_seed(sum(lengths))
    return torch.randint(0, top, (len(lengths), max(lengths)), generator=generator), torch.tensor(lengths)


def fill(
    model: AR,
    cache: KVCache,
    row: int,
    text: Tensor,
    text_len: Tensor,
    audio: Tensor,
    audio_len: Tensor,
    spoken: Tensor | None = None,
) -> Tensor:
    """Prefill a row of the cache with the same row of a batch; of a batch of one, with that one."""
    at = min(row, len(text) - 1)
    text_S, audio_A = text[at, : text_len[at]], audio[at, : audio_len[at]]
    languages_S = None if spoken is None else spoken[at, : text_len[at]]
    return model.prefill(text_S, audio_A, cache, row, languages_S=languages_S)


@torch.inference_mode()
def test_a_padded_row_equals_the_same_row_alone(model: AR) -> None:
    text, text_len = rows(7, 3, 5, top=20)
    audio, audio_len = rows(4, 9, 1, top=BOS)
    batched = model(text, text_len, audio, audio_len)
    assert batched.shape == (3, 9, EOS + 1)
    for row, (s, a) in enumerate(zip(text_len, audio_len, strict=True)):
        one = slice(row, row + 1)
        alone = model(text[one, :s], text_len[one], audio[one, :a], audio_len[one])
        torch.testing.assert_close(batched[row, :a], alone[0], **CLOSE)


@torch.inference_mode()
def test_audio_sees_all_text_and_no_later_audio(model: AR) -> None:
    text, text_len = rows(6, top=20)
    audio, audio_len = rows(8, top=BOS)
    before = model(text, text_len, audio, audio_len)[0]
    later = audio.clone()
    later[0, 5] = (later[0, 5] + 1) % EOS
    after = model(text, text_len, later, audio_len)[0]
    torch.testing.assert_close(before[:5], after[:5])
    assert (before[5:] - after[5:]).abs().amax(-1).min() > 1e-3
    text[0, -1] = (text[0, -1] + 1) % 20
    assert (before - model(text, text_len, audio, audio_len)[0]).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize(
    ("languages", "bos", "cross"),
    [(0, "after_prompt", False), (3, "start", False), (0, "none", True), (3, "start", True)],
)
@pytest.mark.parametrize("lengths", [((7,), (6,)), ((7, 3, 5), (4, 9, 1))], ids=["one row", "ragged rows"])
@pytest.mark.parametrize("block", [1, 8])
@torch.inference_mode()
def test_cached_equals_uncached(
    languages: int, bos: Bos, cross: bool, lengths: tuple[tuple[int, ...], tuple[int, ...]], block: int
) -> None:
    model = tiny(bos=bos, n_languages=languages, cross_attention=cross)
    text, text_len = rows(*lengths[0], top=20)
    audio, audio_len = rows(*lengths[1], top=BOS)
    spoken = text % 3 if languages else None
    cache = model.new_cache(len(text), text.shape[1] + 2, audio.shape[1] + 6, block=block)  # larger than needed
    for begin in range(2):  # the second time, the cache holds what the first has left
        said = [ids[:length] for ids, length in zip(audio, audio_len, strict=True)]
        filled = [fill(model, cache, row, text, text_len, audio, audio_len, spoken) for row in range(len(text))]
        logits = torch.cat(filled)
        for step in range(6):
            padded = torch.nn.utils.rnn.pad_sequence(said, batch_first=True)
            length = torch.tensor([len(ids) for ids in said])
            whole = model(text, text_len, padded, length, languages_BS=spoken)
            torch.testing.assert_close(logits, whole[torch.arange(len(text)), length - 1], **CLOSE)
            codes = torch.arange(len(text)) * 100 + 10 * step + begin
            said = [torch.cat([ids, code[None]]) for ids, code in zip(said, codes, strict=True)]
            cache.claim(len(codes))
            logits = model.step(codes, cache)


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_a_row_is_filled_anew_while_the_others_go_on(cross: bool) -> None:
    model = tiny(bos="after_prompt", cross_attention=cross)
    text, text_len = rows(7, 3, 5, 6, top=20)
    audio, audio_len = rows(4, 9, 1, 3, top=BOS)
    given = (text, text_len, audio, audio_len)
    alone = model.new_cache(1, 7, 14)
    expected = {}
    for row in range(4):
        fill(model, alone, 0, *(ids[row : row + 1] for ids in given))
        expected[row] = []
        for code in range(5):
            alone.claim(1)
            expected[row].append(model.step(torch.tensor([code]), alone))
    cache = model.new_cache(3, 7, 14)
    for row in range(3):
        fill(model, cache, row, *given)
    steps, who = [0, 0, 0], [0, 1, 2]
    for step in range(5):
        if step == 2:
            cache.free(1)  # nobody speaks in it for one step
        if step == 3:
            fill(model, cache, 1, *(ids[3:] for ids in given))
            steps[1], who[1] = 0, 3
        cache.claim(3)
        logits = model.step(torch.tensor(steps), cache)
        for row in range(3) if step != 2 else (0, 2):
            torch.testing.assert_close(logits[row : row + 1], expected[who[row]][steps[row]], **CLOSE)
        steps = [count + 1 for count in steps]


@torch.inference_mode()
def test_a_full_cache_says_so() -> None:
    model = tiny(bos="after_prompt")
    text, text_len = rows(3, top=20)
    audio, audio_len = rows(2, top=BOS)
    cache = model.new_cache(1, 3, 3)
    assert cache.fits(3, 3)
    assert not cache.fits(3, 4)
    fill(model, cache, 0, text, text_len, audio, audio_len)
    cache.claim(1)
    with pytest.raises(ValueError, match="6 slots, 7 are needed"):
        cache.claim(1)
    with pytest.raises(ValueError, match="4 slots, 5 are needed"):
        fill(model, model.new_cache(1, 2, 2), 0, text, text_len, audio, audio_len)


@torch.inference_mode()
def test_with_cross_attention_the_text_takes_no_slots_and_is_projected_once() -> None:
    model = tiny(bos="none", cross_attention=True)
    text, text_len = rows(6, top=20)
    audio, audio_len = rows(4, top=BOS)
    cache = model.new_cache(1, 6, 5)
    assert cache.slots == 5
    fill(model, cache, 0, text, text_len, audio, audio_len)
    remembered = [layer.text.clone() for layer in cache.layers]
    cache.claim(1)
    model.step(torch.tensor([1]), cache)
    assert all(torch.equal(layer.text, text) for layer, text in zip(cache.layers, remembered, strict=True))
    with pytest.raises(ValueError, match="5 slots, 6 are needed"):
        cache.claim(1)
    assert not cache.fits(7, 5)
    with pytest.raises(ValueError, match="5 slots, 6 are needed"):  # of the memory
        fill(model, model.new_cache(1, 5, 5), 0, text, text_len, audio, audio_len)


@torch.inference_mode()
def test_positions_have_no_end() -> None:
    model = tiny(bos="after_prompt")
    long = 2 * len(model.audio_positions.table) + 3
    expected = tiny(bos="none").audio_positions
    expected.reserve(long)
    torch.testing.assert_close(model.audio_positions(long), expected.table[:long])
    torch.testing.assert_close(model.audio_positions.table[:5, 0], torch.arange(5.0).sin())
    torch.testing.assert_close(model.audio_positions.table[:5, 1], torch.arange(5.0).cos())


def test_what_inference_leaves_behind_can_be_trained(model: AR) -> None:
    text, text_len = rows(3, 4, top=20)
    audio, audio_len = rows(6, 5, top=BOS)
    with torch.inference_mode():
        model.new_cache(1, 4, 5000)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(text, text_len, audio, audio_len)
    logits.float().logsumexp(-1).sum().backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not missing
