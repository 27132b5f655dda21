"""checkpoints.toml: what ships is complete, the user's own is read, mistakes are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hub_server import write_registry

from vallecli.checkpoints import registry
from vallecli.errors import MissingCheckpoint, RegistryError, UnknownCheckpoint
from vallecli.settings import config_folder

ROOT = Path(__file__).parents[2]
SOURCE = {"repo": "someone/tiny", "files": [{"path": "tiny.pt"}]}


def test_what_ships_has_the_published_checkpoints_and_what_they_need() -> None:
    specs = registry.load()
    assert {spec.name for spec in specs.values() if spec.kind == "model"} == {
        "vallex",
        "valle-libritts",
        "valle-librilight-6k",
    }
    assert {need for spec in specs.values() for need in spec.needs} == {"encodec-24khz", "vocos-encodec-24khz"}


@pytest.mark.parametrize("spec", registry.load([ROOT / "checkpoints.toml"]).values(), ids=lambda spec: spec.name)
def test_every_entry_says_where_it_is_from_and_pins_what_is_known(spec: registry.CheckpointSpec) -> None:
    assert {"sources", "quality"} <= spec.facts.keys()
    assert spec.kind != "model" or (spec.languages and spec.front_end and spec.licence)
    for source in spec.sources:
        assert source.revision == "main" or re.fullmatch("[0-9a-f]{40}", source.revision)
        assert source.url or source.repo


def test_the_wheel_has_the_file_where_the_package_looks_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inside = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["checkpoints.toml"]
    assert Path(registry.__file__).parents[2] / inside == registry.PACKAGED


def test_entries_of_the_user_come_on_top() -> None:
    mine = {"mine": {"sources": [SOURCE]}, "vallex": {"sources": [SOURCE], "licence": "mine"}}
    write_registry(config_folder() / "checkpoints.toml", mine)
    specs = registry.load()
    assert specs["mine"].sources[0].repo == "someone/tiny"
    assert specs["vallex"].licence == "mine"
    assert "encodec-24khz" in specs


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"sources": []}, "no sources"),
        ({}, "no sources"),
        ({"sources": [SOURCE], "kind": "toy"}, "'toy' is not one of model"),
        ({"sources": [SOURCE], "licance": "MIT"}, "Did you mean licence?"),
        ({"sources": [SOURCE], "languages": "en"}, "languages is 'en'"),
        ({"sources": [SOURCE], "languages": [1]}, "languages is [1]"),
        ({"sources": [SOURCE], "codec": "encodek"}, "'encodek', which is no entry"),
        ({"sources": [SOURCE | {"url": "https://example.org/a"}]}, "either a repo or a url"),
        ({"sources": [{"files": [{"path": "a"}]}]}, "either a repo or a url"),
        ({"sources": [{"repo": "tiny", "files": [{"path": "a"}]}]}, "owner/name"),
        ({"sources": [{"url": "file:///etc/passwd", "files": [{"path": "a"}]}]}, "web address"),
        ({"sources": [SOURCE | {"repo_type": "app"}]}, "'app' is not one of model"),
        ({"sources": [SOURCE | {"files": []}]}, "at least one file"),
        ({"sources": [{"repo": "someone/tiny"}]}, "no files"),
        ({"sources": ["someone/tiny"]}, "a source is a table"),
        ({"sources": [{"url": "https://example.org", "files": [{"path": "a"}, {"path": "b"}]}]}, "exactly one"),
        ({"sources": [SOURCE | {"files": [{"path": "../a"}]}]}, "does not stay in its folder"),
        ({"sources": [SOURCE | {"files": [{"path": "/a"}]}]}, "does not stay in its folder"),
        ({"sources": [SOURCE | {"files": [{"path": "a", "size": 0}]}]}, "not above 0"),
        ({"sources": [SOURCE | {"files": [{"path": "a", "size": True}]}]}, "size is True"),
        ({"sources": [SOURCE | {"files": [{"path": "a", "sha256": "ABC"}]}]}, "not 64 hexadecimal"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_entry(tmp_path: Path, entry: dict, said: str) -> None:
    path = tmp_path / "mistaken.toml"
    write_registry(path, {"tiny": entry})
    with pytest.raises(RegistryError) as caught:
        registry.load([path])
    assert str(path) in caught.value.message
    assert "'tiny'" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["[tiny", "tiny = 3", "[nano]\nkind = 'model'", "['a/b']\nkind = 'model'"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=re.escape(str(path))):
        registry.load([path])


# find


def test_what_is_built_in_is_found_whatever_the_user_wrote(tmp_path: Path) -> None:
    config_folder().mkdir(parents=True)
    (config_folder() / "checkpoints.toml").write_text("[broken")
    assert registry.find("nano").name == "nano"


def test_files_and_folders_are_found_by_their_paths(tmp_path: Path) -> None:
    file = tmp_path / "some.pt"
    file.write_bytes(b"weights")
    assert registry.find(str(file)) == file
    assert registry.find(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(("name", "near"), [("valex", "vallex"), ("nanoo", "nano"), ("encodec", "encodec-24khz")])
def test_a_mistyped_name_gets_the_nearest_of_all(name: str, near: str) -> None:
    with pytest.raises(UnknownCheckpoint) as caught:
        registry.find(name)
    assert caught.value.hint == f"Did you mean {near}?"


def test_a_known_name_that_is_absent_gives_the_command_to_type() -> None:
    with pytest.raises(MissingCheckpoint) as caught:
        registry.find("vallex")
    assert caught.value.hint == "valle checkpoints pull vallex"
    with pytest.raises(MissingCheckpoint, match="vallex") as caught:
        registry.find("vallex", offline=True)
    assert "valle checkpoints add FILE --as vallex" in caught.value.hint


def test_the_weights_of_every_codec_have_an_entry(tmp_path: Path) -> None:
    for kind, name in registry.CODECS.items():
        assert registry.get(name).family == kind
        with pytest.raises(MissingCheckpoint, match=name):
            registry.codec_weights(kind)
