"""A wheel of the Steelyard that runs here, so that an image holds the code that was measured."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import steelyard

_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows: the same code gives the same bytes."""
_MODE = 0o644 << 16
_ABOUT = "Wheel-Version: 1.0\nGenerator: steelyard\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_KEPT = ("METADATA", "entry_points.txt", "licenses/LICENSE")


@dataclass(frozen=True, slots=True)
class Wheel:
    """The file: what it must be called, and what it holds; ``size`` is what it takes when it is installed, in bytes."""

    name: str
    content: bytes
    size: int


def make_wheel() -> Wheel:
    """Return a wheel of the package that runs, with the metadata that it was installed with.

    Its version is that of the installed metadata. Only the tag of pure Python is needed, as nothing is compiled.

    Examples
    --------
    >>> make_wheel().name.startswith("steelyard-")
    True
    """
    package = distribution("steelyard")
    folder = f"steelyard-{package.version}.dist-info"
    texts = {name: package.read_text(name) for name in _KEPT}
    files = dict(_sources(Path(steelyard.__file__).parent))
    files |= {f"{folder}/{name}": text.encode() for name, text in texts.items() if text is not None}
    files[f"{folder}/WHEEL"] = _ABOUT.encode()
    files[f"{folder}/RECORD"] = _record(files, folder)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr, entry.compress_type = _MODE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    size = sum(map(len, files.values()))
    return Wheel(f"steelyard-{package.version}-py3-none-any.whl", made.getvalue(), size)


def _sources(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(home.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"steelyard/{path.relative_to(home).as_posix()}", path.read_bytes()


def _record(files: dict[str, bytes], folder: str) -> bytes:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{folder}/RECORD,,", ""]).encode()
