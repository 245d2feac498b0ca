"""What a gRPC client may ask for has the same bounds as over HTTP, and ends in a status and a sentence."""

import asyncio
import logging
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from steelyard.errors import MissingExtra, ServingRefused
from steelyard.serve import Limits, Settings
from steelyard.serve.binding import bound
from steelyard.serve.grpc import GrpcServer

Code = grpc.StatusCode


@pytest.fixture
def good(request_of):
    return request_of([("age", "FP64", [1], "fp64_contents", [3])])


def test_a_message_that_is_too_long_is_refused_before_it_is_read(both, request_of, until):
    server, asker = both(limits=Limits(body_bytes=1000))
    request = request_of([("age", "FP64", [1000], "fp64_contents", [1.0] * 1000)])
    code, said = asker.fault("ModelInfer", request)
    assert (code, "1000" in said) == (Code.RESOURCE_EXHAUSTED, True)
    until(lambda: server.errors() in ({"malformed": 1}, {"client_left": 1}))  # the latter where the call was gone first


def test_a_call_without_a_message_is_refused_at_once(both):
    _, asker = both()
    call = asker.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer").future(iter([]), timeout=20)
    assert (call.code(), "no message" in call.details()) == (Code.INVALID_ARGUMENT, True)


def test_a_stream_whose_client_leaves_is_forgotten(both, good, until):
    server, asker = both()
    never = threading.Event()

    def requests():
        yield good
        never.wait(20)

    service = server.app.companions[0]._service
    answers = asker.stream(requests(), timeout=20)
    assert next(answers).infer_response.outputs
    assert service._streams == 1
    answers.cancel()
    until(lambda: service._streams == 0)
    never.set()
    assert asker.call("ServerLive").live


def test_too_many_rows_and_elements_are_refused(both, request_of):
    server, asker = both(limits=Limits(rows=2, elements=5))
    code, said = asker.fault("ModelInfer", request_of([("age", "FP64", [3], "fp64_contents", [1, 2, 3])]))
    assert (code, "split" in said) == (Code.RESOURCE_EXHAUSTED, True)
    code, said = asker.fault("ModelInfer", request_of([("age", "FP64", [6], "fp64_contents", [1] * 6)]))
    assert (code, "elements" in said) == (Code.RESOURCE_EXHAUSTED, True)
    assert server.errors() == {"too_large": 2}


def test_metadata_that_is_too_long_is_refused(both):
    _, asker = both(limits=Limits(header_bytes=2000))
    assert asker.fault("ServerLive", metadata=(("x", "y" * 4000),))[0] is Code.RESOURCE_EXHAUSTED
    assert asker.call("ServerLive").live


def test_compressed_messages_are_refused_as_they_unpack_without_bound(both, good):
    _, asker = both()
    ask = asker.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as caught:
        ask(good.SerializeToString() + b"\x1a\xe8\x07" + b"i" * 1000, timeout=20, compression=grpc.Compression.Gzip)
    assert caught.value.code() is Code.UNIMPLEMENTED


def test_the_deadline_of_the_call_is_how_long_it_waits(both, slow, good, until):
    server, asker = both()
    held = slow(server)
    first = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    second = asker.begin("ModelInfer", good, timeout=0.2)
    assert second.code() is Code.DEADLINE_EXCEEDED
    held.gate.set()
    assert first.result().outputs
    until(lambda: server.app.in_flight == 0)
    assert held.sizes == [1], "rows were computed that nobody waits for"


def test_a_deadline_in_the_metadata_ends_the_wait_with_a_sentence(both, slow, good):
    server, asker = both()
    held = slow(server)
    first = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    second = asker.begin("ModelInfer", good, timeout=20, metadata=(("x-deadline-ms", "50"),))
    time.sleep(0.15)
    held.gate.set()
    assert first.result().outputs
    assert second.code() is Code.DEADLINE_EXCEEDED
    assert "deadline" in second.details()


def test_a_client_that_leaves_takes_its_rows_along(both, slow, good, until):
    server, asker = both()
    held = slow(server)
    first = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    second = asker.begin("ModelInfer", good, timeout=20)
    until(lambda: server.deployed.batcher.waiting == 1)
    second.cancel()
    until(lambda: server.app.in_flight == 1)
    held.gate.set()
    assert first.result().outputs
    until(lambda: server.deployed.batcher.waiting == 0)
    assert held.sizes == [1]
    assert server.errors() == {"client_left": 1}


def test_what_waits_over_both_protocols_is_computed_together(both, slow, good, until):
    server, asker = both(batch=8)
    held = slow(server)
    first = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    with ThreadPoolExecutor(2) as pool:
        replies = [pool.submit(server.post, "/predict", json={"age": 3}) for _ in range(2)]
        calls = [asker.begin("ModelInfer", good, timeout=20) for _ in range(3)]
        until(lambda: server.deployed.batcher.waiting == 5)
        held.gate.set()
        assert [reply.result().status_code for reply in replies] == [200, 200]
    assert all(call.result().outputs for call in [first, *calls])
    assert held.sizes == [1, 5]


