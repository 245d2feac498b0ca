"""Who vouches for a bundle: an Ed25519 signature beside the manifest, over its bytes and the name of the version.

The manifest names the length and the digest of every other file, so one signature covers all of them; the name goes
along, so that a good bundle in the place of another one is seen. Ed25519 is that of RFC 8032. Needs the extra ``sign``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steelyard.errors import BundleRefused, RunUnwritable, SigningRefused, need

SIGNATURE = "manifest.sig"
"""Where the signature lies: JSON with the version, the key's fingerprint and the signature in base64."""

LARGEST = 2**12
_PURPOSE = b"steelyard bundle signature 1"
_FINGERPRINT = 16


def _message(manifest: bytes, version: str) -> bytes:
    """Return what is signed; no version holds the byte that parts it from the manifest."""
    return b"\0".join((_PURPOSE, version.encode(), manifest))


def keygen(private: Path) -> Path:
    """Write a new private key, and beside it the public one, whose name ends in ``.pub``.

    Parameters
    ----------
    private
        File to write (PEM, PKCS #8); only its owner may read it.

    Returns
    -------
    Path
        The file of the public key.

    Raises
    ------
    RunUnwritable
        If either file exists already or cannot be written.
    MissingExtra
        If ``cryptography`` is not installed.
    """
    made, forms = _ed25519().Ed25519PrivateKey.generate(), _forms()
    public = private.with_name(f"{private.name}.pub")
    secret = made.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    shown = made.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    if taken := next((path for path in (private, public) if os.path.lexists(path)), None):
        raise RunUnwritable(f"{taken} exists already and no key is overwritten; name another file")
    for path, content, mode in ((private, secret, 0o600), (public, shown, 0o644)):
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with open(number, "wb") as file:  # noqa: PTH123 - Path.open cannot set who may read
                file.write(content)
        except OSError as problem:
            raise RunUnwritable(f"cannot write {path}: {problem.strerror}; name another file") from None
    return public


class Signer:
    """A private key.

    Parameters
    ----------
    path
        Its file, as :func:`keygen` writes it.

    Raises
    ------
    SigningRefused
        If it is no private Ed25519 key without a password.
    MissingExtra
        If ``cryptography`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            key = _forms().load_pem_private_key(path.read_bytes(), None)
        except OSError as problem:
            raise SigningRefused(f"the key {path} cannot be read: {problem.strerror}; make one with keygen") from None
        except (ValueError, TypeError, _unsupported()):
            key = None
        if not isinstance(key, _ed25519().Ed25519PrivateKey):
            raise SigningRefused(f"{path} holds no private Ed25519 key that is free of a password; make one: keygen")
        self._key: Any = key
        self.fingerprint = _fingerprint(key.public_key())

    def sign(self, manifest: bytes, version: str) -> bytes:
        """Return the file of the signature of a manifest under the name of a version."""
        signature = base64.b64encode(self._key.sign(_message(manifest, version))).decode()
        return json.dumps({"version": version, "key": self.fingerprint, "ed25519": signature}).encode() + b"\n"


class Trust:
    """Public keys, any of which may vouch for a bundle.

    Parameters
    ----------
    paths
        Their files (PEM).

    Raises
    ------
    SigningRefused
        If one is no public Ed25519 key, or there is none.
    MissingExtra
        If ``cryptography`` is not installed.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        keys = [_public(path) for path in paths]
        if not keys:
            raise SigningRefused("no key is trusted, so nothing could be loaded; name a public key with --trust")
        self._keys = {_fingerprint(key): key for key in keys}

    def check(self, manifest: bytes, signature: bytes | None, version: str) -> None:
        """Refuse a manifest that no trusted key has signed under this name.

        Raises
        ------
        BundleRefused
            If there is no signature, or it is of another version, another key, or other bytes.
        """
        if signature is None:
            raise BundleRefused("it is not signed, and only signed bundles are loaded here; shelve it with --sign")
        named, fingerprint, given = _parsed(signature)
        if named != version:
            raise BundleRefused(
                f"it is signed as version {named!r} and stands in the place of {version!r}; do not trust it"
            )
        key = self._keys.get(fingerprint)
        if key is None:
            known = ", ".join(self._keys)
            raise BundleRefused(f"it is signed by the key {fingerprint!r}; trusted here: {known}")
        try:
            key.verify(given, _message(manifest, version))
        except need("cryptography.exceptions", for_="a signature").InvalidSignature:
            raise BundleRefused(
                "its signature does not fit its manifest: one of them was changed; do not trust it"
            ) from None


def _parsed(signature: bytes) -> tuple[str, str, bytes]:
    try:
        data = json.loads(signature)
        named, key, given = data["version"], data["key"], base64.b64decode(data["ed25519"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise BundleRefused(f"{SIGNATURE} is no signature; shelve the bundle again with --sign") from None
    return str(named)[:80], str(key)[:80], given


def _public(path: Path) -> Any:
    try:
        key = _forms().load_pem_public_key(path.read_bytes())
    except OSError as problem:
        raise SigningRefused(f"the key {path} cannot be read: {problem.strerror}; name a public key") from None
    except (ValueError, TypeError, _unsupported()):
        key = None
    if not isinstance(key, _ed25519().Ed25519PublicKey):
        raise SigningRefused(f"{path} holds no public Ed25519 key; keygen writes one that ends in .pub")
    return key


def _fingerprint(public: Any) -> str:
    """Return the beginning of the SHA-256 of a public key's 32 bytes, in hexadecimal."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_FINGERPRINT]


def _ed25519() -> Any:
    return need("cryptography.hazmat.primitives.asymmetric.ed25519", for_="a signature")


def _forms() -> Any:
    return need("cryptography.hazmat.primitives.serialization", for_="a signature")


def _unsupported() -> type[Exception]:
    error: type[Exception] = need("cryptography.exceptions", for_="a signature").UnsupportedAlgorithm
    return error
