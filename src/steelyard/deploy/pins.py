"""Which packages a server needs, in the very versions that are installed here, and how many bytes each takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from steelyard.errors import DeploymentRefused, nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_PLAIN = re.compile(r"[0-9][A-Za-z0-9.!]*")
_SERVER = ("httptools", "numpy", "onnxruntime", "orjson", "pydantic", "uvicorn")
"""What no server can do without; where the metadata do not lead there, they are older than the code."""
_TRAINING = frozenset({"catboost", "lightgbm", "onnx", "optuna", "polars", "pyarrow", "ray", "scikit-learn", "torch"})


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its name, its version, and the bytes of its files here."""

    name: str
    version: str
    size: int

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Pins:
    """Every package that a server needs beside Steelyard itself, by name."""

    packages: tuple[Pin, ...]

    @property
    def size(self) -> int:
        """Bytes that the packages take when they are installed."""
        return sum(pin.size for pin in self.packages)

    @property
    def requirements(self) -> str:
        """The text of a file of requirements."""
        return "".join(f"{pin}\n" for pin in self.packages)


def pins_of(package: str = "steelyard", extras: Sequence[str] = ()) -> Pins:
    """Return what a package needs, all the way down, as it is installed here.

    A requirement that is not installed here is one of another system or another Python, and left out.

    Parameters
    ----------
    package
        Its name.
    extras
        Those of its extras that count besides.

    Raises
    ------
    DeploymentRefused
        If the package or an extra is not installed, comes from no release, or brings what trains.
    """
    root = _installed(package)
    if root is None:
        raise DeploymentRefused(f"{package} itself is not installed here, only lies on the path; pip install it")
    provided = root.metadata.get_all("Provides-Extra") or []
    for extra in extras:
        if extra not in provided:
            raise DeploymentRefused(f"{package} has no extra {extra!r}{nearest(extra, provided)}")
    found: dict[str, Distribution] = {}
    _gather(package, frozenset(extras), found, set(), asked=bool(extras))
    del found[canonical(package)]
    if package == "steelyard" and (lost := [name for name in _SERVER if name not in found]):
        raise DeploymentRefused(
            f"the metadata of the installed steelyard do not name {lost[0]}, so they are older than its code; "
            "pip install steelyard anew"
        )
    if trains := sorted(_TRAINING & set(found)):
        raise DeploymentRefused(f"the extras bring {trains[0]}, which trains; an image for serving does not hold it")
    return Pins(tuple(_pin(name, found[name]) for name in sorted(found)))


def canonical(name: str) -> str:
    """Return the one spelling of a package's name.

    Examples
    --------
    >>> canonical("Typing_Extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _gather(
    name: str,
    extras: frozenset[str],
    found: dict[str, Distribution],
    seen: set[tuple[str, frozenset[str]]],
    *,
    asked: bool = False,
) -> None:
    key = canonical(name)
    package = _installed(name)
    if (key, extras) in seen:
        return
    seen.add((key, extras))
    if package is None:
        if asked:
            raise DeploymentRefused(f"{name} is not installed here, so its version cannot be pinned; pip install it")
        return
    found[key] = package
    for other, wanted, for_extra in _required(package, extras):
        _gather(other, wanted, found, seen, asked=asked and for_extra)


def _required(package: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str], bool]]:
    """Yield what a package requires: its name, the extras of it, and whether an extra asked for it."""
    for line in package.requires or ():
        what, _, marker = line.partition(";")
        only = _EXTRA.findall(marker)
        name = _NAME.match(what.strip())
        if name is None or (only and not extras & set(only)):
            continue
        brackets = _BRACKETS.search(what)
        wanted = frozenset(e.strip() for e in brackets[1].split(",")) if brackets else frozenset()
        yield name[0], wanted, bool(only)


def _pin(name: str, package: Distribution) -> Pin:
    """Return the pin of an installed package.

    Raises
    ------
    DeploymentRefused
        If it is no release of a registry: a local build, or a checkout.
    """
    version = package.version
    if not _PLAIN.fullmatch(version) or package.read_text("direct_url.json") is not None:
        raise DeploymentRefused(
            f"{name} {version} was not installed from a registry, so no image could install it; "
            f"install a release: pip install --force-reinstall {name}"
        )
    return Pin(name, version, _size(package))


def _size(package: Distribution) -> int:
    """Return the bytes of a package's files."""
    total = 0
    for path in package.files or ():
        try:
            total += path.locate().stat().st_size  # type: ignore[attr-defined]
        except OSError:  # it is recorded, but was removed
            continue
    return total
