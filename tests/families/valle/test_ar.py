"""The AR is causal, and neither padding nor the cache changes its logits."""

import pytest
import torch
from torch import Tensor

from vallecli.decoding.cache import KVCache
from vallecli.decoding.request import PrefixSize
from vallecli.families.valle.ar import AR, Prefix
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
    languages: Tensor | None = None,
) -> Tensor:
    """Prefill a row of the cache with the same row of a batch, or with the only row of it."""
    at = min(row, len(text) - 1)
    languages_S = None if languages is None else languages[at, : text_len[at]]
    return model.prefill(Prefix(text[at, : text_len[at]], audio[at, : audio_len[at]], languages_S), cache, row)


def new_cache(model: AR, rows: int, text: int, audio: int, *, block: int = 1) -> KVCache:
    """Return a cache for rows with that many text and audio positions."""
    cross = model.config.cross_attention
    capacity, memory_capacity = (audio, text) if cross else (text + audio, 0)
    return model.new_cache(rows, capacity=capacity, memory_capacity=memory_capacity, block=block)


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
def test_audio_attends_to_all_text_and_to_no_later_audio(model: AR) -> None:
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
    ("n_languages", "bos", "cross"),
    [(0, "after_prompt", False), (3, "start", False), (0, "none", True), (3, "start", True)],
)
@pytest.mark.parametrize("lengths", [((7,), (6,)), ((7, 3, 5), (4, 9, 1))], ids=["one row", "ragged rows"])
@pytest.mark.parametrize("block", [1, 8])
@torch.inference_mode()
def test_cached_equals_uncached(
    n_languages: int, bos: Bos, cross: bool, lengths: tuple[tuple[int, ...], tuple[int, ...]], block: int
) -> None:
    model = tiny(bos=bos, n_languages=n_languages, cross_attention=cross)
    text, text_len = rows(*lengths[0], top=20)
    audio, audio_len = rows(*lengths[1], top=BOS)
    languages = text % 3 if n_languages else None
    cache = new_cache(model, len(text), text.shape[1] + 2, audio.shape[1] + 6, block=block)  # larger than needed
    for run in range(2):  # the second run finds entries of the first in the cache
        sequences = [ids[:length] for ids, length in zip(audio, audio_len, strict=True)]
        filled = [fill(model, cache, row, text, text_len, audio, audio_len, languages) for row in range(len(text))]
        logits = torch.cat(filled)
        for step in range(6):
            padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
            length = torch.tensor([len(ids) for ids in sequences])
            whole = model(text, text_len, padded, length, languages_BS=languages)
            torch.testing.assert_close(logits, whole[torch.arange(len(text)), length - 1], **CLOSE)
            codes = torch.arange(len(text)) * 100 + 10 * step + run
            sequences = [torch.cat([ids, code[None]]) for ids, code in zip(sequences, codes, strict=True)]
            cache.claim(len(codes))
            logits = model.step(codes, cache)


@pytest.mark.parametrize("cross", [False, True], ids=["one sequence", "cross-attention"])
@torch.inference_mode()
def test_a_row_can_be_reused_while_the_others_continue(cross: bool) -> None:
    model = tiny(bos="after_prompt", cross_attention=cross)
    text, text_len = rows(7, 3, 5, 6, top=20)
    audio, audio_len = rows(4, 9, 1, 3, top=BOS)
    given = (text, text_len, audio, audio_len)
    alone = new_cache(model, 1, 7, 14)
    expected = {}
    for row in range(4):
        fill(model, alone, 0, *(ids[row : row + 1] for ids in given))
        expected[row] = []
        for code in range(5):
            alone.claim(1)
            expected[row].append(model.step(torch.tensor([code]), alone))
    cache = new_cache(model, 3, 7, 14)
    for row in range(3):
        fill(model, cache, row, *given)
    steps, who = [0, 0, 0], [0, 1, 2]
    for step in range(5):
        if step == 2:
            cache.free(1)  # the row is free for one step
        if step == 3:
            fill(model, cache, 1, *(ids[3:] for ids in given))
            steps[1], who[1] = 0, 3
        cache.claim(3)
        logits = model.step(torch.tensor(steps), cache)
        for row in range(3) if step != 2 else (0, 2):
            torch.testing.assert_close(logits[row : row + 1], expected[who[row]][steps[row]], **CLOSE)
        steps = [count + 1 for count in steps]


@torch.inference_mode()
def test_a_full_cache_raises() -> None:
    model = tiny(bos="after_prompt")
    text, text_len = rows(3, top=20)
    audio, audio_len = rows(2, top=BOS)
    cache = new_cache(model, 1, 3, 3)
    assert cache.fits(6, 0)
    assert not cache.fits(7, 0)
    assert not cache.fits(6, 1)
    fill(model, cache, 0, text, text_len, audio, audio_len)
    cache.claim(1)
    with pytest.raises(ValueError, match="6 positions, 7 are needed"):
        cache.claim(1)
    with pytest.raises(ValueError, match="4 positions, 5 are needed"):
        fill(model, new_cache(model, 1, 2, 2), 0, text, text_len, audio, audio_len)


@torch.inference_mode()
def test_with_cross_attention_the_text_needs_no_positions_and_is_projected_once() -> None:
    model = tiny(bos="none", cross_attention=True)
    text, text_len = rows(6, top=20)
    audio, audio_len = rows(4, top=BOS)
    assert model.prefix_size(Prefix(text[0], audio[0])) == PrefixSize(sequence=4, memory=6)
    cache = new_cache(model, 1, 6, 5)
    assert (cache.capacity, cache.memory_capacity) == (5, 6)
    fill(model, cache, 0, text, text_len, audio, audio_len)
    stored = [layer.text.clone() for layer in cache.layers]
    cache.claim(1)
    model.step(torch.tensor([1]), cache)
    assert all(torch.equal(layer.text, text) for layer, text in zip(cache.layers, stored, strict=True))
    with pytest.raises(ValueError, match="5 positions, 6 are needed"):
        cache.claim(1)
    assert cache.fits(5, 6)
    assert not cache.fits(5, 7)
    with pytest.raises(ValueError, match="5 positions, 6 are needed"):  # of the memory
        fill(model, new_cache(model, 1, 5, 5), 0, text, text_len, audio, audio_len)


@torch.inference_mode()
def test_the_table_of_positions_grows() -> None:
    model = tiny(bos="after_prompt")
    long = 2 * len(model.audio_positions.table) + 3
    expected = tiny(bos="none").audio_positions
    expected.reserve(long)
    torch.testing.assert_close(model.audio_positions(long), expected.table[:long])
    torch.testing.assert_close(model.audio_positions.table[:5, 0], torch.arange(5.0).sin())
    torch.testing.assert_close(model.audio_positions.table[:5, 1], torch.arange(5.0).cos())


def test_a_model_can_be_trained_after_inference(model: AR) -> None:
    text, text_len = rows(3, 4, top=20)
    audio, audio_len = rows(6, 5, top=BOS)
    with torch.inference_mode():
        new_cache(model, 1, 4, 5000)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(text, text_len, audio, audio_len)
    logits.float().logsumexp(-1).sum().backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not missing
