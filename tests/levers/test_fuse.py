import numpy as np
import onnx
import pytest
from onnx import TensorProto

from steelyard.bundle.graphs import check_graph
from steelyard.bundle.running import session_of
from steelyard.contracts import Artefact, Ending, Split
from steelyard.learners._graph import Graph
from steelyard.learners.pretrained.architectures import Affine, Layer, Norm, Weights
from steelyard.learners.pretrained.graph import hidden, pooled, tokens
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._fuse import Fuse
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.levers.shrinking.graphs import fusing
from steelyard.levers.shrinking.graphs.surgery import Surgery
from steelyard.recipe import Settings, Shrink
from steelyard.testing.pupils import Watch

NOTHING = Split({}, np.zeros(0, np.int64), np.zeros(0, np.int64))
WIDTH, HEADS = 32, 4


def affine(random, rows, columns):
    return Affine(
        random.normal(size=(rows, columns)).astype(np.float32) / np.float32(np.sqrt(rows)),
        random.normal(size=columns).astype(np.float32) / 9,
    )


def encoder(layers=2, words=50, prefix=None):
    """A small encoder with random weights, as artefact."""
    random = np.random.default_rng(4)
    norm = Norm(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32))
    stack = [
        Layer(
            query=affine(random, WIDTH, WIDTH),
            key=affine(random, WIDTH, WIDTH),
            value=affine(random, WIDTH, WIDTH),
            output=affine(random, WIDTH, WIDTH),
            middle=norm,
            up=affine(random, WIDTH, 128),
            down=affine(random, 128, WIDTH),
            end=norm,
            prefix=prefix,
        )
        for _ in range(layers)
    ]
    weights = Weights(
        words=random.normal(size=(words, WIDTH)).astype(np.float32),
        places=random.normal(size=(16, WIDTH)).astype(np.float32),
        norm=norm,
        project=None,
        layers=tuple(stack),
        heads=HEADS,
        epsilon=1e-12,
    )
    graph = Graph()
    ids, there = tokens(graph, "ids", "mask")
    vector = pooled(graph, hidden(graph, weights, ids, there), there, "mean")
    sums = graph.add("MatMul", vector, graph.constant(random.normal(size=(WIDTH, 3)).astype(np.float32) * 3))
    scores = graph.add("Softmax", sums, output="scores", axis=1)
    return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), ())


def ragged():
    """Token numbers with padding, one row of it with no token at all."""
    random = np.random.default_rng(6)
    ids, mask = random.integers(0, 50, (7, 9)), np.ones((7, 9), np.int64)
    for row, length in enumerate((9, 1, 4, 0, 8, 2, 9)):
        mask[row, length:] = 0
    return {"ids": ids, "mask": mask}


def scores(made, **inputs):
    return session_of(made if isinstance(made, bytes) else made.graph, threads=1).run(["scores"], inputs)[0]


def operators(graph):
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def test_attention_becomes_one_operator_and_answers_the_same(work, meter):
    made = encoder()
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter)
    assert operators(fused.graph).count("MultiHeadAttention") == 2
    assert operators(fused.graph).count("Softmax") == 1
    assert "Transpose" not in operators(fused.graph)
    np.testing.assert_allclose(scores(fused, **ragged()), scores(made, **ragged()), atol=1e-6)
    assert meter.notes == ["fuse made one operator of each of 2 attentions."]


def test_a_bundle_may_hold_what_fuse_writes_and_no_other_operator_of_that_domain(work, meter):
    fused = Fuse().apply(encoder(), NOTHING, Settings(), work, meter)
    seen = check_graph(fused.graph)
    assert {name for domain, name in seen.operators if domain} == {"MultiHeadAttention"}
    assert set(seen.opsets) == {"", "com.microsoft"}


def test_padding_still_changes_nothing(work, meter):
    fused = Fuse().apply(encoder(), NOTHING, Settings(), work, meter)
    given = ragged()
    short = {name: values[2:3, :4] for name, values in given.items()}
    np.testing.assert_allclose(scores(fused, **given)[2:3], scores(fused, **short), atol=1e-6)


