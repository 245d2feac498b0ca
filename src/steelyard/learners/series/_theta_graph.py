"""The Theta method as an ONNX graph: what :mod:`steelyard.learners.series._theta_steps` computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto, helper

from steelyard.contracts import Feed, Task
from steelyard.learners._graph import Graph
from steelyard.learners.series._theta_steps import (
    ADDITIVE,
    FAINT,
    LEAST,
    NONE,
    RATES,
    phases_of,
)

DOUBLE, LONG = TensorProto.DOUBLE, TensorProto.INT64


class _Doubles:
    """A graph under construction, with names for what is used again and again."""

    def __init__(self) -> None:
        self.graph = Graph()

    def real(self, *values: Any) -> str:
        return self.graph.constant(np.array(values, np.float64).reshape(-1))

    def whole(self, *values: int) -> str:
        return self.graph.constant(np.array(values, np.int64))

    def table(self, array: NDArray[Any]) -> str:
        return self.graph.constant(array)

    def __call__(self, op: str, *inputs: str, **more: Any) -> str:
        return self.graph.add(op, *inputs, **more)

    def columns(self, tensor: str, start: int, end: int) -> str:
        return self("Slice", tensor, self.whole(start), self.whole(end), self.whole(1))

    def sums(self, tensor: str) -> str:
        return self("ReduceSum", tensor, self.whole(1), keepdims=1)


def theta_graph(task: Task, feed: Feed, way: str) -> bytes:
    """Return the graph of a task: ``history`` and ``lengths`` in, ``scores`` (n, horizon x series) out."""
    do, width = _Doubles(), len(task.series)
    steps, channels = int(feed.options["steps"]), int(feed.options["channels"])
    history = do.graph.input("history", TensorProto.FLOAT, ["n", steps, channels])
    counted = do.graph.input("lengths", TensorProto.FLOAT, ["n", channels])
    own = do.whole(*range(width))
    turned = do("Transpose", do("Gather", history, own, axis=2), perm=[0, 2, 1])
    values = do("Reshape", do("Cast", turned, to=DOUBLE), do.whole(-1, steps))
    lengths = do("Reshape", do("Cast", do("Gather", counted, own, axis=1), to=DOUBLE), do.whole(-1, 1))
    made = _forecasts(do, values, lengths, (steps, task.season, task.horizon), way)
    back = do("Transpose", do("Reshape", made, do.whole(-1, width, task.horizon)), perm=[0, 2, 1])
    flat = do("Reshape", do("Cast", back, to=TensorProto.FLOAT), do.whole(-1, task.width), output="scores")
    return do.graph.seal((flat, TensorProto.FLOAT, ["n", task.width]))


def _forecasts(do: _Doubles, values: str, lengths: str, sizes: tuple[int, int, int], way: str) -> str:
    steps, season, horizon = sizes
    if way == NONE or season < 2 or 2 * season > steps:
        return _smoothed(do, values, lengths, steps, horizon)
    figures = _seasonal(do, values, lengths, (steps, season), way)
    behind = do("Gather", figures, do.table(phases_of(steps, season)), axis=1)
    ahead = do("Gather", figures, do.table((-np.arange(1, horizon + 1)) % season), axis=1)
    off, on = ("Sub", "Add") if way == ADDITIVE else ("Div", "Mul")
    return do(on, _smoothed(do, do(off, values, behind), lengths, steps, horizon), ahead)


def _smoothed(do: _Doubles, values: str, lengths: str, steps: int, horizon: int) -> str:
    rates = len(RATES)
    first = do("Concat", *[do.columns(values, 0, 1)] * rates, axis=1)
    state = do("Concat", first, do("Mul", first, do.real(0.0)), axis=1)
    over_time = do("Unsqueeze", do("Transpose", values, perm=[1, 0]), do.whole(2))
    end = do("Scan", state, over_time, body=_one_step(), num_scan_inputs=1)
    best = do("ArgMin", do.columns(end, rates, 2 * rates), axis=1, keepdims=1)
    level = do("GatherElements", do.columns(end, 0, rates), best, axis=1)
    rate = do("Gather", do.real(*RATES), best, axis=0)
    from_end = do.table(np.arange(steps - 1, -1, -1.0)[None])
    middle = do("Div", do("Sub", lengths, do.real(1.0)), do.real(2.0))
    moved = do("Mul", do("Sub", middle, from_end), values)
    known = do("Cast", do("Less", from_end, lengths), to=DOUBLE)
    cubes = do("Mul", lengths, do("Sub", do("Mul", lengths, lengths), do.real(1.0)))
    spread = do("Max", do("Div", cubes, do.real(12.0)), do.real(1.0))
    slope = do("Div", do.sums(do("Mul", moved, known)), spread)
    left = do("Pow", do("Sub", do.real(1.0), rate), lengths)
    start = do("Sub", do("Div", do("Sub", do.real(1.0), left), rate), do.real(1.0))
    drift = do("Mul", do("Div", slope, do.real(2.0)), do("Add", do.table(np.arange(1.0, horizon + 1)[None]), start))
    return do("Add", level, drift)


def _one_step() -> GraphProto:
    """Return the body of the loop over time: levels and squared errors of every rate, and one value of each history."""
    rates = len(RATES)
    constants = [
        helper.make_tensor("rates", DOUBLE, [rates], RATES),
        helper.make_tensor("split", LONG, [2], [rates, rates]),
    ]
    nodes = [
        helper.make_node("Split", ["state", "split"], ["level", "squares"], axis=1),
        helper.make_node("Sub", ["value", "level"], ["errors"]),
        helper.make_node("Mul", ["errors", "errors"], ["squared"]),
        helper.make_node("Add", ["squares", "squared"], ["more"]),
        helper.make_node("Mul", ["errors", "rates"], ["moves"]),
        helper.make_node("Add", ["level", "moves"], ["higher"]),
        helper.make_node("Concat", ["higher", "more"], ["after"], axis=1),
    ]
    return helper.make_graph(
        nodes,
        "one step",
        [
            helper.make_tensor_value_info("state", DOUBLE, [None, 2 * rates]),
            helper.make_tensor_value_info("value", DOUBLE, [None, 1]),
        ],
        [helper.make_tensor_value_info("after", DOUBLE, [None, 2 * rates])],
        constants,
    )


def _seasonal(do: _Doubles, values: str, lengths: str, sizes: tuple[int, int], way: str) -> str:
    steps, season = sizes
    half, odd = season // 2, season % 2
    inner = steps - 2 * half
    zero = do("Mul", do.columns(values, 0, 1), do.real(0.0))
    sums = do("Concat", zero, do("CumSum", values, do.whole(1)), axis=1)
    first = do("Sub", do.columns(sums, 2 * half + odd, 2 * half + odd + inner), do.columns(sums, 0, inner))
    second = do("Sub", do.columns(sums, 2 * half + 1, 2 * half + 1 + inner), do.columns(sums, 1 - odd, 1 - odd + inner))
    trend = do("Div", do("Add", first, second), do.real(2.0 * season))
    here = do.columns(values, half, half + inner)
    place = np.arange(half, steps - half)
    weights = do("Cast", do("Less", do.table((steps - 1.0 - place + half)[None]), lengths), to=DOUBLE)
    if way == ADDITIVE:
        apart, neutral = do("Sub", here, trend), 0.0
    else:
        faint = do("Less", do("Abs", trend), do.real(LEAST))
        apart, neutral = do("Div", here, do("Where", faint, do.real(1.0), trend)), 1.0
    onto = do.table((phases_of(steps, season)[place][:, None] == np.arange(season)).astype(np.float64))
    counts = do("MatMul", weights, onto)
    shares = do("Div", do("MatMul", do("Mul", apart, weights), onto), do("Max", counts, do.real(1.0)))
    means = do("Where", do("Greater", counts, do.real(0.0)), shares, do.real(neutral))
    mean = do("Div", do.sums(means), do.real(float(season)))
    if way == ADDITIVE:
        return do("Sub", means, mean)
    least = do("ReduceMin", means, do.whole(1), keepdims=1)
    lowest = do("ReduceMin", values, do.whole(1), keepdims=1)
    usable = do("And", do("Greater", least, do.real(FAINT)), do("Greater", lowest, do.real(0.0)))
    return do("Where", usable, do("Div", means, mean), do.real(1.0))
