"""checkpoints.toml: the packaged entries are complete, the user's file is read, errors name the entry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hub_server import write_registry

from vallecli.checkpoints import local, lookup, registry
from vallecli.checkpoints.spec import UNSTATED, CheckpointSpec
from vallecli.errors import MissingCheckpoint, RegistryError, UnknownCheckpoint
from vallecli.families.catalog import FAMILIES
from vallecli.settings import config_folder

ROOT = Path(__file__).parents[2]
SOURCE = {"repo": "someone/tiny", "files": [{"path": "tiny.pt"}]}


def test_the_packaged_file_has_the_published_checkpoints_and_what_they_need() -> None:
    specs = registry.load()
    assert {spec.name for spec in specs.values() if spec.kind == "model"} == {
        "vallex",
        "valle-libritts",
        "valle-librilight-6k",
        "valle-libritts-icefall",
        "amphion-v2",
        "ecker",
    }
    assert {need for spec in specs.values() for need in spec.needs} == {"encodec-24khz", "vocos-encodec-24khz"}


@pytest.mark.parametrize("spec", registry.load([ROOT / "checkpoints.toml"]).values(), ids=lambda spec: spec.name)
def test_every_entry_has_the_origin_of_its_facts_and_pinned_revisions(spec: CheckpointSpec) -> None:
    assert {"sources", "quality"} <= spec.facts.keys()
    assert spec.licence is not None
    assert "licence" in spec.facts
    if spec.kind == "model":
        assert spec.languages
        assert spec.front_end
        assert spec.family in {family.name for family in FAMILIES}
    for source in spec.sources:
        assert source.revision == "main" or re.fullmatch("[0-9a-f]{40}", source.revision)


def test_licences_of_the_packaged_entries() -> None:
    licences = {spec.name: spec.licence for spec in registry.load().values()}
    assert licences["amphion-v2"] == licences["speechtokenizer"] == UNSTATED
    assert licences["ecker"] == "AGPL-3.0"
    assert licences["vallex"] == "MIT"


def test_the_wheel_has_the_file_where_the_package_looks_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inside = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["checkpoints.toml"]
    assert Path(registry.__file__).parents[2] / inside == registry.PACKAGED


def test_entries_of_the_user_replace_packaged_ones() -> None:
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
        ({"sources": [SOURCE], "codec": "encodek"}, "'encodek', which has no entry"),
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
def test_an_error_names_the_file_and_the_entry(tmp_path: Path, entry: dict, said: str) -> None:
    path = tmp_path / "invalid.toml"
    write_registry(path, {"tiny": entry})
    with pytest.raises(RegistryError) as caught:
        registry.load([path])
    assert str(path) in caught.value.message
    assert "'tiny'" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["[tiny", "tiny = 3", "[nano]\nkind = 'model'", "['a/b']\nkind = 'model'"])
def test_an_unreadable_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=re.escape(str(path))):
        registry.load([path])


# find


def test_built_in_checkpoints_do_not_need_a_readable_registry(tmp_path: Path) -> None:
    config_folder().mkdir(parents=True)
    (config_folder() / "checkpoints.toml").write_text("[broken")
    assert lookup.find("nano").name == "nano"


def test_files_and_folders_are_found_by_their_paths(tmp_path: Path) -> None:
    file = tmp_path / "some.pt"
    file.write_bytes(b"weights")
    assert lookup.find(str(file)) == file
    assert lookup.find(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(("name", "near"), [("valex", "vallex"), ("nanoo", "nano"), ("encodec", "encodec-24khz")])
def test_an_unknown_name_gets_a_similar_one(name: str, near: str) -> None:
    with pytest.raises(UnknownCheckpoint) as caught:
        lookup.find(name)
    assert caught.value.hint == f"Did you mean {near}?"


def test_a_missing_checkpoint_gives_the_command_that_downloads_it() -> None:
    with pytest.raises(MissingCheckpoint) as caught:
        lookup.find("vallex")
    assert caught.value.hint == "valle checkpoints pull vallex"
    with pytest.raises(MissingCheckpoint, match="vallex") as caught:
        lookup.find("vallex", offline=True)
    assert "valle checkpoints add FILE --as vallex" in caught.value.hint


def test_the_weights_of_every_codec_have_an_entry() -> None:
    for kind, name in lookup.CODECS.items():
        assert registry.get(name).family == kind
        with pytest.raises(MissingCheckpoint, match=name):
            lookup.codec_weights(kind)


def test_the_weights_of_a_codec_are_a_file_even_if_it_has_several() -> None:
    def fill(stage: Path) -> None:
        for file in registry.get("speechtokenizer").sources[0].files:
            (stage / file.path).parent.mkdir(exist_ok=True)
            (stage / file.path).write_text("{}")

    root = local.install("speechtokenizer", "here", fill).path
    assert root.is_dir()
    assert lookup.codec_weights("speechtokenizer") == root / "speechtokenizer_hubert_avg" / "SpeechTokenizer.pt"
