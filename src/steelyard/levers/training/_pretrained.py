"""Which weights a training starts from: another checkpoint, or random ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from steelyard.contracts import Context, Setting, Trial
from steelyard.learners.pretrained.asked import SPACES
from steelyard.learners.pretrained.offers import offered
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings, Train

MANY = 20_000
"""Rows from which on random weights are worth a look."""


class Pretrained(NetLever):
    """Starts from each of the checkpoints that the spec lists, by name and digest; on many rows from none, too.

    The usual one needs no lever: a learner that honours this starts from it.
    """

    name = "pretrained"
    paper = (
        "Devlin, Chang, Lee, Toutanova: BERT: Pre-training of Deep Bidirectional Transformers for Language "
        "Understanding. NAACL 2019, arXiv:1810.04805"
    )
    about = "Starts training from other pretrained weights that the spec allows, or from random ones."
    space: ClassVar[Mapping[str, Setting]] = SPACES["pretrained"].settings

    def options(self, trial: Trial, context: Context) -> Iterator[Option]:
        """Return each listed checkpoint but the usual one; random weights where rows are many."""
        for mark in offered(context.schema)[1:]:
            yield Option(
                settings=Settings(checkpoint=mark),
                gain=(0.02, -0.1, 0.2),
                seconds=1.0,
                source="assumed: another checkpoint of unknown size and quality",
                why=f"starts from {mark}",
            )
        if context.rows >= MANY and isinstance(trial.recipe, Train) and _trains(trial.recipe, context):
            yield Option(
                settings=Settings(scratch=True),
                gain=(0.0, -0.5, 0.01),
                seconds=1.0,
                source="assumed: what pretraining knows is rarely learned again from one task's rows",
                why="starts from random weights, to see what the pretrained ones are worth",
            )


def _trains(recipe: Train, context: Context) -> bool:
    """Tell whether a learner trains the encoder itself, so that it can begin with random weights."""
    return "freeze" in context.learner(recipe.learner).honours
