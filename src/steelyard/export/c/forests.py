"""Trees in C: numbers become ranks among the cuts of their column, and splits compare ranks.

A value is at most a cut where no more cuts lie below the value than below the cut. So ranks of 8 bits (16 where a
column has more than 254 cuts) lead every row the way that the 32 bits of its numbers do: nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import ExportRefused
from steelyard.export.c.code import Array, Code, least
from steelyard.export.c.rounding import Rounded
from steelyard.export.c.tensors import Numbers, store

Ints = NDArray[np.int64]
FLOAT = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Ranks of the columns that are asked for, in a local array; ``missing`` is the rank of NaN."""

    name: str
    places: dict[int, int]
    """Where the rank of a column stands."""
    cuts: dict[int, NDArray[np.float32]]
    missing: int

    def rank(self, columns: Ints, cuts: NDArray[np.float32]) -> Ints:
        """Return the rank of some cuts among those of their columns."""
        return np.array([np.searchsorted(self.cuts[c], cut) for c, cut in zip(columns, cuts, strict=True)], np.int64)

    def place(self, columns: Ints) -> Ints:
        """Return where the ranks of some columns stand."""
        return np.array([self.places[column] for column in columns], np.int64)


def ranked(code: Code, matrix: Numbers, columns: Ints, cuts: NDArray[np.float32], *, nan_is_low: bool) -> Ranked:
    """Add the ranks of a row's numbers among all cuts of their columns; ``nan_is_low`` gives NaN the lowest rank."""
    of: dict[int, NDArray[np.float32]] = {}
    order = np.argsort(columns, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(columns[order])) + 1):
        of[int(columns[part[0]])] = np.unique(cuts[part])
    counts = [len(each) for each in of.values()]
    kind, missing = ("uint8_t", 255) if max(counts) < 255 else ("uint16_t", 65535)
    if max(counts) >= 65535:
        raise ExportRefused(
            f"a column has {max(counts):,} cuts, and ranks of 16 bits tell 65,534 apart; train fewer or smaller trees, "
            "or export with --to ort"
        )
    matrix = store(code, matrix, "x")
    name = code.buffer(kind, len(of), "rank")
    ends = least(np.cumsum([0, *counts]))
    code.helpers.add("rank")
    values, first = code.table(np.concatenate([*of.values()]), "cuts"), code.table(ends, "first_cut")
    with code.loop(len(of)) as i:
        x = matrix.at(code.index(np.array(list(of), np.int64), i))
        after = f"{first}[{i} + 1]" if i != "0" else f"{first}[1]"
        found = f"({kind}){code.prefix}_rank({values} + {first}[{i}], (uint32_t)({after} - {first}[{i}]), {x})"
        code.add(f"{name}[{i}] = {found if nan_is_low else f'isnan({x}) ? ({kind}){missing} : {found}'};")
    return Ranked(name, {column: place for place, column in enumerate(of)}, of, missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Trees of any shape, their nodes laid out in the order of a walk that takes left children first.

    All arrays but the last three are one a node: ``feature`` is -1 at a leaf, and ``after`` the number of the right
    child, at a leaf that of the leaf. ``roots`` and ``targets`` (-1: every target) are one a tree; ``weights`` has
    shape (leaves, targets).
    """

    feature: Ints
    cut: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    after: Ints
    roots: Ints
    targets: Ints
    weights: NDArray[np.float64]


def laid_out(attributes: dict[str, NDArray[np.generic]], sums: int) -> Trees:
    """Return the trees of a ``TreeEnsembleRegressor`` with its attributes as arrays."""
    modes = attributes["nodes_modes"]
    if unknown := set(np.unique(modes)) - {b"BRANCH_LEQ", b"LEAF"}:
        raise ExportRefused(f"a tree splits by {min(unknown).decode()}, which has no C form here; use --to ort")
    leaf, trees, nodes = modes == b"LEAF", attributes["nodes_treeids"], attributes["nodes_nodeids"]
    place = {pair: i for i, pair in enumerate(zip(trees.tolist(), nodes.tolist(), strict=True))}
    left, right = attributes["nodes_truenodeids"], attributes["nodes_falsenodeids"]
    firsts = [int(i) for i in np.flatnonzero(np.diff(trees, prepend=-1))]
    order, roots = list[int](), list[int]()
    for first in firsts:  # the first record of a tree is its root
        roots.append(len(order))
        waiting = [first]
        while waiting:
            node = waiting.pop()
            order.append(node)
            if not leaf[node]:
                tree = int(trees[node])
                waiting += [place[tree, int(right[node])], place[tree, int(left[node])]]
    at = np.array(order, np.int64)
    number = np.empty(len(leaf), np.int64)
    number[at] = np.arange(len(at))
    rights = [number[place[int(trees[i]), int(right[i])]] if not leaf[i] else 0 for i in order]
    is_leaf = leaf[at]
    after = np.where(is_leaf, np.cumsum(is_leaf) - 1, rights)
    weights = np.zeros((int(is_leaf.sum()), sums))
    leaves = [
        int(after[number[place[pair]]])
        for pair in zip(attributes["target_treeids"].tolist(), attributes["target_nodeids"].tolist(), strict=True)
    ]
    ids = attributes["target_ids"].astype(np.int64)
    np.add.at(weights, (np.array(leaves, np.int64), ids), attributes["target_weights"].astype(np.float64))
    missing = attributes.get("nodes_missing_value_tracks_true", np.zeros(len(leaf), np.int64))
    return Trees(
        feature=np.where(is_leaf, -1, attributes["nodes_featureids"][at]).astype(np.int64),
        cut=attributes["nodes_values"][at].astype(np.float32),
        missing_left=missing[at].astype(bool),
        after=after.astype(np.int64),
        roots=np.array(roots, np.int64),
        targets=_targets(attributes, firsts, sums),
        weights=weights,
    )


def _targets(attributes: dict[str, NDArray[np.generic]], firsts: Sequence[int], sums: int) -> Ints:
    """Return the one target that each tree adds to; -1 for all trees where any adds to several."""
    if sums == 1:
        return np.zeros(len(firsts), np.int64)
    names = attributes["nodes_treeids"][firsts]
    trees, ids = attributes["target_treeids"], attributes["target_ids"]
    pairs = np.unique(np.stack([trees, ids]), axis=1)
    if pairs.shape[1] != len(firsts):
        return np.full(len(firsts), -1)
    of = dict(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))
    return np.array([of[int(name)] for name in names], np.int64)


def forest(
    code: Code, matrix: Numbers, attributes: dict[str, NDArray[np.generic]], sums: int, made: Rounded | None
) -> Numbers:
    """Add a walk down every tree; return the sums."""
    base = np.asarray(attributes.get("base_values", np.zeros(sums)), np.float64)
    if made is not None:
        first = {int(tree): i for i, tree in reversed(list(enumerate(attributes["target_treeids"].tolist())))}
        base = base.copy()
        for i in first.values():  # what a tree adds in any case
            base[int(attributes["target_ids"][i])] += made.middle[i]
        attributes = {**attributes, "target_weights": made.whole.astype(np.float64)}
    trees = laid_out(attributes, sums)
    split = trees.feature >= 0
    if not split.any():
        step = np.append(made.step, np.ones(sums - len(made.step))) if made else 1.0
        total = base + (trees.weights * step).sum(axis=0)
        constants = total.astype(np.float32).reshape(1, sums)
        return Numbers((1, sums), FLOAT, lambda i: code.constant(constants, i))
    ranks = ranked(code, matrix, trees.feature[split], trees.cut[split], nan_is_low=False)
    return _walk(code, trees, ranks, base, made)


def _walk(code: Code, trees: Trees, ranks: Ranked, base: NDArray[np.float64], made: Rounded | None) -> Numbers:
    split, sums = trees.feature >= 0, trees.weights.shape[1]
    alone = bool((trees.targets >= 0).all())
    what = np.zeros(len(split), np.int64)
    what[split] = 2 * ranks.place(trees.feature[split]) + trees.missing_left[split]
    leaf = 255 if what.max() < 255 else 65535
    what[~split] = leaf
    cut = np.zeros(len(split), np.int64)
    cut[split] = ranks.rank(trees.feature[split], trees.cut[split])
    after = np.where(split, trees.after - np.arange(len(split)), 0)
    numbers = trees.after[~split]
    of_leaf = np.repeat(
        trees.targets, np.diff(np.append(np.searchsorted(np.flatnonzero(~split), trees.roots), len(numbers)))
    )
    if made is not None and alone:
        after[~split] = trees.weights[numbers, of_leaf].astype(np.int64)
    else:
        after[~split] = numbers
    whats, cuts, nexts = (
        code.table(least(each), stem) for each, stem in ((what, "what"), (cut, "cut"), (after, "next"))
    )
    total = code.buffer(_sum_type(made, len(trees.roots)), sums, "sum")
    with code.loop(sums) as k:
        code.add(f"{total}[{k}] = 0;")
    with code.loop(len(trees.roots)) as t:
        node, rank = code.fresh("node"), code.fresh("r")
        code.add(f"int32_t {node} = (int32_t){code.index(trees.roots, t)};")
        with code.block(f"while ({whats}[{node}] != {leaf})"):
            code.add(
                f"const {'uint8_t' if ranks.missing == 255 else 'uint16_t'} {rank} = {ranks.name}[{whats}[{node}] / 2];"
            )
            left = f"{rank} == {ranks.missing} ? ({whats}[{node}] & 1) : {rank} <= {cuts}[{node}]"
            code.add(f"{node} += ({left}) ? 1 : {nexts}[{node}];")
        if made is not None and alone:
            code.add(f"{total}[{code.index(trees.targets, t)}] += {nexts}[{node}];")
        elif alone:
            values = code.table(trees.weights[np.arange(len(numbers)), of_leaf].astype(np.float32), "leaf")
            code.add(f"{total}[{code.index(trees.targets, t)}] += {values}[{nexts}[{node}]];")
        else:
            stored = trees.weights.astype(np.float32) if made is None else least(trees.weights.astype(np.int64))
            values = code.table(stored, "leaf")
            with code.loop(sums) as k:
                code.add(f"{total}[{k}] += {values}[{nexts}[{node}] * {sums} + {k}];")
    return scaled(code, total, base, made)


def _sum_type(made: Rounded | None, trees: int) -> str:
    """Return the type of a sum over trees, whose leaves have 16 bits at most where they are rounded."""
    return "float" if made is None else "int32_t" if trees < 2**16 else "int64_t"


def scaled(code: Code, total: str, base: NDArray[np.float64], made: Rounded | None) -> Numbers:
    """Return sums of whole numbers as what they stand for."""
    sums = len(base)
    start = base.astype(np.float32)
    if made is None:
        if not start.any():
            return Numbers((1, sums), FLOAT, lambda i: f"{total}[{i}]", stored=True)
        return Numbers((1, sums), FLOAT, lambda i: f"({total}[{i}] + {code.constant(start, i)})")
    step = np.append(made.step, np.ones(sums - len(made.step))).astype(np.float32)
    return Numbers(
        (1, sums), FLOAT, lambda i: f"({code.constant(start, i)} + {code.constant(step, i)} * (float){total}[{i}])"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Oblivious trees: ``columns`` and ``borders`` have shape (depth, trees), ``starts`` are rows of ``leaves``."""

    columns: Ints
    borders: NDArray[np.float32]
    starts: Ints
    leaves: NDArray[np.float64]


def oblivious(code: Code, matrix: Numbers, trees: Levels, made: Rounded | None) -> Numbers:
    """Add the look-up of every tree's leaf; return the sums."""
    depth, count = trees.columns.shape
    sums = trees.leaves.shape[1]
    ranks = ranked(code, matrix, trees.columns.ravel(), trees.borders.ravel(), nan_is_low=True)
    places = least(ranks.place(trees.columns.ravel()))
    cuts = least(ranks.rank(trees.columns.ravel(), trees.borders.ravel()))
    columns, borders = code.table(places, "what"), code.table(cuts, "cut")
    base, shape = np.zeros(sums), trees.leaves.shape
    stored: Array = trees.leaves.astype(np.float32)
    if made is not None:
        stored = least(made.whole.reshape(shape))
        base += made.middle.reshape(shape)[trees.starts].sum(axis=0)
    leaves = code.table(stored, "leaf")
    total = code.buffer(_sum_type(made, count), sums, "sum")
    with code.loop(sums) as k:
        code.add(f"{total}[{k}] = 0;")
    with code.loop(count) as t:
        leaf = code.fresh("leaf_")
        code.add(f"uint32_t {leaf} = 0;")
        with code.loop(depth) as d:
            at = t if depth == 1 else f"{d} * {count} + {t}"
            code.add(f"{leaf} |= (uint32_t)({ranks.name}[{columns}[{at}]] > {borders}[{at}]) << {d};")
        apart = np.diff(trees.starts)
        if len(apart) and (apart == apart[0]).all():
            start = f"(uint32_t){t} * {apart[0]}u + {trees.starts[0]}u"
        else:
            start = f"(uint32_t){code.index(trees.starts, t)}"
        with code.loop(sums) as k:
            code.add(f"{total}[{k}] += {leaves}[({start} + {leaf}) * {sums}u + (uint32_t){k}];")
    return scaled(code, total, base, made)
