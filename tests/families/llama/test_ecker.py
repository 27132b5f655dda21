"""e-c-k-e-r/vall-e: its file is found, its metadata checked, both ways of decoding work, and it speaks at 24 kHz."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from llama_published import FILE, ecker_metadata, write_ecker
from no_large_tensors import NoLargeTensors, check_that_it_notices
from safetensors.torch import load_file, save_file
from torch import Tensor

from vallecli.codec.base import ENCODEC_GRID
from vallecli.codec.encodec import EncodecCodec
from vallecli.codec.select import CodecSpec
from vallecli.codec.vocos import VocosCodec, VocosDecoder
from vallecli.decoding.sampling import Sampling
from vallecli.errors import CheckpointError, DamagedCheckpoint, UnknownFormat, UsageError
from vallecli.families import detect
from vallecli.families.convert import convert
from vallecli.families.llama import ecker_nar
from vallecli.families.llama.ecker import Conditions
from vallecli.families.llama.ecker_backend import EckerBackend, to_frames
from vallecli.families.llama.ecker_nar import MaskedInput, NarInput, guide
from vallecli.synthesizer import Job, Synthesizer

TEXT, PROMPT = torch.arange(1, 12), torch.arange(9 * 8).view(9, 8)
SYMBOLS = {"<unk>": 0, "<bos>": 1, "</eos>": 2, "<mask>": 3, " ": 4}
SYMBOLS |= {letter: 5 + index for index, letter in enumerate("abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌˈˌː.,!?")}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ecker(tmp_path_factory.mktemp("ecker") / "ecker", symbols=SYMBOLS)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"), SYMBOLS)


def write_tokenizer(folder: Path, symbols: dict[str, int]) -> Path:
    """Write a tokenizer.json of phonemes, with one merge."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {**symbols, "ðə": max(symbols.values()) + 1}
    path = folder / "tokenizer.json"
    tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [("ð", "ə")], unk_token="<unk>")).save(str(path))
    return path


def load(path: Path, **options: Any) -> EckerBackend:
    backend = Synthesizer.load(path, device="cpu", options=options).backend
    assert isinstance(backend, EckerBackend)
    return backend


def codes_of(backend: EckerBackend) -> Tensor:
    codes_T = backend.generate_codes(TEXT, PROMPT, "de", frames=12, exclude_eos=True, greedy=True)
    return backend.refine(TEXT, PROMPT, "de", codes_T)


# Files


def test_the_folder_and_the_file_are_the_same_checkpoint(folder: Path) -> None:
    expected = codes_of(load(folder))
    assert torch.equal(codes_of(load(folder / FILE)), expected)
    for path in (folder, folder / FILE):
        description = detect.describe(path)
        assert description.family == "ecker"
        assert description.grid == ENCODEC_GRID
        assert description.languages == ("en", "ja", "de", "fr", "zh", "ko")
        assert description.missing == ("tokenizer.json is missing (option tokenizer=FILE)",)
        assert description.tensors["classifiers.proj.0.weight"] == (1025, 32)


def test_older_files_have_four_languages(tmp_path: Path) -> None:
    backend = load(write_ecker(tmp_path / "v5", version=5, biases=True))
    assert backend.languages == ("en", "ja", "de", "fr")
    with pytest.raises(ValueError, match="language is 'ko'"):
        backend.generate_codes(TEXT, PROMPT, "ko")


def test_languages_change_the_result(folder: Path) -> None:
    backend = load(folder)
    logits = [backend.ar_logits(TEXT, PROMPT, language, []) for language in backend.languages]
    assert all((logits[0] - other).abs().max() > 0.1 for other in logits[1:])


def test_of_several_checkpoints_one_has_to_be_chosen(folder: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    shutil.copy(both / FILE, both / "other.sft")
    with pytest.raises(CheckpointError, match=r"several checkpoints: models/ckpt/.*fp32.sft, other.sft"):
        load(both)
    assert load(both / "other.sft").config == load(folder).config


METADATA: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version 7": (lambda config: config.update(version=7), "version is 7"),
    "no version": (lambda config: config.pop("version"), "version is None"),
    "size": (lambda config: config.update(size="huge"), "size is 'huge'"),
    "layers": (lambda config: config["size"].update(layers=10**12), "layers cannot be"),
    "width": (lambda config: config["size"].update(dim=2**40), "width cannot be"),
    "wider": (lambda config: config["size"].update(dim=8192, heads=64), "instead of"),
    "heads": (lambda config: config["size"].update(heads=3), "3 heads"),
    "no heads": (lambda config: config["size"].pop("heads"), "heads is None"),
    "ratio": (lambda config: config["size"].update(ffn=10**6), "times as wide"),
    "fraction": (lambda config: config["size"].update(ffn=2.5), "ffn is 2.5"),
    "codes": (lambda config: config["size"].update(audio_tokens=2048), "2048 codes"),
    "languages": (lambda config: config.update(langs=5), "5 languages"),
    "retnet": (lambda config: config.update(arch_type="retnet"), "arch_type is 'retnet'"),
    "no experimental": (lambda config: config.pop("experimental"), "experimental"),
    "positions": (lambda config: config["experimental"].pop("unified_position_ids"), "positions"),
    "positions 2": (lambda config: config["experimental"].update(unified_position_ids=2), "unified_positions"),
    "sums": (lambda config: config["experimental"].update(audio_embedding_sums=False), "audio_embedding_sums"),
    "kv heads": (lambda config: config["experimental"].update(kv_heads=2), "kv_heads is 2"),
    "name": (lambda config: config.update(name=5), "name"),
}


