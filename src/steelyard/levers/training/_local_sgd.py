"""Let processes train on their own, and average their weights every few steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from steelyard.contracts import Context, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class LocalSgd(NetLever):
    """Trains in several processes, each on its own share of the rows, whose weights are averaged every few steps.

    What is sent is a part of what sharing every gradient takes, and nobody waits in between; what is learned between
    two averages is learned apart, which may cost quality.
    """

    name = "local-sgd"
    paper = (
        "Stich: Local SGD Converges Fast and Communicates Little. ICLR 2019, arXiv:1805.09767; Lin, Stich, Patel, "
        "Jaggi: Don't Use Large Mini-Batches, Use Local SGD. ICLR 2020, arXiv:1808.07217"
    )
    about = "Trains a net in several processes whose weights are averaged every few steps: less is sent."
    space: ClassVar[Mapping[str, Setting]] = {
        "processes": Setting(default=2, low=2, high=64, log=True, about="Processes that train together."),
        "sync_every": Setting(default=8, low=2, high=1024, log=True, unit="steps", about="Steps between two averages."),
    }

    def options(self, trial: Trial, context: Context) -> tuple[Option, ...]:
        """Return as many processes as a trial has threads; nothing where it has one."""
        del trial
        if context.threads < 2:
            return ()
        return (replace(_LOCAL, settings=Settings(processes=min(context.threads, 64), sync_every=8)),)


_LOCAL = Option(
    settings=Settings(processes=2, sync_every=8),
    gain=(0.002, 0.0, 0.01),
    seconds=0.85,
    source="assumed: an eighth of what data-parallel sends, and as much is computed",
    why="processes that meet every eighth step wait less for each other",
)
