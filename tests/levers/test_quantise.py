import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.contracts import Artefact, Column, Ending, Kind, Schema, Split
from steelyard.errors import SteelyardError
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.recipe import Settings, Shrink

_spec = importlib.util.spec_from_file_location("quantise_graphs", Path(__file__).with_name("quantise_graphs.py"))
graphs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(graphs)
artefact, drawn, numbers, operators, run = graphs.artefact, graphs.drawn, graphs.numbers, graphs.operators, graphs.run
attending, dense, pictures, pixels, words = graphs.attending, graphs.dense, graphs.pictures, graphs.pixels, graphs.words
weight = graphs.weight

NONE = Split({}, np.zeros(0), np.zeros(0, np.int64))


@pytest.mark.parametrize(
    "case",
    [
        ({"how": "dynamic"}, "MatMulInteger", 0.35, 0.05),
        ({"how": "weights"}, "MatMulNBits", 0.35, 0.05),
        ({"how": "weights", "bits": 4}, "MatMulNBits", 0.25, 0.3),
        ({"how": "float16"}, "Cast", 0.55, 0.001),
        ({"how": "bfloat16"}, "Cast", 0.55, 0.02),
    ],
    ids=lambda case: str(case[0]),
)
@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_products_are_held_in_fewer_bits_and_answer_nearly_the_same(random, meter, case, op):
    settings, operator, size, near = case
    made = dense(random, op)
    split, work = numbers(random, 300)
    small = Quantise().apply(made, split, Settings(settings | {"lose": 1.0}), work, meter)
    x = random.normal(size=(50, 256))
    assert len(small.graph) < size * len(made.graph)
    assert small.feeds == made.feeds
    assert operator in operators(small)
    assert np.abs(run(small, numbers=x) - run(made, numbers=x)).mean() < near / 2


@pytest.mark.parametrize("case", [(8, 0.3, 0.01, 1_000), (8, 0.3, 0.01, 10**6), (4, 0.2, 0.2, 10**6)])
def test_short_rows_of_a_table_keep_their_meaning_beside_long_ones(random, work, meter, case, monkeypatch):
    bits, size, near, huge = case
    monkeypatch.setattr("steelyard.levers.shrinking.quantising.weights.HUGE", huge)
    made, table = words(random)
    small = Quantise().apply(made, NONE, Settings(bits=bits), work, meter)
    ids = np.arange(500)[:, None]
    lost = np.linalg.norm(run(small, ids=ids) - table, axis=1) / np.linalg.norm(table, axis=1)
    assert len(small.graph) < size * len(made.graph)
    assert lost.max() < near
    assert operators(small).count("Gather") == (0 if bits == 4 else 2 if huge == 1_000 else 1)
    assert run(small, ids=np.array([[-1, 3]])).shape == (1, 64)


def test_a_table_of_single_numbers_would_grow_by_its_scales_and_is_refused(random, work, meter):
    nodes = [
        helper.make_node("Gather", ["t", "ids"], ["rows"], "look", axis=0),
        helper.make_node("ReduceSum", ["rows", "axes"], ["scores"], "sum", keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "k"])]
    narrow = artefact(nodes, {"t": drawn(random, 9_000, 1), "axes": np.array([1])}, inputs, (), 1)
    with pytest.raises(LeverRefused, match=r"of this graph's .* and compute as before"):
        Quantise().apply(narrow, NONE, Settings(how="weights"), work, meter)


@pytest.mark.parametrize("how", ["auto", "dynamic"])
def test_several_matrices_at_once_are_stored_in_8_bits_and_multiplied_as_before(how, random, meter):
    made = attending(random)
    model = onnx.load_from_string(made.graph)
    names = [w.name for w in model.graph.initializer]
    model.graph.initializer[names.index("w")].CopyFrom(numpy_helper.from_array(drawn(random, 16, 16, 256), "w"))
    # one matrix a position: (n, 16, 1, 16) by (16, 16, 256)
    lay = numpy_helper.from_array(np.array([-1, 16, 1, 16]), "shape")
    model.graph.initializer[names.index("shape")].CopyFrom(lay)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 16, 256]), "flat"))
    place = [node.name for node in model.graph.node].index("positions")
    model.graph.node[place].output[0] = "h4"
    model.graph.node.insert(place + 1, helper.make_node("Reshape", ["h4", "flat"], ["h"], "flatten"))
    stacked = Artefact(model.SerializeToString(), made.feeds)
    split, work = numbers(random, 200)
    small = Quantise().apply(stacked, split, Settings(how=how), work, meter)
    x = np.stack([split.columns[f"x{i}"] for i in range(256)], axis=1)
    np.testing.assert_allclose(run(small, numbers=x), run(stacked, numbers=x), atol=0.03)
    assert len(small.graph) < 0.35 * len(stacked.graph)


