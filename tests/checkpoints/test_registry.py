"""checkpoints.toml: the packaged entries are complete, the user's file is read, errors name the entry."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from hub_server import write_registry

from vallecli.checkpoints import local, lookup, registry
from vallecli.checkpoints.spec import UNSTATED, CheckpointSpec, File, Source
from vallecli.errors import MissingCheckpoint, RegistryError, UnknownCheckpoint
from vallecli.families.catalog import FAMILIES
from vallecli.settings import config_folder

ROOT = Path(__file__).parents[2]
SOURCE = {"repo": "someone/tiny", "files": [{"path": "tiny.pt"}]}


def test_the_packaged_file_has_the_published_checkpoints_and_what_they_need() -> None:
    specs = registry.load().specs
    assert {spec.name for spec in specs.values() if spec.kind == "model"} == {
        "vallex",
        "valle-libritts",
        "valle-librilight-6k",
        "valle-libritts-icefall",
        "amphion-v2",
        "ecker",
        "bark",
        "bark-small",
    }
    assert {need for spec in specs.values() for need in spec.needs} == {"encodec-24khz", "vocos-encodec-24khz"}


@pytest.mark.parametrize("spec", registry.load([ROOT / "checkpoints.toml"]).specs.values(), ids=lambda spec: spec.name)
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
    licences = {spec.name: spec.licence for spec in registry.load().specs.values()}
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
    specs = registry.load().specs
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
        ({"sources": [SOURCE | {"files": [{"path": "a", "about": 10**400}]}]}, "not above 0"),
        ({"sources": [SOURCE | {"revision": "/home"}]}, "not a commit"),
        ({"sources": [SOURCE | {"files": [{"path": "a", "size": True}]}]}, "size is True"),
        ({"sources": [SOURCE | {"files": [{"path": "a", "sha256": "ABC"}]}]}, "not 64 hexadecimal"),
    ],
)
def test_an_error_names_the_file_and_the_entry(tmp_path: Path, entry: dict, said: str) -> None:
    path = tmp_path / "invalid.toml"
    write_registry(path, {"tiny": entry})
    entries = registry.load([path])
    assert entries.specs == {}
    with pytest.raises(RegistryError) as caught:
        entries.get("tiny")
    assert str(path) in caught.value.message
    assert "'tiny'" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["tiny = 3", "[nano]\nkind = 'model'", "['a/b']\nkind = 'model'", "['']\na = 1"])
def test_an_invalid_entry_is_an_error_of_that_entry_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    write_registry(path, {"good": {"sources": [SOURCE]}})
    path.write_text(f"{text}\n{path.read_text()}")
    entries = registry.load([path])
    assert list(entries.specs) == ["good"]
    with pytest.raises(RegistryError, match=re.escape(str(path))):
        entries.check()


def test_an_invalid_entry_of_the_user_hides_the_packaged_one() -> None:
    write_registry(config_folder() / "checkpoints.toml", {"vallex": {"sources": []}})
    with pytest.raises(RegistryError, match="'vallex'"):
        registry.get("vallex")
    with pytest.raises(RegistryError, match="'vallex'"):
        lookup.find("vallex")
    assert registry.get("ecker").family == "ecker"


DEEP = 100_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tiny", "it cannot be read"),
        (f"a = {'[' * DEEP}{']' * DEEP}", "nested too deeply"),
        (f"a = {'{a=' * 50_000}1{'}' * 50_000}", "nested too deeply"),
        (f"{'.'.join('a' * DEEP)} = 1", "dots"),
        (f"[{'.'.join('a' * DEEP)}]", "dots"),
        (f"a = {'9' * DEEP}", "it cannot be read"),
        ("a = 1\n" * DEEP, "larger than"),
        ("a = '\ud800'", "it cannot be read"),
        ("a\x00 = 1", "it cannot be read"),
    ],
)
def test_an_unreadable_file_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RegistryError, match=re.escape(str(path))) as caught:
        registry.load([path])
    assert said in caught.value.message.lower()
    assert len(caught.value.message) < 1000
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("what", ["fifo", "folder", "loop", "unreadable", "below a file"])
def test_a_registry_that_is_no_readable_file_is_refused_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = config_folder() / "checkpoints.toml"
    path.parent.mkdir(parents=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path)
    elif what == "unreadable":
        stat = Path.stat

        def denied(self: Path, **options: bool) -> os.stat_result:
            if self == path:
                raise PermissionError(13, "Permission denied", str(path))
            return stat(self, **options)

        monkeypatch.setattr(Path, "stat", denied)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
        assert "vallex" in registry.load().specs
        return
    with pytest.raises(RegistryError, match="it cannot be read"):
        registry.load()
    assert lookup.find("nano").name == "nano"


HOSTILE_PATHS = [
    *("..", "a/../../b", "/etc/passwd", "./a", "a//b", "a/", "", "a\\b", "C:a", "C:/a", "a:stream", "a\x00b", "a\nb"),
    *("a\x1b[2J", "a\u202eb", "x" * 300, "a/" * 600 + "b", "con", "a/NUL.pt", "lpt1.bin", "a.", "a /b", "a?", "a|b"),
    *("manifest.json", "Manifest.JSON"),
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_paths_that_are_not_below_their_folder_everywhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path") as caught:
        File(path=path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "revision",
    [
        *("/home/user", "..", "../..", "a/../b", "a/..", "a//b", "/", "", "a b", ".git", "a/.b", "-x", "a\\b", "a\x00"),
        *("x" * 300, "main\n", "refs/heads/main/", "C:main", "~/a", "a@{1}", "é"),
    ],
)
def test_revisions_that_are_no_names_are_refused(revision: str) -> None:
    with pytest.raises(ValueError, match="revision"):
        Source(repo="a/b", revision=revision, files=(File(path="a.pt"),))


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/5", "feature/x_y-z", "0" * 40])
def test_commits_branches_and_tags_are_accepted(revision: str) -> None:
    assert Source(repo="a/b", revision=revision, files=(File(path="a.pt"),)).revision == revision


@pytest.mark.parametrize(
    "repo",
    [
        "a..b/c",
        "-a/b",
        "a--b/c",
        "a/b--c",
        "a/b.",
        "a/b-",
        "a/b.git",
        "../b",
        "a/..",
        "a/b/c",
        "a/b\n",
        "é/b",
        "a/" + "b" * 300,
    ],
)
def test_repositories_that_the_hub_does_not_have_are_refused(repo: str) -> None:
    with pytest.raises(ValueError, match="owner/name"):
        Source(repo=repo, files=(File(path="a.pt"),))


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://a/b", "http://", "http:///a", "http://[::1", "http://a:99999/b", "http://a b/c"),
        *("http://a/\x1b", "http://a/é", "//a/b", "http://a/" + "b" * 2000, "http://user:secret@a:b/c", "javascript:1"),
    ],
)
def test_addresses_that_are_none_of_the_web_are_refused_without_showing_credentials(url: str) -> None:
    with pytest.raises(ValueError, match="web address") as caught:
        Source(url=url, files=(File(path="a.pt"),))
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "A"), ("a", "a/b"), ("A/b", "a")])
def test_files_that_would_replace_each_other_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="same path"):
        Source(repo="a/b", files=tuple(File(path=path) for path in paths))


@pytest.mark.parametrize("value", ['["https://user:secret@example.org/?token=secret"]', '{a="http://secret@b"}'])
def test_credentials_in_an_invalid_entry_are_not_shown(tmp_path: Path, value: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[tiny]\nkind='model'\nfamily='x'\nquality='x'\n[[tiny.sources]]\nfiles=[]\nurl={value}\n")
    message = registry.load([path]).invalid["tiny"].message
    assert "url is" in message
    assert "secret" not in message


@pytest.mark.parametrize("name", ["a\x00b", "x" * 5000, "a/" * 5000, "\udc80", "~nobody/x"])
def test_a_name_that_no_file_can_have_is_unknown(name: str) -> None:
    with pytest.raises(UnknownCheckpoint):
        lookup.find(name)


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
