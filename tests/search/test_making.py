"""What stands between a trained model and a figure: parity, rows for early stopping, cross-fitted rules."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Answer, Ending, Problem, Task
from steelyard.data import load
from steelyard.recipe import Combine, Train
from steelyard.search.cutting import cut_early
from steelyard.search.execute import execute
from steelyard.search.final import weigh_bundle
from steelyard.search.joining import _groups, fit_rule, in_use
from steelyard.search.making import Bench, Unfaithful, check_parity
from steelyard.search.meter import JobMeter
from steelyard.search.store import Store, outcome_from_json
from steelyard.spec import Spec
from steelyard.units import Seconds

BINARY = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")
VALUES = Task(problem=Problem.REGRESSION, target="y", aim="rmse")


def test_a_bundle_may_differ_from_its_framework_by_1e_4_and_no_more():
    own = np.array([[0.4, 0.6], [0.9, 0.1]])
    check_parity(BINARY, own, own + 0.9e-4, np.zeros(2))
    with pytest.raises(Unfaithful, match="what was trained is not what would ship"):
        check_parity(BINARY, own, own + 1.1e-4, np.zeros(2))


def test_of_values_it_is_1e_4_of_the_spread_of_the_target():
    own, target = np.array([[10.0], [30.0]]), np.array([0.0, 200.0])
    check_parity(VALUES, own, own + 0.009, target)
    with pytest.raises(Unfaithful, match="standard deviations"):
        check_parity(VALUES, own, own + 0.011, target)


def test_scores_that_are_no_numbers_are_never_faithful():
    with pytest.raises(Unfaithful):
        check_parity(BINARY, np.array([[0.5, 0.5]]), np.array([[np.nan, 0.5]]), np.zeros(1))


def test_a_learner_whose_bundle_disagrees_fails_its_trial(job, monkeypatch):
    from steelyard.learners._linear import Linear

    honest = Linear.fit

    def sly(self, *given):
        fitted = honest(self, *given)

        class Sly:
            rounds = None

            def scores(self, columns):
                return np.clip(fitted.scores(columns) + 0.001, 0, 1)

            def export(self):
                return fitted.export()

        return Sly()

    monkeypatch.setattr(Linear, "fit", sly)
    outcome = outcome_from_json(execute(job("linear")))
    assert outcome.ending is Ending.FAILED
    assert "differs from its framework" in outcome.note


def test_rows_for_early_stopping_are_the_latest_where_time_orders_them(kept):
    _, dataset = kept
    times = np.random.default_rng(1).permutation(len(dataset.rows)).astype(float)
    fit = dataset.partition.parts[0].fit
    train, early = cut_early(replace(dataset, times=times), fit, 0)
    assert times[train].max() < times[early].min()
    assert sorted([*train, *early]) == sorted(fit)


def test_of_sentences_each_side_gets_its_share_of_rare_tags(kept):
    _, dataset = kept
    random = np.random.default_rng(3)
    target = np.empty(len(dataset.rows), object)
    for row in range(len(target)):
        target[row] = random.choice([0, 0, 0, 1], size=row % 7)  # some hold no token, and no two lengths are alike
    target[::10] = [np.append(codes, 2) for codes in target[::10]]
    fit = np.arange(len(target))
    train, early = cut_early(replace(dataset, rows=replace(dataset.rows, target=target)), fit, 0)
    assert sorted([*train, *early]) == sorted(fit)
    rare = [np.mean([2 in target[row] for row in side]) for side in (train, early)]
    assert rare[1] == pytest.approx(rare[0], abs=0.05)


def test_groups_are_never_cut_in_two_for_early_stopping(kept):
    _, dataset = kept
    groups = np.arange(len(dataset.rows)) % 20
    times = (np.arange(len(dataset.rows)) // 3).astype(float)
    for when in (None, times):
        train, early = cut_early(replace(dataset, groups=groups, times=when), dataset.partition.parts[0].fit, 0)
        assert not set(groups[train]) & set(groups[early])
        assert len(early)


def test_members_without_weight_do_not_ship():
    rule = {"rule": "blend", "weights": [0.5, 0.0, 0.5]}
    assert in_use(rule, "abc") == ({"rule": "blend", "weights": [0.5, 0.5]}, ("a", "c"))
    assert in_use({"rule": "threshold", "positive": 1, "at": 0.2}, "a")[1] == ("a",)


def test_a_rule_is_judged_on_rows_that_it_was_not_fitted_on(kept, job, monkeypatch):
    folder, dataset = kept
    leaf = Train(learner="constant")
    assert outcome_from_json(execute(job(leaf))).ending is Ending.MEASURED
    bench = Bench(job=job(leaf), store=Store(folder), dataset=dataset, meter=JobMeter(Seconds(60)))

    class Memory:
        """Remembers the targets it was shown: on those it is always right."""

        name, fits_on, needs_rows = "memory", "validation", 1

        def fit(self, evidence, settings, work):
            return {"seen": len(evidence.target)}

    fitted_on = []
    monkeypatch.setattr("steelyard.search.joining._lever", lambda _: Memory())

    def apply(rule, answers, task):
        fitted_on.append(rule["seen"])
        return Answer(np.full_like(answers[0].scores, rule["seen"]), answers[0].decided)

    monkeypatch.setattr("steelyard.search.joining.apply_rule", apply)
    nested = Combine(lever="memory", parents=(Combine(lever="memory", parents=(leaf,)),))
    _, whole = fit_rule(nested, bench)
    rows = len(dataset.partition.validation)
    assert whole.scores.max() < rows, "a row was judged by a rule that was fitted on it"
    assert fitted_on.count(rows) == 2, "only what ships is fitted on every row, at both levels"


def test_rows_are_weighed_all_over_the_file(kept, job, monkeypatch):
    folder, dataset = kept
    leaf = Train(learner="constant")
    assert outcome_from_json(execute(job(leaf))).ending is Ending.MEASURED
    seen = []

    def weigh(bundle, rows, **more):
        seen.extend(row["a"] for row in rows)
        raise MemoryError  # what is weighed is known by now

    monkeypatch.setattr("steelyard.search.final.weigh", weigh)
    monkeypatch.setattr("steelyard.search.final.WEIGHED_ROWS", 5)
    bundle = f"{Store(folder).place(leaf).name}/{dataset.partition.parts[0].name}"
    bench = Bench(job=job(leaf, bundle=bundle), store=Store(folder), dataset=dataset, meter=JobMeter(Seconds(60)))
    with pytest.raises(MemoryError):
        weigh_bundle(bench)
    known = dataset.rows.columns["a"][dataset.partition.scored]
    assert (len(seen), seen[0], seen[-1]) == (5, known[0], known[-1])


def test_a_row_and_its_copies_are_in_the_cross_fitting_group_of_their_first_fold(kept, frame, job):
    folder, _ = kept
    repeated = load(Spec(data=frame, target="bought", split={"repeats": 2}), None)
    assert len(np.unique(repeated.rows.rows)) < len(repeated.rows), "no row was copied"
    bench = Bench(job=job("constant"), store=Store(folder), dataset=repeated, meter=JobMeter(Seconds(60)))
    rows = repeated.partition.validation
    groups, source = _groups(bench, rows), repeated.rows.rows
    first = [part for part in repeated.partition.parts if part.turn == 1]
    for row, group in zip(rows, groups, strict=True):
        assert source[row] in source[first[group].score]