def test_a_table_takes_4_bits_beside_products_in_8(random, work, meter):
    made, table = words(random)
    model = onnx.load_from_string(made.graph)
    model.graph.node[2].CopyFrom(helper.make_node("MatMul", ["rows", "v"], ["deep"], "product"))
    model.graph.node[1].CopyFrom(helper.make_node("ReduceMean", ["deep", "axes"], ["scores"], "mean", keepdims=0))
    order = [model.graph.node[i] for i in (0, 2, 1)]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in order]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(drawn(random, 64, 64), "v"))
    both = Artefact(model.SerializeToString(), ())
    small = Quantise().apply(both, NONE, Settings(bits=4, how="dynamic"), work, meter)
    assert {"GatherBlockQuantized", "MatMulInteger"} <= set(operators(small))
    assert run(small, ids=np.array([[1, 2]])).shape == run(both, ids=np.array([[1, 2]])).shape
    assert table.shape == (500, 64)


def test_a_table_that_other_nodes_read_too_is_held_once(random, work, meter):
    made, _ = words(random)
    model = onnx.load_from_string(made.graph)
    model.graph.node[2].CopyFrom(helper.make_node("MatMul", ["o", "turned"], ["wide"]))
    model.graph.node.insert(0, helper.make_node("Transpose", ["w"], ["turned"]))
    model.graph.node.append(helper.make_node("Slice", ["wide", "zero", "end", "one"], ["scores"]))
    for name, value in {"zero": 0, "end": 64, "one": 1}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    tied = Artefact(model.SerializeToString(), ())
    small = Quantise().apply(tied, NONE, Settings(how="weights"), work, meter)
    assert len(small.graph) < 0.3 * len(tied.graph)
    x = random.integers(0, 500, (20, 9))
    before, after = run(tied, ids=x), run(small, ids=x)
    assert np.linalg.norm(after - before) < 0.02 * np.linalg.norm(before)


def test_convolutions_are_calibrated_on_rows(random, meter, caplog):
    made, split, work = pictures(random)
    small = Quantise().apply(made, split, Settings(rows=32), work, meter)
    x = pixels(split)
    assert len(small.graph) < 0.6 * len(made.graph)
    np.testing.assert_allclose(run(small, image=x), run(made, image=x), atol=0.03)
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(operators(small))
    assert not {"DynamicQuantizeLinear", "ConvInteger"} & set(operators(small))  # ranges were read beforehand
    assert not caplog.records


def test_ranges_are_cut_where_that_is_asked_for(random, meter, capsys):
    made, split, work = pictures(random, dark=True)
    cut, whole = (
        Quantise().apply(made, split, Settings(scales=s, rows=32, how="static"), work, meter).graph
        for s in ("percentile", "minmax")
    )
    assert cut != whole
    assert not capsys.readouterr().out


def test_where_sums_saturate_weights_use_seven_bits(random, meter):
    made = attending(random)
    split, work = numbers(random, 100)
    found = {}
    for machine in ("avx2", "vnni"):
        small = Quantise().apply(made, split, Settings(machine=machine, how="dynamic"), work, meter)
        found[machine] = max(
            np.abs(numpy_helper.to_array(w).astype(int)).max()
            for w in onnx.load_from_string(small.graph).graph.initializer
            if w.data_type == TensorProto.INT8 and len(w.dims) > 1
        )
    assert found["avx2"] <= 64 < found["vnni"]


def test_how_follows_the_graph(random, meter):
    split, work = numbers(random, 100)
    assert "MatMulInteger" in operators(Quantise().apply(attending(random), split, Settings(), work, meter))
    assert "MatMulNBits" in operators(Quantise().apply(dense(random), split, Settings(), work, meter))
    made, images, seen = pictures(random)
    assert "QuantizeLinear" in operators(Quantise().apply(made, images, Settings(), seen, meter))
    assert "QuantizeLinear" not in operators(Quantise().apply(made, NONE, Settings(), seen, meter))


def test_weights_without_a_form_in_8_bits_are_stored_in_them(random, work, meter):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "n", 16])
    nodes = [
        helper.make_node("GRU", ["x", "w", "r"], ["", "h"], "gru", hidden_size=64),
        helper.make_node("Squeeze", ["h", "axes"], ["scores"]),
    ]
    held = {"w": drawn(random, 1, 192, 16) / 8, "r": drawn(random, 1, 192, 64) / 8, "axes": np.array([0])}
    made = artefact(nodes, held, [x], (), 64)
    small = Quantise().apply(made, NONE, Settings(), work, meter)
    inputs = random.normal(size=(5, 3, 16)).astype(np.float32)
    assert weight(small, "r_int8").dtype == np.int8
    np.testing.assert_allclose(run(small, x=inputs), run(made, x=inputs), atol=0.01)


