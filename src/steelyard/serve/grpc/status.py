"""How a fault is called in gRPC."""

from __future__ import annotations

import grpc

from steelyard.serve.faults import Fault

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,  # as gRPC itself answers a message that is too long
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


def code_of(fault: Fault) -> grpc.StatusCode:
    """Return the status code of a fault.

    Examples
    --------
    >>> code_of(Fault(404, "not_found", "there is no such model")).name
    'NOT_FOUND'
    >>> code_of(Fault(503, "deadline", "it waited for too long")).name
    'DEADLINE_EXCEEDED'
    """
    if fault.cause == "deadline":
        return grpc.StatusCode.DEADLINE_EXCEEDED
    other = grpc.StatusCode.INTERNAL if fault.status >= 500 else grpc.StatusCode.INVALID_ARGUMENT
    return _CODES.get(fault.status, other)


def trailers_of(fault: Fault, request_id: bytes) -> tuple[tuple[str, str], ...]:
    """Return the metadata that goes with a fault: the request's id, and when to try again.

    ``retry-after`` is in seconds, as over HTTP; ``grpc-retry-pushback-ms`` is what gRPC's own clients wait for.
    """
    trailers = (("x-request-id", request_id.decode("latin-1")),)
    if fault.retry_after is None:
        return trailers
    return (
        *trailers,
        ("retry-after", str(fault.retry_after)),
        ("grpc-retry-pushback-ms", str(1000 * fault.retry_after)),
    )
