"""What a run has to tell once it is over, or so far: plain records, rebuilt from its events at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.contracts import Schema, Task, Trial, Weight
from steelyard.decide import Decision
from steelyard.devices import Footing
from steelyard.money import Entry, Prices
from steelyard.search.compared import Compared
from steelyard.spec import Spec
from steelyard.units import Estimate, Money, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the whole command took: wall-clock time, money at the prices in force, labels bought."""

    seconds: Seconds
    money: Money
    labels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The bundle that ships, and its figures: of the validation rows it was chosen by, and of the test rows.

    ``bundle`` is ``None`` where what is used today is kept and is no bundle; ``refitted`` tells whether it was trained
    once more on everything but test, with ``rounds`` fixed.
    """

    bundle: Path | None
    refitted: bool
    validation: Mapping[str, Estimate]
    test: Mapping[str, Estimate]
    weight: Weight
    cost_per_million: Estimate
    rounds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run: what was asked, what was found in the data, what was tried, what it cost, what was decided.

    ``findings`` are the JSON of :class:`steelyard.data.Finding`; ``row_counts`` count rows by their role;
    ``machine`` names what was measured on; ``test_reads`` counts how often the test rows were scored.
    """

    name: str
    folder: Path
    created: str
    spec: Spec
    schema: Schema
    task: Task
    fingerprint: str
    row_counts: Mapping[str, int]
    protocol: str
    prices: Prices
    ending: str
    spent: Spent
    findings: tuple[Mapping[str, Any], ...] = ()
    trials: tuple[Trial, ...] = ()
    entries: tuple[Entry, ...] = ()
    decision: Decision | None = None
    final: Final | None = None
    notes: tuple[str, ...] = ()
    test_reads: int = 0
    machine: Mapping[str, str] = field(default_factory=dict)
    compared: Compared | None = None
    footing: Footing | None = None
    escalated: Mapping[str, Any] | None = None
    """What estimates for the spec's device rest on; ``None`` where it names none."""
