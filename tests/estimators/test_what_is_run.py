"""What the scikit-learn estimators ask of the engine."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from steelyard import estimators
from steelyard.estimators import SteelyardClassifier, SteelyardRegressor


@pytest.fixture
def asked(monkeypatch):
    """Stand in for a run: keep what was asked for."""
    calls = []

    def run(spec, *, out, in_process):
        calls.append(SimpleNamespace(spec=spec, out=out, in_process=in_process))
        return SimpleNamespace(bundle=None)

    monkeypatch.setattr(estimators, "run", run)
    return calls


def test_a_feature_that_is_called_target_stays_a_feature(asked):
    frame = pd.DataFrame({"target": [1.0, 2.0, 3.0], "target_": [4.0, 5.0, 6.0]})
    SteelyardRegressor().fit(frame, [7.0, 8.0, 9.0])
    (call,) = asked
    assert call.spec.data["target"] == [1.0, 2.0, 3.0]
    assert call.spec.data["target_"] == [4.0, 5.0, 6.0]
    assert call.spec.data[call.spec.target] == [7.0, 8.0, 9.0]
    SteelyardClassifier().fit(np.eye(4), [0, 1, 0, 1])
    assert asked[1].spec.target == "target"


@pytest.mark.parametrize(("minutes", "in_process"), [(None, True), (0.5, False)])
def test_trials_that_have_to_end_in_time_run_in_processes_that_can_be_stopped(asked, minutes, in_process):
    SteelyardClassifier(minutes=minutes).fit(np.eye(4), [0, 1, 0, 1])
    assert asked[0].in_process is in_process
