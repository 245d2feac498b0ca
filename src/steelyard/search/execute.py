"""Executes one job where it lands: a process of a pool, a machine of a cluster, or this very process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.clock import Times, timed
from steelyard.contracts import Ending, Errand, Job, Rule
from steelyard.errors import RunUnreadable, RunUnwritable, SteelyardError
from steelyard.measure import outcomes, peak_rss_bytes, quality
from steelyard.recipe import Combine, Given, Recipe, Shrink, Train, parents
from steelyard.search.codec import figures_to_json, weight_to_json
from steelyard.search.distilling import distil_parts, distils
from steelyard.search.final import read_test, refit, weigh_bundle
from steelyard.search.given import judge_given
from steelyard.search.interface import STANDS, ShrunkUnfit, said
from steelyard.search.intervals import amend_parts
from steelyard.search.joining import combine_parts, shrink_parts
from steelyard.search.making import Bench, Made, OutOfTime, Pruned, Unfaithful, part_answer, staked, validation_of
from steelyard.search.meter import JobMeter
from steelyard.search.store import Outcome, Store, outcome_to_json
from steelyard.search.training import Refused, train_parts

Tell = Callable[[int, float], None]


def execute(job: Job, tell: Tell | None = None, show: Tell | None = None) -> dict[str, Any]:
    """Do a job and return what it left, as plain JSON; ``tell`` hears steps and aims, ``show`` steps and losses.

    A trial never raises: whatever goes wrong inside it is its ending. The other errands raise
    :class:`~steelyard.errors.SteelyardError` where they cannot be done.
    """
    with timed():
        return _done(job, tell, show)


def _done(job: Job, tell: Tell | None, show: Tell | None) -> dict[str, Any]:
    store = Store(job.store)
    places = store.places(job.recipe, refit=job.errand is Errand.REFIT)
    meter = JobMeter(job.seconds, job.hurdles, tell, places, show)
    bench = Bench(job=job, store=store, dataset=store.dataset(), meter=meter)
    if bench.dataset.fingerprint != job.fingerprint:
        raise RunUnreadable(f"the data in {job.store} is not what the job was made for; start a new run")
    match job.errand:
        case Errand.TRIAL:
            left = outcome_to_json(_trial(bench))
            store.forget(job.recipe)
            return left
        case Errand.WEIGH:
            return weight_to_json(weigh_bundle(bench))
        case Errand.REFIT:
            made, checked = refit(bench)
            store.forget(job.recipe)
            facts = {"bundle": str(made.relative_to(store.bundles)), "notes": meter.notes}
            return facts | {"rechecked": [each.to_json() for each in checked]}
        case Errand.TEST:
            return figures_to_json(read_test(bench))


def _trial(bench: Bench) -> Outcome:
    """Make a recipe, or find it made; whatever goes wrong is its ending."""
    if done := bench.store.outcome(bench.job.recipe):
        return done
    start, cpu = time.monotonic(), time.process_time()
    ending, note = Ending.FAILED, ""
    try:
        return _attempt(bench, start, cpu)
    except OutOfTime:
        ending = Ending.BUDGET_SPENT
    except Pruned:
        ending = Ending.PRUNED
    except MemoryError:
        ending = Ending.OUT_OF_MEMORY
    except RunUnwritable:
        raise
    except (Unfaithful, ShrunkUnfit) as problem:
        note = str(problem)
    except (Refused, SteelyardError) as problem:
        ending, note = Ending.REFUSED, str(problem)
    except Exception as problem:  # noqa: BLE001 - one failed trial never ends a run; its sentence is kept
        traceback.print_exc()
        note = _crashed(bench.job.recipe, problem)
    return _ended(bench, ending, note, start, cpu)


def _crashed(recipe: Recipe, problem: Exception) -> str:
    """Say what went wrong in a program that did not foresee it, and whose it is."""
    if isinstance(recipe, Shrink):
        return f"{recipe.lever} crashed with {type(problem).__name__} ({said(problem)}); {STANDS}."
    return f"{type(problem).__name__}: {problem}"


def _attempt(bench: Bench, start: float, cpu: float) -> Outcome:
    for parent in parents(bench.job.recipe):  # a parent that another machine made may be missing here
        if bench.store.outcome(parent) is None:
            rebuilt = _trial(replace(bench, job=replace(bench.job, recipe=parent)))
            if not rebuilt.ending.usable:
                return replace(rebuilt, recipe=bench.job.recipe, note=f"Its parent was not rebuilt: {rebuilt.note}")
    with bench.store.aside(bench.job.recipe) as folder:
        made = _make(bench.job.recipe, bench, folder)
        where, held = validation_of(bench.dataset)
        clusters = bench.dataset.clusters
        groups = None if clusters is None else clusters[bench.dataset.partition.validation]
        made.answer = staked(made.answer, bench.dataset.rows.take(bench.dataset.partition.scored))
        amend_parts(bench, made.answer, folder)
        task, judged = bench.dataset.task, part_answer(made.answer, where)
        validation = quality(task, held.target, judged, weights=held.weights, groups=groups, names=made.metrics)
        outcome = replace(
            _ended(bench, Ending.MEASURED, "", start, cpu),
            recipe=made.recipe,
            validation=validation,
            rounds=made.rounds,
            rule=made.rule,
            importance=made.importance,
            outcomes=outcomes(task, held.target, judged, held.weights) | _decision(made.rule),
        )
        for name, content in bench.meter.kept.items():
            (folder / name).write_bytes(content)
        bench.store.keep(folder, outcome, made.answer)
    return outcome


def _decision(rule: Rule | None) -> dict[str, Any]:
    """Return the rule by which a decision was chosen, where there is one: its place, and within which ends it lies."""
    return {"rule": dict(rule)} if rule is not None and "chosen" in rule else {}


def _make(recipe: Recipe, bench: Bench, folder: Path) -> Made:
    match recipe:
        case Train():
            return train_parts(recipe, bench, folder)
        case Shrink() if distils(recipe):
            return distil_parts(recipe, bench, folder)
        case Shrink():
            return shrink_parts(recipe, bench, folder)
        case Combine():
            return combine_parts(recipe, bench, folder)
        case Given():
            return judge_given(recipe, bench)


def _ended(bench: Bench, ending: Ending, note: str, start: float, cpu: float) -> Outcome:
    return Outcome(
        recipe=bench.job.recipe,
        ending=ending,
        note=note,
        notes=tuple(bench.meter.notes),
        validation={},
        curve=tuple(bench.meter.curve),
        seconds=time.monotonic() - start,
        cpu_seconds=time.process_time() - cpu,
        peak_bytes=peak_rss_bytes(),
        times=_times(bench),
    )


def _times(bench: Bench) -> Times:
    """Return where the seconds went since the job was handed over."""
    with timed() as clock:
        return clock.times(bench.job.threads)
