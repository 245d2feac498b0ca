"""A fitted pipeline of scikit-learn as ONNX: read from its file, converted by skl2onnx, asked for its own answers."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.contracts import Columns, Floats, Kind, Problem, Schema, Task
from steelyard.errors import BundleRefused, need

SKOPS = ".skops"
OPSETS = {"": 20, "ai.onnx.ml": 3}
_BROKEN = (
    OSError,
    EOFError,
    ImportError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What reading a pickle raises that is damaged, or was written with packages that are not here."""


def load(path: Path, *, trust: bool) -> Any:
    """Return the fitted model in a file of joblib, pickle or skops.

    Loading a pickle runs whatever code it holds, so it asks for ``trust``; a skops file says which types it needs.

    Raises
    ------
    BundleRefused
        If it may not be loaded, or cannot be.
    """
    if path.suffix == SKOPS:
        return _skops(path, trust=trust)
    if not trust:
        raise BundleRefused(
            f"{path} is a pickle, and loading a pickle runs the code in it; add --trust if you made it, or know who did"
        )
    joblib = need("joblib", for_="reading a pipeline")
    try:
        return joblib.load(path)
    except _BROKEN as problem:
        raise BundleRefused(f"{path} cannot be loaded ({type(problem).__name__}: {problem}); save it again") from None


def _skops(path: Path, *, trust: bool) -> Any:
    skops = need("skops.io", for_="reading a .skops file")
    try:
        strange = skops.get_untrusted_types(file=path)
        if strange and not trust:
            raise BundleRefused(
                f"{path} needs types that are not known to be safe: {', '.join(strange)}; add --trust if you know them"
            )
        return skops.load(path, trusted=strange)
    except (*_BROKEN, zipfile.BadZipFile) as problem:
        raise BundleRefused(f"{path} cannot be loaded ({type(problem).__name__}: {problem}); save it again") from None


def columns_of(model: Any, given: Sequence[str], schema: Schema) -> tuple[str, ...]:
    """Return the columns that a model reads, in its order.

    Raises
    ------
    BundleRefused
        If neither the model nor the user names them.
    """
    named = tuple(str(name) for name in getattr(model, "feature_names_in_", ()))
    if given and named and tuple(given) != named:
        raise BundleRefused(f"the model was fitted on {', '.join(named)}, in this order; leave --columns out")
    columns = tuple(given) or named
    if not columns:
        raise BundleRefused("the model does not name its columns; name them in its order with --columns a,b,c")
    known = {column.name for column in schema.features}
    if missing := [name for name in columns if name not in known]:
        raise BundleRefused(f"the rows have no column {', '.join(map(repr, missing))} that a model can read; add it")
    return columns


def convert(model: Any, columns: Sequence[str], schema: Schema, *, double: bool = False) -> bytes:
    """Return a fitted model as ONNX; ``double``: every step but the last computes in 64 bits, as scikit-learn does.

    Trees split on 32-bit numbers in scikit-learn too, so that a scaler in 32 bits sends rows down other branches.

    Raises
    ------
    BundleRefused
        If skl2onnx cannot convert it.
    """
    skl2onnx = need("skl2onnx", for_="importing a pipeline of scikit-learn")
    types = need("skl2onnx.common.data_types", for_="importing a pipeline of scikit-learn")
    number = types.DoubleTensorType if double else types.FloatTensorType
    if hasattr(model, "feature_names_in_"):
        kinds = {column.name: column.kind for column in schema.features}
        ends = [
            (name, types.StringTensorType([None, 1]) if kinds[name] is Kind.CATEGORY else number([None, 1]))
            for name in columns
        ]
    else:
        ends = [("X", number([None, len(columns)]))]
    options = {id(_last(model)): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    if double and len(getattr(model, "steps", ())) > 1:
        model = _cast_at_the_end(model)
    try:
        made = skl2onnx.to_onnx(model, initial_types=ends, options=options, target_opset=OPSETS)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, NameError, AttributeError, KeyError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise BundleRefused(f"skl2onnx cannot convert the model: {first}; use steps that it supports") from None
    return bytes(made.SerializeToString())


def _cast_at_the_end(model: Any) -> Any:
    """Return a fitted pipeline whose last step is given 32 bits."""
    pipeline = need("sklearn.pipeline", for_="importing a pipeline of scikit-learn").Pipeline
    cast = need("skl2onnx.sklapi", for_="importing a pipeline of scikit-learn").CastTransformer(dtype=np.float32)
    return pipeline([*model.steps[:-1], ("steelyard_cast", cast), model.steps[-1]])


def _last(model: Any) -> Any:
    steps = getattr(model, "steps", None)
    return _last(steps[-1][1]) if steps else model


def answers(model: Any, columns: Sequence[str], rows: Columns, task: Task) -> Floats:
    """Return the model's own answers: probabilities in the order of the task's classes, or values, shape (n, width).

    Raises
    ------
    BundleRefused
        If it has no probabilities, or knows other classes than the rows.
    """
    table = _table(model, columns, rows)
    if task.problem is Problem.REGRESSION:
        return np.asarray(model.predict(table), dtype=np.float64).reshape(-1, 1)
    if not hasattr(model, "predict_proba"):
        raise BundleRefused("the model gives no probabilities (no predict_proba); wrap it in CalibratedClassifierCV")
    known = classes_of(model)
    if set(known) != set(task.classes):
        raise BundleRefused(
            f"the model knows the classes {', '.join(known)}, and the rows hold {', '.join(task.classes)}; give rows "
            "with every class of the model and no other"
        )
    found = np.asarray(model.predict_proba(table), dtype=np.float64)
    return found[:, [known.index(name) for name in task.classes]]


def classes_of(model: Any) -> tuple[str, ...]:
    """Return the classes of a model as words, in its order."""
    return tuple(_word(value) for value in getattr(model, "classes_", ()))


def _word(value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def _table(model: Any, columns: Sequence[str], rows: Columns) -> Any:
    """Return rows as the model was fitted: a frame where it knows names, an array elsewhere."""
    if not hasattr(model, "feature_names_in_"):
        return np.stack([np.asarray(rows[name], dtype=np.float64) for name in columns], axis=1)
    frame: Mapping[str, Any] = {name: rows[name] for name in columns}
    pandas = need("pandas", for_="asking a pipeline that was fitted on a data frame")
    return pandas.DataFrame(frame)
