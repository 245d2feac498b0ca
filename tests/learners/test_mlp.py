"""The net for tables: what it learns, when it stops, and that its graph says the same."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import roc_auc_score

from steelyard.contracts import OF_ROWS, Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._graph import Graph, session
from steelyard.learners._mlp import Mlp
from steelyard.learners._mlp_inputs import Level
from steelyard.recipe import Plan, Settings, Step
from steelyard.testing import check_learner
from steelyard.testing.scenes import scene

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

SMALL = Settings(width=32, members=2, depth=1, learning_rate=0.01)
SHORT = Plan(settings=SMALL.with_(epochs=6))


def fit(made, plan=SHORT, valid=None, *, train=None, meter=None, **work):
    return Mlp().fit(plan, train or made.train, valid, replace(made.work, **work), meter)


def real(loaded, classes=()):
    """Return training rows, other rows and the work of one of scikit-learn's own sets; one row in four is other."""
    columns = {name: loaded.data[:, i] for i, name in enumerate(loaded.feature_names)}
    target = loaded.target.astype(np.int64 if classes else np.float64)
    rows = Split({str(name): values for name, values in columns.items()}, target, np.arange(len(target)))
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in rows.columns))
    problem, aim = (Problem.BINARY, "roc_auc") if classes else (Problem.REGRESSION, "rmse")
    task = Task(problem=problem, target="y", aim=aim, classes=classes, positive=classes[1] if classes else None)
    other = np.arange(len(target)) % 4 == 0
    return rows.take(~other), rows.take(other), Work(task=task, schema=schema)


# ------------------------------------------------------------------------------------------- what it learns


def test_benign_and_malignant_are_told_apart(meter):
    train, new, work = real(load_breast_cancer(), ("malignant", "benign"))
    fitted = Mlp().fit(Plan(settings=Settings(epochs=6)), train, None, work, meter)
    assert roc_auc_score(new.target, fitted.scores(new.columns)[:, 1]) > 0.99


def test_values_are_predicted_in_their_own_unit(meter):
    train, new, work = real(load_diabetes())
    fitted = Mlp().fit(Plan(settings=Settings(epochs=6)), train, None, work, meter)
    errors = fitted.scores(new.columns)[:, 0] - new.target
    assert np.sqrt(np.mean(errors**2)) < 0.8 * new.target.std()


def test_it_keeps_the_promises_of_a_learner():
    check_learner(Mlp(), plan=SHORT, among=[scene("numbers", Problem.BINARY)])


@pytest.mark.slow
@pytest.mark.parametrize("problem", OF_ROWS)
@pytest.mark.parametrize("kind", ["numbers", "text", "mixture"])
def test_it_keeps_them_on_any_scene(kind, problem):
    check_learner(Mlp(), plan=SHORT, among=[scene(kind, problem)])


# -------------------------------------------------------------------------------------------- when it stops


def test_the_net_that_early_stopping_keeps_is_the_beginning_of_the_longer_training(table, meter):
    made = table()
    noise = replace(made.test, target=np.random.default_rng(0).integers(0, 2, len(made.test)))
    stopped = fit(made, Plan(settings=SMALL.with_(epochs=40, patience=4)), noise, meter=meter)
    assert stopped.rounds < 40
    assert len(meter.curve) == stopped.rounds + 4
    again = fit(made, Plan(settings=SMALL, rounds=stopped.rounds), meter=meter)
    assert again.rounds == stopped.rounds
    np.testing.assert_array_equal(again.scores(made.test.columns), stopped.scores(made.test.columns))


def test_every_epoch_is_reported_in_the_aim(table, recorder):
    aims, errors = recorder(), recorder()
    for problem, meter in ((Problem.BINARY, aims), (Problem.REGRESSION, errors)):
        made = table(problem)
        fit(made, valid=made.test, meter=meter)
    assert [step for step, _ in aims.curve] == [1, 2, 3, 4, 5, 6]
    assert all(0.5 < value <= 1 for _, value in aims.curve[2:])
    assert all(value < 0 for _, value in errors.curve)


def test_it_stops_when_told_to_and_that_is_not_the_deadline(table, recorder):
    made = table()
    fitted = fit(made, valid=made.test, meter=recorder(stop_at=2))
    assert fitted.rounds <= 2
    assert not fitted.stopped


