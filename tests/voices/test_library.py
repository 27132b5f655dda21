"""The library: names, folders that appear and disappear whole, cached codes, and `.voice` files that were changed."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vallecli.audio import prompt
from vallecli.errors import DamagedVoice, InvalidVoiceName, OutputExists, UnknownVoice, VoiceExists
from vallecli.synthesizer import Synthesizer
from vallecli.voices import codes, exchange, library
from vallecli.voices.library import StoredVoice
from vallecli.voices.names import folder, stored_names
from vallecli.voices.record import VERIFIED, Consent, encode_recording


@pytest.fixture
def anna(reference: Path) -> StoredVoice:
    return library.add("anna", prompt.load(reference), transcript="What I said.", notes="a note")


def test_a_voice_is_read_as_it_was_added(anna: StoredVoice, reference: Path) -> None:
    again = library.get("anna")
    assert again == anna
    assert (again.transcript, again.record.notes, again.consent) == ("What I said.", "a note", None)
    np.testing.assert_allclose(again.wav(), prompt.load(reference).wav, atol=1 / 32_000)
    assert sorted(path.name for path in anna.path.iterdir()) == ["recording.flac", "voice.json"]


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", "/etc", "~root", "-x", ".hidden", " a", "a ", "a.", "con", "NUL"),
        *("aux.txt", "a\nb", "a\0b", "a:b", "a*", "a\u202eb", "x" * 65, "\ud800"),
    ],
)
def test_names_that_are_refused(anna: StoredVoice, reference: Path, name: str) -> None:
    for action in (
        lambda: library.add(name, prompt.load(reference), overwrite=True),
        lambda: library.rename("anna", name),
        lambda: library.get(name),
        lambda: library.remove(name),
    ):
        with pytest.raises(InvalidVoiceName) as caught:
            action()
        assert caught.value.message.isprintable()
    assert stored_names() == ["anna"]


@pytest.mark.parametrize("other", ["ANNA", "Anna", "ａnna"])
def test_names_are_unique_in_any_case_and_width(anna: StoredVoice, reference: Path, other: str) -> None:
    assert library.get(other) == anna
    with pytest.raises(VoiceExists):
        library.add(other, prompt.load(reference))
    library.add(other, prompt.load(reference), overwrite=True)
    assert stored_names() == ["anna"]


def test_names_are_stored_in_nfc(reference: Path) -> None:
    library.add("Zoe\u0308", prompt.load(reference))
    assert stored_names() == ["Zo\u00eb"]
    assert library.get("zo\u00cb").name == "Zo\u00eb"


def test_rename(anna: StoredVoice, reference: Path) -> None:
    library.add("bob", prompt.load(reference))
    with pytest.raises(VoiceExists):
        library.rename("anna", "BOB")
    assert library.rename("anna", "Anna").name == "Anna"  # another case only
    assert library.rename("Anna", "carl").record == anna.record
    assert stored_names() == ["bob", "carl"]
    with pytest.raises(UnknownVoice, match="anna"):
        library.rename("anna", "dora")


def test_rm_removes_nothing_outside(anna: StoredVoice, reference: Path, tmp_path: Path) -> None:
    library.add("bob", prompt.load(reference))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "voice.json").write_text("kept")
    (anna.path / "link").symlink_to(outside)
    (anna.path / "codes").symlink_to(outside, target_is_directory=True)
    (folder() / "linked").symlink_to(outside, target_is_directory=True)
    assert library.remove("anna") == "anna"
    assert library.remove("linked") == "linked"  # the link alone
    assert (outside / "voice.json").read_text() == "kept"
    assert stored_names() == ["bob"]
    assert [path.name for path in folder().iterdir()] == ["bob"]
    with pytest.raises(UnknownVoice):
        library.remove("anna")


def test_a_failing_add_changes_nothing(anna: StoredVoice, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(library.VoiceError, match="no space"):
        library.add("anna", prompt.load(reference), notes="new", overwrite=True)
    assert library.get("anna") == anna
    assert [path.name for path in folder().iterdir()] == ["anna"]


def change_json(voice: StoredVoice, **changes: object) -> None:
    values = json.loads((voice.path / "voice.json").read_text())
    (voice.path / "voice.json").write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"format": "x"},
        {"sha256": "0" * 64},
        {"seconds": "6"},
        {"more": 1},
        {"consent": {"kind": "verified"}},
    ],
    ids=str,
)
def test_a_damaged_voice_is_listed_and_can_be_removed(anna: StoredVoice, changes: dict[str, object]) -> None:
    change_json(anna, **changes)
    with pytest.raises(DamagedVoice, match="anna"):
        library.get("anna").wav()
    assert [name for name, _ in library.voices()] == ["anna"]
    library.remove("anna")
    assert stored_names() == []


def test_a_consent_for_another_recording_does_not_count(anna: StoredVoice) -> None:
    consent = Consent(
        kind=VERIFIED,
        date=library.timestamp(),
        words=1.0,
        similarity=1.0,
        threshold=0.5,
        statement_sha256="0" * 64,
        recording_sha256="1" * 64,
    )
    assert library.update(anna, replace(anna.record, consent=consent)).consent is None
    mine = replace(consent, recording_sha256=anna.record.sha256)
    library.update(anna, replace(anna.record, consent=mine))
    assert library.get("anna").consent == mine


# Codes


def test_cached_equals_fresh_and_damaged_codes_are_ignored(anna: StoredVoice, tiny_checkpoint: Path) -> None:
    synthesizer = Synthesizer.load(str(tiny_checkpoint))
    fresh = synthesizer.voice(anna)
    (file,) = (anna.path / "codes").iterdir()
    made: list[str] = []
    encode = synthesizer.backend.make_voice
    synthesizer.backend.make_voice = lambda *arguments: (made.append("made"), encode(*arguments))[1]  # type: ignore[method-assign]
    np.testing.assert_array_equal(synthesizer.voice(anna).codes_PQ, fresh.codes_PQ)
    assert made == []
    good = json.loads(file.read_text())
    bad_codes = ([], [[1]], [[1.5] * 8], [[-1] * 8], [[10_000] * 8], [[0] * 8, [0]], "x", [[True] * 8])
    for bad in (
        {**good, "recording": "0" * 64},
        {},
        [],
        *({**good, "arrays": {**good["arrays"], "codes_PQ": value}} for value in bad_codes),
    ):
        file.write_text(json.dumps(bad))
        np.testing.assert_array_equal(synthesizer.voice(anna).codes_PQ, fresh.codes_PQ)
        assert json.loads(file.read_text()) == good
    assert len(made) == 3 + len(bad_codes)


def test_another_checkpoint_has_other_codes(anna: StoredVoice, tiny_checkpoint: Path, tmp_path: Path) -> None:
    key = codes.checkpoint_key(tiny_checkpoint, device="cpu")
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_checkpoint.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert codes.checkpoint_key(tiny_checkpoint, device="cpu") == key
    changed = codes.checkpoint_key(copy, device="cpu")
    (copy / "config.json").write_text("{}")
    assert len({key, changed, codes.checkpoint_key(copy, device="cpu"), codes.checkpoint_key(copy, device="cuda")}) == 4


# .voice files


def test_export_is_deterministic_and_import_restores_the_voice(anna: StoredVoice, tmp_path: Path) -> None:
    one, two = tmp_path / "one.voice", tmp_path / "two.voice"
    exchange.export(anna, one)
    with pytest.raises(OutputExists):
        exchange.export(anna, one)
    exchange.export(library.get("anna"), two)
    assert one.read_bytes() == two.read_bytes()
    with pytest.raises(VoiceExists):
        exchange.import_(one)
    assert exchange.import_(one, "bob").record == anna.record
    np.testing.assert_array_equal(library.get("bob").wav(), anna.wav())


def test_a_verified_consent_is_imported_as_such(anna: StoredVoice, tmp_path: Path) -> None:
    consent = Consent(
        kind=VERIFIED,
        date=library.timestamp(),
        words=1.0,
        similarity=0.9,
        threshold=0.8,
        statement_sha256="0" * 64,
        recording_sha256=anna.record.sha256,
    )
    exchange.export(library.update(anna, replace(anna.record, consent=consent)), tmp_path / "a.voice")
    found = exchange.import_(tmp_path / "a.voice", "bob").consent
    assert found is not None
    assert found.kind == "imported"


Files = dict[str, bytes]
Change = Callable[[Files], Files]


def rebuild(files: Files, **options: int) -> bytes:
    """Return a zip as `pack` lays it out."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", options.get("compress", zipfile.ZIP_STORED)) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, exchange.DATE)
            entry.create_system, entry.external_attr = 3, options.get("mode", exchange.MODE) << 16
            entry.compress_type = options.get("compress", zipfile.ZIP_STORED)
            archive.writestr(entry, content)
    return out.getvalue()


