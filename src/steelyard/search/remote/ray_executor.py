"""Ray: each slot an actor on some machine of a cluster; results come home as bytes, and nothing stays there."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from steelyard.contracts import Errand, Job
from steelyard.errors import RunUnwritable
from steelyard.search.executors import Finished, News, Report, cancelled
from steelyard.search.pool import OCCUPIED, SILENCE, LocalPool
from steelyard.search.remote.access import connected
from steelyard.search.remote.freight import Freight
from steelyard.search.remote.lodging import Lodging
from steelyard.search.remote.outpost import Outpost
from steelyard.search.remote.parcels import unpack
from steelyard.search.remote.posts import ClusterUnfit, Post, Task, refusal
from steelyard.search.signals import unbroken
from steelyard.search.store import Store
from steelyard.units import Seconds

BEAT = 0.5
"""Most seconds between two answers of an actor at work."""
GRACE = 3.0
"""Seconds beyond its time after which a job is given up although its actor, which ends it sooner, has said nothing."""
CLOSING = 3.0
"""Seconds that actors may take to stop a job that was cancelled, or to tidy up."""
LOOK = 0.1
"""Seconds between two looks at deadlines."""
HOME = frozenset({Errand.WEIGH, Errand.TEST})
"""What is done on the run's own machine: the latencies of one run are of one machine."""


