"""The calls by which an operator sees and switches versions: plain ones, and those of the protocol's repository.

A client names a version, which must be on the shelf or at a listed source; it never names a place.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from steelyard.errors import BundleRefused, nearest
from steelyard.serve import oip
from steelyard.serve.faults import Fault, malformed, not_found
from steelyard.serve.http import Headers, Reply, Request, json_reply
from steelyard.serve.keys import who
from steelyard.serve.limits import Limits, json_object
from steelyard.serve.releases import described
from steelyard.serve.releases.board import Board
from steelyard.serve.releases.paths import LONGEST_WHY
from steelyard.serve.releases.roles import Action
from steelyard.serve.releases.shelf import is_version, versions
from steelyard.serve.releases.switches import Order

if TYPE_CHECKING:
    from steelyard.serve.app import App

_LOGGER = logging.getLogger("steelyard.serve")
_LINES = 100
"""Of the log that are told at most."""


async def listed(app: App, request: Request) -> Reply:
    """Tell the roles and every version."""
    del request
    board = _board(app)
    there, problem = await _there(board)
    return json_reply(described.releases(board, there) | ({"problem": problem} if problem else {}))


async def logged(app: App, request: Request) -> Reply:
    """Tell the last switches, the newest first."""
    del request
    return json_reply({"switches": described.log(_board(app), _LINES)})


async def switch(app: App, request: Request, action: str, version: str = "") -> Reply:
    """Make a switch, and tell what came of it."""
    _refuse_other_sites(request.headers)
    board = _board(app)
    body = await app.read(request)
    why, share = _asked(json_object(body, app.settings.limits) if body else {}, Action(action))
    if version:
        _refuse_strange(version)
    order = Order(action=Action(action), version=version, who=who(request.headers), why=why, share=share)
    line = await board.switch(order)
    return json_reply({"applied": line.to_json(), **line.after.to_json()})


def _asked(data: dict[str, Any], action: Action) -> tuple[str, float]:
    """Return what a body says: why, and the share of a canary.

    Raises
    ------
    Fault
        If it says anything else, or says it of something else.
    """
    known = ("why", "share") if action is Action.CANARY else ("why",)
    for name in data:
        if name not in known:
            raise malformed(
                f"{action.value} takes no {name[:80]!r}{nearest(name[:80], known)}; it takes {' and '.join(known)}"
            )
    why, share = data.get("why", ""), data.get("share", 0.0)
    if type(why) is not str or len(why) > LONGEST_WHY or not why.isprintable():
        raise malformed(f"why must be a line of text of at most {LONGEST_WHY} characters")
    if action is Action.CANARY and (type(share) not in {int, float} or not 0 < share <= 1):
        raise malformed('a canary needs its share of the requests, above 0 to 1, such as {"share": 0.1}')
    return why, float(share)


async def index(app: App, request: Request) -> Reply:
    """List the versions as the protocol does."""
    refuse_repository(app)
    body = await app.read(request)
    data = json_object(body, app.settings.limits) if body else {}
    return json_reply(await listing(app, is_ready=data.get("ready") is True))


async def listing(app: App, *, is_ready: bool) -> list[dict[str, str]]:
    """Return the index of the protocol; ``is_ready`` leaves out versions that are not in memory.

    Raises
    ------
    Fault
        404 if the repository is off.
    """
    refuse_repository(app)
    found = oip.index(deployed for endpoint in app.repository for deployed in endpoint)
    if app.board is None:
        return found
    for each in found:
        each["reason"] = ", ".join(app.board.log.roles.of(each["version"]))
    if is_ready:
        return found
    here, name = {each["version"] for each in found}, app.board.endpoint.name
    there = [version for version in (await _there(app.board))[0] if version not in here]
    more = [{"name": name, "version": each, "state": "UNAVAILABLE", "reason": "on the shelf"} for each in there]
    return found + more


async def change(app: App, request: Request, name: str, what: str) -> Reply:
    """Load a version, which then answers, or unload one, which loses its role."""
    refuse_repository(app)
    _refuse_other_sites(request.headers)
    body = await app.read(request)
    data = json_object(body, app.settings.limits) if body else {}
    await changed(app, request.headers, name, what, data.get("parameters", {}))
    return json_reply({})


async def changed(app: App, headers: Headers, name: str, what: str, parameters: Any) -> None:
    """Switch a version as the protocol asks, by HTTP or by gRPC.

    Parameters
    ----------
    app
        The application.
    headers
        Of the request; they say who asks.
    name
        Of the model.
    what
        ``load`` or ``unload``.
    parameters
        What the client gave by name; it says which version, and nothing else.

    Raises
    ------
    Fault
        404 if the repository is off or there is no such model or version, 409 if nothing can be switched, 400 for
        parameters that are not taken.
    """
    refuse_repository(app)
    app.repository.find(name)
    board = _board(app)
    version = _named(parameters, what, app.settings.limits)
    action = Action.PROMOTE if what == "load" else Action.RETIRE
    await board.switch(Order(action=action, version=version, who=who(headers), why=f"repository {what}"))


def _named(parameters: Any, what: str, limits: Limits) -> str:
    """Return the version that parameters of the protocol name.

    Clients of Triton cannot say ``version``; they say it as Triton wants it, in a configuration of which nothing but
    the policy of versions is taken.

    Raises
    ------
    Fault
        If they name none, or anything else: a configuration or files, which clients may not give.
    """
    taken = {"load": ("version", "config"), "unload": ("version", "unload_dependents")}[what]
    if type(parameters) is not dict or (strange := [name for name in parameters if name not in taken]):
        name = strange[0][:80] if type(parameters) is dict else "parameters"
        raise malformed(f'{name!r} is not taken here; give {{"parameters": {{"version": "2"}}}}')
    version = parameters.get("version")
    if "config" in parameters:
        version = None if version is not None else _of_policy(parameters["config"], limits)
    if type(version) is int:
        version = str(version)
    if type(version) is not str:
        raise malformed('say which version, as {"parameters": {"version": "2"}}; POST /v2/repository/index lists them')
    _refuse_strange(version)
    return version


def _of_policy(config: Any, limits: Limits) -> Any:
    """Return the one version of a policy, ``{"version_policy": {"specific": {"versions": [2]}}}``; else nothing."""
    data = json_object(config.encode(), limits) if type(config) is str else {}
    match data:
        case {"version_policy": {"specific": {"versions": [version]}}}:
            return version if data == {"version_policy": {"specific": {"versions": [version]}}} else None
    raise malformed("'config' is not taken here but for its version_policy, with one specific version")


def _refuse_strange(version: str) -> None:
    if not is_version(version):
        raise not_found(f"no version is called {version[:80]!r}; GET /releases lists them")


def refuse_repository(app: App) -> None:
    """Refuse calls of the repository unless they were asked for.

    Raises
    ------
    Fault
        404.
    """
    if not app.settings.repository:
        raise not_found("the model repository is off; start the server with --repository")


def _board(app: App) -> Board:
    """Return what switches versions.

    Raises
    ------
    Fault
        404 if this was not asked for, 409 if there are no versions to switch.
    """
    refuse_repository(app)
    if app.board is None:
        raise Fault(409, "unchangeable", "this server has one bundle, which stays; serve a shelf to switch versions")
    return app.board


async def _there(board: Board) -> tuple[tuple[str, ...], str]:
    """Return the versions that could be opened, and why there may be more."""
    try:
        return await asyncio.to_thread(board.opener.versions), ""
    except BundleRefused as problem:
        _LOGGER.warning("%s", problem)
        return versions(board.opener.shelf), "a source of versions does not answer"


def _refuse_other_sites(headers: Headers) -> None:
    """Refuse what a page of another site has a browser send: browsers say so, and other clients do not.

    Raises
    ------
    Fault
        403 if the header ``Origin`` names another host than ``Host``.
    """
    origin = headers.get(b"origin")
    if origin is None:
        return
    host = headers.get(b"host", b"").decode("latin-1").lower()
    try:
        netloc = urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        netloc = ""
    if not netloc or netloc != host:
        raise Fault(403, "origin", "versions are not switched from pages of other sites; ask without a browser")
