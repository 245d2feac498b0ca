"""From a folder that nobody vouches for to bytes that are what the manifest says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.bundle import disk
from steelyard.bundle.manifest import FILES, MANIFEST, SEAL, File, Manifest, Single, read_manifest
from steelyard.bundle.signing import LARGEST, SIGNATURE
from steelyard.contracts import Artefact
from steelyard.errors import BundleRefused, nearest

_LARGEST_MANIFEST = 2**26


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle in memory: every file, its own manifest included, verified."""

    manifest: Manifest
    files: Mapping[str, bytes]
    signature: bytes | None = None
    """As it lay beside the manifest; reading does not judge it (see :class:`steelyard.bundle.signing.Trust`)."""

    def member(self, name: str) -> Opened:
        """Return a bundle inside this one.

        Raises
        ------
        BundleRefused
            If it is not there, or not what its own manifest says.
        """
        inside = name + "/"
        files = {path.removeprefix(inside): content for path, content in self.files.items() if path.startswith(inside)}
        try:
            return opened(files)
        except BundleRefused as problem:
            raise BundleRefused(f"{name}: {problem}") from None

    def artefact(self) -> Artefact:
        """Return the graph with its feeds and files.

        Raises
        ------
        BundleRefused
            If several models are joined here.
        """
        model = self.manifest.model
        if not isinstance(model, Single):
            raise BundleRefused(
                f"the bundle joins {len(model.members)} models by rule {model.rule['rule']!r} and has no graph of its "
                "own; take one of its members"
            )
        files = {name: self._file(FILES + name) for name in model.files}
        origin = str(self.manifest.extra.get("pretrained", ""))
        return Artefact(self._file(model.graph), model.feeds, files, origin)

    def _file(self, name: str) -> bytes:
        if name not in self.files:
            raise BundleRefused(f"the manifest speaks of {name!r}, which is not there{nearest(name, self.files)}")
        return self.files[name]


def read(folder: Path) -> Opened:
    """Read a bundle: every file once, verified before it is used.

    Raises
    ------
    BundleRefused
        If anything is missing, added, changed, or no plain file.
    """
    try:
        return _read(folder)
    except BundleRefused as problem:
        raise BundleRefused(f"bundle {folder}: {problem}") from None


def _read(folder: Path) -> Opened:
    found = disk.sizes(folder)
    for name in (MANIFEST, SEAL):
        if name not in found:
            raise BundleRefused(f"{name} is missing; give a complete bundle, or fetch this one again")
        if found[name] > _LARGEST_MANIFEST:
            raise BundleRefused(f"{name} has {found[name]:,} bytes, which is too large to be one")
    ends = {name: disk.read(folder, name, found[name]) for name in (MANIFEST, SEAL)}
    manifest = read_manifest(ends[MANIFEST], ends[SEAL])
    check_names(manifest.files, found.keys() - {SIGNATURE})
    for name, file in manifest.files.items():
        if found[name] != file.size:
            raise BundleRefused(f"{name} has {found[name]:,} bytes instead of {file.size:,}; fetch the bundle again")
    whole = opened(ends | {name: disk.read(folder, name, found[name]) for name in manifest.files})
    return replace(whole, signature=_signature(folder, found))


def _signature(folder: Path, found: Mapping[str, int]) -> bytes | None:
    size = found.get(SIGNATURE)
    if size is None:
        return None
    if size > LARGEST:
        raise BundleRefused(f"{SIGNATURE} has {size:,} bytes, which is too large to be one")
    return disk.read(folder, SIGNATURE, size)


def opened(files: Mapping[str, bytes]) -> Opened:
    """Verify a bundle in memory.

    Raises
    ------
    BundleRefused
        If a file is not what the manifest says.
    """
    for name in (MANIFEST, SEAL):
        if name not in files:
            raise BundleRefused(f"{name} is missing; fetch the bundle again")
    manifest = read_manifest(files[MANIFEST], files[SEAL])
    check_names(manifest.files, files)
    for name, file in manifest.files.items():
        if File.of(files[name]) != file:
            raise BundleRefused(f"{name} is not what the manifest says it is; fetch the bundle again")
    return Opened(manifest, files)


def check_names(listed: Collection[str], found: Collection[str]) -> None:
    """Refuse names that leave the folder, and files that are missing or are not listed.

    Raises
    ------
    BundleRefused
        If there is such a file; the sentence names it.
    """
    if unsafe := [name for name in listed if not disk.safe(name)]:
        raise BundleRefused(f"the manifest names {unsafe[0]!r}, which leaves the folder; do not trust this bundle")
    if absent := sorted(set(listed) - set(found)):
        raise BundleRefused(f"{absent[0]} is missing; fetch the bundle again")
    if unlisted := sorted(set(found) - set(listed) - {MANIFEST, SEAL}):
        raise BundleRefused(f"{unlisted[0]} is not listed in the manifest; remove it or fetch the bundle again")
