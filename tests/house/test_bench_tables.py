"""The benchmark of tables compares what it says it compares: same rows, whole process trees, paired figures."""

import csv
import doctest
import gzip
import importlib
import json
import math
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "tables"
LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def bench():
    """Import the harness's modules, which stand in a folder and not in a package, and forget them afterwards."""
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(HERE))
    names = (
        "store",
        "sets",
        "scores",
        "paired",
        "cells",
        "tools",
        "plan",
        "process",
        "latency",
        "run",
        "summary",
        "cost",
        "words",
    )
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(HERE.parent)):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("ONLY", "SETS", "BUDGETS", "SEEDS", "FRESH", "MINUTES", "KEEP"):
        monkeypatch.delenv(name, raising=False)


# ------------------------------------------------------------------------------------------------ figures


def test_the_examples_in_the_docstrings_hold(bench):
    for name in ("sets", "scores", "paired", "words"):
        assert doctest.testmod(getattr(bench, name)).failed == 0


def test_figures_are_those_of_scikit_learn_and_so_are_the_resampled_ones(bench):
    random = np.random.default_rng(0)
    wide, counts = random.dirichlet(np.ones(3), 60), bench.scores.resamples("x", 60)[0]
    names, numbers = random.choice(["a", "b", "c"], 60), random.normal(size=60)
    cases = (
        ("log_loss", names, wide, ["a", "b", "c"], lambda w: log_loss(names, wide, sample_weight=w)),
        (
            "rmse",
            map(str, numbers),
            wide[:, 0],
            [],
            lambda w: root_mean_squared_error(numbers, wide[:, 0], sample_weight=w),
        ),
    )
    for metric, truth, answers, classes, expected in cases:
        found = bench.scores.figures(metric, "x", list(truth), answers, classes)
        assert found["value"] == pytest.approx(expected(None))
        assert bench.scores.unpack(found)[0] == pytest.approx(expected(counts), rel=1e-3)


def test_the_area_counts_ties_by_half_whatever_the_order_of_the_classes(bench):
    random = np.random.default_rng(1)
    truth = random.choice(["no", "yes"], 80)
    yes = random.integers(0, 5, 80) / 4  # many ties
    counts = bench.scores.resamples("x", 80)[0]
    for answers, classes in (
        (np.column_stack([1 - yes, yes]), ["no", "yes"]),
        (np.column_stack([yes, 1 - yes]), ["yes", "no"]),
    ):
        found = bench.scores.figures("roc_auc", "x", list(truth), answers, classes)
        assert found["value"] == pytest.approx(roc_auc_score(truth == "yes", yes))
        expected = roc_auc_score(truth == "yes", yes, sample_weight=counts)
        assert bench.scores.unpack(found)[0] == pytest.approx(expected, rel=1e-3)


def test_a_class_that_a_tool_does_not_know_costs_it_the_limit_and_no_more(bench):
    found = bench.scores.figures("log_loss", "x", ["a", "z"], [[1.0, 0.0], [1.0, 0.0]], ["a", "b"])
    assert found["value"] == pytest.approx(-math.log(bench.scores.LEAST) / 2, rel=1e-3)


@pytest.mark.parametrize("answers", [[[0.5, 0.5]], [[0.5, 0.5], [math.nan, 0.5]]])
def test_answers_that_are_too_few_or_not_finite_are_refused(bench, answers):
    with pytest.raises(ValueError, match="not finite"):
        bench.scores.figures("roc_auc", "x", ["a", "b"], answers, ["a", "b"])


# --------------------------------------------------------------------------------------------------- data


