"""The client for asyncio: the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from steelyard.client import calls
from steelyard.client.answers import Inference, Predictions
from steelyard.client.retries import Retries
from steelyard.datatypes import LENGTH
from steelyard.errors import need


class AsyncClient:
    """Asks one server from asyncio; keeps its connections open, and may ask many things at once.

    Its parameters are those of :class:`Client`.

    Raises
    ------
    MissingExtra
        If httpx is not installed.
    """

    def __init__(
        self, url: str, *, key: str = "", timeout: float = 10.0, retries: Retries | None = None, verify: Any = True
    ) -> None:
        self._httpx = need("httpx", for_="asking a server")
        self._base = calls.checked_address(url)
        self._retries = Retries() if retries is None else retries
        self._line = self._httpx.AsyncClient(
            headers=calls.headers_of(key), timeout=calls.checked_timeout(timeout), verify=verify
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._line.aclose()

    async def predict(
        self, rows: Iterable[Mapping[str, Any]], *, headers: Mapping[str, str] | None = None
    ) -> Predictions:
        """Predict rows, each a mapping of values by column.

        Raises
        ------
        RowsRefused
            If they cannot be sent.
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        return Predictions.read((await self.ask(calls.predict(rows, headers))).content)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: str = "",
        outputs: Sequence[str] = (),
        binary: bool = True,
        request_id: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> Inference:
        """Send tensors to a model by the Open Inference Protocol; see :meth:`Client.infer`."""
        call = calls.infer(
            model,
            inputs,
            version=version,
            outputs=outputs,
            binary=binary,
            request_id=request_id,
            parameters=parameters,
        )
        answer = await self.ask(call)
        return Inference.read(answer.content, answer.headers.get(LENGTH))

    async def metadata(self, model: str = "", *, version: str = "") -> dict[str, Any]:
        """Return what the server says of itself, or of a model: its inputs and outputs."""
        return calls.metadata((await self.ask(calls.about(model, version))).content)

    async def ready(self, model: str = "", *, version: str = "") -> bool:
        """Tell whether the server, or a model, can answer; a server that cannot be reached is not ready."""
        return await self._is_well(calls.health("ready", model, version))

    async def live(self) -> bool:
        """Tell whether the server is there at all."""
        return await self._is_well(calls.health("live"))

    async def _is_well(self, call: calls.Call) -> bool:
        try:
            answer = await self._line.request(call.method, self._base + call.path)
        except self._httpx.TransportError:
            return False
        return calls.is_well(answer.status_code, answer.content)

    async def ask(self, call: calls.Call) -> Any:
        """Return the good answer to a call, asking again as often as the retries say.

        Raises
        ------
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        attempt = 0
        while True:
            attempt, answer, problem = attempt + 1, None, None
            try:
                answer = await self._line.request(
                    call.method, self._base + call.path, content=call.body, headers=dict(call.headers)
                )
            except self._httpx.TransportError as error:
                problem = error
            wait = calls.wait(self._retries, attempt, answer, problem, self._httpx)
            if wait is None:
                return calls.outcome(self._base, call, answer, problem, attempts=attempt)
            await asyncio.sleep(wait)
