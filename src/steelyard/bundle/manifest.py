"""What a bundle says of itself: one JSON file that names every other file and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.contracts import Column, Feed, Kind, Problem, Schema, Task
from steelyard.errors import BundleRefused

PROTOCOL = 1
"""Version of the layout of a bundle. Raised when an older Steelyard could not read what is written."""

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
"""The digest of the manifest, as ``sha256sum`` writes it."""

CARD = "card.md"
GRAPH = "model.onnx"
FILES = "files/"
"""Where the files of front ends lie."""

_KINDS = {
    Kind.NUMBER: ("float64", "that of the column in training"),
    Kind.TIME: ("float64", "seconds since 1970-01-01 UTC, or a date as ISO 8601"),
    Kind.CATEGORY: ("string", "a category; unseen ones are answered too"),
    Kind.TEXT: ("string", "text"),
    Kind.TOKENS: ("tokens", "a list of strings, also as JSON, or a string with white space between tokens"),
    Kind.IMAGE: ("image", "path, archive.zip::member, bytes, uint8 array or Pillow image"),
    Kind.AUDIO: ("audio", "path, archive.zip::member or bytes of a wav file"),
    Kind.SEQUENCE: ("sequence", "readings, oldest first, each a number for every channel: {channels}"),
}


class Entry(BaseModel):
    """A plain record of the manifest: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class File(Entry):
    """One file: how long it is and what it digests to."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @classmethod
    def of(cls, content: bytes) -> File:
        """Describe some content."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


class Value(Entry):
    """One named value that goes in or comes out, with its type and unit."""

    name: str
    type: str
    unit: str


class Signature(Entry):
    """What a bundle reads of a row, and what it says of it."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


class Single(Entry):
    """One graph with its feeds; ``files`` are what these need, under ``files/``."""

    graph: str
    feeds: tuple[Feed, ...]
    files: tuple[str, ...] = ()


class Several(Entry):
    """Bundles inside the bundle, and the rule that joins their answers."""

    rule: dict[str, Any]
    members: tuple[str, ...] = Field(min_length=1)


class Manifest(Entry):
    """Everything that a bundle says of itself."""

    protocol: int
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str]
    """Of what wrote it."""
    task: Task
    columns: tuple[Column, ...]
    """The whole table it was trained on, the columns that it does not read included."""
    signature: Signature
    recipe: dict[str, Any]
    fingerprint: str
    """Of the data and its splits."""
    model: Single | Several
    files: dict[str, File]
    extra: dict[str, Any] = Field(default_factory=dict)

    @property
    def schema_(self) -> Schema:
        """The columns as a schema."""
        return Schema(self.columns)

    def to_bytes(self) -> bytes:
        """Return the file; a figure that is not finite becomes ``null``, as JSON has no other word for it."""
        data = _finite(self.model_dump(mode="json"))
        return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="surrogatepass")


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
    return value


def seal(manifest: bytes) -> bytes:
    """Return the line that ``sha256sum manifest.json`` prints."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def read_manifest(content: bytes, given: bytes) -> Manifest:
    """Read a manifest whose digest is as sealed.

    Raises
    ------
    BundleRefused
        If it was changed, was written by a newer Steelyard, or is no manifest.
    """
    if given != seal(content):
        raise BundleRefused(f"{MANIFEST} is not what {SEAL} says: one of them was changed; fetch the bundle again")
    try:
        data = json.loads(content)
    except ValueError:
        raise BundleRefused(f"{MANIFEST} is no JSON; fetch the bundle again") from None
    protocol = data.get("protocol") if isinstance(data, Mapping) else None
    if not isinstance(protocol, int) or isinstance(protocol, bool) or protocol < 1:
        raise BundleRefused(f"{MANIFEST} names no protocol; it was not written by Steelyard")
    if protocol > PROTOCOL:
        raise BundleRefused(
            f"the bundle was written by a newer Steelyard (protocol {protocol}; this one reads up to {PROTOCOL}): "
            "upgrade steelyard"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BundleRefused(f"{MANIFEST} does not keep protocol {protocol}: {place}: {first['msg']}") from None


def signature_of(task: Task, columns: Iterable[Column]) -> Signature:
    """Return what a bundle reads and says, with types and units.

    Examples
    --------
    >>> task = Task(problem=Problem.REGRESSION, target="price", aim="rmse")
    >>> [value.name for value in signature_of(task, [Column(name="age", kind=Kind.NUMBER)]).outputs]
    ['prediction']
    """
    inputs = tuple(Value(name=c.name, type=_KINDS[c.kind][0], unit=_unit(c)) for c in columns)
    if task.problem is Problem.REGRESSION:
        unit = f"that of the column {task.target!r}"
        return Signature(inputs=inputs, outputs=(Value(name="prediction", type="float64", unit=unit),))
    if task.problem is Problem.TAGGING:
        tags = f"one of the {len(task.classes)} tags of {task.target!r} for each token"
        return Signature(inputs=inputs, outputs=(Value(name="prediction", type="list of strings", unit=tags),))
    if task.problem is Problem.FORECASTING:
        unit = "that of its series; of each step ahead a value for each series, the next step first"
        names = ("prediction", "low", "high")
        return Signature(inputs=inputs, outputs=tuple(Value(name=n, type="float64[]", unit=unit) for n in names))
    chances = (Value(name=f"probability_{c}", type="float64", unit="probability, 0 to 1") for c in task.classes)
    prediction = Value(name="prediction", type="string", unit=f"a class of {task.target!r}")
    return Signature(inputs=inputs, outputs=(prediction, *chances))


def _unit(column: Column) -> str:
    said = _KINDS[column.kind][1]
    return said.format(channels=", ".join(column.channels)) if column.channels else said
