"""An encoder with a head, in PyTorch: the library's own layers, run one by one, so that the lower can be left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steelyard.errors import need
from steelyard.learners.nets.course import Course
from steelyard.learners.pretrained.architectures import Architecture, CheckpointRefused
from steelyard.learners.pretrained.checkpoints import Checkpoint, tensors_of

TINY = 1e-12
_POOLERS = frozenset({"bert", "roberta", "xlm-roberta", "camembert"})
"""Architectures whose models have a layer behind the last one, for a task that nobody here asks for."""


def encoder_of(checkpoint: Checkpoint, *, scratch: bool = False) -> nn.Module:
    """Return the encoder of Transformers with the weights of a checkpoint; from ``scratch`` with random ones."""
    library = need("transformers", for_="an encoder that is trained further")
    settings = dict(checkpoint.config)
    kind = settings.pop("model_type")
    config = library.AutoConfig.for_model(kind, **settings)
    extra = {"add_pooling_layer": False} if kind in _POOLERS else {}
    model: nn.Module = library.AutoModel.from_config(config, attn_implementation="sdpa", **extra)
    if not scratch:
        _fill(model, checkpoint)
    return model


def _fill(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put weights in their places; those of a head are left out, and none of the encoder's may be absent.

    Raises
    ------
    CheckpointRefused
        If one is absent, or of another shape.
    """
    wanted, given = model.state_dict(), tensors_of(checkpoint)
    for name, place in wanted.items():
        if name not in given or given[name].shape != tuple(place.shape):
            why = f"{name} is of another shape than its configuration says" if name in given else f"it lacks {name}"
            raise CheckpointRefused(f"{checkpoint.name!r} cannot be trained further: {why}; provide another checkpoint")
    model.load_state_dict({name: torch.from_numpy(np.asarray(given[name], np.float32)) for name in wanted})


def stack_of(model: nn.Module, architecture: Architecture) -> nn.ModuleList:
    """Return the layers of an encoder."""
    layers = model.get_submodule(architecture.stack)
    assert isinstance(layers, nn.ModuleList)
    return layers


class EncoderNet(nn.Module):
    """Tokens (or what the lowest layers made of them) to logits or values.

    Parameters
    ----------
    model
        The encoder.
    architecture
        Where its layers are.
    width
        Numbers a token, and score columns.
    pooling
        How a text's vectors become one, of length 1.
    below
        The lowest layers that are not trained; inputs may hold their output as ``hidden`` instead of ``ids``.
    gradual
        Over how many epochs the layers above ``below`` are let go, the highest first; 0: all train from the start.
    """

    def __init__(
        self,
        model: nn.Module,
        architecture: Architecture,
        *,
        width: tuple[int, int],
        pooling: str = "mean",
        below: int = 0,
        gradual: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.architecture = model, architecture
        self.head = nn.Linear(*width)
        self.pooling, self.below, self.gradual = pooling, below, gradual
        self.prefix: nn.Module | None = None
        self.boost = 1.0
        """How many times the learning rate what was put into the encoder takes."""
        self.decay = 1.0
        self._epoch = 0
        for part in self._frozen():
            part.requires_grad_(requires_grad=False)

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the encoder."""
        return stack_of(self.model, self.architecture)

    @property
    def _bottom(self) -> nn.ModuleList:
        """What lies below the layers."""
        return nn.ModuleList(part for name, part in self.model.named_children() if "embedding" in name)

    def _frozen(self) -> list[nn.Module]:
        """Return what stays as it is: the lowest layers with the embeddings below them."""
        return [self._bottom, *self.layers[: self.below]] if self.below else []

    def _loose(self) -> list[nn.Module]:
        """Return what is let go, the lowest first."""
        return [*([] if self.below else [self._bottom]), *self.layers[self.below :]]

    def train(self, mode: bool = True) -> EncoderNet:
        """Set the mode; what is frozen drops nothing. The loop calls this when an epoch begins."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.gradual:
            self._epoch += 1
            loose = self._loose()
            first = len(loose) - math.ceil(len(loose) * min(1.0, self._epoch / self.gradual))
            for place, part in enumerate(loose):
                part.requires_grad_(place >= first)
        return self

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, width)."""
        answers: Tensor = self.head(self.vectors(inputs))
        return answers

    def vectors(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return what the head reads: a vector a text, shape (n, width)."""
        mask = inputs["mask"]
        state = inputs.get("hidden")
        if state is None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.below):
                state = self.through(self.embedded(inputs["ids"]), mask, 0, self.below)
        state = self.through(state, mask, self.below, len(self.layers))
        return self.pooled(state, mask)

    def embedded(self, ids: Tensor) -> Tensor:
        """Return what goes into the first layer."""
        state: Tensor = self.model.get_submodule("embeddings")(input_ids=ids)
        project = getattr(self.model, "embeddings_project", None)
        return state if project is None else project(state)

    def through(self, state: Tensor, mask: Tensor, first: int, last: int) -> Tensor:
        """Run some of the layers."""
        if first == last:
            return state
        open_ = mask.bool()
        open_ = torch.cat([torch.ones_like(open_[:, :1]), open_[:, 1:]], 1)[:, None, None, :]
        past = None
        if self.prefix is not None and first >= self.below:
            past = self.prefix(len(mask))
            size = past.get_seq_length(first)
            open_ = torch.cat([open_.new_ones(len(mask), 1, 1, size), open_], -1)
        open_ = open_.expand(-1, 1, state.shape[1], -1)
        for layer in self.layers[first:last]:
            state = layer(state, open_) if past is None else layer(state, open_, past_key_values=past)
        return state

    def pooled(self, state: Tensor, mask: Tensor) -> Tensor:
        """Return one vector a text, of length 1; a text without tokens is all zeros."""
        state, there = state.float(), mask.float()
        if self.pooling == "cls":
            vector = state[:, 0] * there[:, :1]
        else:
            vector = (state * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp_min(1)
        unit: Tensor = vector / vector.norm(dim=1, keepdim=True).clamp_min(TINY)
        return unit

    def groups(self, course: Course) -> list[dict[str, Any]]:
        """Return parameter groups: the lower a layer, the smaller its rate (Howard, Ruder: ULMFiT, 2018)."""
        depth = {id(p): i for i, layer in enumerate(self.layers) for p in layer.parameters()}
        found: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, p in self.named_parameters():
            if not p.requires_grad and not self.gradual:
                continue
            within, inserted = name.startswith("model."), self.boost if not name.startswith("head.") else 1.0
            below = len(self.layers) - depth.get(id(p), -1) if within else 0
            rate = course.learning_rate * self.decay**below * inserted
            found.setdefault((rate, course.weight_decay if p.ndim > 1 else 0.0), []).append(p)
        return [{"params": ps, "lr": rate, "weight_decay": decay} for (rate, decay), ps in found.items()]

    def shares(self) -> tuple[int, int]:
        """Return how many numbers are trained, and how many there are."""
        every = list(self.parameters())
        loose = {id(p) for part in self._loose() for p in part.parameters()} if self.gradual else set()
        return sum(p.numel() for p in every if p.requires_grad or id(p) in loose), sum(p.numel() for p in every)


def numbers_of(model: nn.Module) -> Mapping[str, Any]:
    """Return the weights of an encoder as arrays, by name."""
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
