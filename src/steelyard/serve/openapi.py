"""The description of all calls as OpenAPI 3.1, made from the signature of the model."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from steelyard.contracts import Column, Kind, Problem
from steelyard.datatypes import DATATYPES, LENGTH
from steelyard.serve.limits import Limits
from steelyard.serve.model import Served
from steelyard.serve.oip.datatypes import MOST_AXES
from steelyard.serve.oip.signature import ROWS, outputs_of, takes_rows
from steelyard.serve.tagged import schema_of

_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.NUMBER: {"type": ["number", "string", "boolean", "null"]},
    Kind.TIME: {"type": ["string", "number", "null"], "description": "ISO 8601, or seconds since 1970-01-01 UTC"},
    Kind.CATEGORY: {"type": ["string", "number", "boolean", "null"]},
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.SEQUENCE: {"type": ["array", "null"], "description": "readings, oldest first: numbers by channel"},
    Kind.TOKENS: {
        "type": ["array", "string", "null"],
        "items": {"type": ["string", "number"]},
        "description": "a list of tokens, or a text with white space between them",
    },
    Kind.IMAGE: {"type": "string", "contentEncoding": "base64", "description": "the bytes of an image file"},
    Kind.AUDIO: {"type": "string", "contentEncoding": "base64", "description": "the bytes of a wav file"},
}
_ERROR = {"$ref": "#/components/schemas/Error"}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_REFUSALS = {
    400: "The request cannot be read, or does not fit the model.",
    401: "No key is shown, or none that is known.",
    403: "The key does not open this, or no loopback name was asked for where there are no keys.",
    404: "There is no such model or version.",
    408: "The body did not arrive in time.",
    413: "The request is over a limit.",
    415: "The body is compressed.",
    431: "The headers are too long.",
    500: "The server or the model failed; the operator finds the request by its id.",
    503: "Too busy.",
}
_OF_BODY = frozenset({408, 413, 415, 500})
"""Statuses of calls that read a body."""
_ID = {"X-Request-Id": {"description": "Of the request: its own, or a new one.", "schema": {"type": "string"}}}
_SECONDS = {"description": "Seconds.", "required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
_SCHEME = {"required": True, "schema": {"const": "Bearer"}}
_HEADERS: dict[int, dict[str, Any]] = {401: {"WWW-Authenticate": _SCHEME}, 503: {"Retry-After": _SECONDS}}
_LENGTH_OF_JSON = {
    LENGTH: {
        "description": "Bytes of JSON before the tensors; set where there are any.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    }
}


def document(served: Served, limits: Limits, *, has_log: bool = False, has_price: bool = False) -> dict[str, Any]:
    """Return the description of what a server answers; some of it only with a log, or with a price."""
    paths = _paths(served)
    if has_log:
        paths["/labels"] = {"post": _call("Tell what predicted rows really were", "Labels", "Labelled")}
    if has_price:
        paths["/cost"] = {"get": _call("What the server has cost so far", gives="Cost")}
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
        "/v2": {"get": _call("What the server is", gives="Server")},
        "/v2/health/live": {"get": _health("Whether the process runs", "live")},
        "/v2/health/ready": {"get": _health("Whether models answer", "ready")},
        "/v2/models/stats": {"get": _call("What was counted of every model", gives="Statistics")},
        "/metrics": {"get": _call("Metrics for Prometheus", kind="text/plain")},
    }
    for base in (model, f"{model}/versions/{served.version}"):
        paths |= {
            base: {"get": _call("What the model is", gives="Model")},
            f"{base}/ready": {"get": _call("Whether the model answers", gives="ModelReady")},
            f"{base}/config": {"get": _call("How the model is run", gives="Configuration")},
            f"{base}/stats": {"get": _call("What was counted", gives="Statistics")},
            f"{base}/infer": {"post": _infer()},
        }
    return paths


def _call(summary: str, takes: str = "", gives: str = "", *, kind: str = "application/json") -> dict[str, Any]:
    schema = _ref(gives) if gives else {"type": "string"}
    made: dict[str, Any] = {"summary": summary, "responses": responses(schema, reads=bool(takes), kind=kind)}
    if takes:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(takes)}}}
    return made


def responses(schema: dict[str, Any], *, reads: bool, kind: str = "application/json") -> dict[str, Any]:
    """Return the answer and all refusals of a call by status; ``reads`` tells whether it reads a body."""
    refusals = {
        str(status): {
            "description": about,
            "headers": _ID | _HEADERS.get(status, {}),
            "content": {"application/json": {"schema": _ERROR}},
        }
        for status, about in _REFUSALS.items()
        if reads or status not in _OF_BODY
    }
    return {"200": {"description": "The answer.", "headers": _ID, "content": {kind: {"schema": schema}}}, **refusals}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _health(summary: str, what: str) -> dict[str, Any]:
    """Return a call that needs no key; it answers 503 while it is not so, and never asks to come again."""
    schema = {"type": "object", "required": [what], "properties": {what: {"type": "boolean"}}}
    content = {"application/json": {"schema": schema}}
    refusals = _call(summary)["responses"]
    responses = {
        "200": {"description": "It is so.", "headers": _ID, "content": content},
        "503": {"description": "It is not so.", "headers": _ID, "content": content},
        **{status: refusals[status] for status in ("400", "431")},
    }
    return {"summary": summary, "security": [], "responses": responses}


def _infer() -> dict[str, Any]:
    """Return the call of inference, whose answer carries bytes where they were asked for."""
    call = _call("Infer tensors", "InferenceRequest", "InferenceResponse")
    answer = call["responses"]["200"]
    answer["headers"] = _ID | _LENGTH_OF_JSON
    answer["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "contentMediaType": "application/octet-stream"}
    }
    return call


def _schemas(served: Served, limits: Limits) -> dict[str, Any]:
    columns = served.layout.columns
    row = {
        "type": "object",
        "required": list(columns),
        "properties": {name: _property(column) for name, column in columns.items()},
        "additionalProperties": _SCALAR,
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
        **_of_tensors(served, limits),
        **_of_labels(limits),
        **_of_metadata(),
    }


def _of_tensors(served: Served, limits: Limits) -> dict[str, Any]:
    """Return the schemas of inference."""
    columns = list(served.layout.columns)
    inputs = [*columns, ROWS] if takes_rows(served) else columns
    plain = {"type": "array", "items": _SCALAR, "maxItems": limits.elements}
    nested = {"type": "array", "items": {"type": "array", "items": _SCALAR}, "maxItems": limits.elements}
    deep = {"type": "array", "items": nested, "maxItems": limits.elements}
    shape = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": MOST_AXES}
    parameters = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    given = {"name": {"enum": inputs}, "datatype": {"enum": list(DATATYPES)}, "shape": shape, "parameters": parameters}
    told = {
        "name": {"enum": [tensor.name for tensor in outputs_of(served)]},
        "datatype": {"enum": list(DATATYPES)},
        "shape": shape,
        "parameters": parameters,
        "data": plain,
    }
    wanted = {"type": "object", "required": ["name"], "properties": {k: told[k] for k in ("name", "parameters")}}
    return {
        "InferenceRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "parameters": parameters,
                "inputs": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name", "shape", "datatype"],
                        "properties": {**given, "data": {"anyOf": [plain, nested, deep]}},
                    },
                },
                "outputs": {"type": "array", "items": wanted},
            },
        },
        "InferenceResponse": {
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": {
                "model_name": {"const": served.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "outputs": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "object", "required": ["name", "shape", "datatype"], "properties": told},
                },
            },
        },
    }


def _of_labels(limits: Limits) -> dict[str, Any]:
    """Return the schemas of labels."""
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


def _of_metadata() -> dict[str, Any]:
    """Return the schemas of what a server and its models say of themselves."""
    text, whole = {"type": "string"}, {"type": "integer"}
    tensor = record(name=text, datatype=text, shape={"type": "array", "items": whole})
    tensors = {"type": "array", "items": tensor}
    duration = record(count=whole, ns=whole)
    kinds = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    counted = record(
        name=text,
        version=text,
        last_inference=whole,
        inference_count=whole,
        execution_count=whole,
        inference_stats=record(**dict.fromkeys(kinds, duration)),
    )
    texts = {"type": "array", "items": text}
    return {
        "Server": record(name=text, version=text, extensions=texts),
        "Model": record(name=text, versions=texts, platform=text, inputs=tensors, outputs=tensors),
        "ModelReady": record(name=text, ready={"type": "boolean"}),
        "Configuration": record(name=text, platform=text, backend=text, max_batch_size=whole),
        "Cost": {"type": "object"},
        "Statistics": record(model_stats={"type": "array", "items": counted}),
    }


def record(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _property(column: Column) -> dict[str, Any]:
    found = {**_TYPES[column.kind], "x-kind": column.kind.value}
    if column.kind is Kind.SEQUENCE:
        found |= {"items": _reading(column), "x-channels": list(column.channels)}
    if column.low is not None and column.high is not None and column.kind is Kind.NUMBER:
        found["examples"] = [round((column.low + column.high) / 2, 6)]
    return found


def _reading(column: Column) -> dict[str, Any]:
    """Return the schema of one reading: a list of numbers in the order of the channels, or an object of them."""
    value, width = {"type": ["number", "null"]}, len(column.channels)
    return {
        "anyOf": [
            {"type": "array", "items": value, "minItems": width, "maxItems": width},
            {"type": "object", "required": list(column.channels), "properties": dict.fromkeys(column.channels, value)},
        ]
    }


def _predictions(served: Served) -> dict[str, Any]:
    number = {"type": "number"}
    one: dict[str, Any]
    if served.tags:
        one = dict(schema_of(served))
    elif served.task.problem is Problem.FORECASTING:
        steps = {"type": "array", "items": number, "minItems": served.task.horizon, "maxItems": served.task.horizon}
        one = {"values": {"type": "object", "properties": dict.fromkeys(served.task.series, steps)}}
    elif served.predicts_value:
        one = {"value": number}
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
