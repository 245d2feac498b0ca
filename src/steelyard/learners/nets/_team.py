"""Processes that train one net together: this one and helpers forked from it, each with its share of every step's rows.

The helpers share what was made ready before the fork. Gradients are averaged by PyTorch's DistributedDataParallel, over
gloo on CPUs and NCCL between GPUs; or weights are, every few steps. Accelerate wraps the same and was left out: it
takes a second to import, and its state is that of the whole process, in which a second training of another precision
is refused.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined] # it is documented, and not listed
from torch.nn.parallel import DistributedDataParallel

from steelyard.contracts import Ints, Meter
from steelyard.errors import SteelyardError
from steelyard.learners.nets._machine import device, threads
from steelyard.units import Seconds

T = TypeVar("T")
PATIENCE = timedelta(seconds=300)
"""How long the process that leads waits for a helper in one step; helpers wait for it as long as it lives."""
FOREVER = timedelta(days=30)
LOOK = 8
"""Steps after which processes ask the one that leads whether there is time to go on."""
DYING = 2.0
"""Seconds in which a helper whose connection broke must be seen to have ended."""
_INTERFACE = "GLOO_SOCKET_IFNAME"


class HelperLost(SteelyardError):
    """A process that trained a net together with this one ended, or does not answer."""


class Team:
    """Those that train together, as one of them sees it; on its own it is a team of one.

    Attributes
    ----------
    rank
        0 leads: it alone judges, reports and keeps checkpoints.
    size
        How many there are.
    sync_every
        Steps after which weights are averaged; 1 shares gradients instead.
    device
        Where this one trains.
    """

    def __init__(self, rank: int = 0, size: int = 1, sync_every: int = 1) -> None:
        self.rank, self.size, self.sync_every = rank, size, sync_every
        found = device()
        self.device = torch.device("cuda", rank) if found.type == "cuda" and size > 1 else found
        self._wrapped: DistributedDataParallel | None = None

    @property
    def look_every(self) -> int:
        """Steps between two looks at the clock: several have to be told what it says."""
        return 1 if self.size == 1 else max(LOOK, self.sync_every)

    @property
    def shares_gradients(self) -> bool:
        """Whether every step is taken by all together."""
        return self.size > 1 and self.sync_every == 1

    def wrapped(self, net: nn.Module) -> Callable[[dict[str, Tensor]], Tensor]:
        """Return what a batch goes through in training; all begin with the weights of the first."""
        if not self.shares_gradients:
            return net
        self._wrapped = DistributedDataParallel(net)
        return self._wrapped

    def share(self, rows: Ints) -> tuple[Ints, bool]:
        """Return this one's share of a step's rows, at least one; and whether it counts."""
        own = rows[self.rank :: self.size]
        return (own, True) if len(own) else (rows[:1], False)

    def alone(self, *, last: bool) -> AbstractContextManager[None]:
        """Keep the gradient of a part of a step to itself, unless it is the last one."""
        if last or self._wrapped is None:
            return nullcontext()
        return self._wrapped.no_sync()

    def agreed(self, value: float) -> float:
        """Return the value of the one that leads."""
        if self.size == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(held, 0)
        return float(held)

    def total(self, value: float) -> float:
        """Return the sum over all."""
        if self.size == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        distributed.all_reduce(held)
        return float(held)

    def average(self, net: nn.Module, step: int | None = None) -> None:
        """Average weights over all, where that is how they keep together and it is the time."""
        if self.size == 1 or self.sync_every == 1 or (step is not None and step % self.sync_every):
            return
        with torch.no_grad():
            for one in (*net.parameters(), *net.buffers()):
                if one.is_floating_point():
                    distributed.all_reduce(one)
                    one.div_(self.size)


class _Mute:
    """The meter of a helper: the one that leads tells."""

    def report(self, step: int, value: float) -> bool:
        """Go on."""
        del step, value
        return True

    def remaining(self) -> Seconds:
        """Leave the clock to the one that leads."""
        return Seconds(float("inf"))

    def note(self, sentence: str) -> None:
        """Leave it to the one that leads."""


class Helpers:
    """The forked processes of a team, by the one that leads it."""

    def __init__(self) -> None:
        self._pids: dict[int, int] = {}
        self._ended: dict[int, int] = {}

    def fork(self, rank: int, work: Callable[[], object]) -> None:
        """Have another process do some work, and end with it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the new process does without
            pid = os.fork()
        if pid == 0:
            _live(work)
        self._pids[rank] = pid

    def lost(self) -> str:
        """Say which of them have ended; empty if none has."""
        until = time.monotonic() + DYING
        while not self._reap() and time.monotonic() < until:
            time.sleep(0.01)
        return " and ".join(
            f"process {rank + 1} of {len(self._pids) + 1} ended ({_how(code)})" for rank, code in self._ended.items()
        )

    def end(self) -> None:
        """End those that are left."""
        self._reap()
        for rank, pid in self._pids.items():
            if rank not in self._ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _reap(self) -> bool:
        for rank, pid in self._pids.items():
            if rank not in self._ended:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    self._ended[rank] = os.waitstatus_to_exitcode(status)
        return bool(self._ended)


