"""The next dollar: everything that may still be done for a run, what each should bring and cost, and the one to do."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.advise.actions import Action, Yard, choose, in_order, stop_sentence
from steelyard.advise.beyond import clean_action, column_action, latency_action, people_action
from steelyard.advise.curves import Curve, TooFewSizes
from steelyard.advise.labels import label_action
from steelyard.advise.more_compute import accelerator_action, history, search_action
from steelyard.advise.pulls import pulls
from steelyard.advise.rounds import Explorer, Found
from steelyard.advise.subsets import Site
from steelyard.contracts import Answer, Learner, Trial, known
from steelyard.data import Dataset
from steelyard.decide import check_currencies, serving_cost
from steelyard.errors import Exit, RunLocked, RunUnreadable, RunUnwritable, SteelyardError
from steelyard.levers.ranking import aim_of, ranked
from steelyard.money import Price, Prices, PricesInvalid
from steelyard.recipe import Recipe, Train, describe, digest, trainings
from steelyard.registry import learners
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.loop import SECONDS_A_MONTH, context_of, search_of
from steelyard.search.moves import Search
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.search.scale import Scale, is_constant
from steelyard.search.store import Store
from steelyard.tasks import metric

FILE = "advice.json"
MINUTES = 1.0
"""What advice may spend on measuring where nobody says otherwise."""
ONE_PASS = 2.9
"""Trainings on all rows that the rounds of rows come to together, the shares of all rounds added up with some room."""
ABOUT = (0.5, 2.0, 4.0)
"""Multiples of the present rows that the curve is drawn at."""


class MinutesInvalid(SteelyardError):
    """A time for measuring that is no number of 0 or more."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What may be done next for a run, best first.

    ``next`` is the place of the one thing to do, or ``None``; then ``stop`` says why. ``curve`` holds the learning
    curve as plain JSON, ``None`` where too little is known for one. ``seconds`` is what this call spent on measuring,
    ``money`` what that came to, in ``currency``.
    """

    currency: str
    priced: bool
    actions: tuple[Action, ...]
    next: int | None
    stop: str | None
    curve: dict[str, Any] | None
    seconds: float
    money: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: the block ``advice`` of the report, with what this call spent."""
        return {
            "currency": self.currency,
            "priced": self.priced,
            "actions": [action.to_json() for action in self.actions],
            "next": self.next,
            "stop": self.stop,
            "curve": self.curve,
            "spent": {"seconds": self.seconds, "money": self.money},
            "notes": list(self.notes),
        }


def _accelerator(prices: Prices) -> Price | None:
    """Return the price of an hour of the cheapest machine with an accelerator; none where no rate leads to it."""
    try:
        hours = [machine.on_demand for machine in prices.machines() if machine.accelerators]
    except PricesInvalid:
        return None
    return min(hours, key=lambda hour: hour.amount.amount, default=None)


def advise(folder: Path | str, *, minutes: float = MINUTES, prices: Path | None = None) -> Advice:
    """Say where the next dollar goes.

    Reads the run, measures for at most so long, and leaves ``advice.json`` beside it; the run's own events are not
    touched, and a run that another process is writing is not kept from its cores.

    Parameters
    ----------
    folder : path
        Of a run, finished or not.
    minutes : float
        Wall-clock time that measuring may take, above 0; 0: only what is known already.
    prices : path, optional
        A file of prices over those that were in force when it was run, for instance with that of a label.

    Raises
    ------
    RunUnreadable
        If there is no run in the folder, or it did not come as far as its data.
    MinutesInvalid
        If ``minutes`` is negative or no number.
    PricesInvalid, SpecInvalid
        If the prices cannot be used, or are in another currency than the spec's amounts.
    RunUnwritable
        If ``advice.json`` cannot be written.
    """
    if not (math.isfinite(minutes) and minutes >= 0):
        raise MinutesInvalid(f"minutes must be a number of 0 or more; got {minutes:g}; 0 measures nothing")
    place = RunFolder.existing(Path(folder))
    record = recount(place)
    advisor = Advisor(place, record, record.prices if prices is None else Prices.load(prices), minutes)
    check_currencies(record.spec, advisor.prices)
    made, kept = advisor.advice()
    facts = {"fingerprint": record.fingerprint, "trials": len(record.trials), "measured": kept}
    text = json.dumps({**made.to_json(), **facts}, indent=1, ensure_ascii=False) + "\n"
    write_atomically(place.path / FILE, text, way_out="make the folder writable, or copy the run to one that is")
    return made


