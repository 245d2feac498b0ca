"""Which path is answered how, and which scope of a key opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from steelyard.serve import observing, oip, rows
from steelyard.serve.cost import cost
from steelyard.serve.escalation import routes as reviews
from steelyard.serve.faults import Fault, not_found
from steelyard.serve.http import Reply, Request, json_reply
from steelyard.serve.keys import Scope
from steelyard.serve.openapi import document
from steelyard.serve.page import PAGE
from steelyard.serve.releases import paths
from steelyard.serve.releases import routes as releases

if TYPE_CHECKING:
    from steelyard.serve.app import App

_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
_HTML = b"text/html; charset=utf-8"
_PAGE_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
    ),
    (b"x-content-type-options", b"nosniff"),
)

Handler = Callable[..., Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """How a path is answered; ``scope`` is ``None`` where anybody may ask."""

    name: str
    methods: tuple[str, ...]
    scope: Scope | None
    handle: Handler


async def predict(app: App, request: Request) -> Reply:
    """Answer rows by column."""
    endpoint = app.repository.only
    deployed = endpoint.choose(request.headers)
    asking = app.asking(request)
    body = await app.read(request)
    table = await app.apart(len(body), rows.read, deployed.served, body, app.settings.limits)
    return json_reply(rows.reply(await endpoint.answer(deployed, table, asking), table))


async def infer(app: App, request: Request, name: str, version: str = "") -> Reply:
    """Answer tensors."""
    endpoint = app.repository.find(name)
    deployed = endpoint.choose(request.headers, version)
    body = await app.read(request)
    asked = await app.apart(len(body), oip.parse, deployed.served, request.headers, body, app.settings.limits)
    return oip.encode(asked, await endpoint.answer(deployed, asked.table, app.asking(request, asked.wait)))


async def live(app: App, request: Request) -> Reply:
    """Tell that the process runs."""
    del app, request
    return json_reply({"live": True})


async def ready(app: App, request: Request) -> Reply:
    """Tell whether models answer."""
    del request
    return json_reply({"ready": app.is_ready}, 200 if app.is_ready else 503)


async def server(app: App, request: Request) -> Reply:
    """Tell what the server is."""
    del request
    return json_reply(oip.server_metadata(repository=app.settings.repository))


async def metadata(app: App, request: Request, name: str, version: str = "") -> Reply:
    """Tell what a model is."""
    endpoint = app.repository.find(name)
    told = oip.metadata(endpoint.choose(request.headers, version).served)
    return json_reply(told if version else told | {"versions": [each.served.version for each in endpoint]})


async def model_ready(app: App, request: Request, name: str, version: str = "") -> Reply:
    """Tell whether a model answers."""
    endpoint = app.repository.find(name)
    return json_reply({"name": endpoint.choose(request.headers, version).served.name, "ready": True})


async def config(app: App, request: Request, name: str, version: str = "") -> Reply:
    """Tell how a model is run."""
    endpoint = app.repository.find(name)
    return json_reply(oip.configuration(endpoint.choose(request.headers, version)))


async def stats(app: App, request: Request, name: str = "", version: str = "") -> Reply:
    """Tell what was counted, of one model or of all."""
    if name:
        one = app.repository.find(name).choose(request.headers, version)
        return json_reply(oip.statistics([one.metrics], app.metrics.totals()))
    several = [deployed.metrics for endpoint in app.repository for deployed in endpoint]
    return json_reply(oip.statistics(several, app.metrics.totals()))


async def metrics(app: App, request: Request) -> Reply:
    """Return the metrics."""
    del request
    if app.board is not None:
        app.board.count()  # what this process has compared since its last look
    if app.cost is not None:
        app.cost.tick()
    text = app.metrics.text()
    return Reply(200, (text + observing.more(app, text)).encode(), _PROMETHEUS)


async def openapi(app: App, request: Request) -> Reply:
    """Return the description of all calls."""
    del request
    extra = {"has_log": app.log is not None, "has_price": app.cost is not None}
    described = document(app.repository.only.stable.served, app.settings.limits, **extra)
    if app.settings.escalate is not None:
        described["paths"] |= reviews.described()
    if app.settings.repository:
        described["paths"] |= paths.described(app.repository.only.name, has_shelf=app.board is not None)
    return json_reply(described)


async def page(app: App, request: Request) -> Reply:
    """Return the page to try the model; what it shows of the model it asks for with a key."""
    del app, request
    return Reply(200, PAGE, _HTML, _PAGE_HEADERS)


_GET, _POST = ("GET", "HEAD"), ("POST",)
_PREDICT = Route("predict", _POST, Scope.PREDICT, predict)
_INFER = Route("infer", _POST, Scope.PREDICT, infer)
_FIXED = {
    "/predict": _PREDICT,
    "/labels": Route("labels", _POST, Scope.LABEL, observing.labels),
    "/cost": Route("cost", _GET, Scope.READ, cost),
    "/metrics": Route("metrics", _GET, Scope.READ, metrics),
    "/openapi.json": Route("openapi", _GET, Scope.READ, openapi),
    "/docs": Route("docs", _GET, None, page),
    "/reviews": Route("reviews", _GET, Scope.REVIEW, reviews.listed),
    "/v2": Route("metadata", _GET, Scope.READ, server),
    "/v2/": Route("metadata", _GET, Scope.READ, server),
    "/v2/health/live": Route("health", _GET, None, live),
    "/v2/health/ready": Route("health", _GET, None, ready),
    "/v2/models/stats": Route("stats", _GET, Scope.READ, stats),
    "/v2/repository/index": Route("repository", _POST, Scope.ADMIN, releases.index),
    "/releases": Route("releases", _GET, Scope.ADMIN, releases.listed),
    "/releases/log": Route("releases", _GET, Scope.ADMIN, releases.logged),
    "/releases/rollback": Route("releases", _POST, Scope.ADMIN, partial(releases.switch, action="rollback")),
}
_OF_MODEL = {
    "": Route("metadata", _GET, Scope.READ, metadata),
    "ready": Route("health", _GET, Scope.READ, model_ready),
    "infer": _INFER,
    "config": Route("config", _GET, Scope.READ, config),
    "stats": Route("stats", _GET, Scope.READ, stats),
}
_REVIEW = Route("reviews", (*_GET, *_POST), Scope.PREDICT, reviews.one)
_DECIDE = Route("reviews", (*_GET, *_POST), Scope.REVIEW, reviews.decide)
_CHANGE = Route("repository", _POST, Scope.ADMIN, releases.change)
_SWITCH = Route("releases", _POST, Scope.ADMIN, releases.switch)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """Return the route of a path, and the words of the path that are its arguments.

    Raises
    ------
    Fault
        404 where there is nothing, 405 for a wrong method.

    Examples
    --------
    >>> find("POST", "/v2/models/m/versions/1/infer")[1]
    ('m', '1')
    """
    words: tuple[str, ...] = ()
    route = _FIXED.get(path)
    if route is None:
        route, words = _of_words(method, path.split("/"))
    if method not in route.methods:
        raise Fault(405, "method", f"this path takes {route.methods[0]}, not {method[:20]}", allow=route.methods)
    return route, words


def _of_words(method: str, words: list[str]) -> tuple[Route, tuple[str, ...]]:  # noqa: PLR0911 - one a form of path
    match words:
        case ["", "v2", "models", name, "versions", version]:
            return _OF_MODEL[""], (name, version)
        case ["", "v2", "models", name, "versions", version, what] if what and what in _OF_MODEL:
            return _OF_MODEL[what], (name, version)
        case ["", "v2", "models", name] if name:
            return _OF_MODEL[""], (name,)
        case ["", "v2", "models", name, what] if what and what in _OF_MODEL:
            return _OF_MODEL[what], (name,)
        case ["", "reviews", ticket] if ticket:
            return (_DECIDE if method == "POST" else _REVIEW), (ticket,)
        case ["", "v2", "repository", "models", name, "load" | "unload" as what]:
            return _CHANGE, (name, what)
        case ["", "releases", version, "promote" | "canary" | "shadow" | "retire" as action] if version:
            return _SWITCH, (action, version)
    raise not_found("there is nothing at this path; GET /docs shows what there is")
