"""The net of a plan: an encoder of Transformers, what levers put into it, and a head that suits it as it is."""

from __future__ import annotations

import numpy as np
import torch

from steelyard.clock import Phase, phase
from steelyard.contracts import Floats, Meter, Problem, Task
from steelyard.learners._solve import scale_of, solve
from steelyard.learners.nets._machine import device, moved
from steelyard.learners.nets.course import Told
from steelyard.learners.pretrained.architectures import Floats32
from steelyard.learners.pretrained.net import EncoderNet, encoder_of
from steelyard.learners.pretrained.pieces import Pieces
from steelyard.learners.pretrained.tuning import few_of, tune
from steelyard.recipe import Settings

AT_ONCE = 64
"""Texts whose vectors are made at once."""


def made(reading: Pieces, task: Task, settings: Told, epochs: int, meter: Meter) -> EncoderNet:
    """Return a net that says what the encoder, as it is, and a linear model of its vectors say; ``epochs`` to come."""
    checkpoint = reading.checkpoint
    scratch = bool((settings.part("pretrained") or Settings()).get("scratch"))
    net = EncoderNet(
        encoder_of(checkpoint, scratch=scratch),
        checkpoint.architecture,
        width=(reading.weights.width, task.width),
        pooling=checkpoint.pooling,
        below=reading.below,
        gradual=epochs if (settings.part("freeze") or Settings()).get("gradual") else 0,
    )
    net.decay = settings.number("layer_decay", 1.0)
    quick = (settings.part("mixed-precision") or Settings()).get("precision", "fp32") == "bf16"
    slopes, offsets = _head(_vectors(net, reading, meter, quick=quick), reading, settings, meter)
    with torch.no_grad():
        net.head.weight.copy_(torch.from_numpy(slopes.T.copy()))
        net.head.bias.copy_(torch.from_numpy(offsets.copy()))
    tune(net, settings)
    trained, every = net.shares()
    how = few_of(settings) or ("head alone" if reading.below == len(net.layers) else "whole layers")
    begins = "random weights of the shape of " if scratch else ""
    meter.note(
        f"transformer trains {trained:,} of {every:,} numbers ({trained / every:.2%}; {how}), from "
        f"{begins}{checkpoint.about()}, reading up to {reading.feed.options['length']} tokens"
    )
    return net


@phase(Phase.PREPARING)
def _vectors(net: EncoderNet, reading: Pieces, meter: Meter, *, quick: bool) -> dict[int, Floats32]:
    """Return the vectors of the training rows by row, as many as there is time for; in bfloat16 where that trains."""
    material, on = reading.material(reading.train.columns), device()
    found: dict[int, Floats32] = {}
    net.to(on).eval()
    order = np.argsort(material.lengths, kind="stable")
    with torch.inference_mode(), torch.autocast(on.type, torch.bfloat16, enabled=quick):
        for start in range(0, len(order), AT_ONCE):
            if start and meter.remaining() <= 0:
                break
            rows = order[start : start + AT_ONCE]
            vectors = net.vectors(moved(material.batch(rows), on)).float().cpu().numpy()
            found |= dict(zip(rows.tolist(), vectors, strict=True))
    net.cpu()
    return found


def _head(vectors: dict[int, Floats32], reading: Pieces, settings: Told, meter: Meter) -> tuple[Floats, Floats]:
    """Return slopes (width, outputs) and offsets (outputs,) in the scale of training."""
    work, places = reading.work, np.array(sorted(vectors), np.int64)
    rows = reading.train.take(places)
    table = np.stack([vectors[int(place)] for place in places])
    found = solve(table, rows, inverse_penalty=settings.number("head_C", 10.0), work=work, meter=meter)
    if work.task.problem is Problem.BINARY:
        return found.slopes * np.array([[-0.5, 0.5]]), found.offsets * np.array([-0.5, 0.5])
    if work.task.classes:
        return found.slopes, found.offsets
    centre, spread = scale_of(reading.train)
    return found.slopes / spread, (found.offsets - centre) / spread
