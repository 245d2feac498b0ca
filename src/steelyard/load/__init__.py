"""Put load on a server and say what it bears: ``steelyard load URL --rps 50 --seconds 30``.

Requests are sent at planned times (an open loop of Poisson arrivals) and latency counts from the planned time, so that
a server that stands still is charged for everyone who waits. The generator measures its own ceiling first and says
when its figures cannot be vouched for. It speaks HTTP/1.1 over raw sockets, because a client library of Python costs
more processor time a request than the server.

:func:`at_rate`, :func:`with_connections` and :func:`fastest` test; :class:`Result` and :class:`Maximum` are what they
find.
"""

from __future__ import annotations

from steelyard.load.arrivals import Plan
from steelyard.load.bodies import Protocol
from steelyard.load.loops import Way
from steelyard.load.maximum import Maximum, find_maximum
from steelyard.load.percentiles import percentiles
from steelyard.load.run import (
    Ceiling,
    at_rate,
    fastest,
    lateness,
    measure_ceiling,
    weakness,
    what_to_send,
    with_connections,
)
from steelyard.load.summary import Result
from steelyard.load.target import Target

__all__ = [
    "Ceiling",
    "Maximum",
    "Plan",
    "Protocol",
    "Result",
    "Target",
    "Way",
    "at_rate",
    "fastest",
    "find_maximum",
    "lateness",
    "measure_ceiling",
    "percentiles",
    "weakness",
    "what_to_send",
    "with_connections",
]
