"""What a stranger may send is bounded, and going over a bound is the stranger's fault."""

import json
import socket
import ssl
import subprocess
import time

import httpx
import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import Limits, Settings
from steelyard.serve.binding import allow_files, bound
from steelyard.serve.server import _config

INFER = "/v2/models/model/infer"


def post(size, *, headers="", path="/predict"):
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{headers}\r\n".encode()


def status_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert list(json.loads(body)) == ["error"]
    return int(head.split()[1])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused_and_the_connection_closed(start, chunked):
    server = start(limits=Limits(body_bytes=1000))
    body = b" " * 1001

    def parts():
        yield body[:600]
        yield body[600:]

    reply = server.post("/predict", content=parts() if chunked else body)
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"
    exactly = b'{"age": 1' + b" " * 990 + b"}"
    assert server.post("/predict", content=exactly).status_code == 200


def test_a_promised_body_is_refused_before_it_is_sent(start):
    server = start(limits=Limits(body_bytes=1000))
    assert status_of(server.raw(post(10**15))) == 413


def test_a_body_that_does_not_arrive_is_given_up(start):
    server = start(limits=Limits(body_seconds=0.1))
    assert status_of(server.raw(post(10) + b"{")) == 408
    assert server.errors() == {"too_slow": 1}


@pytest.mark.parametrize("sent", [b"", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n", b"GET"])
def test_headers_that_do_not_arrive_are_given_up(start, sent):
    server = start(limits=Limits(header_seconds=0.1))
    began = time.monotonic()
    assert server.raw(sent) == b""
    assert time.monotonic() - began < 5


def test_headers_of_a_second_request_are_given_up_too(start):
    server = start(limits=Limits(header_seconds=0.1))
    answer = server.raw(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v2 HTTP/1.1\r\nHo")
    assert answer.endswith(b'{"live":true}')


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 3000 + b"\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 3000,
        b"GET /v2/" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)
def test_headers_that_are_too_long_are_refused(start, head):
    server = start(limits=Limits(header_bytes=2000))
    assert status_of(server.raw(head)) == 431


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x00\xf4", b"HELLO\r\n\r\n", b"GET \xff\xfe HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_refused(serving, sent):
    assert status_of(serving["numbers"].raw(sent)) == 400


def test_one_connection_too_many_is_closed(start):
    server = start(limits=Limits(connections=2))
    places = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    places[2].settimeout(5)
    assert places[2].recv(1) == b""
    for place in places:
        place.close()


def test_many_slow_clients_do_not_hold_up_others(start):
    server = start()
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for place in slow:
        place.sendall(b"POST /predict HTTP/1.1\r\nHo")
    began = time.monotonic()
    assert server.post("/predict", json={"age": 1}).status_code == 200
    assert time.monotonic() - began < 1
    for place in slow:
        place.close()


def test_one_request_too_many_in_flight_is_told_to_come_again(start):
    server = start(limits=Limits(in_flight=1))
    with socket.create_connection(("127.0.0.1", server.port)) as held:
        held.sendall(post(100))
        while not server.app.in_flight:
            time.sleep(0.003)
        refused = server.post("/predict", json={"age": 1})
        assert (refused.status_code, server.get("/v2/health/live").status_code) == (503, 200)
        assert refused.headers["retry-after"]
    while server.app.in_flight:
        time.sleep(0.003)
    assert server.post("/predict", json={"age": 1}).status_code == 200
    assert server.errors() == {"crowd": 1, "client_left": 1}


def test_rows_and_elements_are_counted_before_they_are_made(start):
    server = start("two", limits=Limits(rows=5, elements=20))
    rows = [{"age": 1, "unused": 2}] * 6
    assert server.post("/predict", json={"rows": rows[:5]}).status_code == 200
    assert server.post("/predict", json={"rows": rows}).status_code == 413
    block = {"name": "rows", "datatype": "FP64"}
    for shape in ([6, 2], [11, 2], [2**62, 2**62]):
        assert server.post(INFER, json={"inputs": [{**block, "shape": shape, "data": [1] * 12}]}).status_code == 413
    assert server.post(INFER, json={"inputs": [{**block, "shape": [5, 2], "data": [1] * 10}]}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'{"age": NaN}',
        b'{"age": 1e999}',
        b'{"age": "\\ud800"}',
        b'{"age": "\xff"}',
        b'{"age": ' + b"[" * 100_000,
        b'{"age": [1]}',
        b'{"age": {"x": 1}}',
        b'{"rows": []}',
        b'{"rows": [3]}',
        b'{"rows": {"age": 1}}',
        b'{"rows": [{"age": 1}, {}]}',
        b'{"rows": [{"age": 1}, {"age": "about ten"}]}',
        b'{"rows": [{"age": [1]}]}',
        b"{}",
        b'{"aeg": 1}',
        b'{"age": "about ten"}',
    ],
)
def test_rows_that_cannot_be_read_are_the_clients_fault(serving, body):
    reply = serving["numbers"].post("/predict", content=body)
    assert reply.status_code == 400, reply.text
    assert list(reply.json()) == ["error"]
    assert len(reply.json()["error"]) < 500
    if b"about" in body:
        assert f"row {int(b'rows' in body)} (from 0)" in reply.json()["error"]
        assert "about ten" in reply.json()["error"]


@pytest.mark.parametrize("photo", ["/etc/passwd", "a.zip::b", "", None, 3, "AAAA", "SGVsbG8="])
def test_an_image_is_never_a_path(serving, photo):
    reply = serving["image"].post("/predict", json={"photo": photo})
    assert reply.status_code == 400
    inputs = [{"name": "photo", "datatype": "BYTES", "shape": [1], "data": [photo]}]
    assert serving["image"].post(INFER, json={"inputs": inputs}).status_code == 400


def test_a_compressed_body_is_refused(serving):
    reply = serving["numbers"].post("/predict", content=b"x", headers={"Content-Encoding": "gzip"})
    assert reply.status_code == 415


def test_a_port_that_is_taken_is_named(serving):
    with pytest.raises(ServingRefused, match="name another --host or --port"):
        bound("127.0.0.1", serving["numbers"].port)
    with pytest.raises(ServingRefused, match="cannot listen"):
        bound("no.such.host.invalid", 0)


def test_a_certificate_is_used_and_a_wrong_one_refused(tmp_path, start):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ServingRefused, match="cannot be used"):
        Settings(no_keys=True, certfile=key, keyfile=cert)
    server = start(certfile=cert, keyfile=key)
    config = _config(server.app)
    config.load()
    assert isinstance(config.ssl, ssl.SSLContext)
    with httpx.Client(verify=ssl.create_default_context(cafile=cert)) as client:
        assert client.get(f"https://127.0.0.1:{server.port}/v2/health/live").status_code == 200


