"""Spans of OpenTelemetry: what a request did, under the parent that its client named, sent by OTLP."""

import gzip
import http.server
import importlib.util
import sys
import threading
import time
from pathlib import Path

import pytest

from steelyard.errors import MissingExtra, ServingRefused
from steelyard.serve import Settings, make_app
from steelyard.serve.tracing import Tracing

pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).with_name("conftest.py"))
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)
until = _servers.until
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def traced(start, spans, monkeypatch):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(Tracing, "from_environment", classmethod(lambda cls: cls(provider)))
    return lambda name="numbers", **settings: start(name, traces=True, **settings)


def by_name(spans):
    """Return spans by name once that of a request has ended, which is after its answer was sent."""
    until(lambda: any(span.kind.name == "SERVER" for span in spans.get_finished_spans()))
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_request_has_a_span_with_children_for_queue_and_compute_under_the_clients(traced, spans):
    server = traced()
    headers = {"traceparent": PARENT, "tracestate": "a=b", "X-Request-Id": "r-1"}
    assert server.post("/predict?secret=1", json={"age": 3}, headers=headers).status_code == 200
    found = by_name(spans)
    assert set(found) == {"POST /predict", "queue", "compute"}
    request = found["POST /predict"]
    assert (request.context.trace_id, request.parent.span_id, request.kind.name) == (TRACE, SPAN, "SERVER")
    assert request.context.trace_state.get("a") == "b"
    for child in (found["queue"], found["compute"]):
        assert child.parent.span_id == request.context.span_id
        assert request.start_time <= child.start_time <= child.end_time <= request.end_time
        assert child.attributes["steelyard.model"] == "model"
    assert found["queue"].end_time <= found["compute"].start_time + 1000
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": ("r-1",),
        "url.path": "/predict",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    assert request.status.status_code.name == "UNSET"


def test_time_in_the_queue_and_in_the_model_is_told_apart(traced, spans, slow):
    server = traced()
    gate = slow(server)
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(server.post("/predict", json={"age": 1}).status_code))
        for _ in range(2)
    ]
    threads[0].start()
    assert gate.entered.wait(10)
    threads[1].start()
    while not server.deployed.batcher.waiting:
        pass
    threading.Event().wait(0.2)
    gate.gate.set()
    for thread in threads:
        thread.join()
    assert replies == [200, 200]
    until(lambda: len(spans.get_finished_spans()) == 6)
    seconds = {
        name: sorted((s.end_time - s.start_time) / 1e9 for s in spans.get_finished_spans() if s.name == name)
        for name in ("queue", "compute")
    }
    assert seconds["compute"][1] > 0.19
    assert seconds["queue"][1] > 0.19
    assert seconds["queue"][0] < 0.15


def test_a_route_is_a_template_and_a_path_of_nobodys_is_none(traced, spans):
    server = traced()
    server.get("/v2/models/model/versions/1/ready")
    server.get("/wp-login.php")
    server.get("/v2/health/live")
    server.get("/metrics")
    until(lambda: len(spans.get_finished_spans()) == 2)
    names = {span.name: span.attributes["http.response.status_code"] for span in spans.get_finished_spans()}
    assert names == {"GET /v2/models/{model}/versions/{version}/ready": 200, "GET": 404}


def test_a_failure_of_the_server_is_marked_and_one_of_the_client_is_not(traced, spans):
    server = traced()
    server.post("/predict", json={})
    assert by_name(spans)["POST /predict"].status.status_code.name == "UNSET"
    spans.clear()
    server.app.in_flight = 10_000
    assert server.post("/predict", json={"age": 1}).status_code == 503
    server.app.in_flight = 0
    found = by_name(spans)["POST /predict"]
    assert (found.status.status_code.name, found.attributes["error.type"]) == ("ERROR", "503")


@pytest.mark.parametrize("parent", ["", "00-zz-zz-01", "x" * 5000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_parent_is_as_good_as_none(traced, spans, parent):
    server = traced()
    assert server.post("/predict", json={"age": 1}, headers={"traceparent": parent}).status_code == 200
    assert by_name(spans)["POST /predict"].parent is None


def test_a_parent_that_is_not_sampled_has_no_spans(traced, spans):
    server = traced()
    server.post("/predict", json={"age": 1}, headers={"traceparent": f"00-{'b' * 32}-{'c' * 16}-00"})
    server.post("/predict", json={"age": 1}, headers={"traceparent": PARENT})
    until(lambda: len(spans.get_finished_spans()) == 3)
    assert {span.context.trace_id for span in spans.get_finished_spans()} == {TRACE}


class Receiver(http.server.BaseHTTPRequestHandler):
    """A collector that keeps what it is sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        is_packed = self.headers.get("content-encoding") == "gzip"
        self.server.got.append((self.path, gzip.decompress(body) if is_packed else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass


def test_spans_are_sent_by_otlp_as_the_environment_says_and_the_last_before_the_end(folders, monkeypatch):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    receiver.got = []
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "scales")
    server = _servers.Server(make_app(folders["numbers"], Settings(no_keys=True, traces=True)))
    server.post("/predict", json={"age": 1}, headers={"traceparent": PARENT})
    server.close()
    receiver.shutdown()
    receiver.server_close()
    names = set()
    for path, body in receiver.got:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert told["service.name"] == "scales"
            for scope in resource.scope_spans:
                assert {span.trace_id.hex() for span in scope.spans} == {f"{TRACE:032x}"}
                names |= {span.name for span in scope.spans}
    assert names == {"POST /predict", "queue", "compute"}


def test_a_collector_that_is_gone_fails_no_request_and_holds_up_no_end(folders, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    server = _servers.Server(make_app(folders["numbers"], Settings(no_keys=True, traces=True, grace_seconds=1)))
    assert server.post("/predict", json={"age": 1}).status_code == 200
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 5


def test_without_the_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"pip install 'steelyard\[otel\]'"):
        Tracing.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_the_environment_asks_for_and_cannot_be_had_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ServingRefused, match=f"{name} must be"):
        Tracing.from_environment()


def test_without_traces_the_application_is_served_as_it_is(serving):
    server = serving["numbers"]
    assert server.app.tracing is None
    assert server.server.config.app is server.app
