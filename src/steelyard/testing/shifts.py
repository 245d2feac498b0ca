"""An executor at work in a test: a store with data, jobs for it, and a look at the processes that do them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from steelyard.contracts import Job
from steelyard.data import load, store
from steelyard.recipe import Plan, Settings, Train
from steelyard.search.executors import Executor, Finished, Report
from steelyard.search.store import Outcome, Store, outcome_from_json
from steelyard.spec import Spec, SplitPart
from steelyard.units import Seconds

LONGEST = 120.0
"""Seconds after which a job that has not come back is taken for lost."""
DEEDS = "steelyard.testing.deeds"


@dataclass(slots=True, kw_only=True)
class Shift:
    """An executor at work, and the store that its jobs share.

    ``patience`` is after how many seconds it gives up a worker or a job that does not answer; ``prompt`` how many
    seconds it may take on a busy machine, beyond what was asked, to end a job and to tell so.
    """

    executor: Executor
    folder: Path
    patience: float
    fingerprint: str
    prompt: float = 5.0
    reports: list[Report] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def store(self) -> Store:
        """The store of the jobs."""
        return Store(self.folder)

    def job(self, learner: str = "deed-train", *, seconds: float = math.inf, fingerprint: str = "") -> Job:
        """Return a job that no other equals; its process leaves its numbers in :meth:`processes`."""
        number = next(self._numbers)
        settings = Settings(note=str(self.folder / f"note-{number}")) if learner.startswith("deed-") else Settings()
        return Job(
            number=number,
            recipe=Train(learner=learner, plan=Plan(settings=settings), seed=number),
            fingerprint=fingerprint or self.fingerprint,
            store=self.folder,
            seconds=Seconds(seconds),
        )

    def submit(self, job: Job) -> Job:
        """Submit a job."""
        self.executor.submit(job)
        return job

    def back(self, job: Job, limit: float = LONGEST) -> Finished:
        """Wait for a job; no other may come back."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            news = self.executor.wait(Seconds(0.2))
            self.reports += news.reports
            for finished in news.finished:
                assert finished.job.number == job.number, f"job {finished.job.number} came back for job {job.number}"
                assert finished.job is job, "what came back is not the job that was submitted"
                assert len(news.finished) == 1, "a job came back twice"
                return finished
        raise AssertionError(f"a job did not come back within {limit:.0f} s")

    def done(self, job: Job, limit: float = LONGEST) -> Finished:
        """Have a job done."""
        return self.back(self.submit(job), limit)

    def outcome(self, job: Job) -> Outcome:
        """Have a trial done and return what it left."""
        return outcome_of(self.done(job))

    def goes_on(self) -> None:
        """See that the next job is done as if nothing had happened."""
        outcome = self.outcome(self.job("constant"))
        assert outcome.ending.usable, f"the next job ended with {outcome.ending.value!r} {outcome.note}"
        assert not self.executor.busy, "it is busy although every job came back"

    def quiet(self, seconds: float = 0.3) -> None:
        """See that nothing more comes back."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            more = self.executor.wait(Seconds(left)).finished
            assert not more, f"job {more[0].job.number} came back once more"

    def processes(self, job: Job) -> list[tuple[int, int]]:
        """Return who trained a job, process and parent; asks the executor nothing."""
        file = Path(str(job.recipe.plan.settings["note"]))  # type: ignore[union-attr] # a training
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []
        return [(int(own), int(parent)) for own, parent in map(str.split, lines)]

    def begun(self, job: Job, limit: float = LONGEST) -> tuple[int, int]:
        """Submit a job and wait until it trains; return its process and the worker."""
        self.submit(job)
        self.until(lambda: bool(self.processes(job)), "a job did not begin", limit)
        return self.processes(job)[0]

    def until(self, held: Callable[[], bool], what: str, limit: float = LONGEST) -> None:
        """Wait for something while listening to the executor, from which nothing may come."""
        end = time.monotonic() + limit
        while not held():
            assert time.monotonic() < end, f"{what} within {limit:.0f} s"
            news = self.executor.wait(Seconds(0.05))
            assert not news.finished, f"a job ended instead: {news.finished[0].problem}"


Check = Callable[[Shift], None]


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: tuple[int, ...], limit: float = 10.0) -> bool:
    """Tell whether processes end within some seconds."""
    end = time.monotonic() + limit
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def outcome_of(finished: Finished) -> Outcome:
    """Return what a trial left."""
    assert finished.left is not None, f"it left nothing: {finished.problem}"
    return outcome_from_json(finished.left)


def ended(finished: Finished, cause: str, words: str = "") -> None:
    """See that a job came back without a result, for a cause, with a sentence that speaks of something."""
    assert finished.left is None, f"a job that had to end as {cause!r} left something"
    assert finished.cause == cause, f"a job ended as {finished.cause!r} ({finished.problem}), not as {cause!r}"
    assert len(finished.problem.split()) > 2, f"{finished.problem!r} is not a sentence"
    assert words in finished.problem, f"the sentence does not speak of {words!r}: {finished.problem}"


def furnish(folder: Path) -> str:
    """Make a store with a small table; return the fingerprint of its data."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 240)).round(4)
    bought = np.where(1.5 * a - b + generator.logistic(size=240) > 0, "yes", "no")
    frame = {"a": a.tolist(), "b": b.tolist(), "bought": bought.tolist()}
    dataset = load(Spec(data=frame, target="bought", split=SplitPart(folds=0)), None)
    (folder / "bundles").mkdir(parents=True)
    store.save(dataset, folder)
    return dataset.fingerprint
