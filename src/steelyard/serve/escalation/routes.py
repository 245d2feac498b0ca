"""The calls under ``/reviews``: what waits for a person, what a person says of it, and what became of a ticket."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from steelyard.errors import nearest
from steelyard.serve.escalation.person import PersonStage
from steelyard.serve.escalation.reviews import State
from steelyard.serve.faults import Fault, malformed, not_found, overloaded
from steelyard.serve.http import Reply, Request, json_reply
from steelyard.serve.limits import json_object, name_of

if TYPE_CHECKING:
    from steelyard.serve.app import App

_T = TypeVar("_T")
_TICKET = re.compile(r"[A-Za-z0-9_-]{16}")
_MOST, _USUAL = 200, 50
_LONGEST_NAME = 80


def stage_of(app: App) -> PersonStage:
    """Return the stage that parks rows for persons.

    Raises
    ------
    Fault
        404 if there is none.
    """
    if app.escalation is not None and isinstance(app.escalation.last, PersonStage):
        return app.escalation.last
    raise not_found("no rows are parked for persons here; serve with --escalate and a file that names a person")


async def listed(app: App, request: Request) -> Reply:
    """List parked rows, oldest first: ``?state=open&after=NUMBER&limit=50``."""
    stage = stage_of(app)
    state, after, limit = _query(request.query)
    rows, more = await _tried(stage, stage.reviews.page, state, after=after, limit=limit)
    waiting = await _tried(stage, stage.reviews.parked)
    classes = list(stage.served.task.classes)
    return json_reply({"reviews": rows, "next": more, "open": waiting, "classes": classes})


async def one(app: App, request: Request, ticket: str) -> Reply:
    """Tell what became of a parked row."""
    del request
    stage = stage_of(app)
    return json_reply(await _found(stage, ticket))


async def decide(app: App, request: Request, ticket: str) -> Reply:
    """Take what a person says of a parked row: ``{"label": CLASS, "who": NAME}``."""
    stage = stage_of(app)
    body = await app.read(request)
    label, who = _said(stage, json_object(body, app.settings.limits))
    row = await _found(stage, ticket)
    if row["state"] == State.OPEN:
        await _tried(stage, stage.reviews.decide, ticket, label, who, now=time.time())
        row = await _found(stage, ticket)
    if row["state"] == State.EXPIRED:
        raise Fault(410, "expired", "the row waited too long and was given up; take the next one")
    if (row["label"], row["who"]) != (label, who):
        raise Fault(409, "answered", f"{row['who']!r} has answered this row already; take the next one")
    return json_reply(row)


async def _found(stage: PersonStage, ticket: str) -> dict[str, Any]:
    row = await _tried(stage, stage.reviews.one, ticket) if _TICKET.fullmatch(ticket) else None
    if row is None:
        raise not_found("no parked row has this ticket")
    return row


async def _tried(stage: PersonStage, work: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
    try:
        return await stage.apart(work, *arguments, **named)
    except sqlite3.Error:
        raise overloaded("store", "the file of reviews cannot be read or written now; try again") from None


def _query(query: bytes) -> tuple[State, int, int]:
    """Return state, number to go on after, and most rows of a page."""
    try:
        given = dict(parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=8))
    except ValueError:
        raise malformed("the query cannot be read; write ?state=open&after=NUMBER&limit=50") from None
    known = ("state", "after", "limit")
    if unknown := [name for name in given if name not in known]:
        raise malformed(f"there is no parameter {unknown[0][:40]!r}{nearest(unknown[0][:40], known)}")
    state = given.get("state", State.OPEN)
    if state not in set(State):
        raise malformed(f"'state' must be one of {', '.join(State)}")
    return State(state), _whole(given, "after", 0, 2**62), min(_whole(given, "limit", _USUAL, 10**9), _MOST)


def _whole(given: dict[str, str], name: str, usual: int, most: int) -> int:
    text = given.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise malformed(f"{name!r} must be a whole number")
    if name == "limit" and int(text) == 0:
        raise malformed("'limit' must be at least 1")
    return int(text)


def _said(stage: PersonStage, data: dict[str, Any]) -> tuple[str, str]:
    """Return the label and who gave it."""
    classes = stage.served.task.classes
    label, who = data.get("label"), data.get("who")
    if unknown := [name for name in data if name not in {"label", "who"}]:
        raise malformed(f"'label' and 'who' are all that is taken; got {unknown[0][:40]!r}")
    if type(label) is not str or label not in classes:
        shown = repr(label[:40]) + nearest(label[:40], classes) if type(label) is str else name_of(label)
        raise malformed(f"'label' must be one of {', '.join(map(repr, classes[:20]))}; got {shown}")
    if type(who) is not str or not who.strip() or len(who) > _LONGEST_NAME or not who.isprintable():
        raise malformed(f"'who' must name the person who decided, in 1 to {_LONGEST_NAME} characters")
    return label, who.strip()


def described() -> dict[str, Any]:
    """Return the paths for the OpenAPI document."""

    def call(summary: str) -> dict[str, Any]:
        error = {"description": "The request is refused.", "content": {"application/json": {"schema": {}}}}
        return {"summary": summary, "responses": {"200": {"description": "The answer."}, "4XX": error, "503": error}}

    ticket = {"name": "ticket", "in": "path", "required": True, "schema": {"type": "string"}}
    query = [
        {"name": "state", "in": "query", "schema": {"enum": list(State)}},
        {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": _MOST}},
    ]
    body = {"type": "object", "required": ["label", "who"], "additionalProperties": False}
    body["properties"] = {"label": {"type": "string"}, "who": {"type": "string", "maxLength": _LONGEST_NAME}}
    content = {"application/json": {"schema": body}}
    return {
        "/reviews": {"get": call("Rows that wait for a person") | {"parameters": query}},
        "/reviews/{ticket}": {
            "parameters": [ticket],
            "get": call("What became of a parked row"),
            "post": call("Say what a parked row is") | {"requestBody": {"required": True, "content": content}},
        },
    }