def test_no_time_left_means_a_net_all_the_same_and_a_note(table, recorder):
    made, late = table(), recorder(left=0.0)
    fitted = fit(made, valid=made.test, meter=late)
    assert (fitted.rounds, fitted.stopped) == (1, True)
    assert late.notes == ["the deadline stopped the training; the net is that of epoch 1 of at most 6"]
    assert np.isfinite(fitted.scores(made.test.columns)).all()


@pytest.mark.parametrize("watched", [True, False])
def test_time_that_runs_out_keeps_the_epochs_that_are_done(table, recorder, watched):
    class Running(recorder):
        def remaining(self):
            self.left -= 1
            return self.left

    made, meter = table(), Running(left=35)  # one look at the clock a step, 10 steps an epoch
    fitted = fit(made, valid=made.test if watched else None, meter=meter)
    assert fitted.stopped
    assert 1 <= fitted.rounds <= 3
    assert meter.notes


# ------------------------------------------------------------------------------------------ what it reads


def columns_of(made, **changed):
    return {
        name: np.full(len(cells), changed[name], cells.dtype)
        for name, cells in made.test.columns.items()
        if name in changed
    } | {n: c for n, c in made.test.columns.items() if n not in changed}


def test_unseen_rare_and_unmet_missing_categories_are_one(table, meter):
    made = table()
    made.train.columns["shape"][0] = "once only"
    fitted = fit(made, meter=meter)
    scores = [fitted.scores(columns_of(made, shape=cell)) for cell in ("once only", "unseen", None, "round", "square")]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    assert np.abs(scores[0] - scores[3]).max() > 1e-3
    assert np.abs(scores[3] - scores[4]).max() > 1e-3


def test_a_missing_number_is_the_median_and_flagged_where_training_met_some(table, meter):
    made = table()
    fitted = fit(made, meter=meter)
    medians = {name: np.nanmedian(made.train.columns[name]) for name in ("size", "gap")}
    for name, flagged in (("size", False), ("gap", True)):
        missing, usual = (fitted.scores(columns_of(made, **{name: cell})) for cell in (np.nan, medians[name]))
        assert (np.abs(missing - usual).max() > 1e-3) == flagged


def test_infinite_cells_and_a_column_without_values_are_borne(table, serve, meter):
    made = table()
    made.train.columns["gap"][:] = np.nan
    made.train.columns["size"][:2] = [np.inf, -np.inf]
    fitted = fit(made, meter=meter)
    made.test.columns["size"][:2] = [np.inf, -np.inf]
    scores = serve(fitted.export(), made.test.columns)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, fitted.scores(made.test.columns), atol=1e-4)


def test_columns_of_one_value_are_borne(table, serve, meter):
    made = table(kinds=(Kind.NUMBER, Kind.CATEGORY))
    for name, cells in made.train.columns.items():
        cells[:] = "same" if name in {"colour", "shape"} else 7.0
    fitted = fit(made, meter=meter)
    np.testing.assert_allclose(serve(fitted.export(), made.test.columns), fitted.scores(made.test.columns), atol=1e-4)


def test_derived_features_that_a_plan_asks_for_are_read(table, serve, meter):
    made = table(kinds=(Kind.TIME, Kind.CATEGORY))
    for rows in (made.train, made.test):  # enough values for a count and a mean of the target
        rows.columns["colour"][:] = [f"shade {place % 20}" for place in range(len(rows))]
    asked = ({"dates": False}, {"dates": True}, {"dates": True, "counts": True, "targets": True})
    plans = [replace(SHORT, parts=(Step(lever="features", settings=Settings(one)),)) for one in asked]
    few, more, most = (fit(made, plan, meter=meter) for plan in plans)
    assert few.inputs.level.width < more.inputs.level.width < most.inputs.level.width
    expected = most.scores(made.test.columns)
    np.testing.assert_allclose(serve(most.export(), made.test.columns), expected, atol=1e-4)


