"""Training a finished graph on: its weights, on the labels and on what a teacher answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.running import OUTPUT, session_of
from steelyard.contracts import Artefact, Floats, Ints, Meter, Problem, Split, Work
from steelyard.errors import need
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.reading import Material
from steelyard.learners.nets.scale import Scale
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking.tuning.feeding import material_of, rows_of

if TYPE_CHECKING:
    from steelyard.learners.nets.graph_net import Around
    from steelyard.learners.nets.loop import Vary
    from steelyard.levers.shrinking.tuning.lesson import Lesson

AT_ONCE, POOL = 128, 8
"""Rows that a graph answers at once, and chunks of them among which rows are sorted by length."""
ASKING = 0.35
"""Share of the time that asking the teacher may take."""
BATCH = 64
"""Rows of a step, fewer where rows are few or large."""
TEMPERATURE = 2.0
SHARE = 0.7
"""How soft a teacher's answers are made, and the share of the loss that is theirs; the labels have the rest."""


def tuned(
    artefact: Artefact,
    teacher: Artefact,
    split: Split,
    work: Work,
    meter: Meter,
    *,
    epochs: int,
    learning_rate: float,
    hidden: Sequence[tuple[str, str]] = (),
    temperature: float = TEMPERATURE,
    share: float = SHARE,
    around: Around | None = None,
    vary: Vary | None = None,
    precision: str = "fp32",
    name: str = "fine-tuning",
) -> Artefact:
    """Return the artefact with weights that were trained on.

    The loss is ``share`` times that towards the teacher, plus the rest times that towards the labels. Of classes the
    first is the cross-entropy with the teacher's probabilities at a temperature, times its square (Hinton, Vinyals,
    Dean: Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531); of numbers it is the squared error in
    standard deviations of the target. The same arguments give the same weights where no deadline cuts them short.

    Parameters
    ----------
    artefact
        What is trained on. It is not changed.
    teacher
        What it is to answer like, as a rule the model that it was cut from.
    split
        Rows with their targets.
    epochs
        Times over the rows; 0 gives the artefact back as it is.
    learning_rate
        The highest one, of AdamW; 0 looks for it by a range test.
    hidden
        Pairs of values inside the graphs, the artefact's and the teacher's, that are to be alike: the mean squared
        error between them, each divided by its length along the last axis, is added to the loss (Sun, Cheng, Gan, Liu:
        Patient Knowledge Distillation for BERT Model Compression, EMNLP 2019, arXiv:1908.09355).
    temperature
        By which logits of both are divided.
    share
        From 0, labels alone, to 1, the teacher alone.
    around
        Stands between heavy nodes and their inputs while it is trained; see
        :class:`~steelyard.learners.nets.graph_net.GraphNet`.
    vary
        Changes training batches; the teacher then answers the changed rows, as Beyer et al. advise (Knowledge
        distillation: A good teacher is patient and consistent, CVPR 2022, arXiv:2106.05237).
    precision
        ``"bf16"`` runs the passes in bfloat16.
    name
        What notes call this.

    Raises
    ------
    LeverRefused
        If the graph cannot be trained, or there is nothing to train it on.
    """
    from steelyard.learners.nets import graph_net, loop  # noqa: PLC0415 - describing a lever loads no PyTorch
    from steelyard.learners.nets._machine import threads  # noqa: PLC0415 - as above
    from steelyard.levers.shrinking.tuning.lesson import Pupil  # noqa: PLC0415 - as above

    if epochs < 1:
        return artefact
    _check(artefact, split, work, name)
    online = bool(hidden) or vary is not None
    if online:
        _check_beside(artefact, teacher, name)
    with threads(work.threads):
        lesson = lesson_of(split, work, temperature=temperature, share=share)
        if share > 0 and not online:
            answers = teacher_answers(teacher, split, work, meter, name=name)
            split, told = split.take(answers.rows), answers.scores
        else:
            told = np.empty((len(split), 0))
        pupil = Pupil(
            graph_net.GraphNet(artefact.graph, around),
            graph_net.GraphNet(teacher.graph) if online else None,
            lesson,
            tuple(hidden),
        )
        material = material_of(artefact, split.columns, threads=work.threads)
        loop.train(
            pupil,
            material,
            lesson.target(split.target, told),
            split.weights,
            course_of(material, epochs=epochs, learning_rate=learning_rate, work=work, precision=precision, name=name),
            judge=None,
            meter=meter,
            vary=vary,
        )
        return replace(artefact, graph=pupil.net.write())


