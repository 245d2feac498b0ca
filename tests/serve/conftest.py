"""Servers of small bundles on real sockets, in a thread with an event loop of its own."""

import contextlib
import importlib.util
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from steelyard.bundle import load
from steelyard.serve import Settings, make_app
from steelyard.serve.server import Server as WebServer

_spec = importlib.util.spec_from_file_location(
    "bundles_for_serving", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)

KINDS = ("numbers", "mixed", "image", "regression", "blend")
ROW = {"age": 33.0, "when": "2011-01-31", "city": "a", "note": "the parcel is late"}


@pytest.fixture(scope="session")
def maker():
    return _bundles.Maker()


@pytest.fixture(scope="session")
def folders(maker, tmp_path_factory):
    """One bundle of each kind, by name."""
    home = tmp_path_factory.mktemp("served")
    first, second = maker.write(home / "numbers"), maker.write(home / "mixed", maker.mixed())
    return {
        "numbers": first,
        "two": maker.write(home / "two", maker.artefact(("age", "unused"))),
        "mixed": second,
        "image": maker.write(home / "image", maker.image()),
        "regression": maker.write(home / "regression", maker.artefact(width=1, end="Identity"), _bundles.PRICE),
        "blend": maker.joined(home / "blend", {"rule": "blend", "weights": [1, 3]}, first, second),
    }


@pytest.fixture(scope="session")
def opened(folders):
    return {name: load(folder) for name, folder in folders.items()}


class Server:
    """A server in a thread; ``app`` may be looked at and changed."""

    def __init__(self, app):
        self.app = app
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = WebServer(app)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        self.get, self.post = self.client.get, self.client.post

    @property
    def deployed(self):
        return self.app.repository.only.stable

    def raw(self, sent, wait=10):
        """Send bytes over a connection of its own and return what comes back until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(sent)
            parts = []
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    parts.append(part)
        return b"".join(parts)

    def errors(self):
        return {cause: count.value for (cause,), count in self.app.metrics.errors.items()}

    def close(self):
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.socket.close()
        self.app.close()


@pytest.fixture
def start(folders):
    """Return a function that starts a server of a bundle; all are stopped in the end.

    ``before`` is called with the application before it serves.
    """
    running = []

    def started(name="numbers", before=None, **settings):
        app = make_app(folders[name], replace(Settings(no_keys=not settings.get("keys")), **settings))
        if before is not None:
            before(app)
        server = Server(app)
        running.append(server)
        return server

    yield started
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def serving(folders):
    """One server of each kind, by name, with keys off; not to be changed."""
    running = {
        name: Server(make_app(folder, Settings(no_keys=True, repository=True))) for name, folder in folders.items()
    }
    yield running
    for server in running.values():
        server.close()


class Slow:
    """Stands before a model: counts its batches, and holds each until it is let go."""

    def __init__(self, server):
        self.served = server.deployed.served
        self.sizes, self.gate, self.entered = [], threading.Event(), threading.Event()
        self.real = self.served.bundle
        self.served.bundle = self
        self.served.pace = type(self.served.pace)(1.0, 1.0)  # never on the event loop

    def __getattr__(self, name):
        return getattr(self.real, name)

    def _wait(self, rows):
        self.sizes.append(rows)
        self.entered.set()
        assert self.gate.wait(20)

    def answer(self, columns):
        self._wait(len(next(iter(columns.values()))))
        return self.real.answer(columns)

    def answer_cells(self, cells):
        self._wait(1)
        return self.real.answer_cells(cells)


@pytest.fixture
def slow():
    """Return what holds the model of a server."""
    return Slow


def until(condition, patience=10.0):
    """Wait until something is true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.003)
