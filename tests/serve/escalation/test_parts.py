"""The parts of an escalation by themselves: the breaker, the budget, the watch, what is done together, the file."""

import asyncio
import math
import sys

import numpy as np
import pytest
import yaml

from steelyard.client.answers import Inference
from steelyard.contracts import Column, Kind, Problem, Schema, Task
from steelyard.errors import MissingExtra, ServerRefused, ServingRefused
from steelyard.serve import Settings, make_app
from steelyard.serve.escalation.breaker import FAILURES, FIRST, LONGEST, Breaker
from steelyard.serve.escalation.budget import Allowance
from steelyard.serve.escalation.plan import check_plan, read_plan
from steelyard.serve.escalation.together import Together
from steelyard.serve.escalation.watch import HOLDS, Watch
from steelyard.serve.escalation.wiring import decode, encode, wiring_of
from steelyard.serve.model import open_served
from steelyard.serve.table import Layout


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


# ------------------------------------------------------------------------------------------------------ breaker


def test_a_breaker_lets_one_call_try_after_each_pause_and_doubles_them(clock):
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.may_call()
        breaker.ended(well=False)
    pause = FIRST
    for _ in range(8):
        assert not breaker.may_call()
        clock.now += 0.99 * pause
        assert not breaker.may_call()
        clock.now += 0.02 * pause
        assert breaker.may_call()
        assert not breaker.may_call()
        breaker.ended(well=False)
        pause = min(2 * pause, LONGEST)
    clock.now += LONGEST
    assert breaker.may_call()
    breaker.ended(well=True)
    assert not breaker.is_open
    assert breaker.may_call()


def test_failures_that_are_not_in_a_row_open_nothing(clock):
    breaker = Breaker(clock)
    for _ in range(10 * FAILURES):
        for well in [False] * (FAILURES - 1) + [True]:
            assert breaker.may_call()
            breaker.ended(well=well)


# ------------------------------------------------------------------------------------------------------- budget


def test_a_share_is_kept_over_every_window(clock):
    allowance = Allowance(share=0.1, seconds=60.0, per_hour=None, clock=clock)
    granted = []
    for _ in range(3000):
        granted.append(allowance.take(1, 1)[0])
        clock.now += 0.1
    assert granted[0] == 1
    for start in range(0, 2400, 100):
        assert sum(granted[start : start + 600]) <= 0.1 * 600 + 11
    assert sum(granted) > 0.08 * 3000


def test_money_comes_back_after_an_hour_and_when_it_was_not_spent(clock):
    allowance = Allowance(share=None, seconds=60.0, per_hour=10, clock=clock)
    assert allowance.take(20, 20) == (10, "budget_money")
    allowance.give_back(4)
    assert allowance.take(20, 20)[0] == 4
    clock.now += 3000
    assert allowance.take(1, 1)[0] == 0
    clock.now += 700
    assert allowance.take(1, 1) == (1, "")


@pytest.mark.parametrize(("share", "granted"), [(0.0, 0), (1.0, 5)])
def test_a_share_of_nothing_grants_nothing_and_of_all_everything(clock, share, granted):
    assert Allowance(share=share, seconds=1.0, per_hour=None, clock=clock).take(5, 5)[0] == granted


# -------------------------------------------------------------------------------------------------------- watch


def run(watch, rate, requests, rows, seed):
    """Return after how many requests the watch raised an alarm, and on which side."""
    random = np.random.default_rng(seed)
    for number, unsure in enumerate(random.binomial(rows, rate, requests), 1):
        if side := watch.saw(rows, int(unsure)):
            return number, side
    return math.inf, None


@pytest.mark.parametrize("rate", [0.08, 0.1, 0.12])
@pytest.mark.parametrize("rows", [1, 20])
def test_no_alarm_within_the_promise_not_even_at_its_ends(rate, rows):
    assert [run(Watch(0.08, 0.12), rate, 10_000, rows, seed)[1] for seed in range(2)] == [None] * 2


@pytest.mark.parametrize(
    ("rate", "side", "most"), [(0.2, "above", 1500), (0.4, "above", 250), (0.03, "below", 2000), (0.0, "below", 900)]
)
def test_another_rate_is_noticed_soon_even_after_a_long_time_within_the_promise(rate, side, most):
    watch = Watch(0.08, 0.12)
    assert run(watch, 0.1, 30_000, 1, 0)[1] is None
    number, found = run(watch, rate, 10_000, 1, 1)
    assert (found, number <= most) == (side, True)


