"""Caches, stores and files that others have prepared: only what is inside is read, written or removed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import COMMIT, HubServer, Served
from huggingface_hub import constants

from vallecli import inputs
from vallecli.checkpoints import cache, disk, download, hub, imports, local, verify
from vallecli.checkpoints.spec import CheckpointSpec, File, Source
from vallecli.errors import CheckpointError, DamagedCheckpoint, InputError, Unreachable

CONTENT = bytes(range(256)) * 256
SHA = hashlib.sha256(CONTENT).hexdigest()
REPO = Source(repo="someone/tiny", files=(File(path="sub/tiny.pt"),))


def spec_of(source: Source, name: str = "tiny") -> CheckpointSpec:
    return CheckpointSpec(name=name, kind="model", family="tiny", quality="It babbles.", sources=(source,))


SPEC = spec_of(REPO)


@pytest.fixture
def docs(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user: no test may change it."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    for name in ("thesis", "tiny.pt", "sub/tiny.pt", "x.valle.incomplete", COMMIT, SHA):
        (docs / name).write_text(f"my {name}")
    before = contents(docs)
    yield docs
    assert contents(docs) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def repo() -> Path:
    repo = Path(constants.HF_HUB_CACHE) / "models--someone--tiny"
    for name in ("refs", "blobs", "snapshots"):
        (repo / name).mkdir(parents=True)
    return repo


def install(repo: Path, commit: str = COMMIT, content: bytes = CONTENT) -> Path:
    """Put the file into the cache as the hub's client does."""
    blob = repo / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    pointer = repo / "snapshots" / commit / "sub" / "tiny.pt"
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    (repo / "refs" / "main").write_text(commit)
    return pointer


@pytest.fixture
def served(hub_server: HubServer) -> HubServer:
    hub_server.files["someone/tiny/sub/tiny.pt"] = Served(CONTENT, large=True)
    hub_server.files["files/tiny.pt"] = Served(CONTENT)
    return hub_server


def quiet(message: str) -> None:
    pass


# refs


@pytest.mark.parametrize(
    "ref",
    [
        *("/{docs}", "../../../../docs", "..", ".", "", "abc", COMMIT.upper().replace("1", "A"), f"{COMMIT}/..", "\0"),
        *(f"{COMMIT}\n/{{docs}}", "é" * 40, "x" * 10**6, "0" * 39, "0" * 41, "%2e%2e"),
    ],
)
def test_a_ref_that_is_no_commit_is_nothing_that_is_here(repo: Path, docs: Path, ref: str) -> None:
    (repo / "refs" / "main").write_text(ref.replace("{docs}", str(docs).lstrip("/")))
    assert hub.lookup(SPEC) is None
    assert hub.remove(SPEC) is False


@pytest.mark.parametrize("what", ["fifo", "folder", "socket", "loop", "bytes", "link out", "folder out"])
def test_a_ref_that_is_no_text_file_of_the_cache_is_nothing_that_is_here(repo: Path, docs: Path, what: str) -> None:
    install(repo)
    ref = repo / "refs" / "main"
    ref.unlink()
    if what == "folder out":
        ref.parent.rmdir()
        (docs.parent / "refs").mkdir()
        (docs.parent / "refs" / "main").write_text(COMMIT)
        ref.parent.symlink_to(docs.parent / "refs")
    else:
        place(ref, what, docs / COMMIT)
    assert hub.lookup(SPEC) is None
    assert hub.remove(SPEC) is False
    assert cache.find(replace(REPO, revision=COMMIT)) is not None


