"""What a server answered, typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from numpy.typing import NDArray

from steelyard.client.tensors import read
from steelyard.errors import ServerRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one row: a label with the probability of each class, or a value; the rest as it came.

    ``probabilities`` is empty, and ``label`` ``None``, where the model answers values; ``value`` is ``None`` where it
    answers labels. ``details`` holds whatever else the server said of the row, such as the stage that answered.
    """

    label: str | None = None
    probabilities: Mapping[str, float]
    value: float | None = None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The answers to rows, in their order, and which model and version gave them.

    Examples
    --------
    >>> body = b'{"predictions": [{"value": 2.5}], "model": "rent", "version": "1"}'
    >>> [p.value for p in Predictions.read(body)]
    [2.5]
    """

    rows: tuple[Prediction, ...]
    model: str
    version: str

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Prediction:
        return self.rows[place]

    @classmethod
    def read(cls, body: bytes) -> Predictions:
        """Read the answer to ``POST /predict``.

        Raises
        ------
        ServerRefused
            If it is none.
        """
        try:
            data = orjson.loads(body)
            rows = tuple(_prediction(dict(one)) for one in data["predictions"])
            return cls(rows=rows, model=str(data["model"]), version=str(data["version"]))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise ServerRefused("the server's answer holds no predictions; is this a server of Steelyard?") from problem


def _prediction(one: dict[str, Any]) -> Prediction:
    label, value = one.pop("label", None), one.pop("value", None)
    probabilities = {str(name): float(p) for name, p in (one.pop("probabilities", None) or {}).items()}
    return Prediction(
        label=None if label is None else str(label),
        probabilities=probabilities,
        value=None if value is None else float(value),
        details=one,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """The answer to an inference: arrays by the name of the output, and who gave them."""

    outputs: Mapping[str, NDArray[Any]]
    model: str
    version: str
    request_id: str
    parameters: Mapping[str, Any]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.outputs[name]

    @classmethod
    def read(cls, body: bytes, json_length: str | None) -> Inference:
        """Read an inference response; ``json_length`` is its header ``Inference-Header-Content-Length``.

        Raises
        ------
        ServerRefused
            If it does not keep the protocol.
        """
        head, outputs = read(body, json_length)
        return cls(
            outputs=outputs,
            model=str(head.get("model_name", "")),
            version=str(head.get("model_version", "")),
            request_id=str(head.get("id", "")),
            parameters=head.get("parameters") or {},
        )
