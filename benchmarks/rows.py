"""Measured rows of a benchmark, kept and keyed, and the bars that are computed from them.

A benchmark names *cases*; each case is measured once per machine and kept as a line of
``benchmarks/results/NAME.jsonl`` with commit, versions, seed and machine. A second call measures what is missing.
``FRESH=1`` measures everything anew (the newest row of a case counts); ``MINUTES=5`` starts nothing after that time.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

Row = Mapping[str, Any]
Bar = Callable[[Sequence[Row]], tuple[bool, str]]


class Bench:
    """One benchmark: measure cases, then hold the rows against bars.

    ``packages`` are those whose versions belong to a row; ``folder`` is where the rows are kept.
    """

    def __init__(self, name: str, packages: Sequence[str] = (), folder: Path = RESULTS) -> None:
        self.name, self.file = name, folder / f"{name}.jsonl"
        self._about = {"commit": commit(), "machine": machine(), "versions": versions(packages)}
        self._fresh = os.environ.get("FRESH", "") not in ("", "0")
        minutes = os.environ.get("MINUTES", "")
        self._deadline = time.monotonic() + 60 * float(minutes) if minutes else float("inf")
        self._known = {_key(row): row for row in self._read()}
        self._short: list[str] = []
        self._skipped = 0

    def measure(self, case: Mapping[str, Any], how: Callable[[], Mapping[str, Any]], *, seed: int = 0) -> None:
        """Measure a case, unless its row is known or the time is up; a failure is a row that is missing."""
        row = {"case": dict(case), "seed": seed, **self._about}
        if _key(row) in self._known and not self._fresh:
            return
        if time.monotonic() > self._deadline:
            self._skipped += 1
            return
        print(f"measuring {_words(case)}", flush=True)
        try:
            row["result"] = dict(how())
        except (OSError, subprocess.SubprocessError, ValueError) as problem:
            print(f"  failed: {problem}", flush=True)
            return
        row["when"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._known[_key(row)] = row
        self._write(row)

    def rows(self, **case: Any) -> list[Row]:
        """Return the results of this machine whose case has these values."""
        here = [row for row in self._known.values() if row["machine"] == self._about["machine"]]
        return [r["result"] for r in here if all(r["case"].get(k) == v for k, v in case.items())]

    def bar(self, sentence: str, rows: Sequence[Row], met: Bar, *, least: int = 1) -> None:
        """Hold rows against a bar; fewer than ``least`` rows do not meet it."""
        if len(rows) < least:
            fine, figure = False, f"{len(rows)} of {least} rows"
        else:
            fine, figure = met(rows)
        print(f"{'met  ' if fine else 'SHORT'}  {sentence}: {figure}")
        if not fine:
            self._short.append(sentence)

    def finish(self) -> None:
        """Print the last line and end: 0 where all bars are met, 1 where one fell short."""
        if self._skipped:
            print(f"{self._skipped} cases were left for another call: MINUTES are up")
        print(f"fell short: {'; '.join(self._short)}" if self._short else "all bars met")
        sys.exit(1 if self._short else 0)

    def _read(self) -> list[Row]:
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines() if line.strip()]

    def _write(self, row: Row) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")


def median_within(field: str, most: float, unit: str) -> Bar:
    """Make a bar: the median of a field is at most a number."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        values = sorted(float(row[field]) for row in rows)
        middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
        return middle <= most, f"{middle:.3g} {unit} (median of {len(values)}; {values[0]:.3g} to {values[-1]:.3g})"

    return met


def commit() -> str:
    """Return the commit that is checked out, with a mark where the tree differs from it."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, system, Python."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages; ``"absent"`` where one is not installed."""
    found = {}
    for name in ("steelyard", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _key(row: Row) -> str:
    return json.dumps([row["case"], row["seed"], row["machine"]], sort_keys=True)


def _words(case: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in case.items())
