"""A bundle that nobody vouches for: what is refused before anything runs, each by one sentence."""

import json
import os
import random
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle import PROTOCOL, load, write
from steelyard.bundle.graphs import check_graph, look
from steelyard.bundle.manifest import MANIFEST, SEAL, seal
from steelyard.bundle.wire import Malformed, fields
from steelyard.contracts import Artefact
from steelyard.errors import BundleRefused, Exit

# -------------------------------------------------------------------------------------------- helpers


def refused(folder, sentence):
    with pytest.raises(BundleRefused, match=sentence) as caught:
        load(folder)
    text = str(caught.value)
    assert str(folder) in text
    assert "\n" not in text
    assert caught.value.exit_code is Exit.BUNDLE_REFUSED


def edit(folder, change):
    """Change the manifest and seal it anew, as somebody who means harm would."""
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    content = json.dumps(data).encode()
    (folder / MANIFEST).write_bytes(content)
    (folder / SEAL).write_bytes(seal(content))


def replace(folder, name, content):
    """Change a listed file and its digest."""
    from steelyard.bundle.manifest import File

    (folder / name).write_bytes(content)
    edit(folder, lambda data: data["files"].update({name: File.of(content).model_dump()}))


# --------------------------------------------------------------------------------------------- folder


def test_no_folder_is_refused(tmp_path):
    refused(tmp_path / "nothing", "there is no such folder")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "there is no such folder")


@pytest.mark.parametrize("name", [MANIFEST, SEAL, "card.md", "model.onnx", "files/words.json"])
def test_a_missing_file_is_named(name, copy):
    folder = copy()
    (folder / name).unlink()
    refused(folder, rf"{re.escape(name)} is missing")


@pytest.mark.parametrize("name", ["notes.txt", "files/more.json", "deep/er/x"])
def test_an_unlisted_file_is_named(name, copy):
    folder = copy()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    refused(folder, f"{name} is not listed")


def test_a_truncated_file_is_named_with_its_sizes(copy):
    folder = copy()
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[:100])
    refused(folder, f"model.onnx has 100 bytes instead of {len(content):,}")


def test_one_flipped_bit_anywhere_is_refused(copy):
    folder = copy("blend")
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    chance = random.Random(7)
    for _ in range(60):
        path = chance.choice(paths)
        content = path.read_bytes()
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(changed))
        with pytest.raises(BundleRefused):
            load(folder)
        path.write_bytes(content)
    load(folder)


def test_a_change_inside_a_member_is_refused_although_the_outside_is_sealed_anew(copy):
    folder = copy("blend")
    replace(folder, "members/0/card.md", b"all is well")
    refused(folder, "members/0: card.md is not what the manifest says")


@pytest.mark.parametrize("target", ["model.onnx", "/etc/hostname"])
def test_a_symbolic_link_is_refused(target, copy):
    folder = copy()
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to(target)
    refused(folder, "card.md is a symbolic link")


def test_a_linked_folder_inside_is_refused(copy, tmp_path):
    folder = copy()
    (folder / "files").rename(tmp_path / "elsewhere")
    (folder / "files").symlink_to(tmp_path / "elsewhere")
    refused(folder, "files is a symbolic link")


def test_a_pipe_is_refused_and_not_waited_for(copy):
    folder = copy()
    os.mkfifo(folder / "pipe")
    refused(folder, "pipe is no plain file")


# ------------------------------------------------------------------------------------------- manifest


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "files/../../x", "c:\\x", "a//b"])
def test_a_listed_path_that_leaves_the_folder_is_refused(name, copy):
    folder = copy()
    edit(folder, lambda data: data["files"].update({name: data["files"]["card.md"]}))
    refused(folder, "which leaves the folder")


def test_a_graph_outside_the_list_is_refused(copy):
    folder = copy()
    edit(folder, lambda data: data["model"].update(graph="../other.onnx"))
    refused(folder, re.escape("speaks of '../other.onnx', which is not there"))


def test_a_newer_protocol_is_refused_before_the_rest_is_read(copy):
    folder = copy()
    edit(folder, lambda data: (data.clear(), data.update(protocol=PROTOCOL + 1, whatever=[])))
    refused(folder, rf"newer Steelyard \(protocol {PROTOCOL + 1}; this one reads up to {PROTOCOL}\): upgrade")


