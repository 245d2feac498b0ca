"""The calls of an operator as OpenAPI: ``/releases`` and ``/v2/repository``, told of where they are answered."""

from __future__ import annotations

from typing import Any

from steelyard.serve.openapi import record, responses
from steelyard.serve.releases.roles import Action
from steelyard.serve.releases.shelf import VERSION

LONGEST_WHY = 500
"""Characters of a reason."""
_ADMIN = [{"bearer": ["admin"]}, {"header": ["admin"]}]
"""The scope that a key must open."""
_TEXT: dict[str, Any] = {"type": "string"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_WHY = {"type": "string", "maxLength": LONGEST_WHY, "description": "For the log of switches; one line."}
_VERSION = {"type": "string", "pattern": f"^{VERSION}$"}
_ROLES: dict[str, dict[str, Any]] = dict.fromkeys(("stable", "previous", "canary", "shadow"), _TEXT) | {"share": _SHARE}
_SWITCH = record(
    number={"type": "integer", "minimum": 1},
    time={"type": "number", "description": "Seconds since 1970-01-01 UTC."},
    who=_TEXT,
    action={"enum": [str(action) for action in Action]},
    version=_TEXT,
    digest=_TEXT,
    why=_TEXT,
    before=record(**_ROLES),
    after=record(**_ROLES),
)
_RELEASE = record(
    version=_TEXT,
    roles={"type": "array", "items": {"enum": ["stable", "previous", "canary", "shadow"]}},
    resident={"type": "boolean", "description": "Whether it is in memory."},
    digest=_TEXT,
)
_RELEASE["properties"]["escalates"] = {"type": "boolean", "description": "Set where its unsure rows go on."}
_INDEX = record(name=_TEXT, version=_TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=_TEXT)
_SUMMARIES = {
    Action.PROMOTE: "Have a version answer whoever names none",
    Action.CANARY: "Have a version answer a share of the requests",
    Action.SHADOW: "Have a version compute again, in the background, what the stable one answers",
    Action.RETIRE: "Take its role from a version",
}


def described(name: str, *, has_shelf: bool) -> dict[str, Any]:
    """Return the paths.

    Parameters
    ----------
    name
        What clients call the model.
    has_shelf
        Whether there are versions to switch; without, the repository can be listed and no more.
    """
    ready = {"ready": {"type": "boolean", "description": "Leave out versions that are not in memory."}}
    index = _call("List the versions of the model", {"type": "array", "items": _INDEX}, _some(ready))
    paths: dict[str, Any] = {"/v2/repository/index": {"post": index}}
    return paths | _switches(name) if has_shelf else paths


def _switches(name: str) -> dict[str, Any]:
    """Return the paths by which versions are seen and switched."""
    named = record(parameters=record(version={"anyOf": [_VERSION, {"type": "integer", "minimum": 0}]}))
    model = f"/v2/repository/models/{name}"
    applied, why = record(applied=_SWITCH, **_ROLES), {"why": _WHY}
    listed = record(model=_TEXT, **_ROLES, switches={"type": "integer"}, versions={"type": "array", "items": _RELEASE})
    log = record(switches={"type": "array", "items": _SWITCH})
    share = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    bodies = dict.fromkeys(_SUMMARIES, _some(why)) | {Action.CANARY: _some({"share": share, **why}, "share")}
    version = {"name": "version", "in": "path", "required": True, "schema": _VERSION}
    return {
        f"{model}/load": {"post": _call("Load a version, which then answers", {"type": "object"}, named)},
        f"{model}/unload": {"post": _call("Take its role from a version", {"type": "object"}, named)},
        "/releases": {"get": _call("The roles, every version, and what was compared", listed)},
        "/releases/log": {"get": _call("The last switches, the newest first", log)},
        "/releases/rollback": {"post": _call("Go back to the version before", applied, _some(why))},
        **{
            f"/releases/{{version}}/{action}": {"parameters": [version], "post": _call(said, applied, bodies[action])}
            for action, said in _SUMMARIES.items()
        },
    }


def _some(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of a body that takes these and nothing else."""
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | {"required": list(required)} if required else made


def _call(summary: str, gives: dict[str, Any], takes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a call that an operator's key opens."""
    answers = responses(gives, reads=takes is not None)
    if takes is not None:
        answers["409"] = answers["400"] | {"description": "The roles, or the version, do not allow it."}
    made: dict[str, Any] = {"summary": summary, "security": _ADMIN, "responses": answers}
    if takes is not None:
        made["requestBody"] = {"required": "required" in takes, "content": {"application/json": {"schema": takes}}}
    return made
