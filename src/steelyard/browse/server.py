"""Pages of runs over HTTP, for this machine alone.

``http.server`` of the standard library: a page is made by reading files, which blocks, for one person on one machine;
an event loop would only wait for threads here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from steelyard.browse.pages import SCRIPTS, list_page, problem_page
from steelyard.browse.runs import UNREADABLE, Known, list_runs, places
from steelyard.errors import RunUnreadable, SteelyardError
from steelyard.report import build, page, shell
from steelyard.search.folder import RunFolder
from steelyard.search.recount import recount

HOST = "127.0.0.1"
_NAMES = frozenset({"127.0.0.1", "localhost"})
_HTML, _JSON = "text/html; charset=utf-8", "application/json"


class PortTaken(SteelyardError):
    """The port that was asked for cannot be had."""


class Browser(ThreadingHTTPServer):
    """Serves ``/``, ``/run/FOLDER`` and ``/run/FOLDER/report.json``; nothing else can be asked for, nothing is written.

    Listens on 127.0.0.1 only, and answers only requests that name this machine, so that no page of another site can
    have a browser read it.

    Parameters
    ----------
    folder : Path
        A folder of run folders.
    port : int
        0: any that is free; see ``server_port``.

    Raises
    ------
    RunUnreadable
        If the folder cannot be read.
    PortTaken
        If the port is in use.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.known = folder.resolve(), Known()
        list_runs(self.folder, self.known)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as problem:
            raise PortTaken(f"port {port} cannot be had ({problem.strerror}); name another with --port") from problem

    def answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Return status, kind and text of what a path names."""
        if path == "/":
            return HTTPStatus.OK, _HTML, list_page(str(self.folder), list_runs(self.folder, self.known))
        asked = re.fullmatch(r"/run/([^/]+)(/report\.json)?", path)
        name = unquote(asked[1]) if asked else ""
        place = next((p for p in places(self.folder) if p.name == name), None)
        if asked is None or place is None:
            return HTTPStatus.NOT_FOUND, _HTML, problem_page("404", "There is no such run here.")
        try:
            report = build(recount(RunFolder.existing(place)))
            if asked[2]:
                return HTTPStatus.OK, _JSON, json.dumps(report, ensure_ascii=False)
            return HTTPStatus.OK, _HTML, page(report)
        except SteelyardError as problem:
            return HTTPStatus.UNPROCESSABLE_ENTITY, _HTML, problem_page(name, str(problem))
        except UNREADABLE as problem:
            said = f"Its files are damaged ({type(problem).__name__}: {problem}); restore them from a copy."
            return HTTPStatus.UNPROCESSABLE_ENTITY, _HTML, problem_page(name, said)


class _Handler(BaseHTTPRequestHandler):
    server: Browser
    server_version, sys_version = "steelyard", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with the text."""
        self._answer(whole=True)

    def do_HEAD(self) -> None:
        """Answer without the text."""
        self._answer(whole=False)

    def _answer(self, *, whole: bool) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            status, kind, text = HTTPStatus.FORBIDDEN, _HTML, problem_page("403", "Ask for it by 127.0.0.1.")
        else:
            try:
                status, kind, text = self.server.answer(urlsplit(self.path).path)
            except RunUnreadable as problem:
                status, kind, text = HTTPStatus.SERVICE_UNAVAILABLE, _HTML, problem_page("503", str(problem))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", f"{shell.policy(*self._scripts(text))}; frame-ancestors 'none'")
        self.end_headers()
        if whole:
            self.wfile.write(body)

    def _scripts(self, text: str) -> tuple[str, ...]:
        return SCRIPTS if 'id="figures"' not in text else shell.PAGE

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: there is one visitor, and he knows what he asked for."""


def serve_runs(folder: Path, port: int, began: Callable[[str], None]) -> None:
    """Serve a folder of runs until Ctrl-C; ``began`` is told the address."""
    with Browser(folder, port) as server:
        began(f"http://{HOST}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
