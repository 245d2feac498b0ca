"""What the lever ``augment`` may ask of a training on sequences of readings; every default is off. Loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.contracts import Setting

SERIES: Mapping[str, Setting] = {
    "jitter": Setting(
        default=0.0, low=0.0, high=1.0, unit="standard deviations", about="Noise on each reading, by its channel."
    ),
    "scaling": Setting(
        default=0.0, low=0.0, high=0.5, about="How far a row's channels are stretched from their mean, as a share."
    ),
    "slicing": Setting(default=0.0, low=0.0, high=0.9, unit="of the steps", about="Most that is cut off the start."),
}
