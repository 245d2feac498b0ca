"""Shelves of small versions, and servers of them on real sockets."""

import importlib.util
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from steelyard.serve import Releasing, Settings, Watching, make_app
from steelyard.serve.releases import shelve

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).parents[1] / "serve" / "conftest.py")
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)

Slow = _servers.Slow


class Server(_servers.Server):
    """A server in a thread, whose versions may be switched."""

    def version(self, age=3.0, **headers):
        """Return which version answered a row."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = self.post("/predict", json={"age": age}, headers=named)
        assert reply.status_code == 200, reply.text
        return reply.json()["version"]

    def switch(self, path, status=200, **body):
        """Have versions switched; return what was answered."""
        reply = self.post(f"/releases/{path}", json=body)
        assert reply.status_code == status, reply.text
        return reply.json()


QUIET = Watching(enabled=False)


@pytest.fixture(scope="session")
def maker():
    return _servers._bundles.Maker()


@pytest.fixture(scope="session")
def until():
    return _servers.until


@pytest.fixture(scope="session")
def bundles(maker, tmp_path_factory):
    """Versions that fit each other, and two that do not."""
    home = tmp_path_factory.mktemp("versions")
    made = {str(seed): maker.write(home / str(seed), maker.artefact(seed=seed)) for seed in (1, 2, 3)}
    made["wide"] = maker.write(home / "wide", maker.artefact(("age", "unused")))
    made["price"] = maker.write(home / "price", maker.artefact(width=1, end="Identity"), _servers._bundles.PRICE)
    return made


@pytest.fixture
def shelf(bundles, tmp_path):
    """A shelf of three versions."""
    place = tmp_path / "shelf"
    for version in ("1", "2", "3"):
        shelve(bundles[version], place, version=version)
    return place


@pytest.fixture
def start():
    """Return a function that starts a server of a shelf; all are stopped in the end."""
    running = []

    def started(place, *, stable="1", watching=QUIET, state=None, sources=(), trust=(), **settings):
        releasing = Releasing(stable=stable, watching=watching, state=state, sources=sources, trust=trust)
        base = Settings(no_keys=not settings.get("keys"), repository=True, releasing=releasing)
        server = Server(make_app(place, replace(base, **settings)))
        running.append(server)
        return server

    yield started
    for server in running:
        server.close()


@pytest.fixture(scope="module")
def a_server(bundles, tmp_path_factory):
    """Return what makes a fixture of a server that several tests ask."""

    def made(**settings):
        place = tmp_path_factory.mktemp("standing")
        for version in ("1", "2", "3"):
            shelve(bundles[version], place, version=version)
        base = Settings(no_keys=True, repository=True, releasing=Releasing(stable="1", watching=QUIET))
        server = Server(make_app(place, replace(base, **settings)))
        yield server
        server.close()

    return made


class Load:
    """Clients in threads that ask without a pause; what they were answered is kept."""

    def __init__(self, server, clients=3):
        self.answers, self.is_over = [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(server.port, n)) for n in range(clients)]

    def _ask(self, port, number):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            while not self.is_over.is_set():
                reply = client.post("/predict", json={"age": number}, headers={"X-Route-Key": str(number)})
                self.answers.append((reply.status_code, reply.json().get("version")))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def load():
    return Load


@pytest.fixture
def slow():
    return Slow