@pytest.fixture
def small(bench, tmp_path, monkeypatch):
    """One set of 300 rows, in a cache of its own."""
    monkeypatch.setattr(bench.sets, "DATA", tmp_path / "data")
    monkeypatch.setattr(bench.sets, "CACHE", tmp_path / "cache")
    (tmp_path / "data" / "s").mkdir(parents=True)
    with gzip.open(tmp_path / "data" / "s" / "data.csv.gz", "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "x", "word", "leak", "y"])
        writer.writerows(
            [i, "" if i % 9 == 0 else f"{i}.50", "" if i % 7 == 0 else f"w{i}", i % 2, i % 2] for i in range(300)
        )
    return bench.sets.Table(name="s", target="y", problem="binary", rows=300, drop=("id", "leak"))


def test_tools_get_the_catalogue_split_without_leaks_and_without_test_targets(bench, small):
    facts = bench.sets.about(small)
    folder = bench.sets.folder_of(small)
    names, *train = csv.reader((folder / "train.csv").read_text(encoding="utf-8").splitlines())
    test_names, *test = csv.reader((folder / "test.csv").read_text(encoding="utf-8").splitlines())
    assert names == ["x", "word", "y"]
    assert test_names == ["x", "word"]
    expected = [i for i in range(300) if zlib.crc32(str(i).encode()) % 5 == 0]
    assert [row[0] or row[1] for row in test] == [
        "" if i % 9 == 0 and i % 7 == 0 else f"w{i}" if i % 9 == 0 else f"{i}.50" for i in expected
    ]
    assert len(train) == facts["train"] == 300 - len(expected)
    assert not {tuple(row[:2]) for row in train if all(row[:2])} & {tuple(row) for row in test}
    assert json.loads(bench.sets.answers_of(small).read_text()) == [str(i % 2) for i in expected]
    assert not any("answers" in str(p) for p in folder.rglob("*"))
    rows = json.loads((folder / "rows.json").read_text())
    for i, row in zip(expected, rows, strict=True):
        assert row["word"] == (None if i % 7 == 0 else f"w{i}")
        assert math.isnan(row["x"]) if i % 9 == 0 else row["x"] == i + 0.5


def test_a_file_that_is_not_the_catalogue_s_is_refused(bench, small):
    other = bench.sets.Table(name="s", target="y", problem="binary", rows=301)
    with pytest.raises(ValueError, match="has 300 rows; the catalogue says 301"):
        bench.sets.about(other)


# ---------------------------------------------------------------------------------------------- processes


@LINUX
def test_a_command_is_ended_with_all_that_it_started_even_what_left_its_session(bench, tmp_path):
    pid = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time; "
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True); "
        f"open({str(pid)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    ran = bench.process.run([sys.executable, "-c", code], log=tmp_path / "log", limit=2, cores=1)
    assert ran.late
    assert 2 <= ran.seconds < 5
    assert not Path("/proc", pid.read_text()).exists()


@LINUX
def test_what_a_command_leaves_behind_is_ended_after_it(bench, tmp_path):
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True); "
        f"open({str(pid)!r}, 'w').write(str(p.pid))"
    )
    ran = bench.process.run([sys.executable, "-c", code], log=tmp_path / "log", limit=20, cores=1)
    assert (ran.code, ran.late) == (0, False)
    assert not Path("/proc", pid.read_text()).exists()


@LINUX
def test_memory_is_that_of_the_tree_and_shared_pages_count_once(bench, tmp_path):
    code = (
        "import os, time; held = bytearray(os.urandom(1)) * 200_000_000; "
        "child = os.fork(); time.sleep(1.5); child and os.wait()"
    )
    ran = bench.process.run([sys.executable, "-c", code], log=tmp_path / "log", limit=20, cores=1)
    assert 200e6 < ran.peak_bytes < 300e6
    assert ran.resident_bytes > 390e6


@LINUX
def test_a_tree_that_holds_too_much_is_ended(bench, tmp_path):
    code = "import time; held = bytearray(b'x') * 200_000_000; time.sleep(30)"
    began = time.perf_counter()
    ran = bench.process.run([sys.executable, "-c", code], log=tmp_path / "log", limit=30, cores=1, most_bytes=10**8)
    assert ran.late
    assert time.perf_counter() - began < 15