def contents(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def signed(files: Files) -> Files:
    """Return the files with a manifest that has their hashes, as somebody who knows the format would write it."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"size": len(content), "sha256": exchange._sha256(content)}
        for name, content in files.items()
        if name != "manifest.json"
    }
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def with_record(files: Files, **changes: object) -> Files:
    record = {**json.loads(files["voice.json"]), **changes}
    return signed({**files, "voice.json": json.dumps(record).encode()})


def with_manifest(files: Files, **changes: object) -> Files:
    return {**files, "manifest.json": json.dumps({**json.loads(files["manifest.json"]), **changes}).encode()}


def with_recording(files: Files, recording: bytes) -> Files:
    return signed({**files, "recording.flac": recording})


def flac_with_picture(data: bytes) -> bytes:
    return data[:4] + bytes([data[4] & 0x7F]) + data[5:42] + b"\x06\0\0\x04abcd" + data[42:]


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def wav_bytes() -> bytes:
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.zeros(48_000, np.int16) + 1, 24_000, format="WAV")
    return out.getvalue()


NOISE = (np.random.default_rng(0).standard_normal(60_000) * 0.1).astype(np.float32)
TAMPERED: dict[str, Callable[[bytes, Files], bytes]] = {
    "nothing": lambda data, files: b"",
    "no zip": lambda data, files: b"x" * 1000,
    "cut off": lambda data, files: data[: len(data) // 2],
    "bytes behind": lambda data, files: data + b"x",
    "bytes before": lambda data, files: b"x" + data,
    "a comment": lambda data, files: data[:-2] + struct.pack("<H", 1) + b"x",
    "a bit of the recording": lambda data, files: patched(data, len(data) // 2, bytes([data[len(data) // 2] ^ 1])),
    "compressed": lambda data, files: rebuild(files, compress=zipfile.ZIP_DEFLATED),
    "a bomb": lambda data, files: rebuild({**files, "recording.flac": bytes(2**24)}, compress=zipfile.ZIP_DEFLATED),
    "too large": lambda data, files: rebuild({**files, "recording.flac": bytes(2**20 + 1)}),
    "a link": lambda data, files: rebuild(files, mode=0o120777),
    "a program": lambda data, files: rebuild(files, mode=0o100755),
    "another entry": lambda data, files: rebuild({**files, "x": b""}),
    "a path upwards": lambda data, files: rebuild({**files, "../../x": b""}),
    "an absolute path": lambda data, files: rebuild({"/etc/x": b"", **files}),
    "no manifest": lambda data, files: rebuild({k: v for k, v in files.items() if k != "manifest.json"}),
    "no recording": lambda data, files: rebuild({k: v for k, v in files.items() if k != "recording.flac"}),
    "another order": lambda data, files: rebuild(dict(reversed(files.items()))),
    "another case": lambda data, files: rebuild({k.upper(): v for k, v in files.items()}),
    "another local name": lambda data, files: patched(data, 30, b"nanifest.json"),
    "another local size": lambda data, files: patched(data, 22, struct.pack("<I", 5)),
    "encrypted": lambda data, files: patched(data, 6, b"\x01"),
    "another transcript": lambda data, files: rebuild(
        {**files, "voice.json": files["voice.json"].replace(b"What", b"That")}
    ),
    "another recording": lambda data, files: rebuild(with_recording(files, encode_recording(NOISE))),
    "a WAV file": lambda data, files: rebuild(with_recording(files, wav_bytes())),
    "a truncated FLAC": lambda data, files: rebuild(with_recording(files, files["recording.flac"][:-2000])),
    "a FLAC with a picture": lambda data, files: rebuild(
        with_recording(files, flac_with_picture(files["recording.flac"]))
    ),
    "a newer version": lambda data, files: rebuild(with_manifest(files, version=2)),
    "another format": lambda data, files: rebuild(with_manifest(files, format="x")),
    "a name that is a path": lambda data, files: rebuild(with_manifest(files, name="../x")),
    "a name that is no text": lambda data, files: rebuild(with_manifest(files, name=3)),
    "a list for a manifest": lambda data, files: rebuild({**files, "manifest.json": b"[]"}),
    "a key twice": lambda data, files: rebuild(
        {**files, "manifest.json": files["manifest.json"].replace(b"{", b'{"name": "x",', 1)}
    ),
    "deep JSON": lambda data, files: rebuild(signed({**files, "voice.json": b"[" * 50_000})),
    "JSON with NaN": lambda data, files: rebuild(with_record(files, seconds=float("nan"))),
    "no UTF-8": lambda data, files: rebuild(signed({**files, "voice.json": b"\xff"})),
    "an unknown key": lambda data, files: rebuild(with_record(files, path="/etc")),
    "a missing key": lambda data, files: rebuild(
        signed(
            {
                **files,
                "voice.json": json.dumps(
                    {k: v for k, v in json.loads(files["voice.json"]).items() if k != "notes"}
                ).encode(),
            }
        )
    ),
    "a transcript of numbers": lambda data, files: rebuild(with_record(files, transcript=[1])),
    "a long transcript": lambda data, files: rebuild(with_record(files, transcript="x" * 20_000)),
    "another duration": lambda data, files: rebuild(with_record(files, seconds=5.0)),
    "a consent without scores": lambda data, files: rebuild(with_record(files, consent={"kind": "verified"})),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_tampered_file_is_refused(anna: StoredVoice, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.voice"
    exchange.export(anna, path)
    data = path.read_bytes()
    assert exchange.unpack(rebuild(contents(data)), path)[0] == "anna"  # the helper's layout is the right one
    path.write_bytes(TAMPERED[kind](data, contents(data)))
    with pytest.raises(DamagedVoice) as caught:
        exchange.import_(path, "bob")
    assert str(path) in caught.value.message
    assert caught.value.message.isprintable()
    assert stored_names() == ["anna"]


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(exchange.MAX_FILE + 1))
    for name in ("pipe", "large", "missing", "."):
        with pytest.raises(library.VoiceError):
            exchange.import_(tmp_path / name)
