"""Open Inference Protocol, version 2, over REST, with the extensions of Triton that its clients use by default.

The protocol: https://github.com/kserve/open-inference-protocol. The extensions (binary tensor data, model
configuration, statistics, model repository): https://github.com/triton-inference-server/server/tree/main/docs/protocol.
"""

from __future__ import annotations

from steelyard.serve.oip.answers import encode
from steelyard.serve.oip.describe import configuration, index, metadata, server_metadata, statistics
from steelyard.serve.oip.requests import Asked, parse

__all__ = ["Asked", "configuration", "encode", "index", "metadata", "parse", "server_metadata", "statistics"]
