"""Settings are checked all at once."""

import pytest

from steelyard.contracts import Setting, Space
from steelyard.learners._settings import SettingsRefused, settings_of
from steelyard.recipe import Plan, Settings

SPACE = Space(
    {
        "C": Setting(default=1.0, low=0.1, high=10.0),
        "leaves": Setting(default=31, low=2, high=255),
        "kind": Setting(default="a", options=("a", "b")),
    }
)


def test_what_is_not_given_is_the_default():
    assert settings_of("x", SPACE, Plan(settings=Settings(C=2.0))) == {"C": 2.0, "leaves": 31, "kind": "a"}


def test_every_problem_is_named_at_once():
    plan = Plan(settings=Settings(C=99, leaves=2.5, kind="c", leavs=3))
    with pytest.raises(SettingsRefused) as caught:
        settings_of("x", SPACE, plan)
    assert str(caught.value).split("; ") == [
        "x: C must be from 0.1 to 10",
        "got 99",
        "x: kind must be one of a, b",
        "got 'c'",
        "x: leaves must be a whole number",
        "got 2.5",
        "x has no setting 'leavs' (did you mean 'leaves'?)",
    ]


@pytest.mark.parametrize("value", [True, None, "1"])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(SettingsRefused, match="C must be a number"):
        settings_of("x", SPACE, Plan(settings=Settings(C=value)))
