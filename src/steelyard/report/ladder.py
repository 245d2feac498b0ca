"""The ladder: each model that was made cheaper, the one it began with first, with what every step gained and lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.contracts import Ending, Trial
from steelyard.decide import Shrunken
from steelyard.decide.words import decimals, figure
from steelyard.recipe import Recipe, Shrink, line_above
from steelyard.report.rows import Json as Row
from steelyard.report.words import DASH, Json, estimate, size
from steelyard.search.record import RunRecord
from steelyard.units import Estimate

FIGURES = ("latency_p50_ms", "latency_p95_ms", "throughput_rps", "memory_bytes")


def ladder(record: RunRecord, rows: Sequence[Row]) -> list[Row]:
    """Return a family for each model that steps of shrinking began with, in the order of their trials.

    ``rows`` are the trials as the report has them. A step that failed stands there with its reason, one that its lever
    refused to take does not. ``lost``
    is by how much it is worse in the aim than trial ``against``, the last of its line that was kept, with the paired
    95% interval; ``p50_ratio`` and ``p95_ratio`` are its latency over that one's.
    """
    by_number = {row["number"]: row for row in rows}
    found: Mapping[int, Shrunken] = {}
    if record.decision is not None:
        found = {each.number: each for each in record.decision.shrunk}
    families: dict[Recipe, list[Trial]] = {}
    for trial in record.trials:
        if isinstance(trial.recipe, Shrink) and trial.ending is not Ending.REFUSED:
            families.setdefault(line_above(trial.recipe)[-1], []).append(trial)
    numbers = {trial.recipe: trial.number for trial in record.trials}
    made = []
    for root, steps in families.items():
        if root in numbers:
            first = _step(by_number[numbers[root]], None, None)
            below = [
                _step(by_number[t.number], found.get(t.number), numbers.get(line_above(t.recipe)[0])) for t in steps
            ]
            made.append({"root": numbers[root], "threads": _threads(record, numbers[root]), "steps": [first, *below]})
    return made


def _threads(record: RunRecord, number: int) -> int | None:
    weight = next(t for t in record.trials if t.number == number).weight
    return None if weight is None else weight.threads


def _step(row: Row, found: Shrunken | None, parent: int | None) -> Row:
    reason = "" if found is None else found.reason
    if parent is not None and found is None:
        reason = _unmeasured(row)
    return {
        "number": row["number"],
        "title": row["title"],
        "recipe": row["recipe"],
        "parent": parent,
        "against": None if found is None else found.against,
        "size_bytes": row["size_bytes"],
        **{name: row["figures"].get(name) for name in FIGURES},
        "validation": row["validation"],
        "lost": _json(None if found is None else found.lost),
        "p50_ratio": _json(None if found is None else found.p50),
        "p95_ratio": _json(None if found is None else found.p95),
        "kept": not reason,
        "reason": reason,
        "chosen": row["chosen"],
    }


def _unmeasured(row: Row) -> str:
    """Say why a step that nothing was found of is not kept."""
    if row["ending"] != "measured":
        return str(row["note"] or row["ending_sentence"])
    return str(row["rejected"] or row["note"] or "It was not weighed, so nothing tells whether it is kept.")


def _json(found: Estimate | None) -> Row | None:
    return None if found is None else dict(found.to_json())


def cells(step: Json, aim: str) -> tuple[str, ...]:
    """Return a step's figures as words: size, p50, p95, rows a second, memory, quality, its loss and the interval."""
    return (
        size(step["size_bytes"]),
        *(_plain(estimate(step, name)) for name in FIGURES[:3]),
        DASH if (held := estimate(step, "memory_bytes")) is None else size(held.value),
        _plain(estimate(step["validation"], aim)),
        *lost_words(step),
    )


def lost_words(step: Json) -> tuple[str, str]:
    """Return by how much a step is worse, and the ends of its interval, in as many decimals as the wider end needs.

    Examples
    --------
    >>> lost_words({"lost": {"value": -0.0005, "low": -0.0105, "high": 0.01}})
    ('-0.001', '-0.011 to 0.010')
    >>> lost_words({"lost": None}) == (DASH, "")
    True
    """
    found = step["lost"]
    if found is None or found["value"] is None:
        return DASH, ""
    value, low, high = (found[name] for name in ("value", "low", "high"))
    places = decimals(max(abs(value), abs(low), abs(high)))
    ends = "" if low == high else f"{figure(low, places)} to {figure(high, places)}"
    return figure(value, places), ends


def became(step: Json, family: Json) -> str:
    """Return what became of a step, in a sentence, and what it gained where it was kept."""
    taken = "Taken" if step["chosen"] else "Kept"
    if step["parent"] is None:
        return f"{taken}: the steps began with it."
    if not step["kept"]:
        return f"{'Rejected' if step['against'] is not None else 'Failed'}. {step['reason']}"
    other = next(each for each in family["steps"] if each["number"] == step["against"])
    gains = [_times(other["size_bytes"] / max(step["size_bytes"], 1), "smaller", "larger")]
    if (ratio := estimate(step, "p50_ratio")) is not None and ratio.value > 0:
        gains.append(_times(1 / ratio.value, "faster", "slower"))
    said = " and ".join(gain for gain in gains if gain)
    return f"{taken}: {said or 'no smaller and no faster'} than trial {other['number']}."


def _plain(found: Estimate | None) -> str:
    return DASH if found is None else figure(found.value)


def _times(ratio: float, more: str, less: str) -> str:
    """Say how many times smaller or faster something is; nothing where it is neither by a twentieth.

    Examples
    --------
    >>> _times(4.21, "smaller", "larger"), _times(0.5, "faster", "slower"), _times(1.01, "faster", "slower")
    ('4.21 times smaller', '2.00 times slower', '')
    """
    if 1 / 1.05 < ratio < 1.05:
        return ""
    return f"{ratio:.2f} times {more}" if ratio > 1 else f"{1 / ratio:.2f} times {less}"


def measured(family: Json) -> list[Json]:
    """Return the steps of a family that there are figures of, the model that they began with first."""
    return [step for step in family["steps"] if step["parent"] is None or step["size_bytes"] is not None]


def threads_said(family: Json) -> str:
    """Say with how many threads a family was weighed.

    Examples
    --------
    >>> threads_said({"threads": 1}), threads_said({"threads": 4}), threads_said({"threads": None})
    ('1 thread', '4 threads', 'not weighed')
    """
    count = family["threads"]
    return "not weighed" if count is None else f"{count} thread{'' if count == 1 else 's'}"
