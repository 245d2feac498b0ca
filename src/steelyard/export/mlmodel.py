"""The bundle that ships as a model of MLflow: a folder that ``mlflow models`` and ``mlflow.pyfunc`` load.

The ``python_function`` flavour answers data frames by the bundle itself, preprocessing included; the code that does so
lies in the folder, so Steelyard need not be installed where it is loaded. The ``onnx`` flavour is the bare graph, where
the bundle has one. Format: https://mlflow.org/docs/latest/ml/model/ (MLmodel).
"""

from __future__ import annotations

import io
import json
import platform
import shutil
import uuid
import zipfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from steelyard.bundle import Bundle, load
from steelyard.bundle.manifest import GRAPH
from steelyard.bundle.opening import read
from steelyard.contracts import Column, Kind, Problem
from steelyard.deploy import make_wheel
from steelyard.errors import ExportRefused
from steelyard.export.formats import Given, Written
from steelyard.export.graph import graph_of
from steelyard.export.view import View

_BUNDLE, _CODE = "bundle", "code"
_LOADER = "steelyard.bundle.pyfunc"
_NEEDED = ("mlflow", "numpy", "onnxruntime", "pandas", "pillow", "pydantic", "pyyaml")
"""What loads the ``python_function`` flavour; versions are those in force, where it is installed here."""
_TYPES = {
    Kind.NUMBER: "double",
    Kind.CATEGORY: "string",
    Kind.TEXT: "string",
    Kind.TOKENS: "string",
    Kind.IMAGE: "binary",
    Kind.AUDIO: "binary",
}


def folder(view: View, given: Given) -> Written:
    """Write the folder.

    Raises
    ------
    ExportRefused
        If the run has not come to a bundle.
    BundleRefused
        If the bundle is damaged.
    """
    assert given.out is not None, "a folder was asked for"
    said = write_model(view, given.out)
    return Written(
        str(given.out), said=(*said, f"serve it with: mlflow models serve -m {given.out} --env-manager local")
    )


def write_model(view: View, out: Path) -> tuple[str, ...]:
    """Write the model into a folder; return what there is to say of it.

    Raises
    ------
    ExportRefused
        If the run has not come to a bundle.
    """
    place = view.bundle
    if place is None:
        raise ExportRefused(f"{view.record.folder} has not come to a bundle; go on with `steelyard run --resume`")
    opened = load(place)
    shutil.copytree(place, out / _BUNDLE, dirs_exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(make_wheel().content)) as code:
        code.extractall(out / _CODE)
    graph = graph_of(read(place))
    if graph is not None:
        (out / GRAPH).write_bytes(graph)
    described = _mlmodel(opened, has_graph=graph is not None)
    needed = [_pinned(name) for name in (*_NEEDED, *(["onnx"] if graph is not None else []))]
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    conda: dict[str, Any] = {"name": "mlflow-env", "channels": ["conda-forge"]}
    conda["dependencies"] = [f"python={platform.python_version()}", "pip", {"pip": needed}]
    texts = {
        "requirements.txt": "".join(f"{line}\n" for line in needed),
        "python_env.yaml": yaml.safe_dump(environment, sort_keys=False),
        "conda.yaml": yaml.safe_dump(conda, sort_keys=False),
        "MLmodel": yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=10**6),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    if graph is not None:
        return ("flavours: python_function, and onnx for the bare graph",)
    return ("flavour: python_function; a rule that no one graph says joins the bundle's graphs, so there is no onnx",)


def _mlmodel(opened: Bundle, *, has_graph: bool) -> dict[str, Any]:
    flavours: dict[str, Any] = {
        "python_function": {
            "loader_module": _LOADER,
            "data": _BUNDLE,
            "code": _CODE,
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "python_version": platform.python_version(),
        }
    }
    if has_graph:
        flavours["onnx"] = {
            "data": GRAPH,
            "onnx_version": _version("onnx") or "1.21.0",
            "providers": ["CPUExecutionProvider"],
            "code": None,
        }
    return {
        "flavors": flavours,
        "model_size_bytes": opened.size_bytes,
        "model_uuid": uuid.uuid4().hex,
        "signature": _signature(opened),
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _signature(opened: Bundle) -> dict[str, Any]:
    """Return what goes in and comes out, as MLflow writes a schema: JSON within YAML."""
    inputs = [{**_typed(c), "name": c.name, "required": True} for c in opened.reads.features]
    if opened.task.problem is Problem.REGRESSION:
        outputs = [{"type": "double", "name": "prediction", "required": True}]
    elif opened.task.problem is Problem.TAGGING:
        outputs = [{"type": "array", "items": {"type": "string"}, "name": "prediction", "required": True}]
    else:
        names = [f"probability_{name}" for name in opened.task.classes]
        outputs = [{"type": "string", "name": "prediction", "required": True}]
        outputs += [{"type": "double", "name": name, "required": True} for name in names]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}


def _typed(column: Column) -> dict[str, Any]:
    """Return the type of a column; a sequence is an array of readings, each an array of numbers."""
    return _array(_array({"type": "double"})) if column.kind is Kind.SEQUENCE else {"type": _type(column)}


def _type(column: Column) -> str:
    if column.kind is Kind.TIME:
        return "string" if column.notation else "double"
    return _TYPES[column.kind]


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _pinned(name: str) -> str:
    found = _version(name)
    return f"{name}=={found}" if found else name


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
