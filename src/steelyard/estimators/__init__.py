"""Two ordinary scikit-learn estimators over the same engine: they pass scikit-learn's own checks.

Each ``fit`` is a run in a folder of its own. What predicts is the bundle that the run ships, the same that would be
served; the run's record stays beside it as ``run_``.
"""

from __future__ import annotations

from steelyard.estimators.base import Unfit
from steelyard.estimators.models import SteelyardClassifier, SteelyardRegressor

__all__ = ["SteelyardClassifier", "SteelyardRegressor", "Unfit"]
