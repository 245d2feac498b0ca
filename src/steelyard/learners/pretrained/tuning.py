"""Training few numbers of an encoder: what is put into its layers, and how that becomes weights that ship.

LoRA, (IA)^3 and prefixes are PEFT's; bottleneck adapters, which it does not have, are here.
"""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.errors import need
from steelyard.learners._settings import SettingsRefused
from steelyard.learners.nets.course import Told
from steelyard.learners.pretrained.architectures import Affine, Architecture, Bottleneck, Weights
from steelyard.learners.pretrained.asked import FEW, SPACES
from steelyard.learners.pretrained.net import EncoderNet, numbers_of, stack_of

BOOST = {"lora": 10.0, "ia3": 30.0, "prefix": 30.0, "adapter": 10.0}
"""How many times the rate of the whole encoder each takes: few new numbers move further than many learned ones. Hu et
al. (2021), Liu et al. (2022), Li and Liang (2021) and Houlsby et al. (2019) train at 1e-4 to 1e-2."""


def few_of(settings: Told) -> str | None:
    """Return which of the ways to train few numbers a plan asks for.

    Raises
    ------
    SettingsRefused
        If it asks for two of them.
    """
    asked = [name for name in FEW if settings.part(name) is not None]
    if len(asked) > 1:
        raise SettingsRefused(f"{' and '.join(asked)} train the same layers in two ways; keep one of them")
    return asked[0] if asked else None


def tune(net: EncoderNet, settings: Told) -> None:
    """Put into a net, in place, what its plan asks for; all else of its encoder stays as it is.

    Raises
    ------
    SettingsRefused
        If levers ask for what cannot be done together.
    """
    name = few_of(settings)
    if name is None:
        return
    if net.below == len(net.layers):
        raise SettingsRefused(
            f"freeze leaves no layer for {name} to train; lower its `share`, or leave one of them out"
        )
    if net.gradual:
        raise SettingsRefused(f"freeze lets go layers that {name} leaves alone; leave out `gradual`, or one of them")
    given = settings.part(name)
    assert given is not None
    asked = SPACES[name].complete(given)
    net.model.requires_grad_(requires_grad=False)
    net.boost = BOOST[name]
    match name:
        case "lora":
            _inject(net, _lora(net, int(asked.number("rank", 8)), str(asked["where"])))
        case "ia3":
            _inject(net, _ia3(net))
        case "prefix":
            net.prefix = Prefix(net, int(asked.number("tokens", 16)))
        case "adapter":
            _adapt(net, int(asked.number("size", 48)))


def _inject(net: EncoderNet, config: Any) -> None:
    need("peft", for_="training few numbers of an encoder").inject_adapter_in_model(config, net.model)


def _among(net: EncoderNet, parts: tuple[str, ...]) -> str:
    """Return the names of some parts of the layers that are trained, as a pattern."""
    places = "|".join(str(i) for i in range(net.below, len(net.layers)))
    names = "|".join(re.escape(net.architecture.parts[part]) for part in parts)
    return rf"{re.escape(net.architecture.stack)}\.({places})\.({names})"


def _lora(net: EncoderNet, rank: int, where: str) -> Any:
    parts = ("query", "value") if where == "attention" else ("query", "key", "value", "output", "up", "down")
    made = need("peft", for_="lora").LoraConfig
    return made(r=rank, lora_alpha=2 * rank, target_modules=_among(net, parts), bias="none")


def _ia3(net: EncoderNet) -> Any:
    made = need("peft", for_="ia3").IA3Config
    every = _among(net, ("key", "value", "down"))
    return made(target_modules=every, feedforward_modules=_among(net, ("down",)))


