"""What every lever must keep: ``check_lever(lever)``.

Each check is a function with a claim; it raises ``AssertionError`` with a sentence where the claim does not hold.
No test runner is needed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from steelyard.bundle import apply_rule
from steelyard.contracts import (
    CombiningLever,
    Context,
    DistillingLever,
    Evidence,
    Lever,
    Move,
    Split,
    Stage,
    Trial,
)
from steelyard.errors import BundleRefused, need
from steelyard.recipe import Combine, Plan, Recipe, Settings, Shrink, Train, from_json, parents, to_json
from steelyard.registry import levers
from steelyard.testing import lever_lessons
from steelyard.testing.hands import MOST_MOVES, Hand, act, pull, refusal
from steelyard.testing.situations import Situation, situations, trial
from steelyard.units import Estimate, How

CLOSE = 1e-6


Check = Callable[[Hand], None]


def check_lever(lever: Lever | str, *, among: Iterable[Situation] | None = None) -> None:
    """Run every check on a lever.

    Parameters
    ----------
    lever
        An instance, or the name of a registered one.
    among
        The situations to try; unset: those of :mod:`steelyard.testing.situations`.

    Raises
    ------
    AssertionError
        With the first claim that does not hold; also where the lever applies to none of the situations.
    """
    made = levers().get(lever) if isinstance(lever, str) else lever
    proposed = acted = False
    for one in situations() if among is None else among:
        hand = Hand(lever=made, situation=one)
        proposed = proposed or bool(hand.moves())
        acted = acted or act(hand) is not None
        for check in yield_checks(hand):
            check(hand)
    way_out = "give a situation where it does: check_lever(..., among=[...])"
    assert proposed, f"{made.name} proposes nothing in any situation; {way_out}"
    assert acted, f"{made.name} never acts, in any situation; {way_out}"


def yield_checks(hand: Hand) -> Iterator[Check]:
    """Yield the checks that apply to a lever of some stage."""
    yield check_it_introduces_itself
    yield check_the_same_trials_give_the_same_moves
    yield check_moves_start_from_measured_trials
    yield check_moves_are_one_pull_away
    yield check_priors_are_assumed_and_in_range
    yield check_what_was_tried_is_not_proposed_again
    yield check_a_refusal_is_a_sentence
    yield check_unknown_settings_are_refused
    yield check_it_edits_nothing
    yield check_the_same_seed_gives_the_same_result
    yield check_it_keeps_no_state
    match hand.lever.stage:
        case Stage.DATA:
            yield check_columns_are_left_alone
        case Stage.TRAINING:
            yield check_settings_reach_the_plan
        case Stage.SHRINKING if isinstance(hand.lever, DistillingLever):
            yield from lever_lessons.yield_checks()
        case Stage.SHRINKING:
            yield check_inputs_and_output_stay
        case Stage.COMBINING:
            yield check_its_rule_can_be_run
            yield check_the_order_of_rows_does_not_matter
            yield check_too_few_rows_are_refused_with_the_number_needed


# ------------------------------------------------------------------------------------ what it says of itself


def check_it_introduces_itself(hand: Hand) -> None:
    """See that it has a plain name, a paper with a year, and a sentence about itself."""
    lever = hand.lever
    assert lever.name == lever.name.strip().lower(), f"the name {lever.name!r} is not plain lower case"
    assert re.search(r"\b(19|20)\d\d\b", lever.paper), f"`paper` is no citation with a year: {lever.paper!r}"
    assert lever.about.endswith("."), f"`about` is not a sentence: {lever.about!r}"


# --------------------------------------------------------------------------------------------- what it proposes


def check_the_same_trials_give_the_same_moves(hand: Hand) -> None:
    """See that moves depend on the trials and the context alone, so that a resumed run proposes the same."""
    assert hand.moves() == hand.moves(), "the same trials led to other moves the second time"


def check_moves_start_from_measured_trials(hand: Hand) -> None:
    """See that nothing is built on a trial without a measurement."""
    for start, move in hand.moves():
        assert start.ending.usable, f"{move.lever} goes on from a trial that ended with {start.ending.value!r}"


def check_moves_are_one_pull_away(hand: Hand) -> None:
    """See that each move names the lever, says why, survives JSON, and starts from its trial's recipe."""
    lever = hand.lever
    for start, move in hand.moves():
        assert move.lever == lever.name, f"a move of {lever.name} says that it is of {move.lever!r}"
        assert move.why.strip(), "a move does not say why"
        assert from_json(to_json(move.recipe)) == move.recipe, "a recipe is not the same after a trip through JSON"
        fault = _far(lever, start.recipe, move.recipe)
        assert fault is None, f"a recipe {fault}"


