"""Levers that join finished bundles by a rule fitted on rows none of them trained on: ``ensemble``, ``threshold``."""
