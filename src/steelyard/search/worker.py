"""The worker of a pool: loads what trainings need and the data once, then forks a child for each job.

Started by :mod:`steelyard.search.pool` as ``python -m steelyard.search.worker``. Orders come in as JSON lines on
standard input, what happens goes out as JSON lines on standard output. A crash, a kill or a leak ends with the child
it happened in, and the next one starts from the same clean, loaded process. The worker itself only listens: it ends
children that overrun their time or their memory, or that someone stopped, and always answers a ping, so that a worker
at work can be told from one that is lost.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from steelyard.errors import SteelyardError
from steelyard.search.child import Child, bear, die_with
from steelyard.search.wire import Receiver, Sender, line

ALWAYS = ("numpy", "onnxruntime", "polars", "scipy.special", "steelyard.search.execute")
GRACE = 0.5
"""Seconds that a job may run beyond its time before it is killed: it stops by itself where it can."""
LOOK = 0.1
"""Seconds between two looks at the children."""
MOST_BACKLOG = 1 << 20
"""Bytes waiting for a slow reader above which children are made to wait as well."""


def main() -> None:
    """Serve orders until standard input ends: ``worker PARENT``, the number of the process that gives them."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started it may have been holding signals back
    die_with(int(sys.argv[1]))  # nobody writes a run after the process that holds its lock
    os.setsid()  # Ctrl-C is for the process that decides, not for its workers
    orders, out = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a job must not read its worker's orders,
    os.dup2(2, 1)  # nor may what libraries print get among its answers
    worker = Worker(orders=orders, out=out)
    worker.load(ALWAYS)
    worker.serve()


class Worker:
    """Forks a child for each job, watches over the children, and tells what they say.

    Modules are imported when a job first needs them, here and not in its child, so that every later child has them;
    until then they cost nothing.
    """

    def __init__(self, *, orders: int, out: int) -> None:
        self._orders, self._out = Receiver(orders), Sender(out)
        self._memory, self._silence = sys.maxsize, math.inf
        self._unregistered: list[str] = []
        self._children: dict[int, Child] = {}
        self._bell = _rung_by_children()

    def load(self, modules: Iterable[str]) -> None:
        """Import modules; what is missing is said by the trial that needs it."""
        with self._occupied():
            for module in modules:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)

    def read(self, store: str) -> None:
        """Read the data of a store; every child shares the pages."""
        with self._occupied(), contextlib.suppress(SteelyardError):  # said by the job that needs it
            importlib.import_module("steelyard.search.store").Store(Path(store)).dataset()

    def prepare(self, job: Mapping[str, Any]) -> None:
        """Have what a job needs ready before its child is forked: the data, and its learners with their modules."""
        self.read(job["store"])
        recipe = importlib.import_module("steelyard.recipe")
        for leaf in recipe.trainings(recipe.from_json(job["recipe"])):
            with self._occupied():
                learner = _registered(leaf.learner)
            if learner is None:
                self.load(self._unregistered)
            self.load(getattr(learner, "modules", ()))

    def serve(self) -> None:
        """Serve until the orders end; then end what is left."""
        while not self._orders.ended:
            self._listen()
            for order in map(json.loads, self._orders.lines()):
                self._obey(order)
            for child in list(self._children.values()):
                self._look_after(child)
        for child in self._children.values():
            child.kill("cancelled")

    def _listen(self) -> None:
        """Wait for orders, words or endings; while the reader is slow, for the reader instead of for words."""
        slow = self._out.backlog > MOST_BACKLOG
        words = [] if slow else [child.words.handle for child in self._children.values() if not child.words.ended]
        out = [self._out.handle] if self._out.backlog else []
        select.select([self._orders.handle, self._bell, *words], out, [], LOOK if self._children else None)
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 1 << 10)
        self._out.push()

    def _obey(self, order: dict[str, Any]) -> None:
        match order:
            case {"memory": memory, "silence": silence, "log": log}:
                self._memory, self._silence = memory, silence
                _print_to(log)
            case {"load": modules}:
                self._unregistered += modules
            case {"read": store}:
                self.read(store)
            case {"ping": number}:
                self._tell(pong=number)
            case {"kill": ticket, "cause": cause}:
                if ticket in self._children:
                    self._children[ticket].kill(cause)
            case {"job": job, "ticket": ticket}:
                began, used = time.monotonic(), time.process_time()
                self.prepare(job)
                loaded = {"loaded": time.monotonic() - began, "loaded_busy": time.process_time() - used}
                held = [c.words.handle for c in self._children.values()]
                child = bear({**order, **loaded}, without=(self._orders.handle, self._out.handle, self._bell, *held))
                self._children[ticket] = child
                self._tell(ticket=ticket, pid=child.pid)

    def _look_after(self, child: Child) -> None:
        """Hand on what a child says; tell its ending; end it where it overruns."""
        code = child.ended()
        if code is not None or self._out.backlog <= MOST_BACKLOG:
            for said in child.words.lines():
                self._out.send(said)
        if code is not None:
            os.close(child.words.handle)
            del self._children[child.ticket]
            self._tell(ticket=child.ticket, exit=code, cause=child.cause)
        elif not child.cause and (cause := self._overrun(child)):
            child.kill(cause)

    def _overrun(self, child: Child) -> str:
        now = time.monotonic()
        if now > child.until + GRACE:
            return "late"
        if child.stopped is not None and now - child.stopped > self._silence:
            return "silent"
        return "memory" if child.resident() > self._memory else ""

    @contextlib.contextmanager
    def _occupied(self) -> Iterator[None]:
        """Say that no ping is answered meanwhile."""
        self._tell(occupied=True)
        try:
            yield
        finally:
            self._tell(occupied=False)

    def _tell(self, **facts: object) -> None:
        self._out.send(line(facts))


def _registered(name: str) -> Any:
    """Return a learner; ``None`` where there is none or it lacks something, which the trial that needs it says."""
    with contextlib.suppress(SteelyardError, ImportError):
        return importlib.import_module("steelyard.registry").learners().get(name)
    return None


def _print_to(log: str) -> None:
    """Have what is printed from here on go to a file."""
    with contextlib.suppress(OSError), Path(log).open("ab") as out:
        for handle in (1, 2):
            os.dup2(out.fileno(), handle)


def _rung_by_children() -> int:
    """Return a handle that can be read whenever a child ends, stops or goes on."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    return reading


def _nothing(*_: object) -> None:
    """Let the signal wake the worker, and no more."""


if __name__ == "__main__":
    main()
