"""What a client is told when it gets no answer: a status, one sentence, and a cause for the metrics."""

from __future__ import annotations

_LONGEST = 400


class Fault(Exception):
    """A request that is refused. The sentence is for the client and reveals nothing of the server's inside.

    Parameters
    ----------
    status
        HTTP status.
    cause
        One word for the metrics.
    sentence
        What is wrong, and the way out.
    retry_after
        Seconds after which to try again; only with 503.
    close
        Whether the connection is of no more use, as its body was not read to the end.
    allow
        The methods that the path takes; only with 405.
    """

    def __init__(
        self,
        status: int,
        cause: str,
        sentence: str,
        *,
        retry_after: int | None = None,
        close: bool = False,
        allow: tuple[str, ...] = (),
    ) -> None:
        super().__init__(sentence)
        self.status, self.cause, self.retry_after, self.close, self.allow = status, cause, retry_after, close, allow
        self.sentence = sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}..."


def malformed(sentence: str) -> Fault:
    """Return the fault of a request that cannot be read."""
    return Fault(400, "malformed", sentence)


def unfit(sentence: str) -> Fault:
    """Return the fault of rows that do not fit the model's signature."""
    return Fault(400, "rows", sentence)


def too_large(sentence: str, *, close: bool = False) -> Fault:
    """Return the fault of a request that is over a limit."""
    return Fault(413, "too_large", sentence, close=close)


def not_found(sentence: str) -> Fault:
    """Return the fault of a path, a model or a version that is not there."""
    return Fault(404, "not_found", sentence)


def overloaded(cause: str, sentence: str) -> Fault:
    """Return the fault of a request that finds the server too busy."""
    return Fault(503, cause, sentence, retry_after=1)
