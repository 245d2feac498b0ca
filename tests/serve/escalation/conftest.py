"""Escalating servers on real sockets."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.serve import Settings, make_app
from steelyard.serve.escalation.plan import Plan
from steelyard.serve.escalation.wiring import wiring_of
from steelyard.serve.model import Served, open_served
from steelyard.serve.oip import metadata


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
worlds = _module("world_of_digits", HERE / "world.py")
serving_tests = _module("servers_of_bundles", HERE.parent / "conftest.py")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return worlds.make(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def until():
    return serving_tests.until


@pytest.fixture(scope="session")
def cheap(world):
    return open_served("model", world.weak, threads=1)


@pytest.fixture(scope="session")
def wiring(world):
    """How the strong bundle is asked, by its own metadata."""
    return wiring_of(metadata(Served("model", "1", world.dear)), Served("model", "1", world.cheap).layout, world.task)


@pytest.fixture
def launch():
    """Return a function that serves a folder; all servers are stopped in the end."""
    running = []

    def launched(folder, **settings):
        app = make_app(folder, replace(Settings(no_keys=not settings.get("keys")), **settings))
        running.append(serving_tests.Server(app))
        return running[-1]

    yield launched
    for server in reversed(running):
        server.close()


@pytest.fixture
def plan(tmp_path, cheap, wiring):
    """Return a function that writes the file of an escalation: to a server by its port, or to persons."""

    def made(port=None, *, at=0.5, budget=None, escalated=None, **last):
        if port is not None:
            url = f"http://127.0.0.1:{port}"
            stage = {"remote": {"url": url, "model": "model", "price": "0.01 USD", "wiring": wiring, **last}}
        else:
            stage = {"person": {"price": "0.40 USD", **last}}
        share = escalated or {"share": 0.5, "low": 0.01, "high": 0.99, "rows": 100}
        found = Plan.model_validate(
            {
                "created": "2026-01-01T00:00:00+00:00",
                "bundle": cheap.digest,
                "rule": {"measure": "margin", "at": at},
                "promise": {"metric": "accuracy", "lost_at_most": 0.01, "confidence": 0.95},
                "escalated": share,
                "budget": budget or {},
                **stage,
            }
        )
        path = tmp_path / "escalation.yaml"
        path.write_text(found.to_yaml())
        return path

    return made


@pytest.fixture
def counted():
    """Return a function that reads one metric of a server."""

    def read(server, name, **labels):
        for line in server.get("/metrics").text.splitlines():
            if line.startswith(f"{name}{{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no {name} {labels}")

    return read
