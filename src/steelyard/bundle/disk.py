"""Folders that are complete or absent, and read without trust."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from steelyard.errors import BundleRefused, RunUnwritable

_ASIDE = ".aside"


def safe(name: str) -> bool:
    r"""Tell whether a name stays inside its folder, on any system.

    Examples
    --------
    >>> [safe(name) for name in ("files/words.json", "../x", "/etc/passwd", "a//b", "C:\\x", "")]
    [True, False, False, False, False, False]
    """
    parts = name.split("/")
    return not any(part in {"", ".", ".."} for part in parts) and not set(name) & {"\\", ":", "\0"}


def sizes(folder: Path) -> dict[str, int]:
    """Return every file under a folder with its length in bytes, following no link.

    Raises
    ------
    BundleRefused
        If there is no such folder, or it holds a link or anything that is neither a file nor a folder.
    """
    found: dict[str, int] = {}
    waiting = [PurePosixPath()]
    try:
        while waiting:
            inner = waiting.pop()
            for entry in sorted(os.scandir(folder / inner), key=lambda entry: entry.name):
                name = inner / entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(name)
                elif stat.S_ISREG(status.st_mode):
                    found[str(name)] = status.st_size
                else:
                    what = "a symbolic link" if entry.is_symlink() else "no plain file"
                    raise BundleRefused(f"{name} is {what}; a bundle holds plain files only")
    except (FileNotFoundError, NotADirectoryError):
        raise BundleRefused("there is no such folder; give the one that holds manifest.json") from None
    except OSError as problem:
        raise BundleRefused(f"it cannot be read: {problem.strerror}") from None
    return found


def read(folder: Path, name: str, size: int) -> bytes:
    """Return a file of a known length; a link in its place is not followed.

    Raises
    ------
    BundleRefused
        If it cannot be read or is no longer of that length.
    """
    try:
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(number, "rb") as file:  # noqa: PTH123 - Path.open cannot refuse links
            content = file.read(size + 1)
    except OSError as problem:
        raise BundleRefused(f"{name} cannot be read: {problem.strerror}") from None
    if len(content) != size:
        raise BundleRefused(f"{name} changed while it was read; fetch the bundle again")
    return content


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files as a new folder: aside, to the disk, then renamed. It is complete or absent, whatever happens.

    Raises
    ------
    RunUnwritable
        If the folder exists, or the disk refuses (full, read-only); nothing is left behind then.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
    if os.path.lexists(folder):
        raise RunUnwritable(f"{folder} exists already and bundles are never changed; give another folder")
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{_ASIDE}")
    with _refusals(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            aside.mkdir()
            _fill(aside, files)
            aside.rename(folder)
            _flush(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise RunUnwritable(f"{folder} exists already and bundles are never changed; give another folder") from None
        way_out = {
            errno.ENOSPC: "free some space and run again",
            errno.EDQUOT: "raise the quota and run again",
            errno.EROFS: "give a folder that can be written",
            errno.EACCES: "give a folder that can be written",
        }.get(problem.errno or 0, "run again once that is mended")
        raise RunUnwritable(f"cannot write {folder}: {problem.strerror}; {way_out}") from problem


def _fill(aside: Path, files: Mapping[str, bytes]) -> None:
    folders = {aside}
    for name, content in files.items():
        if not safe(name):
            raise BundleRefused(f"file name {name!r} leaves the bundle; use a plain relative name")
        path = aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders |= {path.parent, *(p for p in path.parent.parents if p.is_relative_to(aside))}
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for inner in folders:
        _flush(inner)


def _flush(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sweep(folder: Path) -> tuple[Path, ...]:
    """Remove what writers that were killed left aside in a folder; return what was removed.

    To be called while nobody else writes there.
    """
    left = tuple(sorted(folder.glob(f".*{_ASIDE}")))
    for aside in left:
        shutil.rmtree(aside, ignore_errors=True)
    return left