def test_a_command_does_not_see_the_settings_of_the_harness(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("MINUTES", "5")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    code = "import os; print(os.environ.get('MINUTES'), os.environ.get('PYTHONPATH'), os.environ['OMP_NUM_THREADS'])"
    bench.process.run([sys.executable, "-c", code], log=tmp_path / "log", limit=20, cores=1)
    assert (tmp_path / "log").read_text().split() == ["None", "None", "1"]


# ---------------------------------------------------------------------------------------------- the plan


def test_every_set_has_every_budget_and_small_sets_three_seeds(bench):
    every = list(bench.plan.cases(frozenset(bench.sets.SETS)))
    assert len(every) == len(set(every))
    for name, table in bench.sets.SETS.items():
        seeds = {case.seed for case in every if case.set == name and case.tool == "flaml" and case.budget == 120}
        assert seeds == ({0, 1, 2} if table.small else {0})
    assert {case.budget for case in every if case.tool == "catboost"} == {0}
    assert {case.set for case in every if case.budget == 600} == set(bench.tools.LONG_SETS)
    assert {bench.sets.SETS[name].problem for name in bench.tools.LONG_SETS} == {"binary", "multiclass", "regression"}


def test_all_tools_of_a_set_stand_together_so_that_half_a_call_can_be_compared(bench):
    first = [case for case in bench.plan.cases() if case.set == "german_credit"][:7]
    assert list(bench.plan.cases())[: len(first)] == first
    assert {case.tool for case in first} >= {"ours", *bench.tools.SEARCHES, "catboost", "lightgbm"}


def test_the_bars_are_about_twelve_sets_and_the_others_are_measured_where_they_are_named(bench):
    def sets(environment):
        asked = bench.plan.Slice.asked(environment)
        return {case.set for case in bench.plan.cases(asked.sets) if asked.holds(case)}

    planned = bench.sets.PLANNED
    assert len(planned) == 12
    assert sets({}) == sets({"ONLY": "ours"}) == planned >= set(bench.tools.LONG_SETS)
    assert sets({"SETS": "more", "BUDGETS": "30"}) == set(bench.sets.SETS) - planned
    problems = [bench.sets.SETS[name].problem for name in planned]
    assert min(map(problems.count, ("binary", "multiclass", "regression"))) >= 3


def test_a_slice_is_named_by_tools_sets_budgets_and_seeds(bench):
    asked = bench.plan.Slice.asked({"ONLY": "ours,defaults", "SETS": "small churn", "BUDGETS": "30", "SEEDS": "0"})
    assert asked.named
    chosen = [case for case in bench.plan.cases(asked.sets) if asked.holds(case)]
    assert {case.tool for case in chosen} == {"ours", "catboost", "lightgbm"}
    assert {case.budget for case in chosen} == {0, 30}
    assert {case.seed for case in chosen} == {0}
    assert {case.set for case in chosen} == {n for n, t in bench.sets.SETS.items() if t.small} | {"churn"}


def test_a_name_that_is_not_known_is_refused_with_the_names_there_are(bench):
    with pytest.raises(ValueError, match="SETS: 'chrun' is not known; names are small, large, more, german_credit"):
        bench.plan.Slice.asked({"SETS": "chrun"})


@pytest.fixture
def store(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.cost, "RESULTS", tmp_path)
    return bench.store.Store(tmp_path)


def test_a_call_measures_what_is_missing_and_a_named_slice_what_older_code_left(bench, store, monkeypatch):
    monkeypatch.setattr(bench.run, "version_of", lambda tool: "2" if tool.name == "ours" else "1")
    case = bench.store.Case("ours", "churn", 30, 0)
    store.add(case, "1", {"ending": "done"}, {})
    asked = bench.plan.Slice.asked
    assert case not in list(bench.run.missing(store, asked({})))
    assert case in list(bench.run.missing(store, asked({"ONLY": "ours", "SETS": "churn"})))
    store.add(case, "2", {"ending": "done"}, {})
    assert case not in list(bench.run.missing(store, asked({"ONLY": "ours", "SETS": "churn"})))
    monkeypatch.setenv("FRESH", "1")
    assert case in list(bench.run.missing(store, asked({})))


def test_rows_are_kept_and_the_newest_of_a_key_counts(bench, store, tmp_path):
    case = bench.store.Case("flaml", "churn", 30, 0)
    for value in (1, 2):
        store.add(case, "2.7.0", {"ending": "done", "value": value}, {"numpy": "1"})
    (row,) = bench.store.Store(tmp_path).rows()
    assert row["result"]["value"] == 2
    assert row["case"] == {"tool": "flaml", "set": "churn", "budget": 30, "version": "2.7.0"}
    assert row["machine"]["cores"]
    assert len((tmp_path / "tables.jsonl").read_text().splitlines()) == 2


# -------------------------------------------------------------------------------------------------- bars


def result(bench, value, *, seconds=30.0, p50=1.0, name="churn", spread=0.01, points=()):
    shifts = np.random.default_rng(zlib.crc32(name.encode())).normal(scale=spread, size=bench.scores.RESAMPLES)
    return {
        "ending": "done",
        "metric": "roc_auc",
        "value": value,
        "resampled": bench.scores.pack(np.r_[value, value + shifts]),
        "constant": 0.5,
        "seconds": seconds,
        "money": seconds,
        "latency": {cores: {"way": {"p50": p50, "p95": 2 * p50}} for cores in ("1", "2")},
        "cost_per_million": 1.0,
        "size_bytes": 1,
        "serving_bytes": 1,
        "rows_per_second": 1.0,
        "run": {"points": list(points), "in_trials": 20, "in_weighing": 4, "in_closing": 4, "first_trial": 1.0},
    }


FEW = ("churn", "telco_churn", "phoneme")


@pytest.fixture
def planned(bench, monkeypatch):
    """A plan of three sets and two budgets."""
    few = [case for case in bench.plan.cases() if case.set in FEW and case.budget in {0, 30, 120}]
    monkeypatch.setattr(bench.cells, "cases", lambda: few)


def fill(bench, store, figures, *, budgets=(30, 120), sets=FEW):
    for tool, (value, facts) in figures.items():
        for budget in budgets if bench.tools.TOOLS[tool].searches else (0,):
            for name in sets:
                case = bench.store.Case(tool, name, budget, 0)
                made = result(bench, value, name=name, **{"seconds": float(budget or 5), **facts})
                store.add(case, "1", made, {})


def test_with_no_rows_every_bar_falls_short(bench, store, capsys):
    bench.summary.main(store)
    out = capsys.readouterr().out
    assert "met  " not in out
    assert out.count("SHORT") >= 10
    assert "fell short: quality at 30 s" in out


GOOD = {
    "ours": (0.9, {"p50": 0.01, "points": [{"seconds": 10.0, "test": 0.87}, {"seconds": 20.0, "test": 0.9}]}),
    "catboost": (0.88, {"p50": 0.2}),
    "lightgbm": (0.87, {}),
    "autogluon-medium": (0.89, {"p50": 5.0}),
    "autogluon-good": (0.895, {"p50": 5.0}),
    "flaml": (0.86, {"p50": 1.5}),
    "optuna-lightgbm": (0.88, {}),
}


@pytest.mark.usefixtures("planned")
def test_bars_are_met_where_ours_is_ahead(bench, store, capsys, tmp_path):
    fill(bench, store, GOOD)
    bench.summary.main(store)
    out = capsys.readouterr().out
    assert "met    not below the best rival at 120 s (autogluon-good): +0.013" in out
    assert "met    no set significantly below CatBoost's defaults at 120 s (Holm): none" in out
    assert "met    one row 100 times quicker than flaml at equal or better quality: 150 on 1 core and 150 on 2" in out
    assert "met    the quality of flaml for a third of its cost: 0.0833 of what it spent, 3 sets" in out
    assert "met    the quality of autogluon-good for a third of its cost: 0.167" in out
    assert "met    ours keeps every budget: 6 runs" in out
    assert "met    engine under 10% of 30 s: 6.7% in the median of 3 runs" in out
    assert out.splitlines()[-1] == "fell short: a million rows inside 12 GiB"
    big = {"result": {"peak_bytes": 2**30, "seconds": 200, "asked": 300, "note": "", "met": True}}
    (tmp_path / "tables_big.jsonl").write_text(json.dumps(big))
    bench.summary.main(store)
    assert capsys.readouterr().out.splitlines()[-1] == "all bars met"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ours": (0.8, GOOD["ours"][1])}, "SHORT  not below the best rival at 120 s (autogluon-good)"),
        ({"ours": (0.8, GOOD["ours"][1])}, "SHORT  no set significantly below CatBoost's defaults at 30 s (Holm)"),
        ({"ours": (0.8, GOOD["ours"][1])}, "SHORT  one row 10 times quicker than catboost"),
        ({"flaml": (0.86, {"p50": 0.9})}, "SHORT  one row 100 times quicker than flaml"),
        ({"flaml": (0.95, {"p50": 1.5})}, "SHORT  the quality of flaml for a third of its cost: never"),
        ({"ours": (0.9, {**GOOD["ours"][1], "seconds": 124.0})}, "SHORT  ours keeps every budget"),
    ],
)
@pytest.mark.usefixtures("planned")
def test_a_bar_falls_short_where_ours_is_behind(bench, store, capsys, change, sentence):
    fill(bench, store, GOOD | change)
    bench.summary.main(store)
    assert sentence in capsys.readouterr().out


