"""Hold a graph's weights in fewer bits, and compute in 8 of them where this machine is faster so."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto

from steelyard.contracts import Artefact, Context, Kind, Meter, Move, Prior, Setting, Space, Split, Stage, Trial, Work
from steelyard.errors import need
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain, training_seconds
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.chain import learner_of, one_more, root_of, weighty
from steelyard.levers.shrinking.quantising import integers
from steelyard.levers.shrinking.quantising.editing import copied, ready
from steelyard.levers.shrinking.quantising.instructions import Instructions, of_this_machine
from steelyard.levers.shrinking.quantising.parity import Judge, Kept, eased, noise
from steelyard.levers.shrinking.quantising.weights import WORTH, halved, rounded, weights_of
from steelyard.levers.training.parts import read_by
from steelyard.recipe import Plan, Recipe, Settings, Shrink, Train
from steelyard.tasks import metric

HOWS = ("auto", "dynamic", "static", "weights", "float16", "bfloat16")
HALVES = frozenset({"float16", "bfloat16"})
COMPUTING = frozenset({"dynamic", "static"})
"""Those that compute in 8 bits, not just hold weights in them."""
LARGE = frozenset({Kind.TEXT, Kind.IMAGE, Kind.AUDIO, Kind.TOKENS, Kind.SEQUENCE})
"""Kinds of columns whose models are made of weights worth shrinking."""
HEAVY = 1_000_000
"""Bytes from which on a model of other columns is worth it too."""
COMPARED = 500
"""Rows, beside those that calibrate, on which answers are compared."""
EPOCHS = 3
"""Epochs that are proposed where rounding alone lost too much."""
RATE = 1e-4
QUANTISED = frozenset({"QuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "MatMulNBits"})
FEW = frozenset({TensorProto.INT8, TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.BFLOAT16})
"""Types of weights that were shrunk."""
TREES = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})
FUSED = frozenset({"FusedConv", "FusedGemm"})
"""Operators with weights that fusing leaves and that no quantiser rounds the activations of."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What one pull works with."""

    artefact: Artefact
    model: onnx.ModelProto
    how: str
    settings: Settings
    rows: Split
    instructions: Instructions

    def build(self, finer: Collection[str]) -> Artefact:
        """Return the artefact, with the next finer form at some nodes."""
        if self.how == "dynamic":
            made = integers.dynamic(self.model, finer, narrow=self.instructions.saturates)
        elif self.how == "static":
            rows, scales = integers.Rows(self.artefact, self.rows), str(self.settings["scales"])
            made = integers.static(self.model, finer, narrow=self.instructions.saturates, scales=scales, rows=rows)
        else:
            made = copied(self.model)
        if self.how in HALVES:
            halved(made, TensorProto.FLOAT16 if self.how == "float16" else TensorProto.BFLOAT16, finer)
        elif self.how == "weights":
            rounded(made, self.bits, finer)
        else:
            rounded(made, self.bits, [name for name in finer if name in self.tables], blocks=False)
        return replace(self.artefact, graph=made.SerializeToString(deterministic=True))

    @property
    def bits(self) -> int:
        """Bits of weights that are not computed with in 8."""
        return int(self.settings.number("bits", 8))

    @property
    def tables(self) -> frozenset[str]:
        """Names of the nodes that gather rows of a table."""
        return frozenset(w.node.name for w in weights_of(self.model) if w.node.op_type == "Gather")

    @property
    def least(self) -> int | None:
        """How many numbers make a weight that this rounds; ``None``: as many as elsewhere."""
        return integers.LIGHT if self.how == "static" else None


