"""The compiled messages are those of the .proto beside them, and live in a pool of their own."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_tools import protoc

import steelyard.serve.grpc
from steelyard.serve.grpc.calls import CALLS
from steelyard.serve.grpc.messages import POOL, SERVICE

HOME = Path(steelyard.serve.grpc.__file__).parent


def test_the_compiled_messages_are_fresh(tmp_path):
    made = tmp_path / "made.binpb"
    assert protoc.main(["protoc", f"-I{HOME}", f"--descriptor_set_out={made}", "inference.proto", "health.proto"]) == 0
    read = descriptor_pb2.FileDescriptorSet.FromString
    assert read(made.read_bytes()) == read((HOME / "inference.binpb").read_bytes()), "`make proto` makes them anew"


def test_every_call_of_the_service_is_answered():
    methods = POOL.FindServiceByName(SERVICE).methods_by_name
    assert set(methods) == {*CALLS, "ModelStreamInfer"}
    for name, call in CALLS.items():
        assert call.takes.DESCRIPTOR is methods[name].input_type


def test_protobufs_own_pool_is_left_to_other_packages_with_these_messages():
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("inference.ServerLiveRequest")
