"""Clients that send slowly, never read, or nest deeply cost themselves alone."""

import contextlib
import json
import socket
import ssl
import subprocess
import time

import pytest

from steelyard.serve import Limits

ROWS = json.dumps({"rows": [{"age": 1}] * 3000}).encode()
ASK = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(ROWS)


def closed(server, cause):
    """Return how many connections the server closed for a cause."""
    line = f'steelyard_connections_closed_total{{cause="{cause}"}} '
    return sum(int(each.removeprefix(line)) for each in server.get("/metrics").text.splitlines() if line in each)


def becomes(condition, patience=10.0):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@pytest.mark.parametrize("more", [b"\r\n", b"Connection: close\r\n\r\n"])
def test_a_client_that_never_reads_its_answers_is_given_up(start, more):
    server = start(limits=Limits(write_seconds=0.3))
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what is accepted has it too
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.settimeout(10)
        try:
            for _ in range(40):
                deaf.sendall(ASK + more + ROWS)
        except OSError:  # it was given up while it sent
            pass
        becomes(lambda: closed(server, "not_read") == 1)
        becomes(lambda: len(server.server.server_state.connections) == 1)
    becomes(lambda: server.app.in_flight == 0)
    assert server.post("/predict", json={"age": 1}).status_code == 200


def test_a_client_that_reads_late_but_reads_is_served(start):
    server = start(limits=Limits(write_seconds=5))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.settimeout(10)
        slow.sendall(ASK + b"Connection: close\r\n\r\n" + ROWS)
        time.sleep(0.3)
        answer = b""
        while part := slow.recv(65536):
            answer += part
    assert answer.count(b'"label"') == 3000
    assert closed(server, "not_read") == 0


def test_what_a_silent_client_has_not_taken_when_its_time_is_over_is_thrown_away(start):
    server = start(limits=Limits(write_seconds=60), keep_alive_seconds=1)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what is accepted has it too
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(ASK + b"\r\n" + ROWS)
        becomes(lambda: closed(server, "not_read") == 1)
        becomes(lambda: len(server.server.server_state.connections) == 1)


def test_two_hundred_clients_that_trickle_leave_the_others_as_quick_as_before(start):
    server = start(limits=Limits(header_seconds=5.0))

    def median():
        took = []
        for _ in range(30):
            began = time.perf_counter()
            assert server.post("/predict", json={"age": 1}).status_code == 200
            took.append(time.perf_counter() - began)
        return sorted(took)[15]

    alone = median()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(200)]
        for letter in (b"P", b"O", b"S", b"T", b" "):
            for place in slow:
                place.sendall(letter)
            assert median() < 5 * alone + 0.02
        for place in slow:
            place.settimeout(10)
            assert place.recv(1) == b""
    assert closed(server, "slow_headers") == 200


def test_two_hundred_clients_that_never_begin_with_tls_are_closed_and_hold_up_nobody(start, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    server = start(certfile=cert, keyfile=key, limits=Limits(header_seconds=1.0))
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    began = time.monotonic()
    trusting = ssl.create_default_context(cafile=cert)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000).endswith(b"\r\n\r\n") or connection.recv(1000)
    assert time.monotonic() - began < 1
    for place in silent:
        place.settimeout(10)
        assert place.recv(1) == b""
        place.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"rows": [{"age": 1}], "more": ' + b"[" * 31 + b"]" * 31 + b"}", 200),
        (b'{"rows": [{"age": 1}], "more": ' + b"[" * 32 + b"]" * 32 + b"}", 400),
        (b'{"rows": [{"age": 1}], "more": ' + b'{"a":' * 32 + b"1" + b"}" * 32 + b"}", 400),
        (b'{"rows": [{"age": 1}], "more": ' + b'["]",' * 32 + b"1" + b"]" * 32 + b"}", 400),
        (b'{"rows": [{"age": 1}], "more": ' + b'["\\"]",' * 32 + b"1" + b"]" * 32 + b"}", 400),
        (b'{"rows": [{"age": 1}], "more": "' + b"[" * 100 + b'\\""}', 200),
        (b'{"rows": [{"age": 1}], "more": [' + b"[[],{}]," * 100 + b"1]}", 200),
    ],
)
def test_json_that_is_nested_too_deeply_is_refused(serving, body, status):
    reply = serving["numbers"].post("/predict", content=body)
    assert reply.status_code == status, reply.text
    if status == 400:
        assert "nested deeper than 32 levels" in reply.json()["error"]


def test_the_depth_is_that_of_a_tensors_data_too(serving):
    data = 1
    for _ in range(40):
        data = [data]
    inputs = [{"name": "age", "datatype": "FP64", "shape": [1], "data": data}]
    reply = serving["numbers"].post("/v2/models/model/infer", json={"inputs": inputs})
    assert (reply.status_code, "nested deeper" in reply.text) == (400, True)
