"""What jobs share on disk: the data, and what each recipe left, by digest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.clock import Phase, Times, phase
from steelyard.contracts import Answer, Ending, Rule
from steelyard.contracts.ragged import flattened, lengths_of, parted
from steelyard.data import Dataset, store
from steelyard.errors import RunUnreadable, RunUnwritable
from steelyard.recipe import Given, Recipe, digest, from_json, to_json
from steelyard.search.codec import figures_from_json, figures_to_json, times_from_json
from steelyard.units import Estimate

_KEPT = ("scores", "decided", "amounts", "low", "high", "scales")
"""What is kept of answers, where they have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What executing a recipe left: an ending, figures, and what it took. ``recipe`` may have its rounds recorded."""

    recipe: Recipe
    ending: Ending
    note: str = ""
    notes: tuple[str, ...] = ()
    validation: Mapping[str, Estimate]
    rounds: tuple[int, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    rule: Rule | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    times: Times | None = None
    kept: bool = False
    """Whether it was found finished in the store rather than made by this job."""


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON."""
    plain = asdict(replace(outcome, validation={}, curve=(), times=None))
    return plain | {
        "recipe": to_json(outcome.recipe),
        "ending": outcome.ending.name,
        "validation": figures_to_json(outcome.validation),
        "curve": [list(point) for point in outcome.curve],
        "times": None if outcome.times is None else outcome.times.to_json(),
    }


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """Read what :func:`outcome_to_json` wrote."""
    return Outcome(
        **{
            **data,
            "recipe": from_json(data["recipe"]),
            "ending": Ending[data["ending"]],
            "notes": tuple(data["notes"]),
            "validation": figures_from_json(data["validation"]),
            "rounds": tuple(data["rounds"]),
            "curve": tuple((step, value) for step, value in data["curve"]),
            "times": times_from_json(data.get("times")),
        }
    )


def measured_bundle(recipe: Recipe, part: str) -> str:
    """Return the bundle that a recipe was measured by, relative to the bundles: of a part, or the one that was given.

    What is used today lies where a refit would: it is whole from the beginning.
    """
    return f"{digest(recipe)}.all" if isinstance(recipe, Given) else f"{digest(recipe)}/{part}"


class Store:
    """A folder with ``data.arrow``, ``data.json`` and ``bundles/<digest>/``.

    A folder under ``bundles`` is complete or absent: it is written aside and renamed. Several processes may
    share a store; if two make the same recipe, the first to finish is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bundles = path / "bundles"

    @phase(Phase.LOADING)
    def dataset(self) -> Dataset:
        """Return the data, read once a process for as long as its file is the same."""
        try:
            seen = (self.path / "data.json").stat()
        except OSError:
            return _read(self.path, 0, 0)
        return _read(self.path, seen.st_mtime_ns, seen.st_ino)

    def place(self, recipe: Recipe) -> Path:
        """Return where a recipe's parts lie once it is finished."""
        return self.bundles / digest(recipe)

    def refitted(self, recipe: Recipe) -> Path:
        """Return where a recipe's refit on everything but test lies once it is finished."""
        return self.bundles / f"{digest(recipe)}.all"

    def places(self, recipe: Recipe, *, refit: bool) -> Path:
        """Return where the trainings of a recipe keep what they need to go on after they were killed."""
        return self.path / "checkpoints" / (f"{digest(recipe)}.all" if refit else digest(recipe))

    def forget(self, recipe: Recipe) -> None:
        """Remove what the trainings of a recipe kept to go on: it has ended."""
        for refit in (False, True):
            shutil.rmtree(self.places(recipe, refit=refit), ignore_errors=True)
        with contextlib.suppress(OSError):  # others are there, or nothing was
            (self.path / "checkpoints").rmdir()

    @phase(Phase.LOADING)
    def outcome(self, recipe: Recipe) -> Outcome | None:
        """Return what a finished recipe left, or ``None``."""
        file = self.place(recipe) / "outcome.json"
        try:
            return outcome_from_json(json.loads(file.read_bytes())) if file.exists() else None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise _damaged(file) from problem

    @phase(Phase.LOADING)
    def answers(self, recipe: Recipe) -> Answer:
        """Return a finished recipe's answers on the scored rows (``partition.scored``, in that order)."""
        file = self.place(recipe) / "answers.npz"
        try:
            with np.load(file, allow_pickle=False) as kept:
                if "lengths" in kept:  # rows of tokens, laid one behind the other
                    return Answer(*(parted(kept[name], kept["lengths"]) for name in ("scores", "decided")))
                return Answer(**{name: kept[name] for name in kept.files})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as problem:
            raise _damaged(file) from problem

    @contextlib.contextmanager
    def aside(self, recipe: Recipe) -> Iterator[Path]:
        """Give a folder to write into; it is removed unless :meth:`keep` renamed it."""
        folder = self.bundles / f".{digest(recipe)}.{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            yield folder
        except (OSError, RunUnwritable) as problem:
            refusal = problem.__cause__ if isinstance(problem, RunUnwritable) else problem
            raise RunUnwritable(
                f"cannot write {self.bundles}: {getattr(refusal, 'strerror', None) or problem}; free some space, "
                f"then go on with `steelyard run --resume {self.path}`"
            ) from problem
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @phase(Phase.LOADING)
    def keep(self, folder: Path, outcome: Outcome, answer: Answer) -> None:
        """Complete a folder made by :meth:`aside` and give it its final name."""
        with (folder / "answers.npz").open("wb") as out:
            arrays = {name: each for name in _KEPT if (each := getattr(answer, name)) is not None}
            if answer.scores.dtype == object:
                arrays = {name: flattened(rows)[0] for name, rows in arrays.items()}
                arrays["lengths"] = lengths_of(answer.decided)
            np.savez(out, **arrays)
            _flush(out.fileno())
        with (folder / "outcome.json").open("w", encoding="utf-8") as text:
            json.dump(outcome_to_json(replace(outcome, kept=True)), text)
            text.flush()
            _flush(text.fileno())
        place = self.place(outcome.recipe)
        try:
            folder.rename(place)
        except OSError:
            if not place.exists():  # otherwise another executor was faster: theirs is the same
                raise
        sync_folder(self.bundles)

    def sweep(self) -> None:
        """Remove what processes that were killed left half-written. The caller holds the run's lock."""
        for left in self.bundles.glob(".*"):
            shutil.rmtree(left, ignore_errors=True)


def _damaged(file: Path) -> RunUnreadable:
    return RunUnreadable(f"{file} is missing or damaged; restore it from a copy, or start a new run")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush(handle: int) -> None:
    os.fsync(handle)


@lru_cache(maxsize=2)
def _read(path: Path, changed: int, inode: int) -> Dataset:
    del changed, inode  # they are the cache's
    return store.read(path)