def test_lstm_cells_compute_in_8_bits(random, work, meter):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "n", 16])
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "h"], "lstm", hidden_size=64),
        helper.make_node("Squeeze", ["h", "axes"], ["scores"]),
    ]
    held = {"w": drawn(random, 1, 256, 16) / 8, "r": drawn(random, 1, 256, 64) / 8, "b": drawn(random, 1, 512) / 8}
    made = artefact(nodes, held | {"axes": np.array([0])}, [x], (), 64)
    small = Quantise().apply(made, NONE, Settings(), work, meter)
    inputs = random.normal(size=(5, 3, 16)).astype(np.float32)
    assert operators(small)[0] == "DynamicQuantizeLSTM"
    assert len(small.graph) < 0.4 * len(made.graph)
    np.testing.assert_allclose(run(small, x=inputs), run(made, x=inputs), atol=0.03)


def test_a_weight_that_a_branch_reads_stays(random, work, meter):
    made = dense(random)
    model = onnx.load_from_string(made.graph)
    inside = helper.make_graph(
        [helper.make_node("Identity", ["u"], ["same"])], "yes", [], [helper.make_tensor_value_info("same", 1, [128, 3])]
    )
    branch = helper.make_node("If", ["is"], ["chosen"], "if", then_branch=inside, else_branch=inside)
    model.graph.node.insert(0, branch)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "is"))
    last = next(node for node in model.graph.node if node.name == "last")
    last.input[1] = "chosen"
    branched = Artefact(model.SerializeToString(), made.feeds)
    small = Quantise().apply(branched, NONE, Settings(how="weights"), work, meter)
    x = random.normal(size=(20, 256))
    np.testing.assert_allclose(run(small, numbers=x), run(made, numbers=x), atol=0.1)


def test_what_float16_cannot_hold_stays_float(random, work, meter):
    made, _ = words(random)
    model = onnx.load_from_string(made.graph)
    table = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(1e5)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "w"))
    loud = Artefact(model.SerializeToString(), ())
    assert weight(Quantise().apply(loud, NONE, Settings(how="float16"), work, meter), "w").dtype == np.float32
    assert len(Quantise().apply(loud, NONE, Settings(how="bfloat16"), work, meter).graph) < 0.55 * len(loud.graph)


@pytest.mark.parametrize("how", ["dynamic", "weights"])
def test_nodes_that_lose_too_much_get_a_finer_form(random, meter, how):
    made = dense(random, loud=3000.0)
    split, work = numbers(random, 400)
    settings = {"how": how, "lose": 1.0}
    x = random.normal(size=(300, 256))
    rough = Quantise().apply(made, split, Settings(settings), work, meter)
    fine = Quantise().apply(made, split, Settings(settings | {"lose": 0.02}), work, meter)
    before, after, eased = (run(one, numbers=x).argmax(1) for one in (made, rough, fine))
    assert (before != after).mean() > 0.1
    assert (before != eased).mean() < 0.05
    assert {"MatMulInteger", "MatMulNBits"} & set(operators(fine))
    assert weight(fine, "v_int8").dtype == np.int8
    assert any("gave stored weights and float arithmetic to 1 nodes" in n and "second" in n for n in meter.notes)


def test_a_loss_that_no_form_avoids_is_said(random, meter):
    made = dense(random, loud=3000.0)
    split, work = numbers(random, 400)
    Quantise().apply(made, split, Settings(how="dynamic", lose=0.0, tries=1), work, meter)
    assert any("tried 1 graphs; none changes at most 0.00% of decisions" in note for note in meter.notes)


@pytest.mark.parametrize("settings", [{}, {"how": "weights", "bits": 4}, {"how": "dynamic"}])
def test_the_same_rows_and_seed_give_the_same_bytes(random, meter, settings):
    made, split, work = pictures(random)
    if settings:
        made, (split, work) = dense(random), numbers(random, 100)
    before = made.graph
    one, again = (Quantise().apply(made, split, Settings(settings), work, meter).graph for _ in range(2))
    assert one == again
    assert made.graph is before


