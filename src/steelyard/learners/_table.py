"""What the learners of tables share: names, refusals, guesses, and their text columns."""

from __future__ import annotations

import importlib.util

from steelyard.bundle.front_ends.text import Analyser
from steelyard.clock import Phase, phase
from steelyard.contracts import Column, Kind, Meter, Prior, Problem, Refusal, Schema, Setting, Split, Task
from steelyard.errors import EXTRA_OF, DataUnfit
from steelyard.learners._block import Block
from steelyard.learners._prelude import Prelude
from steelyard.learners._words import Words
from steelyard.recipe import Settings
from steelyard.units import Estimate, How


def names_of(schema: Schema, *kinds: Kind) -> tuple[str, ...]:
    """Return the names of the columns of some kinds."""
    return tuple(column.name for column in schema.of(*kinds))


def refuse_tables(learner: str, schema: Schema, *, hears: bool = False) -> Refusal | None:
    """Refuse images, sounds unless the learner ``hears``, and tables that hold nothing to learn from."""
    if images := names_of(schema, Kind.IMAGE):
        return Refusal(
            f"{learner} reads no images, and {images[0]!r} holds some: use the learner 'cnn', "
            "or list the column under `columns.ignore`."
        )
    if not hears and (sounds := names_of(schema, Kind.AUDIO)):
        return Refusal(
            f"{learner} reads no sounds, and {sounds[0]!r} holds some: use 'audio-cnn', 'linear' or 'lightgbm', "
            "or list the column under `columns.ignore`."
        )
    if not schema.features:
        return Refusal(
            f"{learner} needs at least one column to learn from, and all of this table's are ids or constants: "
            "add a column, or give the kind of one under `columns`."
        )
    return None


def refuse_without(learner: str, package: str) -> Refusal | None:
    """Refuse a machine on which a package is not installed."""
    if importlib.util.find_spec(package) is not None:
        return None
    return Refusal(
        f"{learner} needs {package!r}, which is not installed: pip install 'steelyard[{EXTRA_OF[package]}]'."
    )


def prelude_of(learner: str, blocks: tuple[Block, ...]) -> Prelude:
    """Return the prelude of some blocks.

    Raises
    ------
    DataUnfit
        If there are none: every column turned out to hold nothing that repeats.
    """
    if blocks:
        return Prelude(blocks)
    raise DataUnfit(
        f"{learner} finds nothing to learn from: no category and no n-gram of these columns stands in enough rows; "
        "lower `category_min_count` or `gram_min_count`, or add a column"
    )


def sums_of(task: Task) -> int:
    """Return how many sums a model makes a row: one a class, or one for two classes and for values."""
    return task.width if task.problem is Problem.MULTICLASS else 1


def guess(*, seconds: float, gain: float) -> Prior:
    """Return a prior with wide intervals: a third to three times the seconds, half to one and a half the gain."""
    return Prior(
        Estimate(seconds, seconds / 3, seconds * 3, How.ASSUMED, "s"),
        Estimate(gain, gain / 2, min(1.0, gain * 1.5), How.ASSUMED),
    )


def text_settings(schema: Schema, *, most: int) -> dict[str, Setting]:
    """Return the settings on text, at most ``most`` n-grams by default; none where there is no text."""
    if not schema.of(Kind.TEXT):
        return {}
    return {
        "ngram_high": Setting(
            default=0, low=0, high=5, about="Longest n-gram; 0: 2 words, or 3 characters where no spaces part words."
        ),
        "gram_min_count": Setting(
            default=0, low=0, high=100, unit="rows", about="Rows that an n-gram needs; 0: 2, or 1 where no spaces part."
        ),
        "most_grams": Setting(
            default=most, low=100, high=1_000_000, log=True, about="Most n-grams of a column, by frequency."
        ),
    }


def cut(column: Column, settings: Settings) -> Analyser:
    """Return how a column is cut: words, or characters for scripts without spaces.

    Examples
    --------
    >>> cut(Column(name="review", kind=Kind.TEXT, spaced=False), Settings(ngram_high=0)).options()
    {'analyser': 'char', 'low': 1, 'high': 3, 'lowercase': True}
    """
    high = int(settings.number("ngram_high", 0))
    if column.spaced:
        return Analyser(analyser="word", high=high if high > 0 else 2)
    return Analyser(analyser="char", high=high if high > 0 else 3)


def learn_words(column: Column, train: Split, settings: Settings, *, tag: str, analyser: Analyser) -> Words:
    """Return the fitted block of one text column."""
    least = int(settings.number("gram_min_count", 0))
    return Words.fit(
        column.name,
        train.columns[column.name],
        tag=tag,
        analyser=analyser,
        # Where no spaces part words, a run of characters that stands in one row is often a word, not a chance pair.
        least=least if least > 0 else 2 if column.spaced else 1,
        most=int(settings.number("most_grams", 100_000)),
    )


@phase(Phase.PREPARING)
def texts(train: Split, schema: Schema, settings: Settings, meter: Meter) -> tuple[Words, ...]:
    """Return one fitted block a text column; columns without a repeated n-gram are left out, with a note."""
    found = []
    for place, column in enumerate(schema.of(Kind.TEXT)):
        words = learn_words(column, train, settings, tag=str(place), analyser=cut(column, settings))
        if words.grams:
            found.append(words)
        else:
            meter.note(f"text column {column.name!r} is left out: no n-gram stands in enough of its rows")
    return tuple(found)
