"""C2PA manifests (https://c2pa.org): signed metadata that say that a file is synthetic, and their verification.

Nothing is sent: signatures have no time stamp of a server, and no manifests are fetched.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from vallecli.audio.provenance import SOURCE_TYPE, SOURCE_TYPE_URI, Provenance
from vallecli.errors import SigningError, UsageError
from vallecli.extras import extra

MIME_TYPES = {  # format -> type
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
}
PURPOSE = "a C2PA manifest"
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
UNTRUSTED = "signingCredential.untrusted"  # there is no list of trusted certificates


def check_signable(format: str) -> None:
    """Raise UsageError for a format that cannot have a manifest."""
    if format not in MIME_TYPES:
        raise UsageError(
            f"the format {format} cannot be signed: C2PA has no place for it",
            f"Formats that can be signed: {', '.join(MIME_TYPES)}.",
        )


class Signer:
    """A certificate chain and its private key, both in PEM."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raise SigningError for files that do not fit together, and ExtraMissing without the packages."""
        with extra("c2pa", PURPOSE):
            import c2pa
        chain, private = _read(certificate), _read(key)
        self.certificate_sha256 = hashlib.sha256(chain).hexdigest()
        try:
            info = c2pa.C2paSignerInfo(alg=_algorithm(private, key), sign_cert=chain, private_key=private, ta_url=None)
            self.signer = c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise SigningError(f"{certificate} and {key} cannot sign: {error}") from error

    def sign(self, file: BinaryIO, format: str, provenance: Provenance) -> None:
        """Add a manifest to a finished file that is open for reading, writing and seeking. Raises SigningError."""
        import io

        import c2pa

        signed = io.BytesIO()
        file.seek(0)
        try:
            c2pa.Builder(json.dumps(manifest(provenance)), context=_offline(c2pa)).sign(
                self.signer, MIME_TYPES[format], file, signed
            )
        except c2pa.C2paError as error:
            raise SigningError(f"the file cannot be signed: {error}") from error
        file.seek(0)
        file.write(signed.getvalue())
        file.truncate()
        file.flush()


def manifest(provenance: Provenance) -> dict[str, Any]:
    """Return the manifest definition of a file."""
    name, _, version = provenance.software.partition(" ")
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE_URI, "description": provenance.statement}
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "title": provenance.statement,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _offline(c2pa: Any) -> Any:
    """Return a context of the module c2pa that uses no network."""
    return c2pa.Context(c2pa.Settings.from_dict(OFFLINE))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SigningError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _algorithm(private: bytes, path: Path) -> bytes:
    """Return C2PA's name of the signature algorithm for a private key. Raises SigningError."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private, None)
    except (ValueError, TypeError) as error:  # the latter for a key with a password
        raise SigningError(f"{path} is not a private key in PEM without a password") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in (256, 384, 521):
        return {256: b"es256", 384: b"es384", 521: b"es512"}[key.curve.key_size]
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise SigningError(f"{path} is a key of a kind that C2PA does not have")


@dataclass(frozen=True)
class Verified:
    """What a manifest says, and whether its signature and the hashes of the file are right."""

    valid: bool
    synthetic: bool
    """Whether it says that a trained model made the file."""
    signer: str
    """Who signed according to the certificate, which is not compared with a list of trusted ones."""
    problems: tuple[str, ...]
    """Codes of C2PA."""


def verify(path: Path) -> Verified | None:
    """Return the verified manifest of a file; None without one, or for a format that has none.

    Raises ExtraMissing without the packages.
    """
    with extra("c2pa", PURPOSE):
        import c2pa
    with path.open("rb") as file:
        kind = _mime_type(file.read(12))
        if kind is None:
            return None
        file.seek(0)
        try:
            reader = c2pa.Reader(kind, file, context=_offline(c2pa))
        except c2pa.C2paError as error:
            found = type(error).__name__.removeprefix("_C2pa")
            return None if found == "ManifestNotFound" else Verified(False, False, "", (found,))
        with reader:
            store = json.loads(reader.json())
    active = store["manifests"][store["active_manifest"]]
    problems = tuple(status["code"] for status in store.get("validation_status", []) if status["code"] != UNTRUSTED)
    signature = active.get("signature_info", {})
    return Verified(
        valid=store.get("validation_state") in ("Valid", "Trusted") and not problems,
        synthetic=SOURCE_TYPE in json.dumps(active.get("assertions", [])),
        signer=signature.get("common_name") or signature.get("issuer") or "",
        problems=problems,
    )


def _mime_type(head: bytes) -> str | None:
    """Return the type of a file by its first 12 bytes; None if it cannot have a manifest."""
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return MIME_TYPES["wav"]
    if head[:4] == b"fLaC":
        return MIME_TYPES["flac"]
    if head[4:8] == b"ftyp":
        return MIME_TYPES["m4a"]
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0):
        return MIME_TYPES["mp3"]
    return None
