"""A step of shrinking that fails is a trial that failed, with a sentence; the run ends with a model all the same."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard import api
from steelyard.contracts import Artefact, Ending, Feed
from steelyard.learners._settings import SettingsRefused
from steelyard.recipe import Shrink, Train, digest
from steelyard.registry import levers
from steelyard.search.execute import execute
from steelyard.search.interface import checked
from steelyard.search.pulling import Pull, PullRefused, parsed
from steelyard.search.rechecking import Rechecked, holds, slower_now
from steelyard.search.store import outcome_from_json
from steelyard.spec import Budget, LearnersPart, LeversPart, Quality, ShrinkPart, Spec
from steelyard.units import Estimate

LINEAR = Train(learner="linear")


def _saboteurs():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "shrink" / "saboteurs.py"
    spec = importlib.util.spec_from_file_location("saboteurs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


saboteurs = _saboteurs()


class Halved(saboteurs.Saboteur):
    """Halves the bytes of weights, and ruins them where it is given more rows than it can take."""

    name, about, most = "halved", "Halves the bytes.", math.inf

    def apply(self, artefact, split, settings, work, meter):
        del settings, work, meter
        return replace(artefact, graph=saboteurs._noised(artefact.graph, 40.0 if len(split) > self.most else 0.0))


@pytest.fixture
def plugged(monkeypatch):
    """The registry with saboteurs in it, for as long as a test."""
    monkeypatch.setattr(levers(), "_made", dict(levers()._made))
    for lever in (*saboteurs.LEVERS, Halved):
        levers().add(lever.name, lever())


@pytest.fixture
def wide():
    """Rows of so many columns that the weights of a linear model are worth halving."""
    random = np.random.default_rng(0)
    cells = random.normal(size=(500, 60)).round(3)
    odds = cells @ random.normal(size=60)
    yes = np.where(odds + random.logistic(size=500) > 0, "yes", "no")
    return {f"c{k}": cells[:, k].tolist() for k in range(60)} | {"bought": yes.tolist()}


@pytest.fixture
def spec(wide):
    def of(*names, **more):
        given = {"shrink": ShrinkPart(lose=0.05, smaller=0.0), "budget": Budget(trials=8), "data": wide, **more}
        part = LeversPart(only=names)
        return Spec(target="bought", learners=LearnersPart(only=("constant", "linear")), levers=part, **given)

    return of


# -------------------------------------------------------------------------------------------------- steps that fail

SENTENCES = {
    "crashing": "crashing crashed with ZeroDivisionError",
    "silent": "silent made a graph that does not answer",
    "asking": "asking changed the interface: its model reads 'shoe size', which the one that it started from does not",
    "forgetting": "forgetting made a graph that cannot be run (the graph's scores have shape",
    "breaking": "breaking made a graph that cannot be run (the graph is no readable ONNX model",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_step_that_fails_is_a_failed_trial_with_a_sentence(plugged, job, name):
    assert outcome_from_json(execute(job(LINEAR))).ending is Ending.MEASURED
    left = outcome_from_json(execute(job(Shrink(lever=name, parent=LINEAR))))
    assert left.ending is Ending.FAILED
    assert left.note.startswith(SENTENCES[name])
    assert left.note.endswith("; the model that it started from stands as it was.")


def test_what_is_no_artefact_is_refused(plugged, job, monkeypatch):
    monkeypatch.setattr(Halved, "apply", lambda *_: b"bytes alone")
    execute(job(LINEAR))
    left = outcome_from_json(execute(job(Shrink(lever="halved", parent=LINEAR))))
    assert left.note.startswith("halved returned a bytes instead of an artefact")


def test_the_licence_of_pretrained_weights_is_carried_over():
    feed = Feed("numbers", ("x",), ("a",))
    parent = Artefact(b"graph", (feed,), pretrained="of somebody, MIT")
    assert checked("fuse", parent, Artefact(b"less", (feed,))).pretrained == "of somebody, MIT"


# ------------------------------------------------------------------------------------------------------ the refit


def rechecked(refit, trial):
    spread = [Estimate(value, value - 0.005, value + 0.005) for value in (refit, trial)]
    return Rechecked(recipe=Shrink(lever="halved", parent=LINEAR), rows=500, refit=spread[0], trial=spread[1])


def test_a_refit_that_loses_more_than_its_trial_did_is_broken():
    why = rechecked(0.2, 0.002).broken(0.01, "accuracy")
    assert why.startswith("Broke in the refit: on 500 rows that both were trained on, linear > halved is 0.200")
    assert why.endswith("and was 0.0020 (-0.0030 to 0.0070) worse in its trial; 0.010 may be lost.")


@pytest.mark.parametrize(("refit", "trial"), [(0.105, 0.1), (0.009, 0.0), (-0.1, 0.0)])
def test_a_refit_that_loses_what_its_trial_did_is_not(refit, trial):
    assert not rechecked(refit, trial).broken(0.01, "accuracy")


def test_a_step_is_found_wherever_it_lies_in_a_recipe():
    step = Shrink(lever="prune", parent=LINEAR)
    assert holds(Shrink(lever="fuse", parent=step), step)
    assert not holds(LINEAR, step)


@pytest.mark.slow
def test_a_step_that_broke_in_the_refit_does_not_ship_and_the_run_says_so(plugged, spec, tmp_path, monkeypatch):
    def shrunk_first(candidates, metric):
        return next((c for c in candidates if isinstance(c.recipe, Shrink)), candidates[0])

    monkeypatch.setattr("steelyard.decide.choice.cheapest", shrunk_first)
    good = api.run(spec("halved"), out=tmp_path / "good", in_process=True)
    assert good.report["decision"]["recipe"] == "linear > halved"
    assert good.report["decision"]["refitted"]
    monkeypatch.setattr(Halved, "most", 390)
    run = api.run(spec("halved"), out=tmp_path / "run", in_process=True)
    report = run.report
    assert report["decision"]["recipe"] == "linear"
    assert (report["decision"]["refitted"], report["test_reads"]) == (True, 1)
    step = report["ladder"][0]["steps"][1]
    assert step["reason"].startswith("Broke in the refit: on 320 rows")
    assert [note for note in report["notes"] if note.startswith("Trial 2 does not ship. Broke in the refit")]
    assert any("does not ship. Broke in the refit" in entry["what"] for entry in report["ledger"]["entries"])
    assert digest(LINEAR) in report["decision"]["bundle"]


def test_a_refit_is_slower_and_not_smaller_only_where_it_is_both(tmp_path):
    from steelyard.contracts import Beside, Weight

    recipe = Shrink(lever="halved", parent=LINEAR)
    parent = tmp_path / f"{digest(LINEAR)}.all"
    parent.mkdir()
    (parent / "graph").write_bytes(bytes(1000))

    def weight(ratio, size):
        turn = Beside(*(Estimate(ratio, ratio - 0.05, ratio + 0.05) for _ in "ab"))
        ms = Estimate.exact(1.0, unit="ms")
        facts = {"p50": ms, "p95": ms, "p99": ms, "throughput": ms, "memory_bytes": ms}
        return Weight(**facts, batch=1, size_bytes=size, threads=1, calls=100, beside={digest(LINEAR): turn})

    assert slower_now(recipe, weight(1.5, 1000), tmp_path).startswith(
        "Slower and not smaller than its parent once both"
    )
    assert not slower_now(recipe, weight(1.5, 900), tmp_path)
    assert not slower_now(recipe, weight(1.0, 1000), tmp_path)
    assert not slower_now(LINEAR, weight(1.5, 1000), tmp_path)


# ------------------------------------------------------------------------------------------------- pulled by hand


def test_settings_are_given_as_names_and_values():
    assert parsed(["share=0.5"]) == {"share": "0.5"}
    with pytest.raises(PullRefused, match="a setting is given as name=value"):
        parsed(["share"])


@pytest.mark.slow
def test_a_finished_run_takes_steps_by_hand_on_any_trial(plugged, spec, tmp_path):
    folder = tmp_path / "run"
    run = api.run(spec("halved", quality=Quality(), budget=Budget(trials=2)), out=folder, in_process=True)
    assert not run.report["ladder"]
    told = api.pull(folder, Pull(lever="halved"), in_process=True)
    assert (told["trial"]["number"], told["trial"]["recipe"]) == (2, "linear > halved")
    assert [step["kept"] for step in told["ladder"]["steps"]] == [True, True]
    reads = told["report"]["test_reads"]
    worse = api.pull(folder, Pull(lever="slower", on=2), in_process=True)
    assert worse["trial"]["recipe"] == "linear > halved > slower"
    assert worse["ladder"]["steps"][2]["against"] == 2
    assert worse["ladder"]["steps"][2]["reason"]
    assert (worse["report"]["test_reads"], worse["decision"]["number"]) == (reads, told["decision"]["number"])
    assert worse["report"]["ending"] == "Trial 3 was pulled by hand: linear > halved > slower."
    assert api.open_run(folder).report["trials"][3]["recipe"] == "linear > halved > slower"
    refused = {
        "that is trial 2 already": Pull(lever="halved", on=1),
        "cannot start at trial 9: there is none; measured are 0, 1, 2, 3": Pull(lever="halved", on=9),
        "minutes must be above 0": Pull(lever="fuse", minutes=0.0),
        "takes no settings by hand": Pull(lever="calibrate", settings={"a": "1"}),
    }
    for sentence, asked in refused.items():
        with pytest.raises(PullRefused, match=sentence):
            api.pull(folder, asked, in_process=True)
    with pytest.raises(SettingsRefused, match="halved has no setting 'share'"):
        api.pull(folder, Pull(lever="halved", on=0, settings={"share": "0.5"}), in_process=True)
    assert len(api.open_run(folder).report["trials"]) == 4
