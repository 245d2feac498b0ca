"""What a terminal prints, and the model card."""

import io

import pytest
from rich.console import Console

from steelyard.report import build, card, show


def printed(report, width=100):
    out = io.StringIO()
    show(report, Console(file=out, width=width, force_terminal=False))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["record", "infeasible", "empty", "hostile"])
@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_wider_than_the_terminal(kind, width, request):
    text = printed(build(request.getfixturevalue(kind)), width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_tables_hold_frontier_decision_reasons_ledger_and_findings(report):
    text = " ".join(printed(report).split())
    assert "0.785 (0.739 to 0.831)" in text
    assert "Take linear. It meets every target." in text
    for sentence in (*report["decision"]["reasons"], *(f["sentence"] for f in report["checks"])):
        assert sentence in text
    assert "total" in text
    assert "On test: roc_auc 0.801 (0.739 to 0.863), read once." in text
    assert "What else was tried" in text


def test_brackets_in_names_are_text_and_no_markup(hostile):
    assert "[red]" in printed(build(hostile))


def test_an_infeasible_run_names_the_nearest_and_the_tightest(infeasible):
    text = " ".join(printed(build(infeasible)).split())
    assert "No candidate meets every target." in text
    assert "comes nearest" in text
    assert "The tightest target is" in text


def test_a_run_without_a_measurement_says_so(empty):
    assert "Nothing was measured" in printed(build(empty))


def test_the_card_holds_the_figures_of_every_metric_and_the_limits(report):
    text = card(report)
    for name in report["decision"]["validation"]:
        assert name.replace("_", r"\_") in text
    assert "0.801 (0.739 to 0.863)" in text
    assert "positive class | bad" in text
    assert "where that ends" in text


def test_the_card_of_a_run_without_a_measurement_is_honest(empty):
    assert "Nothing was measured" in card(build(empty))


def test_names_of_the_users_cannot_break_out_of_the_card(hostile):
    text = card(build(hostile))
    assert r"\<script\>" in text
    assert "<script>" not in text
    assert text.count("\n# ") == 0
    rows = [line for line in text.splitlines() if line.startswith("| predicts")]
    assert len(rows) == 1
    assert rows[0].replace(r"\|", "").count("|") == 3
