"""From an encoder to a table: its parts, what it says of each token, and the graph that looks tokens up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto

from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.bundle.running import GraphModel
from steelyard.clock import Phase, phase
from steelyard.contracts import Artefact, Feed, Floats, Meter, Split, Work
from steelyard.errors import need
from steelyard.learners._graph import Graph, session
from steelyard.learners._head import seal
from steelyard.learners._solve import Weights, solve
from steelyard.learners.pretrained.architectures import Floats32
from steelyard.learners.pretrained.graph import TINY, pooled, tokens
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.distilling.layers import layers_of
from steelyard.levers.shrinking.distilling.lessons import lesson_of, unrolled_from
from steelyard.levers.shrinking.distilling.munge import beside
from steelyard.recipe import Settings

NAME = "static-embeddings"
AT_ONCE = 256
"""Tokens that go through the encoder at once, each a row of its own."""
COMMON = 1e-3
"""The share of all tokens at which a token's weight is a half: ``a`` of Arora, Liang, Ma (2017)."""
INVERSE_PENALTY = 30.0
"""Of the head that is fitted before anything is trained; as ``embed-linear`` has it."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A graph that looks tokens up, goes through layers, and ends in a linear head.

    ``vector`` is the tensor that enters the head, shape (n, width); ``tokens`` how many the table of embeddings holds.
    """

    model: onnx.ModelProto
    feed: Feed
    tokens: int
    vector: str


def tabled(artefact: Artefact, split: Split, asked: Settings, work: Work, meter: Meter) -> Artefact:
    """Return the artefact with its encoder replaced by a table, and the head fitted on what the encoder answers.

    Parameters
    ----------
    split
        The rows that the encoder was trained on.
    asked
        The complete settings of the lever ``static-embeddings``.

    Raises
    ------
    LeverRefused
        If the graph is not an encoder of one column of text with a linear head.
    """
    encoder = encoder_of(artefact)
    if not len(split):
        raise LeverRefused("static-embeddings needs rows to fit its head on, and there are none")
    cutter = Cutter.of(encoder.feed, artefact.files)
    random = np.random.default_rng([work.seed, 37])
    made = beside(split, asked.number("synthetic", 0.0), work.schema, random)
    teacher = GraphModel(artefact, work.task, work.schema, threads=work.threads).answer
    trust, temperature = asked.number("trust", 1.0), asked.number("temperature", 1.0)
    rows = lesson_of(split, made, teacher, work.task, meter, random=random, trust=trust, temperature=temperature)
    cut = cutter.rows(rows.columns)
    vectors = token_vectors(encoder, cutter, work, meter)
    own = cutter.rows(split.columns) if str(asked["weights"]) == "sif" else None
    weights = rarity(encoder.tokens, own)
    weights[framing(cutter)[2]] = 0.0
    table = (components(vectors, int(asked.number("dimensions", 1))) * weights[:, None]).astype(np.float32)
    head = _head(means(table, cut), rows, work, meter)
    epochs = int(asked.number("epochs", 0))
    if epochs:
        need("torch", for_="static-embeddings, to train its table (with `epochs: 0` it does without)")
        net = need("steelyard.learners.nets.static_net", for_=NAME)  # loads PyTorch, which levers do not
        table, head = net.trained((table, head), (encoder.feed, cut), rows, work, meter, epochs=epochs)
    return replace(artefact, graph=graph_of(encoder, table, head, work))


def encoder_of(artefact: Artefact) -> Encoder:
    """Return the parts of an encoder's graph.

    Raises
    ------
    LeverRefused
        If it is none, with the reason.
    """
    model = onnx.load_model_from_string(artefact.graph)
    if len(artefact.feeds) != 1 or artefact.feeds[0].front_end != "tokens" or len(artefact.feeds[0].inputs) != 2:
        raise LeverRefused(f"{NAME} starts from an encoder of one column of text, and this model reads something else")
    feed = artefact.feeds[0]
    arrays = {array.name: tuple(array.dims) for array in model.graph.initializer}
    looked_up = [n for n in model.graph.node if n.op_type == "Gather" and n.input[1] == feed.inputs[0]]
    layers = layers_of(model)
    if not layers or not looked_up or len(arrays.get(looked_up[0].input[0], ())) == 0:
        raise LeverRefused(f"{NAME} starts from an encoder with layers of floats, and this model has none")
    vector = _before_head(model, arrays)
    if vector is None:
        raise LeverRefused(f"{NAME} starts from an encoder that ends in a linear head, and this model ends otherwise")
    return Encoder(model, feed, arrays[looked_up[0].input[0]][0], vector)


