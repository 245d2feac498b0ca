"""A whole run: folder, data, workers, loop, decision, final bundle; resumable at any instant."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.contracts import Errand, Job, Trial
from steelyard.data import Dataset, load, store
from steelyard.decide import Decision, check_currencies
from steelyard.devices import Footing
from steelyard.errors import Exit, NothingMeasured, RunUnreadable
from steelyard.measure import cores
from steelyard.money import Prices
from steelyard.money.energy import Rapl
from steelyard.recipe import Given
from steelyard.registry import learners
from steelyard.search.allowance import CLOSING, Allowance
from steelyard.search.comparing import compare
from steelyard.search.events import EventLog
from steelyard.search.executors import Executor, InProcess
from steelyard.search.finish import Gate, Pairs, choose, conclude_run, escalation, expected_of, pairs_of
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.history import History, base_of
from steelyard.search.incumbent import after_asking, facts_of, lodge
from steelyard.search.journal import Journal
from steelyard.search.limits import refuse_empty_budget, refuse_hard_limits, with_default_budget
from steelyard.search.loop import Loop, search_of
from steelyard.search.machine import machine, memory_bytes
from steelyard.search.pretrained import with_checkpoints
from steelyard.search.staff import staff
from steelyard.search.store import Store
from steelyard.search.watching import Silent, Watcher
from steelyard.spec import Spec, check_task, unused
from steelyard.units import Seconds

BRIEF = Seconds(0.1)
"""Time for weighing a bundle where trials share this process: enough for hundreds of calls of a fast one."""
COMPARING, WRITING = 2.0, 2.5
"""Seconds that comparing pairs for other wishes may take, and those that are kept for what comes behind it."""
MEMORY_SHARE = 0.8
"""Share of the machine's memory that all trials together may hold, where the spec does not say."""


def conduct(
    spec: Spec,
    *,
    folder: RunFolder,
    base: Path | None = None,
    watcher: Watcher | None = None,
    in_process: bool = False,
    started: float | None = None,
) -> Exit:
    """Run a spec in a folder, from its beginning or from where an earlier process left off.

    Parameters
    ----------
    spec
        What is wanted.
    folder
        A new run folder, or one whose events are to be continued.
    base
        Where relative data paths start.
    watcher
        Who is told what happens.
    in_process
        Do the trials in this process, one by one: no isolation, no start-up.
    started
        When the command began, on the monotonic clock; now, where it is not given.

    Returns
    -------
    Exit
        How it ended.
    """
    begin = time.monotonic() if started is None else started
    with folder.locked():
        try:
            with contextlib.closing(EventLog(folder.events)) as log:
                journal = Journal(log, Rapl.found() if spec.compute.executor == "local" else None)
                base = base_of(journal.history, base)
                session = Session(
                    spec=spec,
                    folder=folder,
                    base=base,
                    journal=journal,
                    watcher=watcher or Silent(),
                    begin=begin,
                    prices=prices_of(journal.history, spec, base),
                    in_process=in_process,
                )
                return session.conduct()
        except BaseException:
            folder.clear()
            raise


