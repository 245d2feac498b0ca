"""What a deployment takes from this machine to another place: the public keys that must have signed a bundle."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steelyard.bundle.signing import Trust
from steelyard.errors import DeploymentRefused, SigningRefused

TRUSTED = "/trust"
"""The folder of the keys in the container."""


def trusted(paths: Iterable[Path]) -> dict[str, bytes]:
    """Return the keys by the name that they get: ``1.pem`` and so on; nothing but public keys passes.

    Raises
    ------
    DeploymentRefused
        If a file is no public Ed25519 key.
    MissingExtra
        If ``cryptography`` is not installed.
    """
    found = {f"{number}.pem": path for number, path in enumerate(paths, 1)}
    if not found:
        return {}
    try:
        Trust(found.values())
        contents = {name: path.read_bytes() for name, path in found.items()}
    except SigningRefused as problem:
        raise DeploymentRefused(f"--trust: {problem}") from None
    if any(b"PRIVATE" in content for content in contents.values()):
        raise DeploymentRefused("--trust: a file holds a private key beside the public one; name the public key alone")
    return contents


def options_for(count: int) -> list[str]:
    """Return the options by which a server in the container trusts so many keys.

    Examples
    --------
    >>> options_for(1)
    ['--trust', '/trust/1.pem']
    """
    return [word for number in range(1, count + 1) for word in ("--trust", f"{TRUSTED}/{number}.pem")]
