"""The client and the load generator against Steelyard's own server: answers are those of the bundle."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from steelyard.bundle import load
from steelyard.client import Client
from steelyard.errors import ServerRefused
from steelyard.load import Plan, Protocol, Target, Way, at_rate, what_to_send
from steelyard.serve import Settings, make_app

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).parents[1] / "serve" / "conftest.py")
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)
KINDS = ("numbers", "regression")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    home, maker = tmp_path_factory.mktemp("asked"), _servers._bundles.Maker()
    price = maker.artefact(width=1, end="Identity")
    return {
        "numbers": maker.write(home / "numbers"),
        "regression": maker.write(home / "regression", price, _servers._bundles.PRICE),
    }


@pytest.fixture(scope="module")
def addresses(bundles):
    running = [_servers.Server(make_app(folder, Settings(no_keys=True))) for folder in bundles.values()]
    yield {kind: f"http://127.0.0.1:{server.port}" for kind, server in zip(bundles, running, strict=True)}
    for server in running:
        server.close()


def rows_for(bundle):
    names = [value.name for value in bundle.manifest.signature.inputs]
    rng = np.random.default_rng(0)
    return [dict(zip(names, rng.normal(40, 5, len(names)).tolist(), strict=True)) for _ in range(7)]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_the_bundle(bundles, addresses, kind):
    bundle = load(bundles[kind])
    rows = rows_for(bundle)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with Client(addresses[kind]) as client:
        found = client.predict(rows)
    assert found.model == "model"
    if kind == "regression":
        assert [p.value for p in found] == pytest.approx(list(bundle.predict(columns)))
        assert all(p.label is None and not p.probabilities for p in found)
    else:
        assert [p.label for p in found] == list(bundle.predict(columns))
        scores = np.array([list(p.probabilities.values()) for p in found])
        assert scores == pytest.approx(bundle.predict_proba(columns))


def test_tensors_say_the_same_as_rows_in_both_encodings(bundles, addresses):
    rows = rows_for(load(bundles["numbers"]))
    with Client(addresses["numbers"]) as client:
        inputs = {
            described["name"]: np.array([[row[described["name"]]] for row in rows])
            for described in client.metadata("model")["inputs"]
        }
        predicted = client.predict(rows)
        for binary in (True, False):
            found = client.infer("model", inputs, binary=binary)
            assert found["label"].ravel().tolist() == [p.label for p in predicted]
            assert found["scores"] == pytest.approx(np.array([list(p.probabilities.values()) for p in predicted]))
        with pytest.raises(ServerRefused, match="400"):
            client.infer("model", {"nothing": [1.0]})


@pytest.mark.parametrize("protocol", Protocol)
def test_every_protocol_of_the_load_is_answered(addresses, protocol):
    target = Target.parse(addresses["numbers"])
    messages = what_to_send(target, protocol=protocol, model="model", rows=None, batch=3, seed=0)
    target.probe(messages[0])
    result = at_rate(Way(target=target, messages=messages), Plan(rate=50, seconds=0.5, warm_up=0.1))
    assert result.endings == {"200": result.requests}
