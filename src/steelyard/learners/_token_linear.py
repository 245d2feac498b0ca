"""Tags by a linear model of what tokens look like and what stands around them, with a chain over neighbouring tags."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends.text import write_vocabulary
from steelyard.bundle.front_ends.token_looks import TEMPLATES, features
from steelyard.clock import Phase, phase
from steelyard.contracts import (
    Artefact,
    Columns,
    Feed,
    Floats,
    Ints,
    Kind,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.contracts.ragged import batches, lengths_of
from steelyard.errors import DataUnfit, need
from steelyard.learners._chain_graph import scores_of
from steelyard.learners._crf import Chain, expected, observed
from steelyard.learners._graph import Graph, table
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.recipe import Plan
from steelyard.tasks.spans import codes_of

FILE = "features.json"
NEVER = -30.0
"""The logarithm of a step that the scheme of tags forbids, such as an ``I`` behind an ``O``."""


class TokenLinear:
    """A conditional random field: weights of features a tag, and of each tag behind each other one.

    Fitted as a whole by L-BFGS on the penalised likelihood of rows of tags (Lafferty et al. 2001; Sha and Pereira,
    "Shallow parsing with conditional random fields", NAACL 2003). What the graph gives are the marginal probabilities
    of the tags of each token; steps that IOB2 forbids have none.
    """

    name = "token-linear"
    honours = frozenset({"settings"})
    problems = frozenset({Problem.TAGGING})
    modules = ("scipy.optimize", "scipy.sparse")
    weighty = True
    about = "Tags by features of a token and its neighbours, in a linear chain (CRF)."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no tagging of one column of tokens."""
        return refusal_of_tokens(self.name, task, schema)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty, how rare a feature may be, and the steps."""
        del task, schema
        return Space(
            {
                "C": Setting(
                    default=1.0, low=0.03, high=30.0, log=True, about="Inverse of the penalty on large weights."
                ),
                "least": Setting(
                    default=2, low=1, high=20, unit="tokens", about="Tokens that a feature needs to count."
                ),
                "steps": Setting(default=80, low=10, high=400, log=True, about="Most steps of the solver."),
            }
        )

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from rows and tags: some 15 tokens a row, each step over all of them."""
        del schema
        return guess(seconds=0.5 + rows * 5e-5 * max(task.width, 4), gain=0.35)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedChain:
        """Fit all weights at once; validation rows are not needed.

        Raises
        ------
        DataUnfit
            If no feature stands in enough tokens.
        """
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        column = work.schema.of(Kind.TOKENS)[0].name
        filled = lengths_of(train.columns[column]) > 0
        rows = train if filled.all() else train.take(filled)
        vocabulary = _vocabulary(rows.columns[column], int(settings.number("least", 2)))
        lesson = Lesson.of(rows, column, vocabulary, work.task)
        slopes, chain = _solve(lesson, settings.number("C", 1.0), int(settings.number("steps", 80)), meter)
        kept = np.abs(slopes).max(axis=1) > 0
        return FittedChain(
            vocabulary=tuple(name for name, is_kept in zip(vocabulary, kept, strict=True) if is_kept),
            slopes=slopes[kept],
            chain=chain,
            column=column,
        )


def refusal_of_tokens(learner: str, task: Task, schema: Schema) -> Refusal | None:
    """Refuse what is no tagging of one column of tokens."""
    if task.problem is not Problem.TAGGING:
        return Refusal(f"{learner} tags tokens, and this is {task.problem.value}: use a learner of tables or of text.")
    tokens = schema.of(Kind.TOKENS)
    if not tokens:
        return Refusal(f"{learner} needs a column of tokens, and there is none: name one under `columns.tokens`.")
    others = [column.name for column in schema.features if column is not tokens[0]]
    if others:
        return Refusal(
            f"{learner} reads one column of tokens alone, and {others[0]!r} is another: put what it may not read under "
            "`columns: {ignore: [...]}`."
        )
    return None


