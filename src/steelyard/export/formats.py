"""The formats by name, and what each needs to be told."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from steelyard.export.view import View


class Place(Enum):
    """Where a format goes."""

    TEXT = "standard output, or a file"
    FILE = "a file"
    FOLDER = "a folder, empty or new"
    SERVER = "a tracking server, or a database of one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user said beside the run and the format; empty words and ``None`` are unset."""

    out: Path | None = None
    tracking_uri: str = ""
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: where it is, the text where it is one, and what there is to say."""

    place: str
    text: str = ""
    said: tuple[str, ...] = ()


Writer = Callable[[View, Given], Written]


@dataclass(frozen=True, slots=True)
class Format:
    """One format: where it goes, what it is, and ``module:function`` of what writes it, loaded when it is asked for."""

    place: Place
    about: str
    writer: str

    def write(self, view: View, given: Given) -> Written:
        """Write a run."""
        module, _, name = self.writer.partition(":")
        write: Writer = getattr(importlib.import_module(f"steelyard.export.{module}"), name)
        return write(view, given)


FORMATS: Mapping[str, Format] = {
    "csv": Format(Place.TEXT, "All trials, one row each.", "tables:csv_text"),
    "parquet": Format(Place.FILE, "All trials, one row each, with types.", "tables:parquet"),
    "openmetrics": Format(Place.TEXT, "Figures of run and trials, as Prometheus reads them.", "openmetrics:text"),
    "tensorboard": Format(Place.FOLDER, "Event files, a folder a trial.", "tensorboard:events"),
    "mlmodel": Format(Place.FOLDER, "The bundle as a model of MLflow.", "mlmodel:folder"),
    "mlflow": Format(Place.SERVER, "Run, trials and model in MLflow's tracking.", "tracking:track"),
}
"""Every format by the word of ``--to``."""
