"""What rounding changes: the bundle with rounded weights against the bundle, on rows, without a compiler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.bundle.manifest import Several
from steelyard.bundle.opening import Opened
from steelyard.bundle.running import GraphModel, JoinedModel, Model
from steelyard.contracts import Artefact, Columns, Problem, Schema
from steelyard.errors import BundleRefused
from steelyard.export.c.rounding import rounded

WIDTHS = (8, 16, 32)
FARTHEST = 0.01
"""Most that a probability may move, or a prediction, as a share of the standard deviation of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What so many bits change: decisions, and the farthest that a score moves (see :data:`FARTHEST`)."""

    bits: int
    rows: int
    changed: int
    farthest: float
    classes: bool

    @property
    def fine(self) -> bool:
        """Whether no decision changed, and no score moved far."""
        return self.changed == 0 and self.farthest <= FARTHEST

    def said(self, source: str) -> str:
        """Return the sentence that the header says."""
        width = "32-bit floats" if self.bits == 32 else f"{self.bits} bits with a scale"
        if self.classes:
            most = f"; fewer than {3 / self.rows:.2%} of such rows would (95%)" if not self.changed else ""
            found = (
                f"{self.changed:,} of {self.rows:,} decisions differ from the bundle's on {source} rows{most}; "
                f"the largest difference of a probability is {self.farthest:.2g}"
            )
        else:
            found = (
                f"on {self.rows:,} of {source} rows no prediction is more than {self.farthest:.2g} standard deviations "
                "of all predictions from the bundle's"
            )
        return f"weights: {width}: {found}"


def effect(opened: Opened, columns: Columns, bits: int) -> Effect:
    """Return what rounding the weights of a bundle to so many bits changes on some rows.

    Where what comes out is so far from probabilities that a bundle would refuse it, all that can change has.
    """
    truth = _model(opened, 32).answer(columns)
    classes, rows = opened.manifest.task.problem is not Problem.REGRESSION, len(truth.decided)
    try:
        near = _model(opened, bits).answer(columns)
    except BundleRefused:
        return Effect(bits=bits, rows=rows, changed=rows, farthest=1.0, classes=classes)
    far = float(np.abs(near.scores - truth.scores).max())
    if not classes:
        far /= float(truth.scores.std()) or 1.0
    return Effect(
        bits=bits,
        rows=rows,
        changed=int((near.decided != truth.decided).sum()) if classes else 0,
        farthest=far,
        classes=classes,
    )


def _model(opened: Opened, bits: int) -> Model:
    """Return a bundle with rounded weights, made ready."""
    manifest = opened.manifest
    if isinstance(manifest.model, Several):
        members = [_model(opened.member(name), bits) for name in manifest.model.members]
        return JoinedModel(members, manifest.model.rule, manifest.task)
    artefact = opened.artefact()
    near = Artefact(rounded(artefact.graph, bits)[0], artefact.feeds, artefact.files)
    return GraphModel(near, manifest.task, Schema(manifest.columns), threads=1)


def chosen(opened: Opened, columns: Columns) -> Effect:
    """Return the effect of the fewest bits that change nothing that matters; of 32 where 8 and 16 do.

    Of rows without one that decides otherwise at most 3 in their number are expected to (95%; Hanley, Lippman-Hand,
    "If nothing goes wrong, is everything all right?", 1983).
    """
    found = effect(opened, columns, WIDTHS[0])
    for bits in WIDTHS[1:]:
        if found.fine:
            break
        found = effect(opened, columns, bits)
    return found