def _before_head(model: onnx.ModelProto, arrays: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return what the last product with a table of weights reads, going up from the scores."""
    made = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while name in made:
        node = made[name]
        if node.op_type in {"MatMul", "Gemm"} and len(arrays.get(node.input[1], ())) == 2:
            return str(node.input[0])
        before = [one for one in node.input if one in made]
        if not before:
            return None
        name = before[-1]
    return None


def framing(cutter: Cutter) -> tuple[list[int], list[int], list[int]]:
    """Return the tokens that a tokenizer puts before and after a text, and all that stand for no text."""
    found = cutter.tokenizer.encode("a")
    words = [place for place, special in enumerate(found.special_tokens_mask) if not special]
    start, end = (words[0], words[-1] + 1) if words else (len(found.ids), len(found.ids))
    before, after = list(found.ids[:start]), list(found.ids[end:])
    return before, after, sorted({*before, *after, cutter.pad})


@phase(Phase.PREPARING)
def token_vectors(encoder: Encoder, cutter: Cutter, work: Work, meter: Meter) -> Floats32:
    """Return what an encoder makes of each token alone, framed as a text of its own, shape (tokens, width).

    Raises
    ------
    LeverRefused
        If there is no time for all of them.
    """
    before, after, _ = framing(cutter)
    model = onnx.ModelProto()
    model.CopyFrom(encoder.model)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(encoder.vector, TensorProto.FLOAT, None))
    runtime = session(model.SerializeToString(), threads=work.threads)
    found = list[Floats32]()
    for start in range(0, encoder.tokens, AT_ONCE):
        some = np.arange(start, min(start + AT_ONCE, encoder.tokens))
        ids = np.column_stack([*(np.full(len(some), i) for i in before), some, *(np.full(len(some), i) for i in after)])
        feeds = dict(zip(encoder.feed.inputs, (ids.astype(np.int64), np.ones(ids.shape, np.int64)), strict=True))
        found.append(runtime.run(None, feeds)[0])
        if meter.remaining() <= 0:
            raise LeverRefused(
                f"{NAME} had time for {some[-1] + 1:,} of {encoder.tokens:,} tokens; raise `budget.minutes`, or leave "
                f"it out with `levers: {{without: [{NAME}]}}`"
            )
    return np.concatenate(found)


def components(vectors: Floats32, dimensions: int) -> Floats:
    """Return vectors by their principal components, as many as are asked for or there are, without their mean."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, ::-1][:, :dimensions], np.float64)


def rarity(tokens: int, seen: Ragged | None) -> Floats:
    """Return the weight of each token, ``a / (a + p)`` of its share ``p`` of all tokens, shape (tokens,).

    Arora, Liang, Ma (2017). The share is that among the tokens of some rows, each token counted once more than it
    stands there; without rows it is that of Zipf's law, the vocabulary being sorted by how frequent tokens are.
    """
    ranks = np.arange(1, tokens + 1)
    share = 1 / ranks if seen is None else np.bincount(seen.ids, minlength=tokens)[:tokens] + 1.0
    return np.asarray(COMMON / (COMMON + share / share.sum()))


def means(table: Floats32, cut: Ragged) -> Floats32:
    """Return the mean of each row's tokens, of length 1, shape (n, width), as :func:`graph_of` makes it."""
    made = np.zeros((len(cut), table.shape[1]), np.float32)
    for row, (start, end) in enumerate(pairwise(cut.ends)):
        made[row] = table[cut.ids[start:end]].sum(axis=0)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / np.maximum(lengths, TINY), np.float32)


def _head(features: Floats32, rows: Split, work: Work, meter: Meter) -> Weights:
    """Fit the head on what the encoder answers."""
    if rows.lesson is not None:
        rows, of = unrolled_from(rows, rows.lesson)
        features = features[of]
    return solve(features, rows, inverse_penalty=INVERSE_PENALTY, work=work, meter=meter)


def graph_of(encoder: Encoder, table: Floats32, head: Weights, work: Work) -> bytes:
    """Return the graph: tokens are looked up, summed where there are any, brought to length 1, and go to the head."""
    graph, (ids, mask) = Graph(), encoder.feed.inputs
    _, there = tokens(graph, ids, mask)
    state = graph.add("Gather", graph.constant(table), ids, axis=0)
    vector = pooled(graph, state, there, "mean")
    product = graph.add("MatMul", vector, graph.constant(head.slopes.astype(np.float32)))
    sums = graph.add("Add", product, graph.constant(head.offsets.astype(np.float32)))
    made = onnx.load_model_from_string(seal(graph, sums, work.task))
    for own, other in ((made.graph.input, encoder.model.graph.input), (made.graph.output, encoder.model.graph.output)):
        del own[:]
        own.extend(other)
    return bytes(made.SerializeToString(deterministic=True))
