"""Training texts with words dropped and swapped, anew in every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

UNKNOWN = 1
REACH = 2
"""Most places that a swapped token moves."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Drops tokens, and moves some to a place nearby; the first token of a row, which starts it, stays.

    Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", ACL 2015 (words left
    out); Lample et al., "Unsupervised Machine Translation Using Monolingual Corpora Only", ICLR 2018 (words moved); Wei
    and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks", 2019.

    Parameters
    ----------
    drop
        Share of tokens that become the unknown one: lengths, and so batches, stay as they are.
    swap
        Share of tokens that are moved, by at most :data:`REACH` places.
    unknown
        The id of the unknown token.
    """

    drop: float = 0.0
    swap: float = 0.0
    unknown: int = UNKNOWN

    def __call__(self, inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the batch with its ids changed; masks, and whatever else there is, as they were."""
        return {
            name: self._changed(one, inputs[f"mask_{name[4:]}"].bool(), generator) if name.startswith("ids_") else one
            for name, one in inputs.items()
        }

    def _changed(self, ids: Tensor, there: Tensor, generator: torch.Generator) -> Tensor:
        free = there.clone()
        free[:, 0] = False
        if self.swap > 0:
            ids = ids.gather(1, _places(free, self.swap, generator))
        lost = free & (torch.rand(ids.shape, generator=generator) < self.drop)
        return ids.masked_fill(lost, self.unknown)


def _places(free: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return which token stands at each place: sorted by place, after some of the free ones were pushed back."""
    at = torch.arange(free.shape[1]).expand(free.shape).float()
    pushed = free & (torch.rand(free.shape, generator=generator) < share)
    by = (torch.rand(free.shape, generator=generator) * REACH + 0.5) * pushed
    last = (free.long().sum(1, keepdim=True)).float() + 0.25  # no token moves past the end of its row
    return torch.minimum(at + by, torch.where(free, last, at)).argsort(stable=True, dim=1)
