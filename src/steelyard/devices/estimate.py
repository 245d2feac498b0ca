"""How many times as long a bundle takes on a device as it took here, as a range, with what that rests on."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.devices.arithmetic import Arithmetic
from steelyard.devices.bench import Timed
from steelyard.devices.device import Device
from steelyard.devices.reading import APART
from steelyard.units import Estimate, How

UNKNOWN = (0.5, 2.0)
"""How far this machine may be from the server's core where the fixed benchmark was not run on it, assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """A factor on times that were measured here; ``source`` says what it is made of."""

    factor: Estimate

    def on(self, here: Estimate) -> Estimate:
        """Return the time on the device of what took ``here`` on this machine, ms."""
        low, high = here.low * self.factor.low, here.high * self.factor.high
        how = How.ASSUMED if self.factor.how is How.ASSUMED else How.ESTIMATED
        return Estimate(here.value * self.factor.value, low, high, how, "ms", self.factor.source)


def slower(device: Device, kind: Arithmetic, server: Device, here: Timed | None) -> Slower:
    """Return how many times as long a bundle takes on a device.

    Speeds are of one core; threads that a device has as well are taken to help there as they did here. An int8
    bundle's gain from the instructions of this machine is taken out, and that of the device put in: a device without a
    dot product of int8 is credited with none.

    Parameters
    ----------
    device
        Where it shall answer.
    kind
        What the bundle's time goes into.
    server
        The device that speeds are multiples of; what the fixed benchmark took on it is compared with ``here``.
    here
        What the fixed benchmark took on the machine that the bundle was timed on; ``None`` where it was not run.
    """
    base = "general" if kind is Arithmetic.GENERAL else "float"
    there = device.speed[base]
    ours, known = _ours(base, server, here)
    value = ours.value / there.estimate.value
    low, high = ours.low / there.estimate.high, ours.high / there.estimate.low
    told = [f"{device.name} {base} x{there.estimate.value:.3g} of a server's core ({there.cited})", known]
    hows = {there.estimate.how, ours.how}
    if kind is Arithmetic.INT8:
        gain, theirs = _gain(server, here), device.speed["int8_gain"]
        value *= gain.value / theirs.estimate.value
        low, high = low * gain.low / theirs.estimate.high, high * gain.high / theirs.estimate.low
        hows.add(theirs.estimate.how)
        told.append(f"the gain of int8 here (x{gain.value:.2g}) taken out, x{theirs.estimate.value:.2g} there put in"
                    f" ({theirs.cited})")  # fmt: skip
    how = How.ASSUMED if How.ASSUMED in hows else How.ESTIMATED
    return Slower(factor=Estimate(value, low, high, how, "times", "; ".join(told)))


def _ours(base: str, server: Device, here: Timed | None) -> tuple[Estimate, str]:
    """Return the speed of this machine as a multiple of the server's core."""
    if here is None or server.reference is None:
        return Estimate(1.0, *UNKNOWN, How.ASSUMED), "this machine taken for such a core (assumed: it was not measured)"
    if base == "general":
        ratio = server.reference.calls / here.calls
        found = Estimate(ratio, ratio * APART[0], ratio * APART[1])
    else:
        ratio = server.reference.floats / here.floats
        several = (server.reference.convolutions / here.convolutions, server.reference.products / here.products)
        found = Estimate(ratio, min(several), max(several))
    return found, f"this machine x{ratio:.2g} (the fixed benchmark, measured)"


def _gain(server: Device, here: Timed | None) -> Estimate:
    if here is None:
        return server.speed["int8_gain"].estimate
    gain = here.int8_gain
    return Estimate(gain, min(1.0, gain), gain)