def test_an_alarm_is_logged_once_and_holds_for_a_while(clock, caplog):
    watch = Watch(0.08, 0.12, clock=clock)
    assert not watch.is_alarmed
    for _ in range(3000):
        watch.saw(1, 1)
    assert watch.is_alarmed
    assert watch.alarms["above"] > 10
    assert [record.getMessage() for record in caplog.records if "calibration promised" in record.getMessage()]
    assert len(caplog.records) == 1
    assert "100.0% of the last rows are unsure, above the 8.0 to 12.0%" in caplog.text
    clock.now += HOLDS
    assert not watch.is_alarmed


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.05), (0.9, 1.0), (0.0, 1.0)])
def test_a_promise_that_reaches_an_end_is_watched_on_the_other_side_alone(low, high):
    watch = Watch(low, high)
    for side, unsure, bound in (("above", 1, high < 1), ("below", 0, low > 0)):
        found = {watch.saw(1, unsure) for _ in range(5000)} - {None}
        assert found == ({side} if bound else set())


# ----------------------------------------------------------------------------------------------------- together


def test_what_waits_goes_along_with_the_next_call_and_what_is_given_up_does_not():
    calls, gate = [], asyncio.Event()

    async def work(jobs):
        calls.append(list(jobs))
        await gate.wait()
        return [2 * job for job in jobs]

    async def main():
        together = Together(work, size=lambda _: 1, most=3, at_once=1)
        first = asyncio.create_task(together.ask(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.create_task(together.ask(job)) for job in (2, 3, 4, 5, 6)]
        await asyncio.sleep(0)
        others[0].cancel()
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(first, *others[1:])
        await together.stop(1.0)
        return found

    assert asyncio.run(main()) == [2, 6, 8, 10, 12]
    assert calls == [[1], [3, 4, 5], [6]]


def test_work_that_fails_in_an_unforeseen_way_leaves_nobody_waiting(caplog):
    async def work(jobs):
        raise ZeroDivisionError

    async def main():
        together = Together(work, size=lambda _: 1, most=3, at_once=1)
        return await asyncio.wait_for(asyncio.gather(together.ask(1), together.ask(2)), 5)

    assert asyncio.run(main()) == [None, None]


def test_stopping_ends_work_that_does_not_end():
    async def main():
        together = Together(lambda _: asyncio.sleep(60), size=lambda _: 1, most=3, at_once=1)
        asking = asyncio.create_task(together.ask(1))
        await asyncio.sleep(0.01)
        await together.stop(0.01)
        return await asyncio.wait_for(asking, 5)

    assert asyncio.run(main()) is None


# --------------------------------------------------------------------------------------------------------- file


def changed(path, **parts):
    data = yaml.safe_load(path.read_text())
    for name, value in parts.items():
        *above, last = name.split("__")
        part = data
        for each in above:
            part = part[each]
        part[last] = value
    path.write_text(yaml.safe_dump(data))
    return path


def test_the_file_says_the_same_after_it_was_written(plan, cheap):
    path = plan(8000, budget={"share": 0.2, "money_per_hour": "5 USD"}, key_env="KEY")
    found = read_plan(path)
    check_plan(found, cheap, path)
    assert read_plan(path).to_yaml() == path.read_text()
    assert found.rows_per_hour == 500
    assert found.price.amount.as_tuple().exponent == -2


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"rule__at": 1.5}, "rule.at: Input should be less than or equal to 1"),
        ({"rule__measure": "odd"}, "rule.measure"),
        ({"budgets": {"share": 0.1}}, "did you mean 'budget'"),
        ({"budget": {"share": 2}}, "budget.share"),
        ({"budget": {"money_per_hour": "5 EUR"}}, "is in EUR, the price in USD"),
        ({"budget": {"money_per_hour": "0.001 USD"}}, "below the price of one row"),
        ({"remote__price": "-1 USD"}, "a price is 0 or more"),
        ({"remote__price": "cheap"}, "is not an amount of money"),
        ({"remote__url": "ftp://x"}, "is no address of a server"),
        ({"remote__timeout_ms": 0}, "remote.timeout_ms"),
        ({"person": {"price": "1 USD"}}, "name one last stage"),
        ({"escalation": 2}, "escalation: Input should be 1"),
        ({"bundle": "x"}, "bundle: String should match"),
    ],
)
def test_a_file_that_cannot_be_honoured_is_refused_with_every_problem(plan, parts, said):
    with pytest.raises(ServingRefused, match="cannot be honoured") as problem:
        read_plan(changed(plan(8000), **parts))
    assert said in str(problem.value)


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x00", "é".encode("latin-1")])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ServingRefused):
        read_plan(path)
    with pytest.raises(ServingRefused, match="cannot be read"):
        read_plan(tmp_path / "absent.yaml")


def test_a_file_for_another_bundle_is_refused_at_the_start(plan, world, launch):
    with pytest.raises(ServingRefused, match="calibrate again"):
        launch(world.strong, escalate=plan(8000))


def test_a_key_that_is_named_must_be_there(plan, world, launch, monkeypatch):
    monkeypatch.delenv("DEAR_KEY", raising=False)
    with pytest.raises(ServingRefused, match="DEAR_KEY is empty"):
        launch(world.weak, escalate=plan(8000, key_env="DEAR_KEY"))


