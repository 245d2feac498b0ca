"""Ask a server for predictions from Python: :class:`Client`, and :class:`AsyncClient` for asyncio.

Both speak ``POST /predict`` and the Open Inference Protocol, version 2, over REST, with tensors as JSON or as bytes;
so they ask any server of that protocol. They need the extra ``client`` (httpx).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.client.answers import Inference, Prediction, Predictions
    from steelyard.client.asynchronous import AsyncClient
    from steelyard.client.retries import Retries
    from steelyard.client.synchronous import Client

_HOME = {
    "AsyncClient": "asynchronous",
    "Client": "synchronous",
    "Inference": "answers",
    "Prediction": "answers",
    "Predictions": "answers",
    "Retries": "retries",
}

__all__ = ["AsyncClient", "Client", "Inference", "Prediction", "Predictions", "Retries"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: who needs the tensors alone does without httpx."""
    if name in _HOME:
        return getattr(importlib.import_module(f"steelyard.client.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steelyard.client' has no attribute {name!r}")
