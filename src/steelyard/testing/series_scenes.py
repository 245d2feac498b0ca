"""Small data sets of series, made up from a seed, on which any learner that forecasts can be tried in seconds.

They have what breaks careless code: gaps, series of unequal length and size, levels far from zero, a value that is
known ahead, and values ahead that are not known.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steelyard.contracts import Floats, Problem, Split, Task, Timeline
from steelyard.data.histories import Origins, Rows, columns_of, laid_out, scales_of, schema_of, targets_of
from steelyard.data.steps import DAY, SECONDS, Step
from steelyard.testing.learners import (
    Check,
    check_a_row_alone_is_answered_as_among_others,
    check_any_point_of_its_space_can_be_trained,
    check_defaults_are_what_unset_means,
    check_it_edits_nothing,
    check_it_introduces_itself,
    check_it_keeps_no_state,
    check_its_prior_is_a_guess,
    check_its_space_makes_sense,
    check_missing_cells_are_answered_alike,
    check_settings_that_make_no_sense_are_refused,
    check_the_bundle_says_what_the_framework_says,
    check_the_same_seed_gives_the_same_model,
    check_validation_rows_can_be_absent,
    check_what_it_exports_is_plain,
)
from steelyard.testing.scenes import Scene

CHECKS: tuple[Check, ...] = (
    check_it_introduces_itself,
    check_its_space_makes_sense,
    check_its_prior_is_a_guess,
    check_settings_that_make_no_sense_are_refused,
    check_it_edits_nothing,
    check_the_same_seed_gives_the_same_model,
    check_defaults_are_what_unset_means,
    check_any_point_of_its_space_can_be_trained,
    check_the_bundle_says_what_the_framework_says,
    check_missing_cells_are_answered_alike,
    check_a_row_alone_is_answered_as_among_others,
    check_what_it_exports_is_plain,
    check_validation_rows_can_be_absent,
    check_it_keeps_no_state,
)
"""The checks of every learner that say something of a forecast; see :mod:`steelyard.testing.learners`."""

HORIZON, HISTORY, SEASON = 4, 14, 7
_LENGTH = 130
_START = 1_700_006_400.0


def series_scenes(*, seed: int = 0) -> Iterator[Scene]:
    """Yield a long table of three series with a value known ahead, and a wide one of three side by side.

    Examples
    --------
    >>> [scene.name for scene in series_scenes()]
    ['long forecasting', 'wide forecasting']
    """
    random = np.random.default_rng(seed)
    days = np.arange(_LENGTH, dtype=np.float64)
    waves = [
        size * (20 + 3 * np.sin(2 * np.pi * days / SEASON + place) + 0.02 * days) + size * random.normal(size=_LENGTH)
        for place, size in enumerate((1.0, 5.0, 0.2))
    ]
    known = (days % 10 == 0).astype(np.float64)
    long = [
        (place, days[cut:], np.column_stack([waves[place][cut:], known[cut:]])) for place, cut in enumerate((0, 30, 60))
    ]
    yield _scene("long", long, known=("promotion",))
    yield _scene("wide", [(0, days, np.column_stack(waves))])


def _scene(name: str, parts: list[tuple[int, Floats, Floats]], known: tuple[str, ...] = ()) -> Scene:
    channels = parts[0][2].shape[1] - len(known)
    names = tuple(f"shop {place}" for place, _, _ in parts)
    line = Timeline(
        time="day", series="shop" if known else "", history=HISTORY, known=known, size=DAY, unit=SECONDS, start=_START
    )
    task = Task(
        problem=Problem.FORECASTING,
        target="sold",
        aim="mase",
        horizon=HORIZON,
        series=tuple(f"sold {place}" for place in range(channels)),
        season=SEASON,
        timeline=line,
    )
    rows = Rows(
        times=_START + DAY * np.concatenate([days for _, days, _ in parts]),
        series=np.concatenate([np.full(len(days), place) for place, days, _ in parts]),
        names=names,
        values=np.concatenate([values for _, _, values in parts]),
    )
    rows.values[::17, 0] = np.nan
    step = Step(size=DAY, unit=SECONDS, start=_START)
    every = laid_out(rows, step)
    steps = [np.arange(one.first + 5, one.last - HORIZON + 1) for one in every]
    origins = Origins(
        series=np.concatenate([np.full(len(own), place) for place, own in enumerate(steps)]),
        steps=np.concatenate(steps),
    )
    split = Split(
        columns_of(every, origins, task, step),
        targets_of(every, origins, task),
        np.arange(len(origins)),
        scales=scales_of(every, origins, task),
    )
    late = origins.steps > _LENGTH - 30
    return Scene(
        name=f"{name} {task.problem.value}",
        task=task,
        schema=schema_of(task),
        train=split.take(origins.steps <= _LENGTH - 30 - HORIZON),
        valid=split.take(late),
    )
