"""What happens to the rows that a bundle is not sure of: a dearer stage answers them, within time and budget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from steelyard.bundle.scores import sureness
from steelyard.contracts import Answer, Floats, Ints
from steelyard.serve.endpoint import Answered, Asking, Deployed, Staged
from steelyard.serve.escalation.budget import Allowance
from steelyard.serve.escalation.person import PersonStage
from steelyard.serve.escalation.plan import Plan, check_plan, money_of, read_plan
from steelyard.serve.escalation.remote import RemoteStage
from steelyard.serve.escalation.stage import Case, LastStage, Outcome, Result
from steelyard.serve.escalation.watch import Watch
from steelyard.serve.model import Served
from steelyard.serve.table import Table


class Escalation:
    """Answers requests of one bundle with the help of a last stage.

    Parameters
    ----------
    plan
        What ``steelyard escalate`` wrote for this bundle.
    last
        Who is asked.
    """

    __slots__ = ("_allowance", "_watch", "counted", "last", "plan", "rows", "spent", "unsure")

    def __init__(self, plan: Plan, last: LastStage) -> None:
        self.plan, self.last = plan, last
        budget = plan.budget
        self._allowance = Allowance(share=budget.share, seconds=budget.window_seconds, per_hour=plan.rows_per_hour)
        self._watch = Watch(plan.escalated.low, plan.escalated.high)
        self.counted: Counter[str] = Counter()
        """Unsure rows by what became of them."""
        self.rows = self.unsure = self.spent = 0

    async def start(self) -> None:
        """Begin."""
        await self.last.start()

    async def stop(self, grace: float) -> None:
        """End within some seconds."""
        await self.last.stop(grace)

    @property
    def money(self) -> Decimal:
        """What was spent so far by this process, in the currency of the price."""
        return money_of(self.spent, self.plan.price)

    async def answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answered:
        """Answer rows by the bundle, and those that it is not sure of by the last stage as far as it can.

        Raises
        ------
        Fault, RowsRefused, BundleRefused, ClientLeft
            As the bundle alone does; the last stage never fails a request.
        """
        began, served = time.perf_counter(), deployed.served
        answer = await deployed.batcher.answer(table, wait=asking.wait, has_left=asking.has_left)
        sure = sureness(self.plan.rule.measure, answer.scores, served.task)
        unsure = np.flatnonzero(sure < self.plan.rule.at)
        self.rows += len(table)
        self.unsure += len(unsure)
        self._watch.saw(len(table), len(unsure))
        if not len(unsure):
            return Answered(answer, served, {})
        places = self._granted(sure, unsure, len(table))
        if not len(places):
            return Answered(answer, served, {})
        wait = asking.wait - (time.perf_counter() - began)
        if wait <= 0:
            self._settle(Result.same(Outcome.LATE, len(places)))
            return Answered(answer, served, {})
        some = Answer(answer.scores[places], answer.decided[places])
        result = await self.last.ask(Case(served, _taken(table, places), some, asking, wait))
        self._settle(result)
        return _joined(answer, served, places, result)

    def _granted(self, sure: Floats, unsure: Ints, rows: int) -> Ints:
        """Return the places that the budget allows to go on, the least sure ones first where it is short."""
        granted, cause = self._allowance.take(rows, len(unsure))
        if granted == len(unsure):
            return unsure
        self.counted[cause] += len(unsure) - granted
        return np.sort(unsure[np.argsort(sure[unsure], kind="stable")[:granted]])

    def _settle(self, result: Result) -> None:
        """Count what became of rows, and return to the budget what cost nothing."""
        self.counted.update(map(str, result.outcomes))
        self.spent += result.spent
        self._allowance.give_back(len(result.outcomes) - result.spent)

    def lines(self, labels: str) -> Iterator[tuple[str, str, str, str]]:
        """Yield the metrics: family, kind, description, and the sample; ``labels`` is like ``model="m"``."""
        around = f"{{{labels}}}"
        name = "steelyard_escalation_rows_total"
        yield name, "counter", "Rows that were looked at for escalation.", f"{name}{around} {self.rows}"
        name = "steelyard_escalation_unsure_rows_total"
        yield name, "counter", "Rows of which the bundle was not sure.", f"{name}{around} {self.unsure}"
        name, about = "steelyard_escalations_total", "Unsure rows by what became of them."
        for outcome in Outcome:
            yield name, "counter", about, f'{name}{{{labels},outcome="{outcome}"}} {self.counted[outcome]}'
        name, about = "steelyard_escalation_money_total", "Money spent on escalated rows."
        currency = self.plan.price.currency
        yield name, "counter", about, f'{name}{{{labels},currency="{currency}"}} {float(self.money):.9g}'
        name, about = "steelyard_escalation_promised_share", "Share of unsure rows that calibration promised, 95%."
        for bound in ("low", "high"):
            promised = getattr(self.plan.escalated, bound)
            yield name, "gauge", about, f'{name}{{{labels},bound="{bound}"}} {promised:.9g}'
        name, about = "steelyard_escalation_alarm", "Whether rows are unsure more, or less, often than promised."
        yield name, "gauge", about, f"{name}{around} {int(self._watch.is_alarmed)}"
        name, about = "steelyard_escalation_alarms_total", "How often evidence against the promised share sufficed."
        for side, count in self._watch.alarms.items():
            yield name, "counter", about, f'{name}{{{labels},side="{side}"}} {count}'
        for name, about, value in self.last.gauges():
            yield name, "gauge", about, f"{name}{around} {value:.9g}"


def _taken(table: Table, places: Ints) -> Table:
    if len(places) == len(table):
        return table
    return Table(table.numbers[places], table.others[places])


def _joined(answer: Answer, served: Served, places: Ints, result: Result) -> Answered:
    """Return what a client is told: the last stage's answers in their places, and who gave them."""
    if result.tickets:
        told = {int(places[row]): Staged("bundle", review=ticket) for row, ticket in result.tickets.items()}
        return Answered(answer, served, told)
    if result.answer is None:
        return Answered(answer, served, {})
    scores, decided = answer.scores.copy(), answer.decided.copy()
    scores[places], decided[places] = result.answer.scores, result.answer.decided
    staged = Staged("remote", version=result.version)
    joined = Answer(scores, decided, answer.members)
    return Answered(joined, served, dict.fromkeys(places.tolist(), staged))


def open_escalation(path: Path, served: Served) -> Escalation:
    """Read the file of an escalation and make ready what it names.

    Raises
    ------
    ServingRefused
        If the file is not for this bundle, or what it names cannot be had.
    MissingExtra
        If another server is to be asked and httpx is not installed.
    """
    plan = read_plan(path)
    check_plan(plan, served, path)
    if plan.remote is not None:
        return Escalation(plan, RemoteStage(plan.remote, served))
    assert plan.person is not None
    return Escalation(plan, PersonStage(plan.person, path.parent, served))


def text_of(several: Sequence[tuple[Escalation, str]]) -> str:
    """Return the metrics of some escalations, each with its labels, in the text format of Prometheus."""
    families: dict[str, list[str]] = {}
    for escalation, labels in several:
        for name, kind, about, sample in escalation.lines(labels):
            families.setdefault(name, [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]).append(sample)
    return "".join(f"{line}\n" for lines in families.values() for line in lines)
