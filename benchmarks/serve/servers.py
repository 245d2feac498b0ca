"""The servers that are compared: how each is started, asked, and how its answer is read."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from places import ROOT, python_of, version_of

RIVALS = Path(__file__).resolve().parent / "rivals"
BATCH = 32
"""Most rows of a batch for the rivals; ours measures what is best."""
NAMED = ("scores", "probabilities")
DTYPES = {"FP32": "<f4", "FP64": "<f8"}

Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Message:
    """One request: path, headers beside the usual ones, body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One server with one setting."""

    name: str
    setting: str
    environment: str
    """Of Python; empty: the one that this harness runs in."""
    start: Callable[[Path, Path, int, int], tuple[list[str], dict[str, str]]]
    """From Python, model or bundle, port and batch to a command and what to add to its environment."""
    ask: Callable[[Row], Message]
    batch: int = 1

    @property
    def title(self) -> str:
        return f"{self.name}, {self.setting}"

    @property
    def python(self) -> Path:
        return python_of(self.environment) if self.environment else Path(sys.executable)

    @property
    def version(self) -> str:
        return version_of(self.environment) if self.environment else our_version()


def our_version() -> str:
    """Return our version with a digest of every file that serves, so that a row tells which code it measured."""
    digest = hashlib.sha256()
    for folder in ("serve", "bundle"):
        for path in sorted((ROOT / "src" / "steelyard" / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{version('steelyard')}+{digest.hexdigest()[:8]}"


def scores_of(answer: bytes, head: int = 0) -> list[float]:
    """Return the scores of the one row that was asked for, from the answer of any of the servers.

    ``head`` is the length of the JSON before binary tensors; 0 where there are none.

    >>> scores_of(b'{"outputs": [{"name": "scores", "data": [0.25, 0.75]}]}')
    [0.25, 0.75]
    >>> scores_of(b'{"predictions": [{"label": "no", "probabilities": {"no": 0.75, "yes": 0.25}}]}')
    [0.75, 0.25]
    """
    data = json.loads(answer[:head] if head else answer)
    if isinstance(data, dict) and "predictions" in data:
        return list(data["predictions"][0]["probabilities"].values())
    if isinstance(data, dict) and "outputs" in data:
        return _of_outputs(data["outputs"], answer[head:])
    while isinstance(data, dict):
        data = data.get("scores", data.get("output"))
    return [float(v) for v in (data[0] if isinstance(data[0], list) else data)]


def _of_outputs(outputs: list[Any], raw: bytes) -> list[float]:
    place = 0
    for each in outputs:
        size = each.get("parameters", {}).get("binary_data_size", 0)
        if each["name"] in NAMED:
            values = np.frombuffer(raw[place : place + size], DTYPES[each["datatype"]]) if size else each["data"]
            return np.ravel(values).tolist()
        place += size
    raise ValueError(f"none of the outputs is named {' or '.join(NAMED)}")


def _script(name: str) -> Callable[[Path, Path, int, int], tuple[list[str], dict[str, str]]]:
    def start(python: Path, model: Path, port: int, batch: int) -> tuple[list[str], dict[str, str]]:
        return [str(python), str(RIVALS / name)], _told(model, port, batch)

    return start


def _told(model: Path, port: int, batch: int) -> dict[str, str]:
    graph = str(model / "model.onnx")
    return {"BENCH_MODEL": graph, "BENCH_PORT": str(port), "BENCH_BATCH": str(batch), "PYTHONPATH": str(RIVALS)}


def _bentoml(python: Path, model: Path, port: int, batch: int) -> tuple[list[str], dict[str, str]]:
    command = [str(python), "-m", "bentoml", "serve", "bentoml_server:Server", "--working-dir", str(RIVALS)]
    home = str(model.parent / "bentoml")
    told = _told(model, port, batch) | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": home}
    return [*command, "--host", "127.0.0.1", "--port", str(port)], told


def _mlserver(python: Path, model: Path, port: int, batch: int) -> tuple[list[str], dict[str, str]]:
    folder = model.parent / f"mlserver-{model.name}-{batch}"
    folder.mkdir(exist_ok=True)
    server = {"debug": False, "host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    one = {"name": "model", "implementation": "mlserver_runtime.Runtime"}
    if batch > 1:
        one |= {"max_batch_size": batch, "max_batch_time": 0.002}
    (folder / "settings.json").write_text(json.dumps(server | {"parallel_workers": 0}), encoding="ascii")
    (folder / "model-settings.json").write_text(json.dumps(one), encoding="ascii")
    return [str(python.parent / "mlserver"), "start", str(folder)], _told(model, port, batch)


def _ours(python: Path, model: Path, port: int, batch: int) -> tuple[list[str], dict[str, str]]:
    del batch
    serve = [str(python), "-m", "steelyard.cli", "serve", str(model), "--no-keys", "--port", str(port)]
    return serve, {"PYTHONPATH": str(ROOT / "src")}


def _json(path: str, made: Callable[[list[float]], Any]) -> Callable[[Row], Message]:
    def ask(row: Row) -> Message:
        return Message(path, {"Content-Type": "application/json"}, orjson.dumps(made(row.tolist())))

    return ask


def _v2(name: str) -> Callable[[Row], Message]:
    def inputs(row: list[float]) -> Any:
        return {"inputs": [{"name": name, "datatype": "FP64", "shape": [1, len(row)], "data": row}]}

    return _json("/v2/models/model/infer", inputs)


def _binary(row: Row) -> Message:
    raw = row.astype("<f8").tobytes()
    tensor = {
        "name": "rows",
        "datatype": "FP64",
        "shape": [1, len(row)],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return Message("/v2/models/model/infer", headers, head + raw)


def _rows(row: list[float]) -> Any:
    return {"rows": [{f"c{place}": value for place, value in enumerate(row)}]}


_LIT = {
    "environment": "litserve",
    "start": _script("litserve_server.py"),
    "ask": _json("/predict", lambda r: {"input": r}),
}
_BENTO = {"environment": "bentoml", "start": _bentoml, "ask": _json("/predict", lambda r: {"x": [r]})}
_ML = {"environment": "mlserver", "start": _mlserver, "ask": _v2("x")}
_OURS = {"name": "ours", "environment": "", "start": _ours}

ALL = (
    Tool(setting="v2 json", ask=_v2("rows"), **_OURS),  # type: ignore[arg-type]
    Tool(setting="v2 binary", ask=_binary, **_OURS),  # type: ignore[arg-type]
    Tool(setting="rows", ask=_json("/predict", _rows), **_OURS),  # type: ignore[arg-type]
    Tool(
        name="fastapi",
        setting="plain",
        environment="fastapi",
        start=_script("fastapi_server.py"),
        ask=_json("/predict", lambda row: {"inputs": [row]}),
    ),
    Tool(name="litserve", setting="single", **_LIT),  # type: ignore[arg-type]
    Tool(name="litserve", setting="batching", batch=BATCH, **_LIT),  # type: ignore[arg-type]
    Tool(name="bentoml", setting="single", **_BENTO),  # type: ignore[arg-type]
    Tool(name="bentoml", setting="batching", batch=BATCH, **_BENTO),  # type: ignore[arg-type]
    Tool(name="mlserver", setting="single", **_ML),  # type: ignore[arg-type]
    Tool(name="mlserver", setting="batching", batch=BATCH, **_ML),  # type: ignore[arg-type]
)
