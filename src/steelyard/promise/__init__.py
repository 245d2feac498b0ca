"""What may be promised of a cheap model that answers for a dear one: Learn then Test, and the bounds under it.

Used by the lever ``cascade``, whose members are both in one bundle, and by ``steelyard escalate``, whose dear one is
another server or a person. Needs the extra ``train`` (scipy).
"""

from __future__ import annotations

from steelyard.promise.errors_kept import boldest_kept, rows_kept_needed
from steelyard.promise.places import PLACES, boldest, share_of
from steelyard.promise.pvalues import DOUBT, Paired, doubt, units_needed
from steelyard.promise.stake import Stake, at_stake, can_promise, rows_needed

__all__ = [
    "DOUBT",
    "PLACES",
    "Paired",
    "Stake",
    "at_stake",
    "boldest",
    "boldest_kept",
    "can_promise",
    "doubt",
    "rows_kept_needed",
    "rows_needed",
    "share_of",
    "units_needed",
]
