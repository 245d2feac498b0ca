"""The description of all calls as OpenAPI 3.1, made from the signature of the model."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from steelyard.contracts import Column, Kind
from steelyard.serve.limits import Limits
from steelyard.serve.model import Served

_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.NUMBER: {"type": ["number", "string", "boolean", "null"]},
    Kind.TIME: {"type": ["string", "number", "null"], "description": "ISO 8601, or seconds since 1970-01-01 UTC"},
    Kind.CATEGORY: {"type": ["string", "number", "boolean", "null"]},
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.IMAGE: {"type": "string", "contentEncoding": "base64", "description": "the bytes of an image file"},
}
_ERROR = {"$ref": "#/components/schemas/Error"}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
        "datatype": {
            "enum": [
                *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
                *("FP32", "FP64", "BYTES"),
            ]
        },
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}


def document(served: Served, limits: Limits, *, has_log: bool = False, has_price: bool = False) -> dict[str, Any]:
    """Return the description of what a server answers; some of it only with a log, or with a price."""
    paths = _paths(served)
    if has_log:
        paths["/labels"] = {"post": _call("Tell what predicted rows really were", "Labels", "Labelled")}
    if has_price:
        paths["/cost"] = {"get": _call("What the server has cost so far")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{served.name}: predicts {served.task.target}",
            "version": version("steelyard"),
            "description": "A model served by Steelyard: plain JSON rows, and the Open Inference Protocol, version 2.",
        },
        "security": [{"bearer": []}, {"header": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": _schemas(served, limits),
        },
    }


def _paths(served: Served) -> dict[str, Any]:
    model = f"/v2/models/{served.name}"
    paths: dict[str, Any] = {
        "/predict": {"post": _call("Predict rows of values by column", "Rows", "Predictions")},
        "/v2": {"get": _call("What the server is")},
        "/v2/health/live": {"get": _call("Whether the process runs", is_open=True)},
        "/v2/health/ready": {"get": _call("Whether models answer", is_open=True)},
        "/metrics": {"get": _call("Metrics for Prometheus", kind="text/plain")},
    }
    for base in (model, f"{model}/versions/{served.version}"):
        paths |= {
            base: {"get": _call("What the model is")},
            f"{base}/ready": {"get": _call("Whether the model answers")},
            f"{base}/config": {"get": _call("How the model is run")},
            f"{base}/stats": {"get": _call("What was counted")},
            f"{base}/infer": {"post": _call("Infer tensors", "InferenceRequest", "InferenceResponse")},
        }
    return paths


def _call(
    summary: str, takes: str = "", gives: str = "", *, kind: str = "application/json", is_open: bool = False
) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{gives}"} if gives else {}
    call: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": {kind: {"schema": schema}}},
            "4XX": {"description": "The request is refused.", "content": {"application/json": {"schema": _ERROR}}},
            "503": {"description": "Too busy; see Retry-After.", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
    if takes:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{takes}"}}}
        call["requestBody"] = {"required": True, "content": content}
    if is_open:
        call["security"] = []
    return call


def _schemas(served: Served, limits: Limits) -> dict[str, Any]:
    columns = served.layout.columns
    row = {
        "type": "object",
        "required": list(columns),
        "properties": {name: _property(column) for name, column in columns.items()},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    }
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1, "maxItems": limits.rows}
    return {
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        "Row": row,
        "Rows": {
            "oneOf": [
                {"type": "object", "required": ["rows"], "properties": {"rows": rows}},
                {"$ref": "#/components/schemas/Row"},
            ]
        },
        "Predictions": _predictions(served),
        "InferenceRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
                "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            },
        },
        "InferenceResponse": {"type": "object", "required": ["model_name", "model_version", "outputs"]},
    } | _of_labels(limits)


def _of_labels(limits: Limits) -> dict[str, Any]:
    return {
        "Label": {
            "type": "object",
            "required": ["id", "label"],
            "properties": {
                "id": {"type": "string", "description": "X-Request-Id of the answer, '#', and the row from 0"},
                "label": {"type": ["string", "number", "boolean"]},
                "at": {"type": ["string", "number"], "description": "ISO 8601, or seconds since 1970-01-01 UTC"},
            },
        },
        "Labels": {
            "type": "object",
            "required": ["labels"],
            "properties": {
                "labels": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Label"},
                    "minItems": 1,
                    "maxItems": limits.rows,
                }
            },
        },
        "Labelled": {
            "type": "object",
            "required": ["joined", "waiting", "not_logged"],
            "properties": {name: {"type": "integer"} for name in ("joined", "waiting", "not_logged")},
        },
    }


def _property(column: Column) -> dict[str, Any]:
    found = {**_TYPES[column.kind], "x-kind": column.kind.value}
    if column.low is not None and column.high is not None and column.kind is Kind.NUMBER:
        found["examples"] = [round((column.low + column.high) / 2, 6)]
    return found


def _predictions(served: Served) -> dict[str, Any]:
    number = {"type": "number"}
    if served.predicts_value:
        one: dict[str, Any] = {"value": number}
    else:
        chances = {"type": "object", "properties": dict.fromkeys(served.task.classes, number)}
        one = {"label": {"enum": list(served.task.classes)}, "probabilities": chances}
    return {
        "type": "object",
        "required": ["model", "version", "digest", "predictions"],
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "digest": {"type": "string"},
            "predictions": {"type": "array", "items": {"type": "object", "required": list(one), "properties": one}},
        },
    }
