"""What an operator may ask of a deployment. All of it is checked at once."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from steelyard.errors import DeploymentRefused, nearest

PORT = 8000
"""Of the server inside its container."""
_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(
    r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/)?"
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_MOST_GRACE, _MOST_THREADS, _MOST_WORKERS = 3600, 256, 256
_PORTS = range(1024, 65536)
"""Ports that a user without rights may listen at."""
PLATFORMS = ("linux/amd64", "linux/arm64")
"""What an image can be built for: the architectures that the runtime has wheels for."""
_TRAINING = ("train", "deep", "clean", "ray", "all", "dev", "federated", "mlflow")
"""Extras that bring training libraries, which an image for serving must not hold."""


class To(StrEnum):
    """For what the files are."""

    DOCKER = "docker"
    KUBERNETES = "kubernetes"


def own_platform() -> str:
    """Return the platform of this machine, as registries call it; that of x86-64 where there is no other name."""
    return "linux/arm64" if platform.machine().lower() in {"aarch64", "arm64"} else "linux/amd64"


def usual_base() -> str:
    """Return the image to build on: Debian with the Python in force, by its tag."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-bookworm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to deploy.

    Attributes
    ----------
    name
        Of the image and of everything in the cluster; a label as DNS has it.
    model
        What clients call the model.
    image
        Reference of the image; empty: the name, with the digest of the bundle as its tag.
    base
        Reference of the image to build on.
    platforms
        What the image is built for, of :data:`PLATFORMS`; empty: all of them for the image, and for the cluster that
        of this machine, as a plain ``docker build`` makes no other.
    threads
        Of ONNX Runtime, for one inference.
    grace
        Seconds that requests in flight may take once a server was told to stop.
    workers
        Processes of one replica that answer.
    grpc_port
        Where the server answers gRPC besides; ``None``: nowhere.
    trust
        Public keys, one of which must have signed the bundle; they are carried along.
    extras
        Extras of Steelyard that the server needs besides; those of gRPC and of signatures come by themselves.
    serve
        Further options of ``steelyard serve``.
    monitor
        Whether a ServiceMonitor is written too, which a cluster knows only where Prometheus' operator is installed.

    Raises
    ------
    DeploymentRefused
        If any cannot be honoured; every problem is named.

    Examples
    --------
    >>> Wanted(name="Credit Risk", grace=-1)
    Traceback (most recent call last):
    steelyard.errors.DeploymentRefused: cannot deploy:
      the name 'Credit Risk' must be 1 to 63 lower-case letters, digits or '-', a letter first and no '-' last
      grace must be from 0 to 3600 (seconds); got -1
    """

    name: str = "model"
    model: str = "model"
    image: str = ""
    base: str = ""
    platforms: tuple[str, ...] = ()
    threads: int = 1
    grace: int = 30
    workers: int = 1
    grpc_port: int | None = None
    trust: tuple[Path, ...] = ()
    extras: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    monitor: bool = False

    def __post_init__(self) -> None:
        """Check everything.

        Raises
        ------
        DeploymentRefused
            If any cannot be honoured.
        """
        if problems := list(self._problems()):
            raise DeploymentRefused("cannot deploy:\n" + "\n".join(f"  {problem}" for problem in problems))

    def _problems(self) -> Iterator[str]:
        if not _LABEL.fullmatch(self.name):
            yield (
                f"the name {self.name!r} must be 1 to 63 lower-case letters, digits or '-', a letter first and no "
                "'-' last"
            )
        for what, reference in (("image", self.image), ("base", self.base)):
            if reference and not _IMAGE.fullmatch(reference):
                yield f"the {what} {reference!r} is no reference of an image; write for example registry.example/a:1"
        for each in self.platforms:
            if each not in PLATFORMS:
                yield f"the platform {each!r} is none of {', '.join(PLATFORMS)}{nearest(each, PLATFORMS)}"
        yield from self._numbers()
        for extra in self.extras:
            if extra in _TRAINING:
                yield f"the extra {extra!r} brings what trains, which an image for serving does not hold; leave it out"
        if any("\n" in word or "\0" in word for word in self.serve):
            yield "an option of the server holds a line break; leave it out"
        if any(_PASSWORD.search(word) for word in self.serve):
            yield "an option of the server holds a password, which the files would keep; give it where they are run"

    def _numbers(self) -> Iterator[str]:
        if not 0 <= self.grace <= _MOST_GRACE:
            yield f"grace must be from 0 to {_MOST_GRACE} (seconds); got {self.grace}"
        if not 1 <= self.threads <= _MOST_THREADS:
            yield f"threads must be from 1 to {_MOST_THREADS}; got {self.threads}"
        if not 1 <= self.workers <= _MOST_WORKERS:
            yield f"workers must be from 1 to {_MOST_WORKERS} (processes of one replica); got {self.workers}"
        if self.grpc_port is not None and (self.grpc_port not in _PORTS or self.grpc_port == PORT):
            yield f"grpc_port must be from {_PORTS[0]} to {_PORTS[-1]}, and not HTTP's {PORT}; got {self.grpc_port}"


def extras_of(wanted: Wanted) -> tuple[str, ...]:
    """Return every extra of Steelyard that the server needs, once.

    Examples
    --------
    >>> extras_of(Wanted(grpc_port=8001, extras=("otel",)))
    ('otel', 'grpc')
    """
    brought = {"grpc": wanted.grpc_port is not None, "sign": bool(wanted.trust)}
    return tuple(dict.fromkeys((*wanted.extras, *(extra for extra, is_needed in brought.items() if is_needed))))


def label_of(words: str) -> str:
    """Return a name made of some words that DNS takes.

    Examples
    --------
    >>> label_of("German credit (v2)"), label_of("2024_churn"), label_of("信用")
    ('german-credit-v2', 'm-2024-churn', 'model')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    if plain and not plain[0].isalpha():
        plain = f"m-{plain}"
    return plain[:50].strip("-") or "model"


def to_of(word: str) -> To:
    """Read what the files are for.

    Raises
    ------
    DeploymentRefused
        If there is nothing of that name.

    Examples
    --------
    >>> to_of("kubernets")
    Traceback (most recent call last):
    steelyard.errors.DeploymentRefused: there are no files for 'kubernets' (did you mean 'kubernetes'?); --to is one of docker, kubernetes
    """  # noqa: E501 - the message is one line
    if word not in list(To):
        raise DeploymentRefused(
            f"there are no files for {word!r}{nearest(word, [to.value for to in To])}; --to is one of {', '.join(To)}"
        )
    return To(word)
