import numpy as np
import onnx
import pytest
from onnx import TensorProto

from steelyard.bundle.running import session_of
from steelyard.contracts import Artefact, Feed, Split
from steelyard.learners._graph import Graph
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._factorise import Factorise
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.levers.shrinking.graphs import lowrank
from steelyard.recipe import Settings, Shrink

COLUMNS, ROWS = 96, 200


def weights(random, *shape):
    return (random.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)


def split_of(random, axes=None):
    """Rows of numbers, which lie along a few axes where these are given."""
    cells = random.normal(size=(ROWS, COLUMNS if axes is None else len(axes)))
    cells = cells if axes is None else cells @ axes
    columns = {f"x{i}": cells[:, i] for i in range(COLUMNS)}
    return Split(columns, np.zeros(ROWS, np.int64), np.arange(ROWS))


def dense(random, op="MatMul", outputs=128, classes=3):
    """A net of one hidden layer on numbers."""
    graph = Graph()
    x = graph.add("Cast", graph.input("numbers", TensorProto.DOUBLE, ["n", COLUMNS]), to=TensorProto.FLOAT)
    weight, offset = weights(random, COLUMNS, outputs), graph.constant(weights(random, outputs))
    if op == "Gemm":
        inner = graph.add("Gemm", x, graph.constant(np.ascontiguousarray(weight.T)), offset, transB=1, alpha=1.5)
    else:
        inner = graph.add("Add", graph.add("MatMul", x, graph.constant(weight)), offset)
    last = graph.add("MatMul", graph.add("Relu", inner), graph.constant(weights(random, outputs, classes)))
    scores = graph.add("Softmax", last, output="scores")
    feed = Feed("numbers", ("numbers",), tuple(f"x{i}" for i in range(COLUMNS)))
    return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", classes])), (feed,))


def answers(made, split):
    numbers = np.column_stack([split.columns[f"x{i}"] for i in range(COLUMNS)])
    return session_of(made.graph, threads=1).run(["scores"], {"numbers": numbers})[0]


def numbers_of(made):
    return sum(int(np.prod(t.dims)) for t in onnx.load_from_string(made.graph).graph.initializer)


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_what_lies_along_few_directions_is_kept_whole(op, random, work, meter):
    made, split = dense(random, op), split_of(random, axes=random.normal(size=(12, COLUMNS)) / 9)
    small = Factorise().apply(made, split, Settings(keep=0.4), work, meter)
    assert numbers_of(small) < 0.5 * numbers_of(made)
    np.testing.assert_allclose(answers(small, split), answers(made, split), atol=2e-3)
    assert meter.notes[0].startswith("factorise cut 1 of 1 weights: 96 x 128 to rank ")


def test_it_looks_at_outputs_and_not_at_weights_alone(random, work, meter):
    made, split = dense(random), split_of(random, axes=random.normal(size=(12, COLUMNS)) / 9)
    small = Factorise().apply(made, split, Settings(keep=0.25), work, meter)
    model = onnx.load_from_string(made.graph)
    place = next(i for i, t in enumerate(model.graph.initializer) if list(t.dims) == [COLUMNS, 128])
    weight = onnx.numpy_helper.to_array(model.graph.initializer[place])
    shapes = [t.dims for t in onnx.load_from_string(small.graph).graph.initializer if t.name.endswith("_narrow")]
    left, lengths, right = np.linalg.svd(weight, full_matrices=False)
    plain = (left[:, : shapes[0][1]] * lengths[: shapes[0][1]]) @ right[: shapes[0][1]]
    name = model.graph.initializer[place].name
    model.graph.initializer[place].CopyFrom(onnx.numpy_helper.from_array(plain.astype(np.float32), name))
    by_weights = Artefact(model.SerializeToString(), made.feeds)
    lost, plainly = (np.abs(answers(one, split) - answers(made, split)).mean() for one in (small, by_weights))
    assert lost < plainly / 5


@pytest.mark.parametrize("keep", [0.7, 0.5, 0.2])
def test_as_many_numbers_stay_as_were_asked_for(keep, random, work, meter):
    made = dense(random, outputs=300)
    small = Factorise().apply(made, split_of(random), Settings(keep=keep), work, meter)
    large = COLUMNS * 300
    rest = numbers_of(made) - large
    assert keep - 0.06 < (numbers_of(small) - rest) / large <= keep


