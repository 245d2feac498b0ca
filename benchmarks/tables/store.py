"""Rows that were measured, kept as lines of ``benchmarks/results/tables.jsonl`` and keyed.

A row's key is (tool, version, set, budget, seed) and the machine. The newest row of a key counts. Versions of peers
are those of their packages; ours has a digest of the sources behind it (``0.1.0+3f2a9c1d``), so that a row tells
which code it measured.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from rows import RESULTS, ROOT, Bench, commit, machine, versions

__all__ = ["CACHE", "ENVIRONMENTS", "RESULTS", "ROOT", "Bench", "Case", "Store", "case_of", "ignored", "our_version"]

CACHE = ROOT / "benchmarks" / "tables" / "cache"
"""Data as the tools get it, models, logs, predictions: made again at any time, and kept out of the repository."""
ENVIRONMENTS = ROOT / ".venv-bench"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure. ``budget`` is in seconds; 0 is for tools that have none (models with defaults)."""

    tool: str
    set: str
    budget: int
    seed: int

    def __str__(self) -> str:
        asked = f"{self.budget} s" if self.budget else "no budget"
        return f"{self.tool} on {self.set}, {asked}, seed {self.seed}"

    @property
    def slug(self) -> str:
        return f"{self.tool}-{self.set}-{self.budget}-{self.seed}"


class Store:
    """The rows in one file; appends, never rewrites."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.file = folder / "tables.jsonl"
        self.machine = machine()
        self._commit = commit()
        self._rows: dict[str, Row] = {}
        for row in self._read():
            self._take(row)

    def rows(self, *, anywhere: bool = False) -> list[Row]:
        """Return the newest row of each key on this machine; ``anywhere``: on every machine."""
        return [row for row in self._rows.values() if anywhere or row["machine"] == self.machine]

    def has(self, case: Case, version: str | None = None) -> bool:
        """Tell whether a case is known on this machine; ``version``: only where it was measured with that one."""
        return any(
            case_of(row) == case and (version is None or row["case"]["version"] == version) for row in self.rows()
        )

    def add(self, case: Case, version: str, result: Mapping[str, Any], packages: Mapping[str, str]) -> None:
        """Write one row to disk."""
        facts = asdict(case)
        seed = facts.pop("seed")
        row = {
            "case": facts | {"version": version},
            "seed": seed,
            "commit": self._commit,
            "machine": self.machine,
            "versions": dict(packages),
            "result": dict(result),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self._take(row)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")

    def _take(self, row: Row) -> None:
        key = json.dumps([row["case"], row["seed"], row["machine"]], sort_keys=True)
        self._rows.pop(key, None)  # the newest stands last
        self._rows[key] = row

    def _read(self) -> Iterator[Row]:
        if self.file.exists():
            lines = self.file.read_text(encoding="utf-8").splitlines()
            yield from (json.loads(line) for line in lines if line.strip())


def case_of(row: Row) -> Case:
    """Return the case that a row measured."""
    case = row["case"]
    return Case(case["tool"], case["set"], case["budget"], row["seed"])


def our_version() -> str:
    """Return our version with a digest of every file of the package."""
    source = ROOT / "src" / "steelyard"
    digest = hashlib.sha256()
    for path in sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{versions(())['steelyard']}+{digest.hexdigest()[:8]}"


def ignored(folder: Path) -> Path:
    """Make a folder that git does not look into."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="ascii")
    return folder
