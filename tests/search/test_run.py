"""Whole runs on small data: what is measured ships, budgets hold, nothing is lost."""

import json
import time

import numpy as np
import pytest

import steelyard as sy
from steelyard.api import exit_code
from steelyard.errors import Exit, NothingMeasured, RunUnreadable, RunUnwritable
from steelyard.learners._linear import Linear
from steelyard.search.events import read_events
from steelyard.search.making import OutOfTime


@pytest.fixture
def finished(frame, tmp_path):
    spec = sy.Spec(
        data=frame,
        target="bought",
        quality=sy.AtLeast("roc_auc", 0.7),
        budget=sy.Budget(trials=5),
        value=sy.Value(false_negative=-5, false_positive=-1),
    )
    return sy.run(spec, out=tmp_path / "run", in_process=True)


def test_a_run_decides_ships_and_says_so(finished, tmp_path):
    report = finished.report
    assert report["decision"]["feasible"] is True
    assert exit_code(finished) is Exit.DONE
    assert report["decision"]["test"]["roc_auc"]["low"] < report["decision"]["test"]["roc_auc"]["value"]
    assert all("test" not in row for row in report["trials"])
    assert report["test_reads"] == 1
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {
        "spec.yaml",
        "data.json",
        "data.arrow",
        "events.jsonl",
        "bundles",
        "report.html",
        "report.json",
        "card.md",
    }
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == json.loads(json.dumps(report))


def test_the_bundle_answers_what_the_run_measured_on_test(finished, frame):
    dataset = finished.dataset
    rows = dataset.partition.test
    answer = finished.bundle.answer({k: v[rows] for k, v in dataset.rows.columns.items()})
    from sklearn.metrics import roc_auc_score

    ours = roc_auc_score(dataset.rows.target[rows], answer.scores[:, 1])
    assert ours == pytest.approx(finished.report["decision"]["test"]["roc_auc"]["value"], abs=1e-9)


def test_the_ledger_sums_to_the_whole_command(finished):
    record = finished.record
    cores = record.entries[0].unit_price.amount
    total = sum(e.amount.amount for e in record.entries)
    seconds = sum(float(e.quantity) for e in record.entries if e.unit == "core-hour") * 3600
    assert total == record.spent.money.amount
    events, _ = read_events(finished.folder / "events.jsonl")
    held = next(e.facts["cores"] for e in events if e.kind == "data")
    assert cores > 0
    assert seconds == pytest.approx(float(record.spent.seconds) * held, rel=0.02)


def test_a_run_of_trials_is_the_same_twice(frame, tmp_path):
    def play(name):
        spec = sy.Spec(data=frame, target="bought", budget=sy.Budget(trials=4))
        trials = sy.run(spec, out=tmp_path / name, in_process=True).record.trials
        return [(t.recipe, {k: v.value for k, v in t.validation.items()}) for t in trials]

    assert play("a") == play("b")


def test_a_finished_run_resumes_to_itself(finished):
    before = (finished.folder / "events.jsonl").read_bytes()
    again = sy.run(finished.spec, resume=finished.folder, in_process=True)
    assert (finished.folder / "events.jsonl").read_bytes() == before
    assert again.report["decision"] == finished.report["decision"]


def test_another_spec_cannot_resume_a_run(finished):
    (finished.folder / "events.jsonl").write_bytes(
        b"".join((finished.folder / "events.jsonl").read_bytes().splitlines(keepends=True)[:-1])
    )
    other = finished.spec.model_copy(update={"seed": 9})
    with pytest.raises(RunUnreadable, match="start a new run"):
        sy.run(other, resume=finished.folder, in_process=True)


@pytest.mark.parametrize("budget", [{"minutes": 0}, {"money": 0}, {"trials": 0}])
def test_a_budget_of_nothing_is_nothing(frame, tmp_path, budget):
    with pytest.raises(NothingMeasured, match=f"budget.{next(iter(budget))}` is 0"):
        sy.run(sy.Spec(data=frame, target="bought", budget=sy.Budget(**budget)), out=tmp_path / "run")


def test_a_run_says_that_some_moves_did_not_end_in_time(frame, tmp_path, monkeypatch):
    def late(*_):
        raise OutOfTime("Stopped at its deadline.")

    monkeypatch.setattr(Linear, "fit", late)
    only = {"only": ["constant", "linear"]}
    run = sy.run(sy.Spec(data=frame, target="bought", learners=only), out=tmp_path / "run", in_process=True)
    assert run.report["ending"].endswith(" 1 of the trials did not end in time: a larger budget may measure more.")


def test_no_target_met_is_said_with_the_tightest(frame, tmp_path):
    spec = sy.Spec(data=frame, target="bought", quality=sy.AtLeast("roc_auc", 0.9999), budget=sy.Budget(trials=3))
    run = sy.run(spec, out=tmp_path / "run", in_process=True)
    assert exit_code(run) is Exit.NOT_FEASIBLE
    assert run.report["decision"]["feasible"] is False
    assert run.report["decision"]["tightest"] == "roc_auc"
    assert run.bundle.predict({k: v[:3] for k, v in frame.items() if k != "bought"}).shape == (3,)


def test_a_budget_of_time_is_kept_for_the_whole_call(frame, tmp_path):
    start = time.monotonic()
    run = sy.run(sy.Spec(data=frame, target="bought", budget=sy.Budget(minutes=0.25)), out=tmp_path / "run")
    assert time.monotonic() - start <= 15 * 1.02 + 1
    assert run.decision is not None
    assert run.bundle is not None


def test_a_budget_too_small_for_anything_is_one_sentence_and_in_time(frame, tmp_path):
    start = time.monotonic()
    with pytest.raises(NothingMeasured, match=r"Raise `budget.minutes`"):
        sy.run(sy.Spec(data=frame, target="bought", budget=sy.Budget(minutes=0.005)), out=tmp_path / "run")
    assert time.monotonic() - start <= 0.3 * 1.02 + 1


def test_an_unwritable_place_is_said_before_anything_is_done(frame, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(RunUnwritable, match="not empty"):
        sy.run(sy.Spec(data=frame, target="bought"), out=tmp_path / "full")


def test_frames_of_a_run_have_one_row_a_candidate(finished):
    assert len(finished.trials) == 5
    assert {"recipe", "roc_auc", "roc_auc_low", "roc_auc_high", "size_bytes"} <= set(finished.trials.columns)
    assert 1 <= len(finished.frontier) <= 5
    assert finished.advice()


def test_two_workers_find_what_one_finds(frame, tmp_path):
    spec = sy.Spec(data=frame, target="bought", budget=sy.Budget(trials=3), workers=2, threads=1)
    run = sy.run(spec, out=tmp_path / "run")
    assert sorted(t.number for t in run.record.trials) == [0, 1, 2]
    assert all(t.weight is not None for t in run.record.trials if t.ending.usable)
    assert np.isfinite(run.report["decision"]["latency_ms"]["p95"])
