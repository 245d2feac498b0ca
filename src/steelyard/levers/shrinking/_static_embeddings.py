"""Turn an encoder of text into a table: one vector a token, their mean, and a linear head."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.contracts import Artefact, Context, Meter, Move, Prior, Setting, Space, Split, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked
from steelyard.levers.shrinking.chain import learner_of, one_more
from steelyard.levers.shrinking.distilling.students import layered
from steelyard.recipe import Plan, Settings

WEIGHTS = ("sif", "zipf")


class StaticEmbeddings:
    """Replaces an encoder by what it says of each token alone.

    Every token of the vocabulary goes through the encoder once, on its own. The vectors are rotated to their principal
    components, the first of which stay, and weighted by how rare a token is; a text is the mean of its tokens. Then a
    linear head is fitted on the encoder's own answers to the training rows, and table and head are trained on together
    for some epochs; vectors of tokens that no training row holds stay as the encoder has them. The order of words is
    lost, and so is what words mean beside each other; what is left answers in microseconds.
    """

    name = "static-embeddings"
    stage = Stage.SHRINKING
    paper = (
        "Tulkens, van Dongen: Model2Vec. 2024, github.com/MinishLab/model2vec; weights: Arora, Liang, Ma: A Simple but "
        "Tough-to-Beat Baseline for Sentence Embeddings. ICLR 2017; lessons: Hinton, Vinyals, Dean 2015, "
        "arXiv:1503.02531"
    )
    about = "Turns an encoder of text into a table with a vector for each token: hundreds of times faster."
    trains = True
    space = Space(
        {
            "dimensions": Setting(default=256, low=4, high=1024, log=True, about="Numbers a token."),
            "weights": Setting(
                default="sif",
                options=WEIGHTS,
                about="How rare a token is: by the training rows (sif), or by its place in the vocabulary (zipf).",
            ),
            "epochs": Setting(
                default=12, low=0, high=100, about="Times that table and head are trained on; 0: the head alone."
            ),
            "synthetic": Setting(
                default=1.0, low=0.0, high=10.0, unit="times the rows", about="Texts made beside the real ones."
            ),
            "trust": Setting(
                default=0.9, low=0.0, high=1.0, about="Share of what is learnt of a real row that the encoder says."
            ),
            "temperature": Setting(
                default=2.0, low=0.5, high=20.0, log=True, about="What logits are divided by to be compared."
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose it for the best large encoder of text, plain or shrunk."""
        top = [t for t in ranked(context.trials, context.task) if layered(t)]
        if [t.number for t in top[:1]] != [trial.number]:
            return
        recipe = one_more(self.name, trial, context)
        if recipe is None:
            return
        whole = training_seconds(learner_of(trial.recipe), context.rows, context)
        seconds = whole.scaled(0.5, unit="s", source=f"{whole.source}, half of it to ask the encoder and train a table")
        bring = gain(0.004, 0.0, 0.02, "no better answers: what hundreds of times the speed is worth, as a gain")
        why = "a table with a vector for each token instead of the encoder: far faster, and smaller"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(seconds, bring), why=why)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with a graph that looks tokens up; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If the graph is not an encoder of one column of text with a linear head.
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        from steelyard.levers.shrinking.distilling.tabling import tabled  # noqa: PLC0415 - onnx is loaded by what needs it

        return tabled(artefact, split, settings_of(self.name, self.space, Plan(settings=settings)), work, meter)