@phase(Phase.PREPARING)
def _vocabulary(rows: NDArray[np.object_], least: int) -> tuple[str, ...]:
    """Return the features that stand in enough tokens, in a fixed order."""
    counts: Counter[str] = Counter(feature for tokens in rows for each in features(tokens) for feature in each)
    del counts[""]
    found = tuple(sorted(feature for feature, count in counts.items() if count >= least))
    if not found:
        raise DataUnfit(f"token-linear finds no feature that stands in {least} tokens; lower `least`, or add rows")
    return found


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows to learn from: features of all tokens as a sparse matrix, tags, and batches of rows of like length.

    ``batches`` hold the place of each token in the matrix, -1 behind the end of a row, shape (n, T), and the rows.
    """

    matrix: Any
    tags: Ints
    weights: Floats
    batches: tuple[tuple[Ints, Ints], ...]
    allowed: NDArray[np.bool_]
    begins: NDArray[np.bool_]

    @classmethod
    @phase(Phase.PREPARING)
    def of(cls, rows: Split, column: str, vocabulary: tuple[str, ...], task: Task) -> Lesson:
        """Lay out the rows of a split."""
        sparse = need("scipy.sparse", for_="token-linear")
        known = {feature: number for number, feature in enumerate(vocabulary)}
        ids: list[int] = []
        ends = [0]
        for tokens in rows.columns[column]:
            for each in features(tokens):
                ids += [known[feature] for feature in each if feature in known]
                ends.append(len(ids))
        shape = (len(ends) - 1, len(vocabulary))
        matrix = sparse.csr_matrix((np.ones(len(ids), np.float32), np.array(ids), np.array(ends)), shape=shape)
        lengths = lengths_of(rows.target)
        starts = np.cumsum(lengths) - lengths
        laid = []
        for some in batches(lengths, cells=4_096):
            places = np.arange(lengths[some].max())[None, :]
            laid.append((np.where(places < lengths[some][:, None], starts[some][:, None] + places, -1), some))
        codes = codes_of(task.classes)
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights / rows.weights.mean()
        tags = np.concatenate(list(rows.target)).astype(np.int64)
        return cls(matrix, tags, weights, tuple(laid), codes.may_follow, codes.may_begin)

    def loss(self, slopes: Floats, chain: Chain) -> tuple[float, Floats, Chain]:
        """Return minus the log-likelihood of the true tags, and what it changes by with slopes and with the chain."""
        said = np.asarray(self.matrix @ slopes.astype(np.float32), np.float64)
        off = np.zeros_like(said)
        between, first, lost = np.zeros_like(chain.between), np.zeros_like(chain.first), 0.0
        for places, rows in self.batches:
            mask, tags = places >= 0, self.tags[places]
            emissions = said[places]
            weights = self.weights[rows]
            told = expected(emissions, mask, chain, weights)
            lost += float(weights @ (told.total - observed(emissions, tags, mask, chain)))
            wrong = told.tags.copy()
            np.put_along_axis(wrong, tags[:, :, None], np.take_along_axis(wrong, tags[:, :, None], 2) - 1.0, 2)
            wrong *= weights[:, None, None]
            off[places[mask]] = wrong[mask]
            first += wrong[:, 0].sum(axis=0)
            between += told.pairs
            follows = np.repeat(weights[:, None], mask.shape[1] - 1, axis=1)[mask[:, 1:]]
            np.subtract.at(between, (tags[:, :-1][mask[:, 1:]], tags[:, 1:][mask[:, 1:]]), follows)
        return lost, np.asarray(self.matrix.T @ off.astype(np.float32), np.float64), Chain(between, first)


@phase(Phase.COMPUTING)
def _solve(lesson: Lesson, inverse_penalty: float, steps: int, meter: Meter) -> tuple[Floats, Chain]:
    """Return the weights of least penalised loss: slopes, shape (features, tags), and the chain."""
    optimize = need("scipy.optimize", for_="token-linear")
    width, classes = lesson.matrix.shape[1], len(lesson.begins)
    cut, last = width * classes, width * classes + classes**2
    forbidden, late = np.where(lesson.allowed, 0.0, NEVER), False

    def parts(point: Floats) -> tuple[Floats, Chain]:
        between = np.where(lesson.allowed, point[cut:last].reshape(classes, classes), forbidden)
        return point[:cut].reshape(width, classes), Chain(between, np.where(lesson.begins, point[last:], NEVER))

    def objective(point: Floats) -> tuple[float, Floats]:
        lost, slopes, chain = lesson.loss(*parts(point))
        between, first = np.where(lesson.allowed, chain.between, 0.0), np.where(lesson.begins, chain.first, 0.0)
        slope = np.concatenate([slopes.ravel(), between.ravel(), first])
        return lost + float(point @ point) / (2 * inverse_penalty), slope + point / inverse_penalty

    def watch(point: Floats) -> None:
        nonlocal late
        del point
        if meter.remaining() <= 0:
            late = True
            raise StopIteration

    start = np.zeros(last + classes)
    options = {"maxiter": steps, "maxcor": 6, "ftol": 1e-7, "gtol": 1e-4}
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", callback=watch, options=options)
    if late:
        meter.note(
            "The deadline stopped the solver of token-linear before its last step; its weights are as they were."
        )
    return parts(np.asarray(found.x, np.float64))


@dataclass(frozen=True, slots=True)
class FittedChain:
    """What was learned: weights of features by tag, shape (features, tags), and the chain of tags."""

    vocabulary: tuple[str, ...]
    slopes: Floats
    chain: Chain
    column: str
    rounds: int | None = None

    @property
    def _feed(self) -> Feed:
        return Feed("token-features", ("ids", "mask"), (self.column,), {"vocabulary": FILE})

    @property
    def _files(self) -> dict[str, bytes]:
        return {FILE: write_vocabulary(self.vocabulary)}

    def scores(self, columns: Columns) -> NDArray[np.object_]:
        """Return the marginal probabilities of tags, by NumPy in double precision."""
        extract, weights = FRONT_ENDS[self._feed.front_end](self._feed, self._files), table(self.slopes)
        lengths = lengths_of(columns[self.column])
        made = np.empty(len(lengths), dtype=object)
        for rows in batches(lengths, cells=2_048):
            tensors = extract({self.column: columns[self.column][rows]})
            said = weights[tensors["ids"]].sum(axis=2).astype(np.float64)
            told = expected(said, tensors["mask"] > 0, self.chain, np.ones(len(rows)))
            for place, row in enumerate(rows.tolist()):
                made[row] = told.tags[place, : lengths[row]]
        return made

    def export(self) -> Artefact:
        """Return the graph, from features to the marginal probabilities of tags."""
        graph, classes = Graph(), self.slopes.shape[1]
        ids = graph.input("ids", TensorProto.INT64, ["n", "tokens", TEMPLATES])
        mask = graph.input("mask", TensorProto.FLOAT, ["n", "tokens"])
        weights = graph.add("Gather", graph.constant(table(self.slopes)), ids, axis=0)
        said = graph.add("ReduceSum", weights, graph.constant(np.array([2])), keepdims=0)
        scores = scores_of(graph, said, mask, self.chain)
        model = graph.seal((scores, TensorProto.FLOAT, ["n", "tokens", classes]))
        return Artefact(model, (self._feed,), self._files)
