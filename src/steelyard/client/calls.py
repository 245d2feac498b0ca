"""What both clients share: the requests, and what an answer means. Nothing here sends anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import orjson

from steelyard.client.retries import Retries
from steelyard.client.tensors import write
from steelyard.errors import RequestInvalid, RowsRefused, ServerRefused, ServerUnreachable
from steelyard.units import Seconds

GET, POST = "GET", "POST"
_MOST_SAID = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, ready to be sent."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def checked_address(url: str) -> str:
    """Return an address without its last slash.

    Raises
    ------
    RequestInvalid
        If it is no address of a server.

    Examples
    --------
    >>> checked_address("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000'
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise RequestInvalid(f"{url!r} is no address of a server; write for example 'http://127.0.0.1:8000'")
    return url.rstrip("/")


def headers_of(key: str) -> dict[str, str]:
    """Return the headers of every request.

    Raises
    ------
    RequestInvalid
        If the key cannot stand in a header.
    """
    if not (key.isascii() and key.isprintable()):
        raise RequestInvalid("the key holds characters that a header cannot carry; copy it again")
    return {"Authorization": f"Bearer {key}"} if key else {}


def predict(rows: Iterable[Mapping[str, Any]], headers: Mapping[str, str] | None) -> Call:
    """Return the call that predicts rows.

    Raises
    ------
    RowsRefused
        If there is no row, one is no mapping, or a cell is nothing that JSON can say.
    """
    given = list(rows) if not isinstance(rows, Mapping) else [rows]
    if not given:
        raise RowsRefused("there are no rows to predict; give at least one")
    if strange := next((row for row in given if not isinstance(row, Mapping)), None):
        raise RowsRefused(f"a row must be a mapping of values by column; got {type(strange).__name__}")
    try:
        body = orjson.dumps({"rows": [dict(row) for row in given]}, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as problem:
        raise RowsRefused(f"a cell cannot be written as JSON ({problem}); give numbers, strings, or None") from problem
    return Call(
        method=POST, path="/predict", body=body, headers={"Content-Type": "application/json", **(headers or {})}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


def infer(
    model: str,
    inputs: Mapping[str, Any],
    *,
    version: str,
    outputs: Sequence[str],
    binary: bool,
    request_id: str,
    parameters: Mapping[str, Any] | None,
) -> Call:
    """Return the call of an inference (see :func:`steelyard.client.tensors.write`)."""
    made = write(inputs, outputs=outputs, binary=binary, request_id=request_id, parameters=parameters)
    return Call(method=POST, path=model_path(model, version) + "/infer", body=made.body, headers=made.headers)


def model_path(model: str, version: str) -> str:
    """Return the path of a model.

    Examples
    --------
    >>> model_path("rent", ""), model_path("a/b", "2")
    ('/v2/models/rent', '/v2/models/a%2Fb/versions/2')
    """
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def about(model: str, version: str) -> Call:
    """Return the call for metadata: of the server, or of a model."""
    return Call(method=GET, path=model_path(model, version) if model else "/v2")


def health(what: str, model: str = "", version: str = "") -> Call:
    """Return the call that asks whether a server is live or ready, or whether a model is."""
    return Call(method=GET, path=model_path(model, version) + "/ready" if model else f"/v2/health/{what}")


def is_well(status: int, body: bytes) -> bool:
    """Tell what an answer about health says: yes is 200, and not a body that says no."""
    if status != HTTPStatus.OK:
        return False
    try:
        data = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        return True  # Triton and others answer with no JSON at all
    return not (isinstance(data, dict) and (data.get("ready") is False or data.get("live") is False))


def metadata(body: bytes) -> dict[str, Any]:
    """Read metadata.

    Raises
    ------
    ServerRefused
        If they are no JSON object.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise ServerRefused("the server answered its metadata with something that is no JSON") from problem
    if not isinstance(data, dict):
        raise ServerRefused("the server's metadata are no JSON object")
    return data


def check(base: str, call: Call, status: int, body: bytes) -> None:
    """Pass a good answer on.

    Raises
    ------
    ServerUnreachable
        On 503 and 504: the server is there and does not answer now.
    ServerRefused
        On any other answer that is not good, with the server's own sentence.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    said = f"{call.method} {base}{call.path} was answered with {status}: {_sentence(body)}"
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
        raise ServerUnreachable(f"{said}; try again later")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise ServerRefused(f"{said}; give a key that may do this: Client(url, key=...)")
    raise ServerRefused(said)


def _sentence(body: bytes) -> str:
    try:
        said = orjson.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        said = body.decode("utf-8", "replace")
    return str(said)[:_MOST_SAID].strip() or "nothing"


def wait(retries: Retries, attempt: int, answer: Any, problem: Exception | None, httpx: Any) -> Seconds | None:
    """Return how long to wait before asking again, or ``None`` where this answer, or this problem, is the last word.

    A connection that was lost or never made is tried again; a server that takes too long is not, since it may still
    be at work on the first request.
    """
    if problem is None:
        return retries.wait(attempt, status=answer.status_code, retry_after=answer.headers.get("Retry-After"))
    passing = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
    return retries.wait(attempt, status=None, retry_after=None) if isinstance(problem, passing) else None


def outcome(base: str, call: Call, answer: Any, problem: Exception | None, *, attempts: int) -> Any:
    """Return a good answer.

    Raises
    ------
    ServerUnreachable
        If there was none, or the server does not answer now.
    ServerRefused
        If the server said no.
    """
    if problem is None:
        check(base, call, answer.status_code, answer.content)
        return answer
    tried = f" ({attempts} attempts)" if attempts > 1 else ""
    raise ServerUnreachable(
        f"{call.method} {base}{call.path} got no answer{tried}: {str(problem) or type(problem).__name__}; "
        "is the server running, and is the timeout long enough?"
    ) from problem


def checked_timeout(timeout: float) -> float:
    """Return a timeout in seconds.

    Raises
    ------
    RequestInvalid
        If it is not above 0.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise RequestInvalid(f"the timeout must be a finite number of seconds above 0; got {timeout!r}")
    return timeout
