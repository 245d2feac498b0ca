"""The messages of the protocol, as classes that are made from the compiled ``inference.proto``.

They live in a pool of their own, not in protobuf's default one: another package of the same process may bring the same
messages (tritonclient and kserve do), and a name can stand in a pool once only. No generated code is needed so, which
would tie the package to one major version of protobuf.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"
_FILE = files("steelyard.serve.grpc").joinpath("inference.binpb").read_bytes()


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(_FILE).file:
        pool.Add(each)
    return pool


POOL = _pool()


def message(name: str, package: str = "inference") -> Any:
    r"""Return the class of a message.

    Raises
    ------
    KeyError
        If there is none of that name.

    Examples
    --------
    >>> message("ModelReadyRequest")(name="m").SerializeToString()
    b'\n\x01m'
    """
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}"))


InferRequest, InferResponse = message("ModelInferRequest"), message("ModelInferResponse")
StreamResponse = message("ModelStreamInferResponse")
