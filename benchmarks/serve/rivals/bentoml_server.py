"""BentoML with one worker; its adaptive batching where batches are asked for."""

from __future__ import annotations

import bentoml
import numpy as np
from common import BATCH, Net


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Server:
    def __init__(self) -> None:
        self.net = Net()

    @bentoml.api(batchable=BATCH > 1, max_batch_size=max(BATCH, 2))
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.scores(x)
