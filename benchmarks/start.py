"""How long a user waits for Steelyard itself: ``make bench-start``.

Import and ``--help`` in fresh processes, the demo from an installed light environment to its exit code, and what the
engine takes beside its trials in a run of eight of them, one worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows import ROOT, Bench, median_within

REPEATS = 5
BIN = Path(os.environ.get("DEMO_BIN", ROOT / ".venv-demo" / "bin"))
"""Where the light environment of the demo is."""

IMPORT = """
import json, sys, time
began = time.perf_counter()
import steelyard
print(json.dumps({"seconds": time.perf_counter() - began, "modules": len(sys.modules)}))
"""
TRIALS = """
name: overhead
data: sklearn:breast_cancer
target: diagnosis
quality: {metric: roc_auc}
budget: {trials: 8, minutes: 3}
"""


def fresh_import() -> Mapping[str, Any]:
    """Return seconds and modules of an import in a fresh process."""
    done = subprocess.run([BIN / "python", "-c", IMPORT], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def wall(*arguments: str) -> Mapping[str, Any]:
    """Return the wall-clock seconds of a command in an empty folder; it must end with 0."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([BIN / "steelyard", *arguments], cwd=folder, capture_output=True, check=True)
        return {"seconds": time.perf_counter() - began}


def beside_the_trials() -> Mapping[str, Any]:
    """Return the seconds of a whole command that none of its trials took."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "overhead.yaml").write_text(TRIALS, encoding="utf-8")
        began = time.perf_counter()
        command = [BIN / "steelyard", "run", "overhead.yaml", "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    trials = json.loads(done.stdout)["trials"]
    in_trials = sum(trial["seconds"] for trial in trials)
    return {"seconds": seconds - in_trials, "in_trials": in_trials, "trials": len(trials)}


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    bench = Bench("start", packages=("numpy", "onnxruntime", "pydantic", "scikit-learn", "typer"))
    for repeat in range(REPEATS):
        bench.measure({"case": "import", "repeat": repeat}, fresh_import)
        bench.measure({"case": "help", "repeat": repeat}, lambda: wall("--help"))
    for repeat in range(3):
        bench.measure({"case": "demo", "repeat": repeat}, lambda: wall("demo"))
        bench.measure({"case": "overhead", "repeat": repeat}, beside_the_trials)
    imports = bench.rows(case="import")
    bench.bar("import within 0.1 s", imports, median_within("seconds", 0.1, "s"), least=REPEATS)
    bench.bar("import loads fewer than 300 modules", imports, median_within("modules", 299, "modules"), least=REPEATS)
    bench.bar("--help within 0.4 s", bench.rows(case="help"), median_within("seconds", 0.4, "s"), least=REPEATS)
    bench.bar("demo within 60 s", bench.rows(case="demo"), median_within("seconds", 60, "s"), least=3)
    engine = bench.rows(case="overhead")
    bench.bar("engine within 10 s beside its trials", engine, median_within("seconds", 10, "s"), least=3)
    bench.finish()


if __name__ == "__main__":
    main()