def _far(lever: Lever, start: Recipe, recipe: Recipe) -> str | None:
    """Say how a recipe is not one pull of the lever away from another one; ``None`` where it is."""
    if isinstance(recipe, Train):
        if lever.stage not in {Stage.DATA, Stage.TRAINING}:
            return f"is a training, and {lever.name} acts after training"
        same = isinstance(start, Train) and start.learner == recipe.learner and start.seed == recipe.seed
        return None if same else "trains another learner, or with another seed, than its trial"
    kind = Shrink if lever.stage is Stage.SHRINKING else Combine
    if not isinstance(recipe, kind) or recipe.lever != lever.name:
        return f"is not a {kind.__name__} by {lever.name}"
    return None if start in parents(recipe) else "does not start from its trial's recipe"


def check_priors_are_assumed_and_in_range(hand: Hand) -> None:
    """See that a prior is positive seconds and a share of the way, assumed, and says where it comes from."""
    for _, move in hand.moves():
        seconds, gain = move.prior.seconds, move.prior.gain
        assert seconds.value > 0, "a move that costs no time cannot be weighed"
        assert 0 <= gain.value <= 1, f"a gain of {gain.value} is no share of the way to a perfect model"
        for figure in (seconds, gain):
            _check_assumed(figure)


def _check_assumed(figure: Estimate) -> None:
    assert figure.low <= figure.value <= figure.high, f"a prior lies outside its own interval: {figure}"
    assert figure.how is not How.MEASURED, "a prior says that it was measured"
    assert figure.source, "a prior does not say where it comes from"


def check_what_was_tried_is_not_proposed_again(hand: Hand) -> None:
    """See that no move repeats a known recipe, round after round, and that a round has few moves."""
    context = hand.situation.context
    for _ in range(3):
        found = hand.moves(context)
        most = max(Counter(start.number for start, _ in found).values(), default=0)
        assert most < MOST_MOVES, f"{hand.lever.name} proposes {MOST_MOVES} moves or more from one trial"
        known = {t.recipe for t in context.trials}
        for _, move in found:
            assert move.recipe not in known, "a recipe that was tried is proposed again"
        context = replace(context, trials=(*context.trials, *_tried(context, [move for _, move in found])))


def _tried(context: Context, moves: list[Move]) -> Iterator[Trial]:
    """Return what a search would have measured: each move a little worse than the first trial."""
    first = context.trials[0].validation[context.task.aim].value
    for number, recipe in enumerate(dict.fromkeys(m.recipe for m in moves), 100 + len(context.trials)):
        yield trial(number, recipe, context.task, first)


# -------------------------------------------------------------------------------------------- what it does


def check_a_refusal_is_a_sentence(hand: Hand) -> None:
    """See that where it does not act it says why, in words."""
    sentence = refusal(hand, Settings())
    assert not sentence or len(sentence.split()) > 4, f"it refuses with {sentence!r}, which is not a sentence"


def check_unknown_settings_are_refused(hand: Hand) -> None:
    """See that a setting that it does not have is refused by name; it may be the learner's where it adds no part."""
    if hand.lever.stage is Stage.TRAINING and not hand.settings:
        return
    sentence = refusal(hand, Settings(no_such_setting=1))
    assert sentence, "a setting that it does not have was accepted"
    refused_anyway = act(hand) is None and refusal(hand, Settings())
    assert refused_anyway or "no_such_setting" in sentence, f"the refusal does not name the setting: {sentence}"


def check_it_edits_nothing(hand: Hand) -> None:
    """See that what it is given is the same afterwards: rows, plan, graph, answers, trials."""
    before = _held(hand)
    act(hand)
    hand.moves()
    for (name, was), is_ in zip(before.items(), _held(hand).values(), strict=True):
        assert _equal(was, is_), f"it edited the {name} that it was given"


def _held(hand: Hand) -> dict[str, Any]:
    one = hand.situation
    return deepcopy(
        {
            "rows": [*one.rows.columns.values(), one.rows.target, one.rows.rows, one.rows.weights],
            "plan": [one.plan],
            "graph": [one.artefact.graph, one.artefact.feeds],
            "evidence": [*(a.scores for a in one.evidence.answers), one.evidence.target],
            "trials": [one.context.trials],
        }
    )


