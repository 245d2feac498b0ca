"""Levers that change the plan of a training: ``tune``; and the hurdles by which a trial that falls behind stops."""

from __future__ import annotations

from steelyard.levers.training.hurdles import hurdles

__all__ = ["hurdles"]