class Quantise:
    """Holds the weights of a finished model in fewer bits; where the machine gains by it, computes in 8 bits too.

    How it is done:

    - ``dynamic``: products in 8 bits; the range of what flows in is read on the fly, call by call. For encoders and
      other nets of products.
    - ``static``: convolutions (and what stands between them) in 8 bits, with ranges read from training rows
      beforehand. For nets of convolutions.
    - ``weights``: only weights are rounded, to 8 or 4 bits (``bits``), in blocks or rows that have a scale each.
    - ``float16``, ``bfloat16``: weights are stored in 16 bits and widened as a bundle is opened: half the size at the
      same speed, since ONNX Runtime's processor kernels for x86 compute in 32 bits.
    - ``auto``: static for convolutions over images; dynamic where products take many positions of a row, as in an
      encoder; weights for everything else, since one vector a row is multiplied as fast by blocks as it is dynamically,
      with less noise. Weights use 7 bits of 8 where this machine's instructions would saturate.

    Tables of embeddings always get a scale a row: one scale for a whole table drowns its short rows.

    Answers are then held against those of the model that it started from, on training rows. Where more than the share
    ``lose`` of decisions changed, the nodes that add most noise get a finer form (float arithmetic on weights that
    are stored in 8 bits; of what was only stored, float weights) until they fit. Inputs and output keep their names and
    types. Whether the result is faster and good enough on other rows is measured by the caller.
    """

    name = "quantise"
    stage = Stage.SHRINKING
    trains = True
    paper = (
        "Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko: Quantization and Training of Neural Networks for "
        "Efficient Integer-Arithmetic-Only Inference. CVPR 2018, arXiv:1712.05877; blocks of few bits: Dettmers, "
        "Lewis, Shleifer, Zettlemoyer: 8-bit Optimizers via Block-wise Quantization. ICLR 2022, arXiv:2110.02861"
    )
    about = "Holds the weights in 8 bits instead of 32: a quarter of the size, often faster."
    forecasts = True
    space = Space(
        {
            "how": Setting(default="auto", options=HOWS, about="What is rounded, and what computes in 8 bits."),
            "bits": Setting(
                default=8, options=(4, 8), about="Bits of tables, and of products that are not computed in 8."
            ),
            "scales": Setting(
                default="minmax",
                options=tuple(integers.METHODS),
                about="How ranges of activations are read off rows, where they are read beforehand.",
            ),
            "rows": Setting(
                default=256, low=16, high=10_000, log=True, about="Rows that set the scales of activations."
            ),
            "lose": Setting(default=0.005, low=0.0, high=1.0, about="Share of decisions that may change."),
            "tries": Setting(default=6, low=1, high=50, about="Graphs that are tried to keep within that."),
            "epochs": Setting(default=0, low=0, high=100, about="Epochs in which weights learn to be rounded."),
            "machine": Setting(
                default="",
                options=("", *(str(one) for one in Instructions)),
                about="The 8-bit arithmetic that it is made for; empty: this machine's.",
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose 8 bits for a net that is large or reads text, images or the like; what is gentler where that lost."""
        if not weighty(trial, context) or not _large(trial, context):
            return
        source = "no better answers: what a quarter of the size and, for banking77 on one core, half the time is worth"
        first = one_more(self.name, trial, context)
        if first is not None:
            why = "holds the weights in 8 bits: smaller, and faster where the machine has 8-bit arithmetic"
            yield Move(
                recipe=first, lever=self.name, prior=Prior(FITTING_A_RULE, gain(0.005, 0.0, 0.02, source)), why=why
            )
        if not _lost(trial, context):
            return
        gentle = one_more(self.name, trial, context, Settings(how="weights"))
        if gentle is not None:
            why = "8-bit arithmetic lost too much here; rounding the weights alone loses less"
            prior = Prior(FITTING_A_RULE, gain(0.004, 0.0, 0.02, source))
            yield Move(recipe=gentle, lever=self.name, prior=prior, why=why)
        learnt = one_more(self.name, trial, context, Settings(epochs=EPOCHS))
        if learnt is not None:
            cost = training_seconds(learner_of(trial.recipe), context.rows, context)
            why = "8-bit arithmetic lost too much here; weights that are trained under rounding lose less"
            yield Move(recipe=learnt, lever=self.name, prior=Prior(cost, gain(0.003, 0.0, 0.02, source)), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with a graph of fewer bits; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If the graph has no weight worth it, would not shrink or was quantised before, if ranges are to be read from
            rows and there are none or nothing convolves, or if it is to be trained and cannot be.
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        told = settings_of(self.name, self.space, Plan(settings=settings))
        model = ready(artefact.graph)
        _refuse_what_cannot_shrink(model)
        how = _how(model, told, split)
        instructions = Instructions(str(told["machine"])) if told["machine"] else of_this_machine()
        calibrating, compared = _shared_out(split, int(told.number("rows", 0)), work.seed)
        plain = replace(artefact, graph=model.SerializeToString(deterministic=True))
        if epochs := int(told.number("epochs", 0)):
            plain = _trained(plain, split, work, meter, epochs=epochs, instructions=instructions)
            model = ready(plain.graph)
        job = _Job(plain, model, how, told, calibrating, instructions)
        if not len(split):
            meter.note("quantise had no rows to compare answers on, so what it changed was not looked at.")
            return _smaller(job.build(()), artefact, how)
        judge = Judge(artefact, compared, work)
        kept = eased(
            job.build,
            lambda: _worst_first(job, compared),
            judge,
            lose=told.number("lose", 0.0),
            tries=int(told.number("tries", 1)),
            meter=meter,
        )
        made = _smaller(kept.artefact, artefact, how)
        _say(job, kept, judge, artefact, meter)
        return made


def _smaller(made: Artefact, parent: Artefact, how: str) -> Artefact:
    """Return what was made; refuse it where weights alone were rounded and take no fewer bytes."""
    if how != "weights" or len(made.graph) < len(parent.graph):
        return made
    raise LeverRefused(
        f"quantise would make {len(made.graph):,} bytes of this graph's {len(parent.graph):,} and compute as before: "
        "its weights are too narrow for scales beside them; leave it out with `levers: {without: [quantise]}`"
    )


def _large(trial: Trial, context: Context) -> bool:
    """Tell whether a model is worth it: it reads large columns, or takes much room itself."""
    root = root_of(trial.recipe)
    assert isinstance(root, Train)
    read = read_by(root, context.schema)
    if any(column.name in read and column.kind in LARGE for column in context.schema.features):
        return True
    return trial.weight is not None and trial.weight.size_bytes >= HEAVY


def _lost(trial: Trial, context: Context) -> bool:
    """Tell whether plain quantising of a model was measured, and cost more quality than is tolerated."""
    aim = context.task.aim
    tried = {t.recipe: t for t in context.trials if t.ending.usable}
    child = tried.get(_plain(trial.recipe))
    if child is None or aim not in child.validation or aim not in trial.validation:
        return False
    before, after = trial.validation[aim].value, child.validation[aim].value
    loss = before - after if metric(aim).better == "higher" else after - before
    return loss > context.tolerance


def _plain(recipe: Recipe) -> Recipe:
    return Shrink(lever=Quantise.name, parent=recipe)


def _refuse_what_cannot_shrink(model: onnx.ModelProto) -> None:
    operators = {node.op_type for node in model.graph.node}
    few = any(w.data_type in FEW and np.prod(w.dims) >= WORTH for w in model.graph.initializer)
    if operators & QUANTISED or (few and not weights_of(model)):
        raise LeverRefused(
            "quantise finds a graph that was quantised before; start from the one that it was made from, or leave "
            "this step out"
        )
    if not weights_of(model):
        why = "small models have none"
        if operators & TREES:
            why = "trees compare with float thresholds, for which ONNX has no form of 8 bits"
        raise LeverRefused(
            f"quantise finds no float weight of {WORTH:,} numbers or more in this graph ({why}), so fewer bits would "
            "save nothing; leave it out with `levers: {without: [quantise]}`"
        )


def _how(model: onnx.ModelProto, told: Settings, split: Split) -> str:
    """Return how it is done, checked against what the graph is made of."""
    weights = weights_of(model)
    kinds = {weight.node.op_type for weight in weights}
    pictures = any(w.node.op_type == "Conv" and len(w.shape) == 4 and min(w.shape[2:]) > 1 for w in weights)
    how = str(told["how"])
    if how == "auto" and pictures and len(split):
        return "static"
    if how == "auto":
        return "dynamic" if integers.of_positions(model) else "weights"
    if how == "static" and not len(split):
        raise LeverRefused("quantise needs rows to read the ranges of activations from, and there are none; keep some")
    if how == "static" and not kinds & integers.CONVOLVE:
        fused = " that is not fused: quantise before `fuse`" if kinds & FUSED else ""
        raise LeverRefused(f"quantise finds no convolution or product{fused}; use `how: weights`")
    if how == "dynamic" and not kinds & integers.MULTIPLY:
        raise LeverRefused("quantise finds no product to compute on the fly in 8 bits; use `how: static` or `weights`")
    return how


def _shared_out(split: Split, rows: int, seed: int) -> tuple[Split, Split]:
    """Return rows that calibrate and others to compare answers on; the same ones where they are few."""
    order = np.random.default_rng(seed).permutation(len(split))
    first, rest = order[:rows], order[rows : rows + COMPARED]
    if len(rest) < min(COMPARED, rows):
        rest = order[:COMPARED]
    return split.take(np.sort(first)), split.take(np.sort(rest))


def _trained(
    artefact: Artefact, split: Split, work: Work, meter: Meter, *, epochs: int, instructions: Instructions
) -> Artefact:
    """Return the artefact with weights that were trained while they were rounded."""
    need("torch", for_="quantisation-aware training")
    from steelyard.levers.shrinking.quantising.fake import Rounding  # noqa: PLC0415 - describing a lever loads no PyTorch
    from steelyard.levers.shrinking.tuning.tuned import tuned  # noqa: PLC0415 - as above

    model = onnx.load_model_from_string(artefact.graph)
    least = integers.LIGHT if any(node.op_type == "Conv" for node in model.graph.node) else WORTH
    around = Rounding(model, least, narrow=instructions.saturates)
    return tuned(
        artefact, artefact, split, work, meter, epochs=epochs, learning_rate=RATE, around=around, name="quantise"
    )


def _worst_first(job: _Job, rows: Split) -> list[str]:
    """Return the nodes that could have a finer form, the one that adds most noise first."""
    computing = job.how in COMPUTING
    found = noise(job.model, job.artefact, rows, bits=job.bits, activations=computing, least=job.least)
    kinds = integers.MULTIPLY if job.how == "dynamic" else integers.CONVOLVE
    able = {w.node.name for w in weights_of(job.model, job.least) if not computing or w.node.op_type in kinds}
    able |= job.tables if job.bits < 8 else frozenset()
    return sorted((name for name in found if name in able), key=lambda name: (-found[name], name))


def _say(job: _Job, kept: Kept, judge: Judge, artefact: Artefact, meter: Meter) -> None:
    """Tell the ledger what was done, what it changed, and what stayed finer."""
    before, after, behind = judge.times(kept.artefact)
    size = len(kept.artefact.graph) / len(artefact.graph)
    lose = job.settings.number("lose", 0.0)
    slower = ": slower here." if behind else "."
    if not (kept.apart.changed or kept.finer or behind):
        return
    meter.note(
        f"quantise ({job.how}, for {job.instructions}) left {size:.0%} of the graph's bytes; of {len(judge)} training "
        f"rows {kept.apart.changed:.2%} are decided otherwise, scores moved by {kept.apart.moved:.2g}; a row computes "
        f"for {1000 * after:.3g} ms instead of {1000 * before:.3g}{slower}"
    )
    if kept.finer:
        form = "the next finer form" if job.how in HALVES else "stored weights and float arithmetic"
        more = f" and {len(kept.finer) - 3} more" if len(kept.finer) > 3 else ""
        meter.note(
            f"quantise gave {form} to {len(kept.finer)} nodes that added most noise: {', '.join(kept.finer[:3])}{more}."
        )
    if kept.apart.changed > lose:
        meter.note(
            f"quantise tried {kept.tries} graphs; none changes at most {lose:.2%} of decisions; the closest stays."
        )