def _equal(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def check_the_same_seed_gives_the_same_result(hand: Hand) -> None:
    """See that the same input, settings and seed give the same result, bit for bit."""
    first, again = act(hand), act(hand)
    same = _split_equal(first, again) if isinstance(first, Split) else first == again
    assert same, "the second pull gave another result"


def _split_equal(first: Split, second: Split) -> bool:
    return (
        np.array_equal(first.rows, second.rows)
        and np.array_equal(first.target, second.target)
        and all(np.array_equal(values, second.columns[name]) for name, values in first.columns.items())
    )


def check_it_keeps_no_state(hand: Hand) -> None:
    """See that an instance is the same after proposing and acting."""
    before = deepcopy(getattr(hand.lever, "__dict__", {}))
    hand.moves()
    act(hand)
    assert getattr(hand.lever, "__dict__", {}) == before, "the instance changed by being used"


# ------------------------------------------------------------------------------------------------ by stage


def check_columns_are_left_alone(hand: Hand) -> None:
    """See that a data lever keeps the columns, their types and equal lengths, and leaves rows to train on."""
    rows, changed = hand.situation.rows, act(hand)
    if changed is None:
        return
    assert len(changed) > 0, "no rows are left to train on"
    assert list(changed.columns) == list(rows.columns), "columns were added, removed or reordered"
    for name, values in changed.columns.items():
        assert values.dtype == rows.columns[name].dtype, f"column {name!r} changed its type"
        assert len(values) == len(changed), f"column {name!r} has {len(values)} cells for {len(changed)} rows"
    assert len(changed.target) == len(changed), f"there are {len(changed.target)} targets for {len(changed)} rows"
    weights = changed.weights
    assert (weights is None) == (rows.weights is None), "row weights were added or lost"
    assert weights is None or len(weights) == len(changed), "there is not one weight a row"


def check_settings_reach_the_plan(hand: Hand) -> None:
    """See that a training lever changes the plan by its settings, and is undone by none."""
    if not hand.settings and "rate" not in getattr(hand.lever, "space", ("rate",)):
        return  # it names its settings, and proposes none of them here
    plan, changed = hand.situation.plan, pull(hand, hand.settings or Settings(rate=0.2))
    assert isinstance(changed, Plan), f"it made a {type(changed).__name__} of a plan"
    assert changed != plan, "settings change nothing in the plan"


def check_inputs_and_output_stay(hand: Hand) -> None:
    """See that a shrunk graph has the inputs, the output and the feeds of the one it was made from."""
    made = act(hand)
    if made is None:
        return
    assert made.feeds == hand.situation.artefact.feeds, "the feeds are not the same"
    assert _ends(made.graph) == _ends(hand.situation.artefact.graph), "inputs or output changed name, type or shape"


def _ends(graph: bytes) -> list[bytes]:
    onnx = need("onnx", for_="checking a graph")
    model = onnx.load_model_from_string(graph)
    return [value.SerializeToString(deterministic=True) for value in (*model.graph.input, *model.graph.output)]


def check_its_rule_can_be_run(hand: Hand) -> None:
    """See that a rule is plain JSON, known to bundles, and answers every row; and that it says what it is fitted on."""
    lever, one = hand.lever, hand.situation
    assert isinstance(lever, CombiningLever)
    assert lever.fits_on in {"validation", "calibration"}, f"`fits_on` is {lever.fits_on!r}"
    assert lever.needs_rows > 0, "`needs_rows` is not positive: no rule can be fitted on nothing"
    rule, evidence = act(hand), hand.evidence
    if rule is None:
        return
    assert json.loads(json.dumps(rule)) == rule, "the rule is not the same after a trip through JSON"
    try:
        answer = apply_rule(rule, evidence.answers, one.context.task)
    except BundleRefused as problem:
        raise AssertionError(f"no bundle can run the rule: {problem}") from problem
    assert answer.scores.shape == evidence.answers[0].scores.shape, "the rule does not answer every row"


def check_the_order_of_rows_does_not_matter(hand: Hand) -> None:
    """See that the rule is the same for the same rows in another order."""
    rule = act(hand)
    if rule is None:
        return
    evidence = hand.evidence
    order = np.random.default_rng(0).permutation(len(evidence.target))
    mixed = pull(hand, hand.settings, evidence=_taken(evidence, order))
    numbers, others = (np.array(_numbers(r), dtype=np.float64) for r in (rule, mixed))
    close = numbers.shape == others.shape and np.allclose(numbers, others, atol=CLOSE)
    assert close, "rows in another order give another rule"


def _numbers(rule: Any) -> list[float]:
    """Return every number in plain JSON, in order."""
    if isinstance(rule, dict):
        return [number for key in sorted(rule) for number in _numbers(rule[key])]
    if isinstance(rule, list):
        return [number for one in rule for number in _numbers(one)]
    return [float(rule)] if isinstance(rule, int | float) else []


def _taken(evidence: Evidence, index: np.ndarray[Any, Any]) -> Evidence:
    answers = tuple(a.take(index) for a in evidence.answers)
    weights = None if evidence.weights is None else evidence.weights[index]
    return Evidence(answers, evidence.target[index], weights)


def check_too_few_rows_are_refused_with_the_number_needed(hand: Hand) -> None:
    """See that a rule is not fitted on fewer rows than it says it needs, and that the refusal says how many."""
    if act(hand) is None:
        return
    lever = hand.lever
    assert isinstance(lever, CombiningLever)
    few = _taken(hand.evidence, np.arange(lever.needs_rows - 1))
    sentence = refusal(hand, Settings(), few)
    assert sentence, f"a rule was fitted on {lever.needs_rows - 1} rows, and it says that it needs {lever.needs_rows}"
    assert str(lever.needs_rows) in sentence, f"the refusal does not say how many rows are needed: {sentence}"
