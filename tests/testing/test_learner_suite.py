"""Every check of the suite for learners, proved by one that must fail it."""

import inspect
from dataclasses import dataclass, replace

import numpy as np
import pytest

from steelyard.contracts import Problem, Refusal, Setting, Space
from steelyard.recipe import Settings
from steelyard.registry import learners
from steelyard.testing import check_learner
from steelyard.testing import learners as suite
from steelyard.testing.pupils import Pupil
from steelyard.testing.scenes import scene, scenes
from steelyard.units import How, Seconds


class Loyal:
    """Hands everything on to a learner that keeps its contract."""

    inner = "linear"

    def __init__(self):
        self.name, self.honours, self.about = self.real.name, self.real.honours, self.real.about

    @property
    def real(self):
        return learners().get(self.inner)

    def accepts(self, task, schema):
        return self.real.accepts(task, schema)

    def space(self, task, schema):
        return self.real.space(task, schema)

    def prior(self, task, schema, rows):
        return self.real.prior(task, schema, rows)

    def fit(self, plan, train, valid, work, meter):
        return self.real.fit(plan, train, valid, work, meter)


@dataclass
class Bent:
    """A fitted model whose scores are bent on the way out."""

    inner: object
    bend: object
    rounds: int | None = None
    files: dict | None = None

    def scores(self, columns):
        return self.bend(self.inner.scores(columns), columns)

    def export(self):
        made = self.inner.export()
        return made if self.files is None else replace(made, files=self.files)


def straight(scores, _):
    return scores


def towards_even(scores, rows):
    """Move some rows' probabilities a little towards each other."""
    even = np.full_like(scores, 1 / scores.shape[1])
    return np.where(rows[:, None], 0.9 * scores + 0.1 * even, scores)


class Rounds(Loyal):
    inner = "lightgbm"


class Mumbles(Loyal):
    def __init__(self):
        super().__init__()
        self.about = "a model"


class LivesOutsideItsSpace(Loyal):
    def space(self, task, schema):
        return Space({"depth": Setting(default=99, low=1, high=9, about="Depth.")})


class Boasts(Loyal):
    def prior(self, task, schema, rows):
        prior = super().prior(task, schema, rows)
        return replace(prior, seconds=replace(prior.seconds, how=How.MEASURED))


class SwallowsSettings(Loyal):
    def fit(self, plan, train, valid, work, meter):
        known = self.space(work.task, work.schema).settings
        kept = {k: v for k, v in plan.settings.items() if k in known}
        return super().fit(replace(plan, settings=Settings(kept)), train, valid, work, meter)


class ClampsSettings(Loyal):
    def fit(self, plan, train, valid, work, meter):
        known = self.space(work.task, work.schema).settings
        bounded = {
            k: min(v, known[k].high) if k in known and known[k].high is not None else v
            for k, v in plan.settings.items()
        }
        return super().fit(replace(plan, settings=Settings(bounded)), train, valid, work, meter)


class LearnsNoise(Loyal):
    def fit(self, plan, train, valid, work, meter):
        mixed = replace(train, target=np.random.default_rng(1).permutation(train.target))
        return super().fit(plan, mixed, valid, work, meter)


class SaysNoProbabilities(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), lambda scores, _: scores * 2)


class FillsInPlace(Loyal):
    def fit(self, plan, train, valid, work, meter):
        np.nan_to_num(train.columns["age"], copy=False)
        return super().fit(plan, train, valid, work, meter)


class Wavers(Loyal):
    def fit(self, *given):
        shift = np.random.default_rng().random() * 1e-9
        return Bent(super().fit(*given), lambda scores, _: scores + shift)


class TakesDefaultsForRequests(Loyal):
    def fit(self, plan, *given):
        if plan.settings:
            return Bent(super().fit(plan, *given), lambda s, _: towards_even(s, np.ones(len(s), bool)))
        return super().fit(plan, *given)


class BreaksAwayFromDefaults(Loyal):
    def fit(self, plan, train, valid, work, meter):
        space = self.space(work.task, work.schema)
        usual = space.complete(plan.settings) == space.complete(Settings())
        return Bent(super().fit(plan, train, valid, work, meter), straight if usual else lambda s, _: s * np.nan)


class ShipsAnotherModel(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), lambda s, _: towards_even(s, np.ones(len(s), bool)))


class FillsOutsideTheGraph(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), lambda s, c: towards_even(s, np.isnan(c["age"]) & np.isnan(c["seen"])))


class KnowsUnseenOutsideTheGraph(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), lambda s, c: towards_even(s, c["job"] == "zyx wvu"))


class LooksAtItsNeighbours(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), lambda s, _: 0.9 * s + 0.1 * s.mean(axis=0))


class ShipsAPickle(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), straight, files={"model.bin": b"\x80\x04rest"})


class IgnoresWeights(Loyal):
    def fit(self, plan, train, valid, work, meter):
        return super().fit(plan, replace(train, weights=None), valid, work, meter)


class ForgetsAClass(Loyal):
    def fit(self, plan, train, valid, work, meter):
        seen = np.unique(train.target)
        return Bent(super().fit(plan, train, valid, work, meter), lambda s, _: s[:, seen])


class NeedsValidationRows(Loyal):
    def fit(self, plan, train, valid, work, meter):
        return Bent(super().fit(plan, train, valid, work, meter), straight if valid else lambda s, _: s * np.nan)


