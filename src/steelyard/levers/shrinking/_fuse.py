"""Store a graph as it is best run: constants folded, doubles gone, attention as one operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx

from steelyard.contracts import Artefact, Context, Meter, Move, Prior, Space, Split, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.chain import one_more, weighty
from steelyard.levers.shrinking.graphs import fusing
from steelyard.levers.shrinking.graphs.surgery import Surgery, every
from steelyard.recipe import Plan, Settings


class Fuse:
    """Stores a graph in fewer nodes that compute the same.

    Constants are folded, equal ones kept once, nodes that nobody reads or that stand twice are removed, two products by
    constants become one where that is smaller, zeros around a convolution become its own, branches on a size that never
    changes go, and attention becomes one operator, ``MultiHeadAttention``, which saves moving its heads about. A graph
    in 8 bits also keeps the 8-bit operators that ONNX Runtime would put in at every load. Nothing depends on the
    processor. ONNX Runtime does part of this by itself whenever it loads a graph: a float encoder gains next to
    nothing, one in 8 bits some, and nets as PyTorch's tracing exporter writes them most, in the load as well.
    """

    name = "fuse"
    stage = Stage.SHRINKING
    paper = (
        "Graph fusion: Chen et al., TVM: An Automated End-to-End Optimizing Compiler for Deep Learning. OSDI 2018, "
        "arXiv:1802.04799; the operators are those of ONNX Runtime's graph optimizations"
    )
    about = "Stores the graph with constants folded and neighbouring operators joined: loads and answers a bit faster."
    forecasts = True
    space = Space()

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose it for any model that keeps what it knows in weights, however it was shrunk before."""
        recipe = one_more(self.name, trial, context) if weighty(trial, context) else None
        if recipe is None:
            return
        bring = gain(0.001, 0.0, 0.005, "no better answers: 1.0 to 1.3 times the speed (benchmarks/shrink/graphs.py)")
        why = "folds constants and joins operators: loads and answers a bit faster, and answers the same"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with a graph of fewer nodes or numbers; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If there is nothing to fold or to fuse in the graph.
        """
        del split, work
        settings_of(self.name, self.space, Plan(settings=settings))
        opened = Surgery(artefact.graph)
        attentions = fusing.attend(opened)
        fusing.multiply(opened)
        fusing.share(opened)
        made = fusing.settled(opened.close())
        if burden(made) >= burden(artefact.graph):
            raise LeverRefused(
                "fuse finds nothing to fold or to join in this graph beyond what ONNX Runtime does at every load; "
                "leave it out with `levers: {without: [fuse]}`"
            )
        if attentions:
            meter.note(f"fuse made one operator of each of {attentions} attentions.")
        return replace(artefact, graph=ends_of(artefact.graph, made))


def burden(graph: bytes) -> tuple[int, int]:
    """Return how many nodes a graph has, and how many bytes of constants."""
    opened = Surgery(graph)
    return sum(1 for _ in every(opened.model.graph)), sum(one.ByteSize() for one in opened.held.values())


def ends_of(before: bytes, after: bytes) -> bytes:
    """Return the later graph with inputs and outputs declared as they were before."""
    model, source = onnx.load_model_from_string(after), onnx.load_model_from_string(before)
    for ends, were in ((model.graph.input, source.graph.input), (model.graph.output, source.graph.output)):
        del ends[:]
        ends.extend(were)
    return bytes(model.SerializeToString(deterministic=True))
