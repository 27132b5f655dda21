"""Computations on token ids, for comparison with other implementations; the codec of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vallecli.checkpoints.modules import state_to_store
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.errors import MissingCheckpoint, UsageError
from vallecli.families.causal import Limits
from vallecli.families.valle import native
from vallecli.families.valle.ar import AR
from vallecli.families.valle.backend import ValleBackend
from vallecli.families.valle.checkpoint import Checkpoint
from vallecli.families.valle.config import ModelConfig
from vallecli.families.valle.nar import NAR
from vallecli.synthesizer import Synthesizer

SIZES = {"d_model": 32, "n_heads": 2, "n_layers": 2, "nar_d_model": 32, "nar_n_heads": 2, "nar_n_layers": 1}
TEXT = [3, 1, 4, 1, 5, 9, 2, 6]
PROMPT = np.arange(5 * 8).reshape(5, 8)
LAYOUTS: dict[str, dict[str, Any]] = {
    "vallex": {"n_languages": 3, "bos": "start"},
    "lifeiteng": {"prefix_mode": 4, "stop": "argmax"},
    "vallf": {"prefix_mode": 0, "stop": "argmax", "cross_attention": True},
}


def make(folder: Path, *, kind: str = "vocos", front_end: str = "vallex-1", **options: Any) -> Path:
    """Write a small random checkpoint without the weights of its codec."""
    config = ModelConfig(text_vocab=20, **SIZES, **options)
    torch.manual_seed(0)
    tensors = {}
    for name, model in (("ar", AR(config)), ("nar", NAR(config))):
        tensors |= {f"{name}.{key}": tensor for key, tensor in state_to_store(model).items()}
    checkpoint = Checkpoint(
        name="small",
        path=folder,
        model=config,
        tensors=tensors,
        front_end=front_end,
        codec={"kind": kind},
        limits=Limits(max_prompt_frames=750, max_text_chars=110),
    )
    native.save(folder, checkpoint)
    return folder


def load(folder: Path, **options: Any) -> ValleBackend:
    backend = Synthesizer.load(folder, device="cpu", **options).backend
    assert isinstance(backend, ValleBackend)
    return backend


@pytest.fixture(params=LAYOUTS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> ValleBackend:
    return load(make(tmp_path / "small", **LAYOUTS[request.param]))


def languages(model: ValleBackend) -> dict[str, list[int]]:
    return {"languages": [0, 0, 0, 1, 1, 2, 2, 2]} if model.config.n_languages else {}


def test_codes_decoded_with_the_cache_are_the_argmax_of_the_logits_without(model: ValleBackend) -> None:
    extra = languages(model)
    codes = model.generate_codes(TEXT, PROMPT, frames=12, exclude_eos=True, greedy=True, **extra)
    assert (codes.shape, codes.dtype) == ((12,), torch.int64)
    logits = model.ar_logits(TEXT, PROMPT, codes, **extra)
    assert (logits.shape, logits.dtype) == ((13, 1025), torch.float32)
    assert torch.equal(logits[:-1, :1024].argmax(-1), codes)
    shorter = model.ar_logits(TEXT, PROMPT, codes[:5], **extra)
    torch.testing.assert_close(shorter, logits[:6], rtol=1e-4, atol=1e-4)


def test_refined_codes_are_the_argmax_of_the_logits(model: ValleBackend) -> None:
    extra = languages(model)
    given: dict[str, Any] = {**extra, "prompt_tokens": 3}
    codes = model.refine(TEXT, PROMPT, [7, 8, 9, 10], **given)
    assert (codes.shape, codes.dtype) == ((4, 8), torch.int64)
    assert codes[:, 0].tolist() == [7, 8, 9, 10]
    logits = model.nar_logits(TEXT, PROMPT, codes, **given)
    assert (logits.shape, logits.dtype) == ((7, 4, 1024), torch.float32)
    assert torch.equal(logits.argmax(-1).T, codes[:, 1:])
    whole = model.nar_logits(TEXT, PROMPT, codes, **extra)
    assert torch.equal(whole, logits) == (model.config.prefix_mode != 4)  # only mode 4 drops tokens of the prompt


def test_ids_may_be_lists_arrays_or_tensors(model: ValleBackend) -> None:
    extra = languages(model)
    logits = [
        model.ar_logits(text, prompt, codes, **extra)
        for text, prompt, codes in (
            (TEXT, PROMPT.tolist(), [1, 2]),
            (np.array(TEXT, np.int32), PROMPT.astype(np.int16), np.array([1, 2], np.uint8)),
            (torch.tensor(TEXT), torch.from_numpy(PROMPT), torch.tensor([1, 2])),
        )
    ]
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])


def test_sampling_parameters(model: ValleBackend) -> None:
    extra = languages(model)

    def draw(**sampling: Any) -> list[int]:
        return model.generate_codes(TEXT, PROMPT, frames=20, **extra, **sampling).tolist()

    assert draw(seed=1) == draw(seed=1) != draw(seed=2)
    assert draw(seed=1, top_k=1, exclude_eos=True) == draw(greedy=True, exclude_eos=True)
    with pytest.raises(TypeError, match="warmth"):
        draw(warmth=3)
    assert len(model.generate_codes(TEXT[:1] * 8, PROMPT, exclude_eos=True, **extra)) in (16 * 8, 16 * 8 + 1)


def test_prompt_and_codes_may_be_empty(tmp_path: Path) -> None:
    with_bos = load(make(tmp_path / "vallex", **LAYOUTS["vallex"]))
    extra = languages(with_bos)
    codes = with_bos.generate_codes(TEXT, [], frames=3, exclude_eos=True, **extra)
    assert with_bos.refine(TEXT, [], codes, **extra).shape == (3, 8)
    assert with_bos.ar_logits(TEXT, [], [], **extra).shape == (1, 1025)
    assert with_bos.refine(TEXT, PROMPT, [], **extra).shape == (0, 8)
    without = load(make(tmp_path / "lifeiteng", **LAYOUTS["lifeiteng"]))
    for call in (lambda: without.generate_codes(TEXT, [], frames=3), lambda: without.ar_logits(TEXT, [], [1])):
        with pytest.raises(ValueError, match="needs a prompt"):
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": []}, "text has no ids"),
        ({"text": [20] * 8}, "text has ids outside 0 to 19"),
        ({"text": [TEXT]}, r"text is \(1, 8\), it must be \(L,\)"),
        ({"text": [0.5] * 8}, "text is float32"),
        ({"prompt_codes": PROMPT[:, :7]}, r"prompt_codes is \(5, 7\), it must be \(L, 8\)"),
        ({"prompt_codes": PROMPT + 1000}, "prompt_codes has ids outside 0 to 1023"),
        ({"codes": [1024]}, "codes has ids outside 0 to 1023"),
        ({"codes": [-1]}, "codes has ids outside"),
        ({"languages": None}, "has 3 language embeddings"),
        ({"languages": [0]}, "8 text ids and 1 languages"),
        ({"languages": [3] * 8}, "languages has ids outside 0 to 2"),
    ],
)
def test_impossible_arguments(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    model = load(make(tmp_path / "small", **LAYOUTS["vallex"]))
    given = {"text": TEXT, "prompt_codes": PROMPT, "codes": [1, 2], **languages(model), **change}
    for call in (model.ar_logits, model.refine):
        with pytest.raises(ValueError, match=message):
            call(**given)


# Codec


def test_only_voices_and_audio_need_a_codec(model: ValleBackend, reference: Path) -> None:
    with pytest.raises(MissingCheckpoint) as caught:
        Synthesizer(model).voice(reference, "What I said.")
    assert caught.value.hint == "valle checkpoints pull encodec-24khz"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files with random weights of both codecs, in the published layout."""
    folder = tmp_path_factory.mktemp("codecs")
    torch.save(EncodecCodec.random(0).model.state_dict(), folder / "encodec.th")
    torch.manual_seed(0)
    torch.save(VocosDecoder().state_dict(), folder / "vocos.bin")
    return {"encodec": folder / "encodec.th", "vocos": folder / "vocos.bin"}


