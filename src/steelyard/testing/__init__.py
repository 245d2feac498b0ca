"""Suites that tell whether what you wrote keeps its contract: learners, levers, bundles, executors.

Each check is a function with a claim, named for it; it raises ``AssertionError`` with a sentence where the claim
does not hold. No test runner is needed::

    from steelyard.testing import check_learner

    check_learner(MyLearner())
"""

from __future__ import annotations

from steelyard.testing.bundles import check_bundle
from steelyard.testing.executors import check_executor
from steelyard.testing.learners import check_learner
from steelyard.testing.levers import check_lever

__all__ = ["check_bundle", "check_executor", "check_learner", "check_lever"]
