"""Where the time of the trials went: sums that hold, and a sentence where some of it was wasted."""

import io
import json
from dataclasses import replace
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from steelyard.clock import Times
from steelyard.report import build, page, show
from steelyard.report.bottlenecks import bottlenecks, remedy
from steelyard.units import Seconds


def times(loading=0.0, preparing=0.0, computing=0.0, waiting=0.0, *, busy=None, cores=1, **more):
    seconds = {name: Seconds(value) for name, value in more.items() if name != "read_bytes"}
    counts = {name: value for name, value in more.items() if name == "read_bytes"}
    return Times(
        loading=Seconds(loading),
        preparing=Seconds(preparing),
        computing=Seconds(computing),
        waiting=Seconds(waiting),
        busy=Seconds(preparing + computing if busy is None else busy),
        cores=cores,
        **seconds,
        **counts,
    )


@pytest.fixture
def validator():
    schema = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


@pytest.fixture
def clocked(record):
    """A run in which the first trial slept, the second used half of its cores, and one was never clocked."""
    first, second, *others = record.trials
    trials = (
        replace(first, times=times(computing=1.0, waiting=4.0)),
        replace(second, times=times(computing=4.0, busy=4.0, cores=2)),
        *(replace(trial, times=times(loading=0.1, computing=0.4)) for trial in others[:-1]),
        others[-1],
    )
    return replace(record, trials=trials)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (times(computing=9.0, waiting=1.0), None),
        (times(loading=0.4, computing=0.1), None),  # less than half a second is not worth a sentence
        (times(loading=4.0, computing=6.0), "4.0 of its 10.0 s went into reading modules and data"),
        (times(preparing=6.0, computing=4.0), "ready: fewer columns"),
        (times(computing=5.0, waiting=5.0), "5.0 of its 10.0 s nothing ran: it slept"),
        (times(computing=5.0, waiting=5.0, read_bytes=30_000_000), "it read 30 MB: put what it reads on a faster disk"),
        (times(computing=5.0, waiting=5.0, for_cores=4.0), "other work held the cores"),
        (times(computing=5.0, busy=5.0, cores=2), "It held 2 cores and used 1.0 of them"),
        (times(computing=5.0, busy=9.5, cores=2), None),
        (times(computing=5.0, busy=5.0, cores=1), None),
        (times(computing=2.0, waiting=8.0, busy=2.0, cores=2), "nothing ran"),  # the cores are idle for that reason
        (times(), None),
    ],
)
def test_what_was_wasted_most_gets_the_sentence(given, words):
    said = remedy(given)
    assert (said is None) if words is None else (words in said), said
    assert said is None or (said.count(". ") == 0 and said.endswith("."))


def test_the_four_add_up_in_every_row_and_in_the_run(clocked):
    block = bottlenecks(clocked)
    for row in (*block["trials"], block):
        total = sum(row[name] for name in ("loading", "preparing", "computing", "waiting"))
        assert row["seconds"] == pytest.approx(total)
    assert block["seconds"] == pytest.approx(sum(row["seconds"] for row in block["trials"]))


def test_the_idle_share_is_that_of_the_core_seconds_held(clocked):
    block = bottlenecks(clocked)
    shares = [row["idle_share"] for row in block["trials"]]
    assert shares[:2] == [pytest.approx(0.8), pytest.approx(0.5)]
    held = sum(row["seconds"] * row["cores"] for row in block["trials"])
    idle = sum(row["seconds"] * row["cores"] * row["idle_share"] for row in block["trials"])
    assert block["idle_share"] == pytest.approx(idle / held)
    assert 0 < block["between_share"] < 1


def test_the_run_names_the_trial_that_lost_most_and_those_without_a_clock(clocked):
    block = bottlenecks(clocked)
    assert block["sentence"].startswith("Trial 0: For 4.0 of its 5.0 s nothing ran")
    assert "2 of 10 trials lost time" in block["sentence"]
    assert block["unclocked"] == [clocked.trials[-1].number]


def test_a_run_of_before_the_clock_says_nothing(record):
    assert bottlenecks(record) is None
    report = build(record)
    assert report["bottlenecks"] is None
    assert 'data-name="bottlenecks"' not in page(report)


def test_the_terminal_and_the_page_say_it(clocked):
    report = build(clocked)
    out = Console(file=io.StringIO(), width=120)
    show(report, out)
    said = " ".join(out.file.getvalue().split())
    assert "Trials: computing" in said
    assert "For 4.0 of its 5.0 s nothing ran" in said
    assert "Where the time went" in page(report)
    assert "It held 2 cores and used 1.0 of them" in page(report)


def test_the_block_keeps_the_schema(clocked, validator):
    validator.validate(build(clocked))
    broken = build(clocked)
    broken["bottlenecks"]["trials"][0]["idle_share"] = 1.5
    assert not validator.is_valid(broken)


def test_a_clock_is_kept_by_the_journal():
    kept = times(loading=1.5, preparing=0.25, computing=2.0, waiting=0.125, for_cores=0.0625, cores=2, read_bytes=7)
    assert Times.from_json(kept.to_json()) == kept
