"""Which encoders are known: the transformer of Devlin et al., "BERT" (2019), under the names that its kin give it.

All of them compute the same: embeddings of tokens and places, then layers of self-attention and of a two-layer net,
each followed by its normalisation. They differ in what weights are called, and in where places begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import Exit, SteelyardError

Floats32 = NDArray[np.float32]


class CheckpointRefused(SteelyardError):
    """A checkpoint that is absent, is not what was asked for, or must not be read."""

    exit_code = Exit.SPEC_INVALID


@dataclass(frozen=True, slots=True)
class Affine:
    """``x @ slopes + offsets``: slopes of shape (in, out)."""

    slopes: Floats32
    offsets: Floats32


@dataclass(frozen=True, slots=True)
class Norm:
    """The gain and offset of a layer normalisation, each of shape (width,)."""

    gain: Floats32
    offset: Floats32


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """An adapter: ``x + up(gelu(down(x)))``."""

    down: Affine
    up: Affine


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; ``adapters`` stand behind its two halves, ``prefix`` holds keys and values, (2, heads, k, head)."""

    query: Affine
    key: Affine
    value: Affine
    output: Affine
    middle: Norm
    up: Affine
    down: Affine
    end: Norm
    adapters: tuple[Bottleneck, ...] = ()
    prefix: Floats32 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """An encoder: ``words`` (vocabulary, width), ``places`` (longest, width), their norm, and the layers."""

    words: Floats32
    places: Floats32
    norm: Norm
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float
    project: Affine | None = None
    """From the width of the embeddings to that of the layers, where they differ."""

    @property
    def width(self) -> int:
        """Numbers a token."""
        return int(self.layers[-1].end.gain.shape[0])


_BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "middle": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "end": "output.LayerNorm",
}
_DISTIL_LAYER = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "output": "attention.out_lin",
    "middle": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "end": "output_layer_norm",
}
_NORMS = {"middle", "end"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """How one kind of encoder names its weights and its settings."""

    name: str
    prefix: str
    """What stands before every name in a checkpoint with a head of its own."""
    stack: str = "encoder.layer"
    parts: Mapping[str, str] = field(default_factory=lambda: _BERT_LAYER)
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    activation: str = "hidden_act"
    padded_places: bool = False
    """Whether the first token's place is one past the id that pads (RoBERTa), not 0."""

    def plain(self, name: str) -> str:
        """Return a weight's name without its model's, and as it is called today."""
        plain = name.removeprefix(f"{self.prefix}.")
        return plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")

    def first_position(self, config: Mapping[str, Any]) -> int:
        """Return the place of the first token."""
        return int(config.get("pad_token_id") or 0) + 1 if self.padded_places else 0

    def complaint(self, config: Mapping[str, Any]) -> str | None:
        """Say what of a configuration is not known here, or ``None``."""
        for name in (self.heads, self.layers, "max_position_embeddings"):
            if not isinstance(config.get(name), int) or config[name] < 1:
                return f"its configuration gives no {name}"
        if config.get(self.activation, "gelu") != "gelu":
            return f"its layers compute {config[self.activation]!r}, and only 'gelu' is known"
        if config.get("position_embedding_type", "absolute") != "absolute":
            return f"its places are {config['position_embedding_type']!r}, and only 'absolute' ones are known"
        return "it is a decoder" if config.get("is_decoder") else None

    def weights(self, tensors: Mapping[str, Any], config: Mapping[str, Any], name: str) -> Weights:
        """Return the weights of a checkpoint of this architecture.

        Raises
        ------
        CheckpointRefused
            If one is absent, or its shape is not what the others ask for: it is of another architecture.
        """
        take = _Taker(tensors, name, self.name)
        words = take("embeddings.word_embeddings.weight", (None, None))
        size = words.shape[1]
        places = take("embeddings.position_embeddings.weight", (None, size))[self.first_position(config) :]
        if (types := take.perhaps("embeddings.token_type_embeddings.weight")) is not None:
            places = places + types[0]
        found = Weights(
            words=words,
            places=places,
            norm=take.norm("embeddings.LayerNorm", size),
            project=take.affine("embeddings_project")
            if take.perhaps("embeddings_project.weight") is not None
            else None,
            layers=tuple(self._layer(take, f"{self.stack}.{i}") for i in range(config[self.layers])),
            heads=config[self.heads],
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
        inner = size if found.project is None else found.project.slopes.shape[1]
        if found.width != inner or found.width % found.heads:
            raise take.refusal(f"its layers are {found.width} wide, its embeddings {inner}, with {found.heads} heads")
        return found

    def _layer(self, take: _Taker, place: str) -> Layer:
        made: dict[str, Any] = {}
        for part, name in self.parts.items():
            made[part] = take.norm(f"{place}.{name}") if part in _NORMS else take.affine(f"{place}.{name}")
        return Layer(**made)


class _Taker:
    """Takes arrays by name, as float32, and says what is wrong with them."""

    def __init__(self, tensors: Mapping[str, Any], name: str, architecture: str) -> None:
        self._tensors, self._name, self._architecture = tensors, name, architecture

    def __call__(self, key: str, shape: tuple[int | None, ...]) -> Floats32:
        found = self.perhaps(key)
        if found is None:
            raise self.refusal(f"it lacks {key}")
        if len(shape) != found.ndim or any(
            want not in {None, got} for want, got in zip(shape, found.shape, strict=True)
        ):
            raise self.refusal(f"{key} has the shape {found.shape}")
        return found

    def perhaps(self, key: str) -> Floats32 | None:
        found = self._tensors.get(key)
        return None if found is None else np.asarray(found, np.float32)

    def affine(self, key: str) -> Affine:
        slopes = self(f"{key}.weight", (None, None)).T
        return Affine(slopes, self(f"{key}.bias", (slopes.shape[1],)))

    def norm(self, key: str, width: int | None = None) -> Norm:
        gain = self(f"{key}.weight", (width,))
        return Norm(gain, self(f"{key}.bias", gain.shape))

    def refusal(self, why: str) -> CheckpointRefused:
        return CheckpointRefused(
            f"the weights of {self._name!r} are not those of the architecture {self._architecture!r} that its "
            f"configuration names: {why}; provide another checkpoint"
        )


ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(name="bert", prefix="bert"),
    "roberta": Architecture(name="roberta", prefix="roberta", padded_places=True),
    "xlm-roberta": Architecture(name="xlm-roberta", prefix="roberta", padded_places=True),
    "camembert": Architecture(name="camembert", prefix="roberta", padded_places=True),
    "electra": Architecture(name="electra", prefix="electra"),
    "distilbert": Architecture(
        name="distilbert",
        prefix="distilbert",
        stack="transformer.layer",
        parts=_DISTIL_LAYER,
        heads="n_heads",
        layers="n_layers",
        activation="activation",
    ),
}
"""Every encoder that is known, by the ``model_type`` of its configuration."""