class Remembers(Loyal):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def fit(self, *given):
        self.seen += 1
        return super().fit(*given)


class CountsWhatItCannotRepeat(Loyal):
    def fit(self, *given):
        return Bent(super().fit(*given), straight, rounds=5)


class ForgetsTheRounds(Rounds):
    def fit(self, plan, *given):
        return super().fit(replace(plan, rounds=plan.rounds and 3), *given)


class Deaf:
    """A meter between a learner and its own."""

    def __init__(self, meter, *, hears=True, hurries=True):
        self._meter, self._hears, self._hurries = meter, hears, hurries
        self.note = meter.note

    def report(self, step, value):
        return self._meter.report(step, value) or not self._hears

    def remaining(self):
        return self._meter.remaining() if self._hurries else Seconds("inf")


class NeverStops(Rounds):
    def fit(self, plan, train, valid, work, meter):
        return super().fit(plan, train, valid, work, Deaf(meter, hears=False))


class NeverHurries(Rounds):
    def fit(self, plan, train, valid, work, meter):
        return super().fit(plan, train, valid, work, Deaf(meter, hurries=False))


SABOTEURS = {
    suite.check_it_introduces_itself: [Mumbles],
    suite.check_its_space_makes_sense: [LivesOutsideItsSpace],
    suite.check_its_prior_is_a_guess: [Boasts],
    suite.check_settings_that_make_no_sense_are_refused: [SwallowsSettings, ClampsSettings],
    suite.check_it_learns: [LearnsNoise],
    suite.check_scores_are_answers_to_the_task: [SaysNoProbabilities],
    suite.check_it_edits_nothing: [FillsInPlace],
    suite.check_the_same_seed_gives_the_same_model: [Wavers],
    suite.check_defaults_are_what_unset_means: [TakesDefaultsForRequests],
    suite.check_any_point_of_its_space_can_be_trained: [BreaksAwayFromDefaults],
    suite.check_the_bundle_says_what_the_framework_says: [ShipsAnotherModel],
    suite.check_missing_cells_are_answered_alike: [FillsOutsideTheGraph],
    suite.check_unseen_cells_are_answered_alike: [KnowsUnseenOutsideTheGraph],
    suite.check_a_row_alone_is_answered_as_among_others: [LooksAtItsNeighbours],
    suite.check_what_it_exports_is_plain: [ShipsAPickle],
    suite.check_row_weights_are_honoured: [IgnoresWeights],
    suite.check_a_class_without_rows_keeps_its_place: [ForgetsAClass],
    suite.check_validation_rows_can_be_absent: [NeedsValidationRows],
    suite.check_it_keeps_no_state: [Remembers],
    suite.check_rounds_are_what_is_honoured: [CountsWhatItCannotRepeat],
    suite.check_fixed_rounds_are_repeated: [ForgetsTheRounds],
    suite.check_it_stops_when_the_meter_says_so: [NeverStops],
    suite.check_it_stops_when_time_is_up: [NeverHurries],
}
PAIRS = [(check, saboteur) for check, several in SABOTEURS.items() for saboteur in several]


@pytest.fixture
def pupil():
    def make(learner, problem=Problem.MULTICLASS):
        return Pupil(learner=learner, scene=scene("numbers", problem))

    return make


@pytest.mark.parametrize(("check", "saboteur"), PAIRS, ids=lambda part: part.__name__)
def test_a_check_finds_the_fault_that_it_is_for(pupil, check, saboteur):
    assert check in set(suite.yield_checks(pupil(saboteur()))), "the suite would not run this check"
    with pytest.raises(AssertionError):
        check(pupil(saboteur()))


@pytest.mark.parametrize(("check", "saboteur"), PAIRS, ids=lambda part: part.__name__)
def test_a_check_finds_nothing_where_nothing_is_wrong(pupil, check, saboteur):
    check(pupil(Rounds() if issubclass(saboteur, Rounds) else Loyal()))


def test_every_check_has_a_saboteur_and_says_what_it_sees():
    checks = {made for name, made in inspect.getmembers(suite, inspect.isfunction) if name.startswith("check_")}
    assert checks - {suite.check_learner} == set(SABOTEURS)
    for check in SABOTEURS:
        assert check.__doc__.startswith("See that ")


@pytest.mark.parametrize("sentence", ["no", "No images.", "linear reads no images at all here"])
def test_a_refusal_must_be_a_sentence(pupil, sentence):
    class Curt(Loyal):
        def accepts(self, task, schema):
            return Refusal(sentence)

    with pytest.raises(AssertionError, match="sentence"):
        suite.accepts(pupil(Curt()))


def test_a_learner_that_accepts_nothing_was_not_checked():
    with pytest.raises(AssertionError, match="accepts none of the scenes"):
        check_learner("linear", among=[scene("images", Problem.BINARY)])


def test_scenes_are_the_same_every_time_and_hold_what_breaks_code():
    for one, again in zip(scenes(), scenes(), strict=True):
        assert one.name == again.name
        assert all(map(np.array_equal, one.train.target, again.train.target))
    numbers = scene("numbers", Problem.REGRESSION)
    assert np.isnan(numbers.train.columns["age"]).any()
    assert None in set(numbers.train.columns["job"])
    assert numbers.train.columns["seen"].min() > 2**24
    assert "" in set(scene("text", Problem.BINARY).train.columns["note"])
