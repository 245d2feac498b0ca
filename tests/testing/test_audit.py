"""Every registered learner and lever passes its suite, or is excluded for a reason; nothing is forgotten."""

import pytest

from steelyard.contracts import OF_ROWS, Problem
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners, levers
from steelyard.testing import check_lever
from steelyard.testing.learners import accepts, yield_checks
from steelyard.testing.pupils import Pupil
from steelyard.testing.scenes import COLUMNS, scene

LEARNERS = {
    "constant": Plan(),
    "linear": Plan(),
    "lightgbm": Plan(),
    "catboost": Plan(),
    "extra-trees": Plan(),
    "mlp": Plan(),
    "tfidf-linear": Plan(),
    "cnn": Plan(settings=Settings(epochs=4, width=8)),
    "audio-cnn": Plan(settings=Settings(epochs=4, width=32, blocks=2)),
    "resnet": Plan(settings=Settings(epochs=4, width=16)),
    "tcn": Plan(settings=Settings(epochs=8)),
    "sequence-rnn": Plan(settings=Settings(epochs=8)),
    "text-cnn": Plan(),
    "rnn": Plan(),
}
"""The plan that each learner is checked with: its defaults, or settings that make it quick."""
LONG = {"audio-cnn", "catboost", "mlp", "resnet", "rnn", "sequence-rnn", "tcn", "text-cnn"}
"""Learners that are checked on numbers with two classes; the rest of them where there is more time."""
DEEP = {"audio-cnn", "cnn", "resnet", "rnn", "sequence-rnn", "tcn", "text-cnn"}
"""Learners that need PyTorch."""
LEVERS = {
    "adversarial",
    "average",
    "augment",
    "bag",
    "calibrate",
    "cascade",
    "clean",
    "data-parallel",
    "distil",
    "early-stopping",
    "ensemble",
    "factorise",
    "features",
    "fuse",
    "gradient-accumulation",
    "learning-rate-finder",
    "local-sgd",
    "mixed-precision",
    "prune",
    "quantile",
    "quantise",
    "regularise",
    "resize",
    "schedule",
    "select",
    "self-supervised",
    "stack",
    "subsample",
    "threshold",
    "tune",
}
LONG_LEVERS = {"prune"}
"""Levers that train a net in every situation, which needs PyTorch and more time."""
_OF_TOKENS = "checked on the scene of tokens, which has one problem alone, by tests/learners"
_OF_CHECKPOINTS = "needs a checkpoint, which no scene has; checked with small ones in tests/learners/pretrained"
_OF_SERIES = "forecasts alone: checked on series in tests/learners/test_forecasting_learners.py"
EXCLUDED: dict[str, str] = {
    "token-linear": _OF_TOKENS,
    "tagger": _OF_TOKENS,
    "encoder-tagger": _OF_TOKENS,
    "compile": "proposes nothing where no compiler is installed; tests/levers/test_nets.py gives it one",
    "embed-linear": _OF_CHECKPOINTS,
    "transformer": _OF_CHECKPOINTS,
    **dict.fromkeys(("adapter", "freeze", "ia3", "lora", "prefix", "pretrained"), _OF_CHECKPOINTS),
    "vocabulary": "situations hold no text with a tokenizer; tests/levers/test_vocabulary.py gives it one",
    "static-embeddings": "needs an encoder of text, which no situation holds; tests/levers/shrinking has one",
    "entity-threshold": "situations hold no rows of tags; tests/levers/test_entity_threshold.py checks it on its own",
    **dict.fromkeys(("seasonal-naive", "theta", "dlinear", "gbdt-lags", "stgcn"), _OF_SERIES),
}
"""Registered things without a scenario, each with its reason."""


def audit(registered, scenarios, excluded):
    problems = [f"{name}: neither a scenario nor an exclusion" for name in registered - scenarios - excluded.keys()]
    problems += [f"{name}: no longer registered" for name in (scenarios | excluded.keys()) - registered]
    problems += [f"{name}: both a scenario and an exclusion" for name in scenarios & excluded.keys()]
    problems += [f"{name}: excluded without a reason" for name, why in excluded.items() if len(why.split()) < 3]
    return sorted(problems)


def test_nothing_registered_is_forgotten():
    registered = set(learners()._points) | set(levers()._points)  # not what other tests added by hand
    assert audit(registered, set(LEARNERS) | LEVERS, EXCLUDED) == []


def test_the_audit_is_strict():
    assert audit({"new"}, set(), {}) == ["new: neither a scenario nor an exclusion"]
    assert audit(set(), {"old"}, {}) == ["old: no longer registered"]
    assert audit({"one"}, set(), {"one": "because"}) == ["one: excluded without a reason"]
    assert audit({"one"}, {"one"}, {"one": "it was hard once"}) == ["one: both a scenario and an exclusion"]


def cases():
    """Return every learner with every scene; those that need PyTorch are marked so."""
    for name, plan in LEARNERS.items():
        for kind in COLUMNS:
            for problem in OF_ROWS:
                marks = [pytest.mark.deep] if name in DEEP else []
                heard = kind in {"sounds", "sequences"} and (name, problem) != ("linear", Problem.BINARY)
                if heard or (name in LONG and (kind, problem) != ("numbers", Problem.BINARY)):
                    marks.append(pytest.mark.slow)
                yield pytest.param(name, plan, kind, problem, marks=marks, id=f"{name}-{kind}-{problem.value}")


@pytest.mark.parametrize(("name", "plan", "kind", "problem"), list(cases()))
def test_a_registered_learner_keeps_its_contract(name, plan, kind, problem):
    if name in DEEP:
        pytest.importorskip("torch", reason="the extra `deep` is not installed")
    pupil = Pupil(learner=learners().get(name), scene=scene(kind, problem), plan=plan)
    if not accepts(pupil):
        return
    for check in yield_checks(pupil):
        check(pupil)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_registered_learner_accepts_some_scene(name):
    if name in DEEP:
        pytest.importorskip("torch", reason="the extra `deep` is not installed")
    made = learners().get(name)
    assert any(accepts(Pupil(learner=made, scene=scene(kind, Problem.BINARY))) for kind in COLUMNS)


def marked(name):
    """Return a lever's name with what it needs to be checked."""
    marks = [pytest.mark.slow, pytest.mark.deep] if name in LONG_LEVERS else []
    return pytest.param(name, marks=marks, id=name)


@pytest.mark.parametrize("name", [marked(name) for name in sorted(LEVERS)])
def test_a_registered_lever_keeps_its_contract(name):
    if name in LONG_LEVERS:
        pytest.importorskip("torch", reason="the extra `deep` is not installed")
    check_lever(name)