@dataclass(slots=True, kw_only=True)
class Session:
    """One process's turn at a run: opens it, and builds the loop that goes on from its events."""

    spec: Spec
    folder: RunFolder
    base: Path | None
    journal: Journal
    watcher: Watcher
    begin: float
    prices: Prices

    in_process: bool = False

    @property
    def threads(self) -> int:
        """Threads of one trial; in a process that is not ours alone, one."""
        return self.spec.threads or (1 if self.in_process else max(1, cores() // self.spec.workers))

    def conduct(self) -> Exit:
        """Go on to the end, or return how the run ended where it did; leave nothing half-written."""
        history = self.journal.history
        if self.journal.events and self.spec.to_yaml() != self.folder.asked():
            raise RunUnreadable(
                f"the spec is not the one that {self.folder.path} was begun with; start a new run for it with --out"
            )
        if history.exit_code in {Exit.DONE, Exit.NOT_FEASIBLE}:
            return Exit(history.exit_code)
        self.open()
        try:
            with self.executor() as executor:
                return _to_the_end(self.loop(executor))
        finally:  # by now whoever was killed at work is gone
            Store(self.folder.path).sweep()

    def open(self) -> None:
        """Write what is asked; refuse a budget of nothing, or of too little to begin."""
        refuse_empty_budget(self.spec)
        if self.in_process:
            refuse_hard_limits(self.spec)
        check_currencies(self.spec, self.prices)
        if self.journal.events:
            Store(self.folder.path).sweep()
            self.journal.write("resumed", {})
        else:
            footing = footing_asked(self.spec, self.base)
            write_atomically(self.folder.spec, self.spec.to_yaml())
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            name = self.spec.name or self.folder.path.name
            base = None if self.base is None else str(self.base)
            self.journal.write(
                "created",
                {
                    "name": name,
                    "created": stamp,
                    "machine": machine(),
                    "base": base,
                    "prices": self.prices.to_json(),
                    "incumbent": facts_of(self.spec),
                    **({} if footing is None else {"edge": footing.to_json()}),
                },
            )
        self.spec, note = with_default_budget(self.spec)
        if note:
            self.journal.note(note)
        if not self.journal.history.trials:
            self._refuse_too_little()

    def _refuse_too_little(self) -> None:
        """Refuse a budget of time or money that ends before the first trial could begin."""
        least = self._allowance(parts=1, growth=1.0, before=read_clock(self.folder))
        if least.job_seconds((), None) <= 0:
            raise NothingMeasured(
                f"Nothing was measured: the budget is {least.limit():.3g} s of this machine, and starting and closing "
                f"a run take {least.elapsed() + CLOSING:.2g} s. Raise `budget.minutes` (or money)."
            )

    @contextlib.contextmanager
    def executor(self) -> Iterator[Executor]:
        """Start who executes the jobs, and stop it in the end."""
        workers, share = self.spec.workers, self.spec.budget.memory_gb
        memory = int(share * 1e9 if share is not None else memory_bytes() * MEMORY_SHARE / workers)
        executor: Executor = (
            InProcess()
            if self.in_process
            else staff(self.spec.compute, slots=workers, log=self.folder.log, threads=self.threads, memory_bytes=memory)
        )
        try:
            yield executor
        finally:
            executor.close()

    def data(self) -> Dataset:
        """Read, check and split the data, or take it from the folder where an earlier session left it."""
        known = self.journal.history.data
        if known is not None:
            dataset = store.read(self.folder.path)
            if dataset.fingerprint != known["fingerprint"]:
                raise RunUnreadable(f"the data in {self.folder.path} is not what the run began with; start a new run")
            return dataset
        dataset = with_checkpoints(load(self.spec, self.base), self.spec.pretrained, self.base)
        check_task(self.spec, dataset.task)
        store.save(dataset, self.folder.path)
        self.journal.write("data", self._data_facts(dataset))
        return dataset

    def _data_facts(self, dataset: Dataset) -> dict[str, Any]:
        partition = dataset.partition
        roles = {
            "development": partition.development,
            "validation": partition.validation,
            "calibration": partition.calibration,
            "test": partition.test,
        }
        return {
            "fingerprint": dataset.fingerprint,
            "protocol": partition.protocol,
            "row_counts": {
                "all": len(np.unique(dataset.rows.rows)),
                **{role: len(np.unique(dataset.rows.rows[rows])) for role, rows in roles.items()},
            },
            "scored": len(partition.scored),
            "threads": self.threads,
            "cores": self.threads * self.spec.workers,
        }

    def loop(self, executor: Executor) -> Loop:
        """Return the loop, told of every trial so far."""
        before = max(self.journal.history.elapsed, read_clock(self.folder))
        self.watcher.phase("reading the data")
        dataset = self.data()
        executor.load((), self.folder.path)  # the worker reads the data while the search is made
        self.watcher.data(dataset)
        partition = dataset.partition
        fitted = sum(len(p.fit) for p in partition.parts) / len(partition.parts)
        growth = len(partition.development) / max(1.0, fitted)
        allowance = self._allowance(parts=len(partition.parts), growth=growth, before=before, dataset=dataset)
        self.journal.price_by(allowance)
        search, refused = search_of(self.spec, dataset, self.threads, self.prices)
        for sentence in (*unused(self.spec), *refused):
            self.journal.note(sentence)
        executor.load(_modules(search.names))
        store = Store(self.folder.path)
        search.terms = replace(search.terms, guard=Gate(Pairs(dataset, store, {}), self.prices, self.spec))
        given = self._given(dataset, store)
        for _, trial in sorted(self.journal.history.trials.items()):
            search.tell(trial)
        make = _BriefLoop if self.in_process else Loop
        return make(
            spec=self.spec,
            dataset=dataset,
            store=store,
            given=given,
            search=search,
            executor=executor,
            journal=self.journal,
            allowance=allowance,
            watcher=self.watcher,
            threads=self.threads,
        )

    def _given(self, dataset: Dataset, store: Store) -> Given | None:
        """Return what is used today, brought into the store now or by an earlier session."""
        if self.spec.incumbent is None:
            return None
        history = self.journal.history
        recipes = (*(t.recipe for t in history.trials.values()), *(recipe for recipe, _ in history.open.values()))
        known = next((recipe for recipe in recipes if isinstance(recipe, Given)), None)
        return lodge(self.spec, self.base, dataset, store) if known is None else known

    def _allowance(self, *, parts: int, growth: float, before: float, dataset: Dataset | None = None) -> Allowance:
        return Allowance(
            budget=self.spec.budget if dataset is None else after_asking(self.spec, dataset),
            prices=self.prices,
            start=self.begin,
            before=before,
            cores=self.threads * self.spec.workers,
            parts=parts,
            growth=growth,
        )


class _BriefLoop(Loop):
    """A loop whose trials share its process: whoever asked for that waits for it, so bundles are weighed briefly."""

    def job(self, trial: Trial, errand: Errand, seconds: Seconds, *, bundle: str = "") -> Job:
        """Return a job as :class:`Loop` does, with little time for weighing."""
        return super().job(trial, errand, min(seconds, BRIEF) if errand is Errand.WEIGH else seconds, bundle=bundle)


def _to_the_end(loop: Loop) -> Exit:
    decision, why = loop.history.decision, "The decision was made before the run was stopped."
    if decision is None:
        why = loop.run()
    pairs = pairs_of(loop)
    if decision is None:
        decision = _decide(loop, pairs, why)
    return remember(loop, pairs, conclude_run(loop, decision, pairs), why)


def remember(loop: Loop, pairs: Pairs, decision: Decision, why: str) -> Exit:
    """Write what was decided in the end, what other wishes need, and how the run ended."""
    loop.journal.write("decided", {"decision": decision.to_json()})
    _compare(loop, pairs, decision)
    code = Exit.DONE if decision.feasible else Exit.NOT_FEASIBLE
    if loop.journal.interrupted:
        code = Exit.INTERRUPTED
    loop.journal.write("finished", {"ending": why, "exit_code": int(code)})
    return code


def _compare(loop: Loop, pairs: Pairs, decision: Decision) -> None:
    """Compare what the page may want to decide on again, in what time the budget leaves."""
    found = compare(
        [t for _, t in sorted(loop.history.trials.items())],
        loop.dataset,
        pairs,
        spec=loop.spec,
        prices=loop.allowance.prices,
        seconds=0.0 if loop.journal.interrupted else min(COMPARING, loop.allowance.remaining() - WRITING),
        chosen=decision.number,
        expected=expected_of(loop),
    )
    loop.journal.write("compared", {"compared": found.to_json()})
    if loop.spec.edge is not None and loop.spec.edge.device is not None:
        loop.journal.write("escalated", {"escalated": escalation(loop, decision)})


def _decide(loop: Loop, pairs: Pairs, why: str) -> Decision:
    loop.watcher.phase("deciding")
    try:
        decision = choose(loop, pairs)
    except NothingMeasured:
        if loop.journal.interrupted:
            raise KeyboardInterrupt from None
        loop.journal.write("finished", {"ending": why, "exit_code": int(Exit.NOTHING_MEASURED)})
        raise
    loop.journal.write("decided", {"decision": decision.to_json()})
    return decision


def _modules(names: Iterable[str]) -> tuple[str, ...]:
    """Return what the learners of these names need loaded: their own modules, and what they name themselves."""
    made = [learners().get(name) for name in names]
    return tuple(dict.fromkeys(m for one in made for m in (type(one).__module__, *getattr(one, "modules", ()))))


def prices_of(history: History, spec: Spec, base: Path | None) -> Prices:
    """Return the prices in force when the run was begun: read now, or as its first event has them."""
    kept = history.facts.get("prices")
    return prices_asked(spec, base) if kept is None else Prices.from_json(kept)


def prices_asked(spec: Spec, base: Path | None) -> Prices:
    """Return the prices that a spec asks for: the package's, under those of its own file."""
    return Prices.load(_beside(spec.prices, base))


def footing_asked(spec: Spec, base: Path | None, *, timed: bool = True) -> Footing | None:
    """Return what estimates for the spec's device rest on; ``None`` where it names no device."""
    edge = spec.edge
    if edge is None or edge.device is None:
        return None
    return Footing.of(edge.device, _beside(edge.devices, base), timed=timed)


def read_clock(folder: RunFolder) -> float:
    """Return the time that earlier sessions spent, as the last of them left it; 0 where there was none."""
    try:
        return float(folder.clock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def _beside(path: Path | None, base: Path | None) -> Path | None:
    return path if path is None or path.is_absolute() or base is None else base / path
