"""A small bundle, and what a rehearsal of it would find, for the tests that need no server."""

import importlib.util
from pathlib import Path

import pytest

from steelyard.deploy import Rehearsal

_spec = importlib.util.spec_from_file_location(
    "bundles_for_deploying", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return _bundles.Maker().write(tmp_path_factory.mktemp("deployed") / "bundle")


@pytest.fixture(scope="session")
def joined(tmp_path_factory, bundle):
    """A bundle with bundles inside."""
    home = tmp_path_factory.mktemp("joined")
    second = _bundles.Maker().write(home / "second", _bundles.Maker().artefact(seed=3))
    return _bundles.Maker().joined(home / "blend", {"rule": "blend", "weights": [1, 3]}, bundle, second)


@pytest.fixture
def found():
    """Return what stands in for a rehearsal."""
    return lambda bundle, wanted: Rehearsal(0.7, 90 * 2**20)
