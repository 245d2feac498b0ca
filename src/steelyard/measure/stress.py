"""Rows as they come on a bad day, made from rows as they were measured: what is left of a model's quality there.

Belinkov, Bisk: "Synthetic and Natural Noise Both Break Neural Machine Translation", ICLR 2018; Pruthi, Dhingra, Lipton:
"Combating Adversarial Misspellings with Robust Word Recognition", ACL 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Columns, Kind, Schema
from steelyard.errors import RowsRefused, nearest

SHARE = 0.1
"""Share of the words, or of the characters of a script without spaces, that get a typing error."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: row[max(place - 1, 0) : place] + row[place + 1 : place + 2] for row in _ROWS for place, key in enumerate(row)
}
"""The keys beside each key."""


def mistyped(text: str, share: float, random: np.random.Generator, *, spaced: bool = True) -> str:
    """Return a text with typing errors: two characters exchanged, one lost, one doubled, or the key beside it.

    Parameters
    ----------
    text
        The text.
    share
        Of its words (of its characters where no spaces part words), 0 to 1.
    random
        Where chance comes from.
    spaced
        Whether spaces part words.

    Examples
    --------
    >>> mistyped("a quiet room with a view", 1.0, np.random.default_rng(0))
    's quieet ropm witth aa vieq'
    >>> mistyped("a quiet room", 0.0, np.random.default_rng(0))
    'a quiet room'
    """
    parts = text.split(" ") if spaced else [text[start : start + 2] for start in range(0, len(text), 2)]
    chosen = random.random(len(parts)) < (share if spaced else min(1.0, 2 * share))
    changed = [_slip(part, random) if hit and part else part for part, hit in zip(parts, chosen, strict=True)]
    return (" " if spaced else "").join(changed)


def _slip(word: str, random: np.random.Generator) -> str:
    place, how = int(random.integers(len(word))), int(random.integers(4))
    before, here, after = word[:place], word[place], word[place + 1 :]
    if how == 0 and after:
        return before + after[0] + here + after[1:]
    if how == 1 and len(word) > 1:
        return before + after
    beside = _BESIDE.get(here.lower(), "")
    if how == 2 and beside:
        return before + beside[int(random.integers(len(beside)))] + after
    return before + here + here + after


def _typos(columns: Columns, schema: Schema, share: float, random: np.random.Generator) -> dict[str, NDArray[Any]]:
    changed = {}
    for column in schema.of(Kind.TEXT):
        cells = np.empty(len(columns[column.name]), object)
        cells[:] = [mistyped(text, share, random, spaced=column.spaced) for text in columns[column.name]]
        changed[column.name] = cells
    return changed


Stress = Callable[[Columns, Schema, float, np.random.Generator], Mapping[str, NDArray[Any]]]
STRESSES: Mapping[str, tuple[Stress, frozenset[Kind]]] = {"typos": (_typos, frozenset({Kind.TEXT}))}
"""By name, what changes some columns, and the kinds of columns that it changes."""


def stressed(columns: Columns, schema: Schema, kind: str, *, share: float = SHARE, seed: int = 0) -> Columns:
    """Return a copy of rows with one kind of harm done to them; what the harm does not reach is shared, not copied.

    Parameters
    ----------
    columns
        Typed columns.
    schema
        Says of which kind each is.
    kind
        A key of :data:`STRESSES`.
    share
        How much is harmed, 0 to 1.
    seed
        The same seed does the same harm.

    Raises
    ------
    RowsRefused
        If there is no such harm, or no column that it could be done to.

    Examples
    --------
    >>> from steelyard.contracts import Column
    >>> schema = Schema((Column(name="note", kind=Kind.TEXT),))
    >>> harmed = stressed({"note": np.array(["late again"], object)}, schema, "typos", share=1.0)
    >>> harmed["note"][0] == "late again"
    False
    """
    if kind not in STRESSES:
        raise RowsRefused(f"there is no stress {kind!r}{nearest(kind, STRESSES)}; known: {', '.join(STRESSES)}")
    change, reached = STRESSES[kind]
    if not schema.of(*reached):
        raise RowsRefused(f"stress {kind!r} changes columns of {', '.join(sorted(reached))}, and these rows have none")
    return {**columns, **change(columns, schema, share, np.random.default_rng(seed))}
