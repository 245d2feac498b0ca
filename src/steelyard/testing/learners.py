"""What every learner must keep: ``check_learner(learner)``.

Each check is a function with a claim; it raises ``AssertionError`` with a sentence where the claim does not hold.
No test runner is needed. Trainings are shared between checks, so that a suite costs some ten trainings a scene.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.bundle import About, Bundle, answer_of, load, write
from steelyard.contracts import Columns, Fitted, Floats, Ints, Learner, Problem, Setting
from steelyard.contracts.ragged import flattened, lengths_of, parted
from steelyard.data.coerce import objects
from steelyard.errors import SteelyardError, need
from steelyard.recipe import Plan, Scalar, Settings, Train
from steelyard.registry import learners
from steelyard.search.fitting import refusal_of
from steelyard.tasks import metric
from steelyard.testing.learner_rounds import (
    check_fixed_rounds_are_repeated,
    check_it_stops_when_the_meter_says_so,
    check_it_stops_when_time_is_up,
    check_rounds_are_what_is_honoured,
)
from steelyard.testing.pupils import FEW, Pupil
from steelyard.testing.scenes import Scene, emptied, scenes, strange
from steelyard.units import How

PARITY = 1e-4
"""Most that a bundle may differ from its framework, in probability or in standard deviations of the target."""


Check = Callable[[Pupil], None]


def check_learner(learner: Learner | str, *, plan: Plan | None = None, among: Iterable[Scene] | None = None) -> None:
    """Run every check on a learner, on every scene that it accepts.

    Parameters
    ----------
    learner
        An instance, or the name of a registered one.
    plan
        Settings that make its training quick; unset: its defaults.
    among
        The scenes to try; unset: all of :func:`steelyard.testing.scenes.scenes`.

    Raises
    ------
    AssertionError
        With the first claim that does not hold.
    """
    made = learners().get(learner) if isinstance(learner, str) else learner
    accepted = 0
    for one in scenes() if among is None else among:
        pupil = Pupil(learner=made, scene=one, plan=Plan() if plan is None else plan)
        if not accepts(pupil):
            continue
        accepted += 1
        for check in yield_checks(pupil):
            check(pupil)
    assert accepted, f"{made.name} accepts none of the scenes; give some that it does: check_learner(..., among=[...])"


def accepts(pupil: Pupil) -> bool:
    """Tell whether a learner accepts a scene, and see that a refusal is a sentence."""
    refusal = refusal_of(pupil.learner, pupil.scene.task, pupil.scene.schema)
    if refusal is None:
        return True
    words = refusal.sentence.split()
    what = f"{pupil.learner.name} refuses {pupil.scene.name!r} with {refusal.sentence!r}"
    assert len(words) > 4, f"{what}, which is not a sentence"
    assert refusal.sentence.endswith("."), f"{what}, which does not end like a sentence"
    return False


def yield_checks(pupil: Pupil) -> Iterator[Check]:
    """Yield the checks that apply to a learner on a scene."""
    yield check_it_introduces_itself
    yield check_its_space_makes_sense
    yield check_its_prior_is_a_guess
    yield check_settings_that_make_no_sense_are_refused
    yield check_it_learns
    yield check_scores_are_answers_to_the_task
    yield check_it_edits_nothing
    yield check_the_same_seed_gives_the_same_model
    yield check_defaults_are_what_unset_means
    yield check_any_point_of_its_space_can_be_trained
    yield check_the_bundle_says_what_the_framework_says
    yield check_missing_cells_are_answered_alike
    yield check_unseen_cells_are_answered_alike
    yield check_a_row_alone_is_answered_as_among_others
    yield check_what_it_exports_is_plain
    yield check_row_weights_are_honoured
    yield check_a_class_without_rows_keeps_its_place
    yield check_validation_rows_can_be_absent
    yield check_it_keeps_no_state
    yield check_rounds_are_what_is_honoured
    if pupil.rounds:
        yield check_fixed_rounds_are_repeated
        yield check_it_stops_when_the_meter_says_so
        yield check_it_stops_when_time_is_up


# ------------------------------------------------------------------------------------ what it says of itself


def check_it_introduces_itself(pupil: Pupil) -> None:
    """See that it has a name, a sentence about itself, and honours its own settings."""
    learner = pupil.learner
    assert learner.name == learner.name.strip().lower(), f"the name {learner.name!r} is not plain lower case"
    assert learner.about.endswith("."), f"`about` is not a sentence: {learner.about!r}"
    assert "settings" in learner.honours, "`honours` lacks 'settings', so no plan could change anything"


def check_its_space_makes_sense(pupil: Pupil) -> None:
    """See that every setting has a text, and a default inside its range or options."""
    space = pupil.learner.space(pupil.scene.task, pupil.scene.schema)
    again = pupil.learner.space(pupil.scene.task, pupil.scene.schema)
    assert dict(space.settings) == dict(again.settings), "the space is another one the second time"
    for name, setting in space.settings.items():
        assert setting.about.strip(), f"setting {name!r} does not say what it is about"
        complaint = _senseless(setting)
        assert complaint is None, f"setting {name!r} {complaint}"


def _senseless(setting: Setting) -> str | None:
    if setting.options:
        return None if setting.default in setting.options else "has a default that is none of its options"
    if setting.low is None or setting.high is None:
        return "has a logarithmic scale and no range" if setting.log else None
    if not setting.low < setting.high:
        return f"has a range from {setting.low} to {setting.high}"
    if setting.log and setting.low <= 0:
        return "has a logarithmic scale that starts at or below zero"
    inside = setting.default is None or setting.low <= float(str(setting.default)) <= setting.high
    return None if inside else f"has a default outside its range: {setting.default!r}"


def check_its_prior_is_a_guess(pupil: Pupil) -> None:
    """See that its prior is positive seconds and a share of the way, both assumed, and that more rows cost no less."""
    few, many = (pupil.learner.prior(pupil.scene.task, pupil.scene.schema, rows) for rows in (1_000, 100_000))
    for figure in (few.seconds, few.gain):
        assert figure.low <= figure.value <= figure.high, f"a prior lies outside its own interval: {figure}"
        assert figure.how is not How.MEASURED, "a prior says that it was measured"
    assert few.seconds.low > 0, "the prior of seconds is not positive"
    assert few.gain.low >= 0, "the prior of gain is negative"
    assert few.gain.high <= 1, "the prior of gain is more than the whole way to a perfect model"
    assert many.seconds.value >= few.seconds.value, "a hundred times the rows should cost no less"


def check_settings_that_make_no_sense_are_refused(pupil: Pupil) -> None:
    """See that an unknown setting, and a value outside its range, are refused by a sentence that names them."""
    _must_refuse(pupil, "no_such_setting", 1)
    for name, setting in pupil.learner.space(pupil.scene.task, pupil.scene.schema).settings.items():
        if setting.options:
            _must_refuse(pupil, name, "no such option")
        elif setting.high is not None:
            _must_refuse(pupil, name, setting.high * 10 + 10)


def _must_refuse(pupil: Pupil, name: str, value: Scalar) -> None:
    sentence = _refusal(pupil, name, value)
    assert sentence, f"{name}={value!r} was accepted"
    assert name in sentence, f"the refusal of {name}={value!r} does not name it: {sentence}"


def _refusal(pupil: Pupil, name: str, value: Scalar) -> str:
    try:
        pupil.fit(pupil.told(**{name: value}))
    except SteelyardError as refusal:
        return str(refusal)
    return ""


# -------------------------------------------------------------------------------------------- what it learns


def check_it_learns(pupil: Pupil) -> None:
    """See that it is better than a model that looks at nothing, unless its prior promises no gain."""
    one = pupil.scene
    if pupil.learner.prior(one.task, one.schema, len(one.train)).gain.value <= 0:
        return
    aim = metric(one.task.aim)
    blind = _blind(one)
    lengths = lengths_of(one.valid.target) if pupil.tags else None
    got, least = (
        aim.higher_is_better(aim.measure(one.task, one.valid.target, answer_of(one.task, _rowed(scores, lengths))))
        for scores in (pupil.fitted.scores(one.valid.columns), blind)
    )
    sentence = f"{one.task.aim} is {got:.3g} (higher better), and {least:.3g} without looking at anything"
    assert got > least + 0.1 * abs(least), f"it has learned too little: {sentence}"


def _rowed(scores: Floats, lengths: Ints | None) -> Floats:
    """Return scores of tokens by rows again; those of rows as they are."""
    return scores if lengths is None else parted(scores, lengths)


def _blind(one: Scene) -> Floats:
    if one.task.problem is Problem.TAGGING:
        tags, tokens = flattened(one.train.target)[0], int(lengths_of(one.valid.target).sum())
        return np.tile(np.bincount(tags, minlength=one.task.width) / len(tags), (tokens, 1))
    if one.task.problem is Problem.REGRESSION:
        return np.full((len(one.valid), 1), float(np.mean(one.train.target)))
    shares = np.bincount(one.train.target, minlength=one.task.width) / len(one.train)
    return np.tile(shares, (len(one.valid), 1))


def check_scores_are_answers_to_the_task(pupil: Pupil) -> None:
    """See that scores are float64 probabilities of every class that sum to one, or one finite value a row."""
    task, scores = pupil.scene.task, pupil.fitted.scores(pupil.few)
    shape = (pupil.lines(), task.width)
    assert scores.shape == shape, f"scores have shape {scores.shape}, not {shape}"
    assert scores.dtype == np.float64, f"scores are {scores.dtype}, not float64"
    assert np.isfinite(scores).all(), "a score is not finite"
    if task.problem is not Problem.REGRESSION:
        assert (scores >= 0).all(), "a probability is negative"
        assert np.allclose(scores.sum(axis=1), 1.0, atol=1e-5), "the probabilities of a row do not sum to one"


def check_it_edits_nothing(pupil: Pupil) -> None:
    """See that rows are left as they were by training and by scoring."""
    train, valid = deepcopy(pupil.scene.train), deepcopy(pupil.scene.valid)
    pupil.fit(train=train, valid=valid).scores(valid.columns)
    for before, after in ((pupil.scene.train, train), (pupil.scene.valid, valid)):
        assert _same(before.target, after.target), "the target was edited"
        assert list(before.columns) == list(after.columns), "columns were added, removed or reordered"
        for name, values in before.columns.items():
            assert _same(values, after.columns[name]), f"column {name!r} was edited"


def _same(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype == object:
        return all(_alike(a, b) for a, b in zip(first, second, strict=True))
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))


def _alike(first: object, second: object) -> bool:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return _same(first, second)
    return bool(np.array_equal(first, second))  # type: ignore[arg-type] # pictures compare as arrays too


def check_the_same_seed_gives_the_same_model(pupil: Pupil) -> None:
    """See that the same rows, plan and seed give the same scores, bit for bit."""
    again = pupil.fit().scores(pupil.few)
    assert np.array_equal(again, pupil.fitted.scores(pupil.few)), "the second training gave another model"


def check_defaults_are_what_unset_means(pupil: Pupil) -> None:
    """See that a plan that spells out the defaults trains the same model as one that does not."""
    space = pupil.learner.space(pupil.scene.task, pupil.scene.schema)
    spelt = {name: value for name, value in space.complete(pupil.plan.settings).items() if value is not None}
    scores = pupil.fit(pupil.told(**spelt)).scores(pupil.few)
    assert np.array_equal(scores, pupil.fitted.scores(pupil.few)), "a default spelt out gives another model"


def check_any_point_of_its_space_can_be_trained(pupil: Pupil) -> None:
    """See that a point drawn from the space trains, and answers with finite scores."""
    random = np.random.default_rng(1)
    settings = pupil.learner.space(pupil.scene.task, pupil.scene.schema).settings
    free = {name: s for name, s in settings.items() if name not in pupil.plan.settings and s.default is not None}
    drawn = {name: _drawn(setting, random) for name, setting in free.items()}
    scores = pupil.fit(pupil.told(**drawn)).scores(pupil.few)
    assert np.isfinite(scores).all(), f"a score is not finite with {Settings(drawn)}"


def _drawn(setting: Setting, random: np.random.Generator) -> Scalar:
    if setting.options:
        place: int = int(random.integers(len(setting.options)))
        return setting.options[place]
    if setting.low is None or setting.high is None:
        return setting.default
    share = float(random.random())
    low, high = setting.low, setting.high
    value: float = low * (high / low) ** share if setting.log else low + (high - low) * share
    return round(value) if isinstance(setting.default, int) else value


# ------------------------------------------------------------------------------------------------ what ships


def _bundled(pupil: Pupil, fitted: Fitted, folder: str) -> Bundle:
    one = pupil.scene
    recipe = Train(learner=pupil.learner.name, plan=pupil.plan)
    write(Path(folder) / "bundle", fitted.export(), About(one.task, one.schema, recipe, "0" * 16))
    return load(Path(folder) / "bundle")


def _agree(pupil: Pupil, columns: Columns, what: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shipped = _bundled(pupil, pupil.fitted, folder).answer(columns).scores
    own = pupil.fitted.scores(columns)
    assert np.isfinite(own).all(), f"the framework's scores of {what} are not finite"
    apart = pupil.apart(shipped, own)
    assert apart <= PARITY, f"bundle and framework differ by {apart:.2g} on {what}; {PARITY} is allowed"


def check_the_bundle_says_what_the_framework_says(pupil: Pupil) -> None:
    """See that the exported bundle and the framework agree on validation rows."""
    _agree(pupil, pupil.scene.valid.columns, "validation rows")


def check_missing_cells_are_answered_alike(pupil: Pupil) -> None:
    """See that rows without any value are answered, by the bundle as by the framework."""
    _agree(pupil, emptied(pupil.few, pupil.scene.schema), "rows whose cells are all missing")


def check_unseen_cells_are_answered_alike(pupil: Pupil) -> None:
    """See that categories and words never seen before are answered, by the bundle as by the framework."""
    _agree(pupil, strange(pupil.few, pupil.scene.schema), "rows of unseen categories and words")


def check_a_row_alone_is_answered_as_among_others(pupil: Pupil) -> None:
    """See that a row's scores do not depend on the rows beside it."""
    together = pupil.fitted.scores(pupil.few)
    for row in range(3):
        alone = pupil.fitted.scores({name: values[row : row + 1] for name, values in pupil.few.items()})
        apart = pupil.apart(alone, together[pupil.lines(row) : pupil.lines(row + 1)])
        assert apart <= PARITY / 10, f"row {row} alone and among others differ by {apart:.2g}"


