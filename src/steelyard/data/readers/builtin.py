"""The data sets that come with scikit-learn, by name."""

from __future__ import annotations

import numpy as np

from steelyard.data.fast import tidy
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, nearest, need

NAMES = ("breast_cancer", "diabetes", "digits", "iris", "wine")


def read(name: str, target: str) -> dict[str, Cells]:
    """Return the features of a built-in data set, and its target under the name given; classes by their names.

    Raises
    ------
    DataUnreadable
        If there is no such set, or a feature has the target's name.
    """
    if name not in NAMES:
        raise DataUnreadable(
            f"scikit-learn has no built-in data set {name!r}{nearest(name, NAMES)}; known: {', '.join(NAMES)}"
        )
    bunch = getattr(need("sklearn.datasets", for_="a scikit-learn data set"), f"load_{name}")()
    features = [str(feature) for feature in bunch.feature_names]
    if target in features:
        raise DataUnreadable(f"sklearn:{name} has a feature named {target!r}; call the target something else")
    columns: dict[str, Cells] = {f: np.ascontiguousarray(bunch.data[:, i]) for i, f in enumerate(features)}
    classes = getattr(bunch, "target_names", None)
    columns[target] = bunch.target if classes is None else tidy([str(classes[code]) for code in bunch.target])
    return columns
