"""LitServe with its ZeroMQ transport (`fast_queue`), one worker, one API server."""

from typing import Any

import litserve
import numpy as np
from common import BATCH, PORT, WINDOW, Net


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - as it is called
        self.net = Net()

    def decode_request(self, request) -> np.ndarray:  # noqa: ANN001 - an annotation would have the body validated
        return np.asarray(request["input"], np.float64)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.scores(x) if x.ndim == 2 else self.net.scores(x[None])[0]

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"output": output.tolist()}


class Batched(Api):
    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)


if __name__ == "__main__":
    api = Batched(max_batch_size=BATCH, batch_timeout=WINDOW) if BATCH > 1 else Api()
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, log_level="error", generate_client_file=False)