@pytest.mark.parametrize("protocol", [None, "1", True, 0])
def test_a_manifest_without_a_protocol_is_refused(protocol, copy):
    folder = copy()
    edit(folder, lambda data: data.update(protocol=protocol))
    refused(folder, "names no protocol")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.pop("task"), "task: Field required"),
        (lambda data: data.update(surprise=1), "surprise: Extra inputs"),
        (lambda data: data["task"].update(problem="guessing"), "task.problem"),
        (lambda data: data["files"]["card.md"].update(sha256="zz"), "sha256"),
    ],
)
def test_a_manifest_out_of_shape_is_refused_with_the_place(change, sentence, copy):
    folder = copy()
    edit(folder, change)
    refused(folder, sentence)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_no_manifest_is_refused(content, copy):
    folder = copy()
    (folder / MANIFEST).write_bytes(content)
    (folder / SEAL).write_bytes(seal(content))
    refused(folder, "manifest.json")


def test_a_manifest_changed_without_its_seal_is_refused(copy):
    folder = copy()
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes() + b" ")
    refused(folder, "manifest.json is not what manifest.sha256 says")


def test_a_manifest_of_absurd_size_is_not_read(copy):
    folder = copy()
    with (folder / MANIFEST).open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space
    refused(folder, "too large to be one")


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        ({"front_end": "pickles"}, "no front end is named 'pickles'"),
        ({"columns": ["agee"]}, "reads column 'agee', which the schema lacks"),
        ({"columns": ["city"]}, "reads number or time; column 'city' is category"),
        ({"columns": ["number"]}, "reads column 'number', which the schema lacks"),
        ({"inputs": ["y"]}, r"the feeds fill inputs \['y'\], the graph reads \['x'\]"),
        ({"inputs": ["x", "y"]}, "fills 1 graph inputs"),
        ({"options": {"size": 3}}, "has no option 'size'"),
    ],
)
def test_a_feed_that_does_not_fit_is_refused(feed, sentence, copy):
    folder = copy("numbers")
    edit(folder, lambda data: data["model"]["feeds"][0].update(feed))
    refused(folder, sentence)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rule": "magic"}, "no rule is named 'magic'"),
        ({"rule": "blend", "weights": [1]}, "one weight for each of its 2 members"),
        ({}, "no rule is named None"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(rule, sentence, copy):
    folder = copy("blend")
    edit(folder, lambda data: data["model"].update(rule=rule))
    refused(folder, sentence)


def test_a_member_that_is_not_there_is_refused(copy):
    folder = copy("blend")
    edit(folder, lambda data: data["model"].update(members=["members/0", "../numbers"]))
    refused(folder, "manifest.json is missing")


def test_a_member_of_another_task_is_refused(copy):
    folder = copy("blend")
    edit(folder, lambda data: data["task"].update(classes=["yes", "no"]))
    refused(folder, "join bundles of one task only")


def test_a_signature_that_hides_a_column_is_refused(copy):
    folder = copy("numbers")
    edit(folder, lambda data: data["signature"].update(inputs=[]))
    refused(folder, "does not name 'age'")


# --------------------------------------------------------------------------------------------- graphs


def with_initializer(model, **fields_):
    tensor = model.graph.initializer[0]
    for name, value in fields_.items():
        setattr(tensor, name, value)
    return model


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model


def external_in_a_branch(model):
    hidden = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    hidden.external_data.add(key="location", value="../weights.bin")
    out = helper.make_tensor_value_info("o", TensorProto.FLOAT, [2])
    branch = helper.make_graph([helper.make_node("Identity", ["hidden"], ["o"])], "branch", [], [out], [hidden])
    test = numpy_helper.from_array(np.array(True), "test")
    model.graph.initializer.append(test)
    model.graph.node.append(helper.make_node("If", ["test"], ["unused"], then_branch=branch, else_branch=branch))
    return model


def external_in_a_constant(model):
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "t")
    tensor.data_location = TensorProto.EXTERNAL
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))
    return model


def external_in_sparse(model):
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    values.external_data.add(key="location", value="x")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64)), [4])
    model.graph.sparse_initializer.append(sparse)
    return model


def importing(domain, version):
    def change(model):
        del model.opset_import[:]
        model.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid(domain, version)])
        return model

    return change


def using(operator, domain, *, imported=True):
    def change(model):
        model.graph.node.append(helper.make_node(operator, ["w"], ["unused"], domain=domain))
        if imported:
            model.opset_import.append(helper.make_opsetid(domain, 1))
        return model

    return change


def with_function(model):
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 21)]))
    return model


def with_training(model):
    model.training_info.add()
    return model


