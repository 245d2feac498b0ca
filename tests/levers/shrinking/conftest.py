"""A small encoder of text as our learners export one, with random weights and a head that suits it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Artefact, Feed, Problem, Split
from steelyard.testing.scenes import scene

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "late", "broken", "refund", "angry", "parcel", "kind", "quick", "thanks"]
WORDS += ["lovely", "invoice", "address", "change", "account", "zebra"]
WIDTH, INNER, HEADS = 16, 24, 2


def tokenizer() -> bytes:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    framed = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    framed.append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})
    special = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": framed,
            "pair": [*framed, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special,
        },
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    return json.dumps(whole).encode()


def weights_of(layers: int, random: np.random.Generator):
    from steelyard.learners.pretrained.architectures import Affine, Layer, Norm, Weights

    def table(*shape):
        return random.normal(size=shape, scale=0.3).astype(np.float32)

    def affine(into, out):
        return Affine(table(into, out), table(out))

    def norm():
        return Norm(1 + table(WIDTH) / 5, table(WIDTH) / 5)

    def layer():
        square = {name: affine(WIDTH, WIDTH) for name in ("query", "key", "value", "output")}
        ends = {"middle": norm(), "end": norm()}
        return Layer(**square, **ends, up=affine(WIDTH, INNER), down=affine(INNER, WIDTH))

    words = random.normal(size=(len(WORDS), WIDTH)).astype(np.float32)
    made = tuple(layer() for _ in range(layers))
    return Weights(words=words, places=table(48, WIDTH), norm=norm(), layers=made, heads=HEADS, epsilon=1e-12)


def encoder(problem: Problem, layers: int = 4):
    """An encoder whose head was fitted on the scene of texts; returned with the scene."""
    from onnx import TensorProto

    from steelyard.learners._graph import Graph, session
    from steelyard.learners._head import seal
    from steelyard.learners._solve import solve
    from steelyard.learners.pretrained.graph import hidden, pooled, tokens
    from steelyard.testing.pupils import Watch

    world = scene("text", problem)
    weights, feed = weights_of(layers, np.random.default_rng(5)), None
    column = world.schema.features[0].name
    feed = Feed("tokens", ("ids", "mask"), (column,), {"tokenizer": "tokenizer.json", "length": 16, "pad": 0})
    files = {"tokenizer.json": tokenizer()}

    def body():
        graph = Graph()
        ids, there = tokens(graph, "ids", "mask")
        return graph, pooled(graph, hidden(graph, weights, ids, there), there, "mean")

    graph, vector = body()
    from steelyard.bundle.front_ends import FRONT_ENDS

    filled = FRONT_ENDS["tokens"](feed, files)(world.train.columns)
    vectors = session(graph.seal((vector, TensorProto.FLOAT, ["n", WIDTH])), threads=1).run(None, filled)[0]
    head = solve(vectors, world.train, inverse_penalty=300.0, work=world.work, meter=Watch())
    graph, vector = body()
    product = graph.add("MatMul", vector, graph.constant(head.slopes.astype(np.float32)))
    sums = graph.add("Add", product, graph.constant(head.offsets.astype(np.float32)))
    return Artefact(seal(graph, sums, world.task), (feed,), files), world


@pytest.fixture(scope="session")
def encoders():
    """Return a small encoder and its scene, by problem."""
    made: dict[Problem, tuple[Artefact, object]] = {}

    def of(problem: Problem = Problem.MULTICLASS):
        if problem not in made:
            made[problem] = encoder(problem)
        return made[problem]

    return of


@pytest.fixture(scope="session")
def scores():
    """Return what a graph answers to rows, as a bundle would."""
    from steelyard.bundle.running import GraphModel

    def of(artefact: Artefact, world, rows: Split):
        return GraphModel(artefact, world.task, world.schema, threads=1).answer(rows.columns).scores

    return of


@pytest.fixture(scope="session")
def texts():
    """Return rows with other texts."""

    def of(world, *given: str):
        rows = world.train.take(np.arange(len(given)))
        column = world.schema.features[0].name
        return replace(rows, columns={**rows.columns, column: np.array(given, object)})

    return of