def test_a_full_queue_says_when_to_try_again(both, slow, good, until):
    server, asker = both(queue=1, batch=1)
    held = slow(server)
    calls = [asker.begin("ModelInfer", good, timeout=20)]
    assert held.entered.wait(10)
    calls.append(asker.begin("ModelInfer", good, timeout=20))
    until(lambda: server.deployed.batcher.waiting == 1)
    refused = asker.begin("ModelInfer", good, timeout=20)
    assert refused.code() is Code.UNAVAILABLE
    trailers = dict(refused.trailing_metadata())
    assert (trailers["retry-after"], trailers["grpc-retry-pushback-ms"]) == ("1", "1000")
    held.gate.set()
    assert all(call.result().outputs for call in calls)


def test_a_crowd_is_refused_before_its_messages_are_read(both, slow, good):
    server, asker = both(limits=Limits(in_flight=1))
    held = slow(server)
    first = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    refused = asker.begin("ModelInfer", good, timeout=20)
    assert (refused.code(), "worked on already" in refused.details()) == (Code.UNAVAILABLE, True)
    held.gate.set()
    assert first.result().outputs


def test_a_message_that_never_comes_ends_in_time(both):
    server, asker = both(limits=Limits(body_seconds=0.2))
    never, ended = threading.Event(), []

    def nothing():
        never.wait(20)
        yield b""

    ask = asker.channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
    call = ask.future(nothing(), timeout=20)
    ended.append(call.code())
    never.set()
    assert ended == [Code.DEADLINE_EXCEEDED]
    assert server.errors() == {"too_slow": 1}


def test_what_nobody_foresaw_tells_nothing_of_the_inside(both, good, caplog):
    server, asker = both()
    with caplog.at_level(logging.CRITICAL):
        server.deployed.served.layout = None  # a defect
        code, said = asker.fault("ModelInfer", good)
    assert code is Code.INTERNAL
    assert said == "the server failed; the operator finds the request by its id"
    assert server.errors() == {"internal": 1}


def test_a_stream_that_stands_still_does_not_hold_up_the_end(both, good):
    server, asker = both()
    never = threading.Event()

    def requests():
        yield good
        never.wait(20)

    answers = asker.stream(requests(), timeout=30)
    assert next(answers).infer_response.outputs
    began = time.monotonic()
    server.server.should_exit = True
    assert list(answers) == []
    server.thread.join(10)
    assert time.monotonic() - began < 5
    never.set()


def test_a_stream_that_stands_still_for_long_is_ended(both, good):
    _, asker = both(keep_alive_seconds=1)
    never = threading.Event()

    def requests():
        yield good
        never.wait(20)

    assert len(list(asker.stream(requests(), timeout=30))) == 1
    never.set()


def test_a_server_that_stops_answers_what_is_in_flight(both, slow, good, until):
    server, asker = both()
    held = slow(server)
    call = asker.begin("ModelInfer", good, timeout=20)
    assert held.entered.wait(10)
    server.server.should_exit = True
    until(lambda: not server.server.servers or not server.server.servers[0].is_serving())
    held.gate.set()
    assert call.result().outputs


@pytest.mark.parametrize("reuse", [False, True])
def test_a_port_that_a_stranger_has_is_refused_with_a_sentence(reuse):
    with socket.socket() as stranger:
        if reuse:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(ServingRefused, match="name another --host or --grpc-port"):
            bound("127.0.0.1", port, "--grpc-port")


def test_a_port_that_is_taken_meanwhile_is_refused_with_a_sentence(start):
    app = start().app
    with socket.socket() as bound, socket.socket() as stranger:
        for each in (bound, stranger):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        stranger.bind(bound.getsockname())
        stranger.listen()

        async def begin():
            await GrpcServer(app, bound).start()

        with pytest.raises(ServingRefused, match="another --grpc-port"):
            asyncio.run(begin())


def test_workers_share_a_port_when_they_are_told_to(start):
    app = start().app

    async def begin():
        with socket.socket() as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", 0))
            workers = [GrpcServer(app, bound, shared=True) for _ in range(2)]
            for worker in workers:
                await worker.start()
            async with grpc.aio.insecure_channel(workers[0].address) as channel:
                assert await channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"") == b"\x08\x01"
            for worker in workers:
                await worker.stop(1)

    asyncio.run(begin())


@pytest.mark.parametrize("problem", [{"grpc_port": 70000}, {"port": 9, "grpc_port": 9}])
def test_a_port_that_cannot_be_is_refused(problem):
    with pytest.raises(ServingRefused, match="grpc"):
        Settings(no_keys=True, **problem)


def test_without_the_extra_a_sentence_names_it(monkeypatch, start):
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(MissingExtra, match=r"pip install 'steelyard\[grpc\]'"):
            GrpcServer(start().app, bound)


def test_tls_with_the_certificate_of_http(both, tmp_path, good):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    _, plain = both(certfile=cert, keyfile=key)
    address = plain.address
    secure = type(plain)(address, grpc.ssl_channel_credentials(cert.read_bytes()))
    assert secure.call("ModelInfer", good).outputs
    assert plain.fault("ServerLive", timeout=5)[0] is Code.UNAVAILABLE
    secure.close()
