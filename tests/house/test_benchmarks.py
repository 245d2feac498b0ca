"""Benchmarks keep what they measured, measure what is missing, and count what is missing as not met."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rows():
    spec = importlib.util.spec_from_file_location("bench_rows", ROOT / "benchmarks" / "rows.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("FRESH", raising=False)
    monkeypatch.delenv("MINUTES", raising=False)


def run(rows, folder, seconds, calls):
    bench = rows.Bench("x", folder=folder)
    for repeat in range(3):
        bench.measure({"case": "help", "repeat": repeat}, lambda: calls.append(1) or {"seconds": seconds})
    bench.bar("quick", bench.rows(case="help"), rows.median_within("seconds", 0.4, "s"), least=3)
    with pytest.raises(SystemExit) as ended:
        bench.finish()
    return ended.value.code


def test_a_second_call_measures_nothing_and_a_fresh_one_everything(rows, tmp_path, monkeypatch, capsys):
    calls = []
    assert run(rows, tmp_path, 0.2, calls) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all bars met"
    assert run(rows, tmp_path, 9.0, calls) == 0
    assert len(calls) == 3
    monkeypatch.setenv("FRESH", "1")
    assert run(rows, tmp_path, 9.0, calls) == 1
    assert len(calls) == 6
    assert capsys.readouterr().out.splitlines()[-1] == "fell short: quick"


def test_rows_that_are_missing_are_a_bar_not_met(rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINUTES", "0")
    assert run(rows, tmp_path, 0.2, []) == 1
    out = capsys.readouterr().out
    assert "SHORT  quick: 0 of 3 rows" in out
    assert "3 cases were left for another call" in out


def test_a_case_that_fails_leaves_no_row(rows, tmp_path):
    bench = rows.Bench("x", folder=tmp_path)

    def fail():
        raise OSError("no such command")

    bench.measure({"case": "a"}, fail)
    assert bench.rows(case="a") == []
    assert not bench.file.exists()


def test_a_row_says_where_it_comes_from(rows, tmp_path):
    bench = rows.Bench("x", packages=("numpy", "no-such-package"), folder=tmp_path)
    bench.measure({"case": "a"}, lambda: {"seconds": 1}, seed=7)
    (row,) = rows.Bench("x", folder=tmp_path)._known.values()
    assert row["seed"] == 7
    assert row["versions"]["no-such-package"] == "absent"
    assert row["commit"]
    assert row["machine"]["cores"]
