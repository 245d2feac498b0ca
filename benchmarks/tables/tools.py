"""The tools that are compared: where each is installed, what it is told, and for which budgets it is run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from environments import OURS, python_of
from store import our_version

BUDGETS = (30, 120)
LONG, LONG_SETS = 600, ("churn", "bike_sharing_hourly", "satimage")
"""The long budget, and its sets: two classes, values, six classes."""
SEEDS = 3
"""Seeds on the small sets; the large ones have the first alone."""
AFTER_LATE = 120.0
"""Seconds past three times the budget after which a run is ended and counts as a failure."""
HURRY = 60
DEFAULTS_LIMIT = 900.0
"""Seconds that a model without a budget may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool with its settings. ``package`` gives its version; ``packages`` are those told in a row besides."""

    name: str
    environment: str
    runner: str
    package: str
    packages: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    hurried: Mapping[str, Any] = field(default_factory=dict)
    """Options on top for budgets below a minute: what the tool's own message advises where it would give up."""
    budgets: tuple[int, ...] = BUDGETS
    """Seconds; ``(0,)`` for a model with defaults, which is fitted once and counts where it ends in time."""
    long: bool = True
    """It is run with the long budget too."""
    every_seed: bool = True

    @property
    def searches(self) -> bool:
        return self.budgets != (0,)

    def told(self, budget: int) -> dict[str, Any]:
        """Return the options for a budget."""
        return {**self.options, **(self.hurried if budget < HURRY else {})}

    def limit(self, budget: int) -> float:
        """Return the seconds after which a run is ended."""
        return 3 * budget + AFTER_LATE if budget else DEFAULTS_LIMIT


_TREES = ("lightgbm", "catboost", "xgboost", "scikit-learn", "pandas", "numpy")

_ALL = (
    Tool(
        name="ours",
        environment=OURS,
        runner="ours",
        package="steelyard",
        packages=("onnxruntime", "lightgbm", "catboost", "torch", "scikit-learn", "numpy"),
        budgets=(*BUDGETS, 15, 40),
    ),
    Tool(name="catboost", environment="catboost", runner="catboost", package="catboost", budgets=(0,)),
    Tool(name="lightgbm", environment="lightgbm", runner="lightgbm", package="lightgbm", budgets=(0,)),
    Tool(
        name="autogluon-medium",
        environment="autogluon",
        runner="autogluon",
        package="autogluon.tabular",
        packages=(*_TREES, "torch", "fastai", "ray"),
        options={"presets": "medium_quality"},
    ),
    Tool(
        name="autogluon-good",
        environment="autogluon",
        runner="autogluon",
        package="autogluon.tabular",
        packages=(*_TREES, "torch", "fastai", "ray"),
        options={
            "presets": "good_quality",
            "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"},
            "ds_args": {"memory_safe_fits": False},
        },
        hurried={"dynamic_stacking": False},
    ),
    Tool(name="flaml", environment="flaml", runner="flaml", package="flaml", packages=_TREES),
    Tool(
        name="optuna-lightgbm",
        environment="optuna",
        runner="optuna",
        package="optuna",
        packages=("lightgbm", "scikit-learn", "pandas", "numpy"),
    ),
    Tool(
        name="autogluon-limit",
        environment="autogluon",
        runner="autogluon",
        package="autogluon.tabular",
        packages=(*_TREES, "torch", "fastai", "ray"),
        options={"presets": "medium_quality", "infer_limit": 0.02, "infer_limit_batch_size": 1},
        budgets=(120,),
        long=False,
        every_seed=False,
    ),
)
TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _ALL}
"""In the order in which they are run on a set."""

SEARCHES = ("autogluon-medium", "autogluon-good", "flaml", "optuna-lightgbm")
"""The rivals that search, which bars are held against."""

_ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = "absent"
print(json.dumps(found))
"""


@cache
def installed(name: str) -> Mapping[str, str]:
    """Return the versions in a tool's environment, which is made where it is missing."""
    tool = TOOLS[name]
    return _versions(python_of(tool.environment), (tool.package, *tool.packages))


def version_of(tool: Tool) -> str:
    """Return the version that a row of this tool is keyed by."""
    return our_version() if tool.environment == OURS else installed(tool.name)[tool.package]


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    done = subprocess.run([python, "-c", _ASK, *packages], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
