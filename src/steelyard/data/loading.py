"""The whole way from a spec to a data set, step by step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints, Problem, Schema, Split, Task
from steelyard.data import checks, source
from steelyard.data.coerce import objects
from steelyard.data.dataset import Dataset, Finding, Partition, Severity
from steelyard.data.fast import categories
from steelyard.data.fingerprint import fingerprint
from steelyard.data.forecasting import forecasting
from steelyard.data.gather import gather
from steelyard.data.hashing import Hashes, hash_columns, hash_rows
from steelyard.data.infer import Typed, schema_of, typed_columns
from steelyard.data.leaks import Evidence, leaks
from steelyard.data.repeats import repeat
from steelyard.data.roles import Roles, roles_of
from steelyard.data.sides import sides_of, times_of, weights_of
from steelyard.data.splits import Ground, partition, repeats
from steelyard.data.table import Table
from steelyard.data.tagged import code_tags, of_conflicts, of_tags, of_untagged, strata_of
from steelyard.data.target import Target, code_target
from steelyard.data.task import task_of
from steelyard.data.tokens import is_tagging
from steelyard.data.units import group_codes, latest, units_of
from steelyard.data.value import amounts_of, with_means
from steelyard.errors import DataUnfit
from steelyard.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a look at the data found, whether or not it can be learned from.

    ``dataset`` is ``None`` when a finding stops the run; ``task`` when the target cannot be coded; ``rows`` counts
    those of the source.
    """

    name: str
    source: str
    rows: int
    schema: Schema
    task: Task | None
    findings: tuple[Finding, ...]
    dataset: Dataset | None
    sided: bool = False
    """Whether the files themselves say which rows are for the test."""


def load(spec: Spec, base: Path | None = None) -> Dataset:
    """Read, type, check and split the data of a spec.

    Parameters
    ----------
    spec
        What is wanted; its ``data``, ``target``, ``columns``, ``split`` and ``checks`` are used here.
    base
        Folder that a relative path of data starts from: where the spec lies.

    Raises
    ------
    DataUnreadable
        If the data is not found or cannot be read as a table.
    DataUnfit
        If it cannot be learned from as it stands; the message lists every reason, each with its way out.
    """
    seen = inspect(spec, base)
    if seen.dataset is None:
        stops = [finding.sentence for finding in seen.findings if finding.severity is Severity.STOP]
        head = f"{seen.source} cannot be learned from as it stands:"
        raise DataUnfit(stops[0] if len(stops) == 1 else "\n  ".join([head, *stops]))
    return seen.dataset


def inspect(spec: Spec, base: Path | None = None) -> Inspection:
    """Look at the data of a spec as :func:`load` does, and return what was found instead of stopping at it.

    Raises
    ------
    DataUnreadable
        If the data is not found or cannot be read as a table.
    DataUnfit
        If the spec names columns that are not there.
    SpecInvalid
        If the spec asks for a metric, outcomes or a positive class that the target cannot have.
    """
    whole = source.read(spec, base)
    if spec.forecast is not None:
        return _of_forecast(spec, whole, base)
    gathered = gather(whole, spec)
    table, spec = gathered.table, gathered.spec
    roles = roles_of(spec, tuple(table.columns))
    typed = typed_columns(spec, table, roles)
    unusable = [t.unusable for t in typed if t.unusable is not None]
    target = _coded(spec, table, typed, ~np.any(unusable, axis=0) if unusable else None)
    schema = schema_of(typed)
    findings = [] if table.drawn is None else [table.drawn.finding(table.source)]
    if table.note:
        findings.append(Finding(code="taken_for_granted", severity=Severity.NOTE, sentence=table.note))
    findings += [*gathered.findings, *target.findings, *(finding for t in typed for finding in t.findings)]
    findings += checks.of_schema(schema, spec)
    findings += () if target.problem is Problem.TAGGING else of_untagged(schema)
    findings += checks.of_size(int(target.keep.sum()), schema, spec)
    findings += checks.of_categories(int(target.keep.sum()), schema)
    task = None
    if target.problem is not None:
        task, chosen = task_of(spec, target)
        findings += chosen
    dataset = None
    if task is not None and not _stops(findings):
        try:
            dataset, more = _Making(spec, table, roles, typed, target, task).dataset()
        except DataUnfit as problem:  # weights, times or sides that cannot be used, or a split that leaves a part empty
            more = [Finding(code="unfit", severity=Severity.STOP, sentence=str(problem))]
        findings += more
    findings = _by_severity(findings)
    if dataset is not None:
        schema = dataset.schema
        dataset = None if _stops(findings) else replace(dataset, findings=tuple(findings))
    return Inspection(
        name=spec.name or table.name,
        source=table.source,
        rows=whole.rows if whole.drawn is None else whole.drawn.total,
        schema=schema,
        task=task,
        findings=tuple(findings),
        dataset=dataset,
        sided=table.sides is not None,
    )


