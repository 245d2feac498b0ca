"""Writes what happens as events, and keeps the state that they fold to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from steelyard.money.energy import Rapl, hourly
from steelyard.search.allowance import Allowance
from steelyard.search.events import Event, EventLog
from steelyard.search.history import History
from steelyard.units import Money, Seconds


class Journal:
    """One writer of one run's events. An event counts once it is on disk."""

    def __init__(self, log: EventLog, meter: Rapl | None = None) -> None:
        self._log = log
        self._meter = meter
        self._allowance: Allowance | None = None
        self.history = History.of(log.events)
        self.interrupted = False

    @property
    def events(self) -> list[Event]:
        """Every event so far."""
        return self._log.events

    def price_by(self, allowance: Allowance) -> None:
        """Take the clock and the prices that later events are stamped by."""
        self._allowance = allowance

    def write(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Write one event and fold it; where the machine counts its energy, with the joules since the last one."""
        elapsed = self.history.elapsed if self._allowance is None else float(self._allowance.elapsed())
        if self._meter is not None:
            facts = {**facts, "joules": self._meter.sample(), "joules_of_memory": self._meter.memory}
        self.history.take(self._log.append(kind, elapsed, facts))

    def note(self, sentence: str) -> None:
        """Write a sentence that the user should know, once."""
        if sentence not in self.history.notes:
            self.write("note", {"sentence": sentence})

    def money(self, elapsed: Seconds) -> Money:
        """Return what holding the run's cores for a while costs."""
        assert self._allowance is not None, "prices come with the allowance"
        hour = hourly(self._allowance.prices, self._allowance.cores)
        return Money(hour.amount * Decimal(repr(float(elapsed))) / 3600, hour.currency)