def test_ranks_go_where_they_keep_most():
    def layer(rows, columns):
        return lowrank.Layer((), np.ones((rows, columns)), by_inputs=True)

    steep = lowrank.Spectrum(np.eye(64), np.array([1.0, *[1e-6] * 63]))
    flat = lowrank.Spectrum(np.eye(64), np.linspace(1.0, 0.5, 64))
    layers = [layer(64, 64), layer(64, 64)]
    first, second = lowrank.ranks_for(layers, [steep, flat], 0.5)
    assert first == 1
    assert 25 <= second <= 31
    outlier = lowrank.Spectrum(np.eye(64), np.array([40.0, *np.linspace(1.0, 0.5, 63)]))
    assert abs(np.subtract(*lowrank.ranks_for(layers, [outlier, flat], 0.5))) <= 1
    wide = lowrank.Spectrum(np.eye(640), np.linspace(1.0, 0.5, 640))
    assert lowrank.ranks_for([layer(64, 64), layer(640, 640)], [flat, wide], 0.5)[0] == 0


@pytest.mark.parametrize(("groups", "kernel"), [(1, 3), (1, 1), (4, 3)])
def test_convolutions_become_narrow_ones_and_one_back(groups, kernel, random, work, meter):
    cells = np.empty(20, object)
    for i in range(20):
        cells[i] = random.integers(0, 255, (12, 12, 3)).astype(np.uint8)
    split = Split({"image": cells}, np.zeros(20, np.int64), np.arange(20))
    graph = Graph()
    x = graph.add("Cast", graph.input("image", TensorProto.UINT8, ["n", 3, 12, 12]), to=TensorProto.FLOAT)
    basis = graph.constant(weights(random, 64, 3, 3, 3) / np.float32(90))
    inner = graph.add("Relu", graph.add("Conv", x, basis, pads=[1, 1, 1, 1]))
    options = {"pads": [kernel // 2] * 4, "strides": [2, 2], "group": groups}
    low = weights(random, 64, 8) @ weights(random, 8, 64 // groups * kernel * kernel) / np.float32(20)
    weight = low.reshape(64, 64 // groups, kernel, kernel)
    conv = graph.add("Conv", inner, graph.constant(weight), graph.constant(weights(random, 64)), **options)
    flat = graph.add("Flatten", graph.add("GlobalAveragePool", graph.add("Relu", conv)))
    scores = graph.add(
        "Softmax", graph.add("MatMul", flat, graph.constant(weights(random, 64, 3) / 2)), output="scores"
    )
    feed = Feed("image", ("image",), ("image",), {"height": 12, "width": 12, "channels": 3})
    made = Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), (feed,))
    if groups > 1:
        with pytest.raises(LeverRefused, match="finds no float weight"):
            Factorise().apply(made, split, Settings(), work, meter)
        return
    small = Factorise().apply(made, split, Settings(keep=0.45), work, meter)
    assert len(small.graph) < 0.7 * len(made.graph)
    pixels = {"image": np.stack([cell.transpose(2, 0, 1) for cell in cells])}
    before, after = (session_of(one.graph, threads=1).run(["scores"], pixels)[0] for one in (made, small))
    np.testing.assert_allclose(after, before, atol=0.01 * before.std(axis=0).max())
    assert before.std(axis=0).max() > 1e-3


def test_tables_are_cut_only_where_asked_for(random, work, meter):
    graph = Graph()
    ids = graph.input("ids", TensorProto.INT64, ["n", "grams"])
    graph.input("counts", TensorProto.FLOAT, ["n", "grams"])
    table = (random.normal(size=(400, 6)) @ random.normal(size=(6, 64))).astype(np.float32)
    rows = graph.add("ReduceSum", graph.add("Gather", graph.constant(table), ids), graph.constant(np.array([1])))
    flat = graph.add("Squeeze", rows, graph.constant(np.array([1])))
    sums = graph.add("MatMul", flat, graph.constant(weights(random, 64, 3) / 9))
    scores = graph.add("Softmax", sums, output="scores")
    feed = Feed("counts", ("ids", "counts"), ("note",), {"vocabulary": "words.json"})
    words = [f"w{i}" for i in range(399)]
    files = {"words.json": ("[" + ",".join(f'"{word}"' for word in words) + "]").encode()}
    made = Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), (feed,), files)
    notes = np.empty(60, object)
    notes[:] = [" ".join(random.choice(words, 5)) for _ in range(60)]
    split = Split({"note": notes}, np.zeros(60, np.int64), np.arange(60))
    with pytest.raises(LeverRefused, match="finds no float weight"):
        Factorise().apply(made, split, Settings(), work, meter)
    small = Factorise().apply(made, split, Settings(keep=0.3, where="tables"), work, meter)
    assert numbers_of(small) < 0.4 * numbers_of(made)
    given = {"ids": random.integers(0, 400, (30, 5)), "counts": np.ones((30, 5), np.float32)}
    before, after = (session_of(one.graph, threads=1).run(["scores"], given)[0] for one in (made, small))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_weight_that_two_nodes_share_is_cut_once(random, work, meter):
    graph = Graph()
    x = graph.add("Cast", graph.input("numbers", TensorProto.DOUBLE, ["n", COLUMNS]), to=TensorProto.FLOAT)
    weight = graph.constant(weights(random, COLUMNS, 128))
    both = [graph.add("MatMul", one, weight) for one in (x, graph.add("Neg", x))]
    last = graph.add("MatMul", graph.add("Max", *both), graph.constant(weights(random, 128, 3)))
    scores = graph.add("Softmax", last, output="scores")
    feed = Feed("numbers", ("numbers",), tuple(f"x{i}" for i in range(COLUMNS)))
    made = Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), (feed,))
    split = split_of(random, axes=random.normal(size=(12, COLUMNS)) / 9)
    small = Factorise().apply(made, split, Settings(keep=0.4), work, meter)
    assert numbers_of(small) < 0.45 * numbers_of(made)
    np.testing.assert_allclose(answers(small, split), answers(made, split), atol=5e-3)


