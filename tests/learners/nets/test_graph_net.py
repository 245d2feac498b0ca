"""A finished graph as a net: PyTorch says what ONNX Runtime says, and what it learns can be written back."""

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from steelyard.bundle.front_ends import FRONT_ENDS  # noqa: E402
from steelyard.contracts import Problem  # noqa: E402
from steelyard.learners._graph import Graph, session  # noqa: E402
from steelyard.learners._settings import settings_of  # noqa: E402
from steelyard.learners.nets.course import Told  # noqa: E402
from steelyard.learners.nets.export import axes_of, exported  # noqa: E402
from steelyard.learners.nets.graph_net import GraphNet, prelude, refusal  # noqa: E402
from steelyard.learners.nets.graph_operators import OPERATORS  # noqa: E402
from steelyard.learners.nets.graph_recurrence import OperatorUnknown  # noqa: E402
from steelyard.learners.nets.scale import Scale  # noqa: E402
from steelyard.recipe import Plan, Settings  # noqa: E402
from steelyard.registry import learners  # noqa: E402
from steelyard.testing.scenes import scene  # noqa: E402

NETS = {
    "cnn": ("images", {"width": 8}),
    "resnet": ("images", {"width": 16}),
    "text-cnn": ("text", {}),
    "tcn": ("sequences", {}),
    "audio-cnn": ("sounds", {"width": 32, "blocks": 2}),
    "sequence-rnn": ("sequences", {}),
    "rnn": ("text", {}),
}
SLOW = {"resnet", "rnn", "audio-cnn"}


def untrained(name, problem):
    """Return the graph of a learner's net with random weights, and the inputs of some rows."""
    kind, settings = NETS[name]
    shown, learner = scene(kind, problem), learners().get(name)
    plan = Plan(settings=Settings(settings))
    told = Told(settings_of(name, learner.space(shown.task, shown.schema), plan), plan)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        reading = learner.reading(shown.train, shown.work, told)
        net = learner.net(reading, shown.task, told).eval()
        for parameter in net.parameters():
            if parameter.ndim == 1:
                torch.nn.init.uniform_(parameter, 0.1, 0.5)
    material = reading.material(shown.train.columns)
    example = material.batch(np.array([0, 1]))
    axes = learner.axes(reading, told) or axes_of(example, material.lengths is not None)
    graph = exported(net, example, axes, shown.task, Scale(3.0, 2.0))
    tensors = {}
    for feed in reading.feeds:
        extract = FRONT_ENDS[feed.front_end](feed, reading.files)
        tensors |= extract({name: cells[:20] for name, cells in shown.valid.columns.items()})
    return graph, tensors


def computed(net, tensors):
    outputs = net({name: torch.from_numpy(array) for name, array in tensors.items()})
    return outputs.softmax(-1) if net.ends_in_softmax else outputs


def answered(graph, tensors):
    return session(graph, threads=1).run(None, tensors)[0]


def cases():
    for name in NETS:
        for problem in (Problem.MULTICLASS, Problem.REGRESSION):
            slow = name in SLOW or problem is Problem.REGRESSION
            yield pytest.param(name, problem, marks=[pytest.mark.slow] if slow else [], id=f"{name}-{problem.value}")


@pytest.mark.parametrize(("name", "problem"), list(cases()))
def test_every_family_answers_learns_and_is_written_back(name, problem):
    graph, tensors = untrained(name, problem)
    assert refusal(graph) is None
    net = GraphNet(graph)
    assert net.write() == graph
    assert net.ends_in_softmax == (problem is Problem.MULTICLASS)
    np.testing.assert_allclose(computed(net, tensors).detach(), answered(graph, tensors), atol=1e-5, rtol=1e-4)
    computed(net, tensors).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.weights.values())
    with torch.no_grad():
        for weight in net.weights.values():
            weight.sub_(0.01 * weight.abs().mean() * weight.grad.sign())
    found, after = computed(net, tensors).detach().numpy(), answered(net.write(), tensors)
    np.testing.assert_allclose(found, after, atol=1e-5, rtol=1e-4)
    assert np.abs(after - answered(graph, tensors)).max() > 1e-5