def place(path: Path, what: str, target: Path) -> None:
    """Put something at a path where a file is expected."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
        (path / "file").touch()
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as short:
            listener.bind(f"{short}/s")  # a name that is not too long for a socket
            Path(short, "s").rename(path)
    elif what == "loop":
        path.symlink_to(path)
    elif what == "bytes":
        path.write_bytes(b"\xff" * 40)
    elif what == "link out":
        path.symlink_to(target)
    elif what == "hard link":
        path.hardlink_to(target)
    else:
        raise AssertionError(what)


# Links in the cache


def link_out(repo: Path, docs: Path, which: str) -> None:
    """Replace a folder on the way to the file by a link to the user's folder."""
    snapshot = repo / "snapshots" / COMMIT
    folder = {
        "repository": repo,
        "blobs": repo / "blobs",
        "snapshots": repo / "snapshots",
        "snapshot": snapshot,
        "subfolder": snapshot / "sub",
    }[which]
    (docs.parent / "moved").mkdir(exist_ok=True)
    if folder.exists():
        folder.rename(docs.parent / "moved" / folder.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(docs / "sub" if which == "subfolder" else docs)


WAYS = ["repository", "snapshots", "snapshot", "subfolder"]
PINNED = spec_of(replace(REPO, revision=COMMIT))


@pytest.mark.parametrize("which", WAYS)
def test_rm_removes_nothing_behind_a_linked_folder(repo: Path, docs: Path, which: str) -> None:
    install(repo)
    link_out(repo, docs, which)
    if which in ("repository", "snapshots"):  # the file must be there to be found
        for name in (f"snapshots/{COMMIT}/sub", f"{COMMIT}x/sub"):
            (docs.parent / "moved" / name).mkdir(parents=True, exist_ok=True)
        target = docs.parent / "moved" / ("models--someone--tiny" if which == "repository" else "snapshots")
        folder = repo if which == "repository" else repo / "snapshots"
        folder.unlink()
        folder.symlink_to(target)
    before = contents(docs.parent / "moved")
    with pytest.raises(CheckpointError, match="leads out of the cache") as caught:
        hub.remove(PINNED)
    assert "Nothing was written or removed there" in caught.value.hint
    assert contents(docs.parent / "moved") == before


@pytest.mark.loopback
@pytest.mark.parametrize("which", [*WAYS, "blobs"])
@pytest.mark.parametrize("spec", [SPEC, PINNED])
def test_pull_writes_nothing_behind_a_linked_folder(
    repo: Path, docs: Path, served: HubServer, which: str, spec: CheckpointSpec
) -> None:
    (repo / "snapshots" / COMMIT / "sub").mkdir(parents=True)
    link_out(repo, docs, which)
    with pytest.raises(CheckpointError, match="leads out of the cache"):
        hub.pull(spec, report=quiet)


@pytest.mark.loopback
def test_pull_writes_no_ref_behind_a_linked_folder(repo: Path, docs: Path, served: HubServer) -> None:
    (repo / "refs").rmdir()
    (repo / "refs").symlink_to(docs)
    with pytest.raises(CheckpointError, match="leads out of the cache"):
        hub.pull(SPEC, report=quiet)


@pytest.mark.parametrize("what", ["link out", "hard link"])
def test_rm_removes_a_link_and_not_what_it_leads_to(repo: Path, docs: Path, what: str) -> None:
    pointer = install(repo)
    pointer.unlink()
    place(pointer, what, docs / "thesis")
    if what == "link out":
        with pytest.raises(DamagedCheckpoint, match="outside"):
            hub.locate(SPEC)
    assert hub.remove(SPEC) is True
    assert not os.path.lexists(pointer)
    assert (repo / "blobs" / SHA).exists()  # of whom, is not known


def test_rm_follows_no_link_of_a_blob(repo: Path, docs: Path) -> None:
    pointer = install(repo)
    blob = repo / "blobs" / SHA
    blob.unlink()
    blob.symlink_to(docs / "thesis")
    assert hub.remove(SPEC) is True
    assert not os.path.lexists(blob)
    assert not os.path.lexists(pointer)


def test_rm_leaves_a_blob_that_another_revision_uses(repo: Path) -> None:
    other = install(repo, commit="0" * 40)
    pointer = repo / "snapshots" / COMMIT / "sub" / "tiny.pt"
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(f"../../../blobs/{SHA}")
    (repo / "refs" / "main").write_text(COMMIT)
    assert hub.remove(SPEC) is True
    assert other.read_bytes() == CONTENT
    assert hub.remove(spec_of(replace(REPO, revision="0" * 40))) is True
    assert not (repo / "blobs" / SHA).exists()


def test_rm_leaves_files_of_another_repository(repo: Path) -> None:
    foreign = repo.with_name("models--other--tiny") / "blobs" / SHA
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(CONTENT)
    pointer = install(repo)
    pointer.unlink()
    pointer.symlink_to(foreign)
    assert hub.locate(SPEC) is not None
    assert hub.remove(SPEC) is True
    assert foreign.read_bytes() == CONTENT


def test_rm_does_not_say_removed_of_what_stays(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pointer = install(repo)

    def denied(self: Path, **_: bool) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", denied)
        with pytest.raises(CheckpointError, match=r"cannot remove .*permission denied") as caught:
            hub.remove(SPEC)
    assert str(pointer) in caught.value.message
    assert hub.remove(SPEC) is True


def test_rm_of_a_folder_where_a_file_is_expected_is_an_error(repo: Path) -> None:
    pointer = install(repo)
    pointer.unlink()
    place(pointer, "folder", pointer)
    assert hub.lookup(SPEC) is None
    with pytest.raises(CheckpointError, match="cannot remove"):
        hub.remove(SPEC)
    assert (pointer / "file").exists()


@pytest.mark.loopback
@pytest.mark.parametrize("what", ["fifo", "folder", "socket", "loop", "link out", "hard link"])
@pytest.mark.parametrize("where", ["pointer", "blob"])
def test_pull_copes_with_what_is_in_the_place_of_its_file(
    repo: Path, docs: Path, served: HubServer, what: str, where: str
) -> None:
    pointer = repo / "snapshots" / COMMIT / "sub" / "tiny.pt"
    place(pointer if where == "pointer" else repo / "blobs" / SHA, what, docs / "thesis")
    if what == "folder":
        with pytest.raises(CheckpointError, match="cannot write"):
            hub.pull(SPEC, report=quiet)
    else:
        assert hub.pull(SPEC, report=quiet)[0].path.read_bytes() == CONTENT


@pytest.mark.loopback
@pytest.mark.parametrize("what", ["fifo", "folder", "socket", "loop", "link out", "hard link"])
@pytest.mark.parametrize("kind", ["repository", "url", "hashed url"])
def test_a_partial_file_that_is_none_of_ours_is_not_written_to(
    docs: Path, served: HubServer, monkeypatch: pytest.MonkeyPatch, what: str, kind: str
) -> None:
    file = File(path="tiny.pt", sha256=SHA if kind == "hashed url" else None)
    spec = SPEC if kind == "repository" else spec_of(Source(url=f"{served.url}/files/tiny.pt", files=(file,)))
    monkeypatch.setattr(download, "RETRY_WAIT", 0)
    cdn = served.files["someone/tiny/sub/tiny.pt" if kind == "repository" else "files/tiny.pt"]
    cdn.cuts = [1000] + [0] * 20
    with pytest.raises(Unreachable):
        hub.pull(spec, report=quiet)
    cdn.cuts = []
    places = [local.folder(), Path(constants.HF_HUB_CACHE)]
    [partial] = [path for folder in places for path in folder.rglob(f"*{local.PARTIAL}")]
    partial.unlink()
    place(partial, what, docs / "thesis")
    if what == "folder":
        with pytest.raises(CheckpointError, match="cannot write"):
            hub.pull(spec, report=quiet)
    else:
        assert hub.pull(spec, report=quiet)[0].path.read_bytes() == CONTENT


@pytest.mark.loopback
@pytest.mark.parametrize("what", ["fifo", "folder", "link out", "hard link"])
@pytest.mark.parametrize("where", ["own", "cache", "folder"])
def test_a_lock_that_is_none_of_ours_is_refused(docs: Path, served: HubServer, what: str, where: str) -> None:
    locks = Path(constants.HF_HUB_CACHE) / ".locks"
    path = {
        "own": local.folder().with_name("locks") / "tiny.lock",
        "cache": locks / "models--someone--tiny" / f"{SHA}.lock",
        "folder": locks,
    }[where]
    place(path, what, docs if where == "folder" and what == "link out" else docs / "thesis")
    if (where, what) == ("folder", "folder"):
        hub.pull(SPEC, report=quiet)
        return
    with pytest.raises(CheckpointError, match=r"cannot write|leads out of the cache"):
        hub.pull(SPEC, report=quiet)


# Our own folder


@pytest.mark.parametrize("what", ["link out", "fifo", "bytes", "dangling"])
def test_rm_of_what_is_no_folder_removes_that_alone(docs: Path, what: str) -> None:
    root = local.folder() / "tiny"
    place(root, "link out" if what == "dangling" else what, docs if what == "link out" else docs / "missing")
    assert hub.remove(SPEC) is True
    assert not os.path.lexists(root)
    assert hub.remove(SPEC) is False


def test_a_linked_checkpoint_is_not_read_and_is_replaced(docs: Path, tmp_path: Path) -> None:
    (docs.parent / "other").mkdir()
    (docs.parent / "other" / local.MANIFEST).write_text('{"origin": "me", "files": [{"path": "tiny.pt"}]}')
    local.folder().mkdir(parents=True)
    (local.folder() / "tiny").symlink_to(docs.parent / "other")
    with pytest.raises(DamagedCheckpoint, match="links to"):
        hub.lookup(SPEC)
    weights = tmp_path / "weights"
    weights.write_bytes(CONTENT)
    hashed = spec_of(replace(REPO, files=(File(path="sub/tiny.pt", sha256=SHA),)))
    installed = imports.add(weights, hashed, report=quiet, describe=lambda path: pytest.fail("its hash is known"))
    assert installed.path.read_bytes() == CONTENT
    assert (docs.parent / "other" / local.MANIFEST).exists()
    assert not (local.folder() / "tiny").is_symlink()


@pytest.mark.parametrize(
    "manifest",
    [
        *("", "[]", "{}", "null", '{"files": []}', '{"origin": "x", "files": []}', "[" * 100_000, '{"a":' * 100_000),
        *(json.dumps({"origin": "x", "files": [{"path": path}]}) for path in ("../x", "/x", "a\0", "\ud800", 5, None)),
        *(json.dumps({"origin": "x", "files": [{"path": "a", "size": size}]}) for size in ("x", -1, [], 10**400)),
        *('{"origin": "x", "files": {"path": "a"}}', '{"origin": "x", "files": [{"path": "a", "evil": 1}]}'),
        *(" " * 2_000_000, "9" * 10_000, '{"origin": "x", "files": [{"path": "a", "sha256": "' + "0" * 63 + '"}]}'),
    ],
)
def test_a_manifest_that_is_none_is_damage(manifest: str) -> None:
    path = local.folder() / "tiny" / local.MANIFEST
    path.parent.mkdir(parents=True)
    path.write_text(manifest)
    with pytest.raises(DamagedCheckpoint, match="no list of files"):
        hub.lookup(SPEC)
    assert hub.remove(SPEC) is True


@pytest.mark.parametrize("what", ["fifo", "folder", "socket", "loop", "bytes"])
def test_a_manifest_that_is_no_file_is_damage(what: str, tmp_path: Path) -> None:
    place(local.folder() / "tiny" / local.MANIFEST, what, tmp_path)
    with pytest.raises(DamagedCheckpoint, match="no list of files"):
        hub.lookup(SPEC)
    assert hub.remove(SPEC) is True


def test_the_origin_of_a_checkpoint_is_printable(tmp_path: Path) -> None:
    installed = local.install("tiny", "/tmp/\x1b[2J", lambda stage: (stage / "a").write_text("a"))
    found = local.lookup("tiny")
    assert found is not None
    assert found.origin == installed.origin == "/tmp/\\x1b[2J"


# add and verify


KINDS = ["fifo", "socket", "loop", "device", "endless", "null", "long", "missing"]


@pytest.mark.parametrize("what", KINDS)
def test_add_of_what_is_no_file_is_bad_input(tmp_path: Path, what: str) -> None:
    path = strange(tmp_path, what)
    with pytest.raises(InputError) as caught:
        imports.add(path, SPEC, report=quiet, describe=lambda path: pytest.fail("nothing to describe"))
    assert caught.value.message.isprintable()
    assert not (local.folder() / "tiny").exists()


@pytest.mark.parametrize("what", ["fifo", "socket", "loop", "folder"])
def test_add_of_a_folder_with_what_is_no_file_is_bad_input(tmp_path: Path, what: str) -> None:
    place(tmp_path / "mine" / "sub" / "tiny.pt", what, tmp_path)
    with pytest.raises(InputError):
        imports.add(tmp_path / "mine", SPEC, report=quiet, describe=lambda path: pytest.fail("nothing to describe"))


def strange(folder: Path, what: str) -> Path:
    path = folder / "strange"
    if what in ("fifo", "socket", "loop"):
        place(path, what, folder)
        return path
    names = {"device": "/dev/null", "endless": "/dev/zero", "null": "a\0b", "long": "x" * 5000, "missing": "a\x1b[2J"}
    return Path(names[what])


@pytest.mark.parametrize("what", ["fifo", "socket", "device", "endless"])
def test_the_hash_of_what_is_no_file_is_an_error_at_once(tmp_path: Path, what: str) -> None:
    path = strange(tmp_path, what)
    with pytest.raises(OSError, match="Not a regular file"):
        local.sha256(path)
    assert verify._verify_file(path, [SPEC]).state == "bad"


def test_add_of_a_file_that_grows_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1" * 100)
    opened = inputs.open_regular

    class Growing:
        """A file that is never at its end."""

        def __init__(self, file: object) -> None:
            self.file = file

        def __enter__(self) -> Growing:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def fileno(self) -> int:
            return self.file.fileno()

        def read(self, size: int) -> bytes:
            return b"1" * 60

    monkeypatch.setattr(inputs, "open_regular", lambda path: Growing(opened(path)))
    with pytest.raises(InputError, match="grows"):
        imports.add(path, SPEC, report=quiet, describe=lambda path: pytest.fail("nothing to describe"))
    assert list(local.folder().iterdir()) == []


def test_add_of_a_file_that_does_not_fit_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(disk.free_space(tmp_path) + 2**40)
    with pytest.raises(CheckpointError, match="bytes are needed"):
        imports.add(path, SPEC, report=quiet, describe=lambda path: pytest.fail("nothing to describe"))
    assert list(local.folder().iterdir()) == []


def test_add_escapes_names_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\n.pt"
    path.write_bytes(b"x")

    def describe(path: Path) -> object:
        raise CheckpointError(f"{path} has \x1b[2J in it")

    with pytest.raises(DamagedCheckpoint) as caught:
        imports.add(path, SPEC, report=quiet, describe=describe)
    assert caught.value.message.isprintable()
    assert "\\x1b" in caught.value.message


# Several processes


def together(
    served: HubServer, specs: list[CheckpointSpec], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Path], list[str]]:
    """Pull twice at once, the server answers when the second pull waits; return the paths and the messages."""
    waiting = threading.Event()
    messages: list[str] = []
    paths: list[Path] = []
    send = served.send

    def patient(*arguments: object, **options: object) -> None:
        assert waiting.wait(60)
        send(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(served, "send", patient)

    def report(message: str) -> None:
        messages.append(message)
        if "another process" in message:
            waiting.set()

    def pull(spec: CheckpointSpec) -> None:
        paths.append(hub.pull(spec, report=report)[0].path)

    threads = [threading.Thread(target=pull, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return paths, messages


@pytest.mark.loopback
@pytest.mark.parametrize("sha256", [SHA, None])
def test_two_pulls_of_one_url_download_it_once(served: HubServer, monkeypatch, sha256: str | None) -> None:
    source = Source(url=f"{served.url}/files/tiny.pt", files=(File(path="tiny.pt", sha256=sha256),))
    paths, messages = together(served, [spec_of(source)] * 2, monkeypatch)
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert messages == ["another process is working on tiny; waiting for it"]
    assert served.gets == [None]


@pytest.mark.loopback
def test_two_entries_with_one_file_of_a_repository_download_it_once(served: HubServer, monkeypatch) -> None:
    paths, messages = together(served, [spec_of(REPO, "one"), spec_of(REPO, "two")], monkeypatch)
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert messages == ["another process is working on a file of someone/tiny; waiting for it"]
    assert served.ranges("cdn/someone/tiny/sub/tiny.pt") == [None]


def test_a_lock_that_stays_taken_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk, "LOCK_WAIT", 0.01)
    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with local.locked("tiny", quiet):
            taken.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(60)
    messages: list[str] = []
    try:
        with pytest.raises(CheckpointError, match="still in use"):
            hub.remove(SPEC, messages.append)
    finally:
        release.set()
        holder.join(60)
    assert messages == ["another process is working on tiny; waiting for it"]
    assert hub.remove(SPEC) is False


# Leftovers


def aged(path: Path, seconds: float = 10 * local.KEPT) -> Path:
    os.utime(path, (path.stat().st_mtime - seconds,) * 2)
    return path


@pytest.mark.loopback
@pytest.mark.parametrize("act", ["add", "pull", "rm"])
def test_leftovers_of_killed_processes_are_removed(served: HubServer, tmp_path: Path, repo: Path, act: str) -> None:
    folder = local.folder()
    killed = folder / f".valle-{'0' * 16}.part" / "new"
    killed.mkdir(parents=True)
    (killed / "weights").write_bytes(CONTENT)
    aged(killed.parent, 3600)
    stale = [folder / f"other.{'0' * 32}{local.PARTIAL}", folder / f"old{local.PARTIAL}"]
    stale += [repo / "blobs" / f"{'0' * 64}.{'0' * 32}{cache.PARTIAL}"] if act != "add" else []
    fresh = folder / f"other.{'1' * 32}{local.PARTIAL}"
    foreign = repo / "blobs" / f"{'0' * 64}{local.PARTIAL}.tmp"  # of another program
    for path in [*stale, fresh, foreign]:
        path.write_bytes(b"part")
    for path in [*stale, foreign]:
        aged(path)
    hashed = spec_of(replace(REPO, files=(File(path="sub/tiny.pt", sha256=SHA),)))
    if act == "add":
        (tmp_path / "weights").write_bytes(CONTENT)
        imports.add(tmp_path / "weights", hashed, report=quiet, describe=lambda path: pytest.fail("known"))
    elif act == "pull":
        hub.pull(hashed, report=quiet)
    else:
        hub.remove(hashed)
    assert [path for path in [killed.parent, *stale] if path.exists()] == []
    assert fresh.exists()
    assert foreign.exists()


def test_rm_removes_the_partial_files_of_that_checkpoint(docs: Path) -> None:
    local.folder().mkdir(parents=True)
    mine = local.folder() / f"tiny.{'0' * 32}{local.PARTIAL}"
    other = local.folder() / f"tiny.b.{'0' * 32}{local.PARTIAL}"
    for path in (mine, other):
        path.write_bytes(b"part")
    assert hub.remove(SPEC) is False
    assert not mine.exists()
    assert other.exists()


# Folders that cannot be read


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folders_that_cannot_be_read_are_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    monkeypatch.setenv("XDG_DATA_HOME", str(closed / "data"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(closed / "hub"))
    assert hub.lookup(SPEC) is None
    with pytest.raises(CheckpointError, match="permission denied"):
        hub.remove(SPEC)


@pytest.mark.parametrize("name", ["XDG_DATA_HOME", "HF_HUB_CACHE"])
@pytest.mark.loopback
def test_folders_below_a_file_are_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: HubServer, name: str
) -> None:
    (tmp_path / "file").touch()
    if name == "XDG_DATA_HOME":
        monkeypatch.setenv(name, str(tmp_path / "file" / "data"))
    else:
        monkeypatch.setattr(constants, name, str(tmp_path / "file" / "hub"))
    assert hub.lookup(SPEC) is None
    with pytest.raises(CheckpointError, match="cannot write"):
        hub.pull(SPEC, report=quiet)
