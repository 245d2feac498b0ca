"""Both clients against a real server: the same calls, the same answers, the same errors."""

import asyncio
import inspect
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import steelyard
from steelyard.client import AsyncClient, Client, Retries
from steelyard.errors import RequestInvalid, RowsRefused, ServerRefused, ServerUnreachable

QUICK = Retries(most=3, first=0.001, longest=0.01)


class Awaited:
    """The asynchronous client with the face of the synchronous one."""

    def __init__(self, *args, **settings):
        self._client = AsyncClient(*args, **settings)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        return lambda *args, **settings: self._loop.run_until_complete(getattr(self._client, name)(*args, **settings))


@pytest.fixture(params=[Client, Awaited], ids=["sync", "async"])
def connect(request):
    made = []

    def connect(*args, **settings):
        made.append(request.param(*args, **{"retries": QUICK, **settings}))
        return made[-1]

    yield connect
    for client in made:
        client.close()
        if isinstance(client, Awaited):
            client._loop.close()


def test_rows_are_predicted(server, connect):
    found = connect(server.url + "/", key="secret").predict([{"age": 3, "x": np.float32(0.5)}, {"age": None, "x": 1}])
    assert [p.label for p in found] == ["yes", "yes"]
    assert found[1].probabilities == {"no": 0.25, "yes": 0.75}
    assert found[0].details == {"stage": 1}
    assert (found.model, found.version, len(found)) == ("m", "abc", 2)
    path, headers, body = server.seen[0]
    assert path == "/predict"
    assert headers["Authorization"] == "Bearer secret"
    assert body == b'{"rows":[{"age":3,"x":0.5},{"age":null,"x":1}]}'


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tensors_go_in_and_come_out(server, connect, binary):
    inputs = {
        "f": np.array([[0.1, 2.5], [1e-300, -7.0]]),
        "h": np.array([1.5, 2.5], np.float32),
        "i": np.array([1, 2**40], np.int64),
        "s": np.array([["ab", "\u79f0"]]),
    }
    found = connect(server.url).infer("m", inputs, binary=binary, request_id="7")
    assert (found["f_out"] == inputs["f"] * 2).all()
    assert found["f_out"].dtype == np.float64
    assert found["f_out"].shape == (2, 2)
    assert found["h_out"].dtype == np.float32
    assert found["i_out"].tolist() == [2, 2**41]
    assert found["s_out"].tolist() == [["ba", "\u79f0"]]
    assert (found.model, found.version, found.request_id) == ("m", "1", "7")
    assert ("Inference-Header-Content-Length" in {k.title() for k in server.seen[0][1]}) is binary


def test_metadata_and_health(server, connect):
    client = connect(server.url)
    assert client.metadata()["name"] == "steelyard"
    assert client.metadata("m")["name"] == "m"
    assert client.metadata("m", version="2")["versions"] == ["2"]
    assert client.live()
    assert client.ready()
    assert client.ready("m")
    server.pages["/v2/health/ready"] = (200, {"ready": False})
    assert not client.ready()
    server.pages["/v2/health/ready"] = (503, {"error": "loading"})
    assert not client.ready()
    server.script.append((200, {}, b""))  # as Triton answers
    assert client.ready()
    assert not client.ready("other")


def test_a_server_that_is_not_there_is_neither_ready_nor_live_and_says_so(connect):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = connect(f"http://127.0.0.1:{port}")
    assert not client.ready()
    assert not client.live()
    with pytest.raises(ServerUnreachable, match=r"got no answer \(4 attempts\).*is the server running"):
        client.predict([{"a": 1}])


def test_a_busy_server_is_asked_again_when_it_says(server, connect):
    server.script += [(503, {"Retry-After": "0.2"}, b'{"error": "full"}'), (503, {}, b"")]
    start = time.monotonic()
    assert len(connect(server.url).predict([{"a": 1}])) == 1
    assert time.monotonic() - start >= 0.2
    assert len(server.seen) == 3


def test_a_server_that_stays_busy_is_given_up_on(server, connect):
    server.script += [(503, {}, b'{"error": "the queue is full"}')] * 9
    with pytest.raises(ServerUnreachable, match="503: the queue is full; try again later"):
        connect(server.url).predict([{"a": 1}])
    assert len(server.seen) == 4
    server.seen.clear()
    server.script[:] = [(503, {"Retry-After": "3600"}, b"")]
    with pytest.raises(ServerUnreachable):
        connect(server.url).predict([{"a": 1}])
    assert len(server.seen) == 1