@pytest.mark.parametrize("change", METADATA)
def test_other_configurations_are_refused_before_models_are_allocated(tmp_path: Path, change: str) -> None:
    check_that_it_notices()
    config = ecker_metadata()
    METADATA[change][0](config)
    folder = write_ecker(tmp_path / "changed", metadata=config)
    with NoLargeTensors(), pytest.raises(DamagedCheckpoint, match=METADATA[change][1]):
        load(folder)


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        (None, UnknownFormat),
        ({"config": "["}, DamagedCheckpoint),
        ({"config": "[" * 10**5}, DamagedCheckpoint),
        ({"config": "[]"}, DamagedCheckpoint),
        ({"config": json.dumps({"a": 2**21 * "a"})}, DamagedCheckpoint),
        ({"config": json.dumps(ecker_metadata()), "userdata": '{"symmap": {"a": "b"}}'}, DamagedCheckpoint),
        ({"config": json.dumps(ecker_metadata()), "userdata": '{"symmap": []}'}, DamagedCheckpoint),
    ],
)
def test_damaged_metadata_is_refused(
    folder: Path, tmp_path: Path, metadata: dict[str, str] | None, error: type[Exception]
) -> None:
    save_file(load_file(folder / FILE), tmp_path / "damaged.sft", metadata)
    with pytest.raises(error):
        load(tmp_path / "damaged.sft")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sep": None}, "no tensor sep"),
        ({"classifiers.proj.4.weight": torch.zeros(1025, 32)}, "instead of"),
        ({"rvq_l_emb.weight": torch.zeros(7, 32)}, "instead of"),
        ({"model.layers.2.mlp.up_proj.weight": torch.zeros(64, 32)}, "unknown use"),
        ({"text_emb.weight": None}, "text_vocab cannot be 0"),
        ({"langs_emb.weight": torch.zeros(9, 32)}, "languages"),
    ],
)
def test_damaged_tensors_are_refused(
    folder: Path, tmp_path: Path, changes: dict[str, Tensor | None], reason: str
) -> None:
    tensors = {name: tensor for name, tensor in (load_file(folder / FILE) | changes).items() if tensor is not None}
    save_file(tensors, tmp_path / "damaged.sft", {"config": json.dumps(ecker_metadata())})
    with pytest.raises(DamagedCheckpoint, match=reason):
        load(tmp_path / "damaged.sft")


def test_converted_is_the_same(folder: Path, tokenizer: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "out", {"tokenizer": str(tokenizer)})
    assert not detect.describe(tmp_path / "out").missing
    expected, converted = load(folder, tokenizer=str(tokenizer)), load(tmp_path / "out")
    assert torch.equal(codes_of(converted), codes_of(expected))
    assert (converted.name, converted.config) == (expected.name, expected.config)
    assert converted.front_end.encode("the cat") == expected.front_end.encode("the cat")
    convert(tmp_path / "out", tmp_path / "again", {})
    assert (tmp_path / "again" / "config.json").read_bytes() == (tmp_path / "out" / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("field", "value"), [("model", None), ("model", {}), ("codec", {"kind": "nano"}), ("name", 3), ("symbols", [1])]
)
def test_a_damaged_configuration_is_refused(folder: Path, tmp_path: Path, field: str, value: Any) -> None:
    convert(folder, tmp_path / "out", {})
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(DamagedCheckpoint):
        load(tmp_path / "out")


# Decoding


def test_digits_are_read_as_a_number_of_frames() -> None:
    assert to_frames([]) == to_frames([7]) == 75
    assert to_frames([0, 2, 0, 0]) == 210


