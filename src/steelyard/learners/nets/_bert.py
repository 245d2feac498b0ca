"""The encoder of BERT in PyTorch, filled from a folder with ``config.json`` and ``model.safetensors``.

Devlin, Chang, Lee, Toutanova, "BERT: pre-training of deep bidirectional transformers for language understanding",
NAACL 2019. It computes what Transformers' ``BertModel`` does without a pooler.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from steelyard.errors import need
from steelyard.learners._pieces import CheckpointAbsent


class Layer(nn.Module):
    """Self-attention and a net of two layers, each behind a residual path and before its normalisation."""

    def __init__(self, width: int, heads: int, inner: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.middle, self.end = (nn.LayerNorm(width, eps=epsilon) for _ in range(2))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, known: Tensor, hidden: Tensor) -> Tensor:
        """Return what a layer passes on; ``hidden`` is added to the logits of attention, shape (n, 1, 1, S)."""
        rows, pieces, width = known.shape
        query, key, value = (
            part(known).reshape(rows, pieces, self.heads, width // self.heads).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        logits = query @ key.transpose(2, 3) / math.sqrt(width / self.heads) + hidden
        seen = (self.drop(logits.softmax(-1)) @ value).transpose(1, 2).reshape(rows, pieces, width)
        known = self.middle(known + self.drop(self.output(seen)))
        made: Tensor = self.end(known + self.drop(self.down(nn.functional.gelu(self.up(known)))))
        return made


class Bert(nn.Module):
    """Embeddings of pieces and places, then layers; of the types of a pair the first alone."""

    def __init__(self, config: dict[str, float], dropout: float) -> None:
        super().__init__()
        width, epsilon = int(config["hidden_size"]), float(config["layer_norm_eps"])
        self.width = width
        self.words = nn.Embedding(int(config["vocab_size"]), width)
        self.places = nn.Embedding(int(config["max_position_embeddings"]), width)
        self.types = nn.Embedding(int(config.get("type_vocab_size", 2)), width)
        self.norm, self.drop = nn.LayerNorm(width, eps=epsilon), nn.Dropout(dropout)
        heads, inner = int(config["num_attention_heads"]), int(config["intermediate_size"])
        self.layers = nn.ModuleList(
            Layer(width, heads, inner, epsilon, dropout) for _ in range(int(config["num_hidden_layers"]))
        )

    def forward(self, ids: Tensor, mask: Tensor, beside: Tensor) -> Tensor:
        """Return the vectors of pieces, shape (n, S, width); ``beside`` is added to their embeddings."""
        places = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
        embedded = self.words(ids) + self.places(places) + self.types.weight[0] + beside
        known: Tensor = self.drop(self.norm(embedded))
        hidden = ((1.0 - mask) * -1e4)[:, None, None, :]
        for layer in self.layers:
            known = layer(known, hidden)
        return known


_OF_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "middle": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "end": "output.LayerNorm",
}
_OF_ALL = {
    "words": "word_embeddings",
    "places": "position_embeddings",
    "types": "token_type_embeddings",
    "norm": "LayerNorm",
}


def read_bert(folder: Path, dropout: float) -> Bert:
    """Return the encoder of a checkpoint.

    Raises
    ------
    CheckpointAbsent
        If the folder holds another architecture, or lacks weights.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise CheckpointAbsent(f"{folder} holds a {config.get('model_type')!r} and no BERT; name another checkpoint")
    given = need("safetensors.torch", for_="a pretrained encoder").load_file(folder / "model.safetensors")
    given = {name.removeprefix("bert."): values for name, values in given.items()}
    net = Bert(config, dropout)
    state = {}
    for name in net.state_dict():
        part, _, leaf = name.rpartition(".")
        if part.startswith("layers."):
            _, number, own = part.split(".")
            state[name] = given.get(f"encoder.layer.{number}.{_OF_LAYER[own]}.{leaf}")
        else:
            state[name] = given.get(f"embeddings.{_OF_ALL[part]}.{leaf}")
    if absent := sorted(name for name, values in state.items() if values is None):
        raise CheckpointAbsent(f"{folder} lacks the weights of {absent[0]!r}; name another checkpoint")
    net.load_state_dict(state)
    return net
