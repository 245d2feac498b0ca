"""Levers: what makes a model better or cheaper, one a file, by the stage of a model's life at which it acts.

========== ==================== =============================================================
stage      folder               what is changed
========== ==================== =============================================================
data       ``data/``            the rows that train
training   ``training/``        the plan of a training
shrinking  ``shrinking/``       a finished graph
combining  ``combining/``       the rule that turns the answers of finished bundles into one
========== ==================== =============================================================

A lever comes in through the entry points ``steelyard.levers`` and is found by
:func:`steelyard.registry.levers`; the suite :func:`steelyard.testing.check_lever` tells whether it keeps its
contract. What levers share stands here: their ranking of trials, their assumed priors, and their refusal.
"""

from __future__ import annotations

from steelyard.levers.refusal import LeverRefused

__all__ = ["LeverRefused"]
