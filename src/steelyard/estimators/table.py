"""What scikit-learn's users give as ``X``, ``y`` and ``sample_weight``, checked in scikit-learn's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, check_X_y
from sklearn.utils.validation import validate_data

from steelyard.contracts import Floats
from steelyard.data.coerce import objects
from steelyard.data.frames import cells_of

Array = NDArray[Any]

_PLAIN = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
_NUMBERS = "biuf"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose cells were checked, column by column.

    ``numbers`` and ``categories`` name the columns whose dtype says what they hold; the engine looks at the others.
    """

    columns: dict[str, Array]
    numbers: tuple[str, ...]
    categories: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Return some rows."""
        return Table({name: cells[rows] for name, cells in self.columns.items()}, self.numbers, self.categories)

    def different(self, most: int) -> int:
        """Return how many rows differ from each other, ``most`` where there are more."""
        seen = set()
        for row in zip(*self.columns.values(), strict=True):
            seen.add(repr(row))  # NaN equals NaN here
            if len(seen) == most:
                break
        return len(seen)


def training_table(estimator: BaseEstimator, X: Any, y: Any, *, numeric: bool) -> tuple[Table, Array]:  # noqa: N803
    """Return what ``fit`` is given, and note the names and the number of the columns in the estimator.

    Parameters
    ----------
    estimator
        Who is to be fitted.
    X, y
        Anything that scikit-learn takes; frames may have columns of other things than numbers.
    numeric
        Whether ``y`` is to be numbers.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn has it: missing ``y``, shapes, infinite values, sparse or complex input.
    """
    options = {"y_numeric": numeric, "ensure_min_samples": 2}
    if _is_mixed(X):
        validate_data(estimator, X, y, skip_check_array=True)
        _, target = check_X_y(_stand_in(X), y, estimator=estimator, **options)
        return _table(X), target
    cells, target = validate_data(estimator, X, y, **_PLAIN, **options)
    names = _names(X) if hasattr(X, "columns") else [f"x{i}" for i in range(cells.shape[1])]
    return Table(dict(zip(names, cells.T, strict=True)), tuple(names)), target


def columns_to_answer(estimator: BaseEstimator, X: Any) -> list[Array]:  # noqa: N803
    """Return the columns of rows to predict, in the order of ``fit``.

    Raises
    ------
    ValueError, TypeError
        If they do not fit what ``fit`` saw, as scikit-learn has it.
    """
    if _is_mixed(X):
        validate_data(estimator, X, reset=False, skip_check_array=True)
        check_array(_stand_in(X), estimator=estimator)
        return list(_table(X).columns.values())
    return list(validate_data(estimator, X, reset=False, **_PLAIN).T)


def weights_of(given: Any, rows: int) -> Floats:
    """Return the weights of rows, float64 of shape (rows,).

    Raises
    ------
    ValueError
        If they have another shape, one is negative or not finite, or all are zero.
    """
    weights: Floats = check_array(given, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(rows,)}!")
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`.")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def free(name: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken: itself, or with as many underscores as it needs.

    Examples
    --------
    >>> free("target", ["age", "target"])
    'target_'
    """
    while name in taken:
        name += "_"
    return name


def _is_mixed(X: Any) -> bool:  # noqa: N803
    """Tell whether this is a frame that has columns of other things than numbers."""
    return hasattr(X, "columns") and not all(map(_is_number, X.dtypes))


def _is_number(dtype: Any) -> bool:
    if hasattr(dtype, "kind"):  # NumPy and pandas
        return dtype.kind in _NUMBERS
    return bool(dtype.is_numeric()) or str(dtype) == "Boolean"  # polars


def _is_category(dtype: Any) -> bool:
    return str(dtype).startswith(("category", "Categorical", "Enum"))


def _stand_in(frame: Any) -> Array:
    """Return numbers in the shape of a frame, for checks that look at the shape alone; takes no memory."""
    return np.broadcast_to(np.float64(0), frame.shape)


def _names(frame: Any) -> list[str]:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"column {twice!r} occurs twice; rename one of the two")
    return names


def _table(frame: Any) -> Table:
    names = _names(frame)
    columns = {name: _array(cells_of(frame, name)) for name in names}
    for cells in columns.values():
        if cells.dtype.kind == "f":
            assert_all_finite(cells, allow_nan=True, input_name="X")
    dtypes = list(zip(names, frame.dtypes, strict=True))
    return Table(
        columns,
        numbers=tuple(name for name, dtype in dtypes if _is_number(dtype)),
        categories=tuple(name for name, dtype in dtypes if _is_category(dtype)),
    )


def _array(cells: Any) -> Array:
    return cells if isinstance(cells, np.ndarray) else objects(cells)