def _coded(spec: Spec, table: Table, typed: Sequence[Typed], usable: NDArray[np.bool_] | None) -> Target:
    cells = table.columns[spec.target]
    return code_tags(spec, cells, typed, usable) if is_tagging(spec, table) else code_target(spec, cells, usable)


def _of_forecast(spec: Spec, table: Table, base: Path | None) -> Inspection:
    """Look at series; see :mod:`steelyard.data.forecasting`."""
    drawn = [] if table.drawn is None else [table.drawn.finding(table.source)]
    dataset: Dataset | None = None
    try:
        dataset, findings = forecasting(spec, table, base)
    except DataUnfit as problem:
        findings = [Finding(code="unfit", severity=Severity.STOP, sentence=str(problem))]
    findings = _by_severity([*drawn, *findings])
    return Inspection(
        name=spec.name or table.name,
        source=table.source,
        rows=table.rows if table.drawn is None else table.drawn.total,
        schema=Schema(()) if dataset is None else dataset.schema,
        task=None if dataset is None else dataset.task,
        findings=tuple(findings),
        dataset=None if dataset is None else replace(dataset, findings=tuple(findings)),
    )


def _stops(findings: Sequence[Finding]) -> bool:
    return any(finding.severity is Severity.STOP for finding in findings)


def _by_severity(findings: Sequence[Finding]) -> list[Finding]:
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


