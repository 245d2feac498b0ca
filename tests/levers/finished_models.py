"""Finished models with made-up weights, each with rows that they answer: a table, pictures, texts."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._graph import Graph
from steelyard.learners.nets import vocabulary
from steelyard.learners.nets.words import Words
from steelyard.learners.pretrained.architectures import Affine, Layer, Norm, Weights
from steelyard.learners.pretrained.graph import hidden, pooled, tokens

CLASSES = ("a", "b", "c")
WORDS = ("late", "broken", "refund", "kind", "quick", "thanks", "invoice", "address", "change")


def task(problem=Problem.MULTICLASS):
    classes = CLASSES if problem is Problem.MULTICLASS else ()
    return Task(problem=problem, target="y", aim="accuracy" if classes else "rmse", classes=classes)


def work_of(problem, *columns):
    return Work(task=task(problem), schema=Schema(tuple(Column(name=n, kind=k) for n, k in columns)), seed=5)


def drawn(random, *shape):
    return (random.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)


class Maker:
    """A graph whose nodes take weights as arrays."""

    def __init__(self):
        self.graph = Graph()

    def constant(self, *arrays):
        return [self.graph.constant(np.asarray(a)) for a in arrays]

    def __call__(self, op, *inputs, **attributes):
        names = [i if isinstance(i, str) else self.graph.constant(np.asarray(i)) for i in inputs]
        return self.graph.add(op, *names, **attributes)

    def conv(self, x, weight, bias, **more):
        side = weight.shape[-1] // 2
        return self("Conv", x, weight, bias, pads=[side] * 4, **more)

    def end(self, sums, problem=Problem.MULTICLASS):
        op = "Softmax" if problem is Problem.MULTICLASS else "Identity"
        width = 3 if problem is Problem.MULTICLASS else 1
        made = self.graph.add(op, sums, output="scores")
        return self.graph.seal((made, TensorProto.FLOAT, ["n", width]))


def table(random, problem=Problem.MULTICLASS, *, units=32, rows=200, useful=None, centre=0.0, spread=1.0):
    """Six numbers through one hidden layer; only the first ``useful`` units reach the answer."""
    make = Maker()
    names = tuple(f"x{i}" for i in range(6))
    x = make("Cast", make.graph.input("numbers", TensorProto.DOUBLE, ["n", 6]), to=TensorProto.FLOAT)
    width = 3 if problem is Problem.MULTICLASS else 1
    last = drawn(random, units, width)
    if useful is not None:
        last[useful:] = 0
    inner = make("Relu", make("Add", make("MatMul", x, drawn(random, 6, units)), drawn(random, units)))
    sums = make("Gemm", inner, last, drawn(random, width))
    if problem is Problem.REGRESSION:
        scaled = make("Mul", sums, np.array([spread], np.float32))
        sums = make("Add", scaled, np.array([centre], np.float32))
    artefact = Artefact(make.end(sums, problem), (Feed("numbers", ("numbers",), names),))
    columns = {name: random.normal(size=rows) for name in names}
    work = work_of(problem, *((name, Kind.NUMBER) for name in names))
    return artefact, labelled(artefact, columns, work), work


def pictures(random, *, channels=16, rows=60, idle=False):
    """A stem, a residual block, a depthwise convolution, a pair of branches side by side, and a head on every place.

    With ``idle`` the residual block adds nothing.
    """
    make, c = Maker(), channels
    pixels = make.graph.input("image", TensorProto.UINT8, ["n", 3, 8, 8])
    x = make("Div", make("Cast", pixels, to=TensorProto.FLOAT), np.array(255, np.float32))
    x = make("Relu", make.conv(x, drawn(random, 3, 3, 3, c).transpose(3, 0, 1, 2), drawn(random, c)))
    gain = np.float32(0.0 if idle else 1.0)
    inner = make("Relu", make.conv(x, drawn(random, c, 3, 3, 2 * c).transpose(3, 0, 1, 2), drawn(random, 2 * c)))
    back = make.conv(inner, gain * drawn(random, 2 * c, 3, 3, c).transpose(3, 0, 1, 2), gain * drawn(random, c))
    x = make("Relu", make("Add", back, x))
    x = make.conv(x, drawn(random, 3, 3, 1, c).transpose(3, 2, 0, 1), drawn(random, c), group=c)
    left = make("Relu", make.conv(x, drawn(random, c, 1, 1, c).transpose(3, 0, 1, 2), drawn(random, c)))
    right = make("Sigmoid", make.conv(x, drawn(random, c, 1, 1, c).transpose(3, 0, 1, 2), drawn(random, c)))
    x = make("MaxPool", make("Concat", left, right, axis=1), kernel_shape=[4, 4], strides=[4, 4])
    sums = make("Gemm", make("Flatten", x), drawn(random, 8 * c, 3), drawn(random, 3))
    feed = Feed("image", ("image",), ("photo",), {"height": 8, "width": 8, "channels": 3})
    artefact = Artefact(make.end(sums), (feed,))
    cells = np.empty(rows, object)
    for row in range(rows):
        cells[row] = random.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    work = work_of(Problem.MULTICLASS, ("photo", Kind.IMAGE))
    return artefact, labelled(artefact, {"photo": cells}, work), work


def texts(random, *, layers=2, heads=4, width=16, inner=48, rows=60):
    """An encoder, the mean of its vectors, and a head."""
    affine = lambda a, b: Affine(drawn(random, a, b), drawn(random, b))  # noqa: E731 - a line a weight below
    norm = lambda: Norm(np.ones(width, np.float32), np.zeros(width, np.float32))  # noqa: E731 - as above
    lines = [" ".join(random.choice(WORDS, random.integers(1, 7))) for _ in range(rows)]
    reading = Words.of(("note",), vocabulary.learn(iter(lines), size=60, least=1), 12)
    weights = Weights(
        words=drawn(random, reading.size, width) * np.float32(np.sqrt(reading.size)),
        places=drawn(random, 12, width),
        norm=norm(),
        layers=tuple(
            Layer(
                **{name: affine(width, width) for name in ("query", "key", "value", "output")},
                middle=norm(),
                up=affine(width, inner),
                down=affine(inner, width),
                end=norm(),
            )
            for _ in range(layers)
        ),
        heads=heads,
        epsilon=1e-12,
    )
    make = Maker()
    ids, there = tokens(make.graph, *reading.feeds[0].inputs)
    vector = pooled(make.graph, hidden(make.graph, weights, ids, there), there, "mean", unit=False)
    sums = make("Gemm", vector, drawn(random, width, 3) * np.float32(3), drawn(random, 3))
    artefact = Artefact(make.end(sums), reading.feeds, reading.files)
    work = work_of(Problem.MULTICLASS, ("note", Kind.TEXT))
    return artefact, labelled(artefact, {"note": np.array(lines, object)}, work), work


def labelled(artefact, columns, work):
    """Return rows whose target is what the model itself says of them."""
    rows = len(next(iter(columns.values())))
    split = Split(columns, np.zeros(rows), np.arange(rows))
    scores = answers(artefact, split)
    target = scores.argmax(1).astype(np.int64) if work.task.classes else scores[:, 0].astype(np.float64)
    return Split(columns, target, np.arange(rows))


def answers(artefact, split):
    """Return what a bundle of the artefact would say, its rows one by one."""
    from steelyard.bundle.front_ends import FRONT_ENDS
    from steelyard.bundle.running import session_of

    fronts = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    session, found = session_of(artefact.graph, threads=1), []
    for row in range(len(split)):
        cells = {name: values[row] for name, values in split.columns.items()}
        tensors = {name: tensor for front in fronts for name, tensor in front.row(cells).items()}
        found.append(session.run(("scores",), tensors)[0])
    return np.concatenate(found)
