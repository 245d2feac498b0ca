"""Leave out of a finished model what its answers need least: channels, heads, layers, trees."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.contracts import (
    OF_ROWS,
    Artefact,
    Context,
    Meter,
    Move,
    Prior,
    Setting,
    Space,
    Split,
    Stage,
    Trial,
    Work,
)
from steelyard.errors import need
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain, training_seconds
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.chain import learner_of, one_more, steps_of, weighty
from steelyard.recipe import Plan, Settings, Shrink
from steelyard.tasks import metric
from steelyard.units import Estimate

WHAT = ("auto", "channels", "heads", "layers", "trees")
BY = ("taylor", "magnitude")
GROWN = frozenset({"lightgbm", "extra-trees"})
"""Learners whose models are trees in the form that is cut."""
ENCODERS = frozenset({"transformer", "embed-linear"})
"""Learners whose nets are layers over layers, of which half are proposed to be left out."""
CLOSED = frozenset({"quantise", "fuse"})
"""Steps after which a graph is not trained again."""
LADDER = (0.5, 0.75, 0.25)
"""The first share that is proposed, the next one where that went well, and where it did not."""
RATE, GENTLE = 3e-3, 1e-4
EPOCHS, FEW = 10, 3
"""Highest learning rates and epochs: of nets in general, and of those that normalise layer by layer (transformers).
They are those with which the learners train from nothing: a net that lost half of its channels answers at random at
first, and at a third of that rate it came back to far less in as many steps."""
CHEAPER = 0.5
"""What an epoch of fine-tuning costs beside one of the parent's training, its net being smaller (assumed)."""