def test_guidance_of_strength_1_changes_nothing() -> None:
    logits_TV, null_TV = torch.randn(5, 7), torch.randn(5, 7)
    torch.testing.assert_close(guide(logits_TV, null_TV, 1.0, 0.7), logits_TV)
    stronger_TV = guide(logits_TV, null_TV, 3.0, 1.0)
    torch.testing.assert_close(stronger_TV.std(), logits_TV.std())
    assert not torch.allclose(stronger_TV, logits_TV, atol=0.1)


def test_guidance_is_an_option(folder: Path) -> None:
    codes_TQ, guided_TQ = (codes_of(load(folder, **options)) for options in ({}, {"guidance": 3}))
    assert torch.equal(codes_TQ[:, 0], guided_TQ[:, 0])
    assert not torch.equal(codes_TQ, guided_TQ)
    assert torch.equal(codes_of(load(folder, guidance=1)), codes_TQ)
    with pytest.raises(UsageError, match="guidance"):
        load(folder, guidance=-1)


@pytest.mark.parametrize("sampling", [{}, {"greedy": False, "temperature": 1.5}], ids=["greedy", "sampled"])
def test_demasked_rows_of_different_lengths_are_as_alone(folder: Path, sampling: dict[str, Any]) -> None:
    backend, lengths = load(folder), (20, 7, 33, 1)
    alone = [
        backend.demask(TEXT[: 3 + index], PROMPT[: 4 + index], "fr", frames, steps=8, seed=index, **sampling)
        for index, frames in enumerate(lengths)
    ]
    inputs = [
        MaskedInput(
            Conditions(TEXT[: 3 + index], 3, PROMPT[: 4 + index]),
            frames,
            Sampling(**{"greedy": True, **sampling, "seed": index}),
        )
        for index, frames in enumerate(lengths)
    ]
    together = ecker_nar.demask(backend.model, inputs, steps=8)
    for codes_T, expected_T, frames in zip(together, alone, lengths, strict=True):
        assert torch.equal(codes_T, expected_T)
        assert len(codes_T) == frames
        assert int(codes_T.max()) < 1024  # nothing is masked at the end
    assert len(set(map(tuple, (codes_T[:7].tolist() for codes_T in together)))) == len(lengths)


def test_seeds_matter_only_above_temperature_0(folder: Path) -> None:
    backend = load(folder)
    greedy = [backend.demask(TEXT, PROMPT, "en", 20, steps=5, seed=seed).tolist() for seed in (1, 2)]
    sampled = [backend.demask(TEXT, PROMPT, "en", 20, steps=5, seed=seed, greedy=False).tolist() for seed in (1, 1, 2)]
    assert greedy[0] == greedy[1]
    assert sampled[0] == sampled[1] != sampled[2]


def test_a_model_without_durations_decodes_only_by_the_ar(folder: Path, tmp_path: Path) -> None:
    dropped = ("len_emb.weight", "resps_emb.embeddings.8.weight")
    tensors = {name: tensor for name, tensor in load_file(folder / FILE).items() if name not in dropped}
    path = tmp_path / "ar+nar.sft"
    save_file(tensors, path, {"config": json.dumps(ecker_metadata() | {"name": "ar+nar"})})
    assert torch.equal(codes_of(load(path)), codes_of(load(folder)))
    with pytest.raises(UsageError, match="nar-len"):
        load(path, decoding="nar-len")
    for call in (lambda: load(path).frames(TEXT, PROMPT, "en"), lambda: load(path).demask(TEXT, PROMPT, "en", 9)):
        with pytest.raises(ValueError, match="not"):
            call()


def test_refining_uses_the_prompt_and_all_known_codebooks(folder: Path) -> None:
    backend, known = load(folder), Conditions(TEXT, 0, PROMPT)
    codes_TQ = ecker_nar.refine(backend.model, [NarInput(known, torch.arange(10))])[0]
    with torch.inference_mode():
        for level in (2, 7):
            [logits_TV] = backend.model.nar_logits([(known, codes_TQ[:, :level])], level)
            changed_TQ = codes_TQ[:, :level].clone()
            changed_TQ[5, level - 1] += 1
            prompt_PQ = PROMPT.clone()
            prompt_PQ[0, level - 1] += 1
            for conditions, response_TQ in (
                (known, changed_TQ),
                (replace(known, prompt_PQ=prompt_PQ), codes_TQ[:, :level]),
            ):
                [other_TV] = backend.model.nar_logits([(conditions, response_TQ)], level)
                assert (other_TV - logits_TV).abs().max() > 0.01
            prompt_PQ = PROMPT.clone()
            prompt_PQ[0, level:] += 1  # codebooks that this level does not see
            [same_TV] = backend.model.nar_logits([(replace(known, prompt_PQ=prompt_PQ), codes_TQ[:, :level])], level)
            assert torch.equal(same_TV, logits_TV)


