"""The error of a lever that cannot act."""

from __future__ import annotations

from steelyard.errors import SteelyardError


class LeverRefused(SteelyardError):
    """A lever that cannot do what a recipe asks of it; the message is a sentence with the way out.

    Settings that a lever does not have are refused as a learner's are, by
    :func:`steelyard.learners._settings.settings_of`.
    """
