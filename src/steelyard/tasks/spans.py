"""Tags and the entities that they spell: schemes of tags, one scheme made of all, and entities counted row by row.

An entity begins and ends as the evaluation of CoNLL-2000 [1]_ has it, which seqeval [2]_ follows: at a ``B`` or an
``S``, behind an ``E`` or an ``S``, and wherever the type changes or an ``O`` lies between. That reads every scheme
(IOB1, IOB2, IOBES, BILOU) and tags that keep none; what is read is written as IOB2.

References
----------
.. [1] Tjong Kim Sang, Buchholz. Introduction to the CoNLL-2000 shared task: chunking. 2000.
.. [2] Nakayama. seqeval: a Python framework for sequence labeling evaluation. 2018, github.com/chakki-works/seqeval.
.. [3] Ramshaw, Marcus. Text chunking using transformation-based learning. 1995, cmp-lg/9505040.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Ints

OUTSIDE = "O"
_LETTERS = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
"""Letters of the schemes by what they mean in IOBES: BILOU writes L and U, BMES writes M."""

Mask = NDArray[np.bool_]


def split_tag(tag: str) -> tuple[str, str] | None:
    """Return what a tag says: its letter as in IOBES and its type; ``None`` of one that speaks of no entity.

    Examples
    --------
    >>> split_tag("B-person"), split_tag("U-person"), split_tag("O"), split_tag("I"), split_tag("NOUN")
    (('B', 'person'), ('S', 'person'), ('O', ''), ('I', ''), None)
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    letter = _LETTERS.get(tag[:1])
    if letter is None or (len(tag) > 1 and tag[1] != "-"):
        return None
    return letter, tag[2:]


def spells_entities(tags: Iterable[str]) -> bool:
    """Tell whether every tag is ``O`` or one of a scheme of entities, and not all are ``O``.

    Examples
    --------
    >>> spells_entities({"O", "B-person"}), spells_entities({"NOUN", "VERB"}), spells_entities({"O"})
    (True, False, False)
    """
    found = [split_tag(tag) for tag in set(tags)]
    return None not in found and any(each is not None and each[0] != OUTSIDE for each in found)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One entity: its first token, the token behind its last one, and its type."""

    start: int
    end: int
    kind: str


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the entities of a row of tags, whatever their scheme.

    Examples
    --------
    >>> spans_of(["O", "I-per", "I-per", "B-per", "I-loc"])
    [Span(start=1, end=3, kind='per'), Span(start=3, end=4, kind='per'), Span(start=4, end=5, kind='loc')]
    """
    found: list[Span] = []
    start, before = 0, (OUTSIDE, "")
    for place, tag in enumerate([*tags, OUTSIDE]):
        now = split_tag(tag) or (OUTSIDE, "")
        goes_on = before[0] in "BI" and now[0] in "IE" and before[1] == now[1]
        if before[0] != OUTSIDE and not goes_on:
            found.append(Span(start, place, before[1]))
        if not goes_on:
            start = place
        before = now
    return found


def as_iob2(tags: Sequence[str]) -> list[str]:
    """Return tags of any scheme as IOB2: each entity begins with ``B`` and goes on with ``I``.

    Examples
    --------
    >>> as_iob2(["I-per", "I-per", "B-per", "O", "S-loc"])
    ['B-per', 'I-per', 'B-per', 'O', 'B-loc']
    """
    made = [OUTSIDE] * len(tags)
    for span in spans_of(tags):
        dash = f"-{span.kind}" if span.kind else ""
        made[span.start : span.end] = [f"B{dash}", *[f"I{dash}"] * (span.end - span.start - 1)]
    return made


# ------------------------------------------------------------------------------------------------ coded tags


@dataclass(frozen=True, slots=True)
class Codes:
    """What each class of a tagging means, by its code: whether it begins an entity, goes on with one, and its type.

    ``kind`` is the place of the type in ``kinds``, -1 for ``O``. ``spells`` tells whether the classes are tags of
    entities at all; where they are not (parts of speech), no class begins one.
    """

    begins: Mask
    inside: Mask
    kind: Ints
    kinds: tuple[str, ...]
    spells: bool

    @property
    def may_follow(self) -> Mask:
        """Which class may follow which, shape (classes, classes): an ``I`` needs its own ``B`` or ``I`` before it."""
        follows: Mask = ~self.inside[None, :] | (self.kind[:, None] == self.kind[None, :])
        return follows

    @property
    def may_begin(self) -> Mask:
        """Which class may stand first in a row, shape (classes,)."""
        begins: Mask = ~self.inside
        return begins


@lru_cache(maxsize=64)
def codes_of(classes: tuple[str, ...]) -> Codes:
    """Return what classes mean.

    Examples
    --------
    >>> codes = codes_of(("O", "B-loc", "I-loc"))
    >>> codes.kind.tolist(), codes.may_follow.astype(int).tolist()
    ([-1, 0, 0], [[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    """
    if not spells_entities(classes):
        nothing = np.zeros(len(classes), dtype=bool)
        return Codes(nothing, nothing, np.full(len(classes), -1, np.int64), (), spells=False)
    read = [split_tag(name) or (OUTSIDE, "") for name in classes]
    kinds = tuple(sorted({kind for letter, kind in read if letter != OUTSIDE}))
    return Codes(
        begins=np.array([letter in "BS" for letter, _ in read]),
        inside=np.array([letter in "IE" for letter, _ in read]),
        kind=np.array([-1 if letter == OUTSIDE else kinds.index(kind) for letter, kind in read], np.int64),
        kinds=kinds,
        spells=True,
    )


@dataclass(frozen=True, slots=True)
class Entities:
    """Entities of many rows laid one behind the other: first token, token behind the last one, and type of each."""

    starts: Ints
    ends: Ints
    kinds: Ints


def entities_in(tags: Ints, lengths: Ints, codes: Codes) -> Entities:
    """Return the entities of flattened rows of coded IOB2 tags, in order; an ``I`` without its ``B`` begins one too.

    Examples
    --------
    >>> found = entities_in(np.array([1, 2, 0, 2]), np.array([3, 1]), codes_of(("O", "B-loc", "I-loc")))
    >>> found.starts.tolist(), found.ends.tolist()
    ([0, 3], [2, 4])
    """
    first = np.zeros(len(tags) + 1, dtype=bool)
    first[np.cumsum(lengths) - lengths] = True  # of an empty row the place is another row's first, or the end
    kind = codes.kind[tags]
    fresh = np.ones(len(tags), dtype=bool)
    fresh[1:] = kind[1:] != kind[:-1]
    starts = (kind >= 0) & (codes.begins[tags] | fresh | first[:-1])
    behind = np.ones(len(tags), dtype=bool)
    behind[:-1] = starts[1:] | (kind[1:] != kind[:-1]) | first[1:-1]
    begin, end = np.flatnonzero(starts), np.flatnonzero((kind >= 0) & behind) + 1
    return Entities(begin, end, kind[begin])
