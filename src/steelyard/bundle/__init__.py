"""The shipped artefact and the only code that runs one.

A bundle is a folder: ONNX graphs that lead from named columns to scores, the front ends' files, a manifest with the
digest of every file, and a card. It holds no pickle and needs numpy, ONNX Runtime, Pillow and pydantic alone.

:func:`write` makes one of an :class:`~steelyard.contracts.Artefact`, or of several bundles and a rule;
:func:`load` verifies and opens it; :class:`Bundle` answers rows.
"""

from __future__ import annotations

from steelyard.bundle.disk import sweep
from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.load import Bundle, load
from steelyard.bundle.manifest import PROTOCOL, Manifest
from steelyard.bundle.rules import RULES, answer_of, apply_rule, check_rule
from steelyard.bundle.write import About, Joined, write

__all__ = [
    "FRONT_ENDS",
    "PROTOCOL",
    "RULES",
    "About",
    "Bundle",
    "Joined",
    "Manifest",
    "answer_of",
    "apply_rule",
    "check_rule",
    "load",
    "sweep",
    "write",
]