def test_attention_that_is_not_known_is_left_alone(work, meter):
    random = np.random.default_rng(1)
    made = encoder(prefix=random.normal(size=(2, HEADS, 3, WIDTH // HEADS)).astype(np.float32))
    assert fusing.attend(Surgery(made.graph)) == 0


def test_fused_attention_can_be_written_out_again(work, meter):
    made = encoder()
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter)
    again = fusing.plain(fused.graph)
    assert "MultiHeadAttention" not in operators(again)
    assert [one.domain for one in onnx.load_from_string(again).opset_import] == [""]
    np.testing.assert_allclose(scores(again, **ragged()), scores(made, **ragged()), atol=1e-6)
    assert fusing.attend(Surgery(again)) == 2
    assert fusing.plain(made.graph) is made.graph


def test_a_graph_in_8_bits_keeps_the_operators_that_the_runtime_would_put_in(work, meter):
    eight = Quantise().apply(encoder(), NOTHING, Settings(), work, meter)
    fused = Fuse().apply(eight, NOTHING, Settings(), work, meter)
    assert "MatMulInteger" in operators(eight.graph)
    assert "DynamicQuantizeMatMul" in operators(fused.graph)
    assert "SkipLayerNormalization" not in operators(fused.graph)
    assert len(fused.graph) < len(eight.graph)
    np.testing.assert_allclose(scores(fused, **ragged()), scores(eight, **ragged()), atol=0.02)


def test_operators_that_no_bundle_may_use_are_not_saved(work, meter):
    model = onnx.load_from_string(Quantise().apply(encoder(), NOTHING, Settings(), work, meter).graph)
    float_way = [
        onnx.helper.make_node("Add", ["more", "offset"], ["added"]),
        onnx.helper.make_node("Gelu", ["added"], ["bent"]),
        onnx.helper.make_node("Softmax", ["bent"], ["scores"], axis=1),
    ]
    last = model.graph.node[-1]
    assert list(last.output) == ["scores"]
    last.output[0] = "more"
    model.graph.node.extend(float_way)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), "offset"))
    fused = Fuse().apply(Artefact(model.SerializeToString(), ()), NOTHING, Settings(), work, meter)
    check_graph(fused.graph)
    assert "BiasGelu" not in operators(fused.graph)
    assert "MultiHeadAttention" in operators(fused.graph)


def table(make):
    """A graph from four numbers to scores."""
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", 4])
    return Artefact(graph.seal((make(graph, x), TensorProto.FLOAT, ["n", 3])), ())


def number(graph, *values):
    return graph.constant(np.array(values, np.float32))


def test_constants_are_folded_and_doubles_kept_once(work, meter):
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)

    def make(graph, x):
        once, again = graph.constant(weight), graph.constant(weight)
        offset = graph.add("Mul", number(graph, 2, 2, 2), number(graph, 3, 4, 5))
        total = graph.add("Add", graph.add("MatMul", x, once), graph.add("MatMul", x, again))
        return graph.add("Add", total, offset, output="scores")

    made = table(make)
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter)
    assert "Mul" not in operators(fused.graph)
    assert sum(op in {"MatMul", "Gemm"} for op in operators(fused.graph)) < 3
    assert sum(np.prod(t.dims) == 12 for t in onnx.load_from_string(fused.graph).graph.initializer) == 1
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(scores(fused, x=x), scores(made, x=x), rtol=1e-5)


@pytest.mark.parametrize(("inner", "products"), [(2, 2), (9, 1)])
def test_two_products_become_one_where_that_is_no_larger(inner, products, work, meter):
    random = np.random.default_rng(3)

    def make(graph, x):
        narrow = graph.add("MatMul", x, graph.constant(random.normal(size=(4, inner)).astype(np.float32)))
        wide = graph.add("MatMul", narrow, graph.constant(random.normal(size=(inner, 30)).astype(np.float32)))
        last = graph.constant(random.normal(size=(30, 3)).astype(np.float32))
        unused = graph.add("Identity", graph.add("Relu", wide))
        return graph.add("MatMul", unused, last, output="scores")

    made = table(make)
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter)
    assert operators(fused.graph).count("MatMul") == products + 1
    x = random.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(scores(fused, x=x), scores(made, x=x), rtol=1e-4)


def pictures(make):
    """A graph from a picture of two channels, 1 x 9, to three scores."""
    random, graph = np.random.default_rng(8), Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", 2, 1, 9])
    flat = graph.add("Flatten", make(graph, x, graph.constant(random.normal(size=(5, 2, 1, 3)).astype(np.float32))))
    length = 5 * 11
    scores = graph.add(
        "MatMul", flat, graph.constant(random.normal(size=(length, 3)).astype(np.float32)), output="scores"
    )
    return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", 3])), ())


