"""One lever pulled by hand on a finished run: the recipe is tried like any other, and the run decided anew.

What was decided stays decided where the new trial changes nothing. Where another model is taken, that one is refitted
and ships, and test is read for it: once more, which the report counts.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.contracts import Lever, Stage, Trial, known
from steelyard.errors import Exit, SteelyardError
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE
from steelyard.recipe import Plan, Recipe, Settings, Shrink, describe
from steelyard.registry import levers
from steelyard.search.conduct import Session, prices_of, remember
from steelyard.search.events import EventLog
from steelyard.search.finish import choose, conclude_run, pairs_of
from steelyard.search.folder import RunFolder
from steelyard.search.history import History, base_of
from steelyard.search.journal import Journal
from steelyard.search.loop import Loop
from steelyard.search.watching import Silent, Watcher
from steelyard.spec import Spec, parse

MINUTES = 10.0
"""Most time that a pull takes where nobody says how much."""


class PullRefused(SteelyardError):
    """A lever that cannot be pulled as asked; nothing was changed."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What to pull: a lever, on a trial by number (the chosen one where there is none), with settings."""

    lever: str
    on: int | None = None
    settings: Mapping[str, str] | None = None
    minutes: float = MINUTES


def pull(folder: Path, asked: Pull, *, watcher: Watcher | None = None, in_process: bool = False) -> int:
    """Pull a lever on a finished run and return the number of the new trial.

    Parameters
    ----------
    folder : Path
        The run's.
    asked : Pull
        Lever, trial, settings and time.
    watcher : Watcher, optional
        Who is told what happens.
    in_process : bool
        Do it in this very process.

    Raises
    ------
    PullRefused
        If the run is not finished, the trial is none to start from, or the recipe was tried before.
    SteelyardError
        As of a run; an unknown lever or setting, by name.
    """
    place = RunFolder.existing(folder)
    with place.locked(), contextlib.closing(EventLog(place.events)) as log:
        journal = Journal(log)
        history = journal.history
        if history.exit_code not in {Exit.DONE, Exit.NOT_FEASIBLE} or history.decision is None:
            raise PullRefused(f"{folder} is not finished; `steelyard run --resume {folder}` goes on with it")
        spec = _with_time(parse(place.asked(), source=str(place.spec)), history, asked.minutes)
        session = Session(
            spec=spec,
            folder=place,
            base=base_of(history, None),
            journal=journal,
            watcher=watcher or Silent(),
            begin=time.monotonic(),
            prices=prices_of(history, spec, base_of(history, None)),
            in_process=in_process,
        )
        lever = levers().get(asked.lever)
        trial = _from(history, asked.on)
        with session.executor() as executor:
            loop = session.loop(executor)
            recipe = _recipe(lever, trial, asked, loop)
            return _pulled(loop, lever, trial, recipe)


def parsed(words: Sequence[str]) -> dict[str, str]:
    """Read settings as a command line gives them.

    Raises
    ------
    PullRefused
        If one is not ``name=value``.

    Examples
    --------
    >>> parsed(["share=0.5", "by=taylor"])
    {'share': '0.5', 'by': 'taylor'}
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise PullRefused(f"a setting is given as name=value, such as --set share=0.5; got {word!r}")
        found[name.strip()] = value.strip()
    return found


def _with_time(spec: Spec, history: History, minutes: float) -> Spec:
    """Return the spec with time for one pull beside what the run has taken."""
    if not minutes > 0:
        raise PullRefused(f"minutes must be above 0; got {minutes:g}")
    budget = spec.budget.model_copy(
        update={"minutes": history.elapsed / 60 + minutes, "money": None, "trials": None},
    )
    return spec.model_copy(update={"budget": budget})


def _from(history: History, number: int | None) -> Trial:
    """Return the trial to start from."""
    assert history.decision is not None, "asked of finished runs alone"
    number = history.decision.number if number is None else number
    trial = history.trials.get(number)
    usable = [t.number for t in known(tuple(t for _, t in sorted(history.trials.items())))]
    if trial is None or not trial.ending.usable:
        why = "there is none"
        if trial is not None:
            why = f"it was not measured ({(trial.note or trial.ending.value).rstrip('.')})"
        raise PullRefused(f"cannot start at trial {number}: {why}; measured are {', '.join(map(str, usable))}")
    return trial


def _recipe(lever: Lever, trial: Trial, asked: Pull, loop: Loop) -> Recipe:
    """Return what is to be tried: a step with the settings given, or what the lever itself proposes on the trial."""
    given = Settings({name: _scalar(value) for name, value in (asked.settings or {}).items()})
    if lever.stage is Stage.SHRINKING:
        space = getattr(lever, "space", None)
        if space is not None:
            settings_of(lever.name, space, Plan(settings=given))  # refuses unknown ones before anything runs
        recipe: Recipe = Shrink(lever=lever.name, parent=trial.recipe, settings=given)
    elif given:
        raise PullRefused(f"{lever.name} takes no settings by hand: it proposes its own; leave --set out")
    else:
        trials = tuple(t for _, t in sorted(loop.history.trials.items()))
        move = next(iter(lever.moves(trial, loop.search.context(trials))), None)
        if move is None:
            raise PullRefused(f"{lever.name} has nothing to propose on trial {trial.number}, {describe(trial.recipe)}")
        recipe = move.recipe
    known_as = {t.recipe: t.number for t in loop.history.trials.values()}
    if recipe in known_as:
        raise PullRefused(f"that is trial {known_as[recipe]} already; `steelyard show` tells what became of it")
    return recipe


def _scalar(text: str) -> bool | int | float | str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, bool | int | float | str) else text


def _pulled(loop: Loop, lever: Lever, trial: Trial, recipe: Recipe) -> int:
    before = loop.history.decision
    assert before is not None, "asked of finished runs alone"
    loop.journal.write("pulled", {"lever": lever.name, "on": trial.number})
    number = loop.try_once(recipe, lever.name, f"pulled by hand on trial {trial.number}", FITTING_A_RULE.value)
    pairs = pairs_of(loop)
    decision = choose(loop, pairs, before.barred)
    if decision.number != before.number:
        loop.journal.write("reopened", {})
        loop.journal.write("decided", {"decision": decision.to_json()})
        decision = conclude_run(loop, decision, pairs)
    else:
        kept = replace(decision, targets=before.targets, feasible=before.feasible, tightest=before.tightest)
        decision = replace(kept, reasons=(*decision.reasons, *before.reasons[-1:]))
    remember(loop, pairs, decision, f"Trial {number} was pulled by hand: {describe(recipe)}.")
    return number
