"""Layers that are found in a graph, and a graph with fewer of them that was taught by the whole one."""

from itertools import pairwise

import numpy as np
import onnx
import pytest

from steelyard.contracts import Problem
from steelyard.learners._settings import SettingsRefused
from steelyard.levers import LeverRefused
from steelyard.levers.shrinking._distil import Distil
from steelyard.levers.shrinking.distilling.layers import evenly, layers_of, without
from steelyard.recipe import Settings
from steelyard.testing.pupils import Watch
from steelyard.testing.situations import situation

HALF = Settings(learner="encoder", keep=0.5, epochs=1, synthetic=0.0)


def kinds(model):
    return [node.op_type for node in model.graph.node]


def test_the_layers_of_an_encoder_are_found_each_whole(encoders):
    model = onnx.load_model_from_string(encoders()[0].graph)
    found = layers_of(model)
    assert len(found) == 4
    for one, after in zip(found, [*found[1:], None], strict=True):
        inside = kinds(model)[one.start : one.end]
        assert inside.count("LayerNormalization") == 2
        assert inside[-1] == "LayerNormalization", "a layer ends behind its norm"
        assert inside.count("Softmax") == 1
        assert after is None or one.leaves == after.enters


def test_layers_of_other_widths_are_not_alike_and_a_graph_may_have_none(random):
    helper, number = onnx.helper, onnx.TensorProto

    def chain(*widths):
        nodes, arrays, name = [], [], "x"
        for place, (into, out) in enumerate(pairwise(widths)):
            array = random.normal(size=(into, out)).astype(np.float32)
            arrays.append(onnx.numpy_helper.from_array(array, f"w{place}"))
            for step, kind in enumerate(("MatMul", "Relu", "Sigmoid", "Tanh")):
                made = f"t{place}.{step}"
                nodes.append(helper.make_node(kind, [name, f"w{place}"] if kind == "MatMul" else [name], [made]))
                name = made
        nodes.insert(0, helper.make_node("Identity", ["in"], ["x"]))
        nodes.append(helper.make_node("Identity", [name], ["scores"]))
        ends = [helper.make_tensor_value_info(n, number.FLOAT, None) for n in ("in", "scores")]
        return helper.make_model(helper.make_graph(nodes, "chain", ends[:1], ends[1:], arrays))

    assert len(layers_of(chain(8, 8, 8, 8))) == 3
    assert layers_of(chain(8, 6, 4, 2)) == []
    assert len(layers_of(chain(4, 8, 8))) < 2


def test_a_tensor_that_skips_a_layer_keeps_it_from_being_one(random):
    """A residual path around two stretches: what is dropped would be read from behind it."""
    helper, number = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("Identity", ["in"], ["a0"])]
    for place in range(2):
        nodes += [
            helper.make_node("Relu", [f"a{place}"], [f"b{place}"]),
            helper.make_node("Sigmoid", [f"b{place}"], [f"c{place}"]),
            helper.make_node("Tanh", [f"c{place}"], [f"d{place}"]),
            helper.make_node("Neg", [f"d{place}"], [f"a{place + 1}"]),
        ]
    whole = [*nodes, helper.make_node("Identity", ["a2"], ["scores"])]
    leak = [*nodes, helper.make_node("Add", ["a2", "b0"], ["scores"])]
    ends = [helper.make_tensor_value_info(n, number.FLOAT, None) for n in ("in", "scores")]
    found = [layers_of(helper.make_model(helper.make_graph(n, "g", ends[:1], ends[1:]))) for n in (whole, leak)]
    assert [len(one) for one in found] == [2, 0]


def test_what_is_left_runs_as_if_the_others_had_never_been(encoders):
    """Dropping the upper half of the layers gives what leaves the second one, through the same head."""
    import onnxruntime

    model = onnx.load_model_from_string(encoders()[0].graph)
    layers = layers_of(model)
    cut = without(model, layers, (0, 1))
    onnx.checker.check_model(cut)
    assert len(cut.graph.node) == len(model.graph.node) - 2 * (layers[0].end - layers[0].start)
    assert len(layers_of(cut)) == 2
    assert {a.name for a in cut.graph.initializer} < {a.name for a in model.graph.initializer}
    feeds = {"ids": np.array([[2, 4, 9, 3]]), "mask": np.ones((1, 4), np.int64)}
    for graph in (model, cut):
        graph.graph.output.append(onnx.helper.make_tensor_value_info(layers[1].leaves, onnx.TensorProto.FLOAT, None))
    first, second = (onnxruntime.InferenceSession(graph.SerializeToString()).run(None, feeds) for graph in (model, cut))
    np.testing.assert_allclose(first[1], second[1], atol=1e-6)
    assert np.abs(first[0] - second[0]).max() > 1e-4


def test_layers_are_spaced_evenly_and_the_last_one_stays():
    for layers in range(2, 25):
        for kept in range(1, layers):
            places = evenly(layers, kept)
            assert len(set(places)) == kept
            assert places[-1] == layers - 1


# ---------------------------------------------------------------------------------------------- distillation


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(Problem.BINARY, marks=pytest.mark.slow),
        Problem.MULTICLASS,
        pytest.param(Problem.REGRESSION, marks=pytest.mark.slow),
    ],
)
def test_half_an_encoder_learns_to_answer_as_the_whole_did(encoders, scores, problem):
    pytest.importorskip("torch")
    artefact, world = encoders(problem)
    told = scores(artefact, world, world.valid)

    def apart(settings):
        made = Distil().apply(artefact, world.train, settings, world.work, Watch())
        assert (made.feeds, made.files) == (artefact.feeds, artefact.files)
        return np.abs(scores(made, world, world.valid) - told).mean()

    assert apart(HALF.with_(epochs=10)) < 0.9 * apart(HALF)


def test_what_it_says_behind_each_layer_is_part_of_the_lesson(encoders):
    pytest.importorskip("torch")
    artefact, world = encoders()
    patient, hasty = (
        Distil().apply(artefact, world.train, HALF.with_(patient=on), world.work, Watch()) for on in (True, False)
    )
    assert patient.graph != hasty.graph


def test_a_graph_without_layers_and_a_share_that_keeps_all_are_refused(encoders):
    artefact, world = encoders()
    with pytest.raises(LeverRefused, match="no layers that repeat"):
        Distil().apply(situation(Problem.MULTICLASS).artefact, world.train, HALF, world.work, Watch())
    with pytest.raises(LeverRefused, match="all 4 layers"):
        Distil().apply(artefact, world.train, HALF.with_(keep=0.95), world.work, Watch())
    with pytest.raises(SettingsRefused, match="not cut out"):
        Distil().apply(artefact, world.train, Settings(learner="linear"), world.work, Watch())


def test_the_same_seed_gives_the_same_graph(encoders):
    pytest.importorskip("torch")
    artefact, world = encoders()
    settings = HALF.with_(synthetic=0.5)
    first, again = (Distil().apply(artefact, world.train, settings, world.work, Watch()) for _ in range(2))
    assert first == again
