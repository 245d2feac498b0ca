"""What lies in a folder of runs, read from the ends of their files: a list must not cost a recount of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from steelyard.errors import RunUnreadable
from steelyard.units import Estimate

TAIL, HEAD = 16_384, 32_768
"""Bytes of the end of events.jsonl, and of the beginning of report.json, that are looked at."""
_LINE = 9
"""Bytes of a checksum and the space behind it, before the JSON of an event."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading files raises that anybody may have cut short or written over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One run of a list. ``state`` is ``ended``, ``open`` (going on, or stopped on the way) or ``damaged``."""

    folder: str
    state: Literal["ended", "open", "damaged"]
    name: str = ""
    created: str = ""
    target: str = ""
    aim: str = ""
    title: str = ""
    feasible: bool | None = None
    quality: Estimate | None = None
    cost_per_million: float | None = None
    spent: float | None = None
    currency: str = ""
    problem: str = ""


Known = dict[tuple[str, tuple[int, int, int, int]], Listed]
"""What was read, by place and by the stamps and sizes of its files."""
MOST_KNOWN = 20_000


def list_runs(folder: Path, known: Known | None = None) -> list[Listed]:
    """Return the runs that lie directly in a folder, latest first; damaged ones too, with what is wrong.

    With ``known``, a run is read again only where its files have changed. Links are not followed.

    Raises
    ------
    RunUnreadable
        If the folder cannot be read.
    """
    read: Known = {} if known is None else known
    found = [_listed(place, read) for place in places(folder)]
    return sorted(found, key=lambda run: (run.created, run.folder), reverse=True)


def places(folder: Path) -> Iterator[Path]:
    """Yield the run folders directly in a folder.

    Raises
    ------
    RunUnreadable
        If it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except OSError as problem:
        raise RunUnreadable(
            f"{folder} cannot be read ({problem.strerror}); name a folder that holds runs, such as runs/"
        ) from problem
    for name in found:
        place = folder / name
        if (place / "events.jsonl").is_file() or (place / "report.json").is_file():
            yield place


def _listed(place: Path, known: Known) -> Listed:
    try:
        key = place.as_posix(), _stamp(place)
        if key not in known:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[key] = _read(place)
        return known[key]
    except UNREADABLE as problem:
        return Listed(folder=place.name, state="damaged", problem=f"{type(problem).__name__}: {problem}"[:200])


def _stamp(place: Path) -> tuple[int, int, int, int]:
    events = (place / "events.jsonl").stat()
    try:
        report = (place / "report.json").stat()
    except FileNotFoundError:
        return events.st_mtime_ns, events.st_size, 0, 0
    return events.st_mtime_ns, events.st_size, report.st_mtime_ns, report.st_size


def _read(place: Path) -> Listed:
    first, last = _ends(place / "events.jsonl")
    facts = first["facts"]
    begun = Listed(folder=place.name, state="open", name=str(facts["name"]), created=str(facts["created"]))
    if last["kind"] != "finished" or not (place / "report.json").is_file():
        return begun
    report = head_of(place / "report.json")
    task, decision, spent = report["task"], report["decision"], report["spent"]
    found = {} if decision is None else decision["test"] or decision["validation"]
    return replace(
        begun,
        state="ended",
        target=str(task["target"]),
        aim=str(task["aim"]),
        title="" if decision is None else str(decision["title"]),
        feasible=None if decision is None else bool(decision["feasible"]),
        quality=Estimate.from_json(found[task["aim"]]) if task["aim"] in found else None,
        cost_per_million=None if decision is None else decision["cost_per_million"],
        spent=float(spent["money"]),
        currency=str(spent["currency"]),
    )


def _ends(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the first event of a run and the last whole one."""
    with path.open("rb") as file:
        first = file.readline()
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        whole = file.read().rpartition(b"\n")[0]
    return orjson.loads(first[_LINE:]), orjson.loads(whole.rpartition(b"\n")[2][_LINE:])


def head_of(path: Path) -> Any:
    """Return what report.json says before its frontier; all of it where that is not how it was written."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        top, found, _ = head.partition(b'\n "frontier":')
        return orjson.loads(top.rstrip().rstrip(b",") + b"}" if found else head + file.read())