def test_a_lost_connection_is_tried_again(server, connect):
    server.script += [(0, {}, b""), (0, {}, b"")]
    assert len(connect(server.url).predict([{"a": 1}])) == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500])
def test_a_refusal_is_never_asked_again_and_is_told_in_the_servers_words(server, connect, status):
    server.script.append((status, {"Retry-After": "0"}, b'{"error": "column \'age\' is missing"}'))
    with pytest.raises(ServerRefused, match=f"{status}: column 'age' is missing") as refused:
        connect(server.url).predict([{"a": 1}])
    assert len(server.seen) == 1
    assert ("give a key" in str(refused.value)) is (status == 401)


def test_a_server_that_takes_too_long_is_not_given_the_same_work_twice(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(ServerUnreachable, match="is the timeout long enough") as failed:
            client.predict([{"a": 1}])
        assert "attempts" not in str(failed.value)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"no json", {}),
        (b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [1]}]}', {}),
        (b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [1], "data": ["x"]}]}', {}),
        (b'{"outputs": [{"name": "a", "datatype": "FP9", "shape": [1], "data": [1]}]}', {}),
        (b'{"outputs": []}', {"Inference-Header-Content-Length": "99"}),
        (b'{"outputs": []}', {"Inference-Header-Content-Length": "x"}),
        (b'{"outputs": [{"name": "a"}]}', {}),
    ],
)
def test_answers_that_break_the_protocol_are_refused(server, connect, body, headers):
    server.script.append((200, headers, body))
    with pytest.raises(ServerRefused, match="server's"):
        connect(server.url).infer("m", {"a": [1.0]})


def test_answers_that_are_no_predictions_or_metadata_are_refused(server, connect):
    server.script += [(200, {}, b'{"predictions": 3}'), (200, {}, b"[]"), (200, {}, b"x")]
    client = connect(server.url)
    with pytest.raises(ServerRefused, match="holds no predictions"):
        client.predict([{"a": 1}])
    for _ in range(2):
        with pytest.raises(ServerRefused, match="metadata"):
            client.metadata()


@pytest.mark.parametrize(("rows", "said"), [([], "no rows"), ([3], "must be a mapping"), ([{"a": object()}], "JSON")])
def test_rows_that_cannot_be_sent_are_refused_before_they_are(server, connect, rows, said):
    with pytest.raises(RowsRefused, match=said):
        connect(server.url).predict(rows)
    assert not server.seen


@pytest.mark.parametrize(
    ("inputs", "binary", "said"),
    [
        ({}, True, "at least one input"),
        ({"c": np.array([1j])}, True, "complex128"),
        ({"h": np.array([1], np.float16)}, False, "binary=True"),
        ({"s": np.array([b"\xff", b"\xfe"], object)}, False, "no UTF-8"),
        ({"s": np.array(["a", 3], object)}, True, "one type"),
    ],
)
def test_tensors_that_cannot_be_sent_are_refused(server, connect, inputs, binary, said):
    with pytest.raises(RowsRefused, match=said):
        connect(server.url).infer("m", inputs, binary=binary)
    assert not server.seen


def test_settings_that_cannot_be_are_refused(connect):
    for settings, said in (({"timeout": 0}, "timeout"), ({"key": "a\nb"}, "header cannot carry")):
        with pytest.raises(RequestInvalid, match=said):
            connect("http://127.0.0.1:1", **settings)
    with pytest.raises(RequestInvalid, match="no address"):
        connect("127.0.0.1:8000")


def test_both_clients_have_the_same_calls():
    def calls(kind):
        return {
            name: inspect.signature(member)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert calls(Client) == calls(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)
    assert steelyard.Client is Client


def test_contexts_close_the_connections(server):
    with Client(server.url) as client:
        assert client.live()

    async def ask():
        async with AsyncClient(server.url) as client:
            return await asyncio.gather(*(client.predict([{"a": i}]) for i in range(5)))

    assert len(asyncio.run(ask())) == 5


def test_without_httpx_the_extra_is_named():
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "import steelyard\n"
        "from steelyard.errors import MissingExtra\n"
        "try:\n    steelyard.Client('http://127.0.0.1:1')\n"
        "except MissingExtra as problem:\n    print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "asking a server needs 'httpx': pip install 'steelyard[client]'\n"


def test_tensors_alone_need_no_httpx():
    code = "import sys, steelyard.client.tensors, steelyard.load; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
