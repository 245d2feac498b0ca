"""Trials, weights and jobs as plain JSON: what events hold and what travels to workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.clock import Times
from steelyard.contracts import Beside, Ending, Errand, Job, Trial, Weight
from steelyard.recipe import from_json, to_json
from steelyard.units import Estimate, Seconds

_TIMES = ("p50", "p95", "p99", "mean", "throughput", "memory_bytes")


def figures_to_json(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return estimates by name as JSON."""
    return {name: figure.to_json() for name, figure in figures.items()}


def figures_from_json(data: Mapping[str, Any]) -> dict[str, Estimate]:
    """Read what :func:`figures_to_json` wrote."""
    return {name: Estimate.from_json(figure) for name, figure in data.items()}


def weight_to_json(weight: Weight) -> dict[str, Any]:
    """Return a weight as JSON."""
    times = {name: figure.to_json() for name in _TIMES if (figure := getattr(weight, name)) is not None}
    counts = {name: getattr(weight, name) for name in ("batch", "size_bytes", "threads", "calls")}
    beside = {name: [each.p50.to_json(), each.p95.to_json()] for name, each in weight.beside.items()}
    extra: dict[str, Any] = {"beside": beside, "arithmetic": weight.arithmetic}
    return times | counts | {name: value for name, value in extra.items() if value}


def weight_from_json(data: Mapping[str, Any]) -> Weight:
    """Read what :func:`weight_to_json` wrote."""
    facts: dict[str, Any] = {k: Estimate.from_json(v) if k in _TIMES else v for k, v in data.items()}
    ratios = {name: Beside(*map(Estimate.from_json, each)) for name, each in data.get("beside", {}).items()}
    return Weight(**{**facts, "beside": ratios})


def trial_to_json(trial: Trial) -> dict[str, Any]:
    """Return a trial as JSON."""
    return {
        "number": trial.number,
        "recipe": to_json(trial.recipe),
        "lever": trial.lever,
        "ending": trial.ending.name,
        "note": trial.note,
        "validation": figures_to_json(trial.validation),
        "protocol": trial.protocol,
        "rounds": list(trial.rounds),
        "curve": [list(point) for point in trial.curve],
        "seconds": float(trial.seconds),
        "cpu_seconds": float(trial.cpu_seconds),
        "peak_bytes": trial.peak_bytes,
        "foreseen": float(trial.foreseen),
        "weight": None if trial.weight is None else weight_to_json(trial.weight),
        "importance": dict(trial.importance),
        **({"outcomes": dict(trial.outcomes)} if trial.outcomes else {}),
        "times": None if trial.times is None else trial.times.to_json(),
    }


def trial_from_json(data: Mapping[str, Any]) -> Trial:
    """Read what :func:`trial_to_json` wrote."""
    return Trial(
        number=data["number"],
        recipe=from_json(data["recipe"]),
        lever=data["lever"],
        ending=Ending[data["ending"]],
        note=data["note"],
        validation=figures_from_json(data["validation"]),
        protocol=data["protocol"],
        rounds=tuple(data["rounds"]),
        curve=tuple((step, value) for step, value in data["curve"]),
        seconds=Seconds(data["seconds"]),
        cpu_seconds=Seconds(data["cpu_seconds"]),
        peak_bytes=data["peak_bytes"],
        foreseen=Seconds(data["foreseen"]),
        weight=None if data["weight"] is None else weight_from_json(data["weight"]),
        importance=data.get("importance", {}),
        outcomes=data.get("outcomes", {}),
        times=times_from_json(data.get("times")),
    )


def times_from_json(data: Mapping[str, Any] | None) -> Times | None:
    """Read where the seconds of a trial went, of a run that told."""
    return None if data is None else Times.from_json(data)


def job_to_json(job: Job) -> dict[str, Any]:
    """Return a job as JSON; endless time is ``null``."""
    return {
        "number": job.number,
        "recipe": to_json(job.recipe),
        "errand": job.errand.value,
        "fingerprint": job.fingerprint,
        "store": str(job.store),
        "seconds": float(job.seconds) if math.isfinite(job.seconds) else None,
        "threads": job.threads,
        "serving_threads": job.serving_threads,
        "bundle": job.bundle,
        "beside": dict(job.beside),
        "rounds": list(job.rounds),
        "hurdles": {str(step): value for step, value in job.hurdles.items()},
    }


def job_from_json(data: Mapping[str, Any]) -> Job:
    """Read what :func:`job_to_json` wrote."""
    return Job(
        number=data["number"],
        recipe=from_json(data["recipe"]),
        errand=Errand(data["errand"]),
        fingerprint=data["fingerprint"],
        store=Path(data["store"]),
        seconds=Seconds(math.inf if data["seconds"] is None else data["seconds"]),
        threads=data["threads"],
        serving_threads=data["serving_threads"],
        bundle=data["bundle"],
        beside=data.get("beside", {}),
        rounds=tuple(data["rounds"]),
        hurdles={int(step): value for step, value in data["hurdles"].items()},
    )
