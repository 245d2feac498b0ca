"""What a server and its models say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from steelyard.contracts import Kind
from steelyard.serve.counting import Totals
from steelyard.serve.endpoint import Deployed
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served
from steelyard.serve.oip.signature import Tensor, inputs_of, outputs_of, takes_rows

_NANOSECONDS = 1e9


def server_metadata(*, repository: bool) -> dict[str, Any]:
    """Return the metadata of the server."""
    extensions = ["binary_tensor_data", "model_configuration", "statistics"]
    if repository:
        extensions.append("model_repository")
    return {"name": "steelyard", "version": version("steelyard"), "extensions": extensions}


def metadata(served: Served) -> dict[str, Any]:
    """Return the metadata of a model."""
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "steelyard_bundle",
        "inputs": [_metadata_of(tensor) for tensor in inputs_of(served)],
        "outputs": [_metadata_of(tensor) for tensor in outputs_of(served)],
        "parameters": _parameters(served),
    }


def _metadata_of(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _parameters(served: Served) -> dict[str, Any]:
    """Return what the protocol has no word for: classes, units, and whether rows can be one tensor."""
    columns = served.layout.columns
    return {
        "digest": served.digest,
        "target": served.task.target,
        "classes": list(served.task.classes),
        "kinds": {name: column.kind.value for name, column in columns.items()},
        "units": {value.name: value.unit for value in served.bundle.manifest.signature.inputs if value.name in columns},
        "rows_as_one_tensor": takes_rows(served),
        "images": [name for name, column in columns.items() if column.kind is Kind.IMAGE],
        "sounds": [name for name, column in columns.items() if column.kind is Kind.AUDIO],
    }


def configuration(deployed: Deployed) -> dict[str, Any]:
    """Return the configuration of a model, in Triton's words; the first side of each shape, the rows, is left out."""
    served, batcher = deployed.served, deployed.batcher
    return {
        "name": served.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": batcher.batch,
        "input": [_configured(tensor) for tensor in inputs_of(served)],
        "output": [_configured(tensor) for tensor in outputs_of(served)],
        "version_policy": _policy(served.version),
        "dynamic_batching": {"max_queue_delay_microseconds": round(batcher.max_delay * 1e6)},
        "instance_group": [{"name": served.name, "kind": "KIND_CPU", "count": 1}],
    }


def _policy(version: str) -> dict[str, Any]:
    """Return which versions are served; in Triton's words they are whole numbers, and others cannot be named."""
    return {"specific": {"versions": [int(version)]}} if version.isdecimal() else {"latest": {"num_versions": 1}}


def _configured(tensor: Tensor) -> dict[str, Any]:
    datatype = "STRING" if tensor.datatype == "BYTES" else tensor.datatype
    return {"name": tensor.name, "data_type": f"TYPE_{datatype}", "dims": list(tensor.shape[1:]) or [1]}


def statistics(several: Iterable[ModelMetrics], totals: Totals) -> dict[str, Any]:
    """Return what all workers have counted of some models, in Triton's words; durations in nanoseconds."""
    return {"model_stats": [_statistics_of(counted, totals) for counted in several]}


def _statistics_of(counted: ModelMetrics, totals: Totals) -> dict[str, Any]:
    nothing = {"count": 0, "ns": 0}
    wait, compute = _duration(totals.of(counted.wait.series)), _duration(totals.of(counted.compute.series))
    return {
        "name": counted.model,
        "version": counted.version,
        "last_inference": round(totals.of(counted.last.series)[0] * 1000),
        "inference_count": round(totals.of(counted.rows.series)[0]),
        "execution_count": round(sum(totals.of(counted.batch_rows.series)[:-1])),
        "inference_stats": {
            "success": {"count": round(totals.of(counted.requests.series)[0]), "ns": wait["ns"] + compute["ns"]},
            "fail": {"count": round(totals.of(counted.failed.series)[0]), "ns": 0},
            "queue": wait,
            "compute_input": nothing,
            "compute_infer": compute,
            "compute_output": nothing,
        },
        "batch_stats": [],
    }


def _duration(histogram: Sequence[float]) -> dict[str, int]:
    """Return how often something was timed and its nanoseconds, from the buckets and the sum of seconds."""
    return {"count": round(sum(histogram[:-1])), "ns": round(histogram[-1] * _NANOSECONDS)}


def index(several: Iterable[Deployed]) -> list[dict[str, str]]:
    """Return the index of the repository."""
    return [
        {"name": each.served.name, "version": each.served.version, "state": "READY", "reason": ""} for each in several
    ]
