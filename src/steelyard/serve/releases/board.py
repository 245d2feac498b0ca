"""The switchboard of one model: gives its versions the roles that the log says, whoever wrote it, and adds to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from steelyard.errors import BundleRefused, RunUnwritable, ServingRefused, SwitchesDamaged
from steelyard.serve.endpoint import Deployed, Endpoint
from steelyard.serve.faults import Fault
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.releases import roles as rules
from steelyard.serve.releases.counts import Counts
from steelyard.serve.releases.opener import Opener
from steelyard.serve.releases.roles import Action
from steelyard.serve.releases.router import Router
from steelyard.serve.releases.settings import Releasing
from steelyard.serve.releases.switches import Order, Switch, Switches

_LOGGER = logging.getLogger("steelyard.serve")
_TICK = 0.025
"""Seconds between two looks at the log."""
_MENDED = 0.5
"""Seconds between two looks at a log that is damaged."""
_AGAIN = 5.0
"""Seconds after which what did not open is tried again."""


class Board:
    """Keeps what answers in step with the log.

    Everything but opening, reading and writing happens on the event loop. A switch is in the log, on the disk, before
    it is made here; other processes read it there.

    Parameters
    ----------
    opener
        Opens versions.
    releasing
        What the operator set.
    metrics
        Where to count.
    """

    def __init__(self, opener: Opener, releasing: Releasing, metrics: Metrics) -> None:
        self.opener, self.releasing = opener, releasing
        self._counts = Counts(metrics, opener.name)
        self.log = Switches(_state(opener.shelf, releasing))
        self.router = Router(releasing.watching)
        self.resident: dict[str, Deployed] = {}
        """By version: those with a role, and those that are opened to get one."""
        self.problems: dict[str, str] = {}
        """By version: why one with a role is not in memory."""
        self.damage = ""
        """Why the log is not followed any more."""
        self._wanted: Counter[str] = Counter()
        self.endpoint = self._first()
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._applied = len(self.log.lines)
        self._retry_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.each_tick: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """What else is looked at now and then, such as by a judge."""

    # ------------------------------------------------------------------------------------------- the start

    def _first(self) -> Endpoint:
        """Open what the log says, or begin the log.

        Raises
        ------
        ServingRefused
            If it is not clear which version should answer.
        SwitchesDamaged, RunUnwritable
            If the log cannot be followed, or begun.
        BundleRefused
            If the stable version does not open.
        """
        self.log.read()
        if not self.log.lines:
            self._begin()
        elif self.log.has_grown():
            with self.log.writing():
                pass  # cuts what a writer that was killed left
        roles = self.log.roles
        if self.releasing.stable not in {"", roles.stable}:
            raise ServingRefused(
                f"the log says that version {roles.stable!r} is stable, not {self.releasing.stable!r}: leave --stable "
                "out, and promote it once the server runs"
            )
        if roles.stable not in self.resident:
            self.resident[roles.stable] = self._opened(roles.stable)
        like = self.resident[roles.stable].served
        for version in roles.versions[1:]:
            try:
                self.resident[version] = self._opened(version, like)
            except BundleRefused as problem:
                self._note(version, problem)
        endpoint = Endpoint(self.resident[roles.stable])
        endpoint.router = self.router
        self._deploy(endpoint)
        return endpoint

    def _begin(self) -> None:
        """Write which version is stable first."""
        version = self.releasing.stable
        if not version:
            there = self.opener.versions()
            if len(there) != 1:
                known = ", ".join(there) or "none at all"
                raise ServingRefused(f"name the version that shall answer first with --stable; there are: {known}")
            version = there[0]
        self.resident[version] = self._opened(version)
        with self.log.writing() as add:
            if not self.log.lines:  # another process of this server may have been faster
                line = self._line(Order(action=Action.PROMOTE, version=version, who="start", why="the first version"))
                add(line)
                self._counts.switched(line)

    def _opened(self, version: str, like: Served | None = None) -> Deployed:
        return self.opener.open(version, like=like, digest=self.log.digest_of(version))

    # --------------------------------------------------------------------------------------- in step with the log

    async def start(self) -> None:
        """Begin to follow the log."""
        self._spawn(self._follow())

    async def stop(self, grace: float) -> None:
        """End; what is being opened is given up."""
        del grace
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.router.is_in_step = False
            _LOGGER.critical("the log of switches is followed no longer", exc_info=problem)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_MENDED if self.damage else _TICK)
            if self.damage or self.log.has_grown() or self._applied != len(self.log.lines):
                await self._catch_up()
            elif self.problems and time.monotonic() > self._retry_at:
                self._apply()
            self.count()
            for look in self.each_tick:
                await look()

    def count(self) -> None:
        """Count what this process has compared since it was asked last."""
        self._counts.compared(self.router.agreements)

    async def _catch_up(self) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(self.log.read)
            except SwitchesDamaged as problem:
                if not self.damage:
                    _LOGGER.error("the log of switches is not followed any more: %s", problem)  # noqa: TRY400
                self.damage, self.router.is_in_step = str(problem), False
                return
            self.damage = ""
            self._apply()

    def _apply(self) -> None:
        """Send requests as the log says, as far as the versions are in memory; open those that are not."""
        roles = self.log.roles
        self._applied = len(self.log.lines)
        self.problems = {version: why for version, why in self.problems.items() if version in roles.versions}
        for version in roles.versions:
            if version not in self.resident and version not in self._opening:
                self._opening[version] = self._spawn(self._open(version))
        self._deploy(self.endpoint)

    def _deploy(self, endpoint: Endpoint) -> None:
        roles = self.log.roles
        self._tell()
        if roles.stable not in self.resident:
            return
        known = roles.only(self.resident)
        self.router.turn(known, self.resident)
        self._counts.turned(known)
        endpoint.deploy(self.resident[roles.stable], [self.resident[version] for version in known.versions])
        self._forget()

    def _forget(self) -> None:
        """Let go of versions without a role; requests that were sent to one keep it until they are answered."""
        kept = {*self.log.roles.versions, *self.router.roles.versions, *+self._wanted}
        for version in self.resident.keys() - kept:
            del self.resident[version]

    async def _open(self, version: str) -> None:
        """Open a version that another process gave a role."""
        try:
            self.resident[version] = await asyncio.to_thread(self._opened, version, self.endpoint.stable.served)
        except BundleRefused as problem:
            self._note(version, problem)
        else:
            self.problems.pop(version, None)
        finally:
            del self._opening[version]
        self._deploy(self.endpoint)

    def _tell(self) -> None:
        """Have readiness tell whether the version answers that should, or will once it has been opened."""
        self.router.is_in_step = not self.damage and self.log.roles.stable not in self.problems

    def _note(self, version: str, problem: BundleRefused) -> None:
        if self.problems.get(version) != str(problem):
            _LOGGER.error("%s", problem)
        self.problems[version], self._retry_at = str(problem), time.monotonic() + _AGAIN

    # ---------------------------------------------------------------------------------------------- switches

    async def switch(self, order: Order) -> Switch:
        """Make a switch: open what it needs, write it down, send requests by it.

        Returns
        -------
        Switch
            The line of the log.

        Raises
        ------
        Fault
            409 if the roles do not allow it, or the version cannot be opened or does not fit; 503 if the log cannot be
            written. Nothing has changed then.
        """
        if self.damage:
            raise rules.conflict("the log of switches is damaged, and nothing is switched until the operator mends it")
        await self._catch_up()
        roles = self.log.roles
        rules.after(roles, order.action, order.version, order.share)
        needed = roles.previous if order.action is Action.ROLLBACK else order.version
        self._wanted[needed] += 1
        try:
            if order.action is not Action.RETIRE:
                await self._ensure(needed)
            async with self._turn:
                line = await asyncio.to_thread(self._write, order)
                self._counts.switched(line)
                self._apply()
        except (RunUnwritable, SwitchesDamaged) as problem:
            _LOGGER.exception("the switch %s %s was not made", order.action, order.version)
            sentence = "the log of switches cannot be written, and nothing has changed; the operator finds out why"
            raise Fault(503, "switches", sentence, retry_after=5) from problem
        finally:
            self._wanted[needed] -= 1
            self._forget()
        return line

    async def _ensure(self, version: str) -> None:
        """Have a version in memory.

        Raises
        ------
        Fault
            409 if it cannot be opened or does not fit.
        """
        if version in self.resident:
            return
        if version not in self._opening:
            self._opening[version] = self._spawn(self._open(version))
        await asyncio.shield(self._opening[version])
        if version not in self.resident:
            raise rules.conflict(self.problems.pop(version, f"version {version[:80]!r} cannot be opened"))

    def _write(self, order: Order) -> Switch:
        """Add a line, in a thread, if the roles still allow it."""
        with self.log.writing() as add:
            roles = self.log.roles
            if order.expect is not None and roles != order.expect:
                raise rules.conflict("the roles have changed meanwhile")
            line = self._line(order)
            if order.action is not Action.RETIRE and line.version not in self.resident:
                raise rules.conflict("the roles have changed meanwhile; look at them and ask again")
            add(line)
            return line

    def _line(self, order: Order) -> Switch:
        roles = self.log.roles
        version = roles.previous if order.action is Action.ROLLBACK else order.version
        deployed = self.resident.get(version)
        return Switch(
            number=len(self.log.lines) + 1,
            time=round(time.time(), 3),
            who=order.who,
            action=order.action,
            version=version,
            digest=deployed.served.digest if deployed else self.log.digest_of(version),
            why=order.why,
            before=roles,
            after=rules.after(roles, order.action, order.version, order.share),
        )


def _state(shelf: Path, releasing: Releasing) -> Path:
    """Return the folder of the log, which is made if need be.

    Raises
    ------
    RunUnwritable
        If it cannot be made.
    """
    folder = releasing.state or shelf
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise RunUnwritable(f"cannot make {folder}: {problem.strerror}; name a folder with --state") from None
    return folder
