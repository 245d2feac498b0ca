"""From the name of a version to one that may answer: fetched, verified, opened, warmed up, and fit for its clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from steelyard.bundle import load as load_bundle
from steelyard.bundle.manifest import MANIFEST
from steelyard.bundle.signing import Trust
from steelyard.errors import BundleRefused, RunUnwritable, nearest
from steelyard.serve.endpoint import Deployed
from steelyard.serve.model import Served
from steelyard.serve.releases import shelf as shelves
from steelyard.serve.releases.settings import Releasing
from steelyard.serve.releases.sources import Source


class Opener:
    """Opens versions of one model. Takes as long as it takes: to be called beside the event loop.

    Parameters
    ----------
    name
        What clients call the model.
    shelf
        The folder of its versions.
    releasing
        Whom to trust, and where else versions come from.
    threads
        Of ONNX Runtime, for one inference.
    deploy
        Gives a model its queue.

    Raises
    ------
    ServingRefused
        If a source is no address that can be used.
    SigningRefused
        If a key to trust is none.
    """

    def __init__(
        self, name: str, shelf: Path, releasing: Releasing, *, threads: int, deploy: Callable[[Served], Deployed]
    ) -> None:
        self.name, self.shelf, self._threads, self._deploy = name, shelf, threads, deploy
        self._trust = Trust(releasing.trust) if releasing.trust else None
        self._sources = tuple(map(Source, releasing.sources))

    def versions(self) -> tuple[str, ...]:
        """Return every version that could be opened: those on the shelf first, by age.

        Raises
        ------
        BundleRefused
            If a source does not answer.
        """
        there = shelves.versions(self.shelf)
        return tuple(dict.fromkeys((*there, *(v for source in self._sources for v in source.versions()))))

    def open(self, version: str, *, like: Served | None = None, digest: str = "") -> Deployed:
        """Open a version.

        Parameters
        ----------
        version
            Its name.
        like
            The version whose clients it shall answer.
        digest
            What the log says that it must digest to; ``""``: the log does not know it.

        Raises
        ------
        BundleRefused
            If it is not there, damaged, not signed as it must be, another one than before, or answers another question.
        """
        folder = self.shelf / version
        try:
            self._fetch(version)
            served = self._served(version, folder)
        except (BundleRefused, RunUnwritable) as problem:
            raise BundleRefused(f"version {version[:80]!r}: {_plain(str(problem), folder)}") from problem
        if digest and served.digest != digest:
            raise BundleRefused(
                f"version {version!r} is not the one that the log names (digest {digest}, found {served.digest}): "
                "versions never change, shelve it under another name"
            )
        if like is not None and (why := next(_misfits(served, like), "")):
            raise BundleRefused(
                f"version {version!r} does not fit version {like.version!r}: {why}; serve it under a name of its own"
            )
        served.warm_up()
        return self._deploy(served)

    def _fetch(self, version: str) -> None:
        """Put a version on the shelf that is not there, from the first source that has it."""
        if not shelves.is_version(version):
            raise BundleRefused("there is no such version; GET /releases lists them")
        if (self.shelf / version / MANIFEST).exists():
            return
        source = next((source for source in self._sources if source.has(version)), None)
        if source is None:
            raise BundleRefused(
                f"there is no such version on the shelf{nearest(version, shelves.versions(self.shelf))}"
            )
        try:
            source.fetch(version, self.shelf)
        except RunUnwritable:
            if not (self.shelf / version / MANIFEST).exists():  # or another process was faster
                raise

    def _served(self, version: str, folder: Path) -> Served:
        bundle = load_bundle(folder, threads=self._threads, trust=self._trust, version=version)
        return Served(self.name, version, bundle, threads=self._threads)


def _plain(sentence: str, folder: Path) -> str:
    """Return a sentence without the place of the shelf, which is no business of a client."""
    return sentence.replace(f"bundle {folder}: ", "").replace(f"{folder.parent}/", "")


def _misfits(new: Served, old: Served) -> Iterator[str]:
    """Yield what keeps a version from answering the clients of another one."""
    if new.task.problem is not old.task.problem:
        yield f"it answers a question of another kind ({new.task.problem.value}, not {old.task.problem.value})"
    if new.task.classes != old.task.classes:
        yield f"its classes are {', '.join(new.task.classes)}, not {', '.join(old.task.classes)}"
    has, needs = new.layout.columns, old.layout.columns
    if more := [name for name in has if name not in needs]:
        yield f"it reads the column {more[0]!r}, which clients need not send now"
    if less := [name for name in needs if name not in has]:
        yield f"it does not read the column {less[0]!r}, which clients send now"
    for name in needs:
        if name in has and (has[name].kind, has[name].notation) != (needs[name].kind, needs[name].notation):
            yield f"it reads the column {name!r} in another way ({has[name].kind.value}, not {needs[name].kind.value})"
    if list(has) != list(needs):
        yield "its columns stand in another order, by which tensors are sent"
