"""The family of a checkpoint is found by its contents; files and folders of no known family are refused with a hint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from published import write_amphion, write_lifeiteng, write_vallex
from safetensors.torch import save_file

from vallecli.errors import DamagedCheckpoint, UnknownFormat, UsageError
from vallecli.families.catalog import FAMILIES
from vallecli.families.convert import convert
from vallecli.families.detect import describe, detect
from vallecli.families.valle.checkpoint import build
from vallecli.families.valle.read import read_checkpoint
from vallecli.synthesizer import Synthesizer

MAKERS = {"vallex": write_vallex, "lifeiteng": write_lifeiteng, "amphion-v1": write_amphion}


@pytest.mark.parametrize("family", MAKERS)
def test_the_family_does_not_depend_on_the_name_of_the_file(tmp_path: Path, family: str) -> None:
    path = MAKERS[family](tmp_path / "weights of mine")
    described = describe(path)
    checkpoint = read_checkpoint(path)
    assert described.family == family
    assert described.config["front_end"] == checkpoint.front_end
    assert {name: described.config[name] for name in checkpoint.model.to_dict()} == checkpoint.model.to_dict()
    assert described.tensors["nar_predict_layers.6.weight"] == (1024, 16)
    build(checkpoint)


def test_valles_own_format_is_found_by_folder_or_by_either_file(tiny_checkpoint: Path) -> None:
    for path in (tiny_checkpoint, tiny_checkpoint / "config.json", tiny_checkpoint / "model.safetensors"):
        assert describe(path).family == "native"
        assert describe(path).missing == ()
        assert read_checkpoint(path).path == tiny_checkpoint


def test_describing_reads_no_values(tmp_path: Path) -> None:
    path = write_vallex(tmp_path / "big.pt")
    whole = bytearray(path.read_bytes())
    begin = whole.index(b"/data/0") + 64
    whole[begin + 100] ^= 0xFF  # a value: reading it finds a wrong checksum
    path.write_bytes(whole)
    assert describe(path).family == "vallex"
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "option heads is 0"),
        ({"prefix_mode": 3}, "option prefix_mode is 3"),
        ({"depth": 3}, "no option 'depth'"),
    ],
)
def test_options_that_no_model_has(tmp_path: Path, options: dict[str, int], message: str) -> None:
    path = write_lifeiteng(tmp_path / "epoch-1.pt")
    with pytest.raises(UsageError, match=message):
        read_checkpoint(path, **options)
    with pytest.raises(UsageError, match=message):
        Synthesizer.load(path, device="cpu", options=options)


# Files and folders of no known family


def folder(**files: bytes | str) -> Callable[[Path], None]:
    """Return a function that writes a folder with these files; __ in a name is a dot."""

    def write(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (path / name.replace("__", ".")).write_bytes(data)

    return write


def transformers_folder(path: Path) -> None:
    """A model of the transformers library, whose configuration has the same name as that of valle's own format."""
    folder(config__json='{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')(path)
    save_file({"lm_head.weight": torch.ones(2, 2)}, path / "model.safetensors")


UNKNOWN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("Dear diary"), "begins with b'Dear diary'"),
    "git lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
    "another model": (
        lambda path: torch.save({f"lstm.{i}.weight": torch.ones(2) for i in range(9)}, path),
        r"9 tensors, such as lstm\.0\.weight, lstm\.1\.weight, lstm\.2\.weight and 6 more",
    ),
    "a list": (lambda path: torch.save([1, 2], path), "no tensors by name"),
    "safetensors": (lambda path: save_file({"w": torch.ones(2)}, path), "1 tensors, such as w"),
    "a folder": (folder(a__wav="", b__wav="", c__wav="", d__txt=""), r"it has a\.wav, b\.wav, c\.wav and 1 more"),
    "a folder with other weights": (folder(optimizer__bin="", a__wav=""), r"it has optimizer\.bin$"),
    "a folder with weights of another model": (
        lambda path: (path.mkdir(), torch.save({"w": torch.ones(1)}, path / "w.pt")),
        r"it has w\.pt$",
    ),
    "an empty folder": (lambda path: path.mkdir(), "it is empty"),
    "a folder with a configuration": (folder(config__json='{"model_type": "bert"}'), r"it has config\.json$"),
    "a folder with a configuration of a newer format": (folder(config__json='{"format": "vallecli-9"}'), "config.json"),
    "a folder with a configuration of an unknown family": (
        folder(config__json='{"format": "vallecli-1", "family": "none"}'),
        r"config\.json",
    ),
    "a model of the transformers library": (transformers_folder, r"it has model\.safetensors$"),
}


def assert_unknown(path: Path, message: str) -> None:
    """Check that whatever reads a checkpoint refuses this path with the same message, and says what to give instead."""
    looks: list[Callable[[Path], object]] = [
        describe,
        lambda path: detect(path, verify=True),
        lambda path: Synthesizer.load(path, device="cpu"),
        lambda path: convert(path, path.with_name("out"), {}),
    ]
    for look in looks:
        with pytest.raises(UnknownFormat, match=message) as caught:
            look(path)
        assert caught.value.hint
        assert str(path) in caught.value.message


@pytest.mark.parametrize("kind", UNKNOWN)
def test_the_error_of_an_unknown_checkpoint_says_what_was_found(tmp_path: Path, kind: str) -> None:
    write, message = UNKNOWN[kind]
    write(tmp_path / "unknown")
    assert_unknown(tmp_path / "unknown", message)
    assert not (tmp_path / "out").exists()


def test_a_file_in_a_folder_of_no_known_family_gets_the_same_error(tmp_path: Path) -> None:
    transformers_folder(tmp_path / "bert")
    assert_unknown(tmp_path / "bert", r"it has model\.safetensors$")
    assert_unknown(tmp_path / "bert" / "model.safetensors", r"it has 1 tensors, such as lm_head\.weight$")


def test_a_folder_may_be_given_by_its_configuration(tmp_path: Path) -> None:
    transformers_folder(tmp_path / "bert")
    with pytest.raises(UnknownFormat, match=r"it has model\.safetensors$"):
        describe(tmp_path / "bert" / "config.json")
    write_amphion(tmp_path / "amphion")
    assert describe(tmp_path / "amphion" / "args.json").family == "amphion-v1"


def test_the_error_of_an_unknown_checkpoint_names_all_families(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(UnknownFormat) as caught:
        describe(tmp_path / "w.pt")
    assert all(family.name in caught.value.hint for family in FAMILIES)
    with pytest.raises(DamagedCheckpoint, match="does not exist"):
        describe(tmp_path / "gone.pt")
