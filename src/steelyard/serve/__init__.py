"""An endpoint for a bundle: the Open Inference Protocol and plain JSON rows, batched, within limits, counted.

Needs the core install alone. :class:`Settings` says how to serve, :func:`serve` does it until a signal, and
:func:`make_app` gives the ASGI application for a server of one's own.
"""

from __future__ import annotations

from steelyard.serve.assembly import make_app
from steelyard.serve.keys import Key, Scope, new_secret, parse_key, read_keys
from steelyard.serve.limits import Limits, limits_from
from steelyard.serve.log import LogSettings, parse_log
from steelyard.serve.price import MachinePrice, parse_price
from steelyard.serve.releases import Releasing, Watching, read_watching
from steelyard.serve.run import serve
from steelyard.serve.settings import Settings

__all__ = [
    "Key",
    "Limits",
    "LogSettings",
    "MachinePrice",
    "Releasing",
    "Scope",
    "Settings",
    "Watching",
    "limits_from",
    "make_app",
    "new_secret",
    "parse_key",
    "parse_log",
    "parse_price",
    "read_keys",
    "read_watching",
    "serve",
]
