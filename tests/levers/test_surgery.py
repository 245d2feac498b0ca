import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from steelyard.learners._graph import Graph
from steelyard.levers.shrinking.graphs.surgery import Surgery, reads


def built(make):
    """Close a graph over ``x``, (n, 4), that a function adds nodes to."""
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", 4])
    return graph.seal((make(graph, x), TensorProto.FLOAT, ["n", None]))


def test_constants_of_every_form_are_initializers():
    nodes = [
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("Constant", [], ["two"], value=onnx.numpy_helper.from_array(np.float32([2.0]))),
        helper.make_node("Add", ["x", "one"], ["a"]),
        helper.make_node("Mul", ["a", "two"], ["b"]),
        helper.make_node("ReduceSum", ["b", "axes"], ["scores"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "scores")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    opened = Surgery(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())
    assert opened.value("one") == 1.0
    assert opened.value("axes").tolist() == [1]
    assert opened.value("two").tolist() == [2.0]
    assert [node.op_type for node in opened.nodes] == ["Add", "Mul", "ReduceSum"]


def test_what_nobody_reads_goes_with_the_sets_of_operators_that_nobody_uses():
    def make(graph, x):
        graph.add("MatMul", x, graph.constant(np.ones((4, 99), np.float32)))
        return graph.add("Relu", x, output="scores")

    opened = Surgery(built(make))
    model = onnx.load_from_string(opened.close())
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    assert not model.graph.initializer
    assert [one.domain for one in model.opset_import] == [""]


def test_a_node_is_replaced_where_it_stands():
    opened = Surgery(built(lambda g, x: g.add("Neg", g.add("Relu", x), output="scores")))
    relu = opened.nodes[0]
    inner = opened.name("relu_0")
    opened.put(relu, [helper.make_node("Exp", ["x"], [inner]), helper.make_node("Log", [inner], relu.output)])
    assert [node.op_type for node in opened.nodes] == ["Exp", "Log", "Neg"]
    assert inner != "relu_0"
    assert opened.alone(inner).op_type == "Log"
    onnx.checker.check_model(onnx.load_from_string(opened.close()))


def test_a_tensor_with_two_readers_or_that_is_an_output_has_no_reader_of_its_own():
    def make(graph, x):
        inner = graph.add("Relu", x)
        return graph.add("Add", graph.add("Neg", inner), inner, output="scores")

    opened = Surgery(built(make))
    assert opened.alone(opened.nodes[0].output[0]) is None
    assert opened.alone("scores") is None
    assert opened.alone("x") is None
    assert opened.alone(opened.nodes[1].output[0]).op_type == "Add"


@pytest.fixture
def branching():
    """A graph with two graphs inside it, which read a tensor and a constant from outside."""
    branches = [
        helper.make_graph(
            [helper.make_node(op, ["outer", "far"], [f"in_{op}"])],
            op,
            [],
            [helper.make_tensor_value_info(f"in_{op}", TensorProto.FLOAT, None)],
        )
        for op in ("Add", "Mul")
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["outer"]),
        helper.make_node("If", ["yes"], ["scores"], then_branch=branches[0], else_branch=branches[1]),
    ]
    held = [
        onnx.numpy_helper.from_array(np.array(True), "yes"),
        onnx.numpy_helper.from_array(np.float32([3]), "far"),
        onnx.numpy_helper.from_array(np.float32([3]), "other"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "scores")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()


def test_what_a_graph_inside_reads_counts_as_read(branching):
    opened = Surgery(branching)
    assert set(reads(opened.nodes[1])) == {"yes", "outer", "far"}
    opened.rename("far", "other")
    assert set(reads(opened.nodes[1])) == {"yes", "outer", "other"}
    closed = onnx.load_from_string(opened.close())
    assert {tensor.name for tensor in closed.graph.initializer} == {"yes", "other"}
    assert len(closed.graph.node) == 2
