"""Environments of the rivals, each in ``.venv-bench/NAME``, made from pins on the first use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ROOT / ".venv-bench"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


def python_of(name: str) -> Path:
    """Return the interpreter of a rival's environment, made first where it is missing or its pins have changed.

    Raises
    ------
    subprocess.CalledProcessError
        If pip does not come to an end; what it said went to standard error.
    """
    wanted, place = REQUIREMENTS / f"{name}.txt", PLACES / f"serve-{name}"
    mark, digest = place / ".made", hashlib.sha256(wanted.read_bytes()).hexdigest()
    python = place / "bin" / "python"
    if not mark.exists() or mark.read_text(encoding="ascii") != digest:
        print(f"installing {name} into {PLACES.name}/{place.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "-r", wanted], check=True, stdout=sys.stderr)  # the pins are whole: nothing to resolve
        mark.write_text(digest, encoding="ascii")
    return python


def version_of(name: str) -> str:
    """Return the pinned version of a rival."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.lower().startswith(f"{name}=="))
