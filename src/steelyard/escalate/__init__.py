"""Calibrates which rows a served bundle passes on, to a dearer server or to a person, and what that costs and saves.

:func:`escalate` measures both on labelled rows and returns the :class:`steelyard.serve.escalation.Plan` that
``steelyard serve --escalate`` keeps to. Needs the extra ``train`` (scipy), and to ask a server the extra ``client``.
"""

from __future__ import annotations

from steelyard.escalate.asked import Asked
from steelyard.escalate.calibrate import Calibrated, against_another, for_persons
from steelyard.escalate.command import escalate
from steelyard.escalate.words import describe

__all__ = ["Asked", "Calibrated", "against_another", "describe", "escalate", "for_persons"]