def looked_up(op="Relu", domain=""):
    """Return a graph that looks strings up before its weights, and computes ``op`` after them."""
    graph = Graph()
    words = graph.input("words", TensorProto.STRING, ["n", 1])
    numbers = graph.input("numbers", TensorProto.FLOAT, ["n", 2])
    model = onnx.load_from_string(
        graph.seal((graph.add("Concat", numbers, numbers, axis=1), TensorProto.FLOAT, ["n", 4]))
    )
    del model.graph.node[:], model.graph.output[:]
    random = np.random.default_rng(0)
    arrays = {"w": random.normal(size=(3, 4)), "b": random.normal(size=4), "centre": random.normal(size=(1, 3))}
    model.graph.initializer.extend(numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items())
    coded = helper.make_node("LabelEncoder", [words], ["code"], domain="ai.onnx.ml", default_float=-1.0)
    coded.attribute.append(helper.make_attribute("keys_strings", ["ash", "birch"]))
    coded.attribute.append(helper.make_attribute("values_floats", [1.0, 2.0]))
    model.graph.node.extend(
        [
            coded,
            helper.make_node("Concat", ["code", numbers], ["x"], axis=1),
            helper.make_node("Sub", ["x", "centre"], ["y"]),
            helper.make_node("Gemm", ["y", "w", "b"], ["z"]),
            helper.make_node(op, ["z"], ["scores"], domain=domain),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 4]))
    return model.SerializeToString()


def test_what_stands_before_the_weights_may_be_anything():
    graph = looked_up()
    inputs = {"words": np.array([["birch"], ["oak"]], object), "numbers": np.ones((2, 2), np.float32)}
    assert refusal(graph) is None
    (code,) = session(prelude(graph), threads=1).run(None, {"words": inputs["words"]})
    assert code.tolist() == [[2.0], [-1.0]]
    net = GraphNet(graph)
    found = net({"code": torch.from_numpy(code), "numbers": torch.from_numpy(inputs["numbers"])})
    np.testing.assert_allclose(found.detach(), answered(graph, inputs), rtol=1e-5)
    assert set(net.weights) == {"w", "b"}, "what scales an input is not learnt"


def test_an_operator_that_is_unknown_after_the_weights_is_refused():
    graph = looked_up("Softsign")
    assert refusal(graph) == "its graph computes Softsign, which is not trained again"
    with pytest.raises(OperatorUnknown, match="Softsign"):
        GraphNet(graph)


def test_a_graph_without_weights_is_refused():
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", 2])
    sealed = graph.seal((graph.add("Relu", x), TensorProto.FLOAT, ["n", 2]))
    assert refusal(sealed) == "its graph holds no weights"
    assert prelude(sealed) is None


