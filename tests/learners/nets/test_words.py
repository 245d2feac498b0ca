"""Vocabulary and reading of text, and nets over its tokens: a row is answered alike whatever it is batched with."""

import io
import json
import os
import warnings

import numpy as np
import pytest

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Column, Kind, Schema, Split
from steelyard.errors import DataUnfit
from steelyard.learners.nets import vocabulary
from steelyard.learners.nets.words import Words, learned

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

REVIEWS = ["房间很大，服务不错", "房间很小，服务很差", "服务员很热情，房间干净", "早餐一般，房间太吵"]


def split(*columns):
    found = {name: np.array(texts, object) for name, texts in columns}
    n = len(columns[0][1])
    return Split(found, np.zeros(n, np.int64), np.arange(n))


def schema(*names):
    return Schema(tuple(Column(name=name, kind=Kind.TEXT) for name in names))


# ------------------------------------------------------------------------------------------------ vocabulary


def tokens_of(content, text):
    from tokenizers import Tokenizer

    return Tokenizer.from_buffer(content).encode(text).tokens


def test_a_vocabulary_joins_what_stands_together_in_a_script_without_spaces():
    content = vocabulary.learn(REVIEWS * 3, size=200, least=3)
    assert tokens_of(content, "房间服务") == ["[CLS]", "房间服务"] or tokens_of(content, "房间服务") == [
        "[CLS]",
        "房间",
        "服务",
    ]


def test_case_width_and_control_characters_make_no_difference():
    content = vocabulary.learn(["the great wifi"] * 3, size=100, least=2)
    plain = tokens_of(content, "the great wifi")
    assert tokens_of(content, "The GREAT \uff57\uff49\uff46\uff49\x00") == plain
    assert "[UNK]" not in plain


def test_special_tokens_have_the_ids_that_the_nets_count_on():
    content = vocabulary.learn(["a b"], size=64, least=2)
    words = json.loads(content)["model"]["vocab"]
    assert [words[token] for token in vocabulary.SPECIAL] == [0, 1, 2, 3]
    assert vocabulary.size_of(content) == 1 + max(words.values())


def test_a_vocabulary_keeps_its_size_and_leaves_rare_pairs_apart():
    texts = ["abc abd abe xyz"] * 2 + ["qrs"]
    assert vocabulary.size_of(vocabulary.learn(texts, size=16, least=2)) <= 16
    assert "qr" not in json.loads(vocabulary.learn(texts, size=100, least=2))["model"]["vocab"]


def test_the_same_texts_give_the_same_vocabulary_and_no_setting_of_the_process_is_left_behind():
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    assert vocabulary.learn(REVIEWS, size=100, least=2) == vocabulary.learn(REVIEWS, size=100, least=2)
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before


def test_texts_that_nobody_should_write_are_learned_from():
    odd = ["", "\ud83d half", "😀👩‍👩‍👧", "a" * 100_000, "猫 кот cat"]
    content = vocabulary.learn(odd * 2, size=300, least=2)
    assert tokens_of(content, "猫 cat")[0] == "[CLS]"


# --------------------------------------------------------------------------------------------------- reading


def test_a_reading_gives_training_the_very_tensors_of_a_bundle():
    train = split(("review", [*REVIEWS, "", "房"]))
    reading = learned(train, schema("review"), size=300, least=2, length=6)
    material = reading.material(train.columns)
    served = FRONT_ENDS["tokens"](reading.feeds[0], reading.files)(train.columns)
    batch = material.batch(np.arange(len(material)))
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {k: v.tolist() for k, v in served.items()}
    assert material.lengths.tolist() == served["mask_0"].sum(1).tolist()


def test_a_batch_is_padded_to_its_own_longest_row():
    train = split(("review", [*REVIEWS, "房"]))
    material = learned(train, schema("review"), size=300, least=100, length=64).material(train.columns)
    assert material.batch(np.array([4]))["ids_0"].shape == (1, 2)


def test_several_columns_share_a_vocabulary_and_have_inputs_of_their_own():
    train = split(("title", ["good stay", "bad stay"]), ("review", ["good bed", "bad bed bad"]))
    reading = learned(train, schema("title", "review"), size=100, least=1, length=16)
    batch = reading.material(train.columns).batch(np.array([0, 1]))
    assert set(batch) == {"ids_0", "mask_0", "ids_1", "mask_1"}
    assert batch["ids_0"][0, 1] == batch["ids_1"][0, 1]
    assert reading.material(train.columns).lengths.tolist() == [6, 7]
    assert [feed.columns for feed in reading.feeds] == [("title",), ("review",)]


def test_a_column_that_is_empty_beside_one_that_is_not_is_read_as_empty():
    train = split(("title", ["", ""]), ("review", ["good bed", "bad bed"]))
    batch = (
        learned(train, schema("title", "review"), size=100, least=1, length=16)
        .material(train.columns)
        .batch(np.arange(2))
    )
    assert batch["mask_0"].tolist() == [[1], [1]]


