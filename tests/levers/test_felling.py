"""Fewer trees: the last ones of a boosting, some of a forest, and none that answers need."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from finished_models import answers, labelled, work_of
from onnx import TensorProto

from steelyard.contracts import Artefact, Feed, Kind, Problem
from steelyard.learners._forest import Tree, forest
from steelyard.learners._graph import Graph
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._prune import Prune
from steelyard.levers.shrinking.pruning.felling import Forest, felled, useful
from steelyard.recipe import Settings


def stump(random, weight, targets):
    """One split of one of four numbers."""
    feature, cut = int(random.integers(4)), float(random.normal())
    return Tree(
        feature=np.array([feature, 0, 0]),
        cut=np.array([cut, 0.0, 0.0]),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        missing_left=np.array([True, False, False]),
        weights=weight * random.normal(size=(2, len(targets))),
        targets=np.array(targets),
    )


def grown(trees, problem, *, sums):
    """A model of such trees, and rows that it answers."""
    graph, names = Graph(), tuple(f"x{i}" for i in range(4))
    x = graph.add("Cast", graph.input("numbers", TensorProto.DOUBLE, ["n", 4]), to=TensorProto.FLOAT)
    total = forest(graph, x, trees, sums=sums)
    end = graph.add("Softmax" if problem is Problem.MULTICLASS else "Identity", total, output="scores")
    artefact = Artefact(graph.seal((end, TensorProto.FLOAT, ["n", sums])), (Feed("numbers", ("numbers",), names),))
    random = np.random.default_rng(1)
    work = work_of(problem, *((name, Kind.NUMBER) for name in names))
    return artefact, labelled(artefact, {name: random.normal(size=150) for name in names}, work), work


@pytest.fixture
def boosted(random):
    """Forty rounds of three trees, each round a tenth weaker than the one before."""
    trees = [stump(random, 0.7 ** (t // 3), [t % 3]) for t in range(120)]
    return grown(trees, Problem.MULTICLASS, sums=3)


@pytest.fixture
def averaged(random):
    """The mean of eighty trees of three numbers each, all alike in what they weigh."""
    trees = [stump(random, 1 / 80, [0]) for _ in range(80)]
    return grown(trees, Problem.REGRESSION, sums=1)


def test_rounds_are_counted_as_they_were_grown(boosted, averaged):
    assert [(f.rounds, f.each) for f in (Forest.of(m[0].graph) for m in (boosted, averaged))] == [(40, 3), (80, 1)]


def test_all_rounds_are_the_graph_itself(boosted):
    artefact, split, _ = boosted
    whole = Forest.of(artefact.graph).first(40)
    assert np.array_equal(answers(Artefact(whole, artefact.feeds), split), answers(artefact, split))


def test_the_last_rounds_of_a_boosting_are_found_to_be_of_no_use(boosted, meter):
    artefact, split, work = boosted
    rounds = useful(artefact, split, work, apart=0.002)
    assert 3 <= rounds <= 25
    small = Prune().apply(artefact, split, Settings(share=0.0), work, meter)
    assert meter.notes == [f"prune keeps {rounds} of 40 rounds of trees."]
    assert (answers(small, split).argmax(1) == answers(artefact, split).argmax(1)).mean() >= 0.998
    assert len(small.graph) < 0.7 * len(artefact.graph)


def test_fewer_trees_of_a_mean_are_a_mean_again(averaged):
    artefact, split, work = averaged
    half = felled(artefact, 40, split, work)
    whole, part = answers(artefact, split), answers(half, split)
    unscaled = answers(Artefact(Forest.of(artefact.graph).first(40), artefact.feeds), split)
    assert np.square(part - whole).mean() < np.square(unscaled - whole).mean()
    slope = (whole * part).sum() / (part * part).sum()
    assert slope == pytest.approx(1.0, abs=1e-4)


def test_a_share_says_how_many_rounds_go(boosted, meter):
    artefact, split, work = boosted
    small = Prune().apply(artefact, split, Settings(what="trees", share=0.75), work, meter)
    assert Forest.of(small.graph).rounds == 10
    assert small.feeds == artefact.feeds
    ends = [onnx.load_from_string(g.graph).graph for g in (artefact, small)]
    assert ends[0].output == ends[1].output
    assert ends[0].input == ends[1].input


def test_where_every_tree_is_of_use_none_is_left_out(random, meter):
    trees = [stump(random, 1.0, [0]) for _ in range(4)]
    artefact, split, work = grown(trees, Problem.REGRESSION, sums=1)
    with pytest.raises(LeverRefused, match="each of the 4 rounds of trees of use"):
        Prune().apply(artefact, split, Settings(share=0.0), work, meter)


def test_trees_are_proposed_to_be_cut_where_they_are_of_no_use(trial, context):
    class Grown:
        name = "lightgbm"
        weighty = False

    best, net = trial(1, "lightgbm", aim=0.9), trial(2, "lines", aim=0.8)
    known = context(best, net)
    families = {"lightgbm": Grown(), "lines": known.learner("lines")}
    known = replace(known, learner=families.__getitem__)
    found = [move.recipe for t in known.trials for move in Prune().moves(t, known)]
    assert [(r.parent.learner, r.settings["share"]) for r in found] == [("lightgbm", 0.0), ("lines", 0.5)]
