"""Let a net learn from rows without their labels first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from steelyard.contracts import Context, Kind, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings

MANY = (0.02, -0.02, 0.08)
"""What it should bring where there are rows that nobody gave a target."""
_MANY_SOURCE = "assumed: rows without a target show what the few with one cannot"


class SelfSupervised(NetLever):
    """Hides parts of rows and lets the net guess them, before it learns what the rows are.

    The rows are those for training, and those without a target where the spec keeps them.

    Of text some tokens are hidden, and the table of embeddings itself says which: what stands in like places becomes
    alike, which labels alone teach slowly. Of images two views are made of each, cut and in another light, and the
    body learns that they are one thing (VICReg).
    """

    name = "self-supervised"
    paper = (
        "Devlin, Chang, Lee, Toutanova: BERT: Pre-training of Deep Bidirectional Transformers for Language "
        "Understanding. NAACL 2019, doi:10.18653/v1/N19-1423; on the rows of the task itself: Gururangan et al.: Don't "
        "Stop Pretraining. ACL 2020, doi:10.18653/v1/2020.acl-main.740; of images: Bardes, Ponce, LeCun: VICReg. ICLR "
        "2022, arXiv:2105.04906"
    )
    about = "Lets a net guess hidden parts of the training rows before it learns any label."
    space: ClassVar = {
        "epochs": Setting(default=6, low=1, high=50, log=True, about="Times that guessing goes over the rows."),
        "hidden": Setting(default=0.15, low=0.05, high=0.6, about="Share of a row that is hidden."),
    }
    choices = (
        Option(
            settings=Settings(epochs=6),
            gain=(0.005, -0.02, 0.03),
            seconds=2.0,
            source="assumed: as many passes again; from nothing, on the rows of the task alone, little is known",
            why="words that stand in like places should be alike before labels are learned",
        ),
    )
    images: ClassVar = (
        Option(
            settings=Settings(epochs=20),
            gain=(0.0, -0.03, 0.05),
            seconds=3.0,
            source="assumed: two views an image, and as many passes again; from nothing, on the task's own rows",
            why="two views of an image are the same thing, whatever its label is",
        ),
    )

    def options(self, trial: Trial, context: Context) -> Iterable[Option]:
        """Return the options for the kinds of columns at hand."""
        del trial
        options = self.images if context.schema.of(Kind.IMAGE) else self.choices
        if not context.unlabelled:
            return options
        times = 1 + context.unlabelled / max(1, context.rows)
        return tuple(replace(one, seconds=one.seconds * times, gain=MANY, source=_MANY_SOURCE) for one in options)
