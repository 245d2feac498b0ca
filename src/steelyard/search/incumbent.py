"""What is used today, brought into a run: its bundle, its address or its past decisions, beside the other recipes.

It lies where a refit would lie, under the digest of its recipe: it is whole from the beginning and is not trained.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle import About, Bundle, load, write
from steelyard.contracts import Problem, Task
from steelyard.data import Dataset, source
from steelyard.data.coerce import NotThisKind, category_of, number_of
from steelyard.errors import DataUnfit, Exit, SteelyardError, nearest, need
from steelyard.recipe import Given, digest
from steelyard.search.store import Store
from steelyard.spec import Budget, Incumbent, Spec

INCUMBENT = "incumbent"
"""The name of the lever that a trial of it goes by, and its own where the spec gives none."""
ENDPOINT, PAST = "endpoint.json", "past.npz"
"""What lies in its folder where it is no bundle."""
MOST_CALLS = 410
"""Calls of one row that weighing an endpoint takes at most."""


class IncumbentUnfit(SteelyardError):
    """What is used today cannot be weighed against these data."""

    exit_code = Exit.SPEC_INVALID


def facts_of(spec: Spec) -> dict[str, str] | None:
    """Return what the ledger has to know of it."""
    part = spec.incumbent
    if part is None or part.per_call is None:
        return None
    return {"per_call": f"{part.per_call.amount:f} {part.per_call.currency}"}


def after_asking(spec: Spec, dataset: Dataset) -> Budget:
    """Return the budget of a run less what asking an endpoint may cost: rows that choose, test rows, its weighing.

    Raises
    ------
    IncumbentUnfit
        If nothing would be left of it.
    """
    part, budget = spec.incumbent, spec.budget
    if part is None or part.endpoint is None or part.per_call is None or budget.money is None:
        return budget
    rows = len(dataset.partition.scored) + len(dataset.partition.test) + MOST_CALLS
    cost = part.per_call * rows
    if budget.money <= cost:
        raise IncumbentUnfit(
            f"asking the incumbent for {rows:,} rows may cost {cost}, and budget.money is {budget.money}; raise it, or "
            "name a column of its past decisions instead"
        )
    return budget.model_copy(update={"money": budget.money - cost})


def lodge(spec: Spec, base: Path | None, dataset: Dataset, store: Store) -> Given:
    """Bring what is used today into a run's store, where it is not there yet, and return its recipe.

    Raises
    ------
    IncumbentUnfit
        If it is not there, answers another question, or reads columns that are not there.
    BundleRefused
        If its bundle or its ONNX file cannot be used.
    """
    part = spec.incumbent
    assert part is not None, "the spec names an incumbent"
    if dataset.task.problem is Problem.TAGGING and part.kind != "bundle":
        raise IncumbentUnfit("incumbent: of what tags tokens only a bundle can be weighed; name one, or leave it out")
    match part.kind:
        case "bundle":
            return _bundle(part, base, dataset, store)
        case "onnx":
            return _onnx(part, base, dataset, store)
        case "endpoint":
            return _endpoint(part, dataset, store)
        case _:
            return _column(part, spec, base, dataset, store)


def _bundle(part: Incumbent, base: Path | None, dataset: Dataset, store: Store) -> Given:
    folder = _found(part.bundle, base)
    bundle = load(folder)
    _fits(bundle, dataset, folder)
    reads = tuple(column.name for column in bundle.reads.columns)
    mark = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()[:16]
    recipe = Given(name=part.name or INCUMBENT, kind="bundle", mark=mark, reads=reads)
    return _kept(store, recipe, lambda place: shutil.copytree(folder, place))


def _onnx(part: Incumbent, base: Path | None, dataset: Dataset, store: Store) -> Given:
    content = _found(part.onnx, base).read_bytes()
    told = json.dumps([part.columns, part.classes]).encode()
    mark = hashlib.sha256(content + told).hexdigest()[:16]
    recipe = Given(name=part.name or INCUMBENT, kind="bundle", mark=mark, reads=part.columns)
    need("onnx", for_="an incumbent in ONNX")
    graphs = importlib.import_module("steelyard.adopt.graphs")  # a core install has no onnx
    artefact = graphs.artefact_of(content, part.columns, dataset.task, dataset.schema, part.classes)
    about = About(task=dataset.task, schema=dataset.schema, recipe=recipe, fingerprint="")
    return _kept(store, recipe, lambda place: write(place, artefact, about))


def _endpoint(part: Incumbent, dataset: Dataset, store: Store) -> Given:
    columns = part.columns or tuple(column.name for column in dataset.schema.features)
    _there(columns, dataset, "incumbent.columns")
    facts = {"url": part.endpoint, "model": part.model, "columns": columns, "classes": part.classes}
    text = json.dumps(facts, indent=1)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    recipe = Given(name=part.name or INCUMBENT, kind="endpoint", mark=mark, reads=columns)

    def fill(place: Path) -> None:
        place.mkdir()
        (place / ENDPOINT).write_text(text, encoding="utf-8")

    return _kept(store, recipe, fill)


def _column(part: Incumbent, spec: Spec, base: Path | None, dataset: Dataset, store: Store) -> Given:
    """Read the source once more: its past decisions are in no column that a model may see."""
    assert part.column is not None, "a column is named"
    table = source.read(spec, base)
    where = np.searchsorted(table.index, dataset.rows.rows).clip(max=table.rows - 1)
    if not np.array_equal(table.index[where], dataset.rows.rows):
        raise IncumbentUnfit(f"{table.source} changed while it was read; begin the run again")

    def cells(name: str) -> list[object]:
        column = table.columns[name]
        return [column[int(place)] for place in where]

    kept = {"decided": _decisions(cells(part.column), part.column, dataset.task)}
    if part.scores is not None:
        kept["scores"] = _chances(cells(part.scores), part.scores, dataset.task)
    mark = hashlib.sha256(b"".join(np.ascontiguousarray(v).tobytes() for v in kept.values())).hexdigest()[:16]
    recipe = Given(name=part.name or INCUMBENT, kind="column", mark=mark)

    def fill(place: Path) -> None:
        place.mkdir()
        with (place / PAST).open("wb") as out:
            np.savez(out, **kept)  # type: ignore[arg-type] # the stubs read names as flags

    return _kept(store, recipe, fill)


def _kept(store: Store, recipe: Given, fill: Callable[[Path], object]) -> Given:
    """Have a folder filled aside and named when it is whole; one that is there already is the same."""
    place = store.refitted(recipe)
    if not place.exists():
        aside = store.bundles / f".{digest(recipe)}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        fill(aside)
        aside.rename(place)
    return recipe


def _found(path: Path | None, base: Path | None) -> Path:
    assert path is not None, "the spec names a path"
    place = path if path.is_absolute() or base is None else base / path
    if not place.exists():
        raise IncumbentUnfit(f"there is no incumbent at {place}; its path starts at the folder of the spec")
    return place


def _fits(bundle: Bundle, dataset: Dataset, folder: Path) -> None:
    """Refuse a bundle that answers another question, reads other columns, or saw the rows that choose."""
    task, other = dataset.task, bundle.task
    if other.problem is not task.problem or set(other.classes) != set(task.classes):
        mine, theirs = (", ".join(t.classes) or "a number" for t in (task, other))
        raise IncumbentUnfit(f"the incumbent {folder} answers {theirs}, and the data asks for {mine}; take it out")
    _there(tuple(column.name for column in bundle.reads.columns), dataset, f"the incumbent {folder}")
    seen = bundle.manifest.extra.get("training_rows", 0)
    least = min(len(part.fit) for part in dataset.partition.parts)
    if bundle.manifest.fingerprint == dataset.fingerprint and isinstance(seen, int) and seen > least:
        raise IncumbentUnfit(
            f"the incumbent {folder} was trained on these very rows, those that choose among them, so its figures "
            "would say nothing; give data that it has not seen, or take it out"
        )


def _there(columns: tuple[str, ...], dataset: Dataset, who: str) -> None:
    known = [column.name for column in dataset.schema.features]
    for name in columns:
        if name not in known:
            raise IncumbentUnfit(
                f"{who} reads column {name!r}, which the data has not, or which no model may read"
                f"{nearest(name, known)}; take it out of `columns.ignore`, or give data that has it"
            )


def _decisions(cells: list[object], name: str, task: Task) -> NDArray[Any]:
    """Return past decisions as class codes or values."""
    if task.problem is Problem.REGRESSION:
        return _numbers(cells, name)
    codes = {label: code for code, label in enumerate(task.classes)}
    words = [category_of(cell) for cell in cells]
    if missing := sum(word is None for word in words):
        raise DataUnfit(f"column {name!r} holds no decision in {missing:,} rows; leave these rows out of the data")
    if strange := sorted({str(word) for word in words if word not in codes}):
        raise DataUnfit(
            f"column {name!r} holds {', '.join(map(repr, strange[:5]))}, which is no class of {task.target!r}; write "
            f"its decisions as {', '.join(map(repr, task.classes[:10]))}"
        )
    return np.array([codes[str(word)] for word in words], np.int64)


def _chances(cells: list[object], name: str, task: Task) -> NDArray[Any]:
    """Return past probabilities as scores, shape (n, 2)."""
    if task.problem is not Problem.BINARY:
        raise DataUnfit(f"column {name!r} holds probabilities of a positive class, and there is none; take it out")
    found = _numbers(cells, name)
    if not ((found >= 0) & (found <= 1)).all():
        raise DataUnfit(f"column {name!r} holds numbers outside of 0 to 1; give probabilities of the positive class")
    positive = 1 if task.positive is None else task.classes.index(task.positive)
    return np.stack([found if k == positive else 1 - found for k in (0, 1)], axis=1)


def _numbers(cells: list[object], name: str) -> NDArray[Any]:
    try:
        found = np.array([number_of(cell) for cell in cells], np.float64)
    except NotThisKind:
        raise DataUnfit(f"column {name!r} holds cells that are no numbers; correct them, or take it out") from None
    if not np.isfinite(found).all():
        missing = int(np.count_nonzero(~np.isfinite(found)))
        raise DataUnfit(f"column {name!r} is empty in {missing:,} rows; leave these rows out of the data")
    return found
