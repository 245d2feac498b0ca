"""Write large weights as products of two small ones, where the answers of training rows show that little is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.running import session_of
from steelyard.contracts import Artefact, Context, Meter, Move, Prior, Setting, Space, Split, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain, training_seconds
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.chain import learner_of, one_more, weighty
from steelyard.levers.shrinking.graphs import fusing, lowrank
from steelyard.levers.shrinking.graphs.surgery import Surgery
from steelyard.recipe import Plan, Settings
from steelyard.units import Estimate, How

PROPOSED = ((0.5, 0), (0.5, 3), (0.25, 3))
"""Shares of the numbers in large weights that are proposed to stay, and epochs of training after the cut."""
WHERE = ("products", "tables", "all")


class Factorise:
    """Writes weights W as U V of low rank, and trains the graph on if it is asked to.

    What is kept of each weight is where its outputs lie on training rows (activation-aware: far better than the
    singular values of the weight alone), and ranks are shared out among the layers so that the least energy is lost
    for each number that goes. A weight stays whole where two factors are no smaller. Convolutions become one to fewer
    channels and one of 1 x 1 back.
    """

    name = "factorise"
    stage = Stage.SHRINKING
    trains = True
    paper = (
        "Zhang, Zou, He, Sun: Accelerating Very Deep Convolutional Networks for Classification and Detection. TPAMI "
        "2016, arXiv:1505.06798; for transformers Chen, Yu, Dhillon, Hsieh: DRONE: Data-aware Low-rank Compression for "
        "Large NLP Models. NeurIPS 2021; of tables Lan et al.: ALBERT. ICLR 2020, arXiv:1909.11942"
    )
    about = "Writes large weights as products of two smaller ones, cut where the outputs on training rows lose least."
    forecasts = True
    space = Space(
        {
            "keep": Setting(
                default=0.5, low=0.02, high=0.95, about="Share of the numbers in large weights that stays."
            ),
            "where": Setting(
                default="products",
                options=WHERE,
                about="What is cut: products and convolutions, tables of embeddings, or all.",
            ),
            "rows": Setting(default=256, low=16, high=10_000, log=True, about="Rows that show where outputs lie."),
            "epochs": Setting(
                default=0, low=0, high=100, unit="epochs", about="How long the cut graph is trained on; 0: not."
            ),
            "learning_rate": Setting(
                default=5e-4, low=1e-6, high=0.1, log=True, about="Of the training after the cut."
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose to keep a half and a quarter, trained on, of a model that keeps what it knows in weights."""
        if not weighty(trial, context):
            return
        for keep, epochs in PROPOSED:
            recipe = one_more(self.name, trial, context, self.space.complete(Settings(keep=keep, epochs=epochs)))
            if recipe is None:
                continue
            bring = gain(0.003, 0.0, 0.02, "no better answers: what fewer products are worth, as a gain")
            why = f"keeps {keep:.0%} of the numbers in large weights, as products of two smaller ones"
            cost = _seconds(epochs, trial, context)
            yield Move(recipe=recipe, lever=self.name, prior=Prior(cost, bring), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with two small weights in the place of each large one; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If there are no rows, the graph has no large float weight, or it cannot be trained on as asked.
        """
        asked = settings_of(self.name, self.space, Plan(settings=settings))
        graph, where = Surgery(artefact.graph), str(asked["where"])
        layers = lowrank.layers_of(graph, products=where != "tables", tables=where != "products")
        if not layers:
            raise _refused(
                f"finds no {'float table' if where == 'tables' else 'float weight'} of {lowrank.WORTH:,} numbers or "
                "more in this graph (trees have none, and weights in 8 bits are cut before that step or not at all)"
            )
        if not len(split):
            raise LeverRefused("factorise needs rows to see what outputs lie on, and there are none; keep some")
        some = _sample(split, int(asked.number("rows", 0)), work.seed)
        seen = lowrank.moments(layers, _runs(artefact, layers, some, work.threads))
        spectra = [lowrank.spectrum(layer, found) for layer, found in zip(layers, seen, strict=True)]
        ranks = lowrank.ranks_for(layers, spectra, asked.number("keep", 0.0))
        for layer, found, rank in zip(layers, spectra, ranks, strict=True):
            if rank:
                lowrank.split(graph, layer, found.directions[:, :rank])
        cut = [(layer.matrix.shape, rank) for layer, rank in zip(layers, ranks, strict=True) if rank]
        meter.note(f"factorise cut {len(cut)} of {len(layers)} weights: {_told(cut)}.")
        made = replace(artefact, graph=graph.close())
        if not asked["epochs"]:
            return made
        from steelyard.levers.shrinking.tuning.tuned import tuned  # noqa: PLC0415 - describing a lever loads no PyTorch

        epochs, rate = int(asked.number("epochs", 0)), asked.number("learning_rate", 0.0)
        open_ = replace(made, graph=fusing.plain(made.graph))
        trained = tuned(open_, artefact, split, work, meter, epochs=epochs, learning_rate=rate, name=self.name)
        return trained if open_.graph is made.graph else replace(trained, graph=fusing.fused(trained.graph))


def _runs(
    artefact: Artefact, layers: list[lowrank.Layer], rows: Split, threads: int
) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield what stands at each layer, row by row: rows that differ in length would pad each other."""
    model = onnx.load_model_from_string(artefact.graph)
    inputs = {end.name for end in model.graph.input}
    probes = list(dict.fromkeys(name for layer in layers for name in layer.probes))
    inside = [name for name in probes if name not in inputs]
    ends = {end.name for end in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inside if name not in ends
    )
    session = session_of(model.SerializeToString(), threads=threads)
    fronts = [FRONT_ENDS[feed.front_end](feed, artefact.files) for feed in artefact.feeds]
    for row in range(len(rows)):
        one = rows.take(np.array([row])).columns
        tensors = {name: tensor for front in fronts for name, tensor in front(one).items()}
        found = dict(zip(inside, session.run(inside, tensors), strict=True)) if inside else {}
        yield {name: found[name] if name in found else tensors[name] for name in probes}


def _sample(split: Split, rows: int, seed: int) -> Split:
    if len(split) <= rows:
        return split
    return split.take(np.sort(np.random.default_rng(seed).choice(len(split), rows, replace=False)))


def _told(cut: list[tuple[tuple[int, ...], int]]) -> str:
    """Return what was cut, the largest first."""
    largest = sorted(cut, key=lambda one: -one[0][0] * one[0][1])
    shown = [f"{a} x {b} to rank {rank}" for (a, b), rank in largest[:4]]
    return ", ".join(shown) + (f" and {len(cut) - 4} more" if len(cut) > 4 else "")


def _seconds(epochs: int, trial: Trial, context: Context) -> Estimate:
    """Return what a cut costs, and the training after it: about as much as training the model once."""
    if not epochs:
        return FITTING_A_RULE
    once = training_seconds(learner_of(trial.recipe), context.rows, context)
    low, high = once.low + FITTING_A_RULE.low, 2 * once.high + FITTING_A_RULE.high
    source = f"{once.source}, and that again for training on"
    return Estimate(once.value + FITTING_A_RULE.value, low, high, How.ASSUMED, "s", source)


def _refused(why: str) -> LeverRefused:
    return LeverRefused(f"factorise {why}; leave it out with `levers: {{without: [factorise]}}`")
