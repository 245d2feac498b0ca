"""Writing the log of predictions beside the answers, and taking labels for it; never in the way of an answer."""

from __future__ import annotations

from steelyard.serve.log.settings import LogSettings, parse_log
from steelyard.serve.log.writer import PredictionLog

__all__ = ["LogSettings", "PredictionLog", "parse_log"]
