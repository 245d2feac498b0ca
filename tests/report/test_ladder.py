"""The ladder of what was made cheaper, in every view: what it began with first, then every step with its reason."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from steelyard.contracts import Ending
from steelyard.decide import Shrunken
from steelyard.recipe import Settings, Shrink, Train
from steelyard.report import build, card, page, show
from steelyard.report.ladder import became, cells
from steelyard.units import Estimate

LINEAR = Train(learner="linear")
SMALL = Shrink(lever="quantise", parent=LINEAR)


@pytest.fixture
def ladder(record):
    """The report of a run with a step that was kept, one on it that was rejected, one that crashed, one refused."""
    base = record.trials[6]
    kept = replace(base, weight=replace(base.weight, size_bytes=2_350), note="")
    recipes = [
        Shrink(lever="fuse", parent=SMALL),
        *(Shrink(lever="prune", parent=SMALL, settings=Settings(k=k)) for k in (1, 2)),
    ]
    worse, failed, refused = (
        replace(base, number=k, recipe=r, lever=r.lever) for k, r in zip((10, 11, 12), recipes, strict=True)
    )
    note = "prune crashed with ValueError (no luck); the model that it started from stands as it was."
    failed = replace(failed, ending=Ending.FAILED, note=note, weight=None, validation={})
    refused = replace(refused, ending=Ending.REFUSED, note="nothing to prune", weight=None, validation={})
    ratio = Estimate(0.5, 0.45, 0.55)
    found = (
        Shrunken(number=6, against=1, root=1, lost=Estimate(0.001, -0.002, 0.004), p50=ratio, p95=ratio),
        Shrunken(
            number=10, against=6, root=1, lost=Estimate(0.04, 0.02, 0.06), p50=ratio, p95=ratio, reason="Too bad."
        ),
    )
    decision = replace(record.decision, shrunk=found, rejected={10: "Too bad."})
    trials = (*record.trials[:6], kept, *record.trials[7:], worse, failed, refused)
    return build(replace(record, trials=trials, decision=decision))


def test_a_family_begins_with_the_model_that_its_steps_began_with(ladder):
    (family,) = ladder["ladder"]
    assert [(s["number"], s["parent"], s["against"], s["kept"]) for s in family["steps"]] == [
        (1, None, None, True),
        (6, 1, 1, True),
        (10, 6, 6, False),
        (11, 6, None, False),
    ]
    assert family["threads"] == 1
    assert json.loads(json.dumps(family)) == family


def test_every_step_says_what_it_gained_or_why_it_was_rejected(ladder):
    (family,) = ladder["ladder"]
    said = [became(step, family) for step in family["steps"]]
    assert said == [
        "Taken: the steps began with it.",
        "Kept: 4.00 times smaller and 2.00 times faster than trial 1.",
        "Rejected. Too bad.",
        "Failed. prune crashed with ValueError (no luck); the model that it started from stands as it was.",
    ]
    assert cells(family["steps"][1], "roc_auc")[-2:] == ("0.0010", "-0.0020 to 0.0040")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_terminal_shows_it_within_its_width(ladder, width):
    out = io.StringIO()
    show(ladder, Console(file=out, width=width, force_terminal=False))
    assert max(map(len, out.getvalue().splitlines())) <= width
    text = " ".join(out.getvalue().split())
    assert "Made cheaper from linear, 1 thread" in text
    assert "Trial 6: Kept: 4.00 times smaller and 2.00 times faster than trial 1." in text
    assert "Trial 10: Rejected. Too bad." in text


def test_the_page_and_the_card_show_it(ladder):
    table = page(ladder).partition('data-name="ladder-1"')[2].partition("</table>")[0]
    assert len(re.findall("<tr", table)) == 4  # the one that crashed has no figures
    below = page(ladder).partition('data-name="ladder-1"')[2].partition("</ul>")[0]
    assert "Rejected. Too bad." in below
    assert "Failed. prune crashed" in below
    assert 'data-v="2350.0"' in table
    text = card(ladder)
    assert "## Made cheaper from linear, 1 thread" in text
    assert "Trial 10: Rejected. Too bad." in text


def test_nothing_is_shown_where_nothing_was_made_cheaper(empty):
    bare = build(empty)
    assert bare["ladder"] == []
    assert "ladder-" not in page(bare)
    assert "Made cheaper" not in card(bare)


def test_names_that_try_to_break_out_are_text(hostile):
    assert "<script>alert(1)" not in page(build(hostile))


def test_a_run_of_before_there_was_a_guard_still_shows_its_steps(record):
    old = replace(record, decision=replace(record.decision, shrunk=()))
    (family,) = build(old)["ladder"]
    assert family["steps"][1]["reason"].startswith("Slower and not smaller")
