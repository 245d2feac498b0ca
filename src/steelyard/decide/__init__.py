"""Decide: which candidate ships, whether it meets the targets, and why, in sentences."""

from steelyard.decide.decision import Decision, TargetCheck

__all__ = ["Decision", "TargetCheck"]
