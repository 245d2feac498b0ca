"""Servers that answer gRPC besides, and a client of the protocol's messages without generated code."""

import importlib.util
import socket
from pathlib import Path

import grpc
import pytest

from steelyard.serve import Settings, make_app
from steelyard.serve.grpc import GrpcServer
from steelyard.serve.grpc.calls import CALLS
from steelyard.serve.grpc.messages import SERVICE, message

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).parents[1] / "conftest.py")
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)
Server = _servers.Server


class Asker:
    """Calls of the protocol by name over one connection, in messages of this package."""

    def __init__(self, address, credentials=None, options=()):
        self.address, secure = address, credentials is not None
        self.channel = (
            grpc.secure_channel(address, credentials, options) if secure else grpc.insecure_channel(address, options)
        )

    def call(self, name, /, request=None, *, raw=None, timeout=20, metadata=(), **fields):
        """Return the answer; ``raw`` sends bytes as they are."""
        made = CALLS[name].takes(**fields) if request is None else request
        ask = self.channel.unary_unary(
            f"/{SERVICE}/{name}", response_deserializer=message(f"{name}Response").FromString
        )
        return ask(made.SerializeToString() if raw is None else raw, timeout=timeout, metadata=metadata)

    def fault(self, name, /, *given, **more):
        """Return the code and the sentence of a call that is refused."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(name, *given, **more)
        return caught.value.code(), caught.value.details()

    def begin(self, name, request, **more):
        """Return a call that is under way."""
        ask = self.channel.unary_unary(
            f"/{SERVICE}/{name}", response_deserializer=message(f"{name}Response").FromString
        )
        return ask.future(request if isinstance(request, bytes) else request.SerializeToString(), **more)

    def stream(self, requests, **more):
        """Return what a stream of requests answers, one by one."""
        ask = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer", response_deserializer=message("ModelStreamInferResponse").FromString
        )
        return ask((each if isinstance(each, bytes) else each.SerializeToString() for each in requests), **more)

    def close(self):
        self.channel.close()


def beside(app):
    """Have an application answer gRPC as well; return the port."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    app.companions.append(GrpcServer(app, bound))
    app.grpc_socket = bound
    return bound.getsockname()[1]


@pytest.fixture
def both(start):
    """Return a function that starts a server of a bundle which answers gRPC too, and gives it with one that asks."""
    askers, sockets = [], []

    def started(name="numbers", options=(), **settings):
        ports = []
        server = start(name, before=lambda app: ports.append(beside(app)), **settings)
        sockets.append(server.app.grpc_socket)
        askers.append(Asker(f"127.0.0.1:{ports[0]}", options=options))
        return server, askers[-1]

    yield started
    for asker in askers:
        asker.close()
    for bound in sockets:
        bound.close()


@pytest.fixture(scope="session")
def asking(folders):
    """A server of each of some bundles with one that asks it, by name; not to be changed."""
    running = {}
    for name in ("numbers", "two", "mixed", "regression"):
        app = make_app(folders[name], Settings(no_keys=True))
        port = beside(app)
        running[name] = Server(app), Asker(f"127.0.0.1:{port}")
    yield running
    for server, asker in running.values():
        asker.close()
        server.close()
        server.app.grpc_socket.close()


def infer_request(data, *, raw=None, model="model", **more):
    """Return a request: ``data`` is (name, datatype, shape, field, values) of each input."""
    inputs = []
    for name, datatype, shape, field, values in data:
        one = {"name": name, "datatype": datatype, "shape": shape}
        inputs.append(one if field is None else {**one, "contents": {field: values}})
    return message("ModelInferRequest")(model_name=model, inputs=inputs, raw_input_contents=raw or (), **more)


@pytest.fixture
def request_of():
    """Return what makes requests."""
    return infer_request


@pytest.fixture(name="until")
def fixture_until():
    """Return what waits until something is true."""
    return _servers.until
