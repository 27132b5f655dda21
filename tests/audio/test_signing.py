"""C2PA manifests: signed with a certificate made here, verified, and broken by any change of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("c2pa", reason="vallecli[c2pa] is not installed")

from credentials import KEYS, credentials

from vallecli.audio.files import open_output, read_audio
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import MIME_TYPES, Signer, check_signable, verify
from vallecli.errors import SigningError, UsageError

if TYPE_CHECKING:
    from conftest import Valle

MADE = Provenance("nano", "2026-11-30")
WAV_N = (0.3 * np.sin(0.05 * np.arange(24_000))).astype(np.float32)


def signed(folder: Path, format: str, signer: Signer) -> Path:
    path = folder / f"signed.{format}"
    finish = lambda file: signer.sign(file, format, MADE)  # noqa: E731
    with open_output(path, sample_rate=24_000, provenance=MADE, finish=finish) as output:
        output.write(WAV_N)
    return path


@pytest.mark.parametrize("format", MIME_TYPES)
def test_a_signed_file_is_verified_and_any_change_is_found(tmp_path: Path, format: str) -> None:
    path = signed(tmp_path, format, Signer(*credentials(tmp_path)))
    found = verify(path)
    assert found is not None
    assert (found.valid, found.synthetic, found.signer, found.problems) == (True, True, "Signer", ())
    plain = tmp_path / f"plain.{format}"
    with open_output(plain, sample_rate=24_000, provenance=MADE) as output:
        output.write(WAV_N)
    assert verify(plain) is None
    np.testing.assert_array_equal(read_audio(path, sample_rate=24_000), read_audio(plain, sample_rate=24_000))
    content = bytearray(path.read_bytes())
    place = content.index(plain.read_bytes()[-600:-500])  # within the samples
    content[place + 50] ^= 1
    path.write_bytes(content)
    changed = verify(path)
    assert changed is not None
    assert not changed.valid
    assert changed.problems


@pytest.mark.parametrize("kind", KEYS)
def test_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    found = verify(signed(tmp_path, "wav", Signer(*credentials(tmp_path, kind))))
    assert found is not None
    assert found.valid


def test_files_that_cannot_sign(tmp_path: Path) -> None:
    chain, key = credentials(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    wrong, _ = credentials(other)
    text = tmp_path / "text.pem"
    text.write_text("no key")
    for pair in ((chain, tmp_path / "missing.pem"), (chain, text), (tmp_path / "missing.pem", key)):
        with pytest.raises(SigningError):
            Signer(*pair)
    with pytest.raises(SigningError):
        signed(tmp_path, "wav", Signer(text, key))
    assert not (tmp_path / "signed.wav").exists()
    with pytest.raises(SigningError):
        signed(tmp_path, "wav", Signer(wrong, key))


@pytest.mark.parametrize("format", ["ogg", "opus", "raw", "ulaw", "alaw"])
def test_formats_that_cannot_be_signed(format: str) -> None:
    with pytest.raises(UsageError, match="cannot be signed"):
        check_signable(format)


def test_speak_signs_and_detect_verifies(valle: Valle, tiny_checkpoint: Path, reference: Path, tmp_path: Path) -> None:
    chain, key = credentials(tmp_path)
    voice = ["speak", "--prompt", reference, "--checkpoint", tiny_checkpoint, "--seed", "1", "--max-seconds", "1"]
    sign = ["--text", "One is here.", "--sign", chain, "--key", key]
    assert valle(*voice, *sign, "-o", "signed.mp3").code == 0
    found = json.loads(valle("detect", "--json", "signed.mp3").out)
    assert found["c2pa"] == {"valid": True, "synthetic": True, "signer": "Signer", "problems": []}
    line = valle("detect", "signed.mp3").out.decode()
    assert line.rstrip().endswith("; C2PA manifest: valid, signed by Signer, says synthetic")
    for options, message in (
        ([*sign, "-o", "out.ogg"], "the format ogg cannot be signed"),
        ([*sign, "-o", "-"], "a pipe cannot be signed"),
        ([*sign[:4], "-o", "out.wav"], "--sign and --key belong together"),
    ):
        ran = valle(*voice, *options)
        assert (ran.code, ran.out) == (2, b"")
        assert message in ran.err
