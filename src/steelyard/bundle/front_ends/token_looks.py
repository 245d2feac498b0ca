"""What a token looks like, and what stands around it: the features that taggers count on.

The set is that of taggers of names since Zhang and Johnson [1]_: the token and its neighbours, as they are and in
lower case, beginnings and ends of the token, its shape, and pairs of neighbours. The shape writes letters as ``X`` and
``x``, digits as ``d``, other scripts as ``c``, and runs of one of them once: ``McDonald's-2`` is ``XxXx'x-d``.

References
----------
.. [1] Zhang, Johnson. A robust risk minimization based named entity recognition system. CoNLL 2003.
.. [2] Ratinov, Roth. Design challenges and misconceptions in named entity recognition. CoNLL 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

LONGEST = 64
"""Characters of a token that are read: beginning and end of longer ones."""
AFFIXES = (1, 2, 3, 4)
WORD = 8 + 2 * len(AFFIXES)
"""Features of a token by itself."""
AROUND = 14
"""Features of what stands around it."""
TEMPLATES = WORD + AROUND
"""Features of each token; one that does not apply is ``""``, which is never known."""
_EDGE = "\u0003"
"""Stands before the first token and behind the last one."""


def cut(token: str) -> str:
    """Return a token, or beginning and end of one that is longer than any word.

    Examples
    --------
    >>> len(cut("a" * 10_000)), cut("Oslo")
    (64, 'Oslo')
    """
    return token if len(token) <= LONGEST else token[: LONGEST // 2] + token[-LONGEST // 2 :]


def shape(token: str) -> str:
    """Return how a token is written.

    Examples
    --------
    >>> [shape(token) for token in ("Oslo", "iPhone6", "@NASA", "3,000", "北京")]
    ['Xx', 'xXxd', '@X', 'd,d', 'c']
    """
    return "".join(kind for kind, _ in groupby(map(_kind, token)))


def _kind(character: str) -> str:
    if character.isdigit():
        return "d"
    if character.isalpha():
        return "X" if character.isupper() else "x" if character.islower() else "c"
    return character


@lru_cache(maxsize=20_000)
def word_features(token: str) -> tuple[str, ...]:
    """Return what a token says by itself, :data:`WORD` features."""
    small = token.lower()
    look = shape(token)
    affixes = [
        text
        for size in AFFIXES
        for text in ((f"p{size}={small[:size]}", f"s{size}={small[-size:]}") if len(small) >= size else ("", ""))
    ]
    return (
        f"w={token}",
        f"l={small}",
        f"h={look}",
        f"n={''.join('0' if c.isdigit() else c for c in small)}" if any(c.isdigit() for c in token) else "",
        "up" if token.isupper() and len(token) > 1 else "",
        "title" if token[:1].isupper() and token[1:].islower() else "",
        f"len={min(len(token), 12)}",
        f"first={small[0]}" if small[:1] and not small[0].isalnum() else "",
        *affixes,
    )


def features(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    """Return :data:`TEMPLATES` features of each token of a row.

    Examples
    --------
    >>> [len(each) for each in features(["Oslo", "sleeps"])] == [TEMPLATES] * 2
    True
    >>> "l+1=sleeps" in features(["Oslo", "sleeps"])[0]
    True
    """
    known = [cut(token) for token in tokens]
    small = [_EDGE, _EDGE, *(token.lower() for token in known), _EDGE, _EDGE]
    looks = [_EDGE, _EDGE, *map(_look, known), _EDGE, _EDGE]
    made = []
    for place, token in enumerate(known, start=2):
        before, own, after = small[place - 1], small[place], small[place + 1]
        around = (
            f"l-1={before}",
            f"l+1={after}",
            f"l-2={small[place - 2]}",
            f"l+2={small[place + 2]}",
            f"b-={before} {own}",
            f"b+={own} {after}",
            f"b={before} {after}",
            f"h-1={looks[place - 1]}",
            f"h+1={looks[place + 1]}",
            f"h-={looks[place - 1]} {looks[place]}",
            f"h+={looks[place]} {looks[place + 1]}",
            f"hh={looks[place - 1]} {looks[place]} {looks[place + 1]}",
            f"hl={looks[place]} {before}",
            f"hr={looks[place]} {after}",
        )
        made.append((*word_features(token), *around))
    return made


@lru_cache(maxsize=20_000)
def _look(token: str) -> str:
    return shape(token)