class Prefix(nn.Module):
    """Keys and values that stand before those of the tokens in every layer, by PEFT's own module."""

    def __init__(self, net: EncoderNet, tokens: int) -> None:
        super().__init__()
        peft = need("peft", for_="prefix")
        heads = int(getattr(net.model.config, net.architecture.heads))
        if net.architecture.name == "distilbert":
            raise SettingsRefused("prefix needs layers that take keys and values from outside; distilbert's take none")
        width = int(net.layers[0].get_submodule(net.architecture.parts["query"]).out_features)  # type: ignore[arg-type] # a linear layer
        self.below, self.layers = net.below, len(net.layers)
        self.heads, self.tokens, self.head = heads, tokens, width // heads
        config = peft.PrefixTuningConfig(
            num_virtual_tokens=tokens,
            token_dim=width,
            num_layers=self.layers - self.below,
            num_attention_heads=heads,
            num_transformer_submodules=1,
            encoder_hidden_size=width,
        )
        self.encoder = peft.PrefixEncoder(config)
        nn.init.normal_(self.encoder.embedding.weight, std=0.02)

    def pairs(self) -> Tensor:
        """Return keys and values of the layers that are trained, (layers, 2, heads, tokens, head)."""
        flat: Tensor = self.encoder(torch.arange(self.tokens, device=self.encoder.embedding.weight.device))
        return flat.view(self.tokens, -1, 2, self.heads, self.head).permute(1, 2, 3, 0, 4)

    def forward(self, rows: int) -> Any:
        """Return them as the cache that the library's layers read, for so many rows."""
        cache = need("transformers", for_="prefix").DynamicCache()
        for place, (key, value) in enumerate(self.pairs(), start=self.below):
            cache.update(key.expand(rows, -1, -1, -1), value.expand(rows, -1, -1, -1), place)
        return cache


class Adapted(nn.Module):
    """A linear layer with a bottleneck behind it, which starts as nothing: Houlsby et al. (2019)."""

    def __init__(self, linear: nn.Linear, size: int) -> None:
        super().__init__()
        self.linear = linear
        self.narrow, self.wide = nn.Linear(linear.out_features, size), nn.Linear(size, linear.out_features)
        nn.init.normal_(self.narrow.weight, std=0.01)
        nn.init.zeros_(self.narrow.bias)
        nn.init.zeros_(self.wide.weight)
        nn.init.zeros_(self.wide.bias)

    def forward(self, state: Tensor) -> Tensor:
        """Return what the layer makes, and a little beside it."""
        state = self.linear(state)
        added: Tensor = self.wide(functional.gelu(self.narrow(state)))
        return state + added


def _adapt(net: EncoderNet, size: int) -> None:
    for layer in net.layers[net.below :]:
        for part in ("output", "down"):
            above, _, name = net.architecture.parts[part].rpartition(".")
            owner = layer.get_submodule(above)
            linear = getattr(owner, name)
            setattr(owner, name, Adapted(linear, size))
            getattr(owner, name).linear.requires_grad_(requires_grad=False)


def shipped_weights(net: EncoderNet) -> Weights:
    """Return the weights of a trained net as they ship: what can be merged is, the rest stands in the layers."""
    model: Any = copy.deepcopy(net.model)  # of Transformers, with layers of PEFT; neither is typed here
    for module in model.modules():
        if callable(getattr(module, "merge", None)) and hasattr(module, "base_layer"):
            module.merge()
    architecture, config = net.architecture, model.config.to_dict()
    numbers = {_original(name): value for name, value in numbers_of(model).items()}
    weights = architecture.weights(numbers, config, architecture.name)
    found = zip(weights.layers, _adapters(model, architecture), strict=True)
    layers = [replace(layer, adapters=adapters) for layer, adapters in found]
    if isinstance(net.prefix, Prefix):
        pairs = net.prefix.pairs().detach().float().cpu().numpy()
        upper = zip(layers[net.below :], pairs, strict=True)
        layers[net.below :] = [replace(layer, prefix=pair) for layer, pair in upper]
    return replace(weights, layers=tuple(layers))


def _original(name: str) -> str:
    """Return what a weight was called before something was put around its layer."""
    return name.replace(".base_layer.", ".").replace(".linear.", ".")


def _adapters(model: nn.Module, architecture: Architecture) -> list[tuple[Bottleneck, ...]]:
    return [
        tuple(_bottleneck(module) for module in layer.modules() if isinstance(module, Adapted))
        for layer in stack_of(model, architecture)
    ]


def _bottleneck(module: Adapted) -> Bottleneck:
    return Bottleneck(_affine(module.narrow), _affine(module.wide))


def _affine(linear: nn.Linear) -> Affine:
    slopes = linear.weight.detach().float().cpu().numpy().T
    return Affine(np.ascontiguousarray(slopes), linear.bias.detach().float().cpu().numpy())
