"""The client for ordinary code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from steelyard.client import calls
from steelyard.client.answers import Inference, Predictions
from steelyard.client.retries import Retries
from steelyard.datatypes import LENGTH
from steelyard.errors import need


class Client:
    """Asks one server; keeps its connections open, and may be used by several threads.

    Parameters
    ----------
    url
        Address of the server, such as ``"http://127.0.0.1:8000"``.
    key
        Key to show, if the server wants one.
    timeout
        Seconds that each attempt may take.
    retries
        When to ask again; see :class:`Retries`.
    verify
        Whether to check the server's certificate, or a :class:`ssl.SSLContext` to check it with.

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
        self._line = self._httpx.Client(
            headers=calls.headers_of(key), timeout=calls.checked_timeout(timeout), verify=verify
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._line.close()

    def predict(self, rows: Iterable[Mapping[str, Any]], *, headers: Mapping[str, str] | None = None) -> Predictions:
        """Predict rows, each a mapping of values by column.

        Raises
        ------
        RowsRefused
            If they cannot be sent.
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        return Predictions.read(self.ask(calls.predict(rows, headers)).content)

    def infer(
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
        """Send tensors to a model by the Open Inference Protocol; arrays go in and come out.

        Parameters
        ----------
        model, version
            Which model; no version: the server chooses.
        inputs
            Array by the name of the input.
        outputs
            Which outputs to ask for; none: all.
        binary
            Whether tensors travel as bytes (Triton's extension) or as JSON, which every server of the protocol reads.
        request_id, parameters
            Sent along; the id comes back.

        Raises
        ------
        RowsRefused
            If an input cannot be sent.
        ServerRefused, ServerUnreachable
            If the server says no, or nothing.
        """
        call = calls.infer(
            model,
            inputs,
            version=version,
            outputs=outputs,
            binary=binary,
            request_id=request_id,
            parameters=parameters,
        )
        answer = self.ask(call)
        return Inference.read(answer.content, answer.headers.get(LENGTH))

    def metadata(self, model: str = "", *, version: str = "") -> dict[str, Any]:
        """Return what the server says of itself, or of a model: its inputs and outputs."""
        return calls.metadata(self.ask(calls.about(model, version)).content)

    def ready(self, model: str = "", *, version: str = "") -> bool:
        """Tell whether the server, or a model, can answer; a server that cannot be reached is not ready."""
        return self._is_well(calls.health("ready", model, version))

    def live(self) -> bool:
        """Tell whether the server is there at all."""
        return self._is_well(calls.health("live"))

    def _is_well(self, call: calls.Call) -> bool:
        try:
            answer = self._line.request(call.method, self._base + call.path)
        except self._httpx.TransportError:
            return False
        return calls.is_well(answer.status_code, answer.content)

    def ask(self, call: calls.Call) -> Any:
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
                answer = self._line.request(
                    call.method, self._base + call.path, content=call.body, headers=dict(call.headers)
                )
            except self._httpx.TransportError as error:
                problem = error
            wait = calls.wait(self._retries, attempt, answer, problem, self._httpx)
            if wait is None:
                return calls.outcome(self._base, call, answer, problem, attempts=attempt)
            time.sleep(wait)
