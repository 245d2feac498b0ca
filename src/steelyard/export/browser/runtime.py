"""Where ONNX Runtime Web comes from: a folder that the user names, what was fetched before, or npm where it is allowed.

One version is pinned, by the digest of npm's archive and of the two files that are taken out of it. Nothing here names
a registry: npm asks the one that it is configured for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from steelyard.errors import ExportRefused

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
ARCHIVE = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of npm's archive, in base64, as npm itself writes an integrity."""
SCRIPT, BINARY = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
"""The smallest build that knows every operator: WebAssembly with SIMD, without WebGPU."""
DIGESTS = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""SHA-256 of what is taken out of the archive."""
_SECONDS = 600
_NOTICES = ("LICENSE", "ThirdPartyNotices.txt")


@dataclass(frozen=True, slots=True)
class Runtime:
    """ONNX Runtime Web: its script, its WebAssembly, and the texts of its licence by name."""

    script: bytes
    binary: bytes
    licences: dict[str, bytes]


def runtime(folder: Path | None = None, *, download: bool = False) -> Runtime:
    """Return ONNX Runtime Web.

    Parameters
    ----------
    folder
        Where npm put the package, as ``node_modules/onnxruntime-web``; unset: where it was kept before.
    download
        Whether npm may fetch it where it was not kept.

    Raises
    ------
    ExportRefused
        If it is not there, is another version, or is not what the pinned digests say.
    """
    if folder is not None:
        return _read(folder)
    kept = cache()
    if not all((kept / name).is_file() for name in DIGESTS):
        if not download:
            raise ExportRefused(
                f"--to browser needs {PACKAGE} {VERSION}: allow npm to fetch it with --download, or run "
                f"`npm install {PACKAGE}@{VERSION}` and name the folder with --web node_modules/{PACKAGE}"
            )
        _fetch(kept)
    return _read(kept)


def cache() -> Path:
    """Return where what npm fetched is kept: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path.home() / ".cache") / "steelyard" / f"{PACKAGE}-{VERSION}"


def _read(folder: Path) -> Runtime:
    found = {}
    for name, digest in DIGESTS.items():
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as problem:
            raise ExportRefused(
                f"{folder} does not hold {PACKAGE} {VERSION} ({name}: {problem.strerror}); run "
                f"`npm install {PACKAGE}@{VERSION}` and name its folder with --web"
            ) from None
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise ExportRefused(
                f"{folder / name} is not that of {PACKAGE} {VERSION}{_other(folder)}; run "
                f"`npm install {PACKAGE}@{VERSION}` and name its folder with --web"
            )
    return Runtime(found[SCRIPT], found[BINARY], _licences())


def _other(folder: Path) -> str:
    """Return the words for another version, where the folder says that it holds one."""
    try:
        version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        return ""
    return f" but of {version}" if version != VERSION else ""


def _licences() -> dict[str, bytes]:
    """Return the licence and the notices of ONNX Runtime; npm's archive names the licence (MIT) and carries no text."""
    package = distribution("onnxruntime")
    texts = {name: Path(str(package.locate_file(f"onnxruntime/{name}"))) for name in _NOTICES}
    return {f"onnxruntime-{name}": path.read_bytes() for name, path in texts.items() if path.is_file()}


def _fetch(kept: Path) -> None:
    """Have npm fetch the archive, check it, and keep the files that are used."""
    npm = shutil.which("npm")
    if npm is None:
        raise ExportRefused(
            f"--download has npm fetch {PACKAGE}, and npm is not installed; install it, or name a folder that holds "
            f"{PACKAGE} {VERSION} with --web"
        )
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", place]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as problem:
            said = str(getattr(problem, "stderr", "") or problem).strip().splitlines()
            raise ExportRefused(
                f"npm could not fetch {PACKAGE} {VERSION} ({said[-1][:200]}); check npm's network, or name a folder "
                "that holds it with --web"
            ) from None
        (archive,) = Path(place).glob("*.tgz")
        unpack(archive, kept)


def unpack(archive: Path, kept: Path) -> None:
    """Keep the files that are used, out of an archive that is what was pinned.

    Raises
    ------
    ExportRefused
        If it is another.
    """
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != ARCHIVE:
        raise ExportRefused(
            f"what npm fetched is not {PACKAGE} {VERSION} as it was published: its digest differs from the pinned one; "
            "check the registry that npm is configured for"
        )
    with tarfile.open(archive) as members:
        for name in (*DIGESTS, "package.json"):
            source = members.extractfile(f"package/{name}")
            assert source is not None, "the archive is the one that was pinned"
            aside = kept / f"{name}.{os.getpid()}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(source.read())
            aside.replace(kept / name)
