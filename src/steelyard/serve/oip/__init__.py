"""Open Inference Protocol, version 2, over REST, with the extensions of Triton that its clients use by default.

The protocol: https://github.com/kserve/open-inference-protocol. The extensions (binary tensor data, model
configuration, statistics, model repository): https://github.com/triton-inference-server/server/tree/main/docs/protocol.
"""

from __future__ import annotations

from steelyard.serve.oip.answers import encode, output_of, raw_of
from steelyard.serve.oip.describe import configuration, index, metadata, server_metadata, statistics
from steelyard.serve.oip.requests import Asked, asked, parse, refuse_unread

__all__ = [
    "Asked",
    "asked",
    "configuration",
    "encode",
    "index",
    "metadata",
    "output_of",
    "parse",
    "raw_of",
    "refuse_unread",
    "server_metadata",
    "statistics",
]
