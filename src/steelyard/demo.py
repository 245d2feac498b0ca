"""The job of ``steelyard demo``: a diagnosis where a missed tumour costs a hundred times a false alarm."""

from __future__ import annotations

from steelyard.spec import Spec

SPEC = Spec.model_validate(
    {
        "name": "demo",
        "data": "sklearn:breast_cancer",
        "target": "diagnosis",
        "positive": "malignant",
        "quality": {"metric": "roc_auc", "at_least": 0.98},
        "serving": {"latency_p95_ms": 5},
        "value": {"false_negative": "-1000 USD", "false_positive": "-50 USD"},
        "budget": {"minutes": 0.7},
    }
)
"""Amounts are assumptions for the story: put your own in a spec."""