def check_what_it_exports_is_plain(pupil: Pupil) -> None:
    """See that it exports a graph with the one output ``scores`` and files that are no pickles, twice the same."""
    onnx = need("onnx", for_="checking an exported graph")
    one, again = pupil.fitted.export(), pupil.fitted.export()
    assert one.graph == again.graph, "exporting twice gives two graphs"
    outputs = [value.name for value in onnx.load_model_from_string(one.graph).graph.output]
    assert outputs == ["scores"], f"the outputs are {outputs}, not ['scores']"
    for name, content in one.files.items():
        # A pickle of protocol 2 or later starts so.
        assert not (content[:1] == b"\x80" and content[1:2] <= b"\x05"), f"file {name!r} is a pickle"


# --------------------------------------------------------------------------------------- what it is asked for


def check_row_weights_are_honoured(pupil: Pupil) -> None:
    """See that answers follow the heavier ones of rows that say opposite things of the same cells."""
    train = pupil.scene.train
    n = len(train)
    yes, no = (1, 0) if pupil.scene.task.classes else (1040.0, 1000.0)
    target = np.repeat([yes, no], n)
    if pupil.tags:
        target = objects(np.full(len(tags), code) for code in (yes, no) for tags in train.target)
    twice = replace(train.take(np.tile(np.arange(n), 2)), target=target)
    up, down = (
        pupil.fit(train=replace(twice, weights=np.repeat(weights, n))).scores(pupil.few)
        for weights in ([5.0, 0.2], [0.2, 5.0])
    )
    column = 1 if pupil.scene.task.classes else 0
    moved = float(up[:, column].mean() - down[:, column].mean())
    assert moved > 0, "weights of rows change nothing" if moved == 0 else "weights of rows push answers away from them"