@pytest.mark.parametrize(
    ("sides", "own", "value", "joined"),
    [
        ([0, 0, 0, 2, 0, 0, 0, 2], None, 0.0, True),
        ([0, 0, 0, 2, 0, 0, 0, 0], [0, 1, 0, 1], 0.0, True),
        ([0, 0, 0, 2, 0, 0, 0, 2], None, 1.0, False),
        ([0, 0, 0, 5, 0, 0, 0, -1], None, 0.0, False),
    ],
)
def test_zeros_around_a_convolution_are_its_own(sides, own, value, joined):
    def make(graph, x, filters):
        ends = graph.add("Cast", graph.constant(np.array(sides, np.float32)), to=TensorProto.INT64)
        wide = graph.add("Pad", x, ends, number(graph, value), mode="constant")
        return graph.add("Conv", wide, filters, **({"pads": own} if own else {}))

    made = pictures(make)
    fused = Fuse().apply(made, NOTHING, Settings(), None, Watch())
    assert ("Pad" not in operators(fused.graph)) == joined
    x = np.random.default_rng(0).normal(size=(4, 2, 1, 9)).astype(np.float32)
    np.testing.assert_allclose(scores(fused, x=x), scores(made, x=x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("axis", "left"), [(2, 0), (0, 1)])
def test_a_branch_that_asks_for_a_size_that_never_changes_goes(axis, left, work, meter):
    def make(graph, x, filters):
        inner = graph.add("Relu", graph.add("Conv", x, filters, pads=[0, 2, 0, 2]))
        size = graph.add("Gather", graph.add("Shape", inner), graph.constant(np.array([axis])), axis=0)
        one = graph.add("Equal", size, graph.constant(np.array([1])))
        ways = [
            onnx.helper.make_graph(
                [onnx.helper.make_node(op, [inner], [f"in_{op}"])],
                op,
                [],
                [onnx.helper.make_tensor_value_info(f"in_{op}", TensorProto.FLOAT, None)],
            )
            for op in ("Neg", "Abs")
        ]
        return graph.add("If", one, then_branch=ways[0], else_branch=ways[1])

    made = pictures(make)
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter) if not left else made
    assert operators(fused.graph).count("If") == left
    opened = Surgery(made.graph)
    assert fusing.state(opened) == 1 - left
    x = np.random.default_rng(0).normal(size=(4, 2, 1, 9)).astype(np.float32)
    np.testing.assert_allclose(scores(fused, x=x), scores(made, x=x), rtol=1e-5)


def test_the_same_graph_gives_the_same_bytes_and_the_same_ends(work, meter):
    made = encoder()
    one, again = (Fuse().apply(made, NOTHING, Settings(), work, meter).graph for _ in range(2))
    assert one == again
    before, after = (onnx.load_from_string(graph).graph for graph in (made.graph, one))
    assert list(before.input) == list(after.input)
    assert list(before.output) == list(after.output)


def test_what_would_grow_by_folding_is_left_as_it_is(work, meter):
    def make(graph, x):
        row = graph.constant(np.array([[0.1, 0.2, 0.3]], np.float32))
        wide = graph.add("Expand", row, graph.constant(np.array([20_000, 3])))
        rows = graph.add("Gather", wide, graph.add("ArgMax", x, axis=1, keepdims=0))
        same = graph.add("Add", graph.add("Relu", x), graph.add("Relu", x))
        product = graph.add("MatMul", same, graph.constant(np.ones((4, 30), np.float32)))
        narrow = graph.add("MatMul", product, graph.constant(np.ones((30, 3), np.float32)))
        return graph.add("Add", narrow, rows, output="scores")

    made = table(make)
    fused = Fuse().apply(made, NOTHING, Settings(), work, meter)
    assert len(fused.graph) < 20_000
    assert "Expand" in operators(fused.graph)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(scores(fused, x=x), scores(made, x=x), rtol=1e-5)


def test_a_graph_with_nothing_to_fuse_is_refused(work, meter):
    made = table(lambda g, x: g.add("MatMul", x, g.constant(np.ones((4, 3), np.float32)), output="scores"))
    with pytest.raises(LeverRefused, match="finds nothing to fold"):
        Fuse().apply(made, NOTHING, Settings(), work, meter)


def test_it_is_proposed_once_to_models_of_weights_however_they_were_shrunk(context, trial):
    heavy, trees = trial(1, "lines"), trial(2, "trees")
    eight = trial(3, recipe=Shrink(lever="quantise", parent=heavy.recipe))
    made = context(heavy, trees, eight)
    found = [m.recipe for t in made.trials for m in Fuse().moves(t, made)]
    assert found == [Shrink(lever="fuse", parent=t.recipe) for t in (heavy, eight)]
    done = trial(4, recipe=found[1])
    assert not list(Fuse().moves(done, context(heavy, done)))
    assert not list(Fuse().moves(trial(5, "lines", ending=Ending.FAILED), made))
