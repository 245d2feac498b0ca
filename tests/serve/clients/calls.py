"""Every call that public clients of the protocol make, by those clients, unchanged: one client a process.

    python calls.py CLIENT HTTP_ADDRESS GRPC_ADDRESS WANTED.json

CLIENT is triton-http, triton-http-aio, triton-grpc, triton-grpc-aio, kserve-rest or kserve-grpc. tritonclient and
kserve register the same messages with protobuf, so one process cannot load both. WANTED.json holds what the bundle
itself answers. Runs in an environment of its own (``make test-clients``), knows nothing of Steelyard, prints the names
of the checks that passed, and ends with a traceback where one did not.
"""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

MODEL = "model"
NUMBERS = {"age": "FP64", "when": "FP32", "city": "BYTES", "note": "BYTES"}


def columns(wanted):
    """Return the arrays of each set of datatypes that a row is sent in, by name."""
    rows = wanted["rows"]
    text = {name: np.array(rows[name], object).reshape(-1, 1) for name in ("city", "note")}
    sets = {}
    for name, kind in (("FP64", "f8"), ("FP32", "f4"), ("INT64", "i8"), ("BOOL", "?")):
        sets[name] = text | {
            "age": np.array(wanted["ages"][name], kind).reshape(-1, 1),
            "when": np.array(rows["when"], "f8").reshape(-1, 1),
        }
    return sets


def check(wanted, name, scores, labels):
    np.testing.assert_allclose(np.asarray(scores, float).reshape(-1, 2), wanted["scores"][name], rtol=1e-6)
    found = [label.decode() if isinstance(label, bytes) else str(label) for label in np.ravel(labels)]
    assert found == wanted["labels"][name], (found, wanted["labels"][name])


def passed(*names):
    for name in names:
        sys.stdout.write(f"{name}\n")


async def _now(value):
    return await value if asyncio.iscoroutine(value) else value


async def refused(call, kind):
    """Return the exception of a kind that a call must end in."""
    try:
        await _now(call())
    except kind as problem:
        return problem
    raise AssertionError("what should be refused was answered")


def triton_inputs(module, arrays, **more):
    from tritonclient.utils import np_to_triton_dtype

    inputs = []
    for name, array in arrays.items():
        inputs.append(module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array, **more)
    return inputs


async def triton_calls(client, module, wanted, is_http):
    """Make every call that both of tritonclient's protocols have; ``client`` may be asynchronous."""
    from tritonclient.utils import InferenceServerException

    for name in ("is_server_live", "is_server_ready"):
        assert await _now(getattr(client, name)()) is True
    for version in ("", "1"):
        assert await _now(client.is_model_ready(MODEL, version)) is True
    more = {} if is_http else {"as_json": True}
    assert (await _now(client.get_server_metadata(**more)))["name"] == "steelyard"
    told = await _now(client.get_model_metadata(MODEL, **more))
    assert [(i["name"], i["datatype"]) for i in told["inputs"]] == [
        (name, "BYTES" if name in {"city", "note"} else "FP64") for name in NUMBERS
    ]
    told = await _now(client.get_model_config(MODEL, **more))
    assert (told if is_http else told["config"])["name"] == MODEL
    told = await _now(client.get_model_repository_index(**more))
    assert (told if is_http else told["models"])[0]["state"] == "READY"
    told = await _now(client.get_inference_statistics(MODEL, **more))
    assert told["model_stats"][0]["name"] == MODEL
    passed("live", "ready", "model ready", "metadata", "config", "index", "statistics")
    for name, arrays in columns(wanted).items():
        for asked in (None, [module.InferRequestedOutput("label"), module.InferRequestedOutput("scores")]):
            found = await _now(
                client.infer(MODEL, triton_inputs(module, arrays), outputs=asked, request_id="seven", timeout=9_000_000)
            )
            check(wanted, name, found.as_numpy("scores"), found.as_numpy("label"))
            told = found.get_response()
            assert (told["id"] if is_http else told.id) == "seven"
        passed(f"infer {name}")
    bad = columns(wanted)["FP64"] | {"agee": np.zeros((1, 1))}
    one = columns(wanted)["FP64"]
    for what, call in (
        ("an unknown input", lambda: client.infer(MODEL, triton_inputs(module, bad))),
        ("an unknown model", lambda: client.infer("other", triton_inputs(module, one))),
        ("an unknown version", lambda: client.infer(MODEL, triton_inputs(module, one), model_version="9")),
        ("metadata of no model", lambda: client.get_model_metadata("other")),
        ("a model that stays", lambda: client.load_model(MODEL)),
        ("a model that stays loaded", lambda: client.unload_model(MODEL)),
    ):
        assert (await refused(call, InferenceServerException)).message(), what
        passed(f"refuse {what}")


