"""Bar 5: the same float graphs quantised by us, by Olive and by Intel Neural Compressor.

Each tool gets the same ONNX file and the inputs of the same 256 training rows, in an environment of its own that pip
makes on the first use. What it makes is then run here, by the same runtime, behind the same front ends: quality on the
rows that the data's own split keeps for the test, and how long the graph computes for one row, all of them asked in
turns, on one thread (the processor time of that thread, so that other work on the machine does not count).

A tool may hand in several graphs. One is on the front where no other of any tool is at least as good in quality and
faster, or better and as fast. Differences of quality within half a point that a paired bootstrap does not tell from
none, and of latency within 5%, count as equal.

    python benchmarks/shrink/rivals.py
    ONLY=cnn MINUTES=5 python benchmarks/shrink/rivals.py
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fp32
import numpy as np

from rows import ROOT, Bench, Row

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".venv-bench" / "shrink"
RIVALS = {"olive": "olive_run.py", "neural-compressor": "neural_compressor_run.py"}
OURS: Mapping[str, Mapping[str, Any]] = {
    "steelyard auto": {},
    "steelyard weights": {"how": "weights"},
    "steelyard weights-4": {"how": "weights", "bits": 4},
    "steelyard static": {"how": "static"},
    "steelyard dynamic": {"how": "dynamic"},
}
CALIBRATING, BATCH, TOLD = 256, 32, 1_000
ROWS, CALLS = 60, 300
EQUAL_TIME, EQUAL_QUALITY = 1.05, 0.005
LIMIT = 900


@cache
def python_of(rival: str) -> Path:
    """Return the interpreter of a rival's environment, made where it is missing."""
    place = ENVIRONMENTS / rival
    python = place / "bin" / "python"
    wanted = HERE / "requirements" / f"{rival}.txt"
    mark = place / ".made"
    if mark.exists() and mark.read_text() == wanted.read_text():
        return python
    print(f"installing {rival} into {place.relative_to(ROOT)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "torch==2.13.0"], check=True)  # first: with none there, a range brings CUDA packages
    subprocess.run([*pip, "-r", wanted], check=True)
    mark.write_text(wanted.read_text())
    return python


def of_rival(rival: str, parent: fp32.Parent) -> dict[str, bytes]:
    """Return the graphs that a rival makes of a float one, by their names."""
    from steelyard.levers.shrinking.quantising.integers import tensors

    rows = parent.train
    some = rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:CALIBRATING]))
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "fp32.onnx").write_bytes(parent.artefact.graph)
        batches = enumerate(tensors(parent.artefact, some, BATCH))
        held = {f"{place}/{name}": array for place, batch in batches for name, array in batch.items()}
        np.savez(folder / "rows.npz", **held)
        shutil.copytree(HERE / "runners", folder / "runners")
        command = [
            python_of(rival),
            folder / "runners" / RIVALS[rival],
            folder / "fp32.onnx",
            folder / "rows.npz",
            folder,
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": home, "OLIVE_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
        told = [line for line in done.stderr.splitlines() if line.startswith(rival)]
        print("".join(f"  {line}\n" for line in told), end="", flush=True)
        return {path.stem: path.read_bytes() for path in sorted(folder.glob(f"{rival} *.onnx"))}


def of_ours(parent: fp32.Parent) -> dict[str, bytes]:
    """Return the graphs that we make: what a search would get of the plain lever, and each way by itself."""
    from steelyard.levers import LeverRefused
    from steelyard.levers.shrinking._quantise import Quantise
    from steelyard.recipe import Settings
    from steelyard.testing.pupils import Watch

    rows = parent.train
    some = rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:TOLD]))
    made = {}
    for name, settings in OURS.items():
        watch = Watch()
        try:
            made[name] = Quantise().apply(parent.artefact, some, Settings(settings), parent.work, watch).graph
        except LeverRefused as problem:
            print(f"  {name}: {problem}")
        print("".join(f"  {note}\n" for note in watch.notes), end="", flush=True)
    return made


def kept(parent: fp32.Parent, what: str, make: Any) -> Any:
    """Return what was made before of this very graph by this very code, so that a call that was killed goes on."""
    code = [
        *HERE.rglob("*.py"),
        *HERE.rglob("*.txt"),
        *(ROOT / "src" / "steelyard" / "levers" / "shrinking").glob("*.py"),
    ]
    digest = hashlib.sha256(parent.artefact.graph + what.encode() + b"".join(f.read_bytes() for f in sorted(code)))
    file = fp32.KEPT / f"rivals-{digest.hexdigest()[:16]}.pickle"
    if file.exists() and os.environ.get("FRESH", "") in {"", "0"}:
        return pickle.loads(file.read_bytes())
    made = make()
    file.write_bytes(pickle.dumps(made))
    return made


