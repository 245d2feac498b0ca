"""Share each step's rows among processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from steelyard.contracts import Context, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class DataParallel(NetLever):
    """Trains in several processes that share each step's rows and their gradients; the steps are those of one process.

    Each process has its share of the threads that the trial was given, or a GPU of its own. It saves where one process
    leaves cores idle: between small operations, and while batches are made. Statistics of BatchNorm, dropout and
    augmentation are drawn by each process for itself; without those the loss curve is that of one process.
    """

    name = "data-parallel"
    paper = (
        "Li et al.: PyTorch Distributed: Experiences on Accelerating Data Parallel Training. VLDB 2020, "
        "doi:10.14778/3415478.3415530"
    )
    about = "Trains a net in several processes that share the rows and gradients of each step."
    space: ClassVar[Mapping[str, Setting]] = {
        "processes": Setting(default=2, low=2, high=64, log=True, about="Processes that train together."),
    }

    def options(self, trial: Trial, context: Context) -> tuple[Option, ...]:
        """Return as many processes as a trial has threads; nothing where it has one."""
        del trial
        if context.threads < 2:
            return ()
        return (replace(_SHARED, settings=Settings(processes=min(context.threads, 64))),)


_SHARED = Option(
    settings=Settings(processes=2),
    gain=(0.002, 0.0, 0.01),
    seconds=0.9,
    source="assumed: processes leave fewer cores idle than the threads of one",
    why="a process for each thread leaves fewer cores idle",
)