def test_text_that_is_empty_in_every_row_is_refused_with_a_way_out():
    with pytest.raises(DataUnfit, match=r"'note' is empty in every training row.*columns.ignore"):
        learned(split(("note", ["", " ", "\n"])), schema("note"), size=100, least=1, length=16)


def test_a_reading_by_a_given_tokenizer_asks_for_types_where_it_is_told_to():
    content = vocabulary.learn(["a b"], size=64, least=1)
    reading = Words.of(("a",), content, 8, types=True)
    assert reading.feeds[0].inputs == ("ids_0", "mask_0", "types_0")
    assert set(reading.material({"a": np.array(["a b"], object)}).batch(np.array([0]))) == {
        "ids_0",
        "mask_0",
        "types_0",
    }


# ------------------------------------------------------------------------------------------------------ nets


def bodies(columns=1):
    from steelyard.learners.nets.text_bodies import TextCnn, TextRnn

    sizes = {"vocabulary": 40, "columns": columns, "embedding": 8, "dropout": 0.3, "outputs": 3}
    return {
        "cnn": lambda: TextCnn(channels=6, widths=(1, 2, 3, 4), **sizes),
        "lstm": lambda: TextRnn(units=5, cell="lstm", **sizes),
        "gru": lambda: TextRnn(units=5, cell="gru", **sizes),
    }


def rows(lengths, *, width=None, columns=1, seed=0, pad=0):
    random, width = np.random.default_rng(seed), width or max(lengths)
    found = {}
    for place in range(columns):
        mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
        ids = np.where(mask == 1, random.integers(4, 40, (len(lengths), width)), pad)
        found |= {f"ids_{place}": torch.from_numpy(ids), f"mask_{place}": torch.from_numpy(mask)}
    return found


@pytest.mark.parametrize("body", ["cnn", "lstm", "gru"])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_row_is_answered_alike_alone_and_padded(body, columns):
    torch.manual_seed(0)
    net = bodies(columns)[body]().eval()
    lengths = [1, 2, 7, 4, 0]
    together = rows(lengths, width=11, columns=columns)
    said = net(together).detach().numpy()
    for row, length in enumerate(lengths):
        alone = {name: tensor[row : row + 1, : max(length, 1)] for name, tensor in together.items()}
        assert np.allclose(net(alone).detach().numpy()[0], said[row], atol=1e-6)
    assert np.isfinite(said).all()


@pytest.mark.parametrize("body", ["lstm", "gru"])
def test_what_pads_a_recurrent_net_is_not_looked_at(body):
    torch.manual_seed(0)
    net = bodies()[body]().eval()
    zeros, others = rows([2, 5], width=9), rows([2, 5], width=9, pad=17)
    assert np.allclose(net(zeros).detach().numpy(), net(others).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("body", ["lstm", "gru"])
def test_a_recurrent_layer_says_what_a_packed_one_says(body):
    from steelyard.learners.nets.recurrent import Recurrent

    torch.manual_seed(0)
    layer = Recurrent(4, 3, body)
    kind = torch.nn.LSTM if body == "lstm" else torch.nn.GRU
    packed = kind(4, 3, batch_first=True, bidirectional=True)
    for name, weight in layer.forth.named_parameters():
        getattr(packed, name).data.copy_(weight.data)
    for name, weight in layer.back.named_parameters():
        getattr(packed, f"{name}_reverse").data.copy_(weight.data)
    lengths = torch.tensor([3, 6, 1])
    mask = (torch.arange(6) < lengths[:, None]).long()
    x = torch.randn(3, 6, 4)
    held = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    theirs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed(held)[0], batch_first=True)
    assert torch.allclose(layer(x, mask), theirs, atol=1e-6)


@pytest.mark.parametrize("body", ["cnn", "lstm", "gru"])
def test_the_exported_graph_answers_batches_of_any_size_and_length(body):
    ort = pytest.importorskip("onnxruntime")
    from steelyard.contracts import Problem, Task
    from steelyard.learners.nets.export import axes_of, exported
    from steelyard.learners.nets.scale import Scale

    torch.manual_seed(0)
    net = bodies(2)[body]().eval()
    task = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
    example = rows([3, 5], columns=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = exported(net, example, axes_of(example, ragged=True), task, Scale())
    session = ort.InferenceSession(io.BytesIO(graph).getvalue(), providers=["CPUExecutionProvider"])
    for lengths in ([1], [9], [4, 1, 0, 30], [2] * 50):
        batch = rows(lengths, columns=2, seed=len(lengths), width=max(lengths) + 2)
        theirs = net(batch).softmax(1).detach().numpy()
        ours = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        assert np.abs(ours - theirs).max() < 1e-6
