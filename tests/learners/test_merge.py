"""Several artefacts as one graph: the mean of their scores, and nothing twice."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from steelyard.bundle.running import GraphModel
from steelyard.contracts import OF_ROWS, Artefact, Feed, Problem
from steelyard.learners._merge import GraphsUnlike, mean_of
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene


def fitted(name, place, folds=3):
    """Return one model for each third of the rows, trained on the others."""
    third = np.arange(len(place.train)) % folds
    plan = Plan(rounds=20) if "rounds" in learners().get(name).honours else Plan()
    return [
        learners().get(name).fit(plan, place.train.take(third != k), None, place.work, Watch()) for k in range(folds)
    ]


def scores(artefact, place):
    return GraphModel(artefact, place.task, place.schema, threads=1).answer(place.valid.columns).scores


@pytest.mark.parametrize("problem", OF_ROWS)
@pytest.mark.parametrize("kind", ["numbers", "mixture"])
@pytest.mark.parametrize("name", ["lightgbm", "linear"])
def test_the_scores_are_the_mean_of_the_models_own(name, kind, problem):
    place = scene(kind, problem)
    models = fitted(name, place)
    merged = mean_of([model.export() for model in models])
    mean = np.mean([model.scores(place.valid.columns) for model in models], axis=0)
    spread = 1.0 if place.task.classes else np.std(place.train.target)
    np.testing.assert_allclose(scores(merged, place) / spread, mean / spread, atol=1e-5)
    single = models[0].scores(place.valid.columns)
    assert np.abs(single - mean).max() > 1e-3 * spread, "the models are all alike, so this shows nothing"


def test_what_models_have_in_common_stands_there_once():
    place = scene("numbers", Problem.BINARY)
    (model,) = fitted("lightgbm", place, folds=2)[:1]
    one = model.export()
    twice = mean_of([one, one, one])
    graph, own = (onnx.load_model_from_string(a.graph).graph for a in (twice, one))
    assert twice.feeds == one.feeds
    assert len(graph.node) <= len(own.node) + 1, "the mean of three equal models is that model and one node"
    assert len(graph.initializer) <= len(own.initializer)
    np.testing.assert_allclose(scores(twice, place), scores(one, place), atol=1e-6)


def test_words_of_different_rows_keep_their_own_vocabulary():
    place = scene("text", Problem.BINARY)
    models = [m.export() for m in fitted("linear", place, folds=2)]
    assert len({content for model in models for content in model.files.values()}) == 2, "the vocabularies do not differ"
    merged = mean_of(models)
    assert sorted(merged.files) == ["vocabulary_0.json", "vocabulary_0_2.json"]
    assert [feed.options["vocabulary"] for feed in merged.feeds] == sorted(merged.files)
    np.testing.assert_allclose(scores(merged, place), np.mean([scores(m, place) for m in models], axis=0), atol=1e-6)


def graph_of(*nodes, opset=20):
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT if name == "scores" else TensorProto.DOUBLE, ["n", 1])
        for name in ("x", "scores")
    ]
    model = helper.make_model(
        helper.make_graph(list(nodes), "g", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
    )
    return Artefact(model.SerializeToString(), (Feed("numbers", ("x",), ("age",)),))


CAST = helper.make_node("Cast", ["x"], ["scores"], to=TensorProto.FLOAT)


def test_graphs_that_cannot_stand_side_by_side_are_refused():
    with pytest.raises(GraphsUnlike, match="versions"):
        mean_of([graph_of(CAST), graph_of(CAST, opset=19)])
    with pytest.raises(GraphsUnlike, match="nothing"):
        mean_of([])
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("x", TensorProto.DOUBLE, None)])
    branch = helper.make_node("If", ["x"], ["kept"], then_branch=body, else_branch=body)
    with pytest.raises(GraphsUnlike, match="If"):
        mean_of([graph_of(CAST, branch)])


def test_settings_of_a_feed_that_are_no_files_stay(monkeypatch):
    place = scene("text", Problem.BINARY)
    plan = Plan(settings=Settings(ngram_high=1))
    models = [learners().get("linear").fit(plan, place.train, None, place.work, Watch()).export() for _ in range(2)]
    (feed,) = mean_of(models).feeds
    assert feed.options == models[0].feeds[0].options