def check_a_class_without_rows_keeps_its_place(pupil: Pupil) -> None:
    """See that a class that no training row has still has a column of scores."""
    if pupil.scene.task.problem is not Problem.MULTICLASS:
        return
    fewer = pupil.scene.train.take(pupil.scene.train.target != 1)
    scores = pupil.fit(train=fewer, alone=True).scores(pupil.few)
    assert scores.shape == (FEW, 3), f"without rows of one class scores have shape {scores.shape}, not {(FEW, 3)}"
    least = float(scores[:, 1].mean())
    assert least < 0.4, f"a class without rows is given {least:.2g} on average"


def check_validation_rows_can_be_absent(pupil: Pupil) -> None:
    """See that training works without validation rows, as for a refit."""
    rounds = pupil.fitted.rounds if pupil.rounds else None
    scores = pupil.fit(replace(pupil.plan, rounds=rounds), alone=True).scores(pupil.few)
    assert np.isfinite(scores).all(), "a score is not finite after training without validation rows"


def check_it_keeps_no_state(pupil: Pupil) -> None:
    """See that an instance is the same after training, and can travel to another process."""
    before = deepcopy(getattr(pupil.learner, "__dict__", {}))
    pupil.fit()
    assert getattr(pupil.learner, "__dict__", {}) == before, "the instance changed in training"
    travelled = pickle.loads(pickle.dumps(pupil.learner))  # noqa: S301 - what was pickled the moment before
    scores = replace(pupil, learner=travelled, _fitted=None).fit().scores(pupil.few)
    assert np.array_equal(scores, pupil.fitted.scores(pupil.few)), "a copy of the instance trains another model"