def triton_http(http, _, wanted):
    import tritonclient.http as module

    with module.InferenceServerClient(http, concurrency=2) as client:
        asyncio.run(triton_calls(client, module, wanted, is_http=True))
        for name, arrays in columns(wanted).items():
            inputs = triton_inputs(module, arrays, binary_data=False)
            asked = [module.InferRequestedOutput(output, binary_data=False) for output in ("scores", "label")]
            found = client.infer(MODEL, inputs, outputs=asked)
            check(wanted, name, found.as_numpy("scores"), found.as_numpy("label"))
            passed(f"infer {name} as JSON")
        found = client.async_infer(MODEL, triton_inputs(module, columns(wanted)["FP64"])).get_result()
        check(wanted, "FP64", found.as_numpy("scores"), found.as_numpy("label"))
        passed("async_infer")


def triton_http_aio(http, _, wanted):
    import tritonclient.http.aio as module

    async def calls():
        async with module.InferenceServerClient(http) as client:
            await triton_calls(client, module, wanted, is_http=True)

    asyncio.run(calls())


def triton_grpc(_, grpc, wanted):
    import queue

    import tritonclient.grpc as module

    with module.InferenceServerClient(grpc) as client:
        asyncio.run(triton_calls(client, module, wanted, is_http=False))
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        for name, arrays in columns(wanted).items():
            client.async_stream_infer(MODEL, triton_inputs(module, arrays), request_id=name)
            found, problem = answers.get(timeout=20)
            assert problem is None, problem
            assert found.get_response().id == name
            check(wanted, name, found.as_numpy("scores"), found.as_numpy("label"))
            passed(f"stream {name}")
        client.async_stream_infer("other", triton_inputs(module, arrays))
        assert "other" in answers.get(timeout=20)[1].message()
        client.stop_stream()
        client.async_infer(
            MODEL, triton_inputs(module, arrays), callback=lambda result, error: answers.put((result, error))
        )
        assert answers.get(timeout=20)[1] is None
        passed("refuse in a stream", "async_infer")


def triton_grpc_aio(_, grpc, wanted):
    import tritonclient.grpc.aio as module

    async def calls():
        async with module.InferenceServerClient(grpc) as client:
            await triton_calls(client, module, wanted, is_http=False)

    asyncio.run(calls())


def kserve_inputs(arrays, **more):
    from kserve import InferInput
    from kserve.utils.numpy_codec import from_np_dtype

    inputs = []
    for name, array in arrays.items():
        inputs.append(InferInput(name, list(array.shape), from_np_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array, **more)
    return inputs


def kserve_checked(wanted, name, found):
    outputs = {output.name: output.as_numpy() for output in found.outputs}
    check(wanted, name, outputs["scores"], outputs["label"])


def kserve_rest(http, _, wanted):
    import httpx
    from kserve import InferenceRESTClient, InferRequest, RESTConfig

    base = f"http://{http}"

    async def calls():
        client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
        assert await client.is_server_live(base) is True
        assert await client.is_server_ready(base) is True
        assert await client.is_model_ready(base, MODEL) is True
        passed("live", "ready", "model ready")
        for name, arrays in columns(wanted).items():
            for binary in (True, False):
                request = InferRequest(MODEL, kserve_inputs(arrays, binary_data=binary), request_id="seven")
                found = await client.infer(base, request, model_name=MODEL)
                kserve_checked(wanted, name, found)
                assert found.id == "seven"
            passed(f"infer {name}", f"infer {name} as JSON")
        request = InferRequest(MODEL, kserve_inputs({"agee": np.zeros((1, 1))}))
        for model in (MODEL, "other"):
            fault = await refused(partial(client.infer, base, request, model_name=model), httpx.HTTPStatusError)
            assert fault.response.json()["error"]
        passed("refuse an unknown input", "refuse an unknown model")

    asyncio.run(calls())


def kserve_grpc(_, grpc, wanted):
    from grpc import RpcError
    from kserve import InferenceGRPCClient, InferRequest

    async def calls():
        client = InferenceGRPCClient(grpc, retries=0)
        assert await client.is_server_live() is True
        assert await client.is_server_ready() is True
        assert await client.is_model_ready(MODEL) is True
        passed("live", "ready", "model ready")
        for name, arrays in columns(wanted).items():
            for binary in (True, False):
                request = InferRequest(MODEL, kserve_inputs(arrays, binary_data=binary), request_id="seven")
                found = await client.infer(request)
                kserve_checked(wanted, name, found)
                assert found.id == "seven"
            passed(f"infer {name}", f"infer {name} typed")
        for model in (MODEL, "other"):
            request = InferRequest(model, kserve_inputs({"agee": np.zeros((1, 1))}))
            assert (await refused(partial(client.infer, request), RpcError)).details()
        passed("refuse an unknown input", "refuse an unknown model")
        await client.close()

    asyncio.run(calls())


CLIENTS = {
    "triton-http": triton_http,
    "triton-http-aio": triton_http_aio,
    "triton-grpc": triton_grpc,
    "triton-grpc-aio": triton_grpc_aio,
    "kserve-rest": kserve_rest,
    "kserve-grpc": kserve_grpc,
}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]](sys.argv[2], sys.argv[3], json.loads(Path(sys.argv[4]).read_text()))
