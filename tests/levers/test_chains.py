"""Graph levers in any order on small graphs of text, images and tables; tests/learners/pretrained has encoders."""

import numpy as np
import onnx
import pytest

from steelyard.contracts import Artefact, Problem, Stage
from steelyard.errors import SteelyardError
from steelyard.recipe import Plan, Settings, Step
from steelyard.registry import learners, levers
from steelyard.testing import chains
from steelyard.testing.chains import check_chain, check_chains, size_of
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene
from steelyard.testing.situations import situation

STEPS = {
    "fuse": Settings(),
    "vocabulary": Settings(),
    "factorise": Settings(keep=0.8, rows=48),
    "quantise": Settings(rows=32),
    "prune": Settings(share=0.25, epochs=1),
}
"""Every lever that changes a graph, with settings that leave small models nearly as they are."""
MODELS = {
    "text": ("text-cnn", "text", Settings(epochs=8, channels=32, embedding=64)),
    "images": ("cnn", "images", Settings(epochs=4, width=32)),
    "table": ("mlp", "numbers", Settings(epochs=8)),
}
TOLERANCE = 0.12


def steps():
    known = set(levers().names())
    return [Step(lever=name, settings=settings) for name, settings in STEPS.items() if name in known]


@pytest.fixture(scope="module")
def models():
    """Return the artefact of a small trained model with its rows, made once."""
    pytest.importorskip("torch", reason="the extra `deep` is not installed")
    made = {}

    def of(kind):
        if kind not in made:
            learner, rows, settings = MODELS[kind]
            one = scene(rows, Problem.MULTICLASS)
            fitted = learners().get(learner).fit(Plan(settings=settings), one.train, None, one.work, Watch())
            made[kind] = fitted.export(), one
        return made[kind]

    return of


def rows_of(one, kind):
    """Return training rows; of texts those that hold none of some words."""
    if kind != "text":
        return one.train
    kept = [not {"invoice", "address", "change", "account"} & set(text.split()) for text in one.train.columns["note"]]
    return one.train.take(np.flatnonzero(kept))


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("kind", MODELS)
def test_every_pair_of_levers_works_in_both_orders_or_is_refused_in_a_sentence(kind, models):
    artefact, one = models(kind)
    found = check_chains(artefact, rows_of(one, kind), one.work, steps(), tolerance=TOLERANCE)
    for each in found:
        if each.refusal:
            assert REFUSED[each.steps[-1]] in each.refusal
    acted = {each.steps for each in found if not each.refusal}
    assert acted >= {("factorise", "quantise"), *ACTS.get(kind, ())}


REFUSED = {
    "fuse": "finds nothing to fold",
    "vocabulary": "no front end that reads text",
    "factorise": "weights in 8 bits",
    "prune": "prune",
    "quantise": "quantise",
}
"""What a refusal says."""
ACTS = {
    "text": (("fuse", "vocabulary"), ("vocabulary", "fuse"), ("quantise", "vocabulary"), ("vocabulary", "quantise")),
    "table": (("fuse", "quantise"), ("quantise", "fuse")),
    "images": (("quantise", "fuse"),),
}
"""Pairs that may not be refused."""


@pytest.mark.slow
@pytest.mark.deep
def test_all_of_them_in_a_row(models):
    artefact, one = models("text")
    order = [Step(lever=name, settings=STEPS[name]) for name in ("vocabulary", "factorise", "quantise", "fuse")]
    made = check_chain(artefact, rows_of(one, "text"), one.work, order, tolerance=TOLERANCE)
    assert not made.refusal
    assert size_of(made.artefact) < 0.5 * size_of(artefact)


class Broken:
    """A lever that does one thing wrong."""

    name, stage, paper, about = "broken", Stage.SHRINKING, "Nobody: Nothing. 2026", "Breaks a graph."

    def __init__(self, how):
        self.how = how

    def moves(self, trial, context):
        return ()

    def apply(self, artefact, split, settings, work, meter):
        return self.how(artefact)


def refuse(artefact):
    raise SteelyardError("no\nway")


def grow(artefact):
    return Artefact(artefact.graph, artefact.feeds, {**artefact.files, "more": bytes(len(artefact.graph))})


def shuffle(artefact):
    model = onnx.load_from_string(artefact.graph)
    weight = max(model.graph.initializer, key=lambda one: one.ByteSize())
    array = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array[::-1]) * 5, weight.name))
    return Artefact(model.SerializeToString(), artefact.feeds, artefact.files)


def rename(artefact):
    model = onnx.load_from_string(artefact.graph)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    return Artefact(model.SerializeToString(), artefact.feeds, artefact.files)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (refuse, "refuses in several lines"),
        (grow, "left more bytes"),
        (shuffle, "answers otherwise"),
        (rename, "changed inputs or output"),
        (lambda made: Artefact(made.graph, (), made.files), "changed the feeds"),
    ],
)
def test_a_lever_that_breaks_a_graph_is_found_out(how, sentence, monkeypatch):
    one = situation(Problem.MULTICLASS)
    monkeypatch.setattr(chains, "levers", lambda: {"broken": Broken(how)})
    with pytest.raises(AssertionError, match=sentence):
        check_chain(one.artefact, one.rows, one.work, [Step(lever="broken")], tolerance=0.05)
