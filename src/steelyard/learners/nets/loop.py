"""The training of a net: what goes in, what comes out, and who takes part."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import nn

from steelyard.contracts import Floats, Meter
from steelyard.learners.nets._batches import Targets
from steelyard.learners.nets._finder import factor_of
from steelyard.learners.nets._machine import quick, seeded
from steelyard.learners.nets._shelf import Shelf, mark_of, place_of
from steelyard.learners.nets._team import HelperLost, Team, together
from steelyard.learners.nets._training import Diverged, Trained, Training, Vary
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.judge import Judge
from steelyard.learners.nets.reading import Material

__all__ = ["Diverged", "HelperLost", "Trained", "Vary", "train"]


def train(
    net: nn.Module,
    material: Material,
    target: NDArray[Any],
    weights: Floats | None,
    course: Course,
    *,
    judge: Judge | None,
    meter: Meter,
    vary: Vary | None = None,
) -> Trained:
    """Train a net in place; the same arguments on the same machine give the same weights.

    Ends early when the meter says so, when patience is at its end, or when time runs out: the course is then shortened
    so that the learning rate still falls to where its schedule ends. A batch that memory cannot hold is taken in
    halves whose gradients are summed; the meter is told. Where the meter has room
    (:class:`~steelyard.contracts.Resumable`), a training that was killed goes on from the last epoch that it kept, and
    ends at the weights of one that was not.

    Parameters
    ----------
    net
        From a dict of inputs to logits or values, shape (n, width), or (n, tokens, classes) for tokens. It may bring
        ``groups(course)``, the parameter groups of the optimiser (a group's ``lr`` is its highest rate), and
        ``loss(outputs, target, weights)``, the weighted mean over known targets. Left on the CPU, in evaluation mode.
    material
        The rows.
    target
        Class codes, int64 of shape (n,); numbers in the scale of training, float of shape (n,) or (n, width), NaN where
        unknown; or objects of shape (n,), one array of class codes a row (a class for each token).
    weights
        One positive number a row; ``None``: all weigh the same.
    course
        What is asked.
    judge
        Says how good the net is after each epoch; ``None`` where there are no validation rows.
    meter
        Is told the aim after each epoch, and notes.
    vary
        Changes each training batch.

    Raises
    ------
    Diverged
        If the loss is no finite number.
    HelperLost
        If a process that trains with this one ends.
    MemoryError
        If memory does not hold a single row.
    """
    targets, file = Targets(target, weights), place_of(meter)
    mark = "" if file is None else mark_of(net, material, targets, course)

    def work(team: Team, meter: Meter) -> Trained:
        with seeded(course.seed + team.rank, team.device), quick(team.device):
            factor = 1.0
            if course.finder and team.rank == 0:
                factor = factor_of(net, course, material, targets, meter=meter, vary=vary)
            shelf = Shelf(file, mark, meter)
            whole = Training(net, material, targets, course, team=team, meter=meter, vary=vary, shelf=shelf)
            whole.walk.factor = team.agreed(factor)
            return whole.run(judge if team.rank == 0 else None)

    if course.processes > 1:
        trained = together(work, course.processes, course.sync_every, meter)
    else:
        trained = work(Team(), meter)
    net.cpu().eval()
    return trained