def _broken(problem: RuntimeError) -> bool:
    """Tell whether an error comes of the connection to a helper, not of the net."""
    named = any(name in str(problem).lower() for name in ("gloo", "nccl"))
    return named or isinstance(problem, distributed.DistError)


def _silent(problem: RuntimeError) -> str:
    """Say that a helper does not answer, where that is what an error means."""
    late = "timed out" in str(problem).lower() or "timeout" in str(problem).lower()
    return f"a process does not answer within {PATIENCE.total_seconds():g} s" if late else ""


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _live(work: Callable[[], object]) -> NoReturn:
    """Do some work and leave without ever returning.

    It is done in a thread of its own: the threads that OpenMP had started for the old one are not here any more, and it
    would wait for them.
    """
    code = 1

    def do() -> None:
        nonlocal code
        try:
            work()
            code = 0
        except SteelyardError:
            code = 0  # the one that leads says it
        except Exception:  # noqa: BLE001 - the one that leads says that it ended, and the log why
            traceback.print_exc()

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    os._exit(code)


def together(work: Callable[[Team, Meter], T], size: int, sync_every: int, meter: Meter) -> T:
    """Do some work in several processes at once, and return what it makes in this one.

    Raises
    ------
    HelperLost
        If a helper ends before its time, or does not answer for :data:`PATIENCE`.
    """
    if device().type == "cuda" and torch.cuda.device_count() < size:
        meter.note(f"{size} processes need as many GPUs, and there are {torch.cuda.device_count()}: one trains alone.")
        return work(Team(), meter)
    helpers, cores = Helpers(), max(1, torch.get_num_threads() // size)
    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        for rank in range(1, size):
            part = _Part(Path(folder) / "meeting", rank, size, sync_every, cores)
            helpers.fork(rank, lambda part=part: part.do(work, _Mute()))  # type: ignore[misc] # mypy sees no default
        try:
            return _Part(Path(folder) / "meeting", 0, size, sync_every, cores).do(work, meter)
        except RuntimeError as problem:
            if _broken(problem) and (said := helpers.lost() or _silent(problem)):
                raise HelperLost(
                    f"{said} while it trained a net together with this one; train it again, or in one process "
                    "(`levers: {without: [data-parallel, local-sgd]}`)"
                ) from problem
            raise
        finally:
            helpers.end()


class _Part(NamedTuple):
    """What one process of a team is told."""

    meeting: Path
    rank: int
    size: int
    sync_every: int
    cores: int

    def do(self, work: Callable[[Team, Meter], T], meter: Meter) -> T:
        """Meet the others and work."""
        with threads(self.cores), _by_loopback():
            wait = PATIENCE if self.rank == 0 else FOREVER
            backend = "cpu:gloo,cuda:nccl" if device().type == "cuda" else "gloo"
            store = FileStore(str(self.meeting), self.size)
            distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=wait)
            try:
                return work(Team(self.rank, self.size, self.sync_every), meter)
            finally:
                if self.rank == 0:  # the others leave without a word, and nobody waits for them
                    distributed.destroy_process_group()


@contextmanager
def _by_loopback() -> Iterator[None]:
    """Have gloo talk over the loopback interface for a while: the name of a machine may lead nowhere."""
    before = os.environ.get(_INTERFACE)
    os.environ[_INTERFACE] = before or "lo"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_INTERFACE, None)
