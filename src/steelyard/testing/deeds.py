"""Learners that hang, crash, eat memory, raise or talk without end: what an executor must survive.

Importing this module registers them, in whichever process does; ``executor.load`` has workers do it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from steelyard.contracts import Fitted, Meter, Prior, Refusal, Schema, Setting, Space, Split, Task, Work
from steelyard.recipe import Plan
from steelyard.registry import learners
from steelyard.units import Estimate, How

WORDS = 2_500
"""Reports of the learner that talks: several times what a pipe holds."""

Note = Callable[[int, int], None]
Act = Callable[[Meter, Note], None]


class Deed:
    """A constant model that does something else first.

    Its setting ``note`` names a file that takes one line for each time that it is trained, and for each process that
    it starts: the numbers of the process and of its parent.
    """

    honours = frozenset({"settings"})

    def __init__(self, name: str, act: Act) -> None:
        self.name, self.about, self._act = name, f"{name[5:].capitalize()}s, then is a constant.", act

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Accept everything."""

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the one setting."""
        del task, schema
        return Space({"note": Setting(default="", about="File that tells who trains.")})

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Promise nothing."""
        del task, schema, rows
        how = How.ASSUMED
        return Prior(Estimate.exact(0.1, how=how, source="a guess"), Estimate(0.0, 0.0, 0.0, how, source="a guess"))

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> Fitted:
        """Note who it is, do the deed, and train a constant."""

        def note(process: int, parent: int) -> None:
            if file := plan.settings.get("note"):
                with Path(str(file)).open("a", encoding="ascii") as out:
                    out.write(f"{process} {parent}\n")

        note(os.getpid(), os.getppid())
        self._act(meter, note)
        return learners().get("constant").fit(Plan(), train, valid, work, meter)


def _hang(*_: object) -> None:
    time.sleep(3600)


def _crash(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _quit(*_: object) -> None:
    os._exit(7)


def _eat(*_: object) -> None:
    held = []
    while True:
        held.append(np.ones(4_000_000))
        time.sleep(0.02)


def _raise(*_: object) -> None:
    raise ValueError("no luck today")


def _spawn(_: Meter, note: Note) -> None:
    """Start a process that nobody ends, and hang."""
    command = [sys.executable, "-c", "import time; time.sleep(3600)"]
    note(subprocess.Popen(command).pid, os.getpid())  # noqa: S603 - this very interpreter
    time.sleep(3600)


def _train(*_: object) -> None:
    """Do nothing but what a constant does."""


def _talk(meter: Meter, _: Note) -> None:
    for step in range(WORDS):
        meter.report(step, float(step))


ACTS: dict[str, Act] = {
    "deed-crash": _crash,
    "deed-eat": _eat,
    "deed-hang": _hang,
    "deed-quit": _quit,
    "deed-raise": _raise,
    "deed-spawn": _spawn,
    "deed-talk": _talk,
    "deed-train": _train,
}


def enlist() -> None:
    """Register every deed in this process."""
    for name, act in ACTS.items():
        learners().add(name, Deed(name, act))


def dismiss() -> None:
    """Take them out of this process's registry again."""
    for name in ACTS:
        learners()._made.pop(name, None)  # noqa: SLF001 - what was registered by hand has no other way out


enlist()
