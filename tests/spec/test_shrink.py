"""What a model may lose and must gain to be made cheaper, in the user's words."""

import pytest

from steelyard.contracts import Problem, Task
from steelyard.errors import SpecInvalid
from steelyard.spec import Quality, ShrinkPart, Spec, check_task, parse


def test_it_is_one_line_of_yaml():
    spec = parse("data: x.csv\ntarget: y\nshrink: {lose: 0.01, faster: 0.2, smaller: 0.2}\n")
    assert (spec.shrink.lose, spec.shrink.least) == (0.01, (0.2, 0.2))
    assert parse(spec.to_yaml()) == spec


@pytest.mark.parametrize(
    ("given", "least"),
    [({}, (0.1, 0.1)), ({"faster": 0.2}, (0.2, None)), ({"smaller": 0.0}, (None, 0.0)), ({"lose": 0.1}, (0.1, 0.1))],
)
def test_what_is_given_is_what_is_asked(given, least):
    assert ShrinkPart(**given).least == least


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"faster": 20}, "shrink.faster: must be a number of 0 or more and below 1; got 20"),
        ({"smaller": "much"}, "shrink.smaller: must be a number of 0 or more and below 1; got 'much'"),
        ({"lose": -1}, "shrink.lose: must be a number of 0 or more; got -1"),
        ({"fastr": 0.2}, "shrink.fastr: no such field (did you mean 'faster'?)"),
    ],
)
def test_what_does_not_fit_is_said_with_the_way_out(given, sentence):
    with pytest.raises(SpecInvalid) as problem:
        Spec(data="x.csv", target="y", shrink=given)
    assert sentence in str(problem.value)


def test_points_given_as_whole_numbers_are_refused_since_they_allow_everything():
    sentence = r"shrink.lose: accuracy lies between 0 and 1, so a loss of 1 allows any \(did you mean 0.01\?\)"
    with pytest.raises(SpecInvalid, match=sentence):
        Spec(data="x.csv", target="y", quality=Quality(metric="accuracy"), shrink=ShrinkPart(lose=1))
    spec = Spec(data="x.csv", target="y", shrink=ShrinkPart(lose=2))
    check_task(spec, Task(problem=Problem.REGRESSION, target="y", aim="rmse"))
    with pytest.raises(SpecInvalid, match=r"roc_auc lies between 0 and 1.*did you mean 0.02"):
        check_task(spec, Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("a", "b"), positive="b"))
