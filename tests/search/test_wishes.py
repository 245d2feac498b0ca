"""While a run goes on, its trials are held against the limits of serving and of the device."""

from dataclasses import replace

import pytest

import steelyard as sy
from steelyard.contracts import Problem, Weight
from steelyard.money import Prices
from steelyard.search.wishes import Wishes
from steelyard.spec import EdgePart
from steelyard.testing.situations import situation, trial
from steelyard.units import Estimate, How


def weight(there_ms=None):
    one = Estimate.exact(2.0, unit="ms")
    estimated = {} if there_ms is None else {"p95": Estimate.exact(there_ms, how=How.ESTIMATED, unit="ms")}
    return Weight(
        p50=one,
        p95=one,
        p99=one,
        throughput=Estimate.exact(500.0, unit="rows/s"),
        batch=1,
        size_bytes=3_000_000,
        memory_bytes=Estimate.exact(30e6, unit="bytes"),
        threads=1,
        calls=200,
        there=estimated,
    )


@pytest.mark.parametrize(
    ("limits", "there_ms", "met"),
    [
        ({"size_mb": 2.0}, None, False),
        ({"size_mb": 4.0}, None, True),
        ({"memory_mb": 20.0}, None, False),
        ({"memory_mb": 40.0, "size_mb": 4.0}, None, True),
        ({"device": "raspberry-pi-4", "latency_p95_ms": 10.0}, 12.0, False),
        ({"device": "raspberry-pi-4", "latency_p95_ms": 20.0}, 12.0, True),
        ({"device": "raspberry-pi-4", "latency_p95_ms": 20.0}, None, True),
        ({"device": "here", "latency_p95_ms": 1.0}, None, False),
    ],
)
def test_a_trial_is_held_against_the_device_as_far_as_it_is_known_there(limits, there_ms, met):
    made = situation(Problem.BINARY).context
    one = replace(trial(1, made.trials[0].recipe, made.task, 0.8), weight=weight(there_ms))
    spec = sy.Spec(data="rows.csv", target="y", edge=EdgePart(**limits))
    assert Wishes(spec, made.task, Prices.load(None), made.schema).meets(one) is met


def test_a_run_with_limits_on_a_device_ends_with_what_keeps_them(frame, tmp_path):
    spec = sy.Spec(
        data=frame,
        target="bought",
        edge={"device": "raspberry-pi-4", "latency_p95_ms": 50, "size_mb": 5, "memory_mb": 400},
        learners={"only": ["linear", "lightgbm"]},
        levers={"only": []},
        budget={"trials": 3},
    )
    report = sy.run(spec, out=tmp_path / "run", in_process=True).report
    assert {check["name"] for check in report["decision"]["targets"]} >= {"edge_latency_p95_ms", "edge_size_mb"}
    assert len([one for one in report["trials"] if one["ending"] == "measured"]) == 2