@dataclass(frozen=True)
class Advisor:
    """Advice on one run, made from its record."""

    folder: RunFolder
    record: RunRecord
    prices: Prices
    minutes: float

    def advice(self) -> tuple[Advice, dict[str, Any]]:
        """Return the advice, and what was measured for it as JSON for the next call."""
        record, trials = self.record, tuple(self.record.trials)
        if not known(trials):
            return self._nothing(), {}
        subject = self._subject()
        dataset = Store(self.folder.path).dataset()
        search, _ = search_of(record.spec, dataset, self._threads, self.prices)
        if record.decision is not None:
            judged = {found.number: found for found in record.decision.shrunk}
            search.terms = replace(search.terms, guard=lambda _: judged)
        for trial in trials:
            search.tell(trial)
        scale = Scale.of(context_of(record.spec, dataset, self._threads), trials)
        yard = self._yard(search, scale)
        notes: list[str] = []
        found, kept = self._measured(dataset, subject, notes)
        curve, columns = (_curve(points, scale.one, notes, what) for points, what in _lines(found))
        moves = pulls(search.rank(), yard, lambda recipe: self._serving(recipe, yard))
        names = [learners().get(name) for name in search.names]
        machine = self._more_compute(scale.one, yard, names)
        people = self._more_of_people(dataset, yard, curve, columns, found)
        beside = () if subject is None else self._beside_the_chosen(dataset, yard)
        offers = (*moves, *machine, *people, *beside)
        actions = in_order((a for a in offers if math.isfinite(a.gain.value)), yard)
        chosen = choose(actions, yard)
        seconds = 0.0 if found is None else found.seconds
        made = Advice(
            currency=self.prices.currency,
            priced=yard.priced,
            actions=actions,
            next=chosen,
            stop=stop_sentence(actions, yard) if chosen is None else None,
            curve=self._drawn(curve, found, subject) if curve and found and subject else None,
            seconds=seconds,
            money=yard.worth.price(seconds).value,
            notes=tuple(dict.fromkeys((*notes, *(() if found is None else found.notes)))),
        )
        return made, kept

    @property
    def _threads(self) -> int:
        return self.record.spec.threads or 1

    def _nothing(self) -> Advice:
        return Advice(
            currency=self.prices.currency,
            priced=False,
            actions=(),
            next=None,
            stop=f"Nothing was measured yet, so there is nothing to go by: `steelyard run --resume {self.folder.path}` "
            "goes on, or start a run with a larger budget.",
            curve=None,
            seconds=0.0,
            money=0.0,
        )

    def _yard(self, search: Search, scale: Scale) -> Yard:
        spec, task = self.record.spec, self.record.task
        aim, traffic = metric(task.aim), spec.serving.traffic
        rate = 0.0 if traffic is None else traffic.mean_rps
        decisions = rate * SECONDS_A_MONTH * spec.horizon_months or None
        shown = f"{self.prices.currency} per 1,000 decisions" if aim.name == "value" else aim.name
        return Yard(worth=search.terms.worth, aim=shown, way=scale.one - scale.zero, decisions=decisions)

    def _subject(self) -> Trial | None:
        """Return the trial of the training that more labels would be for: the best of those that ship."""
        best = [t for t in ranked(self.record.trials, self.record.task) if not is_constant(t)]
        decision = self.record.decision
        by_number = {t.number: t for t in self.record.trials}
        if decision is not None and decision.number in by_number:
            inside = trainings(by_number[decision.number].recipe)
            mine = [t for t in best if t.recipe in inside]
            best = mine or best
        return next((t for t in best if isinstance(t.recipe, Train)), best[0] if best else None)

    def _measured(
        self, dataset: Dataset, subject: Trial | None, notes: list[str]
    ) -> tuple[Found | None, dict[str, Any]]:
        """Return the points of the curves: what the run knows, what earlier calls measured, what this one does."""
        if subject is None or not isinstance(subject.recipe, Train):
            return None, {}
        full = self._answer(subject, notes)
        if full is None:
            return None, {}
        parts, minutes = len(dataset.partition.parts), self._free_minutes(notes)
        before = self._before(subject, dataset)
        affordable = int(parts * 60 * minutes / max(1e-9, ONE_PASS * float(subject.seconds)))
        if before:
            parts = before["parts"]
        elif minutes > 0:
            parts = max(1, min(parts, affordable))
        explorer = Explorer(
            site=Site(dataset, self.folder.path, self._threads),
            recipe=subject.recipe,
            full=full,
            whole=float(subject.seconds) * parts / len(dataset.partition.parts),
            parts=parts,
            minutes=minutes,
        )
        found = explorer.known(self.record.trials)
        found.take(before)
        if minutes > 0:
            explorer.explore(found)
        return found, {"recipe": digest(subject.recipe), "parts": parts, **found.to_json()}

    def _free_minutes(self, notes: list[str]) -> float:
        """Return the time for measuring: none while another process writes the run."""
        try:
            with self.folder.locked():
                return self.minutes
        except RunLocked:
            notes.append("Another process is writing this run, so nothing was measured beside it.")
            return 0.0
        except RunUnwritable:
            return self.minutes  # said once more, and better, where the advice is to be written

    def _before(self, subject: Trial, dataset: Dataset) -> dict[str, Any]:
        """Return what an earlier call measured of the same training on the same data; nothing where there is none."""
        try:
            kept = json.loads((self.folder.path / FILE).read_bytes())
            measured = kept["measured"]
            same = kept["fingerprint"] == dataset.fingerprint and measured["recipe"] == digest(subject.recipe)
            Found().take(measured)  # what was damaged is measured anew
            return {**measured, "parts": int(measured["parts"])} if same else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _answer(self, trial: Trial, notes: list[str]) -> Answer | None:
        try:
            return Store(self.folder.path).answers(trial.recipe)
        except RunUnreadable as problem:
            notes.append(f"Trial {trial.number} cannot be looked at again: {problem}.")
            return None

    def _serving(self, recipe: Recipe, yard: Yard) -> float | None:
        """Return what serving a measured recipe costs over the horizon; ``None`` where that is not known."""
        trial = next((t for t in known(self.record.trials) if t.recipe == recipe and t.weight is not None), None)
        if trial is None or trial.weight is None or yard.decisions is None:
            return None
        cost = serving_cost(trial.weight, self.prices, self.record.spec, recipe, self.record.schema)
        return cost.value * yard.decisions / 1e6

    def _more_compute(self, top: float, yard: Yard, willing: Sequence[Learner]) -> Iterator[Action]:
        spent = history(self.record.trials, self.record.task)
        made = search_action(spent, top, yard), accelerator_action(spent, top, yard, willing, _accelerator(self.prices))
        yield from (action for action in made if action is not None)

    def _more_of_people(
        self, dataset: Dataset, yard: Yard, curve: Curve | None, columns: Curve | None, found: Found | None
    ) -> Iterator[Action]:
        label = self.prices.label
        if curve is not None:
            yield label_action(curve, len(dataset.partition.development), yard, label)
            rate = 0.0 if found is None else found.doubted or 0.0
            cleaned = clean_action(dataset, curve, rate, yard, label)
            if cleaned is not None:
                yield cleaned
        if columns is not None:
            yield column_action(columns, int(columns.most), yard)

    def _beside_the_chosen(self, dataset: Dataset, yard: Yard) -> Iterator[Action]:
        """Yield what is judged by the answers of the chosen model: people for the hardest rows, a later deadline."""
        decision, trials = self.record.decision, known(self.record.trials)
        best = ranked(trials, self.record.task)
        number = best[0].number if decision is None else decision.number
        chosen = next(t for t in trials if t.number == number)
        with contextlib.suppress(RunUnreadable):  # the notes say it of the training; a combination may be gone alone
            answer = Store(self.folder.path).answers(chosen.recipe)
            asked = people_action(dataset, answer, yard, self.prices.label)
            if asked is not None:
                yield asked
            ahead = [t for t in best if aim_of(t, self.record.task) > aim_of(chosen, self.record.task)]
            answers = {t.number: Store(self.folder.path).answers(t.recipe) for t in ahead}
            later = latency_action(
                trials, number, answer, answers, dataset=dataset, spec=self.record.spec, prices=self.prices, yard=yard
            )
            if later is not None:
                yield later

    def _drawn(self, curve: Curve, found: Found, subject: Trial) -> dict[str, Any]:
        """Return the curve as plain JSON, in the metric's own direction."""
        aim = metric(self.record.task.aim)
        sign = aim.higher_is_better(1.0)
        ahead = []
        for times in ABOUT:
            told = curve.at(times * curve.most, noise=False)
            ends = sorted(sign * end for end in told.interval(0.95))
            rows = round(times * curve.most)
            ahead.append({"rows": rows, "value": sign * told.value, "low": ends[0], "high": ends[1]})
        points = [{"rows": p.rows, "score": sign * p.score, "deal": p.deal} for p in found.rows]
        return {
            "metric": aim.name,
            "recipe": describe(subject.recipe),
            "points": sorted(points, key=lambda p: (p["rows"], p["deal"])),
            "families": {name: round(weight, 4) for name, weight in curve.families.items()},
            "width": curve.width,
            "ahead": ahead,
        }


def _lines(found: Found | None) -> tuple[tuple[list[Any], str], ...]:
    return ((found.rows if found else [], "labels"), (found.columns if found else [], "columns"))


def _curve(points: list[Any], top: float, notes: list[str], what: str) -> Curve | None:
    try:
        return Curve.of([p.rows for p in points], [p.score for p in points], top=top)
    except TooFewSizes as problem:
        notes.append(f"What more {what} would bring is not known: {problem}.")
        return None
