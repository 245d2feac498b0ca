"""The example specs are short, valid, and speak of data that is there."""

import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from steelyard.spec import json_schema, load

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))


def test_there_is_an_example_of_every_modality():
    assert {p.stem for p in EXAMPLES} >= {
        "german_credit",
        "titanic",
        "bike_sharing_hourly",
        "banking77",
        "chnsenticorp_hotel_zh",
        "mnist_10k",
        "mixed",
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_a_spec_of_at_most_fifteen_lines_with_a_budget(path):
    spec = load(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 15
    assert spec.budget.minutes is not None
    assert spec.quality.metric is not None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_editors_accept_an_example(path):
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_data_of_an_example_is_found_through_steelyard_data(path):
    root, data = os.environ.get("STEELYARD_DATA"), load(path).data
    if data.startswith("sklearn:"):
        return
    if root is None:
        pytest.skip("STEELYARD_DATA is not set")
    assert (Path(root) / data).exists()
