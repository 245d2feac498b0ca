"""Load on real servers on the loopback: what is counted, and that nothing that happened to users is hidden."""

import asyncio
import math
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import uvloop

from steelyard.errors import RequestInvalid, ServerRefused, ServerUnreachable
from steelyard.load import Plan, Target, Way, at_rate, lateness, measure_ceiling, weakness, with_connections
from steelyard.load.processes import cpu_of, tree
from steelyard.load.responder import responder
from steelyard.load.run import Ceiling
from steelyard.load.timer import Timer

BODY = b'{"rows": [{"a": 1}]}'


def way_to(server, **settings):
    target = Target.parse(server.url)
    return Way(target=target, messages=[target.head("/predict", len(BODY)) + BODY], **settings)


def test_an_open_loop_sends_the_planned_requests_and_leaves_the_warm_up_out(server):
    plan = Plan(rate=100, seconds=1.5, warm_up=0.5)
    result = at_rate(way_to(server), plan)
    times = plan.arrivals()
    assert len(server.bodies) == len(times)
    assert set(server.bodies) == {BODY}
    assert result.requests == (times >= 0.5).sum()
    assert result.endings == {"200": result.requests}
    assert result.latency["p50"].value > 0
    assert result.to_json()["latency_ms"]["p50"]["unit"] == "ms"


def test_a_server_that_stands_still_for_a_second_is_charged_for_everyone_who_waits(server):
    server.freeze, server.freeze_at = 1.0, 100
    result = at_rate(way_to(server), Plan(rate=100, seconds=3, warm_up=0))
    assert result.latency["p99"].value > 700
    assert result.latency["p95"].value > 500  # a third of all arrive while it stands still
    assert result.failed == 0


def test_a_closed_loop_hides_it_which_is_why_it_is_not_the_usual_one(server):
    server.freeze, server.freeze_at = 1.0, 100
    server.delay = 0.002
    result = with_connections(way_to(server), Plan(rate=1, seconds=2.5, warm_up=0), 1)
    assert result.latency["p99"].value < 500
    assert math.isnan(result.asked)
    assert result.to_json()["asked_rps"] is None


def test_requests_are_sent_on_time_while_the_server_is_slow(server):
    server.delay = 0.1  # a worker that can do 10 a second is asked for 50
    result = at_rate(way_to(server, timeout=1.0), Plan(rate=50, seconds=1, warm_up=0))
    assert result.late < 500  # a closed loop would be seconds behind
    assert result.timeouts > 10
    assert result.latency["p95"].value == math.inf
    assert result.answered["p95"].value <= 1100
    assert result.rate < 15
    assert result.connections > 10


def test_what_waits_for_a_connection_waits_on_the_servers_account(server):
    server.delay = 0.02
    result = at_rate(way_to(server, most=2), Plan(rate=100, seconds=1, warm_up=0))
    assert result.connections == 2
    assert result.latency["p95"].value > 200


def test_errors_are_counted_by_status_and_flatter_nothing(server):
    server.status = 503
    result = at_rate(way_to(server), Plan(rate=50, seconds=0.5, warm_up=0))
    assert result.endings == {"503": result.requests}
    assert result.failed == result.requests
    assert result.rate == 0
    assert result.latency["p50"].value == math.inf


def test_a_server_that_closes_after_each_answer_loses_no_request(server):
    server.close = True
    result = at_rate(way_to(server), Plan(rate=100, seconds=0.5, warm_up=0))
    assert result.endings == {"200": result.requests}
    closed = with_connections(way_to(server), Plan(rate=1, seconds=0.3, warm_up=0), 3)
    assert set(closed.endings) == {"200"}
    assert closed.requests > 10


def test_a_server_that_drops_connections_shows_as_lost(server):
    server.silent = True
    result = at_rate(way_to(server, timeout=0.3), Plan(rate=20, seconds=0.5, warm_up=0))
    assert set(result.endings) <= {"timed out", "connection lost"}
    assert result.failed == result.requests


def test_a_server_that_goes_away_is_told_apart(server):
    async def scenario():
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, server.end)
        from steelyard.load.loops import open_loop

        server.close = True
        return await open_loop(way_to(server, timeout=1.0), Plan(rate=50, seconds=1, warm_up=0))

    log = asyncio.run(scenario()).log
    assert 200 in log.status
    assert -3 in log.status
    assert 0 not in log.status


