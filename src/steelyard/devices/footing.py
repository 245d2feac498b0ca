"""What estimates of one run rest on: the device, the server's core, and the fixed benchmark on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.contracts import Weight
from steelyard.devices.arithmetic import Arithmetic
from steelyard.devices.bench import Timed, measure
from steelyard.devices.catalogue import HERE, SERVER, Devices
from steelyard.devices.device import Device
from steelyard.devices.estimate import slower
from steelyard.units import Estimate

_TIMES = ("p50", "p95", "p99", "mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """Kept when a run is begun, so that the same figures come out of it at any time.

    ``device`` is ``None`` where it is the run's own machine, ``here`` where the fixed benchmark was not run; ``old``
    says which figures were more than a year old on the day.
    """

    device: Device | None
    server: Device
    here: Timed | None = None
    old: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, file: Path | None, *, timed: bool = True) -> Footing:
        """Look a device up, and time the fixed benchmark here unless the device is this machine.

        Raises
        ------
        DevicesInvalid
            If there is no such device, or the file of own devices is wrong.
        """
        devices = Devices.load(file)
        server = devices.need(SERVER)
        if name == HERE:
            return cls(device=None, server=server)
        device = devices.need(name)
        return cls(device=device, server=server, here=measure() if timed else None, old=devices.old(device))

    def weight(self, weight: Weight) -> Weight:
        """Return a weight with its times on the device; as it is where the device is this machine."""
        if self.device is None:
            return weight
        kind = Arithmetic(weight.arithmetic or Arithmetic.FLOAT)
        factor = slower(self.device, kind, self.server, self.here)
        known: dict[str, Estimate] = {name: one for name in _TIMES if (one := getattr(weight, name)) is not None}
        return replace(weight, there={name: factor.on(one) for name, one in known.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        return {
            "device": None if self.device is None else self.device.to_json(),
            "server": self.server.to_json(),
            "here": None if self.here is None else self.here.to_json(),
            "old": list(self.old),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Footing:
        """Read what :meth:`to_json` wrote."""
        return cls(
            device=None if data["device"] is None else Device.from_json(data["device"]),
            server=Device.from_json(data["server"]),
            here=None if data["here"] is None else Timed.from_json(data["here"]),
            old=tuple(data["old"]),
        )


def there(weight: Weight, facts: Mapping[str, Any]) -> Weight:
    """Return a weight with its times on the device that a run's first event names, if it names one."""
    kept = facts.get("edge")
    return weight if kept is None else Footing.from_json(kept).weight(weight)
