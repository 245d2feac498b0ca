"""Answers from beyond the bundle: unsure rows go to another server, or wait for a person.

``steelyard escalate`` calibrates from which sureness on the bundle answers alone and writes a :class:`Plan`;
``steelyard serve --escalate`` reads it (:func:`open_escalation`).
"""

from __future__ import annotations

from steelyard.serve.escalation.escalation import Escalating, Escalation, open_escalation
from steelyard.serve.escalation.plan import Plan, read_plan

__all__ = ["Escalating", "Escalation", "Plan", "open_escalation", "read_plan"]
