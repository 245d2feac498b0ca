"""Where a training keeps what it needs to go on after it was killed: tensors and plain JSON, never a pickle."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from steelyard.contracts import Meter, Resumable
from steelyard.learners.nets._batches import Targets
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.reading import Material

EVERY = 10.0
"""Least seconds between two checkpoints; a training that is over sooner keeps none."""
SHARE = 0.05
"""Most of a training's time that goes into writing them."""


@dataclass(slots=True)
class Saved:
    """A training as it stood after an epoch: tensors by name, and plain facts."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Shelf:
    """The checkpoint of one training. What does not bear its ``mark`` is another training's, and is left alone.

    Parameters
    ----------
    file
        ``None`` keeps nothing.
    mark
        Says what is trained, how, and on what.
    meter
        Is told where nothing can be written.
    """

    file: Path | None
    mark: str
    meter: Meter
    _last: float = field(default_factory=time.monotonic)
    _wait: float = EVERY

    def load(self) -> Saved | None:
        """Return what was kept of this very training; ``None`` where there is nothing, or nothing that can be read."""
        if self.file is None or not self.file.exists():
            return None
        try:
            with safe_open(self.file, framework="pt") as held:
                facts = json.loads((held.metadata() or {}).get("facts", "{}"))
                if facts.get("mark") != self.mark:
                    return None
                return Saved({name: held.get_tensor(name) for name in held.keys()}, facts)  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError, ValueError):
            self.meter.note(f"The checkpoint {self.file.name} cannot be read; the training starts anew.")
            return None

    @property
    def due(self) -> bool:
        """Whether it is time for another one."""
        return self.file is not None and time.monotonic() - self._last >= self._wait

    def save(self, saved: Saved) -> None:
        """Keep it in place of the one before; a disk that refuses is said once, and nothing is kept from then on."""
        if self.file is None:
            return
        began = time.monotonic()
        aside = self.file.with_suffix(".part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            plain = {name: one.detach().cpu().contiguous().clone() for name, one in saved.tensors.items()}
            save_file(plain, aside, {"facts": json.dumps({**saved.facts, "mark": self.mark})})
            aside.replace(self.file)
        except (OSError, SafetensorError) as problem:
            self.meter.note(
                f"No checkpoint can be kept ({problem}): a training that is killed will start anew. Free some space."
            )
            self.file = None
        self._last = time.monotonic()
        self._wait = max(EVERY, (self._last - began) / SHARE)


def mark_of(net: nn.Module, material: Material, targets: Targets, course: Course) -> str:
    """Return what tells a training from any other: its course, the weights it starts from, and what it learns."""
    found = hashlib.sha256(repr((course, torch.__version__, len(material))).encode())
    for name, one in sorted(net.state_dict().items()):
        found.update(name.encode())
        found.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    everything, weights = targets.batch(np.arange(len(targets)))
    for tensor in (everything, weights):
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def place_of(meter: Meter) -> Path | None:
    """Return the file of the training that begins now, where the meter has a place for one."""
    folder = meter.place() if isinstance(meter, Resumable) else None
    return None if folder is None else folder / "checkpoint.safetensors"
