"""Going back without being asked: on figures that leave no doubt, and on no others."""

import itertools
import logging
import math
import random
import time

import numpy as np
import pytest

from steelyard.contracts import Answer
from steelyard.errors import BundleRefused, ServingRefused
from steelyard.serve import Watching
from steelyard.serve.releases import read_watching
from steelyard.serve.releases.tally import Agreement, Tally
from steelyard.serve.releases.verdict import Judge, percentile, wilson

EAGER = Watching(min_requests=20, compare_share=1.0, latency_slack_ms=1.0, disagreement=0.3)


class Bad:
    """Stands before a version: fails now and then, takes long, or answers the opposite."""

    def __init__(self, deployed, *, fails=0, seconds=0.0, turned=False):
        self.real, self.fails, self.seconds, self.turned = deployed.served.bundle, fails, seconds, turned
        self.calls = itertools.count()
        deployed.served.bundle = self

    def __getattr__(self, name):
        return getattr(self.real, name)

    def answer_cells(self, cells):
        if self.fails and next(self.calls) % self.fails == 0:
            raise BundleRefused("the model broke")
        time.sleep(self.seconds)
        answer = self.real.answer_cells(cells)
        return Answer(answer.scores[:, ::-1], 1 - answer.decided) if self.turned else answer


def ask(server, times, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [server.post("/predict", json={"age": n}, headers=named).status_code for n in range(times)]


def looks_of(server):
    """Return how often the canary and the stable version were looked at."""
    watch = server.app.board.each_tick[0].__self__
    return watch._canary.looks, watch._stable.looks


def last(server):
    return server.get("/releases/log").json()["switches"][0]


CASES = [
    pytest.param(({"fails": 3}, 60, "errors: ")),
    pytest.param(({"turned": True}, 60, "disagreement: 100.0%")),
    pytest.param(({"seconds": 0.01}, 300, "latency: p95"), marks=pytest.mark.slow),  # an interval of p95 needs so many
]


@pytest.mark.parametrize("case", CASES, ids=("errors", "disagreement", "latency"))
def test_a_canary_that_is_worse_is_ended_with_the_figures(shelf, start, until, case):
    bad, requests, said = case
    server = start(shelf, watching=EAGER)
    server.switch("2/canary", share=0.5)
    Bad(server.app.board.resident["2"], **bad)
    ask(server, requests, X_Version_Role="stable")
    ask(server, requests, X_Version_Role="canary")
    until(lambda: server.app.board.router.roles.canary == "")
    told = last(server)
    assert (told["who"], told["action"], told["version"]) == ("watch", "retire", "2")
    assert said in told["why"]
    assert set(ask(server, 20)) == {200}
    assert 'steelyard_switches_total{model="model",action="retire",by="watch"} 1' in server.get("/metrics").text


@pytest.mark.parametrize("case", CASES, ids=("errors", "disagreement", "latency"))
def test_a_promoted_version_that_is_worse_is_taken_back(shelf, start, until, case):
    bad, requests, said = case
    server = start(shelf, watching=EAGER)
    ask(server, requests)
    server.switch("2/promote")
    Bad(server.app.board.resident["2"], **bad)
    ask(server, requests)
    until(lambda: server.app.board.router.roles.stable == "1")
    told = last(server)
    assert (told["who"], told["action"]) == ("watch", "rollback")
    assert said in told["why"]
    assert set(ask(server, 5)) == {200}


def test_a_version_as_good_as_the_other_stays(shelf, start, bundles, until):
    from steelyard.serve.releases import shelve

    shelve(bundles["1"], shelf, version="twin")
    server = start(shelf, watching=EAGER)
    server.switch("twin/canary", share=0.5)
    for role in ("stable", "canary"):
        ask(server, 60, X_Version_Role=role)
    until(lambda: looks_of(server)[0] > 1)
    assert server.app.board.router.roles.canary == "twin"
    server.switch("twin/promote")
    ask(server, 60)
    until(lambda: looks_of(server)[1] > 1)
    assert server.app.board.router.roles.stable == "twin"


def test_below_the_least_number_of_requests_nothing_is_judged(shelf, start):
    server = start(shelf, watching=Watching(min_requests=50))
    server.switch("2/canary", share=0.5)
    Bad(server.app.board.resident["2"], fails=1)
    assert ask(server, 49, X_Version_Role="canary") == [500] * 49
    time.sleep(0.6)
    assert server.app.board.router.roles.canary == "2"


def test_a_promotion_is_watched_for_its_time_and_no_longer(shelf, start):
    server = start(shelf, watching=Watching(min_requests=20, watch_seconds=0))
    server.switch("2/promote")
    Bad(server.app.board.resident["2"], fails=1)
    ask(server, 60)
    time.sleep(0.6)
    assert server.app.board.router.roles.stable == "2"


def test_without_watching_nobody_goes_back_unasked(shelf, start):
    server = start(shelf)
    server.switch("2/promote")
    Bad(server.app.board.resident["2"], fails=1)
    ask(server, 30)
    time.sleep(0.6)
    assert server.app.board.router.roles.stable == "2"


def test_going_back_waits_until_the_log_can_be_written(shelf, start, until, caplog, monkeypatch):
    monkeypatch.setattr("steelyard.serve.releases.watch._AGAIN", 0.5)
    caplog.set_level(logging.ERROR)
    server = start(shelf, watching=EAGER)
    server.switch("2/promote")
    log = server.app.board.log
    log._lock_path = shelf / "no" / "such" / "folder"
    Bad(server.app.board.resident["2"], fails=1)
    ask(server, 60)
    until(lambda: "is called for, and was not made" in caplog.text)
    assert server.app.board.router.roles.stable == "2"
    log._lock_path = shelf / "switches.lock"
    until(lambda: server.app.board.router.roles.stable == "1", 20)


# ------------------------------------------------------------------------------------------- the figures alone


def tally(rng, requests, *, failing=0.0, seconds=0.01, late=0.0):
    found = Tally()
    for _ in range(requests):
        if rng.random() < failing:
            found.failed()
        elif rng.random() < late:
            found.was_late()
        else:
            found.answered(rng.lognormvariate(math.log(seconds), 0.5))
    return found


def looks(seed, limits, *, failing, seconds=0.01, agreeing=True):
    """Return whether a judge who looks at every 50 requests ever finds something in 3,000."""
    rng = random.Random(seed)
    judge, new, old = Judge(limits), Tally(), Tally()
    agreement = Agreement()
    for _ in range(60):
        for each, share, pace in ((new, failing, seconds), (old, 0.02, 0.01)):
            part = tally(rng, 50, failing=share, seconds=pace)
            each.requests += part.requests
            each.failures += part.failures
            each._times = [a + b for a, b in zip(each._times, part._times, strict=True)]
        if not agreeing:
            for _ in range(50):
                agreement.compared(rows=1, disagreed=int(rng.random() < 0.3), difference=0.0)
        if judge.why(new, old, agreement):
            return True
    return False


@pytest.mark.slow
def test_of_equal_versions_no_more_are_sent_back_than_promised_however_often_one_looks():
    limits = Watching(confidence=0.95, error_points=0.0, latency_ratio=1.0, latency_slack_ms=0.0)
    wrong = sum(looks(seed, limits, failing=0.02) for seed in range(100))
    assert wrong <= 10  # 5% in each kind, were every bound sharp


def test_worse_versions_are_found():
    limits = Watching()
    assert all(looks(seed, limits, failing=0.10) for seed in range(10))
    assert all(looks(seed, limits, failing=0.02, seconds=0.03) for seed in range(10))
    assert not any(looks(seed, limits, failing=0.02, agreeing=False) for seed in range(10))
    strict = Watching(disagreement=0.2)
    assert all(looks(seed, strict, failing=0.02, agreeing=False) for seed in range(10))


def test_the_interval_of_a_percentile_holds_it():
    rng, truth, held = random.Random(5), 0.01 * math.exp(0.5 * 1.6448536), 0
    for _ in range(200):
        low, high = percentile(tally(rng, 500), 1.96)
        held += low <= truth <= high
    assert 185 <= held <= 200


def test_requests_that_were_turned_away_count_as_infinitely_slow():
    rng = random.Random(1)
    new, old = tally(rng, 500, late=0.2), tally(rng, 500)
    assert percentile(new, 2.0)[0] == math.inf
    assert "at least the limit of the queue" in Judge(Watching()).why(new, old, Agreement())


def test_wilson_never_leaves_0_to_1_and_narrows():
    widths = []
    for n in (10, 100, 1000):
        for share in np.linspace(0, 1, 11):
            low, high = wilson(share * n, n, 2.5)
            assert 0 <= low <= share + 1e-12
            assert share - 1e-12 <= high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min_request: 3", "there is no setting 'min_request' (did you mean 'min_requests'?)"),
        ("min_requests: many", "min_requests must be a int; got 'many'"),
        ("enabled: 1", "enabled must be a bool"),
        ("disagreement: yes", "disagreement must be a float; got True"),
        ("- 1", "must hold settings by name"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_file_of_limits_is_read_strictly(tmp_path, text, said):
    file = tmp_path / "watch.yaml"
    file.write_text(text)
    with pytest.raises(ServingRefused) as refused:
        read_watching(file)
    assert said in str(refused.value)


def test_limits_out_of_their_range_are_named_all_at_once(tmp_path):
    from steelyard.serve import Releasing, Settings

    file = tmp_path / "watch.yaml"
    file.write_text("min_requests: 5\ndisagreement: .nan\nlatency_ratio: 2")
    with pytest.raises(ServingRefused, match=r"(?s)min_requests must be from 10.*disagreement must be from 0 to 1"):
        Settings(no_keys=True, releasing=Releasing(watching=read_watching(file)))
