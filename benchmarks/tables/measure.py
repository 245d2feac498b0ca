"""One case measured: the fit from outside, then the test rows, then single rows; each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scores
from environments import python_of
from process import Ran, run
from sets import SETS, Table, about, answers_of, folder_of
from store import CACHE, Case, ignored
from tools import TOOLS, Tool

from steelyard.money import Prices

CORES = 2
"""Cores that a fit may use; single rows are timed on one and on two."""
ERRAND_LIMIT = 300.0
"""Seconds that answering and timing may take."""
HERE = Path(__file__).resolve().parent
NOTE = 600
"""Letters of a log's end that a failed row keeps."""


class Failed(Exception):
    """A tool left no model, or one that does not answer. The message is the end of its log."""


def measure(case: Case) -> dict[str, Any]:
    """Fit, score and time; a tool that fails gives a row that says so."""
    tool, table = TOOLS[case.tool], SETS[case.set]
    facts = about(table)
    folder = ignored(CACHE) / "runs" / case.slug
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = write_job(case, facts, folder)
    load = os.getloadavg()[0]
    ran = fit(tool, job, folder, tool.limit(case.budget))
    result = {"asked": case.budget, **told(ran), "load_before": round(load, 2)}
    try:
        accept(tool, ran, folder)
        result |= after(tool, table, facts, folder, job)
        result["ending"] = "done"
    except Failed as problem:
        result |= {"ending": "late" if ran.late else "failed", "note": str(problem)}
    if result["ending"] == "done" and not os.environ.get("KEEP"):
        shutil.rmtree(folder, ignore_errors=True)
    return result


_FINE = {"ours": (20,)}
"""Exit codes that leave a usable model besides 0: 20 says that a target was missed."""


def accept(tool: Tool, ran: Ran, folder: Path) -> None:
    """Raise :class:`Failed` where a fit did not come to its end by itself."""
    if ran.late:
        raise Failed(f"ended by the harness after {ran.seconds:.0f} s")
    if ran.code not in {0, *_FINE.get(tool.name, ())}:
        raise Failed(end_of(folder / "log"))


def write_job(case: Case, facts: Mapping[str, Any], folder: Path, *, threads: int = CORES) -> Path:
    """Write what a runner is told."""
    job = {
        "data": str(folder_of(SETS[case.set])),
        "folder": str(folder),
        "columns": facts["columns"],
        "target": facts["target"],
        "problem": facts["problem"],
        "metric": facts["metric"],
        "budget": case.budget,
        "seed": case.seed,
        "threads": threads,
        "options": TOOLS[case.tool].told(case.budget),
    }
    path = folder / f"job-{threads}.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def fit(tool: Tool, job: Path, folder: Path, limit: float) -> Ran:
    """Run the fit as a user would start it: ours by its command line, a peer by a script of its own."""
    if tool.name == "ours":
        spec = folder / "spec.yaml"
        spec.write_text(json.dumps(our_spec(job)), encoding="utf-8")  # JSON is YAML
        steelyard = Path(sys.executable).with_name("steelyard")
        command = [steelyard, "run", spec, "--out", folder / "run", "--json"]
        return run(command, log=folder / "log", limit=limit, cores=CORES, cwd=folder)
    command = [python_of(tool.environment), "-m", "runners", tool.runner, "fit", job]
    return run(command, log=folder / "log", limit=limit, cores=CORES, cwd=HERE)


def our_spec(job: Path) -> dict[str, Any]:
    """Return the spec that ours is run with."""
    from runners.ours import spec
    from runners.protocol import Job

    return spec(Job.read(job))


def after(tool: Tool, table: Table, facts: Mapping[str, Any], folder: Path, job: Path) -> dict[str, Any]:
    """Score the model that a fit left, and time it on both cores and on one."""
    both = errand(tool, "score", job, folder, cores=CORES)
    single = json.loads(job.read_text(encoding="utf-8")) | {"threads": 1}
    alone = folder / "job-1.json"
    alone.write_text(json.dumps(single), encoding="utf-8")
    one = errand(tool, "latency", alone, folder, cores=1)
    try:
        figures = scores.of_file(folder / "answers.npz", facts, table.name, answers_of(table))
    except ValueError as problem:
        raise Failed(str(problem)) from None
    keep_answers(folder)
    first = next(iter(one["latency"].values()))
    with contextlib.suppress(OSError):
        both["fit"] = json.loads((folder / f"fit-{CORES}.json").read_text(encoding="utf-8"))
    found = {
        **figures,
        "constant": scores.constant(facts, truth_of(table)),
        "latency": {"1": one["latency"], str(CORES): both.pop("latency")},
        "cost_per_million": core_second() * first["p50"] / 1000 * 1e6,
        "serving_bytes": one["peak_bytes"],
        **{name: both[name] for name in ("load_seconds", "size_bytes", "rows_per_second", "one_against_many")},
        "fit": both.get("fit", {}),
    }
    if tool.name == "ours":
        found["run"] = our_run(tool, table, facts, folder, job)
    return found


def our_run(tool: Tool, table: Table, facts: Mapping[str, Any], folder: Path, job: Path) -> dict[str, Any]:
    """Return how a run of ours went, with the test figure of what it had at each moment."""
    told = errand(tool, "curve", job, folder, cores=CORES)
    for point in told["points"]:
        file = folder / point.pop("answers")
        point["test"] = scores.of_file(file, facts, table.name, answers_of(table))["value"]
    told.pop("peak_bytes")
    return told


def errand(tool: Tool, name: str, job: Path, folder: Path, *, cores: int) -> dict[str, Any]:
    """Have a runner do something, and return the figures that it left."""
    command = [python_of(tool.environment), "-m", "runners", tool.runner, name, job]
    quiet = {"PYTHONWARNINGS": "ignore"}  # what a tool says of single rows would be timed with them
    ran = run(command, log=folder / "log", limit=ERRAND_LIMIT, cores=cores, cwd=HERE, environment=quiet)
    if ran.code or ran.late:
        raise Failed(f"{name}: {'ended by the harness' if ran.late else end_of(folder / 'log')}")
    left = json.loads((folder / f"{name}-{cores}.json").read_text(encoding="utf-8"))
    return {**left, "peak_bytes": ran.peak_bytes}


def told(ran: Ran) -> dict[str, Any]:
    """Return the wall-clock time, the memory and the price of a fit."""
    return {
        "seconds": ran.seconds,
        "money": core_second() * CORES * ran.seconds,
        "peak_bytes": ran.peak_bytes,
        "resident_bytes": ran.resident_bytes,
    }


def core_second() -> float:
    """Return what a core costs a second, in the currency of the catalogue of prices."""
    return float(Prices.load().core_hour.amount.amount) / 3600


def truth_of(table: Table) -> list[str]:
    """Return the test targets."""
    return list(json.loads(answers_of(table).read_text(encoding="utf-8")))


def keep_answers(folder: Path) -> None:
    """Keep the predictions beside the runs, out of the repository, for who wants to look."""
    place = CACHE / "predictions"
    place.mkdir(exist_ok=True)
    shutil.copyfile(folder / "answers.npz", place / f"{folder.name}.npz")


def end_of(log: Path) -> str:
    """Return the last words of a log."""
    return log.read_text(encoding="utf-8", errors="replace").strip()[-NOTE:]
