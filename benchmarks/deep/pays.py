"""When deep learning is worth its price: ``python benchmarks/deep/pays.py``.

Every example spec is run by the command line on every learner, nets included, for the minutes that it asks for (times
``LONGER=2``). One line a set: what was best, what was taken (the cheapest that is statistically equal to the best),
what serving either costs, and the best of the other sort. A model counts as deep if a net is among its trainings.

``ONLY=banking77,wnut17`` runs some sets, ``MINUTES=20`` ends early (a later call goes on), ``FRESH=1`` begins anew,
``KEPT=runs`` leaves each run in ``runs/NAME``, for ``steelyard levers`` and ``steelyard advise``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.append(str(Path(__file__).resolve().parents[1]))

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
LONGER = float(os.environ.get("LONGER", "1"))
KEPT = os.environ.get("KEPT", "")
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.yaml"))}
NETS = frozenset(
    {
        "audio-cnn",
        "cnn",
        "embed-linear",
        "encoder-tagger",
        "mlp",
        "resnet",
        "rnn",
        "sequence-rnn",
        "stgcn",
        "tagger",
        "tcn",
        "text-cnn",
        "transformer",
    }
)
USED_UP = 20
"""Exit code of a run that met no target; its decision is one all the same."""


def run(name: str) -> Mapping[str, Any]:
    """Run one example and return what its row keeps."""
    spec = yaml.safe_load(EXAMPLES[name].read_text(encoding="utf-8"))
    minutes = LONGER * float((spec.get("budget") or {}).get("minutes", 4))
    spec["budget"] = {"minutes": minutes}
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "spec.yaml", Path(KEPT or folder) / name
        file.write_text(yaml.safe_dump(spec), encoding="utf-8")
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "steelyard.cli", "run", file, "--out", out, "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "STEELYARD_DATA": str(DATA)},
        )
        seconds = time.perf_counter() - began
        if done.returncode not in {0, USED_UP}:
            raise ValueError(done.stderr.strip()[-500:])
        report = json.loads(done.stdout)
        first = _first_seconds(out / "events.jsonl")
    return {**told(report), "minutes": minutes, "seconds": seconds, "first_seconds": first}


def told(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the best and the taken candidate of a report, with what each costs."""
    aim = report["task"]["aim"]
    measured = [trial for trial in report["trials"] if trial["ending"] == "measured"]
    taken = next(trial for trial in measured if trial["number"] == report["decision"]["number"])
    sign = 1.0 if report["task"].get("better", "higher") == "higher" else -1.0
    best = max(measured, key=lambda trial: sign * trial["validation"][aim]["value"])
    deep = [trial for trial in measured if is_deep(trial)]
    cheap = [trial for trial in measured if not is_deep(trial)]
    return {
        "aim": aim,
        "best": _brief(best, aim),
        "taken": _brief(taken, aim),
        "test": {k: report["decision"]["test"][aim][k] for k in ("value", "low", "high")},
        "best_net": _brief(max(deep, key=lambda t: sign * t["validation"][aim]["value"]), aim) if deep else None,
        "best_cheap": _brief(max(cheap, key=lambda t: sign * t["validation"][aim]["value"]), aim) if cheap else None,
        "trials": len(report["trials"]),
        "money": report["spent"]["money"],
    }


def _brief(trial: Mapping[str, Any], aim: str) -> dict[str, Any]:
    figure = trial["validation"][aim]
    return {
        "recipe": trial["recipe"],
        "deep": is_deep(trial),
        "value": figure["value"],
        "low": figure["low"],
        "high": figure["high"],
        "cost_per_million": trial["cost_per_million"],
        "seconds": trial["seconds"],
    }


def is_deep(trial: Mapping[str, Any]) -> bool:
    """Tell whether a net is among the trainings of a trial."""
    return any(learner in NETS for learner in _learners(trial["recipe_tree"]))


def _learners(tree: Mapping[str, Any]) -> Iterator[str]:
    if "train" in tree:
        yield tree["train"]
    for parent in [*tree.get("parents", ()), *([tree["parent"]] if "parent" in tree else [])]:
        yield from _learners(parent)


def _first_seconds(events: Path) -> float | None:
    """Return the seconds from the start of a run to the first model that was measured, the constant one left aside."""
    ended = 0
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line.partition(" ")[2])
        ended += event["kind"] == "ended"
        if ended == 2:  # the first is the constant model
            return float(event["elapsed"])
    return None


def show(name: str, row: Row) -> None:
    """Print the line of one set."""
    best, taken = row["best"], row["taken"]
    rival = row["best_cheap"] if taken["deep"] else row["best_net"]
    kind = "deep" if taken["deep"] else "cheap"
    print(f"{name:22} takes {kind}: {taken['recipe'][:70]}")
    print(
        f"{'':22} {row['aim']} {taken['value']:.4g} at {taken['cost_per_million']:.3g} a million (best: "
        f"{best['value']:.4g} at {best['cost_per_million']:.3g}); on test {row['test']['value']:.4g} "
        f"({row['test']['low']:.4g} to {row['test']['high']:.4g}); {row['trials']} trials in {row['seconds']:.0f} s"
    )
    if rival is not None:
        print(
            f"{'':22} the other way: {rival['recipe'][:60]}: {rival['value']:.4g} at "
            f"{rival['cost_per_million']:.3g} a million"
        )


def not_lost(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether what was taken costs no more to serve than the best."""
    row = rows[-1]
    best, taken = row["best"]["cost_per_million"], row["taken"]["cost_per_million"]
    return taken <= best, f"{taken:.3g} for a million, the best {best:.3g}"


def main() -> None:
    """Run what is missing and print the table."""
    only = os.environ.get("ONLY", "").replace(",", " ").split() or list(EXAMPLES)
    if unknown := [name for name in only if name not in EXAMPLES]:
        sys.exit(f"{unknown[0]!r} is no example; there are {', '.join(EXAMPLES)}")
    bench = Bench("deep-pays", packages=("onnxruntime", "torch", "transformers", "lightgbm"))
    for name in only:
        bench.measure({"example": name, "longer": LONGER}, lambda name=name: run(name))
    for name in only:
        for row in bench.rows(example=name, longer=LONGER)[-1:]:
            show(name, row)
    for name in only:
        bench.bar(
            f"10. {name}: what is taken is no dearer than the best", bench.rows(example=name, longer=LONGER), not_lost
        )
    bench.finish()


if __name__ == "__main__":
    main()
