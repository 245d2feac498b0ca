"""Folders as bytes: how data and finished bundles travel between machines that share no disk."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from steelyard.data.store import FILES
from steelyard.errors import RunUnwritable
from steelyard.recipe import Recipe, digest, parents
from steelyard.search.store import Store, sync_folder


def family(recipe: Recipe, store: Store) -> Iterator[Path]:
    """Yield the folders of a store that a job on a recipe may read: its own and those of all it is made from."""
    for name in dict.fromkeys(_names(recipe)):
        if (place := store.bundles / name).is_dir():
            yield place


def _names(recipe: Recipe) -> Iterator[str]:
    yield from (digest(recipe), f"{digest(recipe)}.all")
    for parent in parents(recipe):
        yield from _names(parent)


def data_of(store: Path) -> dict[str, bytes]:
    """Return the files that hold the data of a store."""
    return {name: (store / name).read_bytes() for name in FILES if (store / name).exists()}


def settle(store: Path, data: Mapping[str, bytes]) -> None:
    """Make a store of data that has come."""
    (store / "bundles").mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name in data:
            (store / name).write_bytes(data[name])


def pack(folder: Path) -> bytes:
    """Return every file of a folder as one archive, uncompressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(file.relative_to(folder).as_posix(), file.read_bytes())
    return out.getvalue()


def unpack(parcel: bytes, store: Store, name: str) -> None:
    """Write a folder of a store aside, flush it and give it its name; one that is there already is left as it is.

    Raises
    ------
    RunUnwritable
        If the disk refuses, or the parcel is damaged or names a file outside of its folder.
    """
    place = store.bundles / name
    if place.exists():
        return
    aside = store.bundles / f".{name}.{secrets.token_hex(8)}"
    try:
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is no name of a bundle")  # noqa: TRY301 - told like all that cannot be written
        with zipfile.ZipFile(io.BytesIO(parcel)) as archive:
            for file in archive.namelist():
                _write(_inside(aside, file), archive.read(file))
        _rename(aside, place)
        sync_folder(store.bundles)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise RunUnwritable(
            f"cannot write {place}: {getattr(problem, 'strerror', None) or problem}; free some space, then go on with "
            f"`steelyard run --resume {store.path}`"
        ) from problem
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"a parcel names {name!r}, which lies outside of its folder")
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _rename(aside: Path, place: Path) -> None:
    try:
        aside.rename(place)
    except OSError:
        if not place.exists():  # otherwise another result of the same recipe was faster: it is the same
            raise