@pytest.mark.usefixtures("planned")
def test_a_failure_counts_as_the_constant_model_and_as_a_run_without_a_bundle(bench, store, capsys):
    fill(bench, store, GOOD)
    lost = {"ending": "failed", "seconds": 31.0, "money": 0.0, "peak_bytes": 0, "note": "no"}
    store.add(bench.store.Case("ours", "churn", 30, 0), "1", lost, {})
    results = bench.cells.Results.of(store)
    assert results.score("ours", "churn", 30) == 0
    bench.summary.main(store)
    assert "SHORT  ours leaves a usable bundle every time: churn at 30 s" in capsys.readouterr().out


def test_a_bar_is_not_met_while_planned_runs_are_missing(bench, store, capsys):
    fill(bench, store, GOOD)
    bench.summary.main(store)
    out = capsys.readouterr().out
    assert "met  " not in out.replace("met    churn", "").replace("met    telco_churn", "")
    assert "SHORT  ours keeps every budget: 6 runs; " in out


def test_a_default_that_takes_longer_than_the_budget_is_not_in_the_comparison(bench, store):
    fill(bench, store, GOOD | {"catboost": (0.88, {"seconds": 60.0})})
    results = bench.cells.Results.of(store)
    assert results.difference("ours", "catboost", "churn", 30) is None
    assert results.difference("ours", "catboost", "churn", 120) is not None


def test_single_rows_are_timed_in_turn_after_a_warm_up(bench, monkeypatch):
    monkeypatch.setattr(bench.latency, "SECONDS", 600.0)  # a busy machine makes fewer calls in the usual time
    seen = []
    found = bench.latency.time_rows(
        lambda row: seen.append(row["i"]) or time.sleep(0.001), [{"i": 0}, {"i": 1}, {"i": 2}]
    )
    assert found["calls"] == bench.latency.MOST_CALLS
    assert seen[:5] == [0, 1, 2, 0, 1]
    assert len(seen) == bench.latency.WARM_CALLS + found["calls"]
    assert 1.0 <= found["p50"] <= found["p95"]
