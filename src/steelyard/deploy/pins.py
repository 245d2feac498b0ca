"""Which packages a server needs, in the very versions that are installed here, and how many bytes each takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from steelyard.errors import DeploymentRefused, nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_MACHINE = re.compile(r"\bplatform_machine\b")
_PLAIN = re.compile(r"[0-9][A-Za-z0-9.!]*")
_SERVER = ("httptools", "numpy", "onnxruntime", "orjson", "pydantic", "uvicorn")
"""What no server can do without; where the metadata do not lead there, they are older than the code."""
_TRAINING = frozenset({"catboost", "lightgbm", "onnx", "optuna", "polars", "pyarrow", "ray", "scikit-learn", "torch"})


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its name, its version, the bytes of its files here, and on which processors it is needed."""

    name: str
    version: str
    size: int
    marker: str = ""
    """As requirements write it; empty: on all of them."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


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
    markers: dict[str, set[str]] = {}
    _gather(package, frozenset(extras), found, set(), markers, asked=bool(extras))
    del found[canonical(package)]
    if package == "steelyard" and (lost := [name for name in _SERVER if name not in found]):
        raise DeploymentRefused(
            f"the metadata of the installed steelyard do not name {lost[0]}, so they are older than its code; "
            "pip install steelyard anew"
        )
    if trains := sorted(_TRAINING & set(found)):
        raise DeploymentRefused(f"the extras bring {trains[0]}, which trains; an image for serving does not hold it")
    return Pins(tuple(_pin(name, found[name], _processors(markers.get(name, ()))) for name in sorted(found)))


def _processors(markers: Collection[str]) -> str:
    """Return on which processors a package is needed, if all that require it say so.

    Examples
    --------
    >>> _processors({"platform_machine == 'x86_64'"}), _processors({"platform_machine == 'x86_64'", ""})
    ("platform_machine == 'x86_64'", '')
    """
    if not all(_MACHINE.search(marker) and not _EXTRA.search(marker) for marker in markers):
        return ""
    return " or ".join(f"({marker})" if len(markers) > 1 else marker for marker in sorted(markers))


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
    markers: dict[str, set[str]],
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
    for other, wanted, marker in _required(package, extras):
        markers.setdefault(canonical(other), set()).add(marker)
        _gather(other, wanted, found, seen, markers, asked=asked and bool(_EXTRA.search(marker)))


def _required(package: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str], str]]:
    """Yield what a package requires: its name, the extras of it, and its marker."""
    for line in package.requires or ():
        what, _, marker = line.partition(";")
        only = _EXTRA.findall(marker)
        name = _NAME.match(what.strip())
        if name is None or (only and not extras & set(only)):
            continue
        brackets = _BRACKETS.search(what)
        wanted = frozenset(e.strip() for e in brackets[1].split(",")) if brackets else frozenset()
        yield name[0], wanted, marker.strip()


def _pin(name: str, package: Distribution, marker: str) -> Pin:
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
    return Pin(name, version, _size(package), marker)


def _size(package: Distribution) -> int:
    """Return the bytes of a package's files."""
    total = 0
    for path in package.files or ():
        try:
            total += path.locate().stat().st_size  # type: ignore[attr-defined]
        except OSError:  # it is recorded, but was removed
            continue
    return total