GRAPHS = [
    (external, "keeps tensors in another file"),
    (external_in_a_branch, "keeps tensors in another file"),
    (external_in_a_constant, "keeps tensors in another file"),
    (external_in_sparse, "keeps tensors in another file"),
    (importing("my.company", 1), "imports operator set 'my.company', which is not known here"),
    (importing("ai.onnx.ml", 99), "imports version 99 of operator set 'ai.onnx.ml'"),
    (importing("", 999), "imports version 999 of operator set ''"),
    (importing("ai.onnx", 999), "imports version 999 of operator set ''"),
    (using("EPContext", "com.microsoft"), "com.microsoft.EPContext, which is none of the quantised operators"),
    (using("Twist", "elsewhere", imported=False), "elsewhere.Twist of an operator set that it does not import"),
    (with_function, "defines functions"),
    (with_training, "defines functions or a training"),
]


@pytest.mark.parametrize(("change", "sentence"), GRAPHS)
def test_a_graph_that_asks_for_more_is_refused_when_written_and_when_loaded(change, sentence, make, copy, tmp_path):
    bad = change(make.numbers()).SerializeToString()
    with pytest.raises(BundleRefused, match=sentence):
        write(tmp_path / "new", Artefact(bad, make.artefact().feeds), make.about())
    assert not (tmp_path / "new").exists()
    folder = copy("numbers")
    replace(folder, "model.onnx", bad)
    refused(folder, sentence)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08", b"\x3a\x05\x01", b"\xff" * 40, b"\x0b"])
def test_a_graph_that_is_none_is_refused(content, copy):
    folder = copy("numbers")
    replace(folder, "model.onnx", content)
    refused(folder, "the graph is no readable ONNX model")


def test_graphs_nested_without_end_are_refused():
    def inside(number, content):
        size = len(content)
        return bytes([number << 3 | 2, size & 127 | 128, size >> 7]) + content

    graph = b""
    for _ in range(40):
        graph = inside(1, inside(5, inside(6, graph)))  # a node with an attribute that is a graph
    with pytest.raises(BundleRefused, match="nested more than"):
        look(inside(7, graph))


def test_a_graph_that_onnx_runtime_cannot_open_is_refused(make, copy):
    model = make.numbers()
    model.graph.node[0].op_type = "Mull"
    folder = copy("numbers")
    replace(folder, "model.onnx", model.SerializeToString())
    refused(folder, "ONNX Runtime .* cannot open the graph")


def test_a_graph_of_another_width_is_refused(make, copy):
    folder = copy("numbers")
    replace(folder, "model.onnx", make.numbers(width=3).SerializeToString())
    refused(folder, r"scores have shape .*; the task needs \(n, 2\)")


def test_a_graph_with_another_output_is_refused(make, copy):
    model = make.numbers()
    model.graph.output[0].name = model.graph.node[-1].output[0] = "result"
    folder = copy("numbers")
    replace(folder, "model.onnx", model.SerializeToString())
    refused(folder, "must have one output 'scores' of float32")


def test_quantised_operators_and_trees_pass(make):
    nodes = [helper.make_node("QGemm", ["a"], ["b"], domain="com.microsoft")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [], []),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )
    assert check_graph(model.SerializeToString()).operators == {("com.microsoft", "QGemm"): 1}


def test_the_reader_sees_what_the_onnx_package_sees(make):
    graph = make.mixed().graph
    seen, model = look(graph), onnx.load_from_string(graph)
    assert seen.opsets == {o.domain: o.version for o in model.opset_import}
    assert seen.operators.total() == len(model.graph.node)
    assert set(seen.operators) == {(n.domain, n.op_type) for n in model.graph.node}


def test_long_lists_of_numbers_are_stepped_over_and_nothing_behind_them_is_missed():
    hidden = numpy_helper.from_array(np.zeros(1, np.float32), "t")
    hidden.external_data.add(key="location", value="x")
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml")
    attribute = node.attribute.add(name="values", type=onnx.AttributeProto.FLOATS)
    attribute.floats.extend(np.linspace(-1, 1, 50_000).tolist())
    attribute.ints.extend([0, -1, 2**62, 300] * 10_000)
    attribute.t.CopyFrom(hidden)
    graph = helper.make_model(helper.make_graph([node], "g", [], [])).SerializeToString()
    assert look(graph).external


@pytest.mark.parametrize("message", [b"\x0a\x05ab", b"\x80", b"\x09\x00", b"\x80" * 11 + b"\x01"])
def test_a_message_that_ends_too_early_is_malformed(message):
    with pytest.raises(Malformed):
        list(fields(memoryview(message)))