def measured(name: str) -> Mapping[str, Any]:
    """Let everyone quantise one graph, and measure what came of it."""
    from steelyard.bundle.running import session_of

    parent = fp32.parent(name)
    graphs = {"fp32": parent.artefact.graph, **kept(parent, "steelyard", lambda: of_ours(parent))}
    for rival in RIVALS:
        graphs |= kept(parent, rival, lambda tool=rival: of_rival(tool, parent))
    test, sessions, right, broken = parent.test, {}, {}, {}
    for key, graph in graphs.items():
        artefact = replace(parent.artefact, graph=graph)
        try:
            sessions[key] = session_of(graph, threads=1)
            decided = kept(
                parent,
                hashlib.sha256(graph).hexdigest(),
                lambda one=artefact: fp32.scores(one, parent.data, test).argmax(1),
            )
        except Exception as problem:  # noqa: BLE001 - a rival's graph may be refused or fail; that is its result
            broken[key] = str(problem)[:200]
            sessions.pop(key, None)
            continue
        right[key] = decided == test.target
    times = latencies(sessions, parent)
    return {
        "broken": broken,
        "rows": len(test),
        "graphs": {
            key: {
                "accuracy": float(right[key].mean()),
                "right": np.packbits(right[key]).tobytes().hex(),
                "ms": times[key],
                "mb": len(graphs[key]) / 1e6,
            }
            for key in sessions
        },
    }


def latencies(sessions: Mapping[str, Any], parent: fp32.Parent) -> dict[str, float]:
    """Return the median milliseconds that each graph computes for one row, all asked in turns."""
    from steelyard.levers.shrinking.quantising.integers import tensors

    rows = list(tensors(parent.artefact, parent.test.take(np.arange(ROWS)), 1))
    spent: dict[str, list[float]] = {key: [] for key in sessions}
    for call in range(CALLS):
        for key, session in sessions.items():
            began = time.thread_time()
            session.run(("scores",), rows[call % ROWS])
            spent[key].append(1000 * (time.thread_time() - began))
    return {key: float(np.median(times[CALLS // 10 :])) for key, times in spent.items()}


def better(first: Mapping[str, Any], second: Mapping[str, Any], rows: int) -> int:
    """Return 1 where the first has the better quality, -1 where the second has, 0 where they count as equal."""
    one, other = (np.unpackbits(np.frombuffer(bytes.fromhex(x["right"]), np.uint8))[:rows] for x in (first, second))
    gaps = one.astype(int) - other
    drawn = np.random.default_rng(0).integers(0, rows, (1000, rows))
    low, high = np.quantile(gaps[drawn].mean(1), (0.025, 0.975))
    equal = abs(gaps.mean()) <= EQUAL_QUALITY and low <= 0 <= high
    return 0 if equal else int(np.sign(gaps.mean()))


def beats(first: Mapping[str, Any], second: Mapping[str, Any], rows: int) -> bool:
    """Tell whether a graph is no worse than another in quality and latency, and better in one of them."""
    quality = better(first, second, rows)
    time_ratio = second["ms"] / first["ms"]
    return quality >= 0 and time_ratio >= 1 / EQUAL_TIME and (quality > 0 or time_ratio > EQUAL_TIME)


def on_front(row: Row) -> dict[str, list[str]]:
    """Return, by graph, those that beat it; it is on the front where there are none."""
    graphs, rows = row["graphs"], row["rows"]
    return {
        key: [other for other in graphs if other != key and beats(graphs[other], graphs[key], rows)] for key in graphs
    }


def shown(name: str, row: Row) -> None:
    """Print the graphs of a case."""
    beaten = on_front(row)
    print(f"\n{name} ({row['rows']:,} test rows)")
    for key, graph in sorted(row["graphs"].items(), key=lambda pair: pair[1]["ms"]):
        mark = "front" if not beaten[key] else f"behind {beaten[key][0]}"
        print(f"  {key:40} {graph['accuracy']:.4f}  {graph['ms']:.3f} ms  {graph['mb']:.2f} MB  {mark}")
    for key, why in row["broken"].items():
        print(f"  {key:40} cannot be run: {why}")


def no_worse(row: Row) -> tuple[bool, list[str]]:
    """Tell whether no rival's graph beats all of ours, and name those that do.

    A rival's graph counts where none of ours is as good in quality and as fast.
    """
    graphs, rows = row["graphs"], row["rows"]
    ours = {key: graph for key, graph in graphs.items() if key.startswith("steelyard")}
    ahead = []
    for key, graph in graphs.items():
        if key == "fp32" or key in ours or on_front(row)[key]:
            continue
        matched = any(better(own, graph, rows) >= 0 and own["ms"] <= EQUAL_TIME * graph["ms"] for own in ours.values())
        if not matched:
            ahead.append(key)
    return not ahead, ahead


def front(rows: Sequence[Row]) -> tuple[bool, str]:
    """Return whether ours is at least as good on the front of every case."""
    names = [name for name in fp32.CASES if any(row["case"] == name for row in rows)]
    lost = {row["case"]: no_worse(row)[1] for row in rows if not no_worse(row)[0]}
    said = "; ".join(f"{case}: behind {', '.join(who)}" for case, who in lost.items())
    return not lost, f"{len(names) - len(lost)} of {len(names)} graphs" + (f"; {said}" if said else "")


def main() -> None:
    """Measure what is missing, print the front of each case, and hold it against the bar."""
    bench = Bench("shrink-rivals", packages=("numpy", "onnxruntime", "onnx"))
    only = os.environ.get("ONLY", "")
    for name in fp32.CASES:
        if only in name:
            bench.measure({"graph": name}, lambda n=name: {"case": n, **measured(n)})
    found = []
    for name in fp32.CASES:
        for row in bench.rows(graph=name):
            shown(name, row)
            found.append(row)
    bench.bar("ours at least as good on the front of quality and latency", found, front)
    bench.finish()


if __name__ == "__main__":
    main()