# Speech


@pytest.fixture
def speaking(folder: Path, tokenizer: Path) -> Callable[..., Synthesizer]:
    """Load the checkpoint with a random codec."""

    def load_with_codec(**options: Any) -> Synthesizer:
        backend = load(folder, tokenizer=str(tokenizer), **options)
        backend._codec = CodecSpec(
            grid=ENCODEC_GRID, load=lambda: VocosCodec(EncodecCodec.random(0), VocosDecoder().eval())
        )
        return Synthesizer(backend)

    return load_with_codec


@pytest.mark.parametrize("decoding", ["ar", "nar-len"])
def test_it_speaks_at_24_khz_in_batches_as_alone(
    speaking: Callable[..., Synthesizer], reference: Path, decoding: str
) -> None:
    pytest.importorskip("phonemizer")
    synthesizer = speaking(decoding=decoding)
    voice = synthesizer.voice(reference)
    assert len(voice.codes_PQ) <= 225
    sampling = replace(synthesizer.sampling, max_frames=25)
    texts = ["One two three. Four five!", "Six.", "Seven eight nine ten eleven twelve."]
    frames: dict[str, int] = {}
    jobs = [Job(key=text, text=text, voice=voice, sampling=sampling, language="en") for text in texts]
    together = {result.job.key: result for result in synthesizer.speak_many(jobs, slots=3)}
    for text in texts:
        alone = list(
            synthesizer.speak(
                text,
                voice,
                sampling,
                language="en",
                on_progress=lambda index, count, seconds, text=text: frames.update({f"{text} {index}": seconds}),
            )
        )
        assert together[text].error is None
        for piece, expected in zip(together[text].pieces, alone, strict=True):
            assert piece.sample_rate == 24_000
            assert (piece.codes_TQ == expected.codes_TQ).all()
            assert piece.frames <= 25
            assert len(piece.audio) >= 320 * piece.frames
    assert len(frames) == 4


def test_an_error_of_one_request_does_not_stop_the_others(
    speaking: Callable[..., Synthesizer], reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("phonemizer")
    synthesizer = speaking(decoding="nar-len")
    backend = synthesizer.backend
    monkeypatch.setattr(backend, "group", lambda slots: slots)
    voice = synthesizer.voice(reference)
    broken = replace(voice, codes_PQ=voice.codes_PQ[:0], source="an empty recording")
    sampling = replace(synthesizer.sampling, max_frames=10)
    jobs = [
        Job(key=index, text="One.", voice=broken if index == 1 else voice, sampling=sampling, language="en")
        for index in range(3)
    ]
    results = {result.job.key: result for result in synthesizer.speak_many(jobs, slots=3)}
    assert [results[index].error is None for index in range(3)] == [True, False, True]
    assert "an empty recording has no frames" in str(results[1].error)


def test_speaking_needs_the_tokenizer_and_says_so(folder: Path) -> None:
    backend = load(folder)
    assert codes_of(backend).shape == (12, 8)  # token ids do not need it
    with pytest.raises(CheckpointError, match=r"tokenizer.json, which is missing") as caught:
        _ = backend.front_end
    assert "tokenizer=FILE" in caught.value.hint


def test_a_tokenizer_beside_the_weights_is_found(folder: Path, tokenizer: Path, tmp_path: Path) -> None:
    for place in (Path(FILE).parent, Path()):
        copy = tmp_path / f"copy{len(place.parts)}"
        shutil.copytree(folder, copy)
        shutil.copy(tokenizer, copy / place)
        assert not detect.describe(copy).missing
        assert load(copy).front_end.languages == load(copy).languages


def test_the_tokenizer_of_another_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    other = dict(SYMBOLS)
    other["a"], other["b"] = other["b"], other["a"]
    with pytest.raises(CheckpointError, match=r"another checkpoint: 'a' is 6 and not 5, and 1 more"):
        _ = load(folder, tokenizer=str(write_tokenizer(tmp_path, other))).front_end
    with pytest.raises(CheckpointError, match="ids up to 256, and the model has 256"):
        _ = load(folder, tokenizer=str(write_tokenizer(tmp_path, {**SYMBOLS, "x": 255}))).front_end
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    with pytest.raises(CheckpointError, match=r"not a tokenizer.json"):
        _ = load(folder, tokenizer=str(damaged)).front_end
    with pytest.raises(CheckpointError, match="does not exist"):
        load(folder, tokenizer=str(tmp_path / "missing.json"))
