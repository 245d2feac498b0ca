"""Names in noisy English (wnut17): what a cheap tagger, a small net and a pretrained encoder reach, and cost.

Each learner is run alone by the command line with the levers a user gets, on the official files (train, dev, test);
the test file is read once by each run. Beside the F1 of entities stand the figures by token, the seconds of the run and
of the trial that ships, and what a million predictions cost. Published for comparison: 0.4186 of the best team of the
shared task (Derczynski, Nichols, van Erp, Limsopatham: Results of the WNUT2017 shared task, W-NUT 2017).

    STEELYARD_DATA=... python benchmarks/deep/tagging.py

``ONLY=token-linear`` measures one learner, ``RUN_MINUTES=3`` gives each run less time, ``MINUTES`` starts nothing after
that time, ``SEEDS=2`` repeats each run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
LEARNERS = ("token-linear", "tagger", "encoder-tagger")
RUN_MINUTES = float(os.environ.get("RUN_MINUTES", "12"))
ASKED = 0.30
FIGURES = ("entity_f1", "entity_precision", "entity_recall", "token_accuracy")


def run(learner: str, seed: int) -> Mapping[str, Any]:
    """Run one learner beside the constant model, and look at what ships."""
    spec = {
        "data": str(DATA / "wnut17"),
        "target": "tags",
        "seed": seed,
        "budget": {"minutes": RUN_MINUTES},
        "learners": {"only": ["constant", learner]},
    }
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "spec.yaml", Path(folder) / "run"
        file.write_text(json.dumps(spec))  # JSON is YAML
        began = time.perf_counter()
        report = json.loads(_steelyard("run", file, "--out", out, "--json"))
        seconds = time.perf_counter() - began
        _steelyard("predict", out, DATA / "wnut17" / "test.conll.gz", "-o", out / "told.conll")
        loose = count_loose((out / "told.conll").read_text())
    decision = report["decision"]
    chosen = next(row for row in report["trials"] if row["chosen"])
    return {
        "recipe": decision["recipe"],
        "test": {name: {k: decision["test"][name][k] for k in ("value", "low", "high")} for name in FIGURES},
        "loose": loose,
        "seconds": seconds,
        "seconds_of_trial": chosen["seconds"],
        "p95_ms": decision["figures"]["latency_p95_ms"]["value"],
        "size_bytes": decision["size_bytes"],
        "cost_per_million": decision["figures"]["cost_per_million"]["value"],
        "by_type": chosen["outcomes"]["types"],
        "by_tag": chosen["outcomes"]["tags"],
        "tokens": chosen["outcomes"]["tokens"],
    }


def _steelyard(*words: object) -> str:
    command = [sys.executable, "-m", "steelyard.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 20}:
        raise ValueError(done.stderr.strip()[-500:])
    return done.stdout


def count_loose(conll: str) -> int:
    """Count the tags that go on with an entity which nothing began: an ``I`` without its ``B``."""
    loose, before = 0, "O"
    for line in conll.split("\n"):
        tag = line.rpartition("\t")[2] or "O"
        if tag.startswith("I") and (before[:1] not in {"B", "I"} or before[2:] != tag[2:]):
            loose += 1
        before = tag
    return loose


def show(learner: str, rows: Sequence[Row]) -> None:
    """Print the row of a learner, then its figures by type of entity and by tag, on validation rows."""
    for row in rows:
        f1 = row["test"]["entity_f1"]
        others = ", ".join(f"{name} {row['test'][name]['value'] or 0:.3f}" for name in FIGURES[1:])
        print(
            f"{learner:<15} F1 {f1['value']:.4f} ({f1['low']:.4f} to {f1['high']:.4f}); {others}; "
            f"{row['seconds']:.0f} s "
            f"in all, {row['seconds_of_trial']:.0f} s of the trial; p95 {row['p95_ms']:.2f} ms, "
            f"{row['size_bytes'] / 1e6:.1f} MB, {row['cost_per_million']:.4f} USD a million; {row['recipe']}"
        )
    for part in ("by_type", "by_tag"):
        for name, (hits, called, true) in rows[-1][part].items():
            share = 2 * hits / (called + true) if called + true else 0.0
            print(f"    {part[3:]} {name:<16} F1 {share:.3f}, there {true * rows[-1]['tokens']:.0f}")


def main() -> None:
    """Measure what is missing, print the rows, hold them against the bar."""
    bench = Bench("deep-tagging", ("onnxruntime", "scipy", "torch", "tokenizers", "polars"))
    only = os.environ.get("ONLY", "")
    for seed in range(int(os.environ.get("SEEDS", "1"))):
        for learner in LEARNERS:
            if not only or only == learner:
                bench.measure({"learner": learner}, lambda learner=learner, seed=seed: run(learner, seed), seed=seed)
    for learner in LEARNERS:
        if rows := bench.rows(learner=learner):
            show(learner, rows)
    every = [row for learner in LEARNERS for row in bench.rows(learner=learner)]
    bench.bar(
        f"wnut17: F1 of entities with MiniLM is {ASKED} or more",
        bench.rows(learner="encoder-tagger"),
        lambda rows: (
            min(row["test"]["entity_f1"]["value"] for row in rows) >= ASKED,
            ", ".join("{value:.4f} ({low:.4f} to {high:.4f})".format(**row["test"]["entity_f1"]) for row in rows),
        ),
    )
    bench.bar(
        "every tag is consistent: no I without its B",
        every,
        lambda rows: (all(row["loose"] == 0 for row in rows), f"{sum(row['loose'] for row in rows)} loose tags"),
        least=len(LEARNERS),
    )
    bench.finish()


if __name__ == "__main__":
    main()
