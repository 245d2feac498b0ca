"""The queue: what waits goes together, what is late or left is dropped, what is bad fails alone."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from steelyard.contracts import Answer
from steelyard.errors import BundleRefused
from steelyard.serve.batching import Batcher
from steelyard.serve.metrics import Metrics, ModelMetrics
from steelyard.serve.model import Pace
from steelyard.serve.table import Table


def asks(server, *rows):
    """Send requests at once, each from a thread of its own; return what will be their replies."""
    pool = ThreadPoolExecutor(max(1, len(rows)))
    futures = [pool.submit(server.post, "/predict", json={"rows": each}) for each in rows]
    pool.shutdown(wait=False)
    return futures


def until(condition, patience=10.0):
    waited = threading.Event()
    for _ in range(int(patience / 0.003)):
        if condition():
            return
        waited.wait(0.003)
    raise AssertionError("it did not come to pass")


def held(server, slow):
    """Hold the model while it answers a first request."""
    model = slow(server)
    first = asks(server, [{"age": 1}])
    assert model.entered.wait(10)
    return model, first


def test_what_waits_goes_together_up_to_the_batch(start, slow, opened):
    server = start(batch=8)
    model, first = held(server, slow)
    rest = asks(server, *[[{"age": i}] for i in range(12)])
    until(lambda: server.deployed.batcher.waiting == 12)
    model.gate.set()
    replies = [future.result().json()["predictions"][0]["probabilities"]["yes"] for future in rest]
    assert model.sizes == [1, 8, 4]
    np.testing.assert_allclose(replies, opened["numbers"].predict_proba({"age": range(12)})[:, 1], rtol=1e-6)
    assert first[0].result().status_code == 200


def test_a_full_queue_says_when_to_come_again(start, slow):
    server = start(queue=4, batch=4)
    model, first = held(server, slow)
    waiting = asks(server, [{"age": 1}] * 2, [{"age": 1}] * 2)
    until(lambda: server.deployed.batcher.waiting == 4)
    refused = server.post("/predict", json={"age": 1})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "queue is full" in refused.json()["error"]
    model.gate.set()
    assert [future.result().status_code for future in [*first, *waiting]] == [200] * 3
    assert server.post("/predict", json={"age": 1}).status_code == 200
    assert server.errors()["queue_full"] == 1


@pytest.mark.parametrize("way", ["setting", "header", "parameter"])
def test_what_waits_beyond_its_deadline_costs_no_work(start, slow, way):
    server = start(deadline_ms=30 if way == "setting" else 30_000)
    model, first = held(server, slow)
    inputs = [{"name": "age", "datatype": "FP64", "shape": [1], "data": [1]}]
    body = {"inputs": inputs} | ({"parameters": {"timeout": 30_000}} if way == "parameter" else {})
    headers = {"X-Deadline-Ms": "30"} if way == "header" else {}
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(server.post, "/v2/models/model/infer", json=body, headers=headers)
        until(lambda: server.deployed.batcher.waiting == 1)
        threading.Event().wait(0.06)
        model.gate.set()
        assert late.result().status_code == 503
    assert "deadline" in late.result().json()["error"]
    assert late.result().headers["retry-after"]
    assert first[0].result().status_code == 200
    assert model.sizes == [1]
    assert server.errors() == {"deadline": 1}


@pytest.mark.parametrize("header", ["0", "-1", "1.5", "soon", "9" * 30])
def test_a_deadline_that_is_none_is_refused(serving, header):
    reply = serving["numbers"].post("/predict", json={"age": 1}, headers={"X-Deadline-Ms": header})
    assert reply.status_code == 400


def test_one_bad_row_fails_alone(start, slow):
    server = start()
    model, first = held(server, slow)
    rest = asks(server, [{"age": 2}], [{"age": 1}, {"age": 1e300}], [{"age": 3}])
    until(lambda: server.deployed.batcher.waiting == 4)
    model.gate.set()
    assert [future.result().status_code for future in [*first, *rest]] == [200, 200, 400, 200]
    assert "row 1 (from 0) has no finite score" in rest[1].result().json()["error"]
    assert model.sizes[0:2] == [1, 4]
    assert sorted(model.sizes[2:]) == [1, 1, 2]


def test_a_client_that_left_costs_no_work(start, slow):
    server = start()
    model, first = held(server, slow)
    body = b'{"age": 5}'
    with socket.create_connection(("127.0.0.1", server.port)) as gone:
        gone.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        until(lambda: server.deployed.batcher.waiting == 1)
    stays = asks(server, [{"age": 6}, {"age": 7}])
    until(lambda: server.deployed.batcher.waiting == 3)
    threading.Event().wait(0.05)
    model.gate.set()
    assert [future.result().status_code for future in [*first, *stays]] == [200, 200]
    assert model.sizes == [1, 2]
    until(lambda: server.errors() == {"client_left": 1})


def test_a_model_that_fails_is_told_without_its_inside(start, slow):
    server = start()
    model = slow(server)
    model.gate.set()

    def fails(cells):
        raise BundleRefused("the graph failed: secret path of the graph")

    model.answer_cells = fails
    reply = server.post("/predict", json={"age": 1})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert server.errors() == {"model": 1}


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_nobody_foresaw_ends_every_request_and_not_the_server(start, inline, capsys):
    server = start()
    served = server.deployed.served
    real, served.pace = served.bundle, type(served.pace)(0.0, 0.0 if inline else 1.0)

    class Broken:
        def __getattr__(self, name):
            return getattr(real, name)

        def answer_cells(self, cells):
            raise ZeroDivisionError("secret")

    served.bundle = Broken()
    reply = server.post("/predict", json={"age": 1})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    served.bundle = real
    assert server.post("/predict", json={"age": 1}).status_code == 200


def test_a_delay_gathers_what_comes_apart(start, slow):
    server = start(max_delay_ms=300, batch=3)
    model = slow(server)
    model.gate.set()
    one = asks(server, [{"age": 1}])
    until(lambda: server.deployed.batcher.waiting == 1)
    two = asks(server, [{"age": 2}], [{"age": 3}])
    assert [future.result().status_code for future in [*one, *two]] == [200] * 3
    assert model.sizes == [3]


def test_a_delay_ends_for_one_alone(start, slow):
    server = start(max_delay_ms=30, batch=3)
    model = slow(server)
    model.gate.set()
    assert server.post("/predict", json={"age": 1}).status_code == 200
    assert server.post("/predict", json={"age": 1}).elapsed.total_seconds() >= 0.03
    assert model.sizes == [1, 1]


def test_requests_in_flight_finish_when_the_server_stops(start, slow):
    server = start()
    model, first = held(server, slow)
    more = asks(server, [{"age": 2}])
    until(lambda: server.deployed.batcher.waiting == 1)
    server.server.should_exit = True
    until(lambda: not server.server.servers or not server.server.servers[0].is_serving())
    model.gate.set()
    assert [future.result().status_code for future in [*first, *more]] == [200, 200]
    server.thread.join(10)
    assert not server.thread.is_alive()


def test_many_at_once_are_each_given_their_own_answer(start, opened):
    server = start("mixed")
    rows = [{"age": i, "when": 1e9 * i, "city": "ab"[i % 2], "note": "late " * (i % 5)} for i in range(120)]

    async def ask():
        import httpx

        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(base_url=str(server.client.base_url), limits=limits, timeout=30) as client:
            return await asyncio.gather(*(client.post("/predict", json=row) for row in rows))

    found = [reply.json()["predictions"][0]["probabilities"]["yes"] for reply in asyncio.run(ask())]
    np.testing.assert_allclose(found, opened["mixed"].predict_proba(rows)[:, 1], rtol=1e-6)
    assert server.deployed.metrics.batch_rows.count < 120


class Counting:
    """A model that takes long by its pace, and counts its batches."""

    name = "model"

    def __init__(self, seconds):
        self.pace, self.sizes = Pace(seconds, 0.0), []

    def answer(self, table):
        self.sizes.append(len(table))
        return Answer(np.zeros((len(table), 2)), np.zeros(len(table), int))


def trickled(seconds, *, turns=1, answered=64, first=0, **settings):
    """Ask for 20 rows, one after so many turns of the event loop, after some at once; return the batches' sizes."""
    model = Counting(seconds)
    batcher = Batcher(model, ModelMetrics(Metrics(), "model", "1"), **{"batch": 64, "queue": 64, **settings})
    batcher._answered = answered
    row = Table(np.zeros((1, 1)), np.empty((1, 0), object))

    def one():
        return asyncio.create_task(batcher.answer(row, wait=10.0, has_left=lambda: False))

    async def ask():
        await asyncio.gather(*(one() for _ in range(first)))
        asked = []
        for _ in range(20):
            asked.append(one())
            for _ in range(turns):
                await asyncio.sleep(0)
        await asyncio.gather(*asked)

    asyncio.run(ask())
    batcher.close()
    return model.sizes


def test_a_long_batch_waits_while_every_turn_brings_more():
    assert trickled(10.0) == [20]
    assert trickled(10.0, batch=8)[0] == 8


def test_a_batch_waits_for_nobody_when_no_more_come_or_its_patience_ends():
    assert trickled(0.002, turns=2000)[0] == 1
    assert len(trickled(10.0, gather=0.0)) > 1


def test_who_was_just_answered_is_waited_for():
    assert trickled(10.0, answered=0, first=20) == [20, 20]


def test_nobody_is_waited_for_who_was_not_just_answered():
    assert trickled(10.0, answered=1)[0] == 1


def test_a_short_batch_is_not_kept_waiting():
    assert len(trickled(0.0001)) > 5
