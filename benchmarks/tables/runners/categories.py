"""Columns of text as pandas categories, the form in which LightGBM takes them; an unknown name is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from runners.protocol import Job


def types_of(job: Job, train: Any) -> dict[str, Any]:
    """Return the type of each column as training has it."""
    return {
        name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) if kind == "text" else "float64"
        for name, kind in job.columns.items()
    }


def typed(frame: Any, types: Mapping[str, Any]) -> Any:
    """Return the features of a frame in these types."""
    return frame[list(types)].astype(types)
