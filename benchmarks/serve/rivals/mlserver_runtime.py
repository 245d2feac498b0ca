"""A runtime for MLServer on its numpy codec."""

from __future__ import annotations

from common import Net
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    async def load(self) -> bool:
        self.net = Net()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("scores", self.net.scores(rows))],
        )
