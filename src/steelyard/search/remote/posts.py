"""What a run knows of its actors and of the jobs that it gave them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from steelyard.contracts import Job
from steelyard.search.errands import FOREVER
from steelyard.search.executors import Finished
from steelyard.search.remote.access import ClusterRefused


class ClusterUnfit(ClusterRefused):
    """A cluster that was reached, and cannot do the work or must not be given it."""


@dataclass(slots=True)
class Task:
    """A job under way: since when, whether another actor lost it, and since when it is to stop."""

    job: Job
    began: float
    queued: float = 0.0
    again: bool = False
    cancelled: float | None = None

    def __post_init__(self) -> None:
        self.queued = self.queued or self.began

    @property
    def until(self) -> float:
        """When its time is over, on the monotonic clock."""
        return self.began + min(self.job.seconds, FOREVER)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return time.monotonic() - self.began

    def overdue(self, now: float, grace: float) -> bool:
        """Tell whether it runs beyond its time."""
        return now > self.until + grace

    def refuses_to_stop(self, now: float, grace: float) -> bool:
        """Tell whether it was cancelled and has not come back."""
        return self.cancelled is not None and now > self.cancelled + grace

    def once_more(self) -> Task:
        """Return it as it waits for another actor."""
        return replace(self, again=True, queued=time.monotonic())

    def finished(self, cause: str, why: str) -> Finished:
        """Return it as it comes back without a result."""
        return Finished(job=self.job, left=None, problem=why, cause=cause, seconds=self.seconds)


@dataclass(slots=True)
class Post:
    """An actor, the call to it that has not been answered, and the job that it is on."""

    actor: Any
    call: Any
    asked: float
    step: str = "hello"
    task: Task | None = None
    machine: str = "a machine"

    @classmethod
    def sent(cls, actor: Any) -> Post:
        """Return an actor that was asked for, and greets when it is there."""
        return cls(actor, actor.hello.remote(), time.monotonic())

    @property
    def ready(self) -> bool:
        """Whether it has greeted."""
        return self.step != "hello"

    def welcome(self, machine: str) -> None:
        """Take its greeting."""
        self.machine = machine
        self.rest()

    def ask(self, step: str, call: Any) -> None:
        """Remember what it was asked."""
        self.step, self.call, self.asked = step, call, time.monotonic()

    def rest(self) -> None:
        """Have it wait for a job."""
        self.step, self.call, self.task = "rest", None, None


def refusal(greeting: Mapping[str, Any], *, token: bool) -> str:
    """Say why a machine must not be given work; nothing where it may."""
    own = version("steelyard")
    if greeting["steelyard"] != own:
        return f"has steelyard {greeting['steelyard']}, and this machine {own}; install the same on both"
    if token and not greeting["token"]:
        return (
            "takes orders from anybody: its cluster was started without RAY_AUTH_MODE=token; start it with that and a "
            "token"
        )
    return ""
