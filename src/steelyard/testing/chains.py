"""Shrinking levers pulled one after another on a graph: what every chain must keep, or refuse in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from steelyard.bundle.running import GraphModel
from steelyard.contracts import Answer, Artefact, Feed, ShrinkingLever, Split, Task, Work
from steelyard.errors import SteelyardError, need
from steelyard.recipe import Step
from steelyard.registry import levers
from steelyard.testing.pupils import Watch

GROWTH = 1.02
"""A step may leave so many times the bytes without a word; one that leaves more has to say so in a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a chain of levers made of a model, or the sentence with which one of them refused."""

    steps: tuple[str, ...]
    artefact: Artefact
    refusal: str = ""
    grown: tuple[str, ...] = field(default=())
    """Steps that left more bytes than they found, and said nothing of it."""


def size_of(artefact: Artefact) -> int:
    """Return the bytes of a graph and of its files."""
    return len(artefact.graph) + sum(map(len, artefact.files.values()))


def pulled(artefact: Artefact, rows: Split, work: Work, steps: Sequence[Step]) -> Pulled:
    """Pull shrinking levers one after another; ends at the first that refuses."""
    done: list[str] = []
    grown: list[str] = []
    for step in steps:
        lever, watch = levers().get(step.lever), Watch()
        assert isinstance(lever, ShrinkingLever), f"{step.lever} is no lever that shrinks a graph"
        done.append(step.lever)
        try:
            made = lever.apply(artefact, rows, step.settings, work, watch)
        except SteelyardError as problem:
            return Pulled(steps=tuple(done), artefact=artefact, refusal=str(problem), grown=tuple(grown))
        if size_of(made) > GROWTH * size_of(artefact) and not any("larger" in note for note in watch.notes):
            grown.append(step.lever)
        artefact = made
    return Pulled(steps=tuple(done), artefact=artefact, grown=tuple(grown))


def check_chain(artefact: Artefact, rows: Split, work: Work, steps: Sequence[Step], *, tolerance: float) -> Pulled:
    """Pull some levers in a row and see that the result answers like what it was made from.

    Parameters
    ----------
    artefact
        The model that the chain starts from.
    rows
        Training rows.
    work
        The task, and what its columns are.
    steps
        Levers with their settings, in the order in which they are pulled.
    tolerance
        Mean absolute difference of scores that is allowed: in probability, or standard deviations of the answers.

    Raises
    ------
    AssertionError
        If a step refuses with something that is not one sentence, or its result cannot be opened by a bundle, has other
        inputs, outputs or feeds, answers otherwise than before beyond the tolerance, or grew without a note.
    """
    made = pulled(artefact, rows, work, steps)
    named = " > ".join(made.steps)
    if made.refusal:
        assert "\n" not in made.refusal, f"{named} refuses in several lines: {made.refusal}"
        assert len(made.refusal.split()) > 4, f"{named} refuses with {made.refusal!r}, which is not a sentence"
        return made
    assert not made.grown, f"{named}: {made.grown[0]} left more bytes than it found, and said nothing of it"
    assert _plain(made.artefact.feeds) == _plain(artefact.feeds), f"{named} changed the feeds"
    assert _ends(made.artefact.graph) == _ends(artefact.graph), f"{named} changed inputs or output"
    before, after = (_answer(one, rows, work) for one in (artefact, made.artefact))
    apart = float(np.mean(np.abs(before.scores - after.scores))) / _scale(before, work.task)
    assert apart <= tolerance, f"{named} answers otherwise: {apart:.3g} on average, {tolerance:g} is allowed"
    return made


def check_chains(
    artefact: Artefact, rows: Split, work: Work, steps: Sequence[Step], *, tolerance: float, length: int = 2
) -> list[Pulled]:
    """Check every ordered choice of so many levers; returns what each made."""
    return [check_chain(artefact, rows, work, some, tolerance=tolerance) for some in permutations(steps, length)]


def _answer(artefact: Artefact, rows: Split, work: Work) -> Answer:
    return GraphModel(artefact, work.task, work.schema, threads=1).answer(rows.columns)


def _scale(answer: Answer, task: Task) -> float:
    return 1.0 if task.classes else float(np.std(answer.scores)) or 1.0


def _plain(feeds: Sequence[Feed]) -> list[Feed]:
    """Return feeds without the number of what pads, which follows the vocabulary."""
    return [replace(feed, options={k: v for k, v in feed.options.items() if k != "pad"}) for feed in feeds]


def _ends(graph: bytes) -> list[bytes]:
    model = need("onnx", for_="checking a graph").load_model_from_string(graph)
    return [value.SerializeToString(deterministic=True) for value in (*model.graph.input, *model.graph.output)]