def _check(artefact: Artefact, split: Split, work: Work, name: str) -> None:
    """Refuse what cannot be trained on."""
    for package in ("torch", "safetensors"):
        need(package, for_=f"{name} a graph")
    from steelyard.learners.nets.graph_net import refusal  # noqa: PLC0415 - loads PyTorch

    if work.task.problem is Problem.TAGGING:
        raise LeverRefused(
            f"{name} does not train taggers on: their front ends cut a row into pieces that no label is given for; "
            "ask for no epochs"
        )
    if not len(split):
        raise LeverRefused(f"{name} needs rows to train on, and there are none; ask for no epochs")
    if (sentence := refusal(artefact.graph)) is not None:
        raise LeverRefused(f"{name} cannot train this model on: {sentence}; ask for no epochs")


def _check_beside(artefact: Artefact, teacher: Artefact, name: str) -> None:
    """Refuse a teacher that cannot see the very batches of its pupil."""
    from steelyard.learners.nets.graph_net import refusal  # noqa: PLC0415 - loads PyTorch

    if (sentence := refusal(teacher.graph)) is not None:
        raise LeverRefused(f"{name} cannot compute its teacher beside the student: {sentence}")
    if artefact.feeds != teacher.feeds or artefact.files != teacher.files:
        raise LeverRefused(
            f"{name} compares hidden values, or changes batches, where teacher and student read the same inputs alone"
        )


def lesson_of(split: Split, work: Work, *, temperature: float = TEMPERATURE, share: float = SHARE) -> Lesson:
    """Return what is to be learnt of some rows."""
    from steelyard.levers.shrinking.tuning.lesson import Lesson  # noqa: PLC0415 - loads PyTorch

    scale, width = Scale.of(split, work.task), work.task.width
    return Lesson(
        classes=len(work.task.classes),
        width=width,
        centre=np.broadcast_to(scale.centre, (width,)),
        spread=np.broadcast_to(scale.spread, (width,)),
        temperature=temperature,
        share=share,
    )


def course_of(
    material: Material, *, epochs: int, learning_rate: float, work: Work, precision: str = "fp32", name: str
) -> Course:
    """Return the course of a fine-tuning: AdamW, a short warm-up, and a rate that falls along a cosine."""
    return Course(
        learner=name,
        epochs=epochs,
        batch=BATCH if material.lengths is None else BATCH // 2,
        learning_rate=learning_rate or 1e-3,
        finder=learning_rate <= 0,
        weight_decay=0.0,
        warm_up=0.1,
        schedule="cosine",
        clip=1.0,
        precision=precision,
        seed=work.seed,
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """What a teacher says: the rows that it was asked about, sorted, and its scores, shape (m, width)."""

    rows: Ints
    scores: Floats


def teacher_answers(teacher: Artefact, split: Split, work: Work, meter: Meter, *, name: str = "fine-tuning") -> Answers:
    """Ask a finished model about every row, or as many as a third of the time allows.

    Rows are taken in an order drawn by the seed, so that those that there is time for are a sample. Scores are
    probabilities or values as the graph gives them.
    """
    session, rows = session_of(teacher.graph, threads=work.threads), rows_of(teacher, split.columns)
    order = np.random.default_rng([work.seed, 31]).permutation(len(split))
    left = meter.remaining()
    enough = left * (1 - ASKING) if math.isfinite(left) else -math.inf
    scores: Floats = np.empty((len(split), work.task.width))
    asked = list[Ints]()
    for some in chunks(order, rows.lengths):
        (scores[some],) = session.run((OUTPUT,), rows.arrays(some))
        asked.append(some)
        if meter.remaining() < enough:
            break
    known = np.sort(np.concatenate(asked))
    if len(known) < len(split):
        meter.note(
            f"{name}: there was time to ask the uncut model about {len(known):,} of {len(split):,} rows; these train."
        )
    return Answers(known, scores[known])


def chunks(order: Ints, lengths: Ints | None) -> Sequence[Ints]:
    """Cut rows into chunks that a graph answers at once, those of like length together."""
    pieces = max(1, math.ceil(len(order) / AT_ONCE))
    if lengths is None:
        return np.array_split(order, pieces)
    pools = np.array_split(order, max(1, math.ceil(pieces / POOL)))
    ordered = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    return np.array_split(ordered, pieces)


def outputs_of(artefact: Artefact, split: Split, *, threads: int) -> NDArray[Any]:
    """Return the scores of a graph for some rows, in their order."""
    session, rows = session_of(artefact.graph, threads=threads), rows_of(artefact, split.columns)
    order = np.arange(len(split))
    found = [(some, session.run((OUTPUT,), rows.arrays(some))[0]) for some in chunks(order, rows.lengths)]
    back = np.argsort(np.concatenate([some for some, _ in found]), kind="stable")
    return np.concatenate([scores for _, scores in found])[back]