def test_the_level_of_numbers_is_the_same_in_the_graph():
    matrix = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * [1, 1e6, 1e-6, 1]
    matrix = matrix.astype(np.float32)
    matrix[::3, 1], matrix[:, 3] = np.nan, 5
    level, graph = Level.of(matrix), Graph()
    made = level.build(graph, graph.input("x", TensorProto.FLOAT, ["n", 4]))
    model = graph.seal((made, TensorProto.FLOAT, ["n", level.width]))
    new = np.vstack([matrix, np.full((1, 4), np.inf, np.float32)])
    (found,) = session(model, threads=1).run(None, {"x": new})
    np.testing.assert_array_equal(found, level.apply(new))
    assert level.gaps.tolist() == [1]
    assert np.abs(found[:50, :3]).max() < 3


# ----------------------------------------------------------------------------------- weights, seed, settings


def test_weights_count_by_their_ratios_alone(table, meter):
    made = table()
    weights = np.random.default_rng(0).integers(1, 4, len(made.train)).astype(float)
    one, four = (fit(made, train=replace(made.train, weights=weights * by), meter=meter) for by in (1, 4))
    np.testing.assert_array_equal(one.scores(made.test.columns), four.scores(made.test.columns))
    plain = fit(made, meter=meter).scores(made.test.columns)
    assert np.abs(one.scores(made.test.columns) - plain).max() > 1e-3


def test_balanced_classes_weigh_alike(table, meter):
    made = table(rows=1200)
    rare = replace(made.train, target=(np.random.default_rng(0).random(len(made.train)) < 0.1).astype(np.int64))
    shares = [
        fit(made, replace(SHORT, settings=SHORT.settings.with_(class_weight=how)), train=rare, meter=meter)
        .scores(made.test.columns)[:, 1]
        .mean()
        for how in ("none", "balanced")
    ]
    assert shares == pytest.approx([rare.target.mean(), 0.5], abs=0.1)


def test_another_seed_is_another_net_and_pytorch_is_left_as_it_was(table, meter):
    made, threads = table(), torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    short = Plan(settings=SMALL, rounds=1)
    one, other = (fit(made, short, meter=meter, seed=seed, threads=2).scores(made.test.columns) for seed in (0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.0},
        {"weight_decay": 1.0},
        {"depth": 2},
        {"width": 64},
        {"members": 3},
        {"pieces": 4},
        {"category_width": 3},
        {"category_min_count": 300},
        {"batch": 64},
        {"learning_rate": 0.001},
    ],
    ids=str,
)
def test_settings_are_honoured(table, meter, settings):
    made = table()
    usual, changed = (
        fit(made, replace(SHORT, settings=SHORT.settings.with_(**more)), meter=meter).scores(made.test.columns)
        for more in ({}, settings)
    )
    assert np.abs(changed - usual).max() > 1e-4


# --------------------------------------------------------------------------------------------- what ships


@pytest.mark.parametrize(("numbers", "pieces"), [(1, 16), (9, 16), (12, 12), (18, 8), (200, 8)])
def test_the_more_numbers_there_are_the_fewer_pieces_each_is_cut_into(numbers, pieces):
    columns = [Column(name=f"x{n}", kind=Kind.NUMBER, distinct=50) for n in range(numbers)]
    flags = [Column(name=f"flag{n}", kind=Kind.NUMBER, distinct=2) for n in range(40)]
    schema = Schema((*columns, *flags))
    assert Mlp().space(Task(problem=Problem.REGRESSION, target="y", aim="rmse"), schema).default("pieces") == pieces


def test_members_share_their_weights_in_the_graph_too(table, meter):
    made = table()
    two, eight = (fit(made, Plan(settings=Settings(members=members), rounds=1), meter=meter) for members in (2, 8))
    sizes = [len(fitted.export().graph) for fitted in (two, eight)]
    own = sum(p.numel() for p in (eight.net.scales, eight.net.heads, eight.net.ends)) * 4
    assert sizes[1] - sizes[0] < own
    shared = onnx.load_from_string(eight.export().graph).graph
    assert sum(node.op_type == "MatMul" for node in shared.node) == 3


# ------------------------------------------------------------------------------------------------ PyTorch


def test_without_pytorch_it_is_refused_with_the_way_out(table, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    work = table().work
    assert "pip install 'steelyard[deep]'" in Mlp().accepts(work.task, work.schema).sentence


def test_pytorch_is_not_loaded_before_a_training():
    code = "import sys; import steelyard.learners._mlp; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