def single(op, arrays, *, opset=20, **attributes):
    """Return what ONNX Runtime and PyTorch make of one node."""
    names = [None if array is None else f"i{place}" for place, array in enumerate(arrays)]
    given = {name: array for name, array in zip(names, arrays, strict=True) if name}
    gives = ["y", "more"] if op == "Split" else ["y"]
    node = helper.make_node(op, [name or "" for name in names], gives, **attributes)
    ends = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in given.items()
    ]
    graph = helper.make_graph([node], "one", ends, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    theirs = session(model.SerializeToString(), threads=1).run(None, given)[0]
    read = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    read = {n: list(v) if isinstance(v, list) else v for n, v in read.items()}
    ours = OPERATORS[op](read, *(None if a is None else torch.from_numpy(a) for a in arrays))
    return (ours[0] if isinstance(ours, tuple) else ours).numpy(), theirs


F = np.random.default_rng(3).normal(size=(2, 6, 5, 4)).astype(np.float32)
I = np.array  # noqa: E741 - a line a case below
SINGLE = [
    ("Slice", [F, I([4]), I([0]), I([1]), I([-2])], {}),
    ("Slice", [F, I([-3]), I([2**31 - 1]), I([-1])], {}),
    ("Slice", [F, I([5, 0]), I([-(2**31), 3]), I([1, 2]), I([-1, 1])], {}),
    ("Split", [F, I([1, 5])], {"axis": 1}),
    ("Split", [F], {"axis": 2, "num_outputs": 2}),
    ("Pad", [F, I([0, 1, 0, 2, 0, 0, 1, 0]), np.array(1.5, np.float32)], {}),
    ("MaxPool", [F], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}),
    ("MaxPool", [F], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", [F], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", [F], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("Conv", [F, F[:, :, :3, :2].repeat(2, 0)], {"pads": [1, 0, 0, 1], "strides": [2, 1], "dilations": [1, 2]}),
    ("Conv", [F, F[:, :2, :2, :2].reshape(-1, 2, 2, 2)[[0, 1, 0]], F[0, :3, 0, 0]], {"group": 3}),
    ("Gemm", [F[0, 0], F[0, 1], F[0, 0, 0, :1]], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gather", [F, I([[0, -1], [2, 2]])], {"axis": 1}),
    ("Gather", [F, I(-2)], {"axis": 2}),
    ("GatherElements", [F, I([[[[-1, 0, 1, 2]]]])], {"axis": 3}),
    ("Reshape", [F, I([0, -1, 2])], {}),
    ("Flatten", [F], {"axis": 2}),
    ("Expand", [F[:, :1], I([1, 3, 1, 1])], {}),
    ("ReduceSum", [F, I([-1, 1])], {"keepdims": 0}),
    ("ReduceSum", [F], {"noop_with_empty_axes": 1}),
    ("ReduceL2", [F], {}),
    ("LayerNormalization", [F, F[0, 0], F[0, 1]], {"axis": 2, "epsilon": 0.1}),
    ("BatchNormalization", [F, F[0, :, 0, 0], F[0, :, 0, 1], F[0, :, 0, 2], F[0, :, 0, 3] ** 2], {"epsilon": 0.01}),
    ("Softmax", [F], {"axis": 1}),
    ("Clip", [F, None, np.array(0.5, np.float32)], {}),
    ("Gelu", [F], {"approximate": "tanh"}),
    ("Gelu", [F], {}),
    ("Div", [I([-7, 7]), I([2, -2])], {}),
    ("Mod", [I([-7, 7]), I([3, -3])], {}),
    ("Mod", [F, -(F[:1] ** 2) - 1], {"fmod": 1}),
    ("Pow", [F**2, np.array(0.5, np.float32)], {}),
    ("Transpose", [F], {}),
    ("Unsqueeze", [F, I([0, -1])], {}),
    ("Where", [F > 0, F, np.array(0, np.float32)], {}),
    ("Shape", [F], {"start": 1, "end": -1}),
    ("HardSigmoid", [F], {}),
    ("LeakyRelu", [F], {"alpha": 0.3}),
    ("Tile", [F, I([1, 2, 1, 1])], {}),
    ("GlobalMaxPool", [F], {}),
]


@pytest.mark.parametrize(("op", "arrays", "attributes"), SINGLE, ids=[f"{n}-{one[0]}" for n, one in enumerate(SINGLE)])
def test_an_operator_is_that_of_onnx_runtime(op, arrays, attributes):
    ours, theirs = single(op, arrays, **attributes)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("op", ["GRU", "LSTM"])
def test_recurrent_operators_run_both_ways_from_where_they_start(op):
    random, gates = np.random.default_rng(0), {"GRU": 3, "LSTM": 4}[op]
    drawn = [random.normal(size=s).astype(np.float32) for s in ((4, 2, 3), (2, gates * 5, 3), (2, gates * 5, 5))]
    drawn += [random.normal(size=(2, 2 * gates * 5)).astype(np.float32), None]
    drawn += [random.normal(size=(2, 2, 5)).astype(np.float32) for _ in range(gates - 2)]
    more = {"linear_before_reset": 1} if op == "GRU" else {}
    ours, theirs = single(op, drawn, hidden_size=5, direction="bidirectional", **more)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_settings_of_an_operator_that_are_not_known_are_refused():
    with pytest.raises(OperatorUnknown, match="pads by itself"):
        OPERATORS["Conv"]({"auto_pad": b"SAME_UPPER"}, torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2, 2))
    with pytest.raises(OperatorUnknown, match="resets before"):
        OPERATORS["GRU"]({"hidden_size": 1}, torch.zeros(1, 1, 1), torch.zeros(1, 3, 1), torch.zeros(1, 3, 1))


def test_around_stands_before_the_inputs_of_products():
    seen = []

    def halved(step, place, value):
        seen.append((step.kind, place))
        return value / 2 if place == 1 else value

    graph = looked_up()
    inputs = {"code": torch.ones(1, 1), "numbers": torch.ones(1, 2)}
    plain, changed = GraphNet(graph), GraphNet(graph, halved)
    plain.weights["b"].data.zero_()
    changed.weights["b"].data.zero_()
    np.testing.assert_allclose(changed(inputs).detach(), plain(inputs).detach() / 2, rtol=1e-5)
    assert seen == [("Gemm", 0), ("Gemm", 1), ("Gemm", 2)]


def test_values_inside_are_kept_where_they_are_wanted():
    net = GraphNet(looked_up())
    net.wanted = frozenset({"z"})
    outputs = net({"code": torch.ones(1, 1), "numbers": torch.ones(1, 2)})
    assert torch.equal(net.kept["z"].relu(), outputs)