class Prune:
    """Removes whole parts of a finished graph, and trains what is left to answer as before.

    Only whole channels, units of a hidden layer, heads, layers and trees go, so that the graph is smaller and does
    less; single weights set to zero would leave ONNX Runtime as much to compute as before. What is tied in the graph
    goes together. Columns are left to the lever ``select``: a graph whose inputs are the same has to be fed them all.
    """

    name = "prune"
    stage = Stage.SHRINKING
    paper = (
        "Li, Kadav, Durdanovic, Samet, Graf: Pruning Filters for Efficient ConvNets. ICLR 2017, arXiv:1608.08710; "
        "Molchanov, Mallya, Tyree, Frosio, Kautz: Importance Estimation for Neural Network Pruning. CVPR 2019, "
        "arXiv:1906.10771; Fang, Ma, Song, Bi Mi, Wang: DepGraph. CVPR 2023, arXiv:2301.12900"
    )
    about = "Leaves out channels, heads, layers or trees that matter least, and trains the rest on."
    trains = True
    space = Space(
        {
            "what": Setting(
                default="auto", options=WHAT, about="What is removed; auto: trees, else channels and heads."
            ),
            "share": Setting(
                default=0.5, low=0.0, high=0.95, about="Share of it that is removed; 0: trees that are of no use."
            ),
            "by": Setting(default="taylor", options=BY, about="What says how much a channel or a head matters."),
            "epochs": Setting(
                default=None, low=0, high=100, about="Times that the rest is trained over the rows; unset: as suits it."
            ),
            "learning_rate": Setting(
                default=None, low=0.0, high=0.1, about="Highest rate of AdamW; unset: what suits the graph; 0: a test."
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose to prune the best net, and the best trees: by a half, then more or less as that went."""
        if context.task.problem not in OF_ROWS or CLOSED.intersection(steps_of(trial.recipe)):
            return
        grown = learner_of(trial.recipe) in GROWN
        if not (grown or weighty(trial, context)) or not _leads(trial, context, grown=grown):
            return
        bring = gain(0.005, 0.0, 0.02, "no better answers: what a smaller and faster model is worth, as a gain")
        for settings in _plans(trial, context, grown=grown):
            recipe = one_more(self.name, trial, context, settings)
            if recipe is not None:
                seconds = FITTING_A_RULE if grown else self._seconds(trial, context)
                yield Move(recipe=recipe, lever=self.name, prior=Prior(seconds, bring), why=_why(settings))

    def _seconds(self, trial: Trial, context: Context) -> Estimate:
        learner = learner_of(trial.recipe)
        epochs = FEW if learner in ENCODERS else EPOCHS
        own = context.space(learner).settings.get("epochs")
        trained = EPOCHS if own is None or own.default is None else float(str(own.default))
        whole = training_seconds(learner, context.rows, context)
        source = f"{whole.source}; {epochs} epochs of a net of half the cost"
        return whole.scaled(CHEAPER * epochs / trained, unit="s", source=source)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with a smaller graph; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If there is nothing of the kind to remove, the graph cannot be computed by PyTorch, or there are no rows.
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        given = settings_of(self.name, self.space, Plan(settings=settings))
        if not len(split):
            raise LeverRefused("prune needs training rows to tell what matters, and there are none; leave it out")
        what = str(given["what"])
        if what == "trees" or (what == "auto" and b"TreeEnsemble" in artefact.graph):
            from steelyard.levers.shrinking.pruning.felling import fewer_trees  # noqa: PLC0415 - loads onnx

            return fewer_trees(artefact, given.number("share", 0.0), split=split, work=work, meter=meter)
        for package in ("torch", "safetensors"):
            need(package, for_=f"{self.name} of a net")
        from steelyard.levers.shrinking.pruning.anatomy import Job, fewer_layers, fewer_units  # noqa: PLC0415 - loads PyTorch
        from steelyard.levers.shrinking.tuning.tuned import tuned  # noqa: PLC0415 - loads onnx

        job = Job(artefact, split, given, work, meter)
        smaller = fewer_layers(job) if what == "layers" else fewer_units(job)
        layered = b"LayerNormalization" in artefact.graph
        suits = Settings(epochs=FEW if layered else EPOCHS, learning_rate=GENTLE if layered else RATE)
        asked = Settings({**suits, **{name: value for name, value in given.items() if value is not None}})
        return tuned(
            smaller,
            artefact,
            split,
            work,
            meter,
            epochs=int(asked.number("epochs", 0)),
            learning_rate=asked.number("learning_rate", 0.0),
            name=self.name,
        )


def _leads(trial: Trial, context: Context, *, grown: bool) -> bool:
    """Tell whether a model is the best of the run among those of its sort that can be pruned."""
    sort = [
        t
        for t in ranked(context.trials, context.task)
        if (learner_of(t.recipe) in GROWN if grown else weighty(t, context))
        and not {"prune", *CLOSED}.intersection(steps_of(t.recipe))
    ]
    return [t.number for t in sort[:1]] == [trial.number]


def _plans(trial: Trial, context: Context, *, grown: bool) -> Iterator[Settings]:
    """Yield what to try next on a model."""
    if grown:
        yield Settings(share=0.0)
        return
    share = _share(trial, context)
    if share is not None:
        yield Settings(share=share)
    if learner_of(trial.recipe) in ENCODERS:
        yield Settings(what="layers", share=LADDER[0])


def _why(settings: Settings) -> str:
    share = settings.number("share", 0.0)
    if share == 0:
        return "leaves out the trees after the last one that changes answers"
    if settings.get("what") == "layers":
        return f"leaves out {share:.0%} of the layers, those that move answers least, and trains the rest on"
    return f"leaves out {share:.0%} of the channels and heads, those that matter least, and trains the rest on"


def _share(trial: Trial, context: Context) -> float | None:
    """Return the next share to try: half; then more where no loss was seen, else less; ``None`` after that."""
    known = {
        t.recipe.settings.get("share"): t
        for t in context.trials
        if isinstance(t.recipe, Shrink) and t.recipe.lever == "prune" and t.recipe.parent == trial.recipe
        if "what" not in t.recipe.settings
    }
    half, more, less = LADDER
    if half not in known:
        return half
    wanted = more if known[half].ending.usable and _as_good(known[half], trial, context) else less
    return None if wanted in known else wanted


def _as_good(trial: Trial, parent: Trial, context: Context) -> bool:
    """Tell whether a model's figure lies within the interval of its parent's, widened by the tolerance."""
    aim = metric(context.task.aim)
    if context.task.aim not in trial.validation:
        return False
    own, other = trial.validation[context.task.aim].value, parent.validation[context.task.aim]
    if aim.better == "higher":
        return own >= other.low - context.tolerance
    return own <= other.high + context.tolerance
