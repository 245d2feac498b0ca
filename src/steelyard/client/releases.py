"""Asks a server about the versions of its model, and has it switch them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from steelyard.client import calls
from steelyard.client.synchronous import Client
from steelyard.errors import RequestInvalid, ServerRefused

OF_A_VERSION = ("promote", "canary", "shadow", "retire")
"""What takes the name of a version."""


class Releases:
    """The versions of a server that was started with ``--repository``.

    Parameters
    ----------
    client
        With a key that opens ``admin``.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Mapping[str, Any]:
        """Return the roles and every version.

        Raises
        ------
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        return self._asked(calls.GET, "/releases")

    def log(self) -> Mapping[str, Any]:
        """Return the last switches, the newest first."""
        return self._asked(calls.GET, "/releases/log")

    def switch(self, action: str, version: str = "", *, why: str = "", share: float | None = None) -> Mapping[str, Any]:
        """Have versions switched; the answer says what was applied.

        Parameters
        ----------
        action, version
            ``promote``, ``canary``, ``shadow`` or ``retire`` of a version, or ``rollback``.
        why
            For the log.
        share
            Of the requests that a canary answers, above 0 to 1.

        Raises
        ------
        RequestInvalid
            If a version is missing, or there is one too many.
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        if action not in {*OF_A_VERSION, "rollback"}:
            raise RequestInvalid(f"{action!r} is no switch; there are {', '.join(OF_A_VERSION)} and rollback")
        if bool(version) != (action in OF_A_VERSION):
            raise RequestInvalid(f"{action} takes {'the name of a version' if not version else 'no version'}")
        body = ({"why": why} if why else {}) | ({} if share is None else {"share": share})
        place = f"{quote(version, safe='')}/{action}" if version else action
        return self._asked(calls.POST, f"/releases/{place}", body)

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        content, headers = (b"", {}) if body is None else (orjson.dumps(body), {"Content-Type": "application/json"})
        answer = self._client.ask(calls.Call(method=method, path=path, body=content, headers=headers))
        try:
            data = orjson.loads(answer.content)
        except orjson.JSONDecodeError as problem:
            raise ServerRefused(f"{path} was answered with something that is no JSON") from problem
        if not isinstance(data, dict):
            raise ServerRefused(f"{path} was answered with something that is no JSON object")
        return data