def test_without_a_server_there_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    target = Target.parse(f"127.0.0.1:{port}")
    with pytest.raises(ServerUnreachable, match=f"http://127.0.0.1:{port} cannot be reached"):
        at_rate(Way(target=target, messages=[b"x"]), Plan(rate=1, seconds=1))
    with pytest.raises(ServerUnreachable, match="is the server running"):
        target.get("/v2")
    with pytest.raises(ServerUnreachable, match="is the server running"):
        target.probe(b"x")


def test_the_first_request_tells_what_is_wrong(server):
    way = way_to(server)
    way.target.probe(way.messages[0])
    server.status, server.reply = 401, {"error": "give a key"}
    with pytest.raises(ServerRefused, match=r"401: .*give a key.*STEELYARD_KEY"):
        way.target.probe(way.messages[0])
    server.status, server.reply = 400, {"error": "no column 'age'"}
    with pytest.raises(ServerRefused, match=r"400: .*no column 'age'"):
        way.target.probe(way.messages[0])


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://h:99999", "http://h/?a=1"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(RequestInvalid, match="no address"):
        Target.parse(url)


def test_addresses_keys_and_paths_stand_in_the_head():
    target = Target.parse("http://[::1]:81/base/", key="abc")
    head = target.head("/predict", 3, "X-One: 1").decode()
    assert head.startswith("POST /base/predict HTTP/1.1\r\nHost: [::1]:81\r\n")
    assert "X-One: 1\r\n" in head
    assert "Authorization: Bearer abc\r\n" in head
    assert head.endswith("Content-Length: 3\r\n\r\n")
    assert (Target.parse("https://h").port, Target.parse("h").port) == (443, 80)
    assert str(Target.parse("http://h:81/x")) == "http://h:81/x"
    with pytest.raises(RequestInvalid, match="header cannot carry"):
        Target.parse("http://h", key="a\r\nX: y")


def test_the_ceiling_is_measured_and_a_weak_generator_says_so(server):
    ceiling = measure_ceiling(way_to(server).messages)
    assert ceiling.rate > 300
    assert ceiling.per_core >= ceiling.rate * 0.5
    result = at_rate(way_to(server), Plan(rate=30, seconds=0.4, warm_up=0))
    assert weakness(result, Ceiling(rate=1e6, per_core=1e6)) is None
    assert "at most 40 requests/s" in weakness(result, Ceiling(rate=40.0, per_core=40.0))
    assert weakness(result, Ceiling(rate=1e6, per_core=1e6), capped=True) is not None
    assert lateness(result) is None or result.late > 1.0


def test_the_servers_time_per_request_is_read_from_its_process():
    with responder() as target:
        child = next(pid for pid in tree(os.getpid())[1:] if b"responder" in Path(f"/proc/{pid}/cmdline").read_bytes())
        message = target.head("/predict", len(BODY)) + BODY
        way = Way(target=target, messages=[message], pid=child)
        result = with_connections(way, Plan(rate=1, seconds=0.5, warm_up=0.1), 8)
    assert 0 < result.server_cpu.value < 1.0
    assert result.server_cpu.low < result.server_cpu.value < result.server_cpu.high


def test_processor_time_counts_work():
    before, start = cpu_of(os.getpid()), time.process_time()
    while time.process_time() - start < 0.1:
        np.ones(1000).sum()
    assert cpu_of(os.getpid()) - before >= 0.08
    with pytest.raises(RequestInvalid, match="no process 4194305"):
        cpu_of(4194305)


def test_the_timer_keeps_fractions_of_a_millisecond():
    async def wait():
        loop, late = asyncio.get_running_loop(), []
        timer, rung = Timer(loop), asyncio.Event()
        timer.ring = rung.set
        for _ in range(50):
            moment = time.monotonic() + 0.0015
            timer.set(moment)
            await rung.wait()
            rung.clear()
            late.append(time.monotonic() - moment)
        timer.close()
        return late

    late = uvloop.run(wait())
    assert min(late) >= 0
    assert np.quantile(late, 0.2) < 0.0005


def test_load_goes_through_tls_to_a_certificate_that_is_trusted(server, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    asked = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run([*asked, *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.wrap = lambda line: context.wrap_socket(line, server_side=True)
    target = Target.parse(server.url.replace("http:", "https:"), ca=str(cert))
    message = target.head("/predict", len(BODY)) + BODY
    target.probe(message)
    result = at_rate(Way(target=target, messages=[message]), Plan(rate=40, seconds=0.5, warm_up=0))
    assert result.endings == {"200": result.requests}
    with pytest.raises(ServerUnreachable, match="certificate"):
        Target.parse(str(target)).probe(message)
    with pytest.raises(RequestInvalid, match="no certificates"):
        Target.parse(str(target), ca=str(key))
