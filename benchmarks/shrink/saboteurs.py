"""Levers that a guard must refuse, each for a reason of its own; ``guard.py`` brings them in as a plug-in would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Artefact, Context, Meter, Move, Prior, Space, Split, Stage, Trial, Work
from steelyard.levers import LeverRefused
from steelyard.levers.shrinking.chain import learner_of, one_more
from steelyard.recipe import Settings
from steelyard.units import Estimate, How

POINTS = 0.02
"""Accuracy that ``worse`` takes away, on the rows it is given."""
USELESS = 400
"""Products with the identity that ``slower`` adds behind the scores."""
ROWS = 6_000
"""Rows that ``worse`` is set by."""


class Saboteur:
    """A shrinking lever that proposes itself everywhere."""

    stage, paper, forecasts = Stage.SHRINKING, "none: made up for the guard", False
    name = about = ""
    space = Space({})

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose it on every measured training but the constant model."""
        recipe = one_more(self.name, trial, context)
        if recipe is not None and learner_of(trial.recipe) not in {"", "constant"}:
            seconds = Estimate.exact(1.0, how=How.ASSUMED, unit="s")
            prior = Prior(seconds, Estimate(0.02, 0.0, 0.04, How.ASSUMED))
            yield Move(recipe=recipe, lever=self.name, prior=prior, why=self.about)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Change the artefact."""
        del split, settings, meter
        return self.change(artefact, work)

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return what becomes of an artefact."""
        raise NotImplementedError


class Slower(Saboteur):
    """Adds nodes that change nothing and take time."""

    name, about = "slower", "Adds products with the identity."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return the graph with its scores multiplied by the identity again and again."""
        model = onnx.load_model_from_string(artefact.graph)
        model.graph.initializer.append(numpy_helper.from_array(np.eye(work.task.width, dtype=np.float32), "one"))
        nodes = [onnx.helper.make_node("MatMul", [f"s{k}", "one"], [f"s{k + 1}"]) for k in range(USELESS)]
        _behind(model, "s0")
        nodes[-1].output[0] = "scores"
        model.graph.node.extend(nodes)
        return replace(artefact, graph=model.SerializeToString())


class Worse(Saboteur):
    """Halves the bytes of the weights, and adds noise that takes two points of accuracy."""

    name, about, trains = "worse", "Adds noise to weights of half the size.", True

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the graph with weights of 16 bits and as much noise as costs :data:`POINTS`, found by bisection."""
        del settings, work
        rows = split.take(np.linspace(0, len(split) - 1, min(ROWS, len(split))).astype(np.int64))
        start, low, high = _accuracy(artefact, rows), 0.0, 4.0
        for _ in range(12):
            middle = (low + high) / 2
            lost = start - _accuracy(replace(artefact, graph=_noised(artefact.graph, middle)), rows)
            low, high = (middle, high) if lost < POINTS else (low, middle)
        meter.note(f"noise of {high:.3f} standard deviations takes {lost:.4f} of {start:.4f}")
        return replace(artefact, graph=_noised(artefact.graph, high))


class Crashing(Saboteur):
    """Raises what nobody foresaw."""

    name, about = "crashing", "Divides by zero."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Divide by zero."""
        del work
        return replace(artefact, pretrained=str(1 // 0))


class Silent(Saboteur):
    """Makes a graph whose scores are no numbers."""

    name, about = "silent", "Multiplies scores by what is no number."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return the graph with NaN for scores."""
        del work
        model = onnx.load_model_from_string(artefact.graph)
        model.graph.initializer.append(numpy_helper.from_array(np.float32("nan"), "nan"))
        _behind(model, "s0")
        model.graph.node.append(onnx.helper.make_node("Mul", ["s0", "nan"], ["scores"]))
        return replace(artefact, graph=model.SerializeToString())


class Asking(Saboteur):
    """Reads a column that its parent does not."""

    name, about = "asking", "Asks for one column more."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return the artefact with a column more in its first feed."""
        del work
        first, *rest = artefact.feeds
        return replace(artefact, feeds=(replace(first, columns=(*first.columns, "shoe size")), *rest))


class Forgetting(Saboteur):
    """Answers one class less."""

    name, about = "forgetting", "Drops a class."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return the graph without its last column of scores."""
        model = onnx.load_model_from_string(artefact.graph)
        for name, value in (("from", 0), ("to", work.task.width - 1), ("axis", 1)):
            model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
        _behind(model, "s0")
        model.graph.node.append(onnx.helper.make_node("Slice", ["s0", "from", "to", "axis"], ["scores"]))
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = work.task.width - 1
        return replace(artefact, graph=model.SerializeToString())


class Breaking(Saboteur):
    """Writes no graph at all."""

    name, about = "breaking", "Writes bytes that are no graph."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Return bytes that are no graph."""
        del work
        return replace(artefact, graph=b"this is no graph")


class Endless(Saboteur):
    """Never ends."""

    name, about = "endless", "Counts for ever."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Count for ever."""
        del work
        number = 0
        while number >= 0:
            number += 1
        return artefact


class Hungry(Saboteur):
    """Takes all the memory there is."""

    name, about = "hungry", "Holds on to memory."

    def change(self, artefact: Artefact, work: Work) -> Artefact:
        """Hold on to memory until there is none."""
        del work
        held = []
        while len(held) < 1_000_000:
            held.append(np.ones(4_000_000))
        return artefact


LEVERS = (Slower, Worse, Crashing, Silent, Asking, Forgetting, Breaking, Endless, Hungry)


def _behind(model: onnx.ModelProto, name: str) -> None:
    """Give the scores of a graph another name, for nodes that come behind them."""
    for node in model.graph.node:
        for k, output in enumerate(node.output):
            if output == "scores":
                node.output[k] = name


def _noised(graph: bytes, scale: float) -> bytes:
    """Return a graph with its weights in 16 bits, and noise of so many of their standard deviations."""
    model = onnx.load_model_from_string(graph)
    weights = [w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and np.prod(w.dims) >= 64]
    if not weights:
        raise LeverRefused("worse finds no weights in this graph to add noise to; it works on linear models and nets")
    random, casts = np.random.default_rng(0), []
    for weight in weights:
        values = numpy_helper.to_array(weight)
        noise = random.normal(size=values.shape) * values.std() * scale
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array((values + noise).astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    return bytes(model.SerializeToString())


def _accuracy(artefact: Artefact, rows: Split) -> float:
    import onnxruntime as ort

    session = ort.InferenceSession(artefact.graph, providers=["CPUExecutionProvider"])
    inputs: dict[str, Any] = {}
    for feed in artefact.feeds:
        inputs |= FRONT_ENDS[feed.front_end](feed, artefact.files)(rows.columns)
    (scores,) = session.run(["scores"], inputs)
    return float((scores.argmax(1) == rows.target).mean())
