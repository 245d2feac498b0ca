"""The entities that the tags of a row spell, as they are told: place, type, text, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.contracts import Floats
from steelyard.tasks.spans import Span, spans_of


def entities_of(tokens: Sequence[str], tags: Sequence[str], scores: Floats, codes: Sequence[int]) -> list[Found]:
    """Return the entities of a row.

    Parameters
    ----------
    tokens, tags
        Of the row, as many of one as of the other.
    scores
        Probabilities, shape (tokens, classes).
    codes
        The classes decided on.

    Examples
    --------
    >>> import numpy as np
    >>> entities_of(("to", "New", "York"), ("O", "B-loc", "I-loc"), np.eye(3), [0, 1, 2])
    [Found(start=1, end=3, type='loc', text='New York', probability=1.0)]
    """
    own = [float(scores[place, code]) for place, code in enumerate(codes)]
    return [_found(span, tokens, own) for span in spans_of(tags)]


@dataclass(frozen=True, slots=True)
class Found:
    """An entity in a row: its first token, the token behind its last one, its type, and its tokens with spaces between.

    ``probability`` is that of its least sure tag, an upper bound of that of all of them together.
    """

    start: int
    end: int
    type: str
    text: str
    probability: float


def _found(span: Span, tokens: Sequence[str], own: Sequence[float]) -> Found:
    return Found(
        span.start, span.end, span.kind, " ".join(tokens[span.start : span.end]), min(own[span.start : span.end])
    )
