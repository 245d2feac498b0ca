"""Things that are asked for one by one and done together: what waits goes along with the next call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


class Together(Generic[_Job, _Result]):
    """Gathers jobs while calls are under way, on one event loop.

    Parameters
    ----------
    work
        Does some jobs at once and returns the result of each. It is to end well whatever happens.
    size
        How much room a job takes.
    most
        Room of one call; a job that is larger goes alone.
    at_once
        Most calls under way.
    """

    __slots__ = ("_at_once", "_jobs", "_most", "_size", "_tasks", "_work")

    def __init__(
        self,
        work: Callable[[Sequence[_Job]], Awaitable[Sequence[_Result]]],
        *,
        size: Callable[[_Job], int],
        most: int,
        at_once: int,
    ) -> None:
        self._work, self._size, self._most, self._at_once = work, size, most, at_once
        self._jobs: deque[tuple[_Job, asyncio.Future[_Result | None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, job: _Job) -> _Result | None:
        """Have a job done; ``None`` where the work ended in a way that nobody foresaw, which the loop then logs."""
        future: asyncio.Future[_Result | None] = asyncio.get_running_loop().create_future()
        self._jobs.append((job, future))
        if len(self._tasks) < self._at_once:
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def stop(self, grace: float) -> None:
        """Wait for calls under way, no longer than some seconds, then end them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while taken := self._take():
            results: Sequence[_Result | None] = [None] * len(taken)
            try:
                results = await self._work([job for job, _ in taken])
            finally:
                for (_, future), result in zip(taken, results, strict=True):
                    if not future.done():
                        future.set_result(result)

    def _take(self) -> list[tuple[_Job, asyncio.Future[_Result | None]]]:
        """Take the oldest jobs that fit one call and are still waited for."""
        taken: list[tuple[_Job, asyncio.Future[_Result | None]]] = []
        room = self._most
        while self._jobs and (not taken or self._size(self._jobs[0][0]) <= room):
            job, future = self._jobs.popleft()
            if not future.done():
                taken.append((job, future))
                room -= self._size(job)
        return taken
