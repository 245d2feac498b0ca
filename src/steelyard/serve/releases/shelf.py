"""A folder of finished bundles, each under the name of its version; what was added to it never changes."""

from __future__ import annotations

import re
from pathlib import Path

from steelyard.bundle import disk, opening
from steelyard.bundle.manifest import MANIFEST
from steelyard.bundle.signing import SIGNATURE, Signer
from steelyard.errors import RunUnwritable, ServingRefused
from steelyard.serve.releases.switches import LOG

VERSION = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a version may be called, as a regular expression."""


def is_version(name: str) -> bool:
    r"""Tell whether a version may be called so; no such name leads out of a folder.

    Examples
    --------
    >>> [is_version(name) for name in ("2", "2026-11-22.1", "../2", "", ".2", "a/b", "2\n")]
    [True, True, False, False, False, False, False]
    """
    return re.fullmatch(VERSION, name) is not None


def is_shelf(place: Path) -> bool:
    """Tell whether a folder is a shelf: it is no bundle itself, and holds some under names of versions, or a log."""
    if (place / MANIFEST).exists() or (place / "events.jsonl").exists():
        return False
    return (place / LOG).exists() or bool(versions(place))


def versions(shelf: Path) -> tuple[str, ...]:
    """Return the versions on a shelf, by when they were added."""
    if not shelf.is_dir():
        return ()
    found = [each for each in shelf.iterdir() if is_version(each.name) and (each / MANIFEST).is_file()]
    return tuple(each.name for each in sorted(found, key=lambda each: (each.stat().st_mtime_ns, each.name)))


def shelve(source: Path, shelf: Path, *, version: str = "", signer: Signer | None = None) -> str:
    """Add a bundle to a shelf under a name: complete, or not at all.

    Parameters
    ----------
    source
        The bundle.
    shelf
        The folder; made if need be.
    version
        Its name there; ``""`` is one more than the highest whole number on the shelf.
    signer
        Key that vouches for it.

    Returns
    -------
    str
        The name.

    Raises
    ------
    BundleRefused
        If the bundle is damaged.
    ServingRefused
        If no version can be called so.
    RunUnwritable
        If there is such a version already, or the disk refuses.
    """
    opened = opening.read(source)
    name = version or str(max((int(v) for v in versions(shelf) if v.isdigit()), default=0) + 1)
    if not is_version(name):
        raise ServingRefused(
            f"{name!r} is no name of a version: 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        )
    if (shelf / MANIFEST).exists():
        raise RunUnwritable(f"{shelf} is a bundle, and no shelf; name another folder")
    files = dict(opened.files)
    if signer is not None:
        files[SIGNATURE] = signer.sign(files[MANIFEST], name)
    disk.write(shelf / name, files)
    return name
