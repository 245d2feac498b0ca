"""Returns and incumbents in a spec: ranges, currencies, and what may not be said together."""

import jsonschema
import pytest

from steelyard.errors import SpecInvalid
from steelyard.spec import json_schema, parse, unused

BASE = "data: a.csv\ntarget: y\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("returns: {discount_rate: {low: 0.2, likely: 0.1, high: 0.3}}", "upside down"),
        ("returns: {discount_rate: {mean: 0.1, sd: -1}}", "standard deviation below 0"),
        ("returns: {discount_rate: .inf}", "a rate a year from 0 to 10"),
        ("returns: {acted_on: 1.2}", "a share from 0 to 1"),
        ("returns: {build_cost: -5 USD}", "an amount of money of 0 or more"),
        ("returns: {build_cost: {low: 1 USD, likely: 2 EUR, high: 3 USD}}", "mixes USD and EUR"),
        ("returns: {build_cost: {lo: 1, hi: 2}}", "got 'lo', 'hi'"),
        ("returns: {retraining: {every_months: 0, price: 1 USD}}", "above 0"),
        ("returns: {people: {per_decision: 1 USD}}", "says nothing of their errors"),
        ("returns: {people: {per_decision: 1 USD, accuracy: 0.9, recall: 0.8}}", "one way of speaking"),
        ("value: {right: 1 USD}\nreturns: {upkeep: 5 EUR}", "one currency"),
        ("value: {right: 1 USD}\nincumbent: {column: past, per_call: 1 EUR}", "one currency"),
        ("incumbent: {bundle: a, onnx: b}", "exactly one of bundle, onnx, endpoint, column; got bundle and onnx"),
        ("incumbent: {name: old}", "got none"),
        ("incumbent: {onnx: a.onnx}", "name the columns"),
        ("incumbent: {bundle: a, per_call: 1 USD}", "belongs to endpoint or column"),
        ("incumbent: {endpoint: 'http://h', model: m}", "say what one decision costs"),
        ("incumbent: {endpoint: 'http://h', per_call: 0}", "an endpoint serves models by name"),
        ("incumbent: {column: y, per_call: 0}", "which the spec uses otherwise"),
        ("horizon_months: 0", "above 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(written, said):
    with pytest.raises(SpecInvalid, match="has 1 problem") as caught:
        parse(BASE + written)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_a_spec_with_ranges_is_written_as_it_was_read():
    text = BASE + (
        "returns:\n  discount_rate: {low: 0.04, likely: 0.08, high: 0.12}\n"
        "  build_cost: {mean: 2000 USD, sd: 300 USD}\n"
        "  people: {per_decision: 0.000001 USD, accuracy: 0.97}\n  retraining: {every_months: 3, price: 50}\n"
        "value: {right: 1 USD}\ntraffic: {mean_rps: 1}\n"
    )
    spec = parse(text)
    assert parse(spec.to_yaml()) == spec
    assert spec.returns.build_cost.currency == "USD"
    assert spec.returns.people.per_decision.middle == 1e-6
    assert spec.returns.discount_rate.centre == pytest.approx(0.08)


def test_the_schema_of_editors_takes_figures_and_both_ranges_alone():
    validator = jsonschema.Draft202012Validator(json_schema())
    spec = {"data": "a.csv", "target": "y"}
    for rate in (0.1, {"low": 0.1, "likely": 0.2, "high": 0.3}, {"mean": 0.1, "sd": 0.02}):
        assert validator.is_valid({**spec, "returns": {"discount_rate": rate}})
    for rate in ("high", {"low": 0.1, "high": 0.3}, {"mean": 0.1, "sd": 0.1, "low": 0}):
        assert not validator.is_valid({**spec, "returns": {"discount_rate": rate}})


def test_returns_without_values_or_traffic_are_said_to_have_no_effect():
    assert any("`returns` has no effect" in line for line in unused(parse(BASE + "returns: {upkeep: 5 USD}")))
