"""Columns of tokens: which they are, their typed cells, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Kind
from steelyard.contracts.ragged import lengths_of
from steelyard.data.coerce import column
from steelyard.data.dataset import Finding, Severity
from steelyard.data.fast import as_list
from steelyard.data.hashing import distinct, hash_tokens
from steelyard.data.table import Cells, Table
from steelyard.data.tokenised import NotTokens, tokens_of
from steelyard.errors import RowsRefused
from steelyard.spec import Spec

LONG_TOKEN = 1_000
"""Characters from which a token is told about: no word is so long."""
_LOOKED_AT = 1_000


def is_tagging(spec: Spec, table: Table) -> bool:
    """Tell whether the target holds a tag for each token: the spec says so, or both it and another column are lists.

    Lists in the target alone are several labels of a row.
    """
    if spec.task is not None:
        return spec.task == "tagging"
    others = (cells for name, cells in table.columns.items() if name != spec.target)
    return _are_lists(table.columns[spec.target]) and (bool(spec.columns.tokens) or any(map(_are_lists, others)))


def token_columns(spec: Spec, table: Table) -> frozenset[str]:
    """Return the columns of tokens: those that the spec names and, where tokens are tagged, those of lists of words."""
    named = frozenset(spec.columns.tokens)
    if spec.target not in table.columns or not is_tagging(spec, table):
        return named
    return named | {name for name, cells in table.columns.items() if _are_lists(cells)}


def _are_lists(cells: Cells) -> bool:
    """Tell whether the first cells are lists of words, or missing."""
    if not isinstance(cells, np.ndarray) or cells.dtype != object:
        return False
    found = False
    for cell in cells[:_LOOKED_AT]:
        if isinstance(cell, list | tuple):
            try:
                tokens_of([token for token in cell if token is not None])
            except NotTokens:
                return False
            found = True
        elif cell is not None:
            return False
    return found


Made = tuple[Column, NDArray[np.object_] | None, tuple[Finding, ...], NDArray[np.bool_] | None]


def typed_tokens(name: str, cells: Cells, why: str) -> Made:
    """Return a column of tokens, its cells, what was found in it, and the rows without a token, which are left out."""
    try:
        values = column(Kind.TOKENS, as_list(cells), name)
    except RowsRefused as problem:
        stop = Finding(code="misfit", severity=Severity.STOP, column=name, sentence=str(problem))
        return Column(name=name, kind=Kind.TOKENS, why=why), None, (stop,), None
    empty = lengths_of(values) == 0
    made = Column(
        name=name,
        kind=Kind.TOKENS,
        missing=float(empty.mean()),
        distinct=distinct(hash_tokens(values[~empty])),
        why=why,
    )
    return (
        made,
        values,
        tuple(_findings(name, values, int(empty.sum()))),
        empty if 0 < empty.sum() < len(empty) else None,
    )


def _findings(name: str, values: NDArray[np.object_], empty: int) -> Iterator[Finding]:
    """Yield rows without a token, and tokens that are longer than any word."""
    if 0 < empty < len(values):
        sentence = (
            f"{empty:,} of {len(values):,} rows have no token in {name!r} and are left out; fill them in or drop them"
        )
        numbers = {"rows": float(empty)}
        yield Finding(code="empty_rows", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)
    longest = max((len(token) for tokens in values for token in tokens), default=0)
    if longest >= LONG_TOKEN:
        sentence = (
            f"the longest token in {name!r} has {longest:,} characters, of which only beginning and end are read; "
            "check how the text was cut into tokens"
        )
        numbers = {"characters": float(longest)}
        yield Finding(code="long_token", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)
