"""A linear model on the n-grams of text."""

from __future__ import annotations

from steelyard.bundle.front_ends.text import Analyser
from steelyard.contracts import Kind, Meter, Prior, Problem, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.learners._margins import margins
from steelyard.learners._prelude import beside
from steelyard.learners._settings import settings_of
from steelyard.learners._solve import solve
from steelyard.learners._sums import FittedSums
from steelyard.learners._table import guess, learn_words, names_of, prelude_of, sums_of, text_settings, texts
from steelyard.learners._words import Words
from steelyard.recipe import Plan, Settings


class TfidfLinear:
    """One weight a class for words, pairs of words and runs of characters; no words where no spaces part them."""

    name = "tfidf-linear"
    honours = frozenset({"settings"})
    modules = ("scipy.optimize", "scipy.linalg", "scipy.sparse", "sklearn.svm")
    """What a worker loads ahead."""
    weighty = True
    """What it knows of text is one large table of weights, so 8 bits make it a quarter of the size."""
    about = "Tf-idf of words and runs of characters, then a linear support vector machine (values: ridge regression)."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse tables without text, and those that hold more than text."""
        del task
        text = names_of(schema, Kind.TEXT)
        if not text:
            return Refusal(
                f"{self.name} reads text, and this table has none: use 'linear' or 'lightgbm', "
                "or list a column of text under `columns.text`.",
                lacks=Kind.TEXT,
            )
        others = [column.name for column in schema.features if column.kind is not Kind.TEXT]
        if others:
            return Refusal(
                f"{self.name} reads text alone, and {others[0]!r} is none: use 'linear' or 'lightgbm', which take "
                "mixtures, or list the other columns under `columns.ignore`."
            )
        return None

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the penalty and how text is cut."""
        del task
        settings = {
            "C": Setting(default=1.0, low=1e-2, high=1e2, log=True, about="Inverse of the penalty on large weights."),
        }
        return Space(settings | text_settings(schema, most=500_000) | character_settings(schema))

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from rows, columns and classes."""
        columns = len(schema.of(Kind.TEXT))
        return guess(seconds=0.2 + rows * columns * (1e-3 + 1e-5 * sums_of(task)), gain=0.6)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedSums:
        """Fit vocabulary and weights; validation rows are not needed.

        Raises
        ------
        DataUnfit
            If no n-gram stands in enough rows.
        """
        del valid
        settings = settings_of(self.name, self.space(work.task, work.schema), plan)
        blocks = (*texts(train, work.schema, settings, meter), *_characters(train, work.schema, settings))
        prelude = prelude_of(self.name, blocks)
        features = beside(prelude.run(train.columns, threads=work.threads))
        fit = solve if work.task.problem is Problem.REGRESSION else margins
        weights = fit(features, train, inverse_penalty=settings.number("C", 1.0), work=work, meter=meter)
        return FittedSums(prelude=prelude, weights=weights, task=work.task, threads=work.threads)


def character_settings(schema: Schema) -> dict[str, Setting]:
    """Return the setting for characters beside words; none where every column is cut into characters anyway."""
    if not any(column.spaced for column in schema.of(Kind.TEXT)):
        return {}
    about = "Longest run of characters to count beside words, which helps with inflections and typos; 0: none."
    return {"characters_high": Setting(default=4, low=0, high=6, unit="characters", about=about)}


def _characters(train: Split, schema: Schema, settings: Settings) -> tuple[Words, ...]:
    high = int(settings.number("characters_high", 0))
    if high == 0:
        return ()
    analyser = Analyser(analyser="char", low=min(2, high), high=high)
    found = (
        learn_words(column, train, settings, tag=f"{place}_characters", analyser=analyser)
        for place, column in enumerate(schema.of(Kind.TEXT))
        if column.spaced
    )
    return tuple(words for words in found if words.grams)
