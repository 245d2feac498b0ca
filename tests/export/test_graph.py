"""The one graph of a bundle answers as the bundle does."""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from steelyard.bundle import FRONT_ENDS, load
from steelyard.bundle.opening import read
from steelyard.export.graph import graph_of

_spec = importlib.util.spec_from_file_location(
    "bundles_for_exporting", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)
COLUMNS = {"age": np.array([3.0, 33.0, 71.5])}


@pytest.fixture(scope="module")
def maker():
    return _bundles.Maker()


@pytest.fixture(scope="module")
def members(maker, tmp_path_factory):
    home = tmp_path_factory.mktemp("members")
    return [maker.write(home / str(seed), maker.artefact(seed=seed)) for seed in (1, 2)]


def fed(opened, prefix=""):
    """Return what the front ends of a bundle make of the columns, by the input of its graph."""
    model = opened.manifest.model
    if hasattr(model, "members"):
        parts = [fed(opened.member(name), f"{prefix}m{k}/") for k, name in enumerate(model.members)]
        return {name: tensor for part in parts for name, tensor in part.items()}
    fronts = [FRONT_ENDS[feed.front_end](feed, opened.artefact().files) for feed in model.feeds]
    return {f"{prefix}{name}": tensor for front in fronts for name, tensor in front(COLUMNS).items()}


def scored(graph, inputs):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert {each.name for each in session.get_inputs()} == set(inputs)
    return session.run(["scores"], inputs)[0]


def test_of_a_single_one_it_is_its_own(members):
    opened = read(members[0])
    assert graph_of(opened) == (members[0] / "model.onnx").read_bytes()


def test_of_a_blend_it_is_the_weighted_mean(maker, members, tmp_path):
    folder = maker.joined(tmp_path / "blend", {"rule": "blend", "weights": [1, 3]}, *members)
    opened = read(folder)
    found = scored(graph_of(opened), fed(opened))
    assert found == pytest.approx(load(folder).answer(COLUMNS).scores, abs=1e-6)
    assert not np.allclose(found, load(members[0]).answer(COLUMNS).scores, atol=1e-3)


def test_a_blend_of_blends_is_one_graph_too(maker, members, tmp_path):
    inner = maker.joined(tmp_path / "inner", {"rule": "blend", "weights": [2, 1]}, *members)
    folder = maker.joined(tmp_path / "outer", {"rule": "blend", "weights": [1, 1]}, inner, members[1])
    opened = read(folder)
    assert scored(graph_of(opened), fed(opened)) == pytest.approx(load(folder).answer(COLUMNS).scores, abs=1e-6)


def test_a_threshold_leaves_the_scores_and_a_cascade_has_no_one_graph(maker, members, tmp_path):
    decided = read(maker.joined(tmp_path / "decided", {"rule": "threshold", "positive": 1, "at": 0.3}, members[0]))
    assert graph_of(decided) == (members[0] / "model.onnx").read_bytes()
    cascade = {"rule": "cascade", "measure": "margin", "at": 0.5}
    assert graph_of(read(maker.joined(tmp_path / "cascade", cascade, *members))) is None
