"""Local processes: one worker with the heavy modules and the data loaded, each job in a child forked from it."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from steelyard.contracts import Job
from steelyard.search import start
from steelyard.search.codec import job_to_json
from steelyard.search.errands import FOREVER, Errand, how_it_ended, why
from steelyard.search.executors import News, Report
from steelyard.search.signals import unbroken
from steelyard.search.wire import Receiver, Sender, line
from steelyard.units import Seconds

GRACE = 2.0
"""Seconds beyond its time after which a job is given up although its worker, which ends it sooner, has said nothing."""
CLOSING = 1.0
"""Seconds that a worker may take to end what still runs."""
SILENCE = 30.0
"""Seconds without an answer after which a worker is lost, and after which a stopped job is ended."""
OCCUPIED = 10.0
"""Times :data:`SILENCE` that a worker may take to import modules or to read the data."""
LOOK = 0.1
"""Seconds between two looks at deadlines."""
BEAT = 1.0
"""Seconds between two pings."""


@dataclass(slots=True)
class _Worker:
    """The worker process, and whether it answers."""

    process: subprocess.Popen[bytes]
    orders: Sender
    words: Receiver
    ready: bool = False
    occupied: bool = True
    asked: float = -FOREVER
    """When the last ping was sent."""
    answered: bool = True
    fault: str = ""
    """Why it was killed, where it was."""


class LocalPool:
    """An executor of ``slots`` processes on this machine.

    Parameters
    ----------
    slots
        Jobs at the same time.
    log
        File that takes what jobs print.
    threads
        Threads of a job's numerical libraries.
    memory_bytes
        Memory of one job, above which it is ended.
    modules
        What jobs may need whose learner is registered by no package.
    silence
        Seconds after which a worker that does not answer is replaced, and a job that was stopped is ended.
    """

    isolates = True

    def __init__(
        self,
        slots: int,
        *,
        log: Path,
        threads: int,
        memory_bytes: int,
        modules: tuple[str, ...] = (),
        silence: float = SILENCE,
    ) -> None:
        self.slots = slots
        self._limits = {"memory": memory_bytes, "silence": silence}
        self._silence = silence
        self._modules = modules
        self._log = log
        self._threads = threads
        self._tickets = count(1)
        self._errands: dict[int, Errand] = {}
        self._early = News()
        self._worker: _Worker | None = self._start()

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        return bool(self._errands or self._early.finished)

    def submit(self, job: Job) -> None:
        """Hand a job to the worker."""
        if any(errand.job.number == job.number for errand in self._errands.values()):
            return
        assert len(self._errands) < self.slots, "at most `slots` jobs may be under way"
        with unbroken():
            self._send(Errand(job=job, ticket=next(self._tickets), began=time.monotonic()))

    def load(self, modules: tuple[str, ...], store: Path | None = None) -> None:
        """Tell the worker which modules register learners of this run; have it read the data now."""
        self._modules = tuple(dict.fromkeys((*self._modules, *modules)))
        self._order(load=modules)
        if store is not None:
            self._order(read=str(store))

    def wait(self, seconds: Seconds) -> News:
        """Return what happened, looking meanwhile whether the worker still answers."""
        (news, self._early), end = (self._early, News()), time.monotonic() + seconds
        while True:
            self._listen(0.0 if news else min(end - time.monotonic(), LOOK), news)
            with unbroken():
                self._police(news)
            if news or time.monotonic() >= end:
                return news

    def cancel(self) -> None:
        """Have the children at work ended; the worker lives on, and what it has not begun is not waited for."""
        with unbroken():
            for errand in list(self._errands.values()):
                self._order(kill=errand.ticket, cause="cancelled")
                if errand.pid is None:
                    self._settle(errand, "cancelled", why("cancelled", 0, self._log), self._early)

    def close(self) -> None:
        """End the worker, and with it every child."""
        worker, self._worker = self._worker, None
        if worker is not None:
            if self._errands:  # closing its orders has it end the children with all that they started
                worker.process.stdin.close()  # type: ignore[union-attr] # asked for a pipe
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(CLOSING)
            start.bury(worker.process)
        self._errands.clear()
        self._early = News()

    # ------------------------------------------------------------------------------------ the worker

    def _start(self) -> _Worker:
        process = start.worker(self._threads, self._log)
        assert process.stdin is not None, "asked for a pipe"
        assert process.stdout is not None, "asked for a pipe"
        made = _Worker(process, Sender(process.stdin.fileno()), Receiver(process.stdout.fileno()))
        made.orders.send(line({**self._limits, "log": str(self._log)}))
        made.orders.send(line({"load": self._modules}))
        return made

    def _send(self, errand: Errand) -> None:
        self._errands[errand.ticket] = errand
        if self._worker is None:  # the last one did not even load
            self._worker = self._start()
        self._order(ticket=errand.ticket, began=errand.began, until=errand.until, job=job_to_json(errand.job))

    def _order(self, **facts: object) -> None:
        if self._worker is not None:
            self._worker.orders.send(line(facts))

    def _listen(self, seconds: float, news: News) -> None:
        if (worker := self._worker) is None:  # nothing is under way either
            time.sleep(max(0.0, seconds))
            return
        waiting = [worker.orders.handle] if worker.orders.backlog else []
        select.select([worker.words.handle], waiting, [], max(0.0, seconds))
        with unbroken():
            worker.orders.push()
            self._hear(worker, news)

    def _hear(self, worker: _Worker, news: News) -> None:
        for said in worker.words.lines():
            self._take(worker, json.loads(said), news)
        if worker.words.ended:
            self._replace(worker, news)

    def _take(self, worker: _Worker, said: dict[str, Any], news: News) -> None:
        match said:
            case {"occupied": bool(occupied)}:
                worker.occupied, worker.ready = occupied, worker.ready or not occupied
                worker.answered = True
            case {"pong": _}:
                worker.answered = True
            case {"ticket": int(ticket)} if ticket in self._errands:  # one that was settled is told no second time
                self._told(self._errands[ticket], said, news)

    def _told(self, errand: Errand, said: dict[str, Any], news: News) -> None:
        match said:
            case {"pid": pid}:
                errand.pid = pid
            case {"step": step, "value": value}:
                news.reports.append(Report(errand.job.number, step, value))
            case {"step": step, "loss": loss}:
                news.losses.append(Report(errand.job.number, step, loss))
            case {"left": left}:
                errand.left = left
            case {"problem": sentence, "exit_code": code}:
                errand.refusal = (sentence, code)
            case {"exit": code, "cause": cause}:
                cause = cause or ("memory" if code == -signal.SIGKILL else "died")
                self._settle(errand, cause, why(cause, code, self._log), news)

    def _settle(self, errand: Errand, cause: str, problem: str, news: News) -> None:
        del self._errands[errand.ticket]
        news.finished.append(errand.finished(cause, problem))

    def _replace(self, worker: _Worker, news: News) -> None:
        """Give up a worker that ended: what it had begun is lost, what it had not is handed to the next, once."""
        code = start.bury(worker.process)
        fault = worker.fault or f"ended ({how_it_ended(code)})"
        self._worker = self._start() if worker.ready else None
        now = time.monotonic()
        for errand in list(self._errands.values()):
            if errand.settled or now > errand.until:
                self._settle(errand, "late", why("late", 0, self._log), news)
            elif errand.pid is None and not errand.again:
                errand.again = True
                self._send(errand)
            else:
                self._settle(errand, "lost", f"its worker {fault}; {self._log} has what it printed", news)

    def _police(self, news: News) -> None:
        """Give up what is overdue; ask the worker whether it is there, and end one that does not answer."""
        now, worker = time.monotonic(), self._worker
        if worker is None or not self._errands:
            return
        overdue = [errand for errand in self._errands.values() if now > errand.until + GRACE]
        if worker.occupied:  # it is about to hear that the job is not wanted any more
            for errand in overdue:
                self._order(kill=errand.ticket, cause="late")
                self._settle(errand, "late", why("late", 0, self._log), news)
        patience = self._silence * (OCCUPIED if worker.occupied else 1.0)
        if (overdue and not worker.occupied) or (not worker.answered and now - worker.asked > patience):
            worker.fault = "was ended: it did not answer"
            worker.process.kill()
            worker.process.wait()  # what it still said counts
            self._hear(worker, news)
        elif worker.answered and now - worker.asked > BEAT:
            worker.asked, worker.answered = now, False
            self._order(ping=True)
