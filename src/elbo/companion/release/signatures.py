"""Signatures of files, detached or in a bundle of sigstore, checked against a public key that the reader trusts.

A detached signature, ``FILE.sig``, is that of Ed25519 or of ECDSA with SHA-256 over the bytes of the file, raw or in
base64. A sigstore bundle, ``FILE.sigstore.json``, holds either such a signature or a signed statement (DSSE, in-toto)
that names the file's sha256. Who signed is decided by the key alone: what a bundle says of itself (a certificate, an
entry of a log) is not believed here; ``gh attestation verify`` and ``sigstore verify`` follow those to their roots.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

from elbo.companion.project.errors import CompanionError, quote

__all__ = ["BUNDLE", "DETACHED", "beside", "check", "fingerprint", "public_key", "sign"]

DETACHED, BUNDLE = ".sig", ".sigstore.json"
"""What is put after the name of a file: its signature, or its bundle of sigstore."""
_LIMIT = 2**20


class _Wrong(ValueError):
    """A signature that does not hold; the message says what is wrong with it."""


def public_key(path: Path) -> Any:
    """The key in a PEM file: Ed25519 or ECDSA.

    Raises:
        CompanionError: it cannot be read, or is another kind of key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise CompanionError(
            f"{quote(path.name)} is no public key in PEM form; give the file that is published"
        ) from None
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise CompanionError(f"the key in {quote(path.name)} is of another kind; use one of Ed25519 or ECDSA")
    return key


def fingerprint(key: Any) -> str:
    """The first sixteen digits of the sha256 of a public key (its DER form), to be compared by eye."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def beside(path: Path) -> Path | None:
    """The signature that lies beside a file, ``None`` where there is none."""
    found = (path.with_name(path.name + ending) for ending in (DETACHED, BUNDLE))
    return next((one for one in found if one.is_file()), None)


def check(signature: Path, content: bytes, key: Any) -> str | None:
    """``None`` where the signature is the key's and over these bytes, else what is wrong with it."""
    try:
        if signature.stat().st_size > _LIMIT:
            raise _Wrong("it is too large to be a signature")
        raw = signature.read_bytes()
        if signature.name.endswith(".json"):
            _check_bundle(raw, content, key)
        else:
            _verify(key, raw if len(raw) == 64 else _base64(raw.strip()), content)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except _Wrong as error:
        return str(error)
    return None


def sign(content: bytes, private: Path) -> bytes:
    """A detached signature, in base64, by the Ed25519 key in a PEM file that is not encrypted.

    Raises:
        CompanionError: there is no such key in it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise CompanionError(f"{quote(private.name)} holds no private Ed25519 key in PEM form without a password")
    return base64.b64encode(key.sign(content)) + b"\n"


def _check_bundle(raw: bytes, content: bytes, key: Any) -> None:
    try:
        said = json.loads(raw)
        message, envelope = said.get("messageSignature"), said.get("dsseEnvelope")
        if message:
            _verify(key, _base64(message["signature"]), content)
            return
        payload, kind = _base64(envelope["payload"]), envelope["payloadType"].encode()
        (only,) = envelope["signatures"]
        signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        _verify(key, _base64(only["sig"]), signed)
        subjects = [subject["digest"].get("sha256") for subject in json.loads(payload)["subject"]]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _Wrong(str(error) if isinstance(error, _Wrong) else "it is not a bundle of sigstore") from None
    if hashlib.sha256(content).hexdigest() not in subjects:
        raise _Wrong("its statement is about other files")


def _verify(key: Any, signature: bytes, content: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(SHA256()))
        else:
            key.verify(signature, content)
    except InvalidSignature:
        raise _Wrong("it is not this key's over these bytes") from None


def _base64(text: str | bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise _Wrong("it is not in base64") from None
