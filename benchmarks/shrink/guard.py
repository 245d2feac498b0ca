"""Bar 4 of shrinking: ``python benchmarks/shrink/guard.py``.

Real runs of the command line with a plug-in whose levers a guard must refuse: one makes models slower, one takes two
points of accuracy, one crashes, and others answer what is no number, ask for a column more, drop a class, write no
graph, never end, or hold all memory. Each must be refused with its own sentence, and the run must ship its model.

Then every row of ``benchmarks/results/shrink-*.jsonl`` that holds the ladder of a run is read: no shrunk bundle that
was kept may lose to its parent in size, latency, throughput, memory and quality at once.

``ONLY=adult`` runs one set, ``MINUTES=4`` starts nothing after that time; a second call goes on. Data:
``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from saboteurs import LEVERS  # noqa: E402

from rows import RESULTS, ROOT, Bench, Row  # noqa: E402 - its folder is named above

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
SETS: Mapping[str, tuple[str, str, str, int]] = {
    "adult": ("adult_income/data.csv.gz", "income", "mlp", 16_000),
    "telco": ("telco_churn/data.csv.gz", "Churn", "mlp", 8_000),
}
"""File, target, learner, rows."""
SENTENCES = {
    "slower": r"^Slower and not smaller than its parent, trial \d+, on this machine, 1 thread: .* bytes instead of",
    "worse": r"^Not (?:shown to be )?good enough: 0\.0\d+ \(.*\) worse in accuracy than its parent, trial \d+",
    "crashing": r"crashing crashed with ZeroDivisionError \(.*\); the model that it started from stands as it was\.$",
    "silent": r"silent made a graph that does not answer \(.*finite.*\); the model that it started from stands",
    "asking": r"asking changed the interface: its model reads 'shoe size', which the one that it started from does not",
    "forgetting": r"forgetting made a graph that cannot be run \(.*the graph's scores have shape",
    "breaking": r"breaking made a graph that cannot be run \(.*no readable ONNX model",
    "endless": r"endless had not ended after the \d+ s that a step of shrinking had here; the model",
    "hungry": r"hungry left nothing \(ended by the system or by `budget.memory_gb`|Ran out of memory",
}
"""What must be said of each lever. Few rows may not show the two points that ``worse`` takes: it is refused as well,
and the sentence says that it is for want of rows."""
AXES = ("size_bytes", "latency_p50_ms", "latency_p95_ms", "throughput_rps", "memory_bytes", "quality")


def overlay(folder: Path) -> Path:
    """Write the metadata of an installed plug-in, as pip would, and return the folder for the path."""
    about = folder / "steelyard_saboteurs-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: steelyard-saboteurs\nVersion: 0\n")
    lines = "\n".join(f"{lever.name} = saboteurs:{lever.__name__}" for lever in LEVERS)
    (about / "entry_points.txt").write_text(f"[steelyard.levers]\n{lines}\n")
    return folder


def spec_of(name: str, home: Path) -> str:
    """Write the data and return the spec of a run in which only saboteurs may follow on one learner."""
    file, target, learner, rows = SETS[name]
    with gzip.open(DATA / file, "rt", encoding="utf-8", newline="") as text:
        lines = list(csv.reader(text))
    drop = [k for k, head in enumerate(lines[0]) if head == "split"]
    kept = [[cell for k, cell in enumerate(line) if k not in drop] for line in lines[: rows + 1]]
    with (home / "rows.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(kept)
    names = ", ".join(lever.name for lever in LEVERS)
    return (
        f"data: rows.csv\ntarget: {target}\nquality: {{metric: accuracy}}\nbudget: {{minutes: 2.5, memory_gb: 3}}\n"
        f"learners: {{only: [constant, {learner}]}}\nlevers: {{only: [{names}]}}\n"
        "shrink: {lose: 0.01, smaller: 0}\n"
    )


def run(name: str) -> Mapping[str, Any]:
    """Run the command line on one set, and return what it said of every lever."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "spec.yaml").write_text(spec_of(name, home))
        path = os.pathsep.join((str(overlay(home / "plugin")), str(HERE), os.environ.get("PYTHONPATH", "")))
        start = time.monotonic()
        command = [sys.executable, "-m", "steelyard.cli", "run", "spec.yaml", "--out", "run", "--json"]
        done = subprocess.run(
            command, cwd=home, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}: {done.stderr[-2000:]}")
        report = json.loads(done.stdout)
        ships = (home / "run" / "bundles" / report["decision"]["bundle"]).exists()
    return {
        "said": {t["lever"]: t["rejected"] or t["note"] for t in report["trials"] if t["lever"] in SENTENCES},
        "endings": {t["lever"]: t["ending"] for t in report["trials"] if t["lever"] in SENTENCES},
        "tries": len([t for t in report["trials"] if t["lever"] in SENTENCES]),
        "notes": [note for note in report["notes"] if "noise" in note],
        "chosen": report["decision"]["recipe"],
        "ships": ships,
        "ladder": report["ladder"],
        "seconds": time.monotonic() - start,
    }


