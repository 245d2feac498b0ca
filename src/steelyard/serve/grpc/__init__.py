"""Open Inference Protocol, version 2, over gRPC, on the event loop of the HTTP server and by the same path.

Keys, limits, queues, metrics and sentences are those of REST; a call differs in its bytes alone. Needs the extra
``grpc`` (grpcio and protobuf), which is loaded when :class:`GrpcServer` starts.
"""

from __future__ import annotations

from steelyard.serve.grpc.server import GrpcServer, address_of, require

__all__ = ["GrpcServer", "address_of", "require"]
