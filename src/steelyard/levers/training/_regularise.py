"""Hold a net back from learning rows by heart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from steelyard.contracts import Context, Setting, Trial
from steelyard.levers.training._nets import NetLever, Option
from steelyard.recipe import Settings


class Regularise(NetLever):
    """Raises one of three things that keep a net from learning its rows by heart: smoothing, dropout, decay.

    Dropout reaches the dropout layers that a net has; one without any is left as it is.
    """

    name = "regularise"
    paper = (
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer Vision. CVPR "
        "2016, arXiv:1512.00567; Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout. JMLR 2014; "
        "Loshchilov, Hutter: Decoupled Weight Decay Regularization. ICLR 2019, arXiv:1711.05101"
    )
    about = "Holds a net back from learning rows by heart: label smoothing, dropout, or weight decay."
    space: ClassVar[Mapping[str, Setting]] = {
        "label_smoothing": Setting(default=0.0, low=0.0, high=0.5, about="Probability spread over all classes."),
        "dropout": Setting(default=None, low=0.0, high=0.9, about="Rate of every dropout layer; unset: the net's own."),
        "weight_decay": Setting(default=None, low=0.0, high=1.0, about="Pull towards zero; unset: the net's own."),
    }

    def options(self, trial: Trial, context: Context) -> tuple[Option, ...]:
        """Return smoothing where there are classes, dropout, and a stronger decay."""
        del trial
        kept = (_DROPOUT, _DECAY)
        return (_SMOOTHING, *kept) if context.task.classes else kept


_SMOOTHING = Option(
    settings=Settings(label_smoothing=0.1),
    gain=(0.005, 0.0, 0.02),
    seconds=1.0,
    source="assumed after Szegedy et al. 2016: 0.2 points less error on ImageNet",
    why="a net that is never asked to be certain errs less",
)
_DROPOUT = Option(
    settings=Settings(dropout=0.3),
    gain=(0.003, 0.0, 0.02),
    seconds=1.0,
    source="assumed: it helps where rows are few for the net",
    why="units that cannot rely on each other learn fewer rows by heart",
)
_DECAY = Option(
    settings=Settings(weight_decay=0.1),
    gain=(0.002, 0.0, 0.02),
    seconds=1.0,
    source="assumed: it helps where rows are few for the net",
    why="smaller weights fit less noise",
)
