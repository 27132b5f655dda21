"""Downloads from a small hub: files are checked, failures reported, and refused files leave nothing behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import COMMIT, HubServer, Served
from huggingface_hub import constants

from vallecli.checkpoints import download, hub
from vallecli.checkpoints import local as store
from vallecli.checkpoints.spec import UNSTATED, CheckpointSpec, File, Source
from vallecli.errors import AccessDenied, CheckpointError, DamagedCheckpoint, MissingCheckpoint, SourceGone, Unreachable

pytestmark = pytest.mark.loopback

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
OTHER = WEIGHTS[::-1]  # of the same size


def listed(served: Served, path: str) -> File:
    return File(path=path, size=len(served.content), sha256=served.sha256)


@pytest.fixture
def weights(hub_server: HubServer) -> Served:
    served = Served(WEIGHTS, large=True)
    hub_server.files["someone/tiny/tiny.pt"] = served
    return served


@pytest.fixture
def spec(weights: Served) -> CheckpointSpec:
    """One large file, its revision pinned and its hash known."""
    source = Source(repo="someone/tiny", revision=COMMIT, files=(listed(weights, "tiny.pt"),))
    return CheckpointSpec(name="tiny", kind="model", family="tiny", quality="It babbles.", sources=(source,))


@pytest.fixture
def mirrored(spec: CheckpointSpec, hub_server: HubServer) -> CheckpointSpec:
    """The same with a mirror: a dataset that has another file under another name."""
    served = hub_server.files["datasets/another/copy/saved/tiny-again.pt"] = Served(OTHER, large=True)
    mirror = Source(repo="another/copy", repo_type="dataset", files=(listed(served, "saved/tiny-again.pt"),))
    return replace(spec, sources=(*spec.sources, mirror))


@pytest.fixture
def by_url(hub_server: HubServer) -> CheckpointSpec:
    served = hub_server.files["files/codec.th"] = Served(WEIGHTS)
    source = Source(url=f"{hub_server.url}/files/codec.th", files=(replace(listed(served, "codec.th"), size=None),))
    return CheckpointSpec(name="codec", kind="codec", family="codec", quality="It hums.", sources=(source,))


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def pull(messages: list[str]) -> Callable[[CheckpointSpec], store.InstalledCheckpoint]:
    return lambda spec: hub.pull(spec, report=messages.append)[0]


def left_behind() -> list[Path]:
    """Return the files in the cache and in our folder, without lock files and marks of the hub's client."""
    places = (Path(constants.HF_HUB_CACHE), store.folder())
    paths = [path for place in places for path in place.rglob("*") if path.is_file() or path.is_symlink()]
    return [
        path for path in paths if path.suffix != ".lock" and path.name != "CACHEDIR.TAG" and "refs" not in path.parts
    ]


def refused(pull: Callable, spec: CheckpointSpec, error: type[CheckpointError]) -> CheckpointError:
    with pytest.raises(error) as caught:
        pull(spec)
    assert hub.locate(spec) is None
    assert left_behind() == []
    return caught.value


# Downloads


def test_a_pulled_file_is_found_again_without_the_server(spec, pull, hub_server: HubServer) -> None:
    path = pull(spec).path
    assert path.read_bytes() == WEIGHTS
    hub_server.stop()
    assert hub.pull(spec, report=print)[1] is False
    found = hub.locate(spec)
    assert found is not None
    assert found.path == path
    assert [reason for _, reason in hub.verify(found)] == [None]


def test_several_files_are_a_folder(pull, hub_server: HubServer) -> None:
    names = ["args.json", "checkpoint/epoch-1/model.bin"]
    for name in names:
        hub_server.files[f"someone/folder/{name}"] = Served(name.encode(), large=name.endswith("bin"))
    source = Source(repo="someone/folder", files=tuple(File(path=name) for name in names))
    spec = CheckpointSpec(name="folder", kind="model", family="tiny", quality="It babbles.", sources=(source,))
    root = pull(spec).path
    assert [(root / name).read_text() for name in names] == names
    hub_server.stop()
    found = hub.locate(spec)
    assert found is not None
    assert found.path == root
    assert [item.digest is not None for item in found.files] == [True, True]  # the hub's own hashes


