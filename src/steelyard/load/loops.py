"""The two ways to put load on a server: an open loop at planned times, and a closed loop of busy connections."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from steelyard.load.arrivals import Plan
from steelyard.load.processes import cpu_of
from steelyard.load.target import Target
from steelyard.load.timer import Timer
from steelyard.load.wire import Log, Pool
from steelyard.units import Seconds

_READY = 0.05
"""Seconds between the last preparation and the first planned time."""
_BREATH = 0.1
"""Seconds before a closed loop asks again after a request that got no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to send: the requests in turn, over how many connections, waiting how long, watching which process.

    ``timeout`` is in seconds from the planned time; ``pid`` is the server's process, 0 for none.
    """

    target: Target
    messages: Sequence[bytes]
    most: int = 1000
    timeout: float = 10.0
    pid: int = 0


@dataclass(slots=True)
class Traces:
    """What a test leaves: the log, when counting began, and processor time when it began and when it ended."""

    log: Log
    begin: float
    connections: int = 0
    server: list[Seconds] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def meter(self, pid: int) -> None:
        """Read the processor time of the server and of this process."""
        self.own.append(time.process_time())
        if pid:
            self.server.append(cpu_of(pid))


async def open_loop(way: Way, plan: Plan) -> Traces:
    """Send each request at its planned time, whatever became of the earlier ones.

    Raises
    ------
    ServerUnreachable
        If no connection can be made at the beginning.
    """
    loop, arrivals = asyncio.get_running_loop(), plan.arrivals()
    log = Log()
    pool = Pool(way.target, way.messages, log, most=way.most, timeout=way.timeout)
    await pool.connect(min(way.most, 4 + math.ceil(plan.rate / 50)))
    with closing(pool), closing(Timer(loop)) as timer, _steady():
        start, over = time.monotonic() + _READY, asyncio.Event()
        log.plan((arrivals + start).tolist())
        traces = Traces(log, start + plan.warm_up)
        timer.ring = _planned(pool, log, over, timer.set)
        with _metered(traces, way.pid, start, plan):
            timer.set(start)
            await over.wait()
            await pool.quiet()
            await asyncio.sleep(max(0.0, start + plan.length - time.monotonic()))
    traces.connections = pool.widest
    return traces


def _planned(pool: Pool, log: Log, over: asyncio.Event, wake: Callable[[float], None]) -> Callable[[], None]:
    """Return what sends all requests that are due and asks to be woken for the next one."""
    planned, taken, number, count = log.planned, log.taken, 0, len(log.planned)

    def ring() -> None:
        nonlocal number
        while number < count and planned[number] <= (now := time.monotonic()):
            taken[number] = now
            pool.ask(number)
            number += 1
        if number < count:
            wake(planned[number])
        else:
            over.set()

    return ring


async def closed_loop(way: Way, plan: Plan, connections: int) -> Traces:
    """Keep ``connections`` connections busy: each asks again as soon as it is answered; the plan's rate is not used.

    Raises
    ------
    ServerUnreachable
        If no connection can be made at the beginning.
    """
    loop, log = asyncio.get_running_loop(), Log()
    pool = Pool(way.target, way.messages, log, most=connections, timeout=way.timeout)
    await pool.connect(connections)
    with closing(pool), _steady():
        start = time.monotonic()
        end, traces = start + plan.length, Traces(log, start + plan.warm_up)

        def ask() -> None:
            if (now := time.monotonic()) < end:
                pool.ask(log.add(now))

        def on_end(status: int) -> None:
            if status > 0:
                ask()
            else:
                loop.call_later(_BREATH, ask)

        pool.on_end = on_end
        with _metered(traces, way.pid, start, plan):
            for _ in range(connections):
                ask()
            await asyncio.sleep(plan.length)
            await pool.quiet()
    traces.connections = pool.widest
    return traces


@contextmanager
def _steady() -> Iterator[None]:
    """Keep the collector of garbage from halting the generator."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _metered(traces: Traces, pid: int, start: float, plan: Plan) -> Iterator[None]:
    """Read the meters when counting begins and when the last planned time has come."""
    loop, wait = asyncio.get_running_loop(), start - time.monotonic()
    first = loop.call_later(max(0.0, wait + plan.warm_up), traces.meter, pid)
    last = loop.call_later(max(0.0, wait + plan.length), traces.meter, pid)
    try:
        yield
    finally:
        first.cancel()
        last.cancel()
        while len(traces.own) < 2:  # the loop was busy when it was time, or the timer rounded up
            traces.meter(pid)
