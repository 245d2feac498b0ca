"""Decide: which candidate ships, whether it meets the targets, and why, in sentences."""

from steelyard.decide.candidates import Candidate, candidate, check_currencies, frontier
from steelyard.decide.choice import decide, guarded
from steelyard.decide.comparison import Paired
from steelyard.decide.confirm import confirm
from steelyard.decide.decision import Decision, TargetCheck
from steelyard.decide.serving import serving_cost
from steelyard.decide.shrunken import Shrunken
from steelyard.decide.sureness import Regret, Relaxation, Right

__all__ = [
    "Candidate",
    "Decision",
    "Paired",
    "Regret",
    "Relaxation",
    "Right",
    "Shrunken",
    "TargetCheck",
    "candidate",
    "check_currencies",
    "confirm",
    "decide",
    "frontier",
    "guarded",
    "serving_cost",
]