def test_a_file_by_url_is_stored_in_our_folder(by_url, pull, hub_server: HubServer) -> None:
    path = pull(by_url).path
    assert path == store.folder() / "codec" / "codec.th"
    assert path.read_bytes() == WEIGHTS
    hub_server.stop()
    assert pull(by_url).path == path


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("MIT", None),
        (None, None),
        (UNSTATED, "states no licence"),
        ("AGPL-3.0", "AGPL-3.0"),
        ("CC-BY-NC 4.0", "CC-BY-NC 4.0"),
    ],
)
def test_a_licence_with_conditions_or_none_is_reported_before_the_download(
    spec, hub_server: HubServer, licence: str | None, said: str | None
) -> None:
    reported: list[str] = []

    def report(message: str) -> None:
        assert hub_server.requests == []
        reported.append(message)

    licensed = replace(spec, licence=licence)
    hub.pull(licensed, report=report)
    assert len(reported) == (said is not None)
    assert said is None or said in reported[0]
    hub.pull(licensed, report=reported.append)
    assert len(reported) == (said is not None)  # nothing was downloaded


# Broken connections


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without waiting."""
    monkeypatch.setattr(download, "RETRY_WAIT", 0)


@pytest.mark.usefixtures("no_waiting")
def test_a_cut_connection_is_resumed_where_it_broke(spec, weights: Served, pull, hub_server: HubServer) -> None:
    weights.cuts = [300_000, 200_000]
    assert pull(spec).path.read_bytes() == WEIGHTS
    assert hub_server.ranges("cdn/someone/tiny/tiny.pt") == [None, "bytes=300000-", "bytes=500000-"]


@pytest.mark.usefixtures("no_waiting")
def test_a_connection_that_stays_cut_is_resumed_by_the_next_pull(
    spec, weights: Served, pull, hub_server: HubServer
) -> None:
    weights.cuts = [300_000] + [0] * 20
    with pytest.raises(Unreachable) as caught:
        pull(spec)
    assert caught.value.hint.endswith("valle checkpoints pull tiny")
    assert len(weights.cuts) == 21 - 1 - download.RETRIES
    assert hub.locate(spec) is None
    [partial] = left_behind()
    assert partial.stat().st_size == 300_000
    weights.cuts = []
    hub_server.requests.clear()
    assert pull(spec).path.read_bytes() == WEIGHTS
    assert hub_server.ranges("cdn/someone/tiny/tiny.pt") == ["bytes=300000-"]
    assert not partial.exists()


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_by_url_is_resumed_by_the_next_pull(by_url, pull, hub_server: HubServer, ranges: bool) -> None:
    served = hub_server.files["files/codec.th"]
    served.cuts = [300_000] + [0] * 20
    with pytest.raises(Unreachable):
        pull(by_url)
    assert hub.locate(by_url) is None
    served.cuts, served.ranges = [], ranges
    hub_server.requests.clear()
    assert pull(by_url).path.read_bytes() == WEIGHTS
    assert hub_server.gets == ["bytes=300000-"]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("how", ["no network", "gone"])
def test_a_url_that_gives_nothing_leaves_nothing(by_url, pull, hub_server: HubServer, how: str) -> None:
    if how == "gone":
        del hub_server.files["files/codec.th"]
        assert "the file is gone (HTTP 404)" in refused(pull, by_url, SourceGone).message
    else:
        hub_server.stop()
        refused(pull, by_url, Unreachable)


def test_an_empty_file_by_url_is_refused(by_url, pull, hub_server: HubServer) -> None:
    hub_server.files["files/codec.th"].gives = b""
    assert "empty" in refused(pull, by_url, DamagedCheckpoint).message


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("content", [WEIGHTS, WEIGHTS + b"more"])
@pytest.mark.parametrize("size", [None, len(WEIGHTS)])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_partial_file_that_is_complete_or_too_long_is_no_obstacle(
    by_url, pull, hub_server: HubServer, content: bytes, size: int | None, hashed: bool
) -> None:
    file = by_url.sources[0].files[0]
    file = replace(file, size=size, sha256=file.sha256 if hashed else None)
    by_url = replace(by_url, sources=(replace(by_url.sources[0], files=(file,)),))
    hub_server.files["files/codec.th"].cuts = [300_000] + [0] * 20
    with pytest.raises(Unreachable):
        pull(by_url)
    [partial] = left_behind()
    partial.write_bytes(content)
    hub_server.files["files/codec.th"].cuts = []
    assert pull(by_url).path.read_bytes() == WEIGHTS
    assert not partial.exists()


# Wrong files


def test_bytes_with_another_hash_are_refused_and_deleted(spec, weights: Served, pull) -> None:
    weights.gives = OTHER
    assert "hash" in refused(pull, spec, DamagedCheckpoint).message


def test_a_file_announced_with_another_hash_is_not_even_downloaded(spec, pull, hub_server: HubServer) -> None:
    hub_server.files["someone/tiny/tiny.pt"].content = OTHER
    refused(pull, spec, DamagedCheckpoint)
    assert hub_server.gets == []


def test_a_small_file_must_have_the_hash_the_hub_names(pull, hub_server: HubServer) -> None:
    hub_server.files["someone/tiny/args.json"] = Served(b'{"a": 1}', gives=b'{"a": 2}')
    source = Source(repo="someone/tiny", files=(File(path="args.json"),))
    spec = CheckpointSpec(name="tiny", kind="model", family="tiny", quality="It babbles.", sources=(source,))
    assert "hash" in refused(pull, spec, DamagedCheckpoint).message


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "0 bytes instead of 1048576"), (WEIGHTS[:1000], "1000 bytes instead of 1048576")]
)
def test_empty_and_short_files_are_refused(spec, pull, hub_server: HubServer, content: bytes, said: str) -> None:
    unhashed = replace(spec.sources[0], files=(replace(spec.sources[0].files[0], sha256=None),))
    hub_server.files["someone/tiny/tiny.pt"].content = content
    assert said in refused(pull, replace(spec, sources=(unhashed,)), DamagedCheckpoint).message


def test_a_url_with_other_bytes_is_refused_and_deleted(by_url, pull, hub_server: HubServer) -> None:
    hub_server.files["files/codec.th"].gives = OTHER
    assert "hash" in refused(pull, by_url, DamagedCheckpoint).message


def test_a_mirror_replaces_a_source_with_a_wrong_file(mirrored, weights: Served, pull, messages: list[str]) -> None:
    weights.gives = OTHER[1:] + b"x"
    assert pull(mirrored).path.read_bytes() == OTHER
    assert "someone/tiny" in messages[0]
    assert "hash" in messages[0]


# Sources that fail


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("someone/tiny/tiny.pt", "the repository is gone (HTTP 404)"),
        ("file", "the file is gone (HTTP 404)"),
        ("revision", "there is no revision"),
    ],
)
def test_a_missing_file_is_downloaded_from_the_mirror_and_reported(
    mirrored, pull, messages: list[str], hub_server: HubServer, lost: str, said: str
) -> None:
    if lost == "revision":
        gone = replace(mirrored.sources[0], revision="0" * 40)
        mirrored = replace(mirrored, sources=(gone, *mirrored.sources[1:]))
    else:
        del hub_server.files["someone/tiny/tiny.pt"]
    if lost == "file":
        hub_server.files["someone/tiny/README.md"] = Served(b"hello")
    assert pull(mirrored).path.read_bytes() == OTHER
    assert len(messages) == 1
    assert said in messages[0]
    assert "; trying dataset another/copy" in messages[0]


def test_a_file_that_no_source_has_can_be_added(spec, pull, hub_server: HubServer) -> None:
    del hub_server.files["someone/tiny/tiny.pt"]
    assert refused(pull, spec, SourceGone).hint.endswith("valle checkpoints add FILE --as tiny")


def test_a_private_repository_says_which_token_to_set(
    spec, pull, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.tokens["someone/tiny"] = "hf_sesame"
    error = refused(pull, spec, AccessDenied)
    assert "HTTP 401" in error.message
    assert "HF_TOKEN=hf_... valle checkpoints pull tiny" in error.hint
    monkeypatch.setenv("HF_TOKEN", "hf_sesame")
    assert pull(spec).path.read_bytes() == WEIGHTS


def test_a_private_repository_is_reported_rather_than_its_missing_mirror(mirrored, pull, messages, hub_server) -> None:
    hub_server.tokens["someone/tiny"] = "hf_sesame"
    del hub_server.files["datasets/another/copy/saved/tiny-again.pt"]
    refused(pull, mirrored, AccessDenied)
    assert len(messages) == 2


def test_a_server_error_for_one_repository_does_not_exclude_the_other(mirrored, pull, hub_server: HubServer) -> None:
    hub_server.broken.add("someone/tiny")
    assert pull(mirrored).path.read_bytes() == OTHER


def test_without_a_network_each_host_is_tried_once_and_never_again(
    mirrored, pull, messages, hub_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.stop()
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    error = refused(pull, mirrored, Unreachable)
    assert waits == []  # the client waits before each retry
    assert error.hint.endswith("valle checkpoints pull tiny")
    assert messages == []


def test_a_server_error_counts_as_unreachable(spec, pull, hub_server: HubServer) -> None:
    hub_server.broken.add("someone/tiny")
    assert "HTTP 500" in refused(pull, spec, Unreachable).message


@pytest.mark.parametrize("variable", [True, False])
def test_offline_sends_no_request(spec, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch, variable: bool) -> None:
    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingCheckpoint) as caught:
        hub.pull(spec, offline_requested=not variable, report=print)
    assert "valle checkpoints pull tiny" in caught.value.hint
    assert hub_server.requests == []


# Damage after the download


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    blob = path.resolve()
    if how == "leaves the cache":
        elsewhere = path.parents[6] / "elsewhere"
        elsewhere.write_bytes(content)
        path.unlink()
        path.symlink_to(elsewhere)
    else:
        blob.write_bytes({"empty": b"", "truncated": content[:-1], "swapped": OTHER}[how])


@pytest.mark.parametrize("how", ["leaves the cache", "empty", "truncated", "swapped"])
def test_damaged_files_are_refused_and_pull_replaces_them(
    spec, pull, messages: list[str], how: str, tmp_path: Path
) -> None:
    installed = pull(spec)
    spoil(installed.path, how)
    [(_, reason)] = hub.verify(installed)
    assert reason is not None
    if how != "swapped":  # of the same size: only the hash differs
        with pytest.raises(DamagedCheckpoint) as caught:
            hub.locate(spec)
        assert reason in caught.value.message
        assert caught.value.hint == "valle checkpoints pull tiny"
    with pytest.raises(DamagedCheckpoint):
        hub.pull(spec, offline_requested=True, report=print)
    replaced = pull(spec)
    assert replaced.path.read_bytes() == WEIGHTS
    assert reason in messages[0]
    assert [reason for _, reason in hub.verify(replaced)] == [None]


def test_a_damaged_file_in_our_folder_is_refused_too(by_url, pull) -> None:
    path = pull(by_url).path
    path.write_bytes(WEIGHTS[:-1])
    with pytest.raises(DamagedCheckpoint, match="1048575 bytes"):
        hub.locate(by_url)
    (path.parent / store.MANIFEST).write_text("{}")
    with pytest.raises(DamagedCheckpoint, match="list of files"):
        hub.locate(by_url)
    assert pull(by_url).path.read_bytes() == WEIGHTS


def test_removing_leaves_other_files(mirrored, pull) -> None:
    path = pull(mirrored).path
    shutil.copy(path, path.with_name("not-ours.pt"))
    assert hub.remove(mirrored) is True
    assert [left.name for left in left_behind()] == ["not-ours.pt"]
    assert hub.remove(mirrored) is False
    assert hub.locate(mirrored) is None


def test_removing_follows_no_link_out_of_the_cache(spec, pull, tmp_path: Path) -> None:
    path = pull(spec).path
    spoil(path, "leaves the cache")
    elsewhere = path.resolve()
    assert hub.remove(spec) is True
    assert elsewhere.read_bytes() == WEIGHTS


@pytest.mark.parametrize("kind", ["by url", "repository"])
def test_a_full_disk_is_reported_with_its_folder_and_nothing_is_left(
    by_url, spec, pull, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    by = by_url if kind == "by url" else spec
    folder = store.folder() if kind == "by url" else Path(constants.HF_HUB_CACHE) / "models--someone--tiny"
    error = refused(pull, by, CheckpointError)
    assert error.message == f"cannot write {folder}: no space left on device"
    assert not isinstance(error, Unreachable)
