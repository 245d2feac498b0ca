"""What ``steelyard targets`` prints: the devices in force, each figure with its source and age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from steelyard.devices.bench import SHAPES, Timed, measure
from steelyard.devices.catalogue import SERVER, Devices
from steelyard.devices.device import Device, Figure
from steelyard.devices.reading import measured_speeds
from steelyard.units import How

Json = dict[str, Any]


def device_list(file: Path | None = None, *, today: date | None = None) -> Json:
    """Return the devices of the catalogue and of a user's file as plain JSON, with the age of each figure in days.

    Raises
    ------
    DevicesInvalid
        If the file is wrong.
    """
    devices = Devices.load(file, today=today)
    rows = [_row(device, devices) for device in devices.rows.values()]
    return {"today": devices.today.isoformat(), "file": None if file is None else str(file), "devices": rows}


def _row(device: Device, devices: Devices) -> Json:
    figures = {
        name: {**figure.to_json(), "age_days": figure.age(devices.today), "old": figure.stale(devices.today)}
        for name, figure in device.figures.items()
    }
    row = device.to_json()
    del row["speed"], row["watts"]
    return {**row, "dot": device.dot, "figures": figures, "notes": list(devices.old(device))}


def measurement() -> Json:
    """Run the fixed benchmark here; return what it took, and the speeds that follow from it."""
    timed = measure()
    server = Devices.load()
    speeds = measured_speeds(timed, server.rows)
    return {"measured": timed.to_json(), "speeds": {n: f.to_json() for n, f in speeds.items()}, "row": row_of(timed)}


def row_of(timed: Timed) -> str:
    """Return a row for a file of own devices, as YAML."""
    times = ", ".join(f"{name}: {getattr(timed, name):.4g}" for name in SHAPES)
    machine = timed.machine.replace('"', "'")
    return (
        "devices:\n"
        "  my-device:\n"
        "    kind: other\n"
        "    cores: 1\n"
        f'    measured: {{{times}, machine: "{machine}", date: {timed.date}}}\n'
    )


def lines(found: Json) -> Iterator[str]:
    """Yield the list as lines."""
    yield f"Devices in force on {found['today']}; speeds are of one core, as multiples of {SERVER}."
    for row in found["devices"]:
        memory = "memory unknown" if row["memory_gb"] is None else f"{row['memory_gb']:g} GB"
        cores = "1 core" if row["cores"] == 1 else f"{row['cores']} cores"
        yield ""
        yield f"{row['name']}{' (your file)' if row['own'] else ''}: {row['title']}"
        dot = "int8 dot product" if row["dot"] else "no int8 dot product"
        sets = ", ".join(row["isa"]) or "instruction sets unknown"
        yield f"  {cores}, {memory}; {sets} ({dot}); runs {', '.join(row['runtime'])}"
        for name, given in row["figures"].items():
            yield f"  {name:10} {_figure(given)}"


def _figure(given: Json) -> str:
    figure = Figure.from_json(given)
    one = figure.estimate
    text = f"{one.value:.3g}" + ("" if one.low == one.high else f" ({one.low:.3g} to {one.high:.3g})")
    if one.how is How.ASSUMED:
        return f"{text}  ASSUMED: {one.source}"
    days = given["age_days"]
    age = f"read {figure.read}, its own day unknown" if days is None else f"{days} days old"
    return f"{text}  {one.source}; {age}{', OVER A YEAR OLD' if given['old'] else ''}"


def told(found: Json) -> Iterator[str]:
    """Yield a measurement as lines."""
    timed, speeds = found["measured"], found["speeds"]
    yield f"The fixed benchmark on {timed['machine'] or 'this machine'}, one thread, processor time:"
    for name in SHAPES:
        yield f"  {name:13} {timed[name]:.4g} ms"
    for name, one in speeds.items():
        yield f"  {name:13} x{one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"
    yield ""
    yield "A row for a file of own devices, which `edge: {devices: FILE}` names:"
    yield ""
    yield from found["row"].splitlines()