def test_the_same_rows_and_seed_give_the_same_bytes(random, work, meter):
    made, split = dense(random), split_of(random)
    one, again = (Factorise().apply(made, split, Settings(rows=32), work, meter).graph for _ in range(2))
    assert one == again


def test_what_cannot_be_cut_is_refused_in_a_sentence(random, work, meter):
    made, split = dense(random), split_of(random)
    with pytest.raises(LeverRefused, match="needs rows"):
        Factorise().apply(made, split.take(np.arange(0)), Settings(), work, meter)
    eight = Quantise().apply(made, split.take(np.arange(0)), Settings(), work, meter)
    with pytest.raises(LeverRefused, match="weights in 8 bits"):
        Factorise().apply(eight, split, Settings(), work, meter)


def test_it_is_proposed_without_training_first_then_with(context, trial):
    heavy = trial(1, "lines")
    first = list(Factorise().moves(heavy, context(heavy)))
    asked = [(m.recipe.settings["keep"], m.recipe.settings["epochs"]) for m in first]
    assert asked == [(0.5, 0), (0.5, 3), (0.25, 3)]
    assert first[0].prior.seconds.value < first[1].prior.seconds.value
    done = trial(2, recipe=first[0].recipe)
    assert first[0].recipe not in {m.recipe for m in Factorise().moves(heavy, context(heavy, done))}
    assert not list(Factorise().moves(done, context(heavy, done)))
    assert not list(Factorise().moves(trial(3, recipe=Shrink(lever="fuse", parent=trial(4).recipe)), context(heavy)))


@pytest.mark.deep
def test_training_after_the_cut_wins_back_what_was_lost(random, work, meter):
    pytest.importorskip("torch", reason="the extra `deep` is not installed")
    made, split = dense(random, classes=2), split_of(random)
    split = Split(split.columns, answers(made, split).argmax(1), split.rows)
    cut = Factorise().apply(made, split, Settings(keep=0.1), work, meter)
    trained = Factorise().apply(made, split, Settings(keep=0.1, epochs=8, learning_rate=3e-3), work, meter)
    assert numbers_of(trained) == numbers_of(cut)
    assert trained.feeds == made.feeds
    lost, left = (np.abs(answers(one, split) - answers(made, split)).mean() for one in (cut, trained))
    assert left < lost
