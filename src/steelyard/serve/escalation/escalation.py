"""What happens to the rows that a bundle is not sure of: a dearer stage answers them, within time and budget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from steelyard.bundle.scores import sureness
from steelyard.contracts import Answer, Floats, Ints
from steelyard.errors import ServingRefused
from steelyard.serve.endpoint import Answered, Asking, Deployed, Staged
from steelyard.serve.escalation.budget import Allowance
from steelyard.serve.escalation.counts import Counts
from steelyard.serve.escalation.person import PersonStage
from steelyard.serve.escalation.plan import Plan, check_plan, read_plan
from steelyard.serve.escalation.remote import RemoteStage
from steelyard.serve.escalation.stage import Case, LastStage, Outcome, Result
from steelyard.serve.escalation.watch import Watch
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table

Bundle = Callable[[Deployed, Table, Asking], Awaitable[Answer]]
"""Asks the bundle of a version."""


class Escalation:
    """Answers requests of one bundle with the help of a last stage.

    Parameters
    ----------
    plan
        What ``steelyard escalate`` wrote for this bundle.
    last
        Who is asked.
    """

    __slots__ = ("_allowance", "_counts", "_watch", "last", "plan")

    def __init__(self, plan: Plan, last: LastStage, counts: Counts, *, workers: int = 1) -> None:
        self.plan, self.last, self._counts = plan, last, counts
        budget = plan.budget
        self._allowance = Allowance(
            share=budget.share,
            seconds=budget.window_seconds,
            per_hour=None if plan.rows_per_hour is None else plan.rows_per_hour // workers,
        )
        self._watch = Watch(plan.escalated.low, plan.escalated.high)

    async def start(self) -> None:
        """Begin."""
        await self.last.start()

    async def stop(self, grace: float) -> None:
        """End within some seconds."""
        await self.last.stop(grace)

    async def answer(self, deployed: Deployed, table: Table, asking: Asking, bundle: Bundle) -> Answered:
        """Answer rows by the bundle, and those that it is not sure of by the last stage as far as it can.

        Raises
        ------
        Fault, RowsRefused, BundleRefused, ClientLeft
            As the bundle alone does; the last stage never fails a request.
        """
        began, served = time.perf_counter(), deployed.served
        answer = await bundle(deployed, table, asking)
        sure = sureness(self.plan.rule.measure, answer.scores, served.task, answer.amounts)
        unsure = np.flatnonzero(sure < self.plan.rule.at)
        self._counts.rows.add(len(table))
        self._counts.unsure.add(len(unsure))
        if (side := self._watch.saw(len(table), len(unsure))) is not None:
            self._counts.alarms[side].add()
        if not len(unsure):
            return Answered(answer, served, {})
        places = self._granted(sure, unsure, len(table))
        if not len(places):
            return Answered(answer, served, {})
        wait = asking.wait - (time.perf_counter() - began)
        if wait <= 0:
            self._settle(Result.same(Outcome.LATE, len(places)))
            return Answered(answer, served, {})
        some = answer.take(places)
        result = await self.last.ask(Case(served, _taken(table, places), some, asking, wait))
        self._settle(result)
        return _joined(answer, served, places, result)

    def _granted(self, sure: Floats, unsure: Ints, rows: int) -> Ints:
        """Return the places that the budget allows to go on, the least sure ones first where it is short."""
        granted, cause = self._allowance.take(rows, len(unsure))
        if granted == len(unsure):
            return unsure
        self._counts.outcomes[Outcome(cause)].add(len(unsure) - granted)
        return np.sort(unsure[np.argsort(sure[unsure], kind="stable")[:granted]])

    def _settle(self, result: Result) -> None:
        """Count what became of rows, and return to the budget what cost nothing."""
        for outcome, rows in Counter(result.outcomes).items():
            self._counts.outcomes[outcome].add(rows)
        self._counts.spent(result.spent)
        self._allowance.give_back(len(result.outcomes) - result.spent)


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
    joined = Answer(scores, decided, answer.members, answer.amounts)
    return Answered(joined, served, dict.fromkeys(places.tolist(), staged))


class Escalating:
    """Finds, among versions that are opened one after the other, the bundle that a file was calibrated for.

    Whatever name a version has, and however often it is opened: the same bundle escalates, with one budget and one
    count, and no other does.

    Parameters
    ----------
    path
        The file.
    metrics
        Where to count.
    workers
        Processes that share the budget.

    Raises
    ------
    ServingRefused
        If the file cannot be read.
    """

    def __init__(self, path: Path, metrics: Metrics, *, workers: int = 1) -> None:
        self._path, self._metrics, self._workers = path, metrics, workers
        self._digest = read_plan(path).bundle
        self._found: Escalation | None = None

    def of(self, served: Served) -> Escalation | None:
        """Return what escalates for a version; ``None`` for one that it was not calibrated for.

        Raises
        ------
        ServingRefused
            If what the file names cannot be had.
        """
        if served.digest != self._digest:
            return None
        if self._found is None:
            self._found = open_escalation(self._path, served, self._metrics, workers=self._workers)
        return self._found

    def required(self) -> Escalation:
        """Return what escalates.

        Raises
        ------
        ServingRefused
            If none of the versions that were opened is the one that it was calibrated for.
        """
        if self._found is None:
            raise ServingRefused(
                f"{self._path} was calibrated for the bundle {self._digest}, and no version with a role is that one: "
                "give it a role first, or calibrate again with `steelyard escalate`"
            )
        return self._found


def open_escalation(path: Path, served: Served, metrics: Metrics, *, workers: int = 1) -> Escalation:
    """Read the file of an escalation and make ready what it names.

    Parameters
    ----------
    path
        The file.
    served
        The bundle that it is for.
    metrics
        Where to count.
    workers
        Processes that share the budget.

    Raises
    ------
    ServingRefused
        If the file is not for this bundle, or what it names cannot be had.
    MissingExtra
        If another server is to be asked and httpx is not installed.
    """
    plan = read_plan(path)
    check_plan(plan, served, path)
    if plan.rows_per_hour is not None and plan.rows_per_hour < workers:
        raise ServingRefused(
            f"{path}: money_per_hour pays for {plan.rows_per_hour} rows an hour, fewer than there are workers "
            f"({workers}) to share them; start fewer workers or raise it"
        )
    if plan.remote is not None:
        last: LastStage = RemoteStage(plan.remote, served)
    else:
        assert plan.person is not None
        last = PersonStage(plan.person, path.parent, served)
    last.tell(metrics, model=served.name, version=served.version)
    return Escalation(plan, last, Counts(metrics, plan, served.name, served.version), workers=workers)
