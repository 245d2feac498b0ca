"""Pruning: what is cut goes together, what matters stays, and what is left answers as before."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from finished_models import Maker, answers, pictures, table, texts, work_of
from onnx import TensorProto, numpy_helper

from steelyard.contracts import Artefact, Ending, Feed, Kind, Problem, Split
from steelyard.errors import SteelyardError
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._prune import Prune
from steelyard.recipe import Settings, Shrink
from steelyard.testing import check_lever
from steelyard.testing.situations import situation

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")

from steelyard.levers.shrinking.pruning.cuts import Anatomy, kept_of  # noqa: E402 - needs PyTorch
from steelyard.levers.shrinking.pruning.layers import layers_of  # noqa: E402 - as above
from steelyard.levers.shrinking.tuning.feeding import material_of  # noqa: E402 - as above

pytestmark = pytest.mark.deep
MODELS = {"table": table, "pictures": pictures, "texts": texts}
NOTHING = np.empty(0, np.int64)


def anatomy_of(artefact, split):
    return Anatomy(artefact.graph, material_of(artefact, split.columns).batch(np.arange(3)))


def masked(anatomy, gone):
    """Set to zero what would be cut: the other way to the same answers."""
    model = onnx.load_from_string(anatomy.graph)
    for array in model.graph.initializer:
        if array.name in anatomy._weights:
            values = numpy_helper.to_array(array).copy()
            for axis, units in enumerate(anatomy._weights[array.name]):
                values[(slice(None),) * axis + (~anatomy._stays(units, gone),)] = 0
            array.CopyFrom(numpy_helper.from_array(values, array.name))
    return model.SerializeToString()


def apply(artefact, split, work, meter, **settings):
    return Prune().apply(artefact, split, Settings(**settings), work, meter)


@pytest.mark.parametrize("kind", MODELS)
def test_a_graph_without_some_groups_answers_as_one_in_which_they_are_zero(kind, random):
    artefact, split, _ = MODELS[kind](random)
    anatomy = anatomy_of(artefact, split)
    gone = np.concatenate([random.choice(f.units, len(f) // 2, replace=False) for f in anatomy.families])
    cut, zeros = (replace(artefact, graph=graph) for graph in (anatomy.without(gone), masked(anatomy, gone)))
    assert len(cut.graph) < 0.8 * len(artefact.graph)
    np.testing.assert_allclose(answers(cut, split), answers(zeros, split), atol=1e-5)
    assert np.abs(answers(cut, split) - answers(artefact, split)).max() > 1e-3


@pytest.mark.parametrize("kind", MODELS)
def test_a_graph_without_nothing_is_what_it_was(kind, random):
    artefact, split, _ = MODELS[kind](random)
    same = replace(artefact, graph=anatomy_of(artefact, split).without(NOTHING))
    assert np.array_equal(answers(same, split), answers(artefact, split))


def test_an_encoder_has_heads_and_hidden_units_and_keeps_its_width(random):
    artefact, split, _ = texts(random, layers=2, heads=4, inner=48)
    found = [(family.kind, len(family)) for family in anatomy_of(artefact, split).families]
    assert sorted(found) == [("channels", 48), ("channels", 48), ("heads", 4), ("heads", 4)]


def test_channels_that_are_added_go_together_and_branches_side_by_side_do_not(random):
    artefact, split, _ = pictures(random, channels=16)
    anatomy = anatomy_of(artefact, split)
    assert sorted(len(family) for family in anatomy.families) == [16, 16, 16, 32]
    residual = max(anatomy.families, key=lambda family: len(family.spots))
    assert len(residual) == 16
    smaller = onnx.load_from_string(anatomy.without(residual.units[:4]))
    assert [a.i for node in smaller.graph.node for a in node.attribute if a.name == "group" and a.i > 1] == [12]


def test_what_is_answered_and_what_is_read_is_never_cut(random):
    artefact, split, _ = pictures(random)
    anatomy = anatomy_of(artefact, split)
    everything = np.concatenate([family.units[1:] for family in anatomy.families])
    assert answers(replace(artefact, graph=anatomy.without(everything)), split).shape == (len(split), 3)


def test_half_of_the_channels_are_about_a_quarter_of_the_weights(random, meter):
    artefact, split, work = pictures(random, channels=32)
    small = apply(artefact, split, work, meter, share=0.5, epochs=0)
    assert len(small.graph) < 0.35 * len(artefact.graph)
    assert small.feeds == artefact.feeds
    assert any("leaves out" in note for note in meter.notes)


def test_units_that_reach_no_answer_are_the_first_to_go(random, meter):
    artefact, split, work = table(random, units=32, useful=16)
    small = apply(artefact, split, work, meter, share=0.5, epochs=0)
    np.testing.assert_allclose(answers(small, split), answers(artefact, split), atol=1e-6)


def test_a_large_weight_that_does_nothing_misleads_the_norm_alone(random, meter):
    make, names = Maker(), tuple(f"x{i}" for i in range(6))
    x = make("Cast", make.graph.input("numbers", TensorProto.DOUBLE, ["n", 6]), to=TensorProto.FLOAT)
    first = random.normal(size=(6, 32)).astype(np.float32)
    offset = np.where(np.arange(32) < 16, 0, -1000).astype(np.float32)  # the others never fire
    last = random.normal(size=(32, 3)).astype(np.float32)
    sums = make("MatMul", make("Relu", make("Add", make("MatMul", x, first), offset)), last)
    artefact = Artefact(make.end(sums), (Feed("numbers", ("numbers",), names),))
    columns = {name: random.normal(size=80) for name in names}
    work = work_of(Problem.MULTICLASS, *((name, Kind.NUMBER) for name in names))
    split = Split(columns, random.integers(0, 3, 80), np.arange(80))
    whole = answers(artefact, split)
    moved = {
        by: np.abs(answers(apply(artefact, split, work, meter, by=by, epochs=0), split) - whole).max()
        for by in ("taylor", "magnitude")
    }
    assert moved["taylor"] < 1e-6
    assert moved["magnitude"] > 0.1


def test_a_residual_block_that_adds_nothing_is_left_out_without_a_trace(random, meter):
    artefact, split, work = pictures(random, idle=True)
    small = apply(artefact, split, work, meter, what="layers", share=0.6, epochs=0)
    assert len(small.graph) < 0.5 * len(artefact.graph)
    np.testing.assert_allclose(answers(small, split), answers(artefact, split), atol=1e-6)


def test_the_layers_of_an_encoder_are_its_attentions_and_its_inner_nets(random, meter):
    artefact, split, work = texts(random, layers=3)
    layers = layers_of(artefact.graph, material_of(artefact, split.columns).batch(np.arange(3)))
    assert len(layers) == 6
    small = apply(artefact, split, work, meter, what="layers", share=0.5, epochs=0)
    kinds = [node.op_type for node in onnx.load_from_string(small.graph).graph.node]
    assert kinds.count("LayerNormalization") == 4
    assert answers(small, split).shape == (len(split), 3)
    assert meter.notes == ["prune leaves out 3 of 6 layers."]


def test_training_after_the_cut_brings_answers_back(random, meter):
    artefact, split, work = table(random, units=64, rows=400)
    whole = answers(artefact, split)
    cut, trained = (apply(artefact, split, work, meter, share=0.75, epochs=epochs) for epochs in (0, 8))
    apart = [np.abs(answers(one, split) - whole).mean() for one in (cut, trained)]
    assert len(cut.graph) == len(trained.graph)
    assert apart[1] < 0.7 * apart[0]


def test_the_same_rows_and_seed_give_the_same_bytes(random, meter):
    artefact, split, work = pictures(random)
    one, again = (apply(artefact, split, work, meter, epochs=1) for _ in range(2))
    assert one == again


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"what": "heads"}, "finds no heads"),
        ({"what": "layers"}, "finds no layers"),
        ({"what": "trees"}, "finds no trees"),
        ({"share": 0.0}, "finds no channels"),
        ({"what": "weights"}, "what must be one of"),
        ({"sparsity": 0.5}, "no setting 'sparsity'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(settings, said, random, meter):
    artefact, split, work = table(random)
    with pytest.raises(SteelyardError, match=said):
        apply(artefact, split, work, meter, **settings)


def test_to_describe_it_loads_neither_pytorch_nor_onnx():
    asked = "import sys, steelyard.levers.shrinking._prune; sys.exit(bool({'torch', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_without_rows_nothing_is_pruned(random, meter):
    artefact, split, work = table(random)
    with pytest.raises(LeverRefused, match="needs training rows"):
        apply(artefact, split.take(NOTHING), work, meter)


def test_kept_units_are_whole_blocks_and_never_none():
    assert [kept_of(size, 0.5) for size in (1, 2, 3, 12, 16, 100)] == [1, 1, 2, 6, 8, 48]
    assert kept_of(64, 0.95) == 8
    assert kept_of(8, 0.95) == 1


def test_half_is_proposed_first_and_then_more_or_less_as_that_went(trial, context):
    net = trial(1, "lines", aim=0.8)

    def shares(*others):
        known = context(net, *others)
        return [move.recipe.settings["share"] for t in known.trials for move in Prune().moves(t, known)]

    def pruned(share, aim):
        recipe = Shrink(lever="prune", parent=net.recipe, settings=Settings(share=share))
        return trial(int(100 * share), recipe=recipe, aim=aim, lever="prune")

    assert shares() == [0.5]
    assert shares(pruned(0.5, 0.79)) == [0.75]
    assert shares(pruned(0.5, 0.6)) == [0.25]
    assert shares(pruned(0.5, 0.79), pruned(0.75, 0.5)) == []
    failed = replace(pruned(0.5, 0.79), ending=Ending.FAILED, validation={})
    assert shares(failed) == [0.25]


def test_of_an_encoder_half_of_the_layers_are_proposed_to_go(trial, context):
    net = trial(1, "transformer", aim=0.8)
    other = context()
    known = replace(context(net), learner=lambda _: other.learner("lines"), space=lambda _: other.space("lines"))
    found = [dict(move.recipe.settings) for move in Prune().moves(net, known)]
    assert found == [{"share": 0.5}, {"what": "layers", "share": 0.5}]


def test_a_graph_in_8_bits_is_not_pruned_and_only_the_best_net_is(trial, context):
    best, worse = trial(1, "lines", aim=0.8), trial(2, "lines", aim=0.7, penalty=2.0)
    small = trial(3, recipe=Shrink(lever="quantise", parent=best.recipe), aim=0.9, lever="quantise")
    known = context(best, worse, small)
    assert [move.recipe.parent for t in known.trials for move in Prune().moves(t, known)] == [best.recipe]


@pytest.mark.slow
@pytest.mark.parametrize("problem", [Problem.MULTICLASS, Problem.REGRESSION])
def test_it_keeps_the_contract_of_a_lever(problem):
    check_lever(Prune(), among=[situation(problem)])
