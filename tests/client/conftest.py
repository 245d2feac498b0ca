"""A real server of the Open Inference Protocol, written from its public text, with Triton's binary tensors."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

TYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "BOOL": "?", "UINT8": "u1", "FP16": "<f2"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers), b""))
        if self._scripted():
            return
        self._json(*self.server.pages.get(self.path, (404, {"error": f"nothing at {self.path}"})))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        if self._scripted():
            return
        if self.path == "/predict":
            rows = json.loads(body)["rows"]
            found = [{"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "stage": 1} for _ in rows]
            self._json(200, {"predictions": found, "model": "m", "version": "abc"})
        else:
            self._infer(body)

    def _scripted(self):
        """Answer with what the test put in line: (status, headers, bytes), or a connection that is dropped."""
        if not self.server.script:
            return False
        status, headers, body = self.server.script.pop(0)
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return True
        self._send(status, body, headers)
        return True

    def _infer(self, body):
        """Double numbers, and turn strings round."""
        length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        request, rest = json.loads(body[:length]), body[length:]
        outputs, tail = [], b""
        for tensor in request["inputs"]:
            size = tensor.get("parameters", {}).get("binary_data_size")
            if size is None:
                values = tensor["data"]
            else:
                values, rest = self._unpack(rest[:size], tensor["datatype"]), rest[size:]
            answer = [None if v is None else v[::-1] if isinstance(v, str) else v + v for v in values]
            output = {"name": f"{tensor['name']}_out", "datatype": tensor["datatype"], "shape": tensor["shape"]}
            if request.get("parameters", {}).get("binary_data_output"):
                raw = self._pack(answer, tensor["datatype"])
                output["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            else:
                output["data"] = answer
            outputs.append(output)
        said = {"model_name": "m", "model_version": "1", "id": request.get("id", ""), "outputs": outputs}
        written = json.dumps(said).encode()
        self._send(200, written + tail, {"Inference-Header-Content-Length": len(written)} if tail else {})

    @staticmethod
    def _unpack(raw, datatype):
        if datatype != "BYTES":
            return np.frombuffer(raw, TYPES[datatype]).tolist()
        found = []
        while raw:
            end = 4 + int.from_bytes(raw[:4], "little")
            found.append(raw[4:end].decode())
            raw = raw[end:]
        return found

    @staticmethod
    def _pack(values, datatype):
        if datatype != "BYTES":
            return np.array(values, TYPES[datatype]).tobytes()
        return b"".join(len(v.encode()).to_bytes(4, "little") + v.encode() for v in values)

    def _json(self, status, data):
        self._send(status, json.dumps(data).encode(), {})

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads, made.seen, made.script = True, [], []
    made.pages = {
        "/v2": (200, {"name": "steelyard", "version": "1", "extensions": ["binary_tensor_data"]}),
        "/v2/health/live": (200, {"live": True}),
        "/v2/health/ready": (200, {"ready": True}),
        "/v2/models/m": (200, {"name": "m", "inputs": [], "outputs": []}),
        "/v2/models/m/ready": (200, {"name": "m", "ready": True}),
        "/v2/models/m/versions/2": (200, {"name": "m", "versions": ["2"]}),
    }
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