@dataclass(frozen=True, slots=True)
class _Making:
    """A data set in the making: what was read, and what is known of it so far."""

    spec: Spec
    table: Table
    roles: Roles
    typed: list[Typed]
    target: Target
    task: Task

    def dataset(self) -> tuple[Dataset, list[Finding]]:
        """Return the data set, and what was found on the way to it."""
        schema, rows = schema_of(self.typed), self._rows()
        hashes = hash_columns(rows.columns, schema)
        content = hash_rows(hashes.values(), len(rows))
        groups = self._cells(self.spec.split.group)
        ground = self._ground(rows, units_of(content, groups))
        parts = partition(self.spec.split, ground)
        findings = list(checks.of_duplicates(content, parts))
        known = parts.development
        if self.task.problem is Problem.TAGGING:
            findings += of_tags(rows.target, self.task, parts)
            findings += of_conflicts(content[known], rows.target[known])
        else:
            findings += checks.of_parts(rows.target, self.task, parts) if self.task.classes else ()
            findings += checks.of_conflicts(content[known], rows.target[known], self.task)
        empty = list(checks.without_values(rows.columns, schema, parts))
        schema, rows = _without({f.column for f in empty if f.code == "empty_in_training"}, schema, rows)
        schema, rows, leaky = self._without_leaks(schema, rows, parts, ground.units)
        findings += empty + leaky
        findings += [f for f in checks.of_size(len(rows), schema, self.spec) if f.code == "no_features"]
        task = with_means(self.task, rows.take(known), schema)
        spare = self._unlabelled(schema)
        made = Dataset(
            name=self.spec.name or self.table.name,
            source=self.table.source,
            schema=schema,
            task=task,
            rows=rows,
            partition=parts,
            findings=(),
            fingerprint=fingerprint(schema, self.task, rows, hashes, parts, spare),
            groups=None if groups is None else group_codes(groups),
            times=ground.times,
            unlabelled=spare,
        )
        return repeat(made, ground, repeats(self.spec.split, ground, parts)), findings

    def _cells(self, name: str | None) -> NDArray[Any] | None:
        return None if name is None else categories(self.table.columns[name])[self.target.keep]

    def _rows(self) -> Split:
        keep = self.target.keep
        columns = {t.column.name: t.values[keep] for t in self.typed if t.values is not None}
        amounts = amounts_of(self.task, self.table, keep)
        return Split(columns, self.target.values[keep], self.table.index[keep], self._weights(), amounts)

    def _unlabelled(self, schema: Schema) -> Split | None:
        """Return the rows without a target that are kept, with the columns that are."""
        spare = self.target.spare
        if spare is None:
            return None
        names = {column.name for column in schema.features}
        columns = {
            t.column.name: t.values[spare] for t in self.typed if t.values is not None and t.column.name in names
        }
        rows = self.table.index[spare]
        tags = self.task.problem is Problem.TAGGING
        target = objects([()] * len(rows)) if tags else np.zeros(len(rows), self.target.values.dtype)
        return Split(columns, target, rows)

    def _weights(self) -> Floats | None:
        name = self.spec.columns.weight
        return None if name is None else weights_of(name, self.table.columns[name])[self.target.keep]

    def _ground(self, rows: Split, units: Hashes) -> Ground:
        split, keep = self.spec.split, self.target.keep
        strata: Ints = np.zeros(len(rows), dtype=np.int64)
        if self.task.problem is Problem.TAGGING and split.group is None:
            strata = strata_of(rows.target, self.task)
        elif self.task.problem is not Problem.REGRESSION and split.group is None:
            strata = rows.target
        return Ground(
            units=units,
            strata=strata,
            index=rows.rows,
            times=self._times(units),
            sides=None if (sides := self._sides()) is None else sides[keep],
        )

    def _sides(self) -> NDArray[np.str_] | None:
        """Return the side of each row, as a column or the files give it."""
        split, given = self.spec.split, self.table.sides
        if split.column is not None:
            return sides_of(split.column, self.table.columns[split.column])
        if given is not None and (also := sorted({"test", "time", "by"} & split.model_fields_set)):
            raise DataUnfit(f"split.{also[0]}: the files already say which rows are for the test; leave it out")
        return given

    def _times(self, units: Hashes) -> Floats | None:
        """Return the time of each row: of the latest of its group, where groups stay together in a split by time."""
        split = self.spec.split
        if split.time is None:
            return None
        times = times_of(split.time, self.table.columns[split.time])[self.target.keep]
        return times if split.group is None else latest(times, units)

    def _without_leaks(
        self, schema: Schema, rows: Split, parts: Partition, units: Hashes
    ) -> tuple[Schema, Split, list[Finding]]:
        """Look for leaks in the development rows, and do about them what the spec says."""
        if self.task.problem is Problem.TAGGING:
            return schema, rows, []
        known = rows.take(parts.development)
        evidence = Evidence(columns=known.columns, target=known.target, units=units[parts.development])
        found = leaks(evidence, schema, self.task)
        allowed = set(self.spec.columns.allow)
        if self.spec.checks.leaks == "keep":
            allowed |= {finding.column for finding in found if finding.column is not None}
        found = [_kept(f) if f.column in allowed else f for f in found]
        if self.spec.checks.leaks != "drop":
            return schema, rows, found
        dropped = {finding.column for finding in found if finding.severity is Severity.STOP}
        found = [_dropped(f) if f.column in dropped else f for f in found]
        return *_without(dropped, schema, rows), found


def _without(names: Collection[str | None], schema: Schema, rows: Split) -> tuple[Schema, Split]:
    """Return schema and rows without some columns."""
    if not names:
        return schema, rows
    columns = {name: values for name, values in rows.columns.items() if name not in names}
    return Schema(tuple(c for c in schema.columns if c.name not in names)), replace(rows, columns=columns)


def _kept(finding: Finding) -> Finding:
    said = finding.sentence.split(";")[0]
    return replace(finding, severity=Severity.NOTE, sentence=f"{said}; kept, because the spec allows it")


def _dropped(finding: Finding) -> Finding:
    said = finding.sentence.split(";")[0]
    return replace(finding, severity=Severity.WARN, sentence=f"{said}; left out, as checks.leaks asks")