def test_trees_in_a_graph_stay_as_they_are(random, work, meter):
    trees = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
        "n_targets": 1,
    }
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 128])
    forest = helper.make_node("TreeEnsembleRegressor", ["x"], ["t"], "forest", domain="ai.onnx.ml", **trees)
    whole = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "product"),
        forest,
        helper.make_node("Add", ["h", "t"], ["scores"]),
    ]
    made = artefact(whole, {"w": drawn(random, 128, 64)}, [x], (), 64)
    small = Quantise().apply(made, NONE, Settings(), work, meter)
    inputs = random.normal(size=(20, 128)).astype(np.float32)
    assert len(small.graph) < 0.4 * len(made.graph)
    assert "TreeEnsembleRegressor" in operators(small)
    np.testing.assert_allclose(run(small, x=inputs), run(made, x=inputs), atol=0.1)
    alone = artefact([forest, helper.make_node("Identity", ["t"], ["scores"])], {}, [x], (), 1)
    with pytest.raises(LeverRefused, match="trees compare with float thresholds"):
        Quantise().apply(alone, NONE, Settings(), work, meter)


@pytest.mark.parametrize("how", ["weights", "dynamic", "float16"])
def test_a_graph_that_was_quantised_is_refused(random, work, meter, how):
    small = Quantise().apply(dense(random), NONE, Settings(how=how), work, meter)
    with pytest.raises(LeverRefused, match="was quantised before"):
        Quantise().apply(small, NONE, Settings(), work, meter)


def test_what_cannot_be_done_is_said(random, work, meter):
    made, split, seen = pictures(random)
    with pytest.raises(LeverRefused, match="needs rows to read the ranges"):
        Quantise().apply(made, split.take(np.arange(0)), Settings(how="static"), seen, meter)
    with pytest.raises(LeverRefused, match="no product to compute on the fly"):
        Quantise().apply(words(random)[0], NONE, Settings(how="dynamic"), work, meter)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])
    tiny = artefact([helper.make_node("MatMul", ["x", "w"], ["scores"])], {"w": drawn(random, 8, 3)}, [x], (), 3)
    with pytest.raises(LeverRefused, match="small models have none"):
        Quantise().apply(tiny, NONE, Settings(), work, meter)
    with pytest.raises(SteelyardError, match="no setting 'bit'"):
        Quantise().apply(dense(random), NONE, Settings(bit=4), work, meter)


def test_fused_convolutions_are_rounded_but_do_not_compute_in_8_bits(random, meter):
    made, split, work = pictures(random)
    model = onnx.load_from_string(made.graph)
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.op_type, node.domain = "FusedConv", "com.microsoft"
            node.attribute.append(helper.make_attribute("activation", "Relu"))
    fused = Artefact(model.SerializeToString(), made.feeds)
    with pytest.raises(LeverRefused, match="quantise before `fuse`"):
        Quantise().apply(fused, split, Settings(how="static"), work, meter)
    assert len(Quantise().apply(fused, NONE, Settings(), work, meter).graph) < 0.4 * len(fused.graph)


def test_stale_shapes_of_an_exporter_are_no_obstacle(random, meter):
    made = dense(random)
    model = onnx.load_from_string(made.graph)
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["n", 999]))
    split, work = numbers(random, 50)
    for how in ("dynamic", "weights"):
        assert Quantise().apply(Artefact(model.SerializeToString(), made.feeds), split, Settings(how=how), work, meter)


def test_models_of_weights_on_text_or_images_are_quantised(context, trial):
    heavy, trees = trial(1, "lines"), trial(2, "trees")
    made = context(heavy, trees)
    moves = [m for t in (heavy, trees) for m in Quantise().moves(t, made)]
    assert [m.recipe for m in moves] == [Shrink(lever="quantise", parent=heavy.recipe)]
    done = trial(3, recipe=moves[0].recipe)
    assert not list(Quantise().moves(heavy, context(heavy, done)))
    assert not list(Quantise().moves(done, context(heavy, done)))
    assert not list(Quantise().moves(trial(4, "lines", ending=Ending.FAILED), made))
    assert not list(Quantise().moves(heavy, context(heavy, schema=Schema((Column(name="age", kind=Kind.NUMBER),)))))


def test_what_another_lever_shrank_is_quantised_too(context, trial):
    heavy = trial(1, "lines")
    pruned = trial(2, recipe=Shrink(lever="prune", parent=heavy.recipe))
    (move,) = Quantise().moves(pruned, context(heavy, pruned))
    assert move.recipe == Shrink(lever="quantise", parent=pruned.recipe)


def test_gentler_ways_are_proposed_where_the_plain_one_lost(context, trial):
    heavy = trial(1, "lines", 0.8)
    worse = trial(2, recipe=Shrink(lever="quantise", parent=heavy.recipe), aim=0.7)
    moves = list(Quantise().moves(heavy, context(heavy, worse)))
    assert [dict(m.recipe.settings) for m in moves] == [{"how": "weights"}, {"epochs": 3}]
    assert moves[0].prior.seconds.value < moves[1].prior.seconds.value + 5
