"""Where versions come from that the shelf does not hold: addresses that the operator listed, never one of a client.

Any file system that fsspec knows: a folder, ``s3://bucket/shelf``, and others. Only what a manifest lists is fetched,
each file no longer than listed and of the digest listed; a version is put on the shelf when all of it is there.
Credentials and endpoints are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` ...).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.bundle import disk, opening
from steelyard.bundle.manifest import MANIFEST, SEAL, Manifest, read_manifest
from steelyard.bundle.signing import LARGEST, SIGNATURE
from steelyard.errors import BundleRefused, ServingRefused, need
from steelyard.serve.releases.shelf import is_version

_LARGEST_MANIFEST = 2**26
_ERRORS = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "aiohttp": ("ClientError",),
}
"""What clients of object storage raise beside :class:`OSError`, by module; none is loaded for this."""


class Source:
    """A shelf behind an address.

    Parameters
    ----------
    url
        As fsspec takes it.

    Raises
    ------
    ServingRefused
        If it is no address of a known kind.
    MissingExtra
        If fsspec, or what it needs for this kind, is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        if "::" in url:
            raise ServingRefused(f"the source {url!r} joins several addresses; name one")
        if url.startswith("s3"):
            need("s3fs", for_=f"the source {url!r}")
        core = need("fsspec", for_=f"the source {url!r}").core
        try:
            self._fs, self._root = core.url_to_fs(url, use_listings_cache=False)
        except (ValueError, ImportError, OSError) as problem:
            raise ServingRefused(f"the source {url!r} cannot be used: {problem}") from None

    def versions(self) -> tuple[str, ...]:
        """Return the names of the versions there.

        Raises
        ------
        BundleRefused
            If the source does not answer.
        """
        with self._refusals(f"the shelf {self.url}"):
            entries = self._fs.ls(self._root, detail=True, refresh=True)
        names = (str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")
        return tuple(sorted(filter(is_version, names)))

    def has(self, version: str) -> bool:
        """Tell whether a version is there.

        Raises
        ------
        BundleRefused
            If the source does not answer.
        """
        with self._refusals(f"version {version!r}"):
            return is_version(version) and bool(self._fs.exists(self._at(version, MANIFEST)))

    def fetch(self, version: str, shelf: Path) -> None:
        """Put a version on a shelf.

        Raises
        ------
        BundleRefused
            If the source does not answer, or what it sends is not what the manifest says.
        RunUnwritable
            If the disk refuses, or the shelf has the version already.
        """
        where = f"version {version!r} of {self.url}"
        try:
            files = self._files(version)
        except BundleRefused as problem:
            raise BundleRefused(f"{where}: {problem}") from None
        disk.write(shelf / version, files)

    def _files(self, version: str) -> dict[str, bytes]:
        ends = {name: self._read(version, name, _LARGEST_MANIFEST) for name in (MANIFEST, SEAL)}
        manifest = read_manifest(ends[MANIFEST], ends[SEAL])
        opening.check_names(manifest.files, manifest.files)
        files = ends | self._listed(version, manifest)
        opening.opened(files)
        with self._refusals(SIGNATURE):
            is_signed = self._fs.exists(self._at(version, SIGNATURE))
        return files | ({SIGNATURE: self._read(version, SIGNATURE, LARGEST)} if is_signed else {})

    def _listed(self, version: str, manifest: Manifest) -> dict[str, bytes]:
        files = {}
        for name, file in manifest.files.items():
            files[name] = self._read(version, name, file.size)
            if len(files[name]) != file.size:
                raise BundleRefused(f"{name} has {len(files[name]):,} bytes instead of {file.size:,}; upload it again")
        return files

    def _read(self, version: str, name: str, most: int) -> bytes:
        with self._refusals(name), self._fs.open(self._at(version, name), "rb") as file:
            content: bytes = file.read(most + 1)
        if len(content) > most:
            raise BundleRefused(f"{name} is longer than the {most:,} bytes it may have; upload it again")
        return content

    def _at(self, version: str, name: str) -> str:
        return f"{self._root.rstrip('/')}/{version}/{name}"

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Turn what clients of storage raise into a sentence without anything secret."""
        try:
            yield
        except FileNotFoundError:
            raise BundleRefused(f"{what} is not there; upload it again") from None
        except _errors() as problem:
            raise BundleRefused(f"{what} cannot be read ({type(problem).__name__}); is the storage there?") from problem


def _errors() -> tuple[type[BaseException], ...]:
    found: list[Any] = [OSError]
    for module, names in _ERRORS.items():
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)
