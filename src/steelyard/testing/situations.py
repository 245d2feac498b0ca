"""Situations that a lever may find itself in: some trials, what is known around them, and something to act on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from steelyard.bundle import answer_of
from steelyard.bundle.running import GraphModel
from steelyard.contracts import (
    Answer,
    Artefact,
    Column,
    Columns,
    Context,
    Ending,
    Evidence,
    Feed,
    Fitted,
    Kind,
    Learner,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Trial,
    Weight,
    Work,
)
from steelyard.errors import need
from steelyard.recipe import Combine, Plan, Recipe, Settings, Step, Train, trainings
from steelyard.registry import levers
from steelyard.units import Estimate, How, Seconds

ROWS = 450
INPUTS = 64
_AIMS = {Problem.BINARY: "f1", Problem.MULTICLASS: "accuracy", Problem.REGRESSION: "rmse"}
_CLASSES = {Problem.BINARY: ("no", "yes"), Problem.MULTICLASS: ("a", "b", "c"), Problem.REGRESSION: ()}
_SPACE = Space(
    {
        "size": Setting(default=31, low=4, high=256, log=True, about="A whole number."),
        "rate": Setting(default=0.1, low=0.01, high=0.5, log=True, about="A real number."),
        "shape": Setting(default="round", options=("round", "square"), about="A choice."),
    }
)


class Pretender:
    """A learner as far as levers look at one: it has a space and a prior, and is never trained."""

    about = "Stands in for a learner where none is trained."
    weighty = True

    def __init__(self, name: str, honours: Iterable[str] = ("features",)) -> None:
        self.name, self.honours = name, frozenset({"settings", "rounds", *honours})

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Accept everything."""
        del task, schema
        return None

    def space(self, task: Task, schema: Schema) -> Space:
        """Return a whole number, a real one and a choice."""
        del task, schema
        return _SPACE

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a millisecond a row."""
        del task, schema
        return Prior(Estimate.exact(rows / 1000, how=How.ASSUMED, unit="s"), Estimate(0.5, 0.2, 0.8, How.ASSUMED))

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Refuse: nothing is trained here."""
        raise NotImplementedError("a Pretender is never trained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a lever under test gets.

    ``context`` for its moves; ``rows`` and ``plan`` for levers on data and on training; ``artefact`` for those that
    shrink; ``evidence`` for those that combine: answers of three members to the same rows.
    """

    name: str
    context: Context
    rows: Split
    plan: Plan
    artefact: Artefact
    evidence: Evidence

    @property
    def work(self) -> Work:
        """What a lever is told beside the rows."""
        return Work(task=self.context.task, schema=self.context.schema, seed=7)

    def teacher(self, columns: Columns) -> Answer:
        """Answer rows as the artefact does: what a student is to learn from."""
        return GraphModel(self.artefact, self.context.task, self.context.schema, threads=1).answer(columns)

    def first(self, members: int) -> Evidence:
        """Return the evidence of the first few members."""
        return Evidence(self.evidence.answers[:members], self.evidence.target, self.evidence.weights)


def situations() -> Iterator[Situation]:
    """Yield one situation for each problem, and some in which other things count: speed, probabilities, money."""
    for problem in _CLASSES:
        yield situation(problem)
    yield led_by_an_ensemble(Problem.MULTICLASS)
    yield led_by_a_slow_model()
    yield of_probabilities()
    yield of_errors_that_cost()
    yield of_nets()
    yield of_modalities()


def situation(problem: Problem, *, seed: int = 0) -> Situation:
    """Return a situation: trials of two learners on a table of numbers and text; the same seed gives the same one."""
    random = np.random.default_rng(seed)
    classes = _CLASSES[problem]
    positive = classes[1] if problem is Problem.BINARY else None
    task = Task(problem=problem, target="y", aim=_AIMS[problem], classes=classes, positive=positive)
    numbers = tuple(Column(name=f"x{i}", kind=Kind.NUMBER) for i in range(INPUTS))
    schema = Schema((*numbers, Column(name="note", kind=Kind.TEXT)))
    rows = _rows(task, random)
    return Situation(
        name=problem.value,
        context=_context(task, schema, _trials(task)),
        rows=rows,
        plan=Plan(settings=Settings(size=15), rounds=9),
        artefact=_artefact(task, random),
        evidence=Evidence(tuple(_answer(task, rows, noise, random) for noise in (0.5, 0.8, 1.1)), rows.target),
    )


def led_by_an_ensemble(problem: Problem) -> Situation:
    """Return a situation whose learners bear the names of built-in ones, and whose best trial joins two of them."""
    one = situation(problem)
    task = one.context.task
    members = tuple(Train(learner=name) for name in ("lightgbm", "linear"))
    aims = (0.80, 0.79, 0.82) if task.problem is not Problem.REGRESSION else (3.0, 3.1, 2.8)
    recipes: tuple[Recipe, ...] = (*members, Combine(lever="ensemble", parents=members))
    trials = tuple(trial(i, r, task, aim) for i, (r, aim) in enumerate(zip(recipes, aims, strict=True), 1))
    return replace(one, name=f"{one.name}, an ensemble leads", context=_context(task, one.context.schema, trials))


def led_by_a_slow_model() -> Situation:
    """Return a situation whose best trial takes ten times as long to answer as the others, with a tolerance."""
    one = situation(Problem.BINARY)
    task = replace(one.context.task, aim="accuracy")
    aims = {1: (0.80, 1.0), 2: (0.84, 10.0), 3: (0.79, 1.0)}
    trials = tuple(
        replace(trial(t.number, t.recipe, task, aims[t.number][0]), weight=_weight(aims[t.number][1]))
        for t in one.context.trials
        if t.number in aims
    )
    context = replace(_context(task, one.context.schema, trials), tolerance=0.05)
    return replace(one, name="a slow model leads", context=context)


def of_probabilities() -> Situation:
    """Return a situation in which the aim speaks of probabilities."""
    one = situation(Problem.BINARY)
    task = replace(one.context.task, aim="log_loss")
    trials = tuple(
        trial(t.number, t.recipe, task, aim) for t, aim in zip(one.context.trials, (0.5, 0.4, 0.6), strict=False)
    )
    return replace(one, name="probabilities count", context=_context(task, one.context.schema, trials))


def of_errors_that_cost() -> Situation:
    """Return a situation in which a unit too little costs more than a unit too much."""
    one = situation(Problem.REGRESSION)
    task = replace(one.context.task, aim="value", value=((-1.0, -4.0),))
    trials = tuple(
        trial(t.number, t.recipe, task, aim)
        for t, aim in zip(one.context.trials, (-900.0, -850.0, -950.0), strict=False)
    )
    return replace(one, name="errors cost money", context=_context(task, one.context.schema, trials))


def of_nets(*kinds: Kind) -> Situation:
    """Return a situation whose learners honour every training lever, with two threads; no kinds: numbers and text.

    A lever on the training of nets proposes nothing to a learner that does not honour it.
    """
    one = situation(Problem.MULTICLASS)
    able: dict[str, Learner] = {name: Pretender(name, levers().names()) for name in ("first", "second")}
    schema = Schema(tuple(Column(name=kind.value, kind=kind) for kind in kinds)) if kinds else one.context.schema
    context = replace(one.context, learner=able.__getitem__, schema=schema, threads=2)
    return replace(one, name="nets", context=context)


def of_modalities() -> Situation:
    """Return a situation in which one learner reads numbers alone, and another text alone."""
    one = situation(Problem.MULTICLASS)
    task, numbers = one.context.task, [f"x{i}" for i in range(INPUTS)]
    steps = (Step(lever="modality", settings=Settings(columns=json.dumps(columns))) for columns in (numbers, ["note"]))
    recipes = (Train(learner=n, plan=Plan(parts=(s,))) for n, s in zip(("first", "second"), steps, strict=True))
    trials = tuple(trial(number, recipe, task, 0.8) for number, recipe in enumerate(recipes, 1))
    return replace(one, name="two modalities", context=_context(task, one.context.schema, trials))


def _weight(ms: float) -> Weight:
    """Return what a bundle weighs that takes so long to answer a row."""
    time = Estimate.exact(ms, unit="ms")
    return Weight(
        p50=time,
        p95=time,
        p99=time,
        throughput=Estimate.exact(1000 / ms, unit="rows/s"),
        batch=1,
        size_bytes=int(10_000 * ms),
        memory_bytes=Estimate.exact(1e6 * ms, unit="bytes"),
        threads=1,
        calls=200,
    )


def _context(task: Task, schema: Schema, trials: tuple[Trial, ...]) -> Context:
    names = sorted({leaf.learner for t in trials for leaf in trainings(t.recipe)})
    pretenders: dict[str, Learner] = {name: Pretender(name) for name in names}
    return Context(
        task=task,
        schema=schema,
        rows=50_000,
        calibration_rows=5_000,
        parts=1,
        trials=trials,
        space=lambda _: _SPACE,
        learner=pretenders.__getitem__,
    )


def _trials(task: Task) -> tuple[Trial, ...]:
    """Return trials of every ending, measured ones of two learners among them."""
    better = (3.0, 2.9, 3.1) if task.problem is Problem.REGRESSION else (0.80, 0.81, 0.79)
    plans = [Settings(), Settings(), Settings(rate=0.2)]
    recipes = [
        Train(learner=n, plan=Plan(settings=s)) for n, s in zip(("first", "second", "first"), plans, strict=True)
    ]
    measured = [trial(i, recipe, task, aim) for i, (recipe, aim) in enumerate(zip(recipes, better, strict=True), 1)]
    others = [e for e in Ending if not e.usable]
    ended = [
        Trial(
            number=10 + i,
            recipe=Train(learner="first", plan=Plan(settings=Settings(size=40 + i))),
            lever="tune",
            ending=ending,
            curve=((1, 0.5),),
        )
        for i, ending in enumerate(others)
    ]
    return (*measured, *ended)


def trial(number: int, recipe: Recipe, task: Task, aim: float) -> Trial:
    """Return a measured trial of a recipe, which would miss two of the columns."""
    figure = Estimate(aim, aim * 0.95, aim * 1.05)
    curve = ((1, aim - 0.1), (2, aim))
    return Trial(
        number=number,
        recipe=recipe,
        lever="start",
        ending=Ending.MEASURED,
        validation={task.aim: figure},
        curve=curve,
        seconds=Seconds(number),
        cpu_seconds=Seconds(number),
        importance={"x0": 0.3, "x1": 0.1, "x2": -0.01},
    )


def _rows(task: Task, random: np.random.Generator) -> Split:
    columns = {f"x{i}": random.normal(size=ROWS) for i in range(INPUTS)}
    signal = columns["x0"] + 0.3 * random.normal(size=ROWS)
    if task.problem is Problem.REGRESSION:
        return Split(columns, signal, np.arange(ROWS))
    edges = np.quantile(signal, np.linspace(0, 1, task.width + 1)[1:-1])
    return Split(columns, np.searchsorted(edges, signal).astype(np.int64), np.arange(ROWS), random.random(ROWS) + 0.5)


def _answer(task: Task, rows: Split, noise: float, random: np.random.Generator) -> Answer:
    """Return the answer of a member that sees the truth through noise."""
    if task.problem is Problem.REGRESSION:
        return answer_of(task, (rows.target + noise * random.normal(size=ROWS)).reshape(-1, 1))
    sums = 2.0 * np.eye(task.width)[rows.target] + noise * random.normal(size=(ROWS, task.width))
    odds = np.exp(sums)
    return answer_of(task, odds / odds.sum(axis=1, keepdims=True))


def _artefact(task: Task, random: np.random.Generator) -> Artefact:
    """Return a graph with a weight of 64 x 128 numbers between the numbers and the scores."""
    onnx = need("onnx", for_="a graph to shrink")
    helper, number = onnx.helper, onnx.TensorProto
    hidden = (random.normal(size=(INPUTS, 128)) / 8).astype(np.float32)
    last = (random.normal(size=(128, task.width)) / 11).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["numbers"], ["cast"], to=number.FLOAT),
        helper.make_node("MatMul", ["cast", "hidden"], ["inner"]),
        helper.make_node("MatMul", ["inner", "last"], ["sums" if task.classes else "scores"]),
    ]
    if task.classes:
        nodes.append(helper.make_node("Softmax", ["sums"], ["scores"], axis=1))
    graph = helper.make_graph(
        nodes,
        "situation",
        [helper.make_tensor_value_info("numbers", number.DOUBLE, ["n", INPUTS])],
        [helper.make_tensor_value_info("scores", number.FLOAT, ["n", task.width])],
        [onnx.numpy_helper.from_array(hidden, "hidden"), onnx.numpy_helper.from_array(last, "last")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    feed = Feed("numbers", ("numbers",), tuple(f"x{i}" for i in range(INPUTS)))
    return Artefact(model.SerializeToString(deterministic=True), (feed,))
