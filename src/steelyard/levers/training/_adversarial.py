"""Train on inputs that were moved a little in the direction that harms most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from steelyard.contracts import Context, Kind, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class Adversarial(NetLever):
    """Trains on each batch twice: as it is, and moved by a small step that raises the loss most.

    Of text the embeddings are moved (FGM), of images the pixels (PGD; one step from a random start is the quick kind).
    What the net still decides rightly when validation rows are moved in the same way is noted beside what it decides
    rightly of them as they are.
    """

    name = "adversarial"
    paper = (
        "Miyato, Dai, Goodfellow: Adversarial Training Methods for Semi-Supervised Text Classification. ICLR 2017, "
        "arXiv:1605.07725; Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to "
        "Adversarial Attacks. ICLR 2018, arXiv:1706.06083; Wong, Rice, Kolter: Fast is Better than Free. ICLR 2020, "
        "arXiv:2001.03994"
    )
    about = "Trains a net on rows moved in the direction that harms most, too: less depends on single words or pixels."
    space: ClassVar = {
        "radius": Setting(
            default=0.05, low=0.001, high=1.0, log=True, about="How far a text is moved: a share of its own length."
        ),
        "epsilon": Setting(
            default=2.0, low=0.25, high=16.0, log=True, unit="shades of 255", about="Most that a pixel is moved."
        ),
        "steps": Setting(default=1, low=1, high=20, log=True, about="Gradients that an attack on images takes."),
    }
    choices = (
        Option(
            settings=Settings(radius=0.05),
            gain=(0.01, -0.01, 0.03),
            seconds=2.0,
            source="assumed: a step takes two passes; error on reviews fell by a tenth in Miyato et al. 2017, table 2",
            why="a text whose embeddings are moved a little should still mean the same",
        ),
    )
    images: ClassVar = (
        Option(
            settings=Settings(epsilon=2.0, steps=1),
            gain=(0.0, -0.08, 0.02),
            seconds=3.0,
            source="assumed: a step takes three passes; Madry et al. 2018, table 2, lose 8 points at 8 shades",
            why="an image whose pixels change by two shades of 255 should still be the same thing",
        ),
    )

    def options(self, trial: Trial, context: Context) -> Iterable[Option]:
        """Return the options for the kinds of columns at hand."""
        del trial
        return self.images if context.schema.of(Kind.IMAGE) else self.choices
