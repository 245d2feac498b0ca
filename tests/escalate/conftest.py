"""Digits, a weak bundle and a strong one."""

import importlib.util
from pathlib import Path

import pytest


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SERVE = Path(__file__).parents[1] / "serve"
worlds = _module("world_for_calibration", SERVE / "escalation" / "world.py")
serving = _module("servers_for_calibration", SERVE / "conftest.py")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return worlds.make(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def strong(world):
    """A server of the strong bundle."""
    from steelyard.serve import Settings, make_app

    server = serving.Server(make_app(world.strong, Settings(no_keys=True)))
    yield server
    server.close()


@pytest.fixture(scope="session")
def server_of():
    """Return what serves an application in a thread."""
    return serving.Server
