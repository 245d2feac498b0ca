"""Labels on their way to a log: straight into its store, or through a server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from steelyard.errors import RequestInvalid, ServerRefused, ServerUnreachable, need
from steelyard.predictions.address import parse_address
from steelyard.predictions.opening import open_store
from steelyard.predictions.records import Label, row_id

_AT_ONCE = 1000
_ATTEMPTS, _PAUSE = 5, 1.0
_SECONDS = 30.0


def send(where: str, labels: Sequence[Label], *, key: str = "") -> Mapping[str, int]:
    """Give labels to a log; return how many belong to a prediction of it, may yet do so, or never will.

    Parameters
    ----------
    where
        Address of a server (``http://...``), or of the store itself.
    labels
        The labels.
    key
        Key to show a server.

    Raises
    ------
    RequestInvalid
        If ``where`` is neither.
    ServerUnreachable, ServerRefused
        If a server does not take them; what it took before is kept.
    StoreUnavailable, RecordsRefused
        If the store does not.
    MissingExtra
        If httpx is needed and not installed.
    """
    if where.startswith(("http://", "https://")):
        return _sent(where.rstrip("/"), labels, key)
    store = open_store(parse_address(where), create=False)
    joined = 0
    try:
        for part in _parts(labels):
            known = store.known((label.request, label.row) for label in part)
            joined += sum((label.request, label.row) in known for label in part)
            store.label(part, received=time.time())
    finally:
        store.close()
    return {"joined": joined, "waiting": len(labels) - joined, "not_logged": 0}


def _parts(labels: Sequence[Label]) -> Iterator[Sequence[Label]]:
    return (labels[start : start + _AT_ONCE] for start in range(0, len(labels), _AT_ONCE))


def _sent(address: str, labels: Sequence[Label], key: str) -> Mapping[str, int]:
    httpx = need("httpx", for_="sending labels to a server")
    if not (key.isascii() and key.isprintable()):
        raise RequestInvalid("the key holds characters that a header cannot carry; copy it again")
    total = {"joined": 0, "waiting": 0, "not_logged": 0}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(headers=headers, timeout=_SECONDS) as client:
        for part in _parts(labels):
            given = [{"id": row_id(each.request, each.row), "label": each.label, "at": each.at} for each in part]
            for outcome, count in _posted(httpx, client, f"{address}/labels", {"labels": given}).items():
                total[outcome] += count
    return total


def _posted(httpx: object, client: object, url: str, body: object) -> Mapping[str, int]:
    """Post labels, again where the server is busy: the same label twice does no harm."""
    errors, line = httpx.HTTPError, client  # type: ignore[attr-defined]  # the package is met when it is needed
    why = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        try:
            reply = line.post(url, json=body)  # type: ignore[attr-defined]  # as above
        except errors as problem:
            why = str(problem) or type(problem).__name__
            continue
        if reply.status_code == 200:
            found: Mapping[str, int] = reply.json()
            return found
        if reply.status_code != 503:
            raise ServerRefused(f"{url} answered {reply.status_code}: {reply.text[:300]}")
        why = reply.text[:300]
    raise ServerUnreachable(f"{url} takes no labels now ({why}); send them again, which does no harm")
