"""What a run predicts of serving its bundle beside what is measured: ``make bench-capacity``.

Three short runs: the demo's table and texts (spam or not) for half a minute, images (digits) for one and a half. Each
bundle is served on one core; the load comes from another: one busy connection, then the highest rate that keeps p95
within 20 ms. Runs are kept in ``benchmarks/serve/cache/runs`` and made once; data is looked for in ``STEELYARD_DATA``,
else in ``../shared/data``.
``ONLY=table,text`` names a slice, ``FRESH=1`` measures it anew.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from processes import LOAD_CORE, SERVER_CORE
from versus import CACHE

from steelyard.errors import Exit
from steelyard.load.processes import tree

sys.path.append(str(Path(__file__).resolve().parents[1]))

from rows import ROOT, Bench

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
TARGET_MS = 20.0
STARTS = 5
SECONDS = "3"
ROWS = 200
_RUN = """\
name: {name}
data: {data}
target: {target}
serving: {{latency_p95_ms: {target_ms}, traffic: {{mean_rps: 50, peak_rps: 200}}}}
budget: {{minutes: {minutes}}}
{more}"""
_COMMAND = [sys.executable, "-m", "steelyard.cli"]
_FINE = {Exit.DONE, Exit.NOT_FEASIBLE}


def _table_rows() -> list[dict[str, Any]]:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    return [dict(zip(names, map(float, row), strict=True)) for row in found.data[:ROWS]]


def _text_rows() -> list[dict[str, Any]]:
    with gzip.open(DATA / "sms_spam" / "data.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [{"text": row["text"]} for row, _ in zip(csv.DictReader(file), range(ROWS), strict=False)]


def _image_rows() -> list[dict[str, Any]]:
    with np.load(DATA / "mnist_10k" / "mnist_10k.npz") as arrays:
        pictures = next(array for array in arrays.values() if array.ndim >= 3)
        return [{"image": _png(picture)} for picture in pictures[:ROWS]]


def _png(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


KINDS: Mapping[str, tuple[Mapping[str, str], Callable[[], list[dict[str, Any]]]]] = {
    "table": ({"data": "sklearn:breast_cancer", "target": "diagnosis", "minutes": "0.5", "more": ""}, _table_rows),
    "text": (
        {"data": "sms_spam/data.csv.gz", "target": "label", "minutes": "0.5", "more": "columns: {text: [text]}\n"},
        _text_rows,
    ),
    "image": (
        {"data": "mnist_10k/mnist_10k.npz", "target": "label", "minutes": "1.5", "more": "split: {by: index}\n"},
        _image_rows,
    ),
}


def main() -> None:
    """Measure what is missing, print predictions beside measurements, and end with 1 where a bar is not met."""
    only = os.environ.get("ONLY", "").replace(",", " ").split() or list(KINDS)
    if unknown := [name for name in only if name not in KINDS]:
        sys.exit(f"{unknown[0]!r} is not known; there are {', '.join(KINDS)}")
    bench = Bench("capacity", packages=("onnxruntime", "numpy"))
    for name in only:
        bench.measure({"kind": name}, lambda name=name: measured(name))
    for name in only:
        for row in bench.rows(kind=name):
            print(f"\n{name}: {row['recipe']}\n{_said(row)}")
    print()
    tables = bench.rows(kind="table")
    bench.bar("8. cold start of the table's bundle < 1.5 s", tables, lambda rows: _below(rows, "start_seconds", 1.5))
    bench.bar("8. its resident memory < 150 MB", tables, lambda rows: _below(rows, "memory_mb", 150))
    for name in only:
        bench.bar(f"predicted and measured for {name}", bench.rows(kind=name), lambda rows: (True, _ratios(rows[-1])))
    bench.finish()


def _below(rows: Any, name: str, bound: float) -> tuple[bool, str]:
    return rows[-1][name] < bound, f"{rows[-1][name]:.3g}"


def _said(row: Mapping[str, Any]) -> str:
    lines = [f"  {'':36} {'predicted':>10} {'measured':>10} {'ratio':>7}"]
    for each in row["figures"]:
        numbers = [each["predicted"], each["measured"]["value"], each["ratio"]]
        cells = ["-" if n is None else f"{n:,.3g}" if n < 1000 else f"{n:,.0f}" for n in numbers]
        lines.append(f"  {each['what'] + ', ' + each['unit']:44} {cells[0]:>10} {cells[1]:>10} {cells[2]:>7}")
    return "\n".join(lines)


def _ratios(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{e['what']} {e['ratio']:.2f} times" for e in row["figures"] if e["ratio"] is not None)


def _run_of(name: str) -> Path:
    """Return the run of a kind, made where it is missing.

    Raises
    ------
    ValueError
        If it does not come to a bundle.
    """
    folder = CACHE / "runs" / name
    if (folder / "report.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # what a failed run left
    folder.parent.mkdir(parents=True, exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n", encoding="ascii")
    spec = folder.with_suffix(".yaml")
    spec.write_text(_RUN.format(name=name, target_ms=TARGET_MS, **KINDS[name][0]), encoding="utf-8")
    done = subprocess.run(
        [*_COMMAND, "run", spec, "--out", folder],
        env=os.environ | {"STEELYARD_DATA": str(DATA)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in _FINE:
        raise ValueError(done.stderr.strip()[-500:])
    return folder


def measured(name: str) -> Mapping[str, Any]:
    """Return what one bundle bears, and what its run said.

    Raises
    ------
    ValueError
        If a step fails.
    """
    run, rows = _run_of(name), CACHE / "runs" / f"{name}.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in KINDS[name][1]()), encoding="utf-8")
    starts = []
    for _ in range(STARTS - 1):
        with _Server(run) as server:
            starts.append(server.seconds)
    with _Server(run) as server:
        starts.append(server.seconds)
        alone = _load(server.port, run, rows, "--connections", "1", "--seconds", SECONDS)
        begin = max(20.0, alone["result"]["achieved_rps"] / 2)
        search = ["--find-max", "--p95-ms", f"{TARGET_MS:g}", "--rps", f"{begin:.0f}", "--seconds", SECONDS]
        found = _load(server.port, run, rows, *search, "--warm-up", "0.5")
        memory = server.memory
    return {
        "figures": [*alone["predicted"]["figures"], *found["predicted"]["figures"]],
        "vouched_for": found["vouched_for"],
        "recipe": json.loads((run / "report.json").read_bytes())["decision"]["recipe"][:200],
        "start_seconds": float(np.median(starts)),
        "memory_mb": memory / 1e6,
    }


def _load(port: int, run: Path, rows: Path, *options: str) -> dict[str, Any]:
    command = ["taskset", "-c", str(LOAD_CORE), *_COMMAND, "load", f"http://127.0.0.1:{port}", "--rows", str(rows)]
    done = subprocess.run(
        [*command, "--run", str(run), "--json", *options], capture_output=True, text=True, check=False
    )
    if not done.stdout:
        raise ValueError(done.stderr.strip()[-500:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class _Server:
    """Serves the bundle of a run on its core; knows how long that took until it answered."""

    def __init__(self, run: Path) -> None:
        command = ["taskset", "-c", str(SERVER_CORE), *_COMMAND, "serve", str(run), "--no-keys", "--port", "0"]
        began = time.perf_counter()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        found = re.search(r":(\d+)", self._process.stdout.readline())
        self.seconds = time.perf_counter() - began
        if found is None:
            raise ValueError("the server did not start")
        self.port = int(found[1])

    @property
    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        pages = (
            int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in tree(self._process.pid)
        )
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)


if __name__ == "__main__":
    main()
