"""One row of a file of devices, read and held to bounds that only slips of the pen lie outside of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from steelyard.devices.bench import Timed
from steelyard.devices.device import KINDS, SPEEDS, Device, Figure
from steelyard.errors import nearest
from steelyard.units import Estimate, How

BOUNDS: dict[str, tuple[float, float, str]] = {
    "float": (0.0005, 50.0, "times a core of a server"),
    "general": (0.0005, 50.0, "times a core of a server"),
    "int8_gain": (0.1, 16.0, "times as fast as float32"),
    "watts": (0.05, 5000.0, "W"),
    "memory_gb": (0.001, 4096.0, "GB"),
    "cores": (1, 1024, "cores"),
}
"""The least and the most of each figure, and its unit."""
ISA = (
    "sse4", "avx2", "avx512", "vnni", "amx-int8", "amx-bf16", "neon", "fp16", "dotprod", "i8mm", "sve", "simd128",
    "rvv",
)  # fmt: skip
RUNTIMES = ("onnxruntime", "onnxruntime-mobile", "onnxruntime-web", "c")
PARTS = (
    "title", "kind", "cores", "memory_gb", "isa", "runtime", "source", "reference", "measured", "extends", "watts",
    "date", "sure", *SPEEDS,
)  # fmt: skip
APART = (0.8, 1.25)
"""How far a bundle's speed may lie from that of the fixed benchmark, assumed, beyond what its graphs differ among
themselves."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that a file names, and the day after which none may be dated."""

    rows: Mapping[str, Any]
    today: date
    file: str

    def cite(self, row: Mapping[str, Any], owner: Mapping[str, Any]) -> tuple[str, str, str]:
        """Return name, day and day of reading of a figure's source; that of its device where it has none itself.

        Raises
        ------
        ValueError
            If there is none, or a day is none or lies in the future.
        """
        given = row.get("source", owner.get("source"))
        if not isinstance(given, str) or not given.strip():
            raise ValueError(
                "a figure needs a `source`: where it was read, or how it was measured (or `how: assumed`, and "
                "estimates that rest on it say so)"
            )
        listed = self.rows.get(given)
        if listed is None:
            return given, self.day(row.get("date", owner.get("date", ""))), ""
        day = row.get("date", listed.get("date", ""))
        return str(listed["name"]), self.day(day), self.day(listed.get("read", ""))

    def day(self, given: object) -> str:
        """Return a day as ISO writes it; empty where there is none."""
        if not given:
            return ""
        try:
            day = date.fromisoformat(str(given))
        except ValueError:
            raise ValueError(f"date must be a day such as 2026-11-23; got {given!r}") from None
        if self.today < date.max and day > self.today + timedelta(days=1):
            raise ValueError(f"date must not lie in the future; got {day} on {self.today}")
        return day.isoformat()


def device_of(name: str, given: object, sources: Sources, base: Mapping[str, Device], *, own: bool = False) -> Device:
    """Return the device that a row describes.

    Raises
    ------
    ValueError
        Saying what is wrong, and the way out.
    """
    row = _row(given)
    below = _below(name, row, base)
    reference = _timed(row.get("measured", row.get("reference")), sources)
    speeds = dict({} if below is None else below.speed)
    if "measured" in row and reference is not None:
        speeds |= measured_speeds(reference, base)
    speeds |= {part: _figure(part, row[part], row, sources) for part in SPEEDS if part in row}
    if missing := [part for part in SPEEDS if part not in speeds]:
        raise ValueError(
            f"needs {', '.join(missing)}, or `measured:` with what `steelyard targets --measure` prints on the device, "
            "or `extends:` with the name of a device that it is like"
        )
    watts = _figure("watts", row["watts"], row, sources) if "watts" in row else None
    return Device(
        name=name,
        title=str(row.get("title", below.title if below else name)),
        kind=_one_of("kind", row.get("kind", below.kind if below else "other"), KINDS),
        cores=int(_bounded("cores", row.get("cores", below.cores if below else 1), row)),
        memory_gb=_memory(row, below),
        isa=_some_of("isa", row.get("isa", below.isa if below else ()), ISA),
        runtime=_some_of("runtime", row.get("runtime", below.runtime if below else RUNTIMES[:1]), RUNTIMES),
        speed=speeds,
        source=_origin(row, below, sources),
        watts=below.watts if watts is None and below is not None else watts,
        reference=reference if reference is not None else (below.reference if below and "extends" not in row else None),
        own=own,
    )


