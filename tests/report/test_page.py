"""The page: whole, self-contained, and nobody's names break out of it."""

import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from steelyard.report import build, page
from steelyard.report.labels import Anchor, Box, place
from steelyard.units import Estimate

VOID = {"meta", "br", "hr", "input"}


class Reader(HTMLParser):
    """Checks that every element is closed in turn, and keeps elements, text and attributes."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words, self.links = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in {"src", "href", "srcset", "action", "xlink:href"}]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.mark.parametrize("kind", ["record", "infeasible", "empty", "hostile"])
def test_every_page_is_well_formed_small_and_asks_the_network_for_nothing(kind, request):
    text = page(build(request.getfixturevalue(kind)))
    reader = Reader(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    assert reader.open == []
    assert reader.links == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert len(text.encode()) < 300_000


def test_names_of_the_users_are_shown_as_they_are_and_never_run(hostile):
    reader = Reader(page(build(hostile)))
    assert "<script>alert(1)</script>" in reader.text


def test_decision_reasons_rejects_ledger_and_findings_are_all_there(report):
    text = Reader(page(report)).text
    assert f"Take {report['decision']['title']}" in text
    for sentence in report["decision"]["reasons"]:
        assert sentence in text
    for row in report["trials"]:
        assert (row["rejected"] or "") in text
        assert (row["passed_over"] or "") in text
    for finding in report["checks"]:
        assert finding["sentence"] in text
    assert "2026-11-22" in text
    assert f"{len(report['ledger']['entries'])} lines" in text


def test_a_page_without_a_feasible_candidate_says_so_first(infeasible):
    text = Reader(page(build(infeasible))).text
    assert "No candidate meets every target" in text.split("Why")[0]
    assert "missed" in text


def test_a_page_without_a_decision_says_why(empty):
    text = Reader(page(build(empty))).text
    assert "Nothing was measured" in text
    assert "The budget ended" in text


def test_a_thousand_trials_still_make_a_small_page(record):
    many = tuple(replace(record.trials[2], number=k) for k in range(10, 1010))
    text = page(build(replace(record, trials=(*record.trials, *many))))
    assert len(text.encode()) < 1_000_000
    assert "more in report.json" in text


@pytest.mark.parametrize("seed", range(8))
def test_labels_never_lie_on_one_another_or_on_points_and_stay_inside(seed):
    rng = random.Random(seed)
    frame = Box(50, 20, 850, 400)
    anchors = [Anchor(rng.uniform(60, 840), rng.uniform(30, 390), "x" * rng.randrange(4, 28)) for _ in range(14)]
    dots = [Box(a.x - 6, a.y - 6, a.x + 6, a.y + 6) for a in anchors]
    boxes = [label.box for label in place(anchors, frame, solid=dots, soft=[])]
    assert len(boxes) >= 10
    assert all(box.within(frame) for box in boxes)
    assert not any(a.meets(b) for k, a in enumerate(boxes) for b in (*boxes[:k], *dots))


def test_the_picture_names_the_frontier_and_marks_the_one_that_is_taken(report):
    svg = page(report).partition("<svg")[2].partition("</svg>")[0]
    assert len(re.findall('class="dot chosen"', svg)) == 1
    assert re.search(r'class="label chosen"[^>]*>linear<', svg)
    assert "lightgbm (trial 3)" in svg


def test_a_hopeless_baseline_does_not_squash_the_picture_but_is_named_below_it(report):
    text = Reader(page(report)).text
    assert "Far off the scale and not drawn: constant, roc_auc 0.500" in text


def test_a_run_of_one_candidate_without_spread_has_a_picture_too(record):
    lone = replace(record.trials[1], validation={"roc_auc": Estimate.exact(0.7)})
    decision = replace(record.decision, number=1, frontier=(1,))
    report = build(replace(record, trials=(lone,), decision=decision))
    assert 'class="dot chosen"' in page(report)
