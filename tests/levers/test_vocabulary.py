import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends.text import Analyser, write_vocabulary
from steelyard.bundle.running import session_of
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Split
from steelyard.learners._graph import Graph
from steelyard.learners.nets.vocabulary import learn
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._vocabulary import Vocabulary
from steelyard.recipe import Settings
from steelyard.testing import check_lever
from steelyard.testing.situations import situation

tokenizers = pytest.importorskip("tokenizers")
SEEN = ["the lower tower", "lowest of the low", "a tower of the town", "the town is low", "low low tower"]
STRANGE = ["lowly wolves", "nowhere town", "", "the жук", "zebra 7!", "low"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "unseen", "the", "low", "##er", "##est", "tower", "of", "town", "is"]
WORDS += (
    [f"never{i}" for i in range(60)] + list("abcdefghijklmnopqrstuvwxyz7!ж字é") + ["##" + c for c in "abeilnoswvrtyuhщ"]
)


def wordpiece(order=WORDS):
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: i for i, w in enumerate(order)}, unk_token="[UNK]", max_input_chars_per_word=50)
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    framing = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=framing
    )
    return made.to_str().encode()


def unigram():
    """Pieces with scores; the unknown one stands in the middle, and one token was added behind."""
    pieces = [("\u2581", -6.0), ("\u2581the", -2.0), ("<unk>", 0.0), ("\u2581low", -3.0), ("er", -3.5), ("est", -3.5)]
    pieces += [("\u2581tow", -4.0), ("\u2581town", -3.5), ("\u2581of", -3.0), ("\u2581is", -3.0)]
    pieces += [(f"never{i}", -9.0) for i in range(60)] + [(c, -8.0) for c in "abcdefghijklmnopqrstuvwxyzж字"]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.add_special_tokens(["<s>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
    )
    return made.to_str().encode()


def bpe():
    return learn([*SEEN, *["never ever clever"] * 9, "qqqqq wwww xxxx zzzz"], size=200, least=1)


def byte_level():
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=440,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([*SEEN, *[f"never{i} clever{i}" for i in range(99)] * 3], trainer)
    made.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return made.to_str().encode()


KINDS = {"wordpiece": wordpiece, "unigram": unigram, "bpe": bpe, "byte-level": byte_level}


def made_of(tokenizer, pad=0, dtype=np.float32, width=3):
    """A model that adds up a row of a table for each token."""
    size = tokenizers.Tokenizer.from_buffer(tokenizer).get_vocab_size()
    random = np.random.default_rng(5)
    graph = Graph()
    ids = graph.input("ids", TensorProto.INT64, ["n", "tokens"])
    mask = graph.add("Cast", graph.input("mask", TensorProto.INT64, ["n", "tokens"]), to=TensorProto.FLOAT)
    rows = graph.add("Gather", graph.constant(random.normal(size=(size + 7, width)).astype(dtype)), ids, axis=0)
    there = graph.add("Unsqueeze", mask, graph.constant(np.array([2])))
    total = graph.add("ReduceSum", graph.add("Mul", rows, there), graph.constant(np.array([1])), keepdims=0)
    scores = graph.add("Softmax", total, output="scores")
    feed = Feed("tokens", ("ids", "mask"), ("note",), {"tokenizer": "tokenizer.json", "length": 32, "pad": pad})
    files = {"tokenizer.json": tokenizer}
    return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", width])), (feed,), files)


def rows_of(texts):
    cells = np.empty(len(texts), object)
    cells[:] = texts
    return Split({"note": cells}, np.zeros(len(texts), np.int64), np.arange(len(texts)))


def tensors(made, texts):
    columns = rows_of(texts).columns
    return {k: v for feed in made.feeds for k, v in FRONT_ENDS[feed.front_end](feed, made.files)(columns).items()}


def answers(made, texts):
    return session_of(made.graph, threads=1).run(["scores"], tensors(made, texts))[0]


def pieces(made, text):
    """Return the tokens of a text by name."""
    return tokenizers.Tokenizer.from_buffer(made.files["tokenizer.json"]).encode(text).tokens


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_were_seen_are_cut_and_answered_as_before(kind, work, meter):
    made = made_of(KINDS[kind]())
    small = Vocabulary().apply(made, rows_of(SEEN), Settings(), work, meter)
    assert [pieces(small, text) for text in SEEN] == [pieces(made, text) for text in SEEN]
    np.testing.assert_array_equal(answers(small, SEEN), answers(made, SEEN))
    before, after = (len(known_by(one)) for one in (made, small))
    assert after < 0.8 * before
    assert onnx.load_from_string(small.graph).graph.initializer[-1].dims[0] <= after
    assert meter.notes == [f"vocabulary keeps {after} of {before} tokens of tokenizer.json."]


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_were_not_seen_are_cut_into_smaller_pieces(kind, work, meter):
    made = made_of(KINDS[kind]())
    small = Vocabulary().apply(made, rows_of(SEEN), Settings(), work, meter)
    assert np.isfinite(answers(small, STRANGE)).all()
    ids = tensors(small, STRANGE)["ids"]
    assert ids.max() < len(known_by(small))
    joined = "".join(pieces(small, "never town")).replace("##", "").replace("\u2581", "").replace("\u0120", "")
    assert "nevertown" in joined


def known_by(made):
    return tokenizers.Tokenizer.from_buffer(made.files["tokenizer.json"]).get_vocab()


def test_special_tokens_and_what_pads_keep_their_meaning(work, meter):
    order = ["never0", "[UNK]", *WORDS[4:], "[SEP]", "[PAD]", "[CLS]"]
    order = list(dict.fromkeys(order))
    made = made_of(wordpiece(order), pad=order.index("[PAD]"))
    small = Vocabulary().apply(made, rows_of(SEEN), Settings(), work, meter)
    known = known_by(small)
    assert small.feeds[0].options["pad"] == known["[PAD]"] != made.feeds[0].options["pad"]
    assert {k: v for k, v in small.feeds[0].options.items() if k != "pad"} == {
        "tokenizer": "tokenizer.json",
        "length": 32,
    }
    assert pieces(small, "the town") == ["[CLS]", "the", "town", "[SEP]"]
    assert tensors(small, ["low"])["ids"].tolist() == [[known["[CLS]"], known["low"], known["[SEP]"]]]
    np.testing.assert_array_equal(answers(small, SEEN), answers(made, SEEN))


def test_characters_stay_of_scripts_that_occur_and_no_others(work, meter):
    small = Vocabulary().apply(made_of(wordpiece()), rows_of([*SEEN, "\u00e9"]), Settings(), work, meter)
    known = known_by(small)
    assert {"z", "##y", "7", "!", "\u00e9"} <= known.keys()
    assert not {"\u0436", "\u5b57", "##\u0449"} & known.keys()
    assert pieces(small, "\u0436\u0443\u043a") == ["[CLS]", "[UNK]", "[SEP]"]


def test_rare_tokens_go_and_what_takes_their_place_is_counted_first(work, meter):
    made = made_of(wordpiece())
    small = Vocabulary().apply(made, rows_of(SEEN), Settings(least=3), work, meter)
    known = known_by(small)
    assert {"the", "low", "tower"} <= known.keys()
    assert not {"is", "of", "##est", "unseen"} & known.keys()
    assert pieces(small, "is") == ["[CLS]", "i", "##s", "[SEP]"]


def test_pieces_that_rare_words_fall_into_stay_though_they_never_stood_alone(work, meter):
    made = made_of(wordpiece([*WORDS, "lowest", "slowest"]))
    rows = rows_of(["lowest slowest", "slowest lowest", "low low low"])
    assert "##est" not in {piece for text in rows.columns["note"] for piece in pieces(made, text)}
    small = Vocabulary().apply(made, rows, Settings(least=3), work, meter)
    assert pieces(small, "lowest") == ["[CLS]", "low", "##est", "[SEP]"]


def test_joins_that_lead_to_a_token_stay(work, meter):
    made = made_of(bpe())
    small = Vocabulary().apply(made, rows_of(["lower"] * 3), Settings(), work, meter)
    model = json.loads(small.files["tokenizer.json"])["model"]
    assert pieces(small, "lower") == pieces(made, "lower") == ["[CLS]", "lower"]
    assert {"".join(pair) for pair in model["merges"]} <= model["vocab"].keys()
    assert len(model["merges"]) < len(json.loads(made.files["tokenizer.json"])["model"]["merges"]) / 2


def test_two_columns_share_a_tokenizer_and_count_together(work, meter):
    tokenizer = wordpiece()
    graph, random = Graph(), np.random.default_rng(2)
    sums = []
    for place in range(2):
        ids = graph.input(f"ids_{place}", TensorProto.INT64, ["n", f"tokens_{place}"])
        graph.input(f"mask_{place}", TensorProto.INT64, ["n", f"tokens_{place}"])
        table = graph.constant(random.normal(size=(len(WORDS), 3)).astype(np.float32))
        sums.append(graph.add("ReduceSum", graph.add("Gather", table, ids), graph.constant(np.array([1])), keepdims=0))
    scores = graph.add("Softmax", graph.add("Add", *sums), output="scores")
    options = {"tokenizer": "tokenizer.json", "length": 32, "pad": 0}
    feeds = tuple(Feed("tokens", (f"ids_{i}", f"mask_{i}"), (("note", "more")[i],), options) for i in range(2))
    made = Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), feeds, {"tokenizer.json": tokenizer})
    split = rows_of(["the tower"])
    split = Split({**split.columns, "more": rows_of(["low town"]).columns["note"]}, split.target, split.rows)
    small = Vocabulary().apply(made, split, Settings(), work, meter)
    assert {"the", "tower", "low", "town"} <= known_by(small).keys()

    def run(one):
        found = {}
        for feed in one.feeds:
            found |= FRONT_ENDS[feed.front_end](feed, one.files)(split.columns)
        return session_of(one.graph, threads=1).run(["scores"], found)[0]

    np.testing.assert_array_equal(run(small), run(made))


