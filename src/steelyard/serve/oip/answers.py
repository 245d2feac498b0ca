"""The answer to an inference request: JSON, followed by binary tensors where they were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from steelyard.contracts import Answer
from steelyard.datatypes import pack
from steelyard.serve.endpoint import Answered
from steelyard.serve.http import Reply
from steelyard.serve.model import Served
from steelyard.serve.oip.requests import Asked
from steelyard.serve.oip.signature import LABEL, SCORES, TAGS
from steelyard.serve.tagged import tags_of


def encode(asked: Asked, answered: Answered) -> Reply:
    """Return the reply to a request."""
    served, answer = answered.served, answered.answer
    outputs, parts = [], []
    for name, is_binary in asked.outputs:
        output, values = output_of(served, name, answer)
        if is_binary:
            raw = raw_of(values)
            output["parameters"] = {"binary_data_size": len(raw)}
            parts.append(raw)
        else:
            output["data"] = values if isinstance(values, list) else values.ravel().tolist()
        outputs.append(output)
    data: dict[str, Any] = {"model_name": served.name, "model_version": served.version, "outputs": outputs}
    if parameters := answered.parameters():
        data["parameters"] = parameters
    if asked.id is not None:
        data["id"] = asked.id
    head = orjson.dumps(data)
    if not parts:
        return Reply(200, head)
    headers = ((b"inference-header-content-length", b"%d" % len(head)),)
    return Reply(200, b"".join([head, *parts]), b"application/octet-stream", headers)


def output_of(served: Served, name: str, answer: Answer) -> tuple[dict[str, Any], Any]:
    """Return what is said of an output, and its values: a list of strings, or an array of numbers."""
    rows = len(answer.decided)
    if served.tags:
        several = zip(answer.scores, answer.decided, strict=True)
        said: list[Any] = [
            tags_of(served, codes) if name == TAGS else scores[np.arange(len(codes)), codes].tolist()
            for scores, codes in several
        ]
        return {"name": name, "datatype": "BYTES", "shape": [rows]}, [orjson.dumps(each).decode() for each in said]
    if name == SCORES:
        return {"name": name, "datatype": "FP64", "shape": [rows, served.task.width]}, answer.scores
    if name == LABEL:
        labels = [served.task.classes[code] for code in answer.decided.tolist()]
        return {"name": name, "datatype": "BYTES", "shape": [rows]}, labels
    return {"name": name, "datatype": "FP64", "shape": list(answer.decided.shape)}, answer.decided


def raw_of(values: Any) -> bytes:
    """Return the values of an output as bytes, as the binary tensor extension and gRPC carry them."""
    if isinstance(values, list):
        return pack(value.encode() for value in values)
    return np.asarray(values, "<f8").tobytes()
