"""Rows that are like others but are none of them: MUNGE.

Bucila, Caruana and Niculescu-Mizil, "Model Compression" (KDD 2006): a row takes some of its cells from its nearest
neighbour, numbers with noise as wide as the two are apart. The rows follow the joint distribution closely enough for
a model's answers to them to say what that model would answer elsewhere. Where a row is one text or one picture, it has
no cells to swap: the text is reworded, the picture cropped anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Floats, Ints, Kind, Schema, Split
from steelyard.errors import need
from steelyard.levers.shrinking.distilling.repicturing import affordable, recropped_cells
from steelyard.levers.shrinking.distilling.rewording import reworded_cells

SWAP = 0.5
"""Chance of a cell to come from the neighbour."""
NARROW = 3.0
"""The noise of a number is as wide as this share of the distance to the neighbour: 1 / 3."""
MOST = 50_000
"""Most rows that are made up: with more real ones there is enough to learn from."""
POOL = 5_000
"""Rows among which neighbours are looked for."""
AXES = 3
"""Numbers that stand for a category while neighbours are looked for: two values lie about as far apart as any two."""


def beside(split: Split, times: float, schema: Schema, random: np.random.Generator) -> Split:
    """Return rows made of those of a split, so many times as many, :data:`MOST` at most."""
    return munge(split, made_of(len(split), times), schema, random)


def made_of(rows: int, times: float) -> int:
    """Return how many rows are made of some.

    Examples
    --------
    >>> made_of(1_000, 2.0), made_of(100_000, 2.0)
    (2000, 50000)
    """
    return min(MOST, round(times * rows))


def munge(split: Split, count: int, schema: Schema, random: np.random.Generator) -> Split:
    """Return ``count`` rows made of those of a split, with the target, weight and number of the row they started from.

    Parameters
    ----------
    split
        Rows to start from; each is taken equally often.
    count
        How many rows to make.
    schema
        The kinds of the columns: numbers and times get noise, every other cell is the neighbour's as it is.
    random
        Where chance comes from; the same state gives the same rows.
    """
    if not count or len(split) < 2:
        return split.take(np.arange(0))
    alone = _alone(split, schema)
    if alone is not None and alone.kind is Kind.IMAGE:
        count = affordable(split.columns[alone.name], count)
    passes = -(-count // len(split))
    first = np.concatenate([random.permutation(len(split)) for _ in range(passes)])[:count]
    if alone is not None:
        return replace(split.take(first), columns=_varied(split, first, alone, random))
    second = _neighbours(split, first, schema, random)
    kinds = {column.name: column for column in schema.columns}
    made = {name: _mixed(cells, first, second, kinds[name], random) for name, cells in split.columns.items()}
    return replace(split.take(first), columns=made)


def _alone(split: Split, schema: Schema) -> Column | None:
    """Return the column that is all there is of a row, where that is a text or a picture."""
    read = [column for column in schema.features if column.name in split.columns]
    return read[0] if len(read) == 1 and read[0].kind in {Kind.TEXT, Kind.IMAGE} else None


def _varied(split: Split, first: Ints, column: Column, random: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return the columns of the first rows, the one that counts made anew."""
    columns = {name: cells[first] for name, cells in split.columns.items()}
    cells = columns[column.name]
    if column.kind is Kind.TEXT:
        columns[column.name] = reworded_cells(cells, random, spaced=column.spaced)
    else:
        columns[column.name] = recropped_cells(cells, random)
    return columns


def _mixed(cells: NDArray[Any], first: Ints, second: Ints, column: Column, random: np.random.Generator) -> NDArray[Any]:
    """Return cells of the first rows, some of them taken from the second ones."""
    swap = random.random(len(first)) < SWAP
    own, other = cells[first], cells[second]
    if column.kind not in {Kind.NUMBER, Kind.TIME}:
        return np.where(swap, other, own)
    apart = np.abs(own - other)
    noise = random.normal(size=len(first)) * np.where(np.isfinite(apart), apart, 0.0) / NARROW
    known = cells[np.isfinite(cells)]
    drawn = np.clip(other + noise, known.min(initial=np.inf), known.max(initial=-np.inf)) if len(known) else other
    if np.all(known == np.round(known)):
        drawn = np.round(drawn)  # counts and codes stay whole
    return np.where(swap, drawn, own)


def _neighbours(split: Split, rows: Ints, schema: Schema, random: np.random.Generator) -> Ints:
    """Return the nearest other row of each row, among at most :data:`POOL`; any row where nothing can be compared."""
    places = _places(split, schema, random)
    pool = random.permutation(len(split))[:POOL]
    if not places.shape[1]:
        return pool[random.integers(0, len(pool), len(rows))]
    tree = need("sklearn.neighbors", for_="distil").NearestNeighbors(n_neighbors=min(2, len(pool))).fit(places[pool])
    distinct, inverse = np.unique(rows, return_inverse=True)
    near = pool[tree.kneighbors(places[distinct], return_distance=False)]
    nearest = np.where(near[:, 0] == distinct, near[:, -1], near[:, 0])
    return np.asarray(nearest[inverse])


def _places(split: Split, schema: Schema, random: np.random.Generator) -> Floats:
    """Return where rows lie for the purpose of distances: numbers by rank, categories at random points."""
    axes: list[Floats] = []
    for column in schema.of(Kind.NUMBER, Kind.TIME, Kind.CATEGORY):
        if column.name not in split.columns:
            continue
        cells = split.columns[column.name]
        if column.kind is Kind.CATEGORY:
            names, codes = np.unique([cell or "" for cell in cells], return_inverse=True)
            axes.append(random.normal(size=(len(names), AXES))[codes] / np.sqrt(6 * AXES))
        else:
            axes.append(_ranks(cells)[:, None])
    return np.hstack(axes) if axes else np.zeros((len(split), 0))


def _ranks(cells: Floats) -> Floats:
    """Return the share of known cells below each one, 0.5 where it is missing."""
    known = np.sort(cells[np.isfinite(cells)])
    places = np.searchsorted(known, cells) / max(len(known), 1)
    return np.where(np.isfinite(cells), places, 0.5)
