"""Train one small model to answer like a large one, or like several: distillation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from steelyard.contracts import (
    Answer,
    Artefact,
    Columns,
    Context,
    Meter,
    Move,
    Prior,
    Problem,
    Setting,
    Space,
    Split,
    Stage,
    Trial,
    Work,
)
from steelyard.learners._settings import SettingsRefused, settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.levers.ranking import ranked
from steelyard.levers.shrinking.chain import learner_of, one_more, steps_of
from steelyard.levers.shrinking.distilling.lessons import joined, lesson_of, strangers
from steelyard.levers.shrinking.distilling.munge import MOST, beside, made_of
from steelyard.levers.shrinking.distilling.students import (
    BOOSTED,
    ENCODER,
    QUICK,
    ROUNDS,
    STUDENTS,
    heavy,
    layered,
    suits,
)
from steelyard.recipe import Plan, Settings, Shrink, Train, trainings
from steelyard.units import Estimate, How

ASKING = 1e-4
"""Seconds that a row of a teacher's takes, for each training under it (assumed)."""
SHARES = (0.5, 0.34, 0.17)
"""Shares of its teacher's layers that a student is proposed with, one after the other."""


class Distil:
    """Teaches a student with the answers of a finished model.

    The rows are those for training, rows made of these, and those without a target where the spec keeps them. A
    student is another learner, or its teacher with fewer layers (``encoder``). Of classes it learns the teacher's
    probabilities: a net by cross-entropy with all of them at a temperature, any other learner by a row for each class,
    with the probability as its weight. Rows beside the real ones show what the teacher does between them. An encoder
    with fewer layers keeps evenly spaced ones of its teacher, and learns what the teacher says behind each of them too.
    Whether the student is as good as its teacher is measured like any other candidate's quality, on rows that neither
    saw.
    """

    name = "distil"
    stage = Stage.SHRINKING
    paper = (
        "Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. 2015, arXiv:1503.02531; with rows made "
        "as by Bucila, Caruana, Niculescu-Mizil: Model Compression. KDD 2006, doi:10.1145/1150402.1150464; for tables: "
        "Fakoor, Mueller, Erickson, Chaudhari, Smola: FAST-DAD. NeurIPS 2020, arXiv:2006.14284; for texts: Tang et al. "
        "2019, arXiv:1903.12136; for encoders: Sun, Cheng, Gan, Liu: Patient Knowledge Distillation for BERT Model "
        "Compression. EMNLP 2019, arXiv:1908.09355"
    )
    about = "Trains one small model to answer like an ensemble, a bag or a large model."
    trains = True
    space = Space(
        {
            "learner": Setting(
                default="lightgbm",
                options=(*STUDENTS, ENCODER),
                about=f"What the student is; {ENCODER}: its teacher with fewer layers.",
            ),
            "synthetic": Setting(
                default=2.0, low=0.0, high=10.0, unit="times the rows", about="Rows made beside the real ones."
            ),
            "trust": Setting(
                default=1.0,
                low=0.0,
                high=1.0,
                about="Share of what is learnt of a real row that the teacher says; the rest is its own target's.",
            ),
            "temperature": Setting(
                default=1.0, low=0.5, high=20.0, log=True, about="What logits are divided by to be compared; for nets."
            ),
            "keep": Setting(
                default=0.5, low=0.05, high=0.95, about=f"Share of its teacher's layers that {ENCODER} keeps."
            ),
            "epochs": Setting(default=4, low=1, high=60, log=True, about=f"Times that {ENCODER} goes over the rows."),
            "rounds": Setting(
                default=None,
                low=1,
                high=2000,
                log=True,
                about="Rounds of boosting of a quick lightgbm student; unset: until it is no better, however many.",
            ),
            "patient": Setting(
                default=True,
                options=(True, False),
                about=f"Whether {ENCODER} also learns what its teacher says behind each layer.",
            ),
        }
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose students of the best model that is several or large: learners that came near it here, or itself."""
        top = [t for t in ranked(context.trials, context.task) if heavy(t) and self.name not in steps_of(t.recipe)]
        if [t.number for t in top[:1]] != [trial.number]:
            return
        bring = gain(0.006, 0.0, 0.02, "no better answers: what one small model instead is worth, as a gain")
        for settings, why in (*_pupils(trial, context), *_halves(self.name, trial, context)):
            spelt = {name: value for name, value in self.space.complete(settings).items() if value is not None}
            recipe = one_more(self.name, trial, context, Settings(spelt))
            if recipe is not None:
                yield Move(recipe=recipe, lever=self.name, prior=Prior(_seconds(recipe, context), bring), why=why)

    def student(self, settings: Settings) -> Train | None:
        """Return the training of the student; ``None`` where it is cut out of its teacher.

        Raises
        ------
        SettingsRefused
            If a setting is unknown or out of its range, or is asked of a learner that does not take it.
        """
        asked = self._complete(settings)
        name = str(asked["learner"])
        if name == ENCODER:
            return None
        if asked["rounds"] is not None:
            return Train(learner=name, plan=Plan(settings=QUICK, rounds=int(asked.number("rounds", 0))))
        return Train(learner=name, plan=Plan(settings=STUDENTS[name].settings))

    def teach(
        self, split: Split, teacher: Callable[[Columns], Answer], settings: Settings, work: Work, meter: Meter
    ) -> Split:
        """Return the rows of a split and others made of them, with what the teacher answers; fewer if time is short.

        Raises
        ------
        SettingsRefused
            If a setting is unknown or out of its range, or is asked of a learner that does not take it.
        """
        asked = self._complete(settings)
        random = np.random.default_rng([work.seed, 29])
        made = beside(split, asked.number("synthetic", 0.0), work.schema, random)
        if len(found := strangers(split, work, MOST, random)):
            meter.note(f"The teacher also says what {len(found):,} rows without a target are.")
            made = joined(found, made)
        trust, temperature = asked.number("trust", 1.0), asked.number("temperature", 1.0)
        return lesson_of(split, made, teacher, work.task, meter, random=random, trust=trust, temperature=temperature)

    def apply(self, artefact: Artefact, split: Split, settings: Settings, work: Work, meter: Meter) -> Artefact:
        """Return the artefact with fewer layers, trained to answer as it did; feeds and files are the same.

        Raises
        ------
        LeverRefused
            If its graph has no layers that repeat, or computes what cannot be trained.
        SettingsRefused
            If a setting is unknown or out of its range, or the student is a learner.
        """
        from steelyard.levers.shrinking.distilling.thinning import thinned  # noqa: PLC0415 - onnx is loaded by what needs it

        asked = self._complete(settings)
        if asked["learner"] != ENCODER:
            raise SettingsRefused(f"{self.name} trains a student {asked['learner']!r}; it is not cut out of a graph")
        return thinned(artefact, split, asked, work, meter)

    def _complete(self, settings: Settings) -> Settings:
        asked = settings_of(self.name, self.space, Plan(settings=settings))
        name = str(asked["learner"])
        if asked["temperature"] != 1.0 and name in STUDENTS and not STUDENTS[name].soft:
            raise SettingsRefused(
                f"{self.name}: {name} learns probabilities as they are, a row for each class, so it takes no "
                "temperature; leave it at 1"
            )
        if asked["rounds"] is not None and name not in BOOSTED:
            raise SettingsRefused(f"{self.name}: {name} has no rounds of boosting; leave rounds unset")
        return asked


def _pupils(trial: Trial, context: Context) -> Iterator[tuple[Settings, str]]:
    """Yield the settings of students that are other learners, with why each is worth it."""
    numeric = context.task.problem is Problem.REGRESSION
    for name, student in STUDENTS.items():
        if suits(name, trial, context):
            lesson = student.lesson.with_(temperature=1.0) if numeric and student.soft else student.lesson
            many = _counted(len(trainings(trial.recipe)))
            if name in BOOSTED:
                yield lesson.with_(learner=name, rounds=ROUNDS), f"{ROUNDS} rounds of {name} that answer like {many}"
            yield lesson.with_(learner=name), f"one small {name} model that answers like {many}"


def _halves(lever: str, trial: Trial, context: Context) -> Iterator[tuple[Settings, str]]:
    """Yield the settings of the teacher with fewer layers; with fewer once those are known."""
    if not layered(trial):
        return
    lesson = Settings(learner=ENCODER, temperature=2.0, trust=0.9, synthetic=0.0)
    known = [t.recipe for t in context.trials if t.ending.usable and isinstance(t.recipe, Shrink)]
    for share in SHARES:
        yield lesson.with_(keep=share), f"the same encoder with {share:.0%} of its layers, taught by the whole one"
        if not any(r.lever == lever and r.parent == trial.recipe and r.settings.get("keep") == share for r in known):
            return


def _seconds(recipe: Shrink, context: Context) -> Estimate:
    """Return what a student should take: asking its teacher, and training on what that says."""
    settings, parent = recipe.settings, recipe.parent
    name = str(settings["learner"])
    rows = context.rows + made_of(context.rows, settings.number("synthetic", 0.0)) + min(MOST, context.unlabelled)
    if name == ENCODER:
        times = settings.number("epochs", 1.0) * (1 + settings.number("keep", 1.0)) / 2
        whole = training_seconds(learner_of(parent), rows, context)
        return whole.scaled(times, unit="s", source=f"{whole.source}, a share of it for each epoch")
    unrolled = 1 if STUDENTS[name].soft else min(context.task.width, 3)  # of more, most are ruled out in most rows
    training = training_seconds(name, rows * unrolled, context)
    asking = ASKING * rows * len(trainings(parent)) * max(context.parts, 1)
    low, value, high = (
        asking * share + s for share, s in ((0.1, training.low), (1, training.value), (10, training.high))
    )
    return Estimate(
        value, low, high, How.ASSUMED, "s", f"{training.source}, and a tenth of a millisecond a teacher's row"
    )


def _counted(models: int) -> str:
    return "a large model" if models == 1 else f"{models} models"