class RayExecutor:
    """An executor of up to ``slots`` actors of a Ray cluster.

    Trials and refits are done by the actors, wherever they are; bundles are weighed, and test is read, on this
    machine. ``slots`` is the number of actors that have answered: it begins with 1 and grows.

    Parameters
    ----------
    slots
        Actors to ask for.
    address
        ``host:port`` of a cluster that this machine is part of, or ``auto`` for the one that runs here; unset: a new
        one on this machine, which no other can reach.
    log, threads, memory_bytes, silence
        As of :class:`~steelyard.search.pool.LocalPool`; what jobs print elsewhere comes to ``log`` when they end.

    Raises
    ------
    ClusterRefused
        Where the cluster cannot be reached, or there is no token for it.
    MissingExtra
        Where Ray is not installed.
    """

    isolates = True

    def __init__(
        self,
        slots: int,
        *,
        log: Path,
        threads: int,
        memory_bytes: int,
        address: str | None = None,
        silence: float = SILENCE,
    ) -> None:
        self.slots = 1
        self._log, self._silence, self._address = log, silence, address
        self._modules: tuple[str, ...] = ()
        self._queue: list[Task] = []
        self._told: list[Finished] = []
        self._posts: list[Post] = []
        limits: dict[str, Any] = {"threads": threads, "memory_bytes": memory_bytes, "silence": silence}
        with ExitStack() as stack:
            self._home = LocalPool(1, log=log, **limits)
            stack.callback(self._home.close)
            folder = self._lodge(stack)
            self._ray = stack.enter_context(connected(address, cpus=slots * threads, folder=folder))
            self._freight = Freight(self._ray.put)
            spread = self._ray.remote(num_cpus=threads, max_restarts=0, scheduling_strategy="SPREAD")
            self._outposts: Any = spread(Outpost)
            self._facts = {**limits, "place": None if folder is None else str(folder), "fetch": self._ray.get}
            self._posts += [self._send() for _ in range(slots)]
            self._open = stack.pop_all()

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        at_work = any(post.task is not None for post in self._posts)
        return at_work or bool(self._queue or self._told) or self._home.busy

    def submit(self, job: Job) -> None:
        """Hand a job to an actor that is free, or have it wait for one that is not there yet."""
        tasks = [*self._queue, *(post.task for post in self._posts if post.task is not None)]
        if any(task.job.number == job.number for task in tasks):
            return
        if job.errand in HOME:
            self._home.submit(job)
            return
        with unbroken():
            self._queue.append(Task(job, time.monotonic()))
            self._assign()

    def load(self, modules: tuple[str, ...], store: Path | None = None) -> None:
        """Have every actor import modules, and this machine too; put the data where actors can fetch it."""
        self._modules = tuple(dict.fromkeys((*self._modules, *modules)))
        self._home.load(modules, store)
        if store is not None:
            with suppress(OSError):  # said by the job that needs it
                self._freight.data(store)
        for post in self._posts:
            if post.ready:
                post.actor.load.remote(modules)

    def wait(self, seconds: Seconds) -> News:
        """Return what happened, looking meanwhile whether the actors still answer."""
        news, end = News(), time.monotonic() + seconds
        while True:
            left = max(0.0, min(end - time.monotonic(), LOOK))
            at_home = self._home.wait(Seconds(left)) if self._home.busy else News()
            answered = self._answers(0.0 if self._home.busy else left)
            with unbroken():
                news.finished += [*at_home.finished, *self._told]
                news.reports += at_home.reports
                self._told.clear()
                for post in answered:
                    self._hear(post, news)
                self._police(news)
                self._assign()
            if news or time.monotonic() >= end:
                return news

    def cancel(self) -> None:
        """Stop the jobs under way; the actors live on."""
        self._home.cancel()
        with unbroken():
            self._told += [cancelled(task.job, task.seconds) for task in self._queue]
            self._queue.clear()
            for post in self._posts:
                if post.task is not None:
                    post.task.cancelled = time.monotonic()
                    post.actor.cancel.remote()

    def close(self) -> None:
        """End the actors, and with them every job; let go of the cluster."""
        posts, self._posts = self._posts, []
        self._queue.clear()
        self._told.clear()
        if self._address is not None and (ready := [post.actor.close.remote() for post in posts if post.ready]):
            self._ray.wait(ready, num_returns=len(ready), timeout=CLOSING)
        for post in posts:
            self._ray.kill(post.actor)
        self._freight.clear()
        self._open.close()

    # ------------------------------------------------------------------------------------------ the actors

    def _lodge(self, stack: ExitStack) -> Path | None:
        """Return a folder for what a cluster of our own writes, its actors' folders included."""
        if self._address is not None:
            return None
        lodging = Lodging("steelyard-ray-")  # a short name: Ray's sockets lie in it
        stack.callback(lodging.leave)
        return lodging.path

    def _send(self) -> Post:
        return Post.sent(self._outposts.remote(**self._facts))

    def _answers(self, seconds: float) -> list[Post]:
        """Return the posts whose call was answered, at the latest after some seconds."""
        calls = {post.call: post for post in self._posts if post.call is not None}
        if not calls:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(list(calls), timeout=seconds)
        return [calls[call] for call in ready]

    def _hear(self, post: Post, news: News) -> None:
        try:
            answer = self._ray.get(post.call)
        except Exception as problem:  # noqa: BLE001 - whatever an actor died of, its job is lost and the run goes on
            self._lose(post, f"{type(problem).__name__}: {problem}".splitlines()[0], news)
            return
        match post.step:
            case "hello":
                self._welcome(post, answer)
            case "take":
                post.ask("hear", post.actor.hear.remote(BEAT))
            case "hear":
                self._take_news(post, answer, news)

    def _welcome(self, post: Post, answer: dict[str, Any]) -> None:
        if why := refusal(answer, token=self._address is not None):
            raise ClusterUnfit(f"{answer['machine']} {why}")
        post.welcome(answer["machine"])
        post.actor.load.remote(self._modules)
        self.slots = max(1, sum(post.ready for post in self._posts))

    def _take_news(self, post: Post, answer: dict[str, Any], news: News) -> None:
        task = post.task
        assert task is not None, "only an actor at work is listened to"
        news.reports += [Report(task.job.number, step, value) for step, value in answer["reports"]]
        if answer["finished"] is None:
            post.ask("hear", post.actor.hear.remote(BEAT))
            return
        post.rest()
        self._print(post, answer["printed"])
        news.finished.append(self._brought_home(task, answer))

    def _brought_home(self, task: Task, answer: dict[str, Any]) -> Finished:
        """Keep the bundles that came with a result; a job counts as done once they are on disk."""
        facts = answer["finished"] | {"problem": answer["finished"]["problem"].replace(answer["log"], str(self._log))}
        try:
            for name, parcel in answer["bundles"].items():
                unpack(parcel, Store(task.job.store), name)
        except RunUnwritable as problem:
            facts = {"left": None, "problem": str(problem), "cause": "refused", "exit_code": int(problem.exit_code)}
        return Finished(job=task.job, seconds=task.seconds, **facts)

    def _print(self, post: Post, text: str) -> None:
        if text:
            with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
                log.write(f"--- {post.machine}\n{text}")

    def _assign(self) -> None:
        """Hand waiting jobs to actors that are free."""
        free = [post for post in self._posts if post.ready and post.task is None]
        for post, task in zip(free, list(self._queue), strict=False):
            try:
                order, goods = self._freight.load(task)
            except OSError as problem:
                self._told.append(task.finished("refused", f"its data cannot be read: {problem}"))
            else:
                post.task = task
                post.ask("take", post.actor.take.remote(order, goods))
            self._queue.remove(task)

    def _police(self, news: News) -> None:
        """Give up what is overdue or does not answer."""
        now = time.monotonic()
        for post in [post for post in self._posts if post.task is not None]:
            task = post.task
            patience = self._silence * (OCCUPIED if post.step == "take" else 1.0)
            overdue = task is not None and (task.overdue(now, GRACE) or task.refuses_to_stop(now, CLOSING))
            if overdue or now - post.asked > patience + BEAT:
                self._lose(post, "it did not answer", news)
        nobody = not any(post.ready for post in self._posts)
        for task in list(self._queue):
            if task.overdue(now, 0.0):
                self._queue.remove(task)
                news.finished.append(task.finished("late", "stopped at its deadline before a machine was free"))
            elif nobody and now - task.queued > self._silence * OCCUPIED:
                self._queue.remove(task)
                news.finished.append(task.finished("lost", "no machine of the cluster is there to do it"))

    def _lose(self, post: Post, why: str, news: News) -> None:
        """Give up an actor; another takes its place, and its job if it had not begun."""
        self._posts.remove(post)
        self._ray.kill(post.actor)
        if post.ready:
            self._posts.append(self._send())
        elif not self._posts:
            raise ClusterUnfit(
                f"no machine of the cluster can start a worker ({why}); see that each has this steelyard installed and "
                "was started with RAY_AUTH_MODE=token and the same token"
            )
        self.slots = max(1, sum(post.ready for post in self._posts))
        if (task := post.task) is None:
            return
        if task.cancelled is not None:
            news.finished.append(cancelled(task.job, task.seconds))
        elif task.overdue(time.monotonic(), 0.0):
            news.finished.append(task.finished("late", "stopped at its deadline"))
        elif post.step == "take" and not task.again:
            self._queue.append(task.once_more())
        else:
            news.finished.append(task.finished("lost", f"its worker on {post.machine} is gone ({why})"))
