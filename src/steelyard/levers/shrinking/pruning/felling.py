"""Fewer trees: those of a boosting after the last useful one, some of a forest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from steelyard.bundle.running import OUTPUT, session_of
from steelyard.contracts import Artefact, Floats, Ints, Meter, Split, Work
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.tuning.feeding import rows_of, sample
from steelyard.levers.shrinking.tuning.tuned import chunks

TREES = "TreeEnsembleRegressor"
SUMS = "sums_of_trees"
ROWS = 20_000
"""Most rows that trees are compared on."""
APART = 0.002
"""How far answers may move where trees are left out that are of no use: see :func:`useful`."""
UNSCALED = 1e-3
"""How far from 1 a scale may be and still count as none."""


@dataclass(frozen=True, slots=True)
class Forest:
    """The one node of a graph that holds its trees.

    ``trees`` are the numbers of the trees in the order in which they were grown.
    """

    model: onnx.ModelProto
    place: int
    given: Mapping[str, Any]

    @classmethod
    def of(cls, graph: bytes) -> Forest | None:
        """Return the trees of a graph; ``None`` where there are none, or in several nodes."""
        model = onnx.load_model_from_string(graph)
        places = [place for place, node in enumerate(model.graph.node) if node.op_type == TREES]
        if len(places) != 1:
            return None
        node = model.graph.node[places[0]]
        given = {a.name: _array(a) for a in node.attribute}
        odd = given.get("aggregate_function", b"SUM") not in (b"SUM", "SUM")
        return None if odd or "nodes_values" not in given else cls(model, places[0], given)

    @property
    def trees(self) -> Ints:
        """The numbers of the trees, in the order of growth."""
        return np.unique(self.given["nodes_treeids"])

    @property
    def sums(self) -> int:
        """How many sums the trees add up to."""
        return int(self.given["n_targets"])

    def first(self, rounds: int, scales: Floats | None = None) -> bytes:
        """Return the graph with the first trees only, their leaves times a scale for each sum."""
        kept = self.trees[: rounds * self.each]
        given = dict(self.given)
        for group in ("nodes", "target"):
            there = np.isin(self.given[f"{group}_treeids"], kept)
            for name, values in self.given.items():
                if name.startswith(f"{group}_") and isinstance(values, np.ndarray):
                    given[name] = values[there]
        if scales is not None:
            scaled = given["target_weights"] * scales[given["target_ids"]]
            given["target_weights"] = scaled.astype(np.float32)
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        node = model.graph.node[self.place]
        del node.attribute[:]
        node.attribute.extend(_attribute(name, value) for name, value in given.items())
        return bytes(model.SerializeToString(deterministic=True))

    @property
    def each(self) -> int:
        """Trees that a round grows: one for each sum where a tree adds to one alone."""
        ids, targets = self.given["target_treeids"], self.given["target_ids"]
        alone = all(len(np.unique(targets[ids == tree])) == 1 for tree in self.trees[: 2 * self.sums])
        return self.sums if alone else 1

    @property
    def rounds(self) -> int:
        """How many rounds of trees there are."""
        return len(self.trees) // self.each


def _array(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return np.array(value, object)
    return np.array(value) if isinstance(value, list) else value


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    if isinstance(value, np.ndarray):
        kind = np.float32 if value.dtype.kind == "f" else value.dtype
        return helper.make_attribute(name, value.astype(kind).tolist())
    return helper.make_attribute(name, value)


@dataclass(frozen=True, slots=True)
class Sums:
    """What the trees of a graph add up to on some rows, float64 of shape (n, sums)."""

    forest: Forest
    artefact: Artefact
    inputs: tuple[tuple[Ints, dict[str, NDArray[Any]]], ...]
    threads: int

    @classmethod
    def on(cls, forest: Forest, artefact: Artefact, split: Split, work: Work) -> Sums:
        """Return sums on some rows, which are made ready once."""
        rows = rows_of(artefact, split.columns)
        parts = chunks(np.arange(len(split)), rows.lengths)
        return cls(forest, artefact, tuple((part, rows.arrays(part)) for part in parts), work.threads)

    def of(self, graph: bytes) -> Floats:
        """Return the sums of a graph of these trees, or of some of them."""
        model = onnx.load_model_from_string(graph)
        name = model.graph.node[self.forest.place].output[0]
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        return self._run(model.SerializeToString(), name)

    def scores(self, graph: bytes) -> Floats:
        """Return what a graph of these trees answers."""
        return self._run(graph, OUTPUT)

    def _run(self, graph: bytes, name: str) -> Floats:
        session = session_of(graph, threads=self.threads)
        taken = {value.name for value in session.get_inputs()}
        found = [
            (part, session.run((name,), {n: a for n, a in given.items() if n in taken})[0])
            for part, given in self.inputs
        ]
        back = np.argsort(np.concatenate([part for part, _ in found]), kind="stable")
        return np.concatenate([sums for _, sums in found]).astype(np.float64)[back]

    def first(self, rounds: int) -> bytes:
        """Return the graph of the first rounds, scaled to what all of them add up to on these rows."""
        whole, part = self.of(self.artefact.graph), self.of(self.forest.first(rounds))
        square = (part**2).sum(axis=0)
        scales = np.where(square > 0, (whole * part).sum(axis=0) / np.where(square > 0, square, 1.0), 1.0)
        near = bool((np.abs(scales - 1) < UNSCALED).all())
        return self.forest.first(rounds, None if near else scales)


def fewer_trees(artefact: Artefact, share: float, *, split: Split, work: Work, meter: Meter) -> Artefact:
    """Return the artefact without the last trees: a share of them, or with 0 those that hardly change an answer.

    Raises
    ------
    LeverRefused
        If there are no trees that can be cut, or each is of use.
    """
    forest, split = forest_of(artefact), split.take(sample(len(split), ROWS, work.seed))
    rounds = max(1, round((1 - share) * forest.rounds)) if share else useful(artefact, split, work, apart=APART)
    if rounds >= forest.rounds:
        raise LeverRefused(
            f"prune finds each of the {forest.rounds:,} rounds of trees of use: without the last ones more than "
            f"{APART:.1%} of the answers change; name a `share` to leave them out all the same"
        )
    meter.note(f"prune keeps {rounds:,} of {forest.rounds:,} rounds of trees.")
    return felled(artefact, rounds, split, work)


def felled(artefact: Artefact, rounds: int, split: Split, work: Work) -> Artefact:
    """Return the artefact with the first rounds of trees, whose leaves are scaled to what all of them add up to.

    The scale of each sum is that of least squares on some rows, labels unseen: about 1 for a boosting, whose later
    trees correct little; all rounds over those kept for a forest, whose trees are a mean.
    """
    sums = Sums.on(forest_of(artefact), artefact, split, work)
    return replace(artefact, graph=sums.first(rounds))


def forest_of(artefact: Artefact) -> Forest:
    """Return the trees of an artefact.

    Raises
    ------
    LeverRefused
        If there are none that can be cut.
    """
    forest = Forest.of(artefact.graph)
    if forest is None or forest.rounds < 2:
        raise LeverRefused(
            "prune finds no trees to leave out in this graph (the tables of CatBoost's trees are not cut); leave it "
            "out with `levers: {without: [prune]}`"
        )
    return forest


def useful(artefact: Artefact, split: Split, work: Work, *, apart: float) -> int:
    """Return the fewest first rounds after which the answers hardly move any more on some rows.

    Answers are said to move by the share of rows that are decided otherwise, for numbers by the root mean squared
    difference over the spread of the answers; neither looks at labels, which the trees know by heart.
    """
    forest = forest_of(artefact)
    sums = Sums.on(forest, artefact, split, work)
    whole = sums.scores(artefact.graph)
    low, high = 0, forest.rounds
    while high - low > max(1, forest.rounds // 50):
        middle = (low + high) // 2
        if _moved(whole, sums.scores(sums.first(middle)), classes=bool(work.task.classes)) <= apart:
            high = middle
        else:
            low = middle
    return high


def _moved(whole: Floats, part: Floats, *, classes: bool) -> float:
    if classes:
        return float(np.mean(whole.argmax(axis=1) != part.argmax(axis=1)))
    spread = whole.std()
    return float(np.sqrt(np.mean((whole - part) ** 2)) / (spread if spread > 0 else 1.0))
