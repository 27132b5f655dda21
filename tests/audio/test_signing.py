"""C2PA manifests: signed with a certificate made here, verified, and broken by any change of the file."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("c2pa", reason="vallecli[c2pa] is not installed")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vallecli.audio.files import open_output, read_audio
from vallecli.audio.provenance import Provenance
from vallecli.audio.signing import MIME_TYPES, Signer, check_signable, verify
from vallecli.errors import SigningError, UsageError

if TYPE_CHECKING:
    from conftest import Valle

MADE = Provenance("nano", "2026-11-30")
WAV_N = (0.3 * np.sin(0.05 * np.arange(24_000))).astype(np.float32)
PEM = serialization.Encoding.PEM
KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
}


def certificate(subject: str, key: Any, issuer: str, issuer_key: Any, *, is_ca: bool) -> x509.Certificate:
    def name(common: str) -> x509.Name:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common)])

    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(
            x509.KeyUsage(True, **usage, key_cert_sign=is_ca, crl_sign=is_ca, encipher_only=False, decipher_only=False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def credentials(folder: Path, kind: str = "p256") -> tuple[Path, Path]:
    """Write a certificate chain and a private key."""
    authority, key = KEYS["p256"](), KEYS[kind]()
    chain = [
        certificate("Signer", key, "Authority", authority, is_ca=False),
        certificate("Authority", authority, "Authority", authority, is_ca=True),
    ]
    paths = folder / "chain.pem", folder / "key.pem"
    paths[0].write_bytes(b"".join(each.public_bytes(PEM) for each in chain))
    paths[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


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
