"""Advice: where the next dollar goes, what it should bring, and when to stop."""

from steelyard.advise.actions import Action, Kind, Yard, choose, in_order
from steelyard.advise.advice import MINUTES, Advice, MinutesInvalid, advise
from steelyard.advise.curves import Curve, Foretold, Prior, TooFewSizes
from steelyard.advise.words import describe

__all__ = [
    "MINUTES",
    "Action",
    "Advice",
    "Curve",
    "Foretold",
    "Kind",
    "MinutesInvalid",
    "Prior",
    "TooFewSizes",
    "Yard",
    "advise",
    "choose",
    "describe",
    "in_order",
]
