"""The one start of the server: what it measures, and what it refuses."""

import importlib.util
import os
from pathlib import Path

import pytest

from steelyard.deploy import Wanted, rehearsal, rehearse
from steelyard.errors import DeploymentRefused

_spec = importlib.util.spec_from_file_location(
    "bundles_for_rehearsing", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_a_bundle_of_images_is_rehearsed_though_noise_is_no_image(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_KEY", "of-somebody-who-serves-something-else")
    before = children()
    bundle = _bundles.Maker().write(tmp_path / "bundle", _bundles.Maker().image())
    found = rehearse(bundle, Wanted(threads=2))
    assert found.request_ms is None
    assert found.seconds > 0
    assert found.memory_bytes > 20 * 2**20
    assert children() == before


def test_a_server_that_does_not_start_is_refused_in_its_own_words(bundle):
    before = children()
    with pytest.raises(DeploymentRefused, match=r"(?s)cannot be served: .*max_delay_ms 90 must be below"):
        rehearse(bundle, Wanted(serve=("--max-delay-ms", "90", "--deadline-ms", "50")))
    assert children() == before


def test_a_server_that_says_nothing_is_ended(bundle, monkeypatch):
    monkeypatch.setattr(rehearsal, "PATIENCE", 0.05)
    with pytest.raises(DeploymentRefused, match="it said nothing"):
        rehearse(bundle, Wanted())
