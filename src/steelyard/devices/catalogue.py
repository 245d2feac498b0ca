"""The devices in force: a dated, sourced catalogue in the package, overridden row by row by a file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from steelyard.devices.device import Device, DevicesInvalid, Figure
from steelyard.devices.reading import Sources, device_of
from steelyard.errors import nearest

SERVER = "server-core"
"""The device that all speeds are multiples of."""
HERE = "here"
"""What a spec calls the machine that the run itself is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The devices that may be named, by name, as of a day."""

    rows: Mapping[str, Device]
    today: date
    file: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def need(self, name: str) -> Device:
        """Return a device.

        Raises
        ------
        DevicesInvalid
            If there is none of that name; the nearest one is named.
        """
        if name in self.rows:
            return self.rows[name]
        raise DevicesInvalid(
            f"no device is called {name!r}{nearest(name, [*self.rows, HERE])}; known: {HERE}, {', '.join(self.rows)}, "
            "or give your own in a file that `edge: {devices: FILE}` names (`steelyard targets --measure` prints a row)"
        )

    def old(self, device: Device) -> tuple[str, ...]:
        """Return a sentence for each figure of a device that is more than a year old."""
        return tuple(_old(device, name, figure, self.today) for name, figure in device.figures.items()
                     if figure.stale(self.today))  # fmt: skip

    @classmethod
    def load(cls, path: Path | None = None, *, today: date | None = None) -> Devices:
        """Read the package's catalogue, then lay the user's file over it.

        Raises
        ------
        DevicesInvalid
            If the file cannot be read, or a row in it is not in order; all problems are reported at once.

        Examples
        --------
        >>> Devices.load().need("raspberry-pi-5").cores
        4
        """
        day = today or datetime.now(UTC).date()
        rows = dict(packaged())
        if path is not None:
            rows |= _own(path, rows, day)
        return cls(rows=rows, today=day, file=path)


def _old(device: Device, name: str, figure: Figure, today: date) -> str:
    years = (figure.age(today) or 0) / 365.25
    return (
        f"The figure `{name}` of {device.name} is {years:.1f} years old ({figure.cited}); measure the device itself "
        "with `steelyard targets --measure`."
    )


@lru_cache(maxsize=1)
def packaged() -> Mapping[str, Device]:
    """Return the devices of the package."""
    text = files("steelyard.devices").joinpath("devices.yaml").read_text(encoding="utf-8")
    rows = yaml.safe_load(text)
    sources = Sources(rows["sources"], date.max, "devices.yaml")
    return {name: device_of(name, row, sources, {}) for name, row in rows["devices"].items()}


def _own(path: Path, base: Mapping[str, Device], today: date) -> dict[str, Device]:
    rows = _rows(path)
    sources = Sources(rows.get("sources") or {}, today, str(path))
    found, problems = {}, []
    for name, row in (rows.get("devices") or {}).items():
        try:
            found[str(name)] = device_of(str(name), row, sources, base, own=True)
        except ValueError as problem:
            problems.append(f"{path}: devices: {name}: {problem}")
    if problems:
        raise DevicesInvalid("\n".join(problems))
    return found


def _rows(path: Path) -> dict[str, Any]:
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DevicesInvalid(f"there is no file of devices {path}; `edge.devices` names it, beside the spec") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise DevicesInvalid(f"{path} cannot be read ({problem}); name a YAML file in UTF-8") from problem
    except yaml.YAMLError as problem:
        raise DevicesInvalid(f"{path}: the devices are not YAML ({problem})") from problem
    if not isinstance(rows, dict) or not isinstance(rows.get("devices"), dict):
        raise DevicesInvalid(
            f"{path}: needs a mapping `devices:` of rows by name; `steelyard targets --measure` prints one"
        )
    for name in rows:
        if name not in ("version", "sources", "devices"):
            known = nearest(name, ("version", "sources", "devices"))
            raise DevicesInvalid(f"{path}: has no part {name!r}{known}; known: version, sources, devices")
    return rows