def test_n_grams_that_are_rare_are_left_out(work, meter):
    grams = ["the", "low", "tower", "is", "lower", "of", "town", "lowest"]
    graph = Graph()
    ids = graph.input("ids", TensorProto.INT64, ["n", "grams"])
    counts = graph.input("counts", TensorProto.FLOAT, ["n", "grams"])
    table = np.vstack([np.arange(24, dtype=np.float32).reshape(8, 3) / 9, np.zeros((1, 3), np.float32)])
    rows = graph.add("Gather", graph.constant(table), ids)
    weights = graph.add("Unsqueeze", counts, graph.constant(np.array([2])))
    total = graph.add("ReduceSum", graph.add("Mul", rows, weights), graph.constant(np.array([1])), keepdims=0)
    scores = graph.add("Softmax", total, output="scores")
    feed = Feed("counts", ("ids", "counts"), ("note",), {"vocabulary": "words.json", **Analyser().options()})
    sealed = graph.seal((scores, TensorProto.FLOAT, ["n", 3]))
    made = Artefact(sealed, (feed,), {"words.json": write_vocabulary(grams)})
    small = Vocabulary().apply(made, rows_of(SEEN), Settings(least=2), work, meter)
    assert json.loads(small.files["words.json"]) == ["the", "low", "tower", "of", "town"]
    assert small.feeds == made.feeds
    for text in ("the low tower of the town", "", "unknown"):
        np.testing.assert_allclose(answers(small, [text]), answers(made, [text]), atol=1e-6)