def refused(lever: str) -> Any:
    """Make a bar: every run refused a lever with its sentence."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        said = [row["said"].get(lever, "it was not tried") for row in rows]
        fine = [bool(re.search(SENTENCES[lever], each)) for each in said]
        shown = next((each for each, right in zip(said, fine, strict=True) if not right), said[0])
        return all(fine), f"{sum(fine)} of {len(rows)} runs; {shown}"

    return met


def ships(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether every run ended with the model that the levers started from."""
    fine = [row["ships"] and not any(name in row["chosen"] for name in SENTENCES) for row in rows]
    took = ", ".join(f"{row['seconds']:.0f} s" for row in rows)
    return all(fine), f"{sum(fine)} of {len(rows)} runs, of {took}"


def ladders(results: Path = RESULTS) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every family of a ladder that lies in a result of shrinking, with the file that it lies in."""
    for file in sorted(results.glob("shrink-*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            for family in json.loads(line).get("result", {}).get("ladder") or ():
                yield file.name, family


def loses(step: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    """Tell whether a step is worse than its parent in everything that was measured of both."""
    worse = []
    for axis in AXES:
        one, other = (row["lost"] if axis == "quality" else row.get(axis) for row in (step, parent))
        if axis == "quality":
            worse += [] if one is None else [one["value"] > 0]
        elif one is not None and other is not None:
            one, other = (x["value"] if isinstance(x, Mapping) else x for x in (one, other))
            worse.append(one < other if axis == "throughput_rps" else one > other)
    return bool(worse) and all(worse)


def none_loses(families: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[bool, str]:
    """Tell whether no kept shrunk bundle loses on every axis."""
    kept, bad = 0, []
    for file, family in families:
        by_number = {row["number"]: row for row in family["steps"]}
        for row in family["steps"]:
            if row["kept"] and row["against"] is not None:
                kept += 1
                if loses(row, by_number[row["against"]]):
                    bad.append(f"{file}: {row['title']}")
    return not bad, f"{kept} kept in {len(families)} ladders" + (f"; these do: {', '.join(bad)}" if bad else "")


def main() -> None:
    """Measure what is missing and print the bars."""
    bench = Bench("shrink-guard", packages=("onnx", "onnxruntime", "numpy"))
    only = os.environ.get("ONLY")
    for name in SETS:
        if only in {None, name}:
            bench.measure({"set": name}, lambda name=name: run(name))
    rows = [row for name in SETS for row in bench.rows(set=name)]
    for lever in SENTENCES:
        bench.bar(f"{lever} is refused with its sentence", rows, refused(lever), least=len(SETS))
    bench.bar("the run ships the model that they started from", rows, ships, least=len(SETS))
    met, figure = none_loses(list(ladders()))
    bench.bar("no kept shrunk bundle loses on every axis", rows, lambda _: (met, figure))
    bench.finish()


if __name__ == "__main__":
    main()
