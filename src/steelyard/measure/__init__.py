"""Measuring what ships: quality with intervals, and what a bundle weighs.

:func:`quality` and :func:`paired` judge answers on labelled rows; :func:`weigh` calls a bundle and watches time and
memory; :mod:`steelyard.measure.resources` tells what a process uses.
"""

from steelyard.measure.answers import AnswerUnfit, check_answer
from steelyard.measure.judging import jointly, paired, quality
from steelyard.measure.outcomes import outcomes
from steelyard.measure.resources import cores, cpu_seconds, peak_rss_bytes, rss_bytes
from steelyard.measure.turns import in_turn
from steelyard.measure.weighing import weigh

__all__ = [
    "AnswerUnfit",
    "check_answer",
    "cores",
    "cpu_seconds",
    "in_turn",
    "jointly",
    "outcomes",
    "paired",
    "peak_rss_bytes",
    "quality",
    "rss_bytes",
    "weigh",
]
