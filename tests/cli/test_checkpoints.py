"""`valle checkpoints` and `valle speak --checkpoint NAME`: output, exit codes and errors."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub_server import HubServer, Served, write_registry
from published import write_vallex

from vallecli.checkpoints import imports, local, lookup
from vallecli.errors import CheckpointError
from vallecli.families import convert, detect
from vallecli.settings import config_folder

if TYPE_CHECKING:
    from conftest import Ran, Valle

WEIGHTS, CODEC, FOLDER = b"weights " * 1000, b"codec " * 1000, ["config.json", "model.safetensors"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def known(hub_server: HubServer) -> HubServer:
    """Three checkpoints of the user: a model in a repository with a codec at a URL, and a folder in a repository."""
    hub_server.files["someone/tiny/tiny.pt"] = Served(WEIGHTS, large=True)
    hub_server.files["files/hum.th"] = Served(CODEC)
    url = {"url": f"{hub_server.url}/files/hum.th", "files": [{"path": "hum.th", "sha256": sha256(CODEC)}]}
    repo = {"repo": "someone/tiny", "files": [{"path": "tiny.pt", "size": len(WEIGHTS), "sha256": sha256(WEIGHTS)}]}
    entries = {
        "tiny": {"sources": [repo], "codec": "hum", "licence": "MIT", "languages": ["en"]},
        "hum": {"kind": "codec", "sources": [url]},
        "babble": {"sources": [{"repo": "someone/babble", "files": [{"path": name} for name in FOLDER]}]},
    }
    write_registry(config_folder() / "checkpoints.toml", entries)
    return hub_server


@dataclass(frozen=True)
class Description:
    """The part of a description that `add` reads."""

    family: str
    missing: tuple[str, ...] = ()


@pytest.fixture
def describes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Description | None], None]:
    """Set the description of every path, None for an unknown format."""

    def describes(description: Description | None) -> None:
        def describe(path: Path) -> Description:
            if description is None:
                raise CheckpointError(f"{path} is in no known format")
            return description

        monkeypatch.setattr(detect, "describe", describe)

    return describes


@pytest.fixture
def checkpoints(valle: Valle) -> Callable[..., Ran]:
    return lambda *arguments: valle("checkpoints", *arguments)


def lines(ran: Ran) -> list[list[str]]:
    assert ran.code == 0, ran.err
    return [line.split("\t") for line in ran.out.decode().splitlines()]


def as_json(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


# list, show, path


def test_without_a_command_the_help_is_printed(checkpoints) -> None:
    ran = checkpoints()
    assert ran.code == 0
    assert all(command in ran.out.decode() for command in ("list", "show", "pull", "add", "verify", "path", "rm"))


def test_the_list_in_a_pipe_is_plain_and_has_the_states(checkpoints, known: HubServer) -> None:
    before = {row[0]: row[1:] for row in lines(checkpoints("list"))}
    assert before["nano"][:2] == ["model", "built in"]
    assert before["vallex"] == ["model", "absent", "1482302113", "MIT"]
    assert before["tiny"] == ["model", "absent", str(len(WEIGHTS)), "MIT"]
    assert before["hum"] == ["codec", "absent", "unknown", "unknown"]
    assert before["amphion-v2"][3] == "unstated"
    assert before["ecker"][3] == "AGPL-3.0"


@pytest.mark.loopback
def test_the_list_shows_what_is_here_and_what_is_damaged(checkpoints, known: HubServer) -> None:
    checkpoints("pull", "tiny")
    rows = {row["name"]: row for row in as_json(checkpoints("list", "--json"))}
    assert rows["hum"] == {"name": "hum", "kind": "codec", "state": "here", "size": len(CODEC), "licence": None}
    lookup.find("hum").write_bytes(b"")
    assert ["hum", "codec", "damaged", "unknown", "unknown"] in lines(checkpoints("list"))


def test_the_list_on_a_terminal_is_a_table(checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # no colours
    monkeypatch.setenv("COLUMNS", "100")
    shown = checkpoints("list").out.decode()
    assert "\t" not in shown
    assert "1.5 GB" in shown
    assert shown.splitlines()[0].split() == ["name", "kind", "state", "size", "licence"]


def test_an_entry_is_shown_with_the_origin_of_its_facts(checkpoints) -> None:
    shown = checkpoints("show", "vallex").out.decode()
    assert "Plachta/VALL-E-X at d7240d71278df7b8ab9960f5b91107de15a2d016" in shown
    assert re.search(r"^licence +MIT$", shown, re.MULTILINE)
    assert re.search(r"^path +unknown$", shown, re.MULTILINE)
    assert re.search(r"^facts +licence: the tag of the model repository$", shown, re.MULTILINE)
    assert as_json(checkpoints("show", "vallex", "--json"))["languages"] == ["en", "zh", "ja"]
    assert re.search(r"^licence +unstated$", checkpoints("show", "amphion-v2").out.decode(), re.MULTILINE)


def test_a_path_is_described_by_its_contents(checkpoints, tmp_path: Path) -> None:
    file = write_vallex(tmp_path / "some.pt")
    shown = checkpoints("show", file).out.decode()
    assert re.search(r"^family +vallex$", shown, re.MULTILINE)
    assert re.search(r"^config +d_model: 32$", shown, re.MULTILINE)
    shapes = as_json(checkpoints("show", file, "--json"))["tensors"]
    assert shapes["ar_text_embedding.word_embeddings.weight"] == [70, 32]


@pytest.mark.parametrize("command", ["show", "path", "pull", "verify", "rm"])
def test_an_unknown_name_gets_a_suggestion(checkpoints, command: str) -> None:
    ran = checkpoints(command, "valex")
    assert ran.code == 4
    assert ran.out == b""
    assert "Did you mean vallex?" in ran.err


# pull


@pytest.mark.loopback
def test_pull_downloads_what_is_needed_and_path_finds_it_offline(checkpoints, known: HubServer) -> None:
    ran = checkpoints("pull", "tiny")
    pulled = dict(lines(ran))
    assert pulled.keys() == {"tiny", "hum"}
    assert Path(pulled["tiny"]).read_bytes() == WEIGHTS
    assert Path(pulled["hum"]).read_bytes() == CODEC
    assert ran.err.splitlines() == [  # without a progress bar: this is not a terminal
        "tiny was downloaded from someone/tiny",
        f"hum was downloaded from {known.url}/files/hum.th",
    ]
    known.stop()
    assert checkpoints("path", "tiny").out.decode() == f"{pulled['tiny']}\n"
    again = as_json(checkpoints("pull", "tiny", "--json"))
    assert [(row["name"], row["fetched"]) for row in again] == [("tiny", False), ("hum", False)]


@pytest.mark.loopback
@pytest.mark.parametrize("licence", ["unstated", "AGPL-3.0"])
def test_a_licence_with_conditions_or_none_is_reported_first(checkpoints, known: HubServer, licence: str) -> None:
    url = {"url": f"{known.url}/files/hum.th", "files": [{"path": "hum.th"}]}
    write_registry(config_folder() / "checkpoints.toml", {"mine": {"sources": [url], "licence": licence}})
    notice, downloaded = checkpoints("pull", "mine").err.splitlines()
    assert notice.startswith("mine: ")
    assert ("states no licence" if licence == "unstated" else licence) in notice
    assert downloaded.startswith("mine was downloaded from ")


@pytest.mark.loopback
def test_a_codec_that_is_refused_fails_the_pull(checkpoints, known: HubServer) -> None:
    known.files["files/hum.th"] = Served(CODEC, gives=CODEC[::-1])
    ran = checkpoints("pull", "tiny")
    assert ran.code == 4
    assert "is refused" in ran.err
    assert lookup.find("tiny").exists()


@pytest.mark.parametrize("command", [["path", "tiny"], ["pull", "tiny", "--offline"], ["verify", "tiny"]])
def test_a_missing_checkpoint_gives_the_command_that_downloads_it(checkpoints, known: HubServer, command) -> None:
    ran = checkpoints(*command)
    assert ran.code == 4
    assert "valle checkpoints pull tiny" in ran.err
    assert known.requests == []


def test_built_in_checkpoints_are_not_downloaded(checkpoints) -> None:
    ran = checkpoints("pull", "nano")
    assert ran.code == 4
    assert "built in" in ran.err


def test_an_error_in_the_users_file_is_a_usage_error(checkpoints) -> None:
    write_registry(config_folder() / "checkpoints.toml", {"mine": {"sources": [], "qality": "good"}})
    ran = checkpoints("list")
    assert ran.code == 2
    assert str(config_folder() / "checkpoints.toml") in ran.err
    assert "'mine'" in ran.err


@pytest.mark.loopback
def test_an_invalid_entry_stops_no_command_on_another(checkpoints, known: HubServer) -> None:
    path = config_folder() / "checkpoints.toml"
    bad = (
        "[bad]\nkind = 'model'\nfamily = 'x'\nquality = 'x'\n[[bad.sources]]\nrepo = 'a..b/c'\nfiles = [{path = 'a'}]\n"
    )
    path.write_text(
        f"{bad}\n['../evil\\u001b']\nkind = 1\n".replace("'../evil\\u001b'", '"../evil\\u001b"') + path.read_text()
    )
    assert checkpoints("pull", "tiny").code == 0
    for command in (["path", "tiny"], ["show", "tiny"], ["verify", "tiny"], ["show", "vallex"], ["rm", "hum"]):
        assert checkpoints(*command).code == 0
    for command in ("pull", "path", "show", "verify", "rm"):
        ran = checkpoints(command, "bad")
        assert (ran.code, ran.out) == (2, b"")
        assert "'a..b/c' is not of the form owner/name" in ran.err
    listed = checkpoints("list")
    assert listed.code == 2
    rows = [line.split("\t") for line in listed.out.decode().splitlines()]
    assert ["bad", "unknown", "invalid", "unknown", "unknown"] in rows
    assert ["../evil\\x1b", "unknown", "invalid", "unknown", "unknown"] in rows
    assert ["tiny", "model", "here", str(len(WEIGHTS)), "MIT"] in rows
    assert "\x1b" not in listed.err
    verified = checkpoints("verify")
    assert verified.code == 2
    assert verified.out.startswith(b"ok\ttiny\t")


ESCAPE = "\x1b]0;x\x07\u202e"


def test_text_of_an_entry_is_printed_without_control_characters(checkpoints, known: HubServer, monkeypatch) -> None:
    repo = {"repo": "someone/tiny", "files": [{"path": "a"}]}
    url = {"url": "https://user:secret@example.org/a?token=secret", "files": [{"path": "a"}]}
    facts = {"facts": {f"f{ESCAPE}": ESCAPE}, "languages": [ESCAPE], "quality": f"{ESCAPE}[red]x"}
    entry = {"sources": [repo, url], "licence": f"X{ESCAPE}[b]", **facts}
    path = config_folder() / "checkpoints.toml"
    write_registry(path, {"mine": {key: value for key, value in entry.items() if key != "facts"}})
    path.write_text(f'{path.read_text()}\n[mine.facts]\n"f\\u001b" = "\\u001b[2J"\n')
    for command in (["list"], ["show", "mine"]):
        ran = checkpoints(*command)
        assert ran.code == 0, ran.err
        assert not set("\x1b\x07\u202e") & set(ran.out.decode() + ran.err)
        assert "secret" not in ran.out.decode()
    assert "f\\x1b: \\x1b[2J" in checkpoints("show", "mine").out.decode()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    table = checkpoints("list").out.decode()
    assert "X\\x1b]0;x\\x07\\u202e[b]" in table
    assert "\x1b" not in table


# verify, rm


@pytest.mark.parametrize("command", [["add", "--as", "tiny"], ["verify"], ["show"], ["path"]])
@pytest.mark.parametrize("what", ["fifo", "device", "endless"])
def test_what_is_no_file_is_no_checkpoint_and_no_reason_to_wait(
    checkpoints, known: HubServer, tmp_path: Path, command: list[str], what: str
) -> None:
    path = {"device": "/dev/null", "endless": "/dev/zero"}.get(what, tmp_path / "fifo")
    if what == "fifo":
        os.mkfifo(path)
    ran = checkpoints(command[0], path, *command[1:])
    assert ran.code == {"add": 3, "path": 0}.get(command[0], 4)
    assert "bug" not in ran.err


@pytest.mark.loopback
def test_verify_escapes_names_of_files(checkpoints, known: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a\x1b[2J\tok\n.pt").write_bytes(WEIGHTS)
    (folder / "b.pt").write_bytes(b"x")
    ran = checkpoints("verify", folder)
    assert ran.code == 4
    assert "\x1b" not in ran.out.decode() + ran.err
    assert len(ran.out.decode().splitlines()) == 2
    found = [row["path"] for row in json.loads(checkpoints("verify", folder, "--json").out)]
    assert str(folder / "a\x1b[2J\tok\n.pt") in found


@pytest.mark.loopback
def test_rm_reports_what_was_removed_before_an_error(checkpoints, known: HubServer, monkeypatch) -> None:
    checkpoints("pull", "tiny")
    remove = shutil.rmtree
    monkeypatch.setattr(
        shutil, "rmtree", lambda path, **options: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    ran = checkpoints("rm", "tiny", "hum")
    assert ran.code == 4
    assert "tiny was removed" in ran.err
    assert "hum was removed" not in ran.err
    assert "permission denied" in ran.err
    assert checkpoints("path", "hum").code == 0
    monkeypatch.setattr(shutil, "rmtree", remove)
    assert "hum was removed" in checkpoints("rm", "hum", "hum").err


@pytest.mark.loopback
def test_verify_has_a_line_for_each_file_and_exits_with_4_for_a_bad_one(checkpoints, known: HubServer) -> None:
    assert lines(checkpoints("verify")) == []
    checkpoints("pull", "tiny")
    tiny, hum = str(lookup.find("tiny")), str(lookup.find("hum"))
    assert lines(checkpoints("verify")) == [["ok", "tiny", tiny], ["ok", "hum", hum]]
    Path(hum).write_bytes(CODEC[::-1])
    ran = checkpoints("verify")
    assert ran.code == 4
    assert ran.out.decode().splitlines()[0] == f"ok\ttiny\t{tiny}"
    assert ran.out.decode().splitlines()[1].startswith(f"bad\thum\t{hum}\tits hash")
    assert "valle checkpoints pull hum" in ran.err
    assert checkpoints("verify", "tiny").code == 0
    states = [row["state"] for row in json.loads(checkpoints("verify", "--json").out)]
    assert states == ["ok", "bad"]


def test_verify_accepts_a_path(checkpoints, known: HubServer, tmp_path: Path) -> None:
    published, mine = tmp_path / "renamed.bin", write_vallex(tmp_path / "mine.pt")
    published.write_bytes(WEIGHTS)
    assert lines(checkpoints("verify", published)) == [["ok", "tiny", str(published)]]
    assert lines(checkpoints("verify", mine)) == [["unknown", "", str(mine)]]
    content = mine.read_bytes()
    mine.unlink()
    mine.write_bytes(content[:-100])
    ran = checkpoints("verify", mine, "--json")
    assert ran.code == 4
    assert str(mine) in ran.err
    [result] = json.loads(ran.out)
    assert (result["state"], result["name"], result["path"]) == ("bad", "", str(mine))
    assert "damaged" in result["reason"]


def test_verify_of_a_folder_without_its_weights_exits_with_4(
    checkpoints, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "mine"))
    assert lines(checkpoints("verify", folder)) == [["unknown", "", str(folder / "model.safetensors")]]
    (folder / "model.safetensors").unlink()
    ran = checkpoints("verify", folder)
    assert ran.code == 4
    assert ran.out.decode().startswith(f"bad\t\t{folder}\t")


@pytest.mark.loopback
def test_rm_removes_only_what_is_named(checkpoints, known: HubServer) -> None:
    checkpoints("pull", "tiny")
    assert as_json(checkpoints("rm", "tiny", "--json")) == [{"name": "tiny", "removed": True}]
    assert checkpoints("path", "tiny").code == 4
    assert checkpoints("path", "hum").code == 0
    ran = checkpoints("rm", "tiny")
    assert (ran.code, ran.out) == (0, b"")
    assert "was not on this machine" in ran.err


# add


def installed() -> list[str]:
    return sorted(path.relative_to(local.folder()).as_posix() for path in local.folder().rglob("*"))


def test_a_file_is_recognised_by_its_hash_whatever_its_name(checkpoints, known: HubServer, tmp_path: Path) -> None:
    file = tmp_path / "downloaded (1).bin"
    file.write_bytes(WEIGHTS)
    [[name, path]] = lines(checkpoints("add", file, "--as", "tiny"))
    assert name == "tiny"
    assert Path(path).read_bytes() == file.read_bytes() == WEIGHTS
    assert lookup.find("tiny") == Path(path)
    assert lines(checkpoints("verify")) == [["ok", "tiny", path]]
    assert known.requests == []


def test_a_file_of_the_same_family_is_accepted_and_reported(
    checkpoints, known: HubServer, describes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.pt"
    file.write_bytes(b"trained at home")
    describes(Description("tiny", missing=("the number of heads is not stored",)))
    ran = checkpoints("add", file, "--as", "tiny", "--json")
    assert Path(as_json(ran)["path"]).read_bytes() == b"trained at home"
    assert "none of the published files" in ran.err
    assert "the number of heads is not stored" in ran.err
    assert lines(checkpoints("verify"))[0][0] == "ok"  # by the hash it had when it was added


def test_a_folder_of_several_files_is_copied(checkpoints, known: HubServer, describes, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in [*FOLDER, "optimizer.bin"]:
        (folder / name).write_bytes(name.encode())
    describes(Description("tiny"))
    [[_, path]] = lines(checkpoints("add", folder, "--as", "babble"))
    assert sorted(file.name for file in Path(path).iterdir()) == sorted([*FOLDER, local.MANIFEST])
    assert lookup.find("babble") == Path(path)


@pytest.mark.parametrize(
    ("content", "name", "code", "message"),
    [
        (b"a vocoder", "tiny", 4, "its contents are of the family vocos"),
        (b"", "tiny", 4, "it is empty"),
        (WEIGHTS[:-1], "tiny", 4, "not a published one"),
        (b"{}", "babble", 3, "config.json, model.safetensors"),
        (None, "tiny", 3, "does not exist"),
        (WEIGHTS, "tinny", 4, "Did you mean tiny?"),
    ],
)
def test_a_refused_file_leaves_the_installed_one(
    checkpoints, known: HubServer, describes, tmp_path: Path, content: bytes | None, name: str, code: int, message: str
) -> None:
    good, file = tmp_path / "good.pt", tmp_path / "bad.pt"
    good.write_bytes(WEIGHTS)
    checkpoints("add", good, "--as", "tiny")
    if content is not None:
        file.write_bytes(content)
    describes(Description("vocos"))
    ran = checkpoints("add", file, "--as", name)
    assert (ran.code, ran.out) == (code, b"")
    assert message in ran.err
    assert installed() == ["tiny", f"tiny/{local.MANIFEST}", "tiny/tiny.pt"]
    assert lookup.find("tiny").read_bytes() == WEIGHTS


def test_a_scorer_is_of_no_family_its_hash_decides_if_it_is_known(checkpoints, own_folder: Path) -> None:
    hashed = {"path": "net.onnx", "sha256": hashlib.sha256(b"scores").hexdigest()}
    sources = {
        name: [{"url": f"https://a.b/{name}", "files": [file]}]
        for name, file in (("known", hashed), ("unknown", {"path": "net.onnx"}))
    }
    entries = {name: {"kind": "scorer", "sources": found} for name, found in sources.items()}
    write_registry(config_folder() / "checkpoints.toml", entries)
    (own_folder / "net.onnx").write_bytes(b"scores")
    (own_folder / "other.onnx").write_bytes(b"other")
    assert checkpoints("add", "net.onnx", "--as", "known").code == 0
    refused = checkpoints("add", "other.onnx", "--as", "known")
    assert (refused.code, "its hash is not a published one" in refused.err) == (4, True)
    accepted = checkpoints("add", "other.onnx", "--as", "unknown")
    assert (accepted.code, "unchecked" in accepted.err) == (0, True)
    assert lookup.find("unknown").read_bytes() == b"other"
    assert lookup.find("known").read_bytes() == b"scores"


def test_a_file_in_no_known_format_is_refused_under_its_name(
    checkpoints, known: HubServer, describes, tmp_path: Path
) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(b"sunset")
    describes(None)
    ran = checkpoints("add", file, "--as", "tiny")
    assert ran.code == 4
    assert f"{file} is not tiny: its hash is not a published one, and it is in no known format" in ran.err
    assert installed() == []


def test_an_interrupted_add_changes_nothing(
    checkpoints, known: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "good.pt"
    file.write_bytes(WEIGHTS)
    checkpoints("add", file, "--as", "tiny")
    before = installed()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imports, "_read", interrupted)
    assert checkpoints("add", file, "--as", "tiny").code == 130
    assert installed() == before


# convert


def test_convert_gets_the_files_of_a_name(
    checkpoints, known: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "good.pt"
    file.write_bytes(WEIGHTS)
    checkpoints("add", file, "--as", "tiny")
    calls: list[tuple[Path, Path, dict[str, Any]]] = []
    monkeypatch.setattr(convert, "convert", lambda source, out, options: calls.append((source, out, options)))
    assert lines(checkpoints("convert", "tiny", "out")) == [["out"]]
    given = ["--option", "symbols=table", "--option", "heads=16"]
    assert as_json(checkpoints("convert", file, "out", *given, "--json")) == {"path": "out"}
    assert calls == [
        (lookup.find("tiny"), Path("out"), {}),
        (file, Path("out"), {"symbols": "table", "heads": "16"}),
    ]


# speak


@pytest.mark.parametrize("options", [["--offline"], []])
def test_speak_with_an_absent_checkpoint_names_the_command_that_downloads_it(valle: Valle, options: list[str]) -> None:
    ran = valle("speak", "--prompt", "x.wav", "--text", "Hello.", "--checkpoint", "vallex", *options)
    assert ran.code == 4
    assert "valle checkpoints pull vallex" in ran.err
    assert ("valle checkpoints add" in ran.err) == bool(options)


def test_speak_finds_a_checkpoint_by_its_name(
    valle: Valle, known: HubServer, tiny_checkpoint: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.install("babble", "here", partial(shutil.copytree, tiny_checkpoint, dirs_exist_ok=True))
    monkeypatch.setenv("VALLE_OFFLINE", "yes")
    fixed = ["--prompt", reference, "--text", "Hello.", "--max-seconds", "0.2", "-o", "a.wav"]
    ran = valle("speak", "--checkpoint", "babble", *fixed)
    assert ran.out == b"a.wav\n", ran.err
