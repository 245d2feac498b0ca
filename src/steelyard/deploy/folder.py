"""Files that appear together or not at all, and never in the place of somebody else's."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from steelyard.errors import DeploymentRefused

BUNDLE = "bundle"
_OURS = frozenset(
    {
        ".dockerignore",
        "Dockerfile",
        "README.md",
        "bundle",
        "compose.yaml",
        "configmap.yaml",
        "docker-bake.hcl",
        "keys",
        "requirements.txt",
        "deployment.yaml",
        "horizontalpodautoscaler.yaml",
        "kustomization.yaml",
        "networkpolicy.yaml",
        "poddisruptionbudget.yaml",
        "prometheus-adapter.yaml",
        "service.yaml",
        "servicemonitor.yaml",
        "trust",
    }
)


def check_free(folder: Path, *, force: bool) -> None:
    """Refuse a folder that holds something.

    Parameters
    ----------
    folder
        Where files will be written.
    force
        Whether those of an earlier deployment may be replaced.

    Raises
    ------
    DeploymentRefused
        If it is a file, holds files and ``force`` is not given, or files that no deployment wrote.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise DeploymentRefused(f"{folder} is no folder; name another one with -o")
    there = sorted(path.name for path in folder.iterdir())
    if not there:
        return
    foreign = [name for name in there if name not in _OURS and not name.endswith(".whl")]
    if foreign:
        raise DeploymentRefused(
            f"{folder} holds {foreign[0]!r}, which is no part of a deployment; name an empty folder with -o"
        )
    if not force:
        raise DeploymentRefused(f"{folder} is not empty; name another one with -o, or replace its files with --force")


def write_folder(folder: Path, files: Mapping[str, bytes], bundle: Path | None, *, force: bool) -> None:
    """Write files, and a copy of a bundle, beside the folder first; then put them into its place.

    A file ``keys`` that the operator laid there is taken along.

    Raises
    ------
    DeploymentRefused
        If the folder is not free, or cannot be written.
    """
    place = Path(os.path.realpath(folder))
    aside, old = (place.with_name(f".{place.name}.{os.getpid()}.{end}") for end in ("new", "old"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        try:
            _fill(aside, files, bundle)
            check_free(folder, force=force)
            if (place / "keys").is_file():
                shutil.copy2(place / "keys", aside / "keys")
            if place.exists():
                place.rename(old)
            aside.rename(place)
        finally:
            if old.exists() and not place.exists():
                old.rename(place)
            for rest in (aside, old):
                shutil.rmtree(rest, ignore_errors=True)
    except OSError as problem:
        raise DeploymentRefused(
            f"cannot write {folder}: {problem.strerror or problem}; name a writable folder with -o"
        ) from problem


def _fill(aside: Path, files: Mapping[str, bytes], bundle: Path | None) -> None:
    for name, content in files.items():
        (aside / name).parent.mkdir(exist_ok=True)
        _write(aside / name, content)
    if bundle is None:
        aside.chmod(0o755)
        return
    for path in sorted(bundle.rglob("*")):
        if path.is_file():
            target = aside / BUNDLE / path.relative_to(bundle)
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, path.read_bytes())
    for each in (aside, *(p for p in aside.rglob("*") if p.is_dir())):
        each.chmod(0o755)


def _write(path: Path, content: bytes) -> None:
    """Write a file that the user in the container may read, and see it on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(OSError):  # some file systems know no fsync
            os.fsync(file.fileno())
    path.chmod(0o644)
