"""The smaller tables of the command line."""

import io
import json

import pytest
from rich.console import Console

from steelyard.data import inspect
from steelyard.report import inspection_json, show_evaluation, show_inspection, show_rows
from steelyard.spec import Spec
from steelyard.units import Estimate, How


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def printed(screen):
    text = screen.file.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 80
    return " ".join(text.split())


def test_a_look_at_the_data_shows_columns_target_and_findings(screen):
    found = inspect(Spec(data="sklearn:breast_cancer", target="target"), None)
    show_inspection(found, screen)
    text = printed(screen)
    assert "569 rows" in text
    assert "2 classes" in text
    assert "mean radius" in text
    assert "Nothing stops a run." in text
    seen = json.loads(json.dumps(inspection_json(found), allow_nan=False))
    assert seen["rows"] == 569
    assert len(seen["columns"]) == 30
    assert seen["usable"]


def test_of_very_many_columns_the_rest_is_counted_by_kind(screen):
    rows = range(40)
    wide = {f"n{i}": [float(i * r % 37) for r in rows] for i in range(1, 121)} | {"c": ["ab"[r % 2] for r in rows]}
    show_inspection(inspect(Spec(data=wide | {"y": ["no", "yes"] * 20}, target="y"), None), screen)
    text = printed(screen)
    assert "n100" in text
    assert "n101" not in text
    assert "and 21 more columns (19 number, 1 constant, 1 category); --json" in text


def test_an_evaluation_shows_every_figure_with_its_interval(screen):
    cost = Estimate(0.5, 0.4, 0.6, How.ESTIMATED, "USD per 1,000,000 predictions", "busy time alone")
    figures = {
        "bundle": "bundles/[red]",
        "rows": 200,
        "quality": {"accuracy": Estimate(0.8, 0.7, 0.9).to_json(), "f1": Estimate.exact(float("nan")).to_json()},
        "latency_ms": {"p95": Estimate(0.1, 0.09, 0.11, unit="ms").to_json()},
        "rows_per_second": Estimate.exact(5000.0, unit="rows/s").to_json(),
        "size_bytes": 12_000,
        "cost_per_million": cost.to_json(),
    }
    show_evaluation(figures, screen)
    text = printed(screen)
    assert "[red] on 200 rows" in text
    assert "accuracy 0.800 0.700 to 0.900" in text
    assert "latency p95 0.100 ms" in text
    assert "0.50 USD" in text
    assert "busy time alone" in text


def test_rows_are_shown_as_a_table_with_every_name(screen):
    show_rows([{"name": "tune", "paper": "Akiba 2019"}, {"name": "[b]x", "needs": ["b", "a"]}], screen)
    text = printed(screen)
    assert "Akiba 2019" in text
    assert "[b]x" in text
    assert "a, b" in text
