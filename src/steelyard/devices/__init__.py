"""Devices that a bundle may answer on, and what is to be expected of a bundle there."""

from steelyard.devices.arithmetic import Arithmetic, arithmetic_of
from steelyard.devices.bench import Timed, measure
from steelyard.devices.catalogue import HERE, SERVER, Devices
from steelyard.devices.device import Device, DevicesInvalid, Figure
from steelyard.devices.estimate import Slower, slower
from steelyard.devices.footing import Footing

__all__ = [
    "HERE",
    "SERVER",
    "Arithmetic",
    "Device",
    "Devices",
    "DevicesInvalid",
    "Figure",
    "Footing",
    "Slower",
    "Timed",
    "arithmetic_of",
    "measure",
    "slower",
]
