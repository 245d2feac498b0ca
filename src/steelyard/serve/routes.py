"""Which path is answered how, and which scope of a key opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.serve import observing, oip, rows
from steelyard.serve.cost import cost
from steelyard.serve.faults import Fault, not_found
from steelyard.serve.http import Reply, Request, json_reply
from steelyard.serve.keys import Scope
from steelyard.serve.openapi import document
from steelyard.serve.page import PAGE

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
    return json_reply(rows.reply(await endpoint.answer(deployed, table, asking)))


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
    return json_reply(oip.metadata(endpoint.choose(request.headers, version).served))


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
        return json_reply(oip.statistics([app.repository.find(name).choose(request.headers, version)]))
    return json_reply(oip.statistics(deployed for endpoint in app.repository for deployed in endpoint))


async def index(app: App, request: Request) -> Reply:
    """List the models."""
    _refuse_repository(app)
    await app.read(request)
    return json_reply(oip.index(deployed for endpoint in app.repository for deployed in endpoint))


async def change(app: App, request: Request, name: str) -> Reply:
    """Refuse to load or unload: a server has the one version that it was started with."""
    del request
    _refuse_repository(app)
    app.repository.find(name)
    raise Fault(409, "unchangeable", "the model was given at the start and stays; start a server for another one")


def _refuse_repository(app: App) -> None:
    if not app.settings.repository:
        raise not_found("the model repository is off; start the server with --repository")


async def metrics(app: App, request: Request) -> Reply:
    """Return the metrics."""
    del request
    if app.cost is not None:
        app.cost.tick()
    text = app.metrics_text()
    return Reply(200, (text + observing.more(app, text)).encode(), _PROMETHEUS)


async def openapi(app: App, request: Request) -> Reply:
    """Return the description of all calls."""
    del request
    extra = {"has_log": app.log is not None, "has_price": app.cost is not None}
    return json_reply(document(app.repository.only.stable.served, app.settings.limits, **extra))


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
    "/v2": Route("metadata", _GET, Scope.READ, server),
    "/v2/health/live": Route("health", _GET, None, live),
    "/v2/health/ready": Route("health", _GET, None, ready),
    "/v2/models/stats": Route("stats", _GET, Scope.READ, stats),
    "/v2/repository/index": Route("repository", _POST, Scope.ADMIN, index),
}
_OF_MODEL = {
    "": Route("metadata", _GET, Scope.READ, metadata),
    "ready": Route("health", _GET, Scope.READ, model_ready),
    "infer": _INFER,
    "config": Route("config", _GET, Scope.READ, config),
    "stats": Route("stats", _GET, Scope.READ, stats),
}
_CHANGE = Route("repository", _POST, Scope.ADMIN, change)


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
        route, words = _of_words(path.split("/"))
    if method not in route.methods:
        raise Fault(405, "method", f"this path takes {route.methods[0]}, not {method[:20]}", allow=route.methods)
    return route, words


def _of_words(words: list[str]) -> tuple[Route, tuple[str, ...]]:
    match words:
        case ["", "v2", "models", name, "versions", version]:
            return _OF_MODEL[""], (name, version)
        case ["", "v2", "models", name, "versions", version, what] if what and what in _OF_MODEL:
            return _OF_MODEL[what], (name, version)
        case ["", "v2", "models", name] if name:
            return _OF_MODEL[""], (name,)
        case ["", "v2", "models", name, what] if what and what in _OF_MODEL:
            return _OF_MODEL[what], (name,)
        case ["", "v2", "repository", "models", name, "load" | "unload"]:
            return _CHANGE, (name,)
    raise not_found("there is nothing at this path; GET /docs shows what there is")
