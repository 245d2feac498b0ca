"""What the page decides by: the block of the report, and the cases that Python and the browser must decide alike."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.contracts import Kind
from steelyard.report import build, page
from steelyard.report.say import chinese, say
from steelyard.report.shell import PAGE, policy, script

SCRIPTS = (*PAGE, "list.js")
SOURCES = Path(__file__).resolve().parents[2] / "src" / "steelyard" / "report"


def test_the_cases_that_the_browser_is_held_to_are_what_python_decides_today(cases):
    kept = json.loads(cases.FILE.read_text(encoding="utf-8"))
    assert json.loads(cases.text(cases.cases(range(len(kept))))) == kept


def test_the_cases_hold_everything_that_a_decision_can_come_to(cases):
    kept = json.loads(cases.FILE.read_text(encoding="utf-8"))
    said = [one for case in kept for one in case["said"]]
    wished = [one for case in kept for one in case["wishes"]]
    reasons = [c for case in kept for c in case["deciding"]["candidates"]]
    assert {one["feasible"] for one in said} == {True, False}
    assert {one["tightest"] for one in said} > {None, "latency_p95_ms"}
    assert sum(bool(one["equal"]) for one in said) > 10
    assert sum(bool(one["rejected"]) for one in said) > 10
    assert sum(one["number"] != one["frontier"][0] for one in said) > 10
    assert sum(w["values"] is not None for w in wished) > 10
    for part in ("expected", "ceiling", "parent", "line"):
        assert any(c[part] is not None for c in reasons)
    assert any(c["altered"] for c in reasons)
    assert any(t["widen"] is not None for case in kept for t in case["deciding"]["targets"])


def test_a_run_that_compared_nothing_has_no_block_and_no_fields(record):
    report = build(replace(record, compared=None))
    assert report["deciding"] is None
    assert report["judged"] is None
    assert 'id="wishes"' not in page(report)


def test_candidates_of_the_block_are_those_that_were_measured(report):
    measured = [row["number"] for row in report["trials"] if row["ending"] == "measured"]
    assert [c["number"] for c in report["deciding"]["candidates"]] == measured
    assert report["deciding"]["candidates"][6]["line"] == [[1, False]]


@pytest.mark.parametrize("kind", ["record", "infeasible", "empty", "hostile"])
def test_the_policy_of_a_page_allows_its_one_script_and_nothing_else(kind, request):
    text = page(build(request.getfixturevalue(kind)))
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, flags=re.DOTALL)
    assert [re.search('type="([^"]*)"', head)[1] for head, _ in scripts] == ["application/json"] * 2 + ["module"]
    assert scripts[-1][1] == script(*PAGE)
    assert "default-src 'none'" in policy(*PAGE)
    assert "unsafe-inline'; base-uri" in policy(*PAGE)  # for styles alone
    assert policy(*PAGE).count("script-src 'sha256-") == 1


def test_figures_in_the_page_cannot_end_their_element(hostile):
    text = page(build(hostile))
    inside = text.partition('id="figures">')[2].partition("</script>")[0]
    assert json.loads(inside)["name"] == hostile.name


def test_the_arithmetic_stands_alone():
    text = (SOURCES / "page" / PAGE[0]).read_text(encoding="utf-8")
    assert "import " not in text
    assert not re.search(r"document|window|fetch|Date|random", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_enough_to_read_and_reaches_no_network(name):
    text = (SOURCES / "page" / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert not re.search(r"fetch\(|XMLHttp|WebSocket|innerHTML|eval\(|new Function|https?://[^w]", text)


def test_every_word_of_the_scripts_is_in_the_table():
    found = set()
    for name in SCRIPTS:
        text = (SOURCES / "page" / name).read_text(encoding="utf-8")
        found |= set(re.findall(r'\b(?:say|word)\(\s*"([^"]+)"', text))
    assert len(found) > 30
    assert found <= chinese().keys()


def test_no_word_is_in_the_table_that_nobody_says():
    files = [*SOURCES.glob("*.py"), *(SOURCES.parent / "browse").glob("*.py"), *(SOURCES / "page").glob("*.js")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    said = {"column": " ".join(Kind), "severity": "stop warn note"}
    parts = {f"{part} over {{0}} months" for part in ("value", "serving", "people", "retraining", "labels")}
    unsaid = [w for w in chinese() if f'"{w}"' not in text and w not in " ".join(said.values()).split()]
    assert set(unsaid) <= parts


def test_every_word_has_its_chinese_and_keeps_what_it_speaks_of():
    for words, said in chinese().items():
        assert said
        assert re.findall(r"\{\d\}", words) == sorted(re.findall(r"\{\d\}", said)), words


def test_a_word_that_is_not_in_the_table_is_refused():
    with pytest.raises(KeyError, match=r"words\.json has no 'nonsense'"):
        say("nonsense")


def test_a_full_report_shows_every_block_without_script(full):
    text = page(full)
    for words in ("What it returns", "Where the next dollar goes", "What each lever earned", "Machines over the day"):
        assert f">{words}</span></h2>" in text
    for table in ("waterfall", "tornado", "against", "levers", "advice", "hours", "machines", "placement", "confusion"):
        assert f'data-name="{table}"' in text
    assert full["returns"]["sentence"] in text
    assert len(text.encode()) < 3_000_000


def test_the_waterfall_ends_at_the_net_present_value(full):
    cells = page(full).partition('data-name="waterfall"')[2].partition("</table>")[0]
    *steps, total = (float(value) for value in re.findall(r'data-v="([^"]+)"', cells))
    assert sum(steps) == pytest.approx(total)


def test_blocks_that_are_empty_draw_nothing_and_break_nothing(full):
    bare = {
        **full,
        "capacity": {**full["capacity"], "hours": [], "machines": [], "placement": [], "crossovers": []},
        "returns": {**full["returns"], "tornado": [], "against": [], "assumptions": [], "break_even_quality": None},
        "advice": {**full["advice"], "actions": [], "next": None, "stop": "Stop: nothing left returns its price."},
        "attribution": {**full["attribution"], "levers": []},
    }
    text = page(bare)
    assert "Stop: nothing left returns its price." in text
    assert 'data-name="tornado"' not in text
