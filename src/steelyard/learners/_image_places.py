"""Where weights for nets of images lie, and which ones they are; loads no PyTorch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from steelyard.bundle.manifest import MANIFEST
from steelyard.errors import Exit, SteelyardError

DIGITS = 12
"""Hexadecimal digits of a digest that a mark shows."""
PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
WAYS = (
    "give a folder with .safetensors, a .safetensors file, or the folder of a bundle that `cnn` or `resnet` shipped in "
    "another run"
)


class CheckpointRefused(SteelyardError):
    """A checkpoint that is absent, is not what was asked for, or must not be read."""

    exit_code = Exit.SPEC_INVALID


def mark_of(checkpoint: str) -> str:
    """Return the absolute path of a checkpoint with the first digits of its digest: what a recipe holds.

    Parameters
    ----------
    checkpoint
        A folder with safetensors, such a file, or the folder of a bundle.

    Raises
    ------
    CheckpointRefused
        If it is absent or a pickle.
    """
    place = place_of(checkpoint).resolve()
    return f"{place}@{_digest(place)[:DIGITS]}"


def place_of(checkpoint: str) -> Path:
    """Return where a checkpoint lies, given as its path or as its mark.

    Raises
    ------
    CheckpointRefused
        If it is absent, a pickle, or not the one that the mark means.
    """
    path, _, digits = (checkpoint, "", "") if Path(checkpoint).exists() else checkpoint.rpartition("@")
    place = Path(path or digits).expanduser()
    digits = digits if path else ""
    if not checkpoint or not place.exists():
        raise CheckpointRefused(f"there is no checkpoint {checkpoint!r} on this machine: {WAYS}")
    if place.suffix.lower() in PICKLES:
        raise CheckpointRefused(f"{place} is a pickle, which runs code when it is read: {WAYS}")
    if digits and not (found := _digest(place)).startswith(digits):
        raise CheckpointRefused(
            f"the checkpoint {str(place)!r} has the digest {found[:DIGITS]}, and {digits} is asked for: these are "
            "other weights; provide the ones that were meant, or ask for these"
        )
    return place


def weights_in(place: Path) -> list[Path]:
    """Return the files of safetensors at a place."""
    return sorted(place.glob("*.safetensors")) if place.is_dir() else [place]


def _digest(place: Path) -> str:
    """Return the SHA-256 of a bundle's manifest, or of files of safetensors in the order of their names."""
    manifest = place / MANIFEST
    digest = hashlib.sha256()
    for file in [manifest] if manifest.is_file() else weights_in(place):
        digest.update(file.read_bytes())
    return digest.hexdigest()
