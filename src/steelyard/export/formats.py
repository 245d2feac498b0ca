"""The formats by name, and what each needs to be told."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from steelyard.export.bundles import Source
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
    rows: Path | None = None
    """Rows that an exit of the bundle is held against."""
    web: Path | None = None
    """Of ``browser``: where npm put ONNX Runtime Web."""
    download: bool = False
    """Of ``browser``: whether npm may fetch it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: where it is, the text where it is one, and what there is to say."""

    place: str
    text: str = ""
    said: tuple[str, ...] = ()


Writer = Callable[[View, Given], Written]
BundleWriter = Callable[[Source, Given], Written]


@dataclass(frozen=True, slots=True)
class Format:
    """One format: where it goes, what it is, and ``module:function`` of what writes it, loaded when it is asked for."""

    place: Place
    about: str
    writer: str
    of_bundle: bool = False
    """Whether it is the bundle that is written, so that a bundle without its run will do."""

    def write(self, view: View, given: Given) -> Written:
        """Write a run."""
        write: Writer = self._writer()
        return write(view, given)

    def write_bundle(self, source: Source, given: Given) -> Written:
        """Write a bundle."""
        write: BundleWriter = self._writer()
        return write(source, given)

    def _writer(self) -> Any:
        module, _, name = self.writer.partition(":")
        return getattr(importlib.import_module(f"steelyard.export.{module}"), name)


FORMATS: Mapping[str, Format] = {
    "csv": Format(Place.TEXT, "All trials, one row each.", "tables:csv_text"),
    "parquet": Format(Place.FILE, "All trials, one row each, with types.", "tables:parquet"),
    "openmetrics": Format(Place.TEXT, "Figures of run and trials, as Prometheus reads them.", "openmetrics:text"),
    "tensorboard": Format(Place.FOLDER, "Event files, a folder a trial.", "tensorboard:events"),
    "mlmodel": Format(Place.FOLDER, "The bundle as a model of MLflow.", "mlmodel:folder"),
    "browser": Format(Place.FOLDER, "A page that answers offline.", "browser:folder", of_bundle=True),
    "mlflow": Format(Place.SERVER, "Run, trials and model in MLflow's tracking.", "tracking:track"),
    "ort": Format(Place.FOLDER, "The bundle for a minimal build of ONNX Runtime.", "ort:folder", of_bundle=True),
    "onnx": Format(Place.FOLDER, "The plain graphs, and how their inputs are made.", "plain:folder", of_bundle=True),
    "c": Format(Place.FOLDER, "A header of C99, of linear models and trees.", "c.folder:folder", of_bundle=True),
}
"""Every format by the word of ``--to``."""
