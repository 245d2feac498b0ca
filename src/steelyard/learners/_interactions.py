"""Which columns a learner sees together, chosen on its training rows: tables of cells, or differences and quotients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steelyard.contracts import Kind, Split, Work
from steelyard.learners._block import Block
from steelyard.learners._categories import frequent
from steelyard.learners._crosses import Crosses, bounds
from steelyard.learners._dates import Dates
from steelyard.learners._lookup import Lookup
from steelyard.learners._numbers import Numbers
from steelyard.learners._pairs import Pair, strongest
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._quotients import Quotients
from steelyard.learners._table import names_of

MOST_COLUMNS = 100
"""Columns, the first ones, that pairs are looked for among."""
MOST_CELLS = 1500
"""Cells of all crosses together, beyond which the weaker ones are left out: each is a weight to be found."""
CROSSED = 23
"""Most values of a category in a cross; the others count as one more."""


def quotients(train: Split, work: Work, *, most: int, standard: bool) -> Quotients | None:
    """Return differences and quotients of at most ``most`` pairs of numbers; ``None`` where no two act together."""
    names = names_of(work.schema, Kind.NUMBER)[:MOST_COLUMNS]
    if len(names) < 2:
        return None
    (matrix,) = Prelude((Numbers.fit(train.columns, names, standard=False),)).run(train.columns, threads=work.threads)
    pairs = strongest(matrix, train, work, most=most)
    used, places = _among(pairs)
    return (
        Quotients.fit(train.columns, tuple(names[place] for place in used), places, standard=standard) if used else None
    )


def crosses(train: Split, work: Work, *, most: int, dates: Dates | None) -> Crosses | None:
    """Return tables of at most ``most`` pairs of columns; ``None`` where no two act together."""
    numbers = names_of(work.schema, Kind.NUMBER)[:MOST_COLUMNS]
    ground = _Ground(numbers, dates, names_of(work.schema, Kind.CATEGORY)[: MOST_COLUMNS - len(numbers)])
    inner = ground.blocks(train)
    if ground.width < 2:
        return None
    matrix = beside(Prelude(inner).run(train.columns, threads=work.threads))
    pairs = strongest(matrix, train, work, most=most)
    sizes = [len(bounds(feature, len(train))) + 1 for feature in matrix.T]
    cells = np.cumsum([sizes[first] * sizes[second] for first, second in pairs])
    used, places = _among(pairs[: max(1, int((cells <= MOST_CELLS).sum()))])
    # What is in no cross need not be read.
    return Crosses.fit(ground.only(used).blocks(train), train.columns, places) if used else None


def _among(pairs: tuple[Pair, ...]) -> tuple[list[int], tuple[Pair, ...]]:
    """Return the places that occur, and the pairs as places among those."""
    used = sorted({place for pair in pairs for place in pair})
    return used, tuple((used.index(first), used.index(second)) for first, second in pairs)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What can be crossed, in the order of the features: numbers, calendar parts, categories."""

    numbers: tuple[str, ...]
    dates: Dates | None
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.numbers) + self._parts + len(self.categories)

    @property
    def _parts(self) -> int:
        return len(self.dates.picked) if self.dates else 0

    def only(self, places: list[int]) -> _Ground:
        """Return what stands at some places."""
        numbers, parts = len(self.numbers), len(self.numbers) + self._parts
        kept = [place - numbers for place in places if numbers <= place < parts]
        return _Ground(
            tuple(self.numbers[place] for place in places if place < numbers),
            self.dates.only(kept) if self.dates and kept else None,
            tuple(self.categories[place - parts] for place in places if place >= parts),
        )

    def blocks(self, train: Split) -> tuple[Block, ...]:
        """Return blocks with one feature each."""
        found: list[Block] = []
        if self.numbers:
            block = Numbers.fit(train.columns, self.numbers, standard=True)
            found.append(replace(block, flags=(), tag="crossed_numbers"))
        if self.dates:
            found.append(replace(self.dates, tag="crossed_times"))
        if self.categories:
            values = frequent(train.columns, self.categories, least=1, most=CROSSED)
            ranks = np.concatenate([np.arange(1.0, len(known) + 1) for known in values]).reshape(-1, 1)
            found.append(Lookup("crossed_categories", self.categories, values, ranks))
        return tuple(found)
