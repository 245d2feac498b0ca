"""What a model's tensors are called: one input a column, and the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.contracts import Column, Kind, Problem
from steelyard.serve.model import Served

ROWS = "rows"
"""The one input that holds whole rows of a model whose columns are all numbers."""
SCORES, LABEL, VALUE, TAGS = "scores", "label", "value", "tags"
_OF_CLASSES, _OF_VALUE, _OF_TAGS = (SCORES, LABEL), (VALUE,), (TAGS, SCORES)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the signature; the first side of its shape is the number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def takes_rows(served: Served) -> bool:
    """Tell whether whole rows can be sent as one tensor."""
    return served.layout.is_numeric and ROWS not in served.layout.columns


def inputs_of(served: Served) -> tuple[Tensor, ...]:
    """Return the inputs, one a column, each in its natural datatype."""
    return tuple(_tensor_of(column) for column in served.layout.columns.values())


def _tensor_of(column: Column) -> Tensor:
    if column.kind is Kind.SEQUENCE:
        return Tensor(column.name, "FP32", (-1, -1, len(column.channels)))
    return Tensor(column.name, "FP64" if column.kind in {Kind.NUMBER, Kind.TIME} else "BYTES", (-1, 1))


def names_of_outputs(served: Served) -> tuple[str, ...]:
    """Return what the outputs are called."""
    if served.tags:
        return _OF_TAGS
    return _OF_VALUE if served.predicts_value else _OF_CLASSES


def outputs_of(served: Served) -> tuple[Tensor, ...]:
    """Return the outputs: probabilities and a label, a value, or of each row its tags and how probable they are.

    Rows have different numbers of tokens, which a tensor cannot: both of the last are JSON, a list a row.
    """
    if served.tags:
        return Tensor(TAGS, "BYTES", (-1,)), Tensor(SCORES, "BYTES", (-1,))
    if served.predicts_value:
        one = served.task.problem is not Problem.FORECASTING
        return (Tensor(VALUE, "FP64", (-1,) if one else (-1, served.task.width)),)
    return Tensor(SCORES, "FP64", (-1, served.task.width)), Tensor(LABEL, "BYTES", (-1,))
