"""What the rest of Steelyard sees of the data: typed rows, a partition, and what the checks found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from steelyard.contracts import Floats, Ints, Schema, Split, Task


class Severity(StrEnum):
    """What a finding means for a run."""

    STOP = "stop"
    WARN = "warn"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the checks saw in the data, as a sentence that ends with the way out.

    ``numbers`` holds the figures of the sentence by name (counts, shares, solo scores).
    """

    code: str
    severity: Severity
    sentence: str
    column: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "column": self.column,
            "sentence": self.sentence,
            "numbers": dict(self.numbers),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**data, "severity": Severity(data["severity"])})


@dataclass(frozen=True, slots=True)
class Part:
    """One training and its scoring: positions of the rows to fit on and of the rows to score.

    ``name`` is ``"holdout"``, ``"fold-0"``, or ``"fold-0.2"`` where folds are dealt a second time.
    """

    name: str
    fit: Ints
    score: Ints

    @property
    def turn(self) -> int:
        """Which dealing of the folds it belongs to: 1 for the first."""
        return int(self.name.partition(".")[2] or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Which rows train, choose, calibrate and test; all are sorted positions into ``Dataset.rows``.

    ``protocol`` is ``"holdout"`` (one part) or, for example, ``"5-fold"`` (one part a fold, and validation and
    calibration are the same out-of-fold rows), or ``"2 x 5-fold"``: the folds are dealt twice, and what the second
    dealing fits and scores are copies of the rows, so that each has an out-of-fold answer from either.
    """

    protocol: str
    test: Ints
    parts: tuple[Part, ...]
    validation: Ints
    calibration: Ints

    @property
    def scored(self) -> Ints:
        """Rows that some part scores: validation and calibration, sorted."""
        return np.union1d(self.validation, self.calibration)

    @property
    def development(self) -> Ints:
        """Every row but the test rows, sorted; each once."""
        arrays = [rows for part in self.parts if part.turn == 1 for rows in (part.fit, part.score)]
        there = np.zeros(1 + max((int(rows[-1]) for rows in arrays if len(rows)), default=-1), dtype=bool)
        for rows in arrays:
            there[rows] = True
        return np.flatnonzero(there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A table that can be learned from: typed columns, a coded target, fixed splits, a fingerprint.

    ``rows`` holds every usable row and the feature columns alone; ``groups`` one code a row where
    ``split.group`` names a column; ``times`` when each row was, where ``split.time`` does; ``source`` says
    where it came from.
    """

    name: str
    source: str
    schema: Schema
    task: Task
    rows: Split
    partition: Partition
    findings: tuple[Finding, ...]
    fingerprint: str
    groups: Ints | None = None
    times: Floats | None = None
    unlabelled: Split | None = None
    """Rows without a target, kept for what learns without one; their ``target`` means nothing."""

    @property
    def originals(self) -> Split:
        """Every usable row once, without the copies that further dealings of the folds work on."""
        if all(part.turn == 1 for part in self.partition.parts):
            return self.rows
        return self.rows.take(np.sort(np.unique(self.rows.rows, return_index=True)[1]))

    @property
    def clusters(self) -> Ints | None:
        """What a resample must take or leave as one, a code a row: groups, the copies of a row, or ``None``: rows."""
        if self.groups is not None:
            return self.groups
        return self.rows.rows if any(part.turn > 1 for part in self.partition.parts) else None