def test_a_quantised_table_is_cut_with_its_scales(work, meter):
    made = made_of(wordpiece(), width=4)
    model = onnx.load_from_string(made.graph)
    table = onnx.numpy_helper.to_array(model.graph.initializer[0])
    scale = np.abs(table).max(axis=1) / 127
    held = {"eight": np.round(table / scale[:, None]).astype(np.int8), "scale": scale.astype(np.float32)}
    gather = next(node for node in model.graph.node if node.op_type == "Gather")
    gather.input[0] = "floats"
    back = onnx.helper.make_node("DequantizeLinear", ["eight", "scale"], ["floats"], axis=0)
    model.graph.node.insert(0, back)
    del model.graph.initializer[0]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in held.items())
    eight = Artefact(model.SerializeToString(), made.feeds, made.files)
    small = Vocabulary().apply(eight, rows_of(SEEN), Settings(), work, meter)
    np.testing.assert_array_equal(answers(small, SEEN), answers(eight, SEEN))
    assert len(small.graph) < len(eight.graph)


def _computing(made):
    """Let the graph compute with the numbers of tokens themselves."""
    model = onnx.load_from_string(made.graph)
    for node in model.graph.node:
        if node.op_type == "Gather":
            node.input[1] = "even"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(2), "two"))
    model.graph.node.insert(0, onnx.helper.make_node("Mod", ["ids", "two"], ["even"]))
    return Artefact(model.SerializeToString(), made.feeds, made.files)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m, "finds fewer than 5%"),
        (lambda m: Artefact(m.graph, (), {}), "no front end that reads text"),
        (_computing, "in which Mod reads 'ids'"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_sentence(change, sentence, work, meter):
    made = change(made_of(wordpiece(WORDS[:13] if sentence.startswith("finds") else WORDS)))
    with pytest.raises(LeverRefused, match=sentence):
        Vocabulary().apply(made, rows_of([*SEEN, "unseen"]), Settings(), work, meter)


def test_it_keeps_what_every_lever_keeps():
    one = situation(Problem.MULTICLASS)
    notes = rows_of(SEEN * 20)
    check_lever("vocabulary", among=[replace(one, artefact=made_of(wordpiece()), rows=notes)])


def test_it_is_proposed_to_models_of_text_alone(context, trial):
    heavy = trial(1, "lines")
    assert [m.recipe.lever for m in Vocabulary().moves(heavy, context(heavy))] == ["vocabulary"]
    numbers = Schema((Column(name="age", kind=Kind.NUMBER),))
    assert not list(Vocabulary().moves(heavy, context(heavy, schema=numbers)))
    assert not list(Vocabulary().moves(trial(2, "trees"), context(heavy)))


def test_no_rows_are_refused(work, meter):
    with pytest.raises(LeverRefused, match="needs training rows"):
        Vocabulary().apply(made_of(wordpiece()), rows_of([]), Settings(), work, meter)
