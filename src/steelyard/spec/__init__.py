"""What the user wants: one YAML file, or one Python object, every field with its unit.

``load`` and ``parse`` read YAML; building a :class:`Spec` in Python goes through the same checks. Whatever is wrong is
told at once, each problem with its place, its line and the way out.
"""

from steelyard.spec._edge import EdgePart, RoundTrip
from steelyard.spec._forecast import ALL, ForecastPart
from steelyard.spec._forecast import targets as forecast_targets
from steelyard.spec._load import load, parse
from steelyard.spec._parts import (
    AtLeast,
    AtMost,
    Budget,
    Cash,
    Checks,
    ColumnsPart,
    Compute,
    Cost,
    LearnersPart,
    LeversPart,
    Part,
    PretrainedPart,
    Quality,
    SequencePart,
    Serving,
    ShrinkPart,
    SplitPart,
    Traffic,
    Word,
)
from steelyard.spec._ranges import Spread
from steelyard.spec._reference import json_schema, reference
from steelyard.spec._returns import BoughtLabels, Incumbent, People, Retraining, Returns
from steelyard.spec._returns import amounts as later_amounts
from steelyard.spec._rules import check_task
from steelyard.spec._spec import Spec
from steelyard.spec._unused import unused
from steelyard.spec._value import OUTCOMES, PLAIN, UNITS, Share, Value, Worth, where
from steelyard.spec._yaml import compact

__all__ = [
    "ALL",
    "OUTCOMES",
    "PLAIN",
    "UNITS",
    "AtLeast",
    "AtMost",
    "BoughtLabels",
    "Budget",
    "Cash",
    "Checks",
    "ColumnsPart",
    "Compute",
    "Cost",
    "EdgePart",
    "ForecastPart",
    "Incumbent",
    "LearnersPart",
    "LeversPart",
    "Part",
    "People",
    "PretrainedPart",
    "Quality",
    "Retraining",
    "Returns",
    "RoundTrip",
    "SequencePart",
    "Serving",
    "Share",
    "ShrinkPart",
    "Spec",
    "SplitPart",
    "Spread",
    "Traffic",
    "Value",
    "Word",
    "Worth",
    "check_task",
    "compact",
    "forecast_targets",
    "json_schema",
    "later_amounts",
    "load",
    "parse",
    "reference",
    "unused",
    "where",
]