@pytest.mark.parametrize("kind", ["encodec", "vocos"])
@pytest.mark.parametrize("decoder", ["encodec", "vocos", None])
def test_codes_of_encodec_can_be_decoded_by_either_decoder(
    tmp_path: Path, weights: dict[str, Path], kind: str, decoder: str | None
) -> None:
    folder = make(tmp_path / "small", kind=kind, **LAYOUTS["lifeiteng"])
    requested: list[str] = []

    def find(kind: str) -> Path:
        requested.append(kind)
        return weights[kind]

    model = load(folder, decoder=decoder, codec_weights=find)
    assert not requested
    chosen = decoder or kind
    assert isinstance(model.codec, VocosCodec if chosen == "vocos" else EncodecCodec)
    assert model.codec is model.codec
    assert requested == (["encodec", "vocos"] if chosen == "vocos" else ["encodec"])
    codes_BTQ = model.codec.encode(0.1 * torch.randn(1, 3_200, generator=torch.Generator().manual_seed(0)))
    assert codes_BTQ.shape == (1, 10, 8)
    assert model.codec.decode(codes_BTQ).shape == (1, 3_200)


def test_a_decoder_of_other_codes_is_refused(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="'vocos'"):
        Synthesizer.load(tiny_checkpoint, device="cpu", decoder="vocos")
    with pytest.raises(UsageError) as caught:
        Synthesizer.load(make(tmp_path / "small"), device="cpu", decoder="mp3")
    assert "encodec, vocos" in caught.value.hint
