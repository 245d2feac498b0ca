"""Environments of the tools, each in a folder of its own, made from pinned requirements on the first use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from store import ENVIRONMENTS, ignored

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
OURS = "steelyard"
"""Not an environment of its own: the one that this harness runs in, where Steelyard is installed."""


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, which is made first where it is missing or its pins have changed.

    Raises
    ------
    subprocess.CalledProcessError
        If pip does not come to an end; what it said went to standard error.
    """
    if name == OURS:
        return Path(sys.executable)
    wanted = REQUIREMENTS / f"{name}.txt"
    place = ENVIRONMENTS / name
    mark, digest = place / ".made", hashlib.sha256(wanted.read_bytes()).hexdigest()
    python = place / "bin" / "python"
    if not mark.exists() or mark.read_text(encoding="ascii") != digest:
        _make(name, wanted)
        mark.write_text(digest, encoding="ascii")
    return python


def _make(name: str, wanted: Path) -> None:
    place = ignored(ENVIRONMENTS) / name
    print(f"installing {name} into {place.parent.name}/{name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
    pip = [place / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for line in torch_of(wanted):  # first: with none there, a range brings gigabytes of CUDA packages
        subprocess.run([*pip, line], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "-r", wanted], check=True, stdout=sys.stderr)


def torch_of(wanted: Path) -> list[str]:
    """Return the lines that pin PyTorch."""
    return [line for line in wanted.read_text(encoding="utf-8").splitlines() if line.startswith("torch==")]
