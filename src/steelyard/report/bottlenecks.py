"""Where the seconds of every trial went, and what to do where some of them were wasted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steelyard.clock import Times
from steelyard.contracts import Trial
from steelyard.search.record import RunRecord

Json = dict[str, Any]

LEAST_SECONDS = 0.5
"""Below that nothing is called wasted: it is not worth a sentence."""
LEAST_SHARE = 0.25
"""Of a trial's seconds, from which on something is."""
IDLE = 0.3
"""Share of the cores that a trial held, from which on they are called idle."""
_PHASES = ("loading", "preparing", "computing", "waiting")
_MEGABYTE = 1e6


def bottlenecks(record: RunRecord) -> Json | None:
    """Return the block ``bottlenecks``: the run as a whole, and its trials; ``None`` where no trial was clocked.

    ``idle_share`` is of the core-seconds that a trial, or all of them, held; ``between_share`` that of the run's in
    which no trial held a core: starting, weighing, deciding, or fewer trials than workers. Both are 0 to 1.
    """
    clocked = {trial.number: trial.times for trial in record.trials if trial.times is not None}
    if not clocked:
        return None
    rows = [_row(number, times) for number, times in clocked.items()]
    held, whole = sum(t.total * t.cores for t in clocked.values()), _core_seconds(record, clocked.values())
    idle = max(0.0, held - sum(t.busy for t in clocked.values()))
    made = {name: sum(row[name] for row in rows) for name in _PHASES}
    return {
        "cores": whole[0],
        **made,
        "seconds": sum(made.values()),
        "idle_share": idle / held if held else 0.0,
        "between_share": max(0.0, 1.0 - held / whole[1]) if whole[1] else 0.0,
        "unclocked": [trial.number for trial in record.trials if trial.times is None],
        "trials": rows,
        "sentence": _of_run(rows, record.trials),
    }


def _core_seconds(record: RunRecord, clocked: Any) -> tuple[int, float]:
    """Return the cores of a run, and its core-seconds from the first to the last."""
    cores = record.spec.workers * max((times.cores for times in clocked), default=1)
    return cores, float(record.spent.seconds) * cores


def _row(number: int, times: Times) -> Json:
    seconds = {name: float(getattr(times, name)) for name in _PHASES}
    shares = {"cores": times.cores, "idle_share": times.idle_share}
    return {"number": number, "seconds": float(times.total), **seconds, **shares, "sentence": remedy(times)}


def remedy(times: Times) -> str | None:
    """Return what was wasted most and what helps against it, in a sentence; ``None`` where little was.

    Examples
    --------
    >>> from steelyard.units import NO_TIME, Seconds
    >>> rest = dict(loading=NO_TIME, preparing=NO_TIME)
    >>> remedy(Times(computing=Seconds(6.0), waiting=NO_TIME, busy=Seconds(6.0), **rest)) is None
    True
    >>> remedy(Times(computing=Seconds(6.0), waiting=NO_TIME, busy=Seconds(6.0), cores=2, **rest))
    'It held 2 cores and used 1.0 of them: run more trials at once, with a larger `workers` in the spec.'
    """
    total = float(times.total)
    found = [(lost, sentence) for lost, sentence in _wastes(times) if lost >= LEAST_SECONDS]
    if not found or total <= 0:
        return None
    return max(found)[1]


def _wastes(times: Times) -> Iterator[tuple[float, str]]:
    """Yield the seconds that each kind of waste took of a trial, where it is one, and its sentence."""
    total = float(times.total)
    if times.loading >= LEAST_SHARE * total:
        went = f"{_of(times.loading, total)} went into reading modules and data and writing files"
        yield (
            times.loading,
            f"{went}: where it is not the first trial of its worker, put the run folder on a faster disk.",
        )
    if times.preparing >= 2 * LEAST_SHARE * total:
        went = f"{_of(times.preparing, total)} went into making rows and columns ready"
        yield times.preparing, f"{went}: fewer columns (`columns.ignore`, the lever select) or fewer words cost less."
    if times.waiting >= LEAST_SHARE * total:
        yield times.waiting, _of_waiting(times, total)
    if times.cores > 1 and times.idle_share >= IDLE and times.computing + times.preparing >= total / 2:
        used = f"It held {times.cores} cores and used {times.busy / total:.1f} of them"
        yield times.idle_share * total, f"{used}: run more trials at once, with a larger `workers` in the spec."


def _of_waiting(times: Times, total: float) -> str:
    lost = f"For {_of(times.waiting, total)}"
    if times.for_cores >= 0.5 * times.waiting:
        return (
            f"{lost} it was ready while other work held the cores: give the run fewer `workers`, or the machine alone."
        )
    if times.read_bytes >= _MEGABYTE:
        return (
            f"{lost} nothing ran, and it read {times.read_bytes / _MEGABYTE:,.0f} MB: put what it reads on a faster "
            "disk, or into memory."
        )
    return (
        f"{lost} nothing ran: it slept, or waited for a worker, a disk, a lock or another machine; see what it calls."
    )


def _of(seconds: float, total: float) -> str:
    return f"{seconds:.1f} of its {total:.1f} s"


def _of_run(rows: Sequence[Mapping[str, Any]], trials: Sequence[Trial]) -> str | None:
    """Return the sentence of the trial that lost most, with how many others have one; ``None`` where none has."""
    told = [row for row in rows if row["sentence"]]
    if not told:
        return None
    worst = max(told, key=lambda row: row["seconds"] - row["computing"] * (1.0 - row["idle_share"]))
    more = "" if len(told) == 1 else f" {len(told)} of {len(trials)} trials lost time; this one lost most."
    return f"Trial {worst['number']}: {worst['sentence']}{more}"
