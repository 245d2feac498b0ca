"""How far a graph's answers are from those of the one it was made from, and which nodes are to blame.

No labels are needed: the parent's answers are what the child's are held against.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle.running import GraphModel, Model, session_of
from steelyard.bundle.tagging import TagModel
from steelyard.contracts import NUMERIC, Answer, Artefact, Kind, Meter, Problem, Split, Work
from steelyard.contracts.ragged import flattened
from steelyard.data.coerce import objects
from steelyard.data.hashing import opened
from steelyard.levers.shrinking.quantising.editing import copied
from steelyard.levers.shrinking.quantising.integers import tensors
from steelyard.levers.shrinking.quantising.weights import BLOCKS, Array, Weight, blocked, by_array, scaled, shared

CALLS = 40
"""Calls of one row that say how long a row takes."""
LOOKED = 32
"""Rows that say which nodes are to blame."""


@dataclass(frozen=True, slots=True)
class Apart:
    """How far the answers of two graphs to the same rows are from each other.

    ``changed`` is the share of decisions that are others; of numbers, the mean squared difference as a share of the
    variance of the parent's. ``moved`` is the mean absolute difference of a score, of numbers in standard deviations.
    """

    changed: float
    moved: float


def apart(one: Answer, other: Answer, problem: Problem) -> Apart:
    """Compare two answers to the same rows.

    Examples
    --------
    >>> one = Answer(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 0]))
    >>> other = Answer(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 1]))
    >>> found = apart(one, other, Problem.BINARY)
    >>> found.changed, round(found.moved, 3)
    (0.5, 0.15)
    """
    if problem in NUMERIC:
        difference, spread = one.scores - other.scores, float(one.scores.std()) or 1.0
        return Apart(float((difference**2).mean()) / spread**2, float(np.abs(difference).mean()) / spread)
    pairs = [(one.scores, other.scores), (one.decided, other.decided)]
    if problem is Problem.TAGGING:
        pairs = [(flattened(first)[0], flattened(second)[0]) for first, second in pairs]
    (scores, others), (decided, redecided) = pairs
    return Apart(float((decided != redecided).mean()), float(np.abs(scores - others).mean()))


class Judge:
    """Holds graphs against the one they were made from, on rows that both answer.

    Parameters
    ----------
    artefact
        The parent.
    split
        The rows; targets are not read.
    work
        The task and the schema.

    Raises
    ------
    BundleRefused
        If the parent cannot answer the rows.
    """

    def __init__(self, artefact: Artefact, split: Split, work: Work) -> None:
        order = np.argsort(_lengths(split), kind="stable")  # rows of like length are padded least
        self._work, self._split, self._parent = work, split.take(order), _model(artefact, work)
        self._answer = self._parent.answer(self._split.columns)

    def __len__(self) -> int:
        return len(self._split)

    def apart(self, artefact: Artefact) -> Apart:
        """Return how far another artefact's answers are."""
        return apart(self._answer, _model(artefact, self._work).answer(self._split.columns), self._work.task.problem)

    def times(self, artefact: Artefact) -> tuple[float, float, bool]:
        """Return the median seconds that a row computes, by the parent and by another artefact, asked in turns.

        The last one says whether the other is clearly slower: three quarters of its calls took longer than three
        quarters of the parent's.
        """
        models = self._parent, _model(artefact, self._work)
        spent: tuple[list[float], list[float]] = ([], [])
        some = self._split.take(np.arange(min(CALLS, len(self._split))))
        columns = dict(some.columns)
        for column in self._work.schema.of(Kind.IMAGE, Kind.AUDIO):
            columns[column.name] = objects(opened(columns[column.name]))  # to open a file is none of the model's work
        for call in range(CALLS):
            cells = {name: values[call % len(some)] for name, values in columns.items()}
            for model, seconds in zip(models, spent, strict=True):
                began = time.thread_time()  # one thread: what others compute here does not count
                model.row(cells)
                seconds.append(time.thread_time() - began)
        one, other = (np.asarray(seconds[CALLS // 4 :]) for seconds in spent)
        slower = np.quantile(other, 0.25) > np.quantile(one, 0.75)
        return float(np.median(one)), float(np.median(other)), bool(slower)


def _lengths(split: Split) -> Array:
    """Return about how long each row is: letters or tokens."""
    total = np.zeros(len(split), np.int64)
    for cells in split.columns.values():
        if cells.dtype == object:
            total += np.fromiter(
                (len(c) if isinstance(c, str | tuple) else 0 for c in cells), np.int64, count=len(split)
            )
    return total


def _model(artefact: Artefact, work: Work) -> Model:
    kind = TagModel if work.task.problem is Problem.TAGGING else GraphModel
    return kind(artefact, work.task, work.schema, threads=1)


def noise(
    model: onnx.ModelProto, artefact: Artefact, split: Split, *, bits: int, activations: bool, least: int | None = None
) -> Mapping[str, float]:
    """Return how much rounding at one node changes what comes out of it, by its name: noise over signal, in power.

    Beside each node with a large weight stands a twin with that weight (and, where asked, what flows into it) rounded;
    both get what the float graph computes, so the noise of one node does not hide that of the next. One pass says it
    of all nodes.

    Parameters
    ----------
    model
        The float graph; it stays as it is.
    artefact
        Its feeds and files.
    split
        Rows; at most :data:`LOOKED` are used.
    bits
        Of the weights: 8 or 4; where activations are rounded, of tables.
    activations
        Whether what flows in is rounded to 8 bits as well, with one range for all of a batch.
    least
        How many numbers make a weight large; see :func:`~._weights.weights_of`.
    """
    twin = copied(model)
    ends: dict[str, str] = {}
    for array, used in by_array(model, least).items():
        value = numpy_helper.to_array(next(w for w in model.graph.initializer if w.name == array))
        own = 8 if activations and used[0].node.op_type != "Gather" else bits
        twin.graph.initializer.append(numpy_helper.from_array(_round_trip(value, used[0], own), f"{array}_twin"))
        for weight in used:
            if weight.node.name not in ends:
                ends[weight.node.name] = _add_twin(twin, weight, activations=activations)
    for name in ends.values():
        twin.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = session_of(twin.SerializeToString(), threads=1)
    some = split.take(np.arange(min(len(split), LOOKED)))
    found = [session.run(list(ends.values()), batch) for batch in tensors(artefact, some)]
    means = np.mean(np.asarray(found, np.float64).reshape(len(found), len(ends)), axis=0)
    return dict(zip(ends, means.tolist(), strict=True))


def _round_trip(value: Array, weight: Weight, bits: int) -> Array:
    """Return a weight as it is after rounding."""
    if bits == 4 and value.ndim == 2:
        turned = np.ascontiguousarray(value if weight.node.op_type == "Gather" else value.T)
        numbers, scale = blocked(turned, 4, BLOCKS[4])
        whole = np.stack([numbers & 15, numbers >> 4], axis=-1).reshape(*scale.shape, BLOCKS[4]).astype(np.float32) - 8
        back = (whole * scale[..., None]).reshape(len(turned), -1)[:, : turned.shape[1]]
        return np.ascontiguousarray(back if weight.node.op_type == "Gather" else back.T)
    numbers8, scale8 = scaled(value, shared(weight.node, value.ndim))
    return np.asarray(numbers8 * scale8, np.float32)


def _add_twin(model: onnx.ModelProto, weight: Weight, *, activations: bool) -> str:
    """Put a twin beside a node, and return the name of its noise."""
    node, name = weight.node, f"{weight.node.name}_twin"
    taken = [f"{weight.array}_twin" if one == weight.array else one for one in node.input]
    made: list[onnx.NodeProto] = []
    if activations and node.op_type not in {"Gather", "EmbedLayerNormalization"}:
        given = [f"{name}_{end}" for end in ("q", "scale", "zero", "x")]
        made.append(helper.make_node("DynamicQuantizeLinear", [node.input[0]], given[:3]))
        made.append(helper.make_node("DequantizeLinear", given[:3], given[3:]))
        taken[0] = given[3]
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.name = name
    del other.input[:], other.output[:]
    other.input.extend(taken)
    other.output.extend(f"{one}_twin" if one else "" for one in node.output)
    out, twin = next((a, b) for a, b in zip(node.output, other.output, strict=True) if a)
    made += [
        other,
        helper.make_node("Sub", [out, twin], [f"{name}_error"]),
        helper.make_node("ReduceSumSquare", [f"{name}_error"], [f"{name}_lost"], keepdims=0),
        helper.make_node("ReduceSumSquare", [out], [f"{name}_power"], keepdims=0),
        helper.make_node("Add", [f"{name}_power", "twin_least"], [f"{name}_some"]),
        helper.make_node("Div", [f"{name}_lost", f"{name}_some"], [f"{name}_noise"]),
    ]
    if "twin_least" not in {w.name for w in model.graph.initializer}:
        model.graph.initializer.append(numpy_helper.from_array(np.array(1e-12, np.float32), "twin_least"))
    model.graph.node.extend(made)
    return f"{name}_noise"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was made, how far its answers are, and the nodes that have a finer form."""

    artefact: Artefact
    apart: Apart
    finer: Sequence[str]
    tries: int


def eased(
    build: Callable[[Collection[str]], Artefact],
    worst: Callable[[], Sequence[str]],
    judge: Judge,
    *,
    lose: float,
    tries: int,
    meter: Meter,
) -> Kept:
    """Return the graph with the fewest nodes in a finer form whose answers are close enough, or the closest one found.

    The nodes to blame most get a finer form first: one, two, four and so on, then halving back to the fewest that do.

    Parameters
    ----------
    build
        Makes an artefact whose named nodes have a finer form.
    worst
        Gives the names of nodes, the worst first; asked only where the plain graph is too far.
    judge
        Says how far an artefact's answers are.
    lose
        Share of decisions that may change.
    tries
        How many artefacts are made and judged at most.
    meter
        Says how much time is left: nothing is tried that would take more.
    """
    began = time.monotonic()
    artefact = build(())
    best = Kept(artefact, judge.apart(artefact), (), 1)
    spent = time.monotonic() - began
    if best.apart.changed <= lose or tries == 1 or float(meter.remaining()) < 3 * spent:
        return best
    order = worst()
    low, high, count = 0, len(order) + 1, 1  # the most that is too few, the least that is enough
    tried = 1
    while tried < tries:
        if count in {low, high} or count > len(order) or float(meter.remaining()) < 2 * spent:
            break
        tried += 1
        artefact = build(order[:count])
        found = Kept(artefact, judge.apart(artefact), order[:count], tried)
        fits = found.apart.changed <= lose
        if fits or (best.apart.changed > lose and found.apart.changed < best.apart.changed):
            best = found
        low, high = (low, count) if fits else (count, high)
        count = (low + high) // 2 if high <= len(order) else min(2 * count, len(order))
    return replace(best, tries=tried)
