"""A pretrained encoder tags what it reads: first pieces, capitals beside them, and nothing beyond its length."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.tagging import TagModel
from steelyard.contracts import Feed, Problem, Schema, Task
from steelyard.data.coerce import objects
from steelyard.errors import BundleRefused
from steelyard.learners._encoder_tagger import EncodedTagger
from steelyard.learners.pretrained.checkpoints import find
from steelyard.recipe import Plan, Settings
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import tagged

tokenizers = pytest.importorskip("tokenizers")
WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "ann",
    "bob",
    "cleo",
    "os",
    "##lo",
    "near",
    "in",
    "new",
    "york",
    "met",
    "and",
)
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 160,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


@pytest.fixture(scope="module")
def tokenizer():
    """Cut words as an uncased BERT does, with next to no vocabulary."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return made.to_str().encode()


def read(tokenizer, rows, length=12):
    feed = Feed("subwords", ("ids", "mask", "looks", "first"), ("words",), {"tokenizer": "t", "length": length})
    return FRONT_ENDS["subwords"](feed, {"t": tokenizer})({"words": objects(rows)})


def test_the_first_piece_of_each_token_is_found_and_how_it_is_written(tokenizer):
    made = read(tokenizer, [("Oslo", "near", "ANN"), ("bob",)])
    assert made["ids"].tolist() == [[2, 7, 8, 9, 4, 3], [2, 5, 3, 0, 0, 0]]
    assert made["first"].tolist() == [[1, 3, 4], [1, 0, 0]]
    assert made["looks"].tolist() == [[0, 2, 2, 1, 3, 0], [0, 1, 0, 0, 0, 0]]
    assert made["mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]


def test_tokens_without_a_piece_and_beyond_the_length_stand_at_the_place_of_none(tokenizer):
    made = read(tokenizer, [("ann", "\u200b", "bob"), ("ann",) * 20])
    assert made["first"][0, :3].tolist() == [1, 0, 2]
    assert made["first"][1].tolist() == [*range(1, 11), *[0] * 10]


def test_what_looks_like_a_special_piece_is_text(tokenizer):
    made = read(tokenizer, [("[SEP]", "ann")])
    assert made["ids"][0].tolist().count(3) == 1


def test_a_file_that_is_no_tokenizer_and_a_length_of_nothing_are_refused(tokenizer):
    with pytest.raises(BundleRefused, match="no tokenizer that this"):
        read(b"{}", [("ann",)])
    with pytest.raises(BundleRefused, match="from 3 to"):
        read(tokenizer, [("ann",)], length=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """Save a checkpoint of a tiny BERT whose weights are noise."""
    torch, library = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    home, draw = tmp_path_factory.mktemp("bert"), torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(shape, generator=draw) * 0.2

    weights = {
        "embeddings.word_embeddings.weight": noise(len(WORDS), 16),
        "embeddings.position_embeddings.weight": noise(160, 16),
        "embeddings.token_type_embeddings.weight": noise(2, 16),
        "embeddings.LayerNorm.weight": torch.ones(16),
        "embeddings.LayerNorm.bias": torch.zeros(16),
    }
    shapes = {"intermediate.dense": (32, 16), "output.dense": (16, 32)}
    shapes |= {f"attention.{part}": (16, 16) for part in ("self.query", "self.key", "self.value", "output.dense")}
    for layer in range(2):
        for part, shape in shapes.items():
            weights[f"encoder.layer.{layer}.{part}.weight"] = noise(*shape)
            weights[f"encoder.layer.{layer}.{part}.bias"] = noise(shape[0])
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{layer}.{part}.weight"] = torch.ones(16)
            weights[f"encoder.layer.{layer}.{part}.bias"] = torch.zeros(16)
    library.save_file(weights, home / "model.safetensors")
    (home / "config.json").write_text(json.dumps(CONFIG))
    (home / "tokenizer.json").write_bytes(tokenizer)
    return home


@pytest.fixture(scope="module")
def task(folder):
    """Return rows of tokens with tags, to be read with the tiny checkpoint."""
    plain, mark = tagged(), find(str(folder)).mark
    columns = tuple(replace(column, checkpoints=(mark,)) for column in plain.schema.columns)
    return replace(plain, schema=Schema(columns))


@pytest.mark.slow
def test_it_trains_ships_and_tags_what_it_did_not_read_with_o(task):
    pytest.importorskip("transformers")
    plan = Plan(settings=Settings(epochs=2, length=16))
    fitted = EncodedTagger().fit(plan, task.train, task.valid, task.work, Watch())
    artefact = fitted.export()
    assert "bert" in artefact.pretrained
    model = TagModel(artefact, task.task, task.schema, threads=1)
    columns = {"words": objects([*task.valid.columns["words"][:8], (), ("Oslo",) * 60, ("\u200b",)])}
    answer, own = model.answer(columns), fitted.scores(columns)
    for shipped, framework in zip(answer.scores, own, strict=True):
        np.testing.assert_allclose(shipped, framework, atol=1e-4)
    assert not answer.decided[9][20:].any()
    assert answer.decided[10].tolist() == [0]


@pytest.mark.slow
def test_its_graph_answers_as_the_net_once_all_weights_have_moved(folder):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from steelyard.learners._graph import session
    from steelyard.learners.pretrained.tags import TagNet, graph_of

    classes = ("O", "B-x", "I-x")
    net = TagNet(find(str(folder)), classes, dropout=0.1).eval()
    with torch.no_grad():
        for number, weight in enumerate(net.parameters()):
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) * 0.1)
    inputs = {
        "ids": torch.tensor([[2, 4, 7, 8, 3], [2, 6, 3, 0, 0]]),
        "mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "looks": torch.tensor([[0, 1, 2, 2, 0], [0, 3, 0, 0, 0]]),
        "first": torch.tensor([[1, 2], [1, 0]]),
    }
    graph = graph_of(net, tuple(inputs), Task(problem=Problem.TAGGING, target="t", aim="entity_f1", classes=classes))
    (found,) = session(graph, threads=1).run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, net(inputs).softmax(-1).numpy(), atol=1e-5)
    assert found[1, 1].argmax() == 0


def test_a_table_without_an_encoder_for_its_text_is_refused(task):
    nothing = tuple(replace(column, checkpoints=("no-such-encoder@123",)) for column in task.schema.columns)
    refusal = EncodedTagger().accepts(task.task, Schema(nothing))
    assert "finds no pretrained encoder" in refusal.sentence
    assert EncodedTagger().accepts(task.task, task.schema) is None
