"""What a run knows, folded from its events: trials with their weights, what was decided, what it all took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.contracts import Ending, Trial
from steelyard.decide import Decision
from steelyard.devices.footing import there
from steelyard.money.energy import Metered
from steelyard.recipe import Recipe, from_json
from steelyard.search.codec import figures_from_json, trial_from_json, weight_from_json
from steelyard.search.events import Event
from steelyard.search.final import Shipped, shipped_from_json
from steelyard.search.store import Outcome
from steelyard.units import Estimate, Seconds


@dataclass(slots=True)
class History:
    """The state of a run after some events. Feed it with :meth:`take`; nothing else changes it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of the run: name, when it was created, machine, versions."""
    data: Mapping[str, Any] | None = None
    trials: dict[int, Trial] = field(default_factory=dict)
    open: dict[int, tuple[Recipe, str]] = field(default_factory=dict)
    """Trials that were started and have not ended: recipe and lever."""
    notes: list[str] = field(default_factory=list)
    decision: Decision | None = None
    shipped: Shipped | None = None
    test: Mapping[str, Estimate] | None = None
    compared: Mapping[str, Any] | None = None
    """What deciding again needs: the JSON of :class:`steelyard.search.compared.Compared`."""
    escalated: Mapping[str, Any] | None = None
    test_reads: int = 0
    ending: str = ""
    exit_code: int | None = None
    weigh_seconds: float = 0.0
    final_seconds: float = 0.0
    elapsed: float = 0.0
    metered: Metered = field(default_factory=Metered)
    """What the machine's own counters saw of the run's energy."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """Fold events, oldest first."""
        history = cls()
        for event in events:
            history.take(event)
        return history

    def take(self, event: Event) -> None:
        """Fold one more event."""
        if "joules" in event.facts:
            self.metered = Metered(
                joules=self.metered.joules + event.facts["joules"],
                seconds=self.metered.seconds + max(0.0, event.elapsed - self.elapsed),
                memory=event.facts["joules_of_memory"],
            )
        self.elapsed = max(self.elapsed, event.elapsed)
        _FOLDS[event.kind](self, event.facts)

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return max((*self.trials, *self.open), default=-1) + 1


def base_of(history: History, given: Path | None) -> Path | None:
    """Return where relative paths of a run's spec start: where it is said now, or was when the run began."""
    before = history.facts.get("base")
    return given if given is not None or before is None else Path(before)


def trial_of(number: int, lever: str, outcome: Outcome, protocol: str) -> Trial:
    """Return the trial that an outcome makes."""
    return Trial(
        number=number,
        recipe=outcome.recipe,
        lever=lever,
        ending=outcome.ending,
        note=outcome.note,
        validation=outcome.validation,
        protocol=protocol,
        rounds=outcome.rounds,
        curve=outcome.curve,
        seconds=Seconds(outcome.seconds),
        cpu_seconds=Seconds(outcome.cpu_seconds),
        peak_bytes=outcome.peak_bytes,
        importance=outcome.importance,
        outcomes=outcome.outcomes,
        times=outcome.times,
    )


def lost_trial(number: int, lever: str, recipe: Recipe, ending: Ending, *, note: str, seconds: float) -> Trial:
    """Return the trial of a job that left nothing."""
    return Trial(number=number, recipe=recipe, lever=lever, ending=ending, note=note, seconds=Seconds(seconds))


def _created(history: History, facts: Mapping[str, Any]) -> None:
    history.facts = facts


def _data(history: History, facts: Mapping[str, Any]) -> None:
    history.data = facts


def _started(history: History, facts: Mapping[str, Any]) -> None:
    history.open[facts["number"]] = (from_json(facts["recipe"]), facts["lever"])


def _ended(history: History, facts: Mapping[str, Any]) -> None:
    trial = trial_from_json(facts["trial"])
    if trial.weight is not None:
        trial = replace(trial, weight=there(trial.weight, history.facts))
    history.open.pop(trial.number, None)
    history.trials[trial.number] = trial
    history.notes += [f"Trial {trial.number}: {note}" for note in facts["notes"]]


def _weighed(history: History, facts: Mapping[str, Any]) -> None:
    number = facts["number"]
    if facts["weight"] is not None:
        weight = there(weight_from_json(facts["weight"]), history.facts)
        history.trials[number] = replace(history.trials[number], weight=weight)
    else:
        history.trials[number] = replace(history.trials[number], ending=Ending.FAILED, note=facts["note"])
    history.weigh_seconds += facts["seconds"]


def _note(history: History, facts: Mapping[str, Any]) -> None:
    history.notes.append(facts["sentence"])


def _decided(history: History, facts: Mapping[str, Any]) -> None:
    history.decision = Decision.from_json(facts["decision"])


def _shipped(history: History, facts: Mapping[str, Any]) -> None:
    shipped = shipped_from_json(facts["shipped"])
    history.shipped = replace(shipped, weight=there(shipped.weight, history.facts))
    history.final_seconds += facts["seconds"]
    history.notes += facts["notes"]


def _test_reading(history: History, facts: Mapping[str, Any]) -> None:
    del facts
    history.test_reads += 1  # from here on it may have been read, whatever comes


def _test_read(history: History, facts: Mapping[str, Any]) -> None:
    history.test = figures_from_json(facts["test"])
    history.final_seconds += facts["seconds"]


def _compared(history: History, facts: Mapping[str, Any]) -> None:
    history.compared = facts["compared"]


def _escalated(history: History, facts: Mapping[str, Any]) -> None:
    history.escalated = facts["escalated"]


def _finished(history: History, facts: Mapping[str, Any]) -> None:
    history.ending, history.exit_code = facts["ending"], facts["exit_code"]


def _resumed(history: History, facts: Mapping[str, Any]) -> None:
    del facts
    if history.exit_code is not None:  # it ended before its time and goes on: what it decided is open again
        history.decision, history.shipped, history.test, history.compared = None, None, None, None
        history.escalated = None
    history.ending, history.exit_code = "", None


def _pulled(history: History, facts: Mapping[str, Any]) -> None:
    """Take a lever pulled by hand on a finished run: it goes on, and what it decided stands until it decides again."""
    del facts
    history.ending, history.exit_code = "", None


def _reopened(history: History, facts: Mapping[str, Any]) -> None:
    del facts
    history.shipped, history.test, history.compared = None, None, None


_FOLDS = {
    "created": _created,
    "data": _data,
    "started": _started,
    "ended": _ended,
    "weighed": _weighed,
    "note": _note,
    "decided": _decided,
    "shipped": _shipped,
    "test_reading": _test_reading,
    "test_read": _test_read,
    "compared": _compared,
    "escalated": _escalated,
    "finished": _finished,
    "resumed": _resumed,
    "pulled": _pulled,
    "reopened": _reopened,
}
