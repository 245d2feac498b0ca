"""Tags as they are told to clients: the tag of each token, how probable it is, and the entities that tags spell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from steelyard.bundle.tagging import tokens_column
from steelyard.contracts import Answer, Floats, Ints
from steelyard.serve.model import Served
from steelyard.serve.table import Table
from steelyard.tasks.entities import entities_of
from steelyard.tasks.spans import codes_of


def tags_of(served: Served, codes: Ints) -> list[str]:
    """Return the tags of a row by their names."""
    return [served.task.classes[code] for code in codes.tolist()]


def told(served: Served, table: Table, answer: Answer) -> list[dict[str, Any]]:
    """Return what is answered to each row: ``tokens``, ``tags``, the ``probability`` of each, and ``entities``.

    An entity has its type, its text (tokens with spaces between), its first token and the token behind its last one,
    counted from 0, and the probability of its least sure tag.
    """
    place = served.layout.others.index(tokens_column(served.bundle.reads))
    return [
        _told(served, tokens, scores, codes)
        for tokens, scores, codes in zip(table.others[:, place], answer.scores, answer.decided, strict=True)
    ]


def _told(served: Served, tokens: tuple[str, ...], scores: Floats, codes: Ints) -> dict[str, Any]:
    tags = tags_of(served, codes)
    sure = scores[np.arange(len(codes)), codes].tolist()
    made: dict[str, Any] = {"tokens": list(tokens), "tags": tags, "probability": sure}
    if codes_of(served.task.classes).spells:
        made["entities"] = [asdict(found) for found in entities_of(tokens, tags, scores, codes.tolist())]
    return made


def schema_of(served: Served) -> Mapping[str, Any]:
    """Return the JSON Schema of what is told of a row, its properties by name."""
    text, number, whole = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}
    entity = {"start": whole, "end": whole, "type": text, "text": text, "probability": number}
    made: dict[str, Any] = {
        "tokens": {"type": "array", "items": text},
        "tags": {"type": "array", "items": {"enum": list(served.task.classes)}},
        "probability": {"type": "array", "items": number},
    }
    if codes_of(served.task.classes).spells:
        items = {"type": "object", "required": list(entity), "properties": entity}
        made["entities"] = {"type": "array", "items": items}
    return made
