"""Steelyard weighs every way to build an AI model: what it costs against what it returns, with an error bar."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.api import Run, check, evaluate, open_run, predict, resume, run
    from steelyard.bundle import Bundle
    from steelyard.client import AsyncClient, Client
    from steelyard.estimators import SteelyardClassifier, SteelyardRegressor
    from steelyard.spec import AtLeast, AtMost, Budget, Quality, Serving, Spec, Traffic, Value

_HOMES = {
    "steelyard.api": ("Run", "check", "evaluate", "open_run", "predict", "resume", "run"),
    "steelyard.bundle": ("Bundle",),
    "steelyard.client": ("AsyncClient", "Client"),
    "steelyard.estimators": ("SteelyardClassifier", "SteelyardRegressor"),
    "steelyard.spec": ("AtLeast", "AtMost", "Budget", "Quality", "Serving", "Spec", "Traffic", "Value"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncClient",
    "AtLeast",
    "AtMost",
    "Budget",
    "Bundle",
    "Client",
    "Quality",
    "Run",
    "Serving",
    "Spec",
    "SteelyardClassifier",
    "SteelyardRegressor",
    "Traffic",
    "Value",
    "check",
    "evaluate",
    "open_run",
    "predict",
    "resume",
    "run",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first used: importing this package alone loads nothing."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'steelyard' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