def measured_speeds(timed: Timed, base: Mapping[str, Device]) -> dict[str, Figure]:
    """Return the speeds of a device on which the fixed benchmark was run, by what it took on the server's core."""
    server = next(device.reference for device in base.values() if device.reference is not None)
    assert server is not None
    source = f"the fixed benchmark on {timed.machine}" if timed.machine else "the fixed benchmark"
    ratios = [server.convolutions / timed.convolutions, server.products / timed.products]
    found = {
        "float": (server.floats / timed.floats, min(ratios) * APART[0], max(ratios) * APART[1]),
        "general": _around(server.calls / timed.calls),
        "int8_gain": _around(timed.int8_gain),
    }
    return {
        name: Figure(estimate=Estimate(*ends, How.MEASURED, "", source), date=timed.date, read=timed.date)
        for name, ends in found.items()
    }


def _around(value: float) -> tuple[float, float, float]:
    return value, value * APART[0], value * APART[1]


def _row(given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"must be a row of {', '.join(PARTS)}; got {given!r}")  # noqa: TRY004 - gathered as problems
    for name in given:
        if name not in PARTS:
            raise ValueError(f"has no part {name!r}{nearest(name, PARTS)}; known: {', '.join(PARTS)}")
    return given


def _below(name: str, row: Mapping[str, Any], base: Mapping[str, Device]) -> Device | None:
    if "extends" not in row:
        return base.get(name)
    like = str(row["extends"])
    if like not in base:
        raise ValueError(f"extends {like!r}, which is no device{nearest(like, base)}; known: {', '.join(base)}")
    return base[like]


def _timed(given: object, sources: Sources) -> Timed | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError("measured must hold what `steelyard targets --measure` prints")  # noqa: TRY004 - as above
    return Timed.from_json({**given, "date": sources.day(given.get("date", ""))})


def _origin(row: Mapping[str, Any], below: Device | None, sources: Sources) -> str:
    if "source" in row:
        return sources.cite(row, {})[0]
    if "measured" in row:
        return "the fixed benchmark, measured on it"
    return below.source if below is not None else sources.file


def _figure(name: str, given: object, owner: Mapping[str, Any], sources: Sources) -> Figure:
    row = given if isinstance(given, dict) else {"value": given}
    for part in row:
        if part not in _PARTS_OF_A_FIGURE:
            raise ValueError(f"{name} has no part {part!r}{nearest(part, _PARTS_OF_A_FIGURE)}")
    value = _bounded(name, row.get("value"), owner)
    low, high = (_bounded(name, row.get(end, value), owner) for end in ("low", "high"))
    if low > high:
        raise ValueError(f"{name}: the range is upside down: low {low:g} is above high {high:g}; swap them")
    if not low <= value <= high:
        raise ValueError(f"{name} {value:g} lies outside of its range, {low:g} to {high:g}; widen it")
    how = How(_one_of("how", row.get("how", "measured"), [each.value for each in How]))
    if how is How.ASSUMED:
        return Figure(estimate=Estimate(value, low, high, how, "", str(row.get("note", "nobody's measurement"))))
    cited, day, read = sources.cite(row, owner)
    note = f"{cited}; {row['note']}" if "note" in row else cited
    return Figure(estimate=Estimate(value, low, high, how, "", note), date=day, read=read)


_PARTS_OF_A_FIGURE = ("value", "low", "high", "how", "source", "date", "note")


def _bounded(name: str, given: object, owner: Mapping[str, Any]) -> float:
    low, high, unit = BOUNDS[name]
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given) or given <= 0:
        raise ValueError(f"{name} must be a number above 0; got {given!r}")
    if owner.get("sure") is not True and not low <= given <= high:
        raise ValueError(
            f"{name} {given:g} is not between {low:g} and {high:g} {unit}: is the unit right? "
            "`sure: true` takes it as it is"
        )
    if name == "cores" and given != int(given):
        raise ValueError(f"cores must be a whole number; got {given!r}")
    return float(given)


def _memory(row: Mapping[str, Any], below: Device | None) -> float | None:
    if row.get("memory_gb") is None:
        return None if below is None else below.memory_gb
    return _bounded("memory_gb", row["memory_gb"], row)


def _one_of(name: str, given: object, known: Iterable[str]) -> str:
    options = list(known)
    if given not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}; got {given!r}{nearest(given, options)}")
    return str(given)


def _some_of(name: str, given: object, known: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise ValueError(f"{name} must be a list of {', '.join(known)}; got {given!r}")  # noqa: TRY004 - as above
    return tuple(_one_of(name, each, known) for each in given)