def test_asking_a_server_without_httpx_names_the_extra_and_persons_need_none(plan, world, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'steelyard\[client\]'"):
        make_app(world.weak, Settings(no_keys=True, escalate=plan(8000)))
    make_app(world.weak, Settings(no_keys=True, escalate=plan())).close()


@pytest.mark.parametrize("database", ["absent/reviews.db", "escalation.yaml"])
def test_a_file_of_reviews_that_cannot_be_is_refused_at_the_start(plan, world, launch, database):
    with pytest.raises(ServingRefused, match="the reviews cannot be kept in"):
        launch(world.weak, escalate=plan(database=database))


# ------------------------------------------------------------------------------------------------------- wiring

TWO = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("no", "yes"))
LAYOUT = Layout(
    Schema(
        (
            Column(name="age", kind=Kind.NUMBER),
            Column(name="when", kind=Kind.TIME, notation="day/month/year"),
            Column(name="city", kind=Kind.CATEGORY),
        )
    )
)
SCORES = [{"name": "p", "datatype": "FP32", "shape": [-1, 2]}]


def said(inputs, outputs=SCORES, **parameters):
    return {
        "inputs": [{"name": n, "datatype": d, "shape": s} for n, d, s in inputs],
        "outputs": outputs,
        "parameters": parameters,
    }


COLUMNS = [("age", "FP32", [-1, 1]), ("when", "FP64", [-1, 1]), ("city", "BYTES", [-1, 1])]


def test_columns_are_said_as_the_other_server_reads_them():
    wiring = wiring_of(said(COLUMNS, classes=["yes", "no"]), LAYOUT, TWO)
    nan = math.nan
    table = LAYOUT.of_cells([{"age": 3.0, "when": 0.0, "city": "a"}, {"age": nan, "when": nan, "city": None}])
    found = encode(wiring, LAYOUT, table)
    assert found["age"].dtype == np.float32
    assert found["when"].ravel().tolist() == ["1970-01-01T00:00:00+00:00", ""]
    assert found["city"].ravel().tolist() == ["a", ""]
    answer = Inference(
        outputs={"p": np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)},
        model="m",
        version="",
        request_id="",
        parameters={},
    )
    assert decode(wiring, TWO, answer, 2).decided.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (said([*COLUMNS, ("income", "FP64", [-1, 1])]), "reads 'income'"),
        (said([("x", "FP32", [-1, 3])]), "reads 'x'"),
        (said(COLUMNS, classes=["a", "b"]), "knows the classes 'a', 'b'"),
        (said(COLUMNS, [{"name": "y", "datatype": "INT64", "shape": [-1]}]), "no output that is plainly"),
        (said(COLUMNS, [*SCORES, {"name": "q", "datatype": "FP32", "shape": [-1, 2]}]), "no output that is plainly"),
        ({}, "does not say what the inputs"),
        (said([]), "does not say what the inputs"),
    ],
)
def test_a_server_that_cannot_take_the_place_is_refused(metadata, sentence):
    with pytest.raises(ServerRefused, match=sentence):
        wiring_of(metadata, LAYOUT, TWO)


def test_one_block_of_numbers_is_recognised():
    layout = Layout(Schema((Column(name="a", kind=Kind.NUMBER), Column(name="b", kind=Kind.NUMBER))))
    wiring = wiring_of(said([("input-0", "FP32", [-1, 2])]), layout, TWO)
    found = encode(wiring, layout, layout.of_numbers(np.array([[1.0, 2.0]])))
    assert found["input-0"].tolist() == [[1.0, 2.0]]
    assert found["input-0"].dtype == np.float32


def test_a_served_cascade_says_which_member_answered(world, tmp_path, launch):
    from steelyard.bundle import About, Joined, write
    from steelyard.recipe import Combine

    folder, train = tmp_path / "cascade", world.cheap.recipe
    about = About(world.task, world.cheap.schema, Combine(lever="cascade", parents=(train, train)), "f", {})
    write(folder, Joined({"rule": "cascade", "measure": "margin", "at": 0.5}, (world.weak, world.strong)), about)
    rows = world.rows[:40]
    unsure = world.cheap.predict_proba(rows)
    unsure = np.sort(unsure, axis=1)[:, -1] - np.sort(unsure, axis=1)[:, -2] < 0.5
    server = launch(folder)
    found = server.post("/predict", json={"rows": rows}).json()["predictions"]
    assert [one["member"] for one in found] == unsure.astype(int).tolist()
    assert open_served("m", folder, threads=1).answer(
        open_served("m", folder, threads=1).layout.of_cells([world.cheap.cells(rows[0])])
    ).members.tolist() == [int(unsure[0])]