def test_more_connections_than_files_are_refused():
    with pytest.raises(ServingRefused, match="ulimit -n"):
        allow_files(10**9)
    allow_files(10)


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_a_client_that_asks_before_it_sends_is_told_to_go_on(start, size):
    server = start()
    body = b'{"age": 1' + b" " * size + b"}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(post(len(body), headers="Expect: 100-continue\r\n"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_a_body_may_come_in_pieces(start):
    server = start()
    body = b'{"age": 1}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for piece in (post(len(body)), body[:4], body[4:]):
            connection.sendall(piece)
            time.sleep(0.03)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_requests_sent_ahead_are_answered_in_order(start):
    server = start()
    bodies = [b'{"age": %d}' % age for age in range(5)] + [b"{"]
    sent = b"".join(post(len(body)) + body for body in bodies) + b"GET /docs HTTP/1.0\r\n\r\n"
    answer = server.raw(sent)
    assert [int(part.split()[0]) for part in answer.split(b"HTTP/1.1")[1:]] == [200] * 5 + [400, 200]


def test_long_bodies_in_reading_have_room_together(start):
    server = start(limits=Limits(body_bytes=10**6, held_bytes=10**6))
    long = b'{"age": 1' + b" " * 600_000 + b"}"
    with socket.create_connection(("127.0.0.1", server.port)) as held:
        held.sendall(post(len(long)) + long[:1000])
        while not server.app._held:
            time.sleep(0.003)
        refused = server.post("/predict", content=long)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert server.post("/predict", json={"age": 1}).status_code == 200
    while server.app._held:
        time.sleep(0.003)
    assert server.post("/predict", content=long).status_code == 200
    assert server.errors() == {"memory": 1, "client_left": 1}
