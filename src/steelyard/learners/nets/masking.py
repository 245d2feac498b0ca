"""A net over tokens made to guess hidden tokens of the training texts before it learns any label."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.contracts import Meter
from steelyard.learners.nets import loop
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.reading import Material
from steelyard.learners.nets.text_bodies import TextBody
from steelyard.units import Seconds

MASK, SPECIAL = 3, 4
"""The id that hides a token; ids below ``SPECIAL`` are never hidden and never guessed."""
KEPT, CHANGED = 0.1, 0.1
"""Of the tokens to guess, the shares that stay as they are and that become any other token."""
SHARE = 0.5
"""Most of the time left that guessing may take."""


class Guesser(nn.Module):
    """A body with a layer that says which token was hidden, by the table of embeddings itself.

    Its output is the loss of each row, shape (n, 1).
    """

    def __init__(self, body: TextBody) -> None:
        super().__init__()
        self.body = body
        self.guess = nn.Linear(body.width, body.embedding.embedding_dim)
        self.bias = nn.Parameter(torch.zeros(body.embedding.num_embeddings))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the mean log loss of the hidden tokens of each row, 0 where none was hidden."""
        total = torch.zeros(len(inputs["ids_0"]), device=self.bias.device)
        for place in range(self.body.columns):
            truth = inputs[f"truth_{place}"]
            hidden = truth >= SPECIAL
            states = self.body.states(inputs[f"ids_{place}"], inputs[f"mask_{place}"])[hidden]
            said = functional.linear(self.guess(states), self.body.embedding.weight, self.bias)
            losses = functional.cross_entropy(said.float(), truth[hidden], reduction="none")
            rows = hidden.nonzero()[:, 0]
            total = total.index_add(0, rows, losses / hidden.sum(1)[rows])
        return total.unsqueeze(1) / self.body.columns

    def loss(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean over rows."""
        del target
        return (outputs[:, 0] * weights).sum() / weights.sum()


@dataclass(frozen=True, slots=True)
class Hide:
    """Hides a share of the tokens of a batch: Devlin et al., "BERT", NAACL 2019, section 3.1.

    Parameters
    ----------
    share
        Of the tokens.
    vocabulary
        Tokens that there are.
    """

    share: float
    vocabulary: int

    def __call__(self, inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the batch with tokens hidden, and beside ``ids_0`` the truth as ``truth_0``, 0 where none is."""
        found = dict(inputs)
        for name, ids in inputs.items():
            if not name.startswith("ids_"):
                continue
            hidden = (ids >= SPECIAL) & (torch.rand(ids.shape, generator=generator) < self.share)
            how = torch.rand(ids.shape, generator=generator)
            other = torch.randint(SPECIAL, self.vocabulary, ids.shape, generator=generator)
            shown = torch.where(how < CHANGED, other, torch.where(how < CHANGED + KEPT, ids, torch.tensor(MASK)))
            found[name] = torch.where(hidden, shown, ids)
            found[f"truth_{name[4:]}"] = torch.where(hidden, ids, torch.tensor(0))
        return found


class _Half:
    """The meter of a training that is not the whole job: it has a share of the time, and reports to nobody."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._kept = meter, (1 - SHARE) * float(meter.remaining())

    def report(self, step: int, value: float) -> bool:
        """Go on."""
        del step, value
        return True

    def remaining(self) -> Seconds:
        """Return what is left of the share."""
        left = float(self._meter.remaining())
        return Seconds(left if left == float("inf") else left - self._kept)

    def note(self, sentence: str) -> None:
        """Pass it on."""
        self._meter.note(f"before any label was learned: {sentence}")


def guess_hidden(
    body: TextBody, material: Material, course: Course, *, epochs: int, share: float, meter: Meter
) -> float:
    """Train a body to guess hidden tokens; return the last epoch's loss in nats a token.

    Parameters
    ----------
    body
        Changed in place: its embeddings and what makes states of them, not its head.
    material
        Rows of text; their labels are not looked at.
    course
        Batches, optimiser and rate are those of the training that follows.
    epochs
        Times that it goes over the rows.
    share
        Of tokens that are hidden.
    meter
        Of the whole job; half of the time left may be taken.
    """
    hide = Hide(share, body.embedding.num_embeddings)
    course = replace(course, epochs=epochs, patience=0, average="none", compiled=False, processes=1)
    target = np.zeros(len(material), np.float32)
    guesser = Guesser(body)
    trained = loop.train(guesser, material, target, None, course, judge=None, meter=_Half(meter), vary=hide)
    return trained.losses[-1]
