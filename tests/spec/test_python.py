"""A spec is built in Python under the same rules, and written back as YAML."""

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from steelyard.errors import SpecInvalid
from steelyard.spec import AtLeast, AtMost, Budget, Quality, Spec, Traffic, Value, json_schema, parse


def design():
    return Spec(
        data="credit.csv",
        target="default",
        quality=AtLeast("roc_auc", 0.78),
        latency_p95_ms=20,
        traffic=Traffic(mean_rps=50, peak_rps=200),
        budget=Budget(minutes=10, money="5 USD"),
        value=Value(true_positive=500, false_positive=-40),
    )


def test_the_example_of_the_design_is_a_spec():
    spec = design()
    assert spec.serving.latency_p95_ms == 20
    assert spec.serving.traffic == Traffic(mean_rps=50, peak_rps=200)
    assert str(spec.budget.money) == "5.00 USD"


def test_every_problem_of_a_spec_built_in_python_is_told_at_once():
    with pytest.raises(SpecInvalid) as caught:
        Spec(data=5, target="y", quality={"at_least": "high"}, wrkers=3, columns={"ignore": ["y"]})
    assert str(caught.value).splitlines() == [
        "the spec has 4 problems:",
        "  data: must be a file, a folder, a zip, files by side, sklearn:NAME, or a data frame; got 5",
        "  quality.at_least: must be a number; got 'high'",
        "  wrkers: no such field (did you mean 'workers'?)",
        "  columns.ignore[0]: names 'y', which is the target; take it off here",
    ]


def test_a_part_built_by_itself_says_which_part_it_is():
    with pytest.raises(SpecInvalid, match=r"Quality.at_least: must be a number; got 'high'"):
        AtLeast("roc_auc", "high")
    with pytest.raises(SpecInvalid, match=r"Budget.minuets: no such field \(did you mean 'minutes'\?\)"):
        Budget(minuets=3)
    assert AtMost("rmse", 40).at_most == 40


def test_a_shorthand_joins_a_part_that_was_built_already():
    spec = Spec(data="a", target="y", serving={"threads": 2}, latency_p95_ms=5)
    assert (spec.serving.threads, spec.serving.latency_p95_ms) == (2, 5)
    assert spec.serving.model_fields_set == {"threads", "latency_p95_ms"}


def test_true_is_no_number():
    with pytest.raises(SpecInvalid, match="seed: must be a whole number"):
        Spec(data="a", target="y", seed=True)
    assert Spec(data="a", target="y", positive=True).positive == "true"


def test_numbers_of_numpy_are_numbers():
    spec = Spec(data="a", target="y", seed=np.int64(3), positive=np.int64(1), quality={"at_least": np.float64(0.5)})
    assert (spec.seed, spec.positive, spec.quality.at_least) == (3, "1", 0.5)


def test_a_spec_is_never_changed_after_it_was_checked():
    with pytest.raises(ValidationError, match="frozen"):
        design().seed = 4


def test_a_frame_is_written_as_a_frame():
    frame = pd.DataFrame({"x": [1], "y": [0]})
    spec = Spec(data=frame, target="y")
    assert spec.data is frame
    assert spec.to_yaml() == "data: <frame>\ntarget: y\n"


def test_what_was_given_is_kept_apart_from_what_is_the_default():
    lines = design().explain().splitlines()
    assert "quality.at_least: 0.78" in lines
    assert "split.test: 0.2  (default)" in lines
    assert "seed: 0  (default)" in lines


def test_a_spec_written_as_yaml_is_read_back_the_same():
    assert parse(design().to_yaml()) == design()


words = st.text(min_size=1, max_size=12).filter(lambda w: w.isprintable() and w.strip() == w)


@settings(deadline=None)
@given(target=words, positive=words | st.integers() | st.floats(allow_nan=False, allow_infinity=False), test=words)
def test_any_word_survives_writing_and_reading(target, positive, test):
    if target == test:
        return
    spec = Spec(data="a.csv", target=target, positive=positive, columns={"ignore": [test]})
    assert parse(spec.to_yaml()) == spec


def test_the_schema_for_editors_accepts_what_the_spec_accepts_and_refuses_what_it_refuses():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    fine = {"data": "a", "target": "y", "traffic": {"mean_rps": 5}, "budget": {"money": "5 USD"}, "positive": 1}
    assert check.is_valid(fine)
    assert not check.is_valid({**fine, "tarket": "y"})
    assert not check.is_valid({**fine, "seed": -1})
    assert not check.is_valid({"target": "y"})
    assert parse("data: a\ntarget: y\ntraffic: {mean_rps: 5}\nbudget: {money: 5 USD}\npositive: 1")


def test_a_metric_without_target_is_enough():
    assert Spec(data="a", target="y", quality=Quality(metric="f1")).quality.at_least is None
