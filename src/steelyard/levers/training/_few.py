"""What the levers share that train few numbers of an encoder and leave the others."""

from __future__ import annotations

from collections.abc import Iterable

from steelyard.contracts import Context, Trial
from steelyard.learners.pretrained.asked import FEW
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Train


class FewNumbers(NetLever):
    """A lever that is one of several ways to train few numbers: a training takes one of them."""

    def options(self, trial: Trial, context: Context) -> Iterable[Option]:
        """Return the options, unless the training has another of these ways already."""
        del context
        recipe = trial.recipe
        taken = {part.lever for part in recipe.plan.parts} if isinstance(recipe, Train) else set()
        return () if taken & (set(FEW) - {self.name}) else self.choices
