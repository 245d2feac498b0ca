"""An encoder with fewer of its layers, trained to answer as it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from steelyard.contracts import NUMERIC, Artefact, Meter, Split, Work
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.distilling.layers import evenly, layers_of, without
from steelyard.levers.shrinking.distilling.lessons import joined, strangers
from steelyard.levers.shrinking.distilling.munge import MOST, beside
from steelyard.levers.shrinking.tuning.tuned import outputs_of, tuned
from steelyard.recipe import Settings

RATE = 3e-4
"""The highest rate of AdamW; Turc, Chang, Lee, Toutanova (2019, arXiv:1908.08962) distil small encoders at 1e-4 to
3e-4, several times the rate at which large ones are tuned."""


def thinned(artefact: Artefact, split: Split, asked: Settings, work: Work, meter: Meter) -> Artefact:
    """Return an artefact with evenly spaced layers of its own, trained on its answers and on what it says behind them.

    Sun, Cheng, Gan, Liu, "Patient Knowledge Distillation for BERT Model Compression" (EMNLP 2019): what leaves each
    layer that is kept is to be what left it in the teacher. Jiao et al., "TinyBERT" (EMNLP 2020), show that this counts
    for more than the answers alone.

    Parameters
    ----------
    split
        The rows that the teacher was trained on.
    asked
        ``keep``, ``epochs``, ``synthetic``, ``trust``, ``temperature`` and ``patient`` of the lever ``distil``.

    Raises
    ------
    LeverRefused
        If the graph has no layers that repeat, none would go, or it cannot be trained.
    """
    model = onnx.load_model_from_string(artefact.graph)
    layers = layers_of(model)
    if len(layers) < 2:
        raise LeverRefused(
            "distil finds no layers that repeat in this graph, so it cannot keep some of them; choose another student"
        )
    kept = evenly(len(layers), max(1, round(asked.number("keep", 1.0) * len(layers))))
    if len(kept) == len(layers):
        raise LeverRefused(f"distil would keep all {len(layers)} layers; lower `keep`")
    student = replace(artefact, graph=without(model, layers, kept).SerializeToString(deterministic=True))
    meter.note(f"distil keeps layers {', '.join(str(place + 1) for place in kept)} of {len(layers)}.")
    names = [layers[place].leaves for place in kept] if asked["patient"] else []
    return tuned(
        student,
        artefact,
        _with_made(artefact, split, asked, work),
        work,
        meter,
        epochs=int(asked.number("epochs", 1)),
        learning_rate=RATE,
        hidden=[(name, name) for name in names],
        temperature=asked.number("temperature", 1.0),
        share=asked.number("trust", 1.0),
        name="distil",
    )


def _with_made(artefact: Artefact, split: Split, asked: Settings, work: Work) -> Split:
    """Return rows with others made of them, which are what the teacher decides that they are."""
    random = np.random.default_rng([work.seed, 29])
    made = beside(split, asked.number("synthetic", 0.0), work.schema, random)
    made = joined(strangers(split, work, MOST, random), made)
    if not len(made):
        return split
    scores = outputs_of(artefact, made, threads=work.threads)
    numeric = work.task.problem in NUMERIC
    target = scores[:, 0].astype(np.float64) if numeric else scores.argmax(axis=1).astype(np.int64)
    return joined(split, replace(made, target=target))
