"""FastAPI with pydantic, answering on the event loop: without a pool of threads it is the quickest on one core."""

from __future__ import annotations

import numpy as np
import uvicorn
from common import PORT, Net
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
net = Net()


class Rows(BaseModel):
    inputs: list[list[float]]


class Scores(BaseModel):
    scores: list[list[float]]


@app.post("/predict")
async def predict(rows: Rows) -> Scores:
    return Scores(scores=net.scores(np.array(rows.inputs)).tolist())


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="error")
