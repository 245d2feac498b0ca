"""A training as tensors and plain facts, and back again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from steelyard.learners.nets._shelf import Saved

if TYPE_CHECKING:
    from steelyard.learners.nets._training import Training


@dataclass(slots=True)
class Best:
    """The best epoch so far by the loss on validation rows, with its weights."""

    loss: float = math.inf
    epoch: int = 0
    weights: dict[str, Tensor] | None = None


def copied(net: nn.Module) -> dict[str, Tensor]:
    """Return a net's weights and statistics, which further training leaves as they are."""
    return {name: one.detach().clone() for name, one in net.state_dict().items()}


def of(training: Training) -> Saved:
    """Return what a training needs to go on as if it had never ended."""
    tensors = {
        **_under("net", training.net.state_dict()),
        **_under("optimiser", _flat(training.walk.optimiser.state_dict()["state"])),
        **_under("average", training.average.state()),
        **_under("best", training.best.weights or {}),
        "order": training.order.get_state(),
        "chance": training.chance.get_state(),
        "torch": torch.get_rng_state(),
    }
    if training.team.device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(training.team.device)
    facts = {
        "done": training.done,
        "left": training.left,
        "progress": training.walk.progress,
        "factor": training.walk.factor,
        "at_once": training.at_once,
        "losses": training.losses,
        "aims": training.aims,
        "best": [training.best.loss if training.best.weights else None, training.best.epoch],
    }
    return Saved(tensors, facts)


def take(training: Training, saved: Saved) -> None:
    """Bring a training that has not begun to where another one was."""
    facts, tensors = saved.facts, saved.tensors
    training.net.load_state_dict(_beneath("net", tensors))
    optimiser = training.walk.optimiser
    optimiser.load_state_dict({**optimiser.state_dict(), "state": _deep(_beneath("optimiser", tensors))})
    if training.team.rank == 0:
        training.average.take(_beneath("average", tensors))
        training.chance.set_state(tensors["chance"])
        torch.set_rng_state(tensors["torch"])
        if "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"], training.team.device)
    training.order.set_state(tensors["order"])
    loss, epoch = facts["best"]
    if loss is not None:
        weights = {name: one.to(training.team.device) for name, one in _beneath("best", tensors).items()}
        training.best = Best(loss, epoch, weights)
    training.done, training.left, training.at_once = facts["done"], facts["left"], facts["at_once"]
    training.walk.progress, training.walk.factor = facts["progress"], facts["factor"]
    training.losses = list(facts["losses"])
    training.aims = [(epoch, aim) for epoch, aim in facts["aims"]]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": one for name, one in tensors.items()}


def _beneath(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name[len(start) :]: one for name, one in tensors.items() if name.startswith(start)}


def _flat(state: Mapping[int, Mapping[str, Any]]) -> dict[str, Tensor]:
    """Return an optimiser's state with one name a tensor; all of PyTorch's that are used here hold tensors alone.

    Examples
    --------
    >>> _flat({0: {"step": torch.tensor(1.0)}})
    {'0/step': tensor(1.)}
    """
    return {f"{number}/{name}": one for number, held in state.items() for name, one in held.items() if one is not None}


def _deep(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for path, one in tensors.items():
        number, name = path.split("/")
        state.setdefault(int(number), {})[name] = one
    return state
