"""What a shrunk model must be before it is measured: a stand-in for the model that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from steelyard.contracts import Answer, Artefact, Split, Task
from steelyard.errors import BundleRefused, RowsRefused, SteelyardError
from steelyard.measure.answers import AnswerUnfit, check_answer

STANDS = "the model that it started from stands as it was"
"""How every sentence of a lever that failed ends."""


class ShrunkUnfit(SteelyardError):
    """What a shrinking lever made cannot take the place of the model that it started from."""


def checked(lever: str, parent: Artefact, made: object) -> Artefact:
    """Return what a lever made, if whoever calls the parent can call it: it reads none but the parent's columns.

    Classes and task are the run's own, and a graph whose scores do not fit them is refused when it is opened
    (:func:`runnable`). Under which licence the weights came is carried over.

    Raises
    ------
    ShrunkUnfit
        If it is no artefact, or reads a column that the parent does not.
    """
    if not isinstance(made, Artefact):
        raise ShrunkUnfit(f"{lever} returned a {type(made).__name__} instead of an artefact; {STANDS}.")
    known = {name for feed in parent.feeds for name in feed.columns}
    if more := sorted({name for feed in made.feeds for name in feed.columns} - known):
        names = ", ".join(map(repr, more))
        raise ShrunkUnfit(
            f"{lever} changed the interface: its model reads {names}, which the one that it started from does not, so "
            f"callers would have to send more; {STANDS}."
        )
    return replace(made, pretrained=made.pretrained or parent.pretrained)


@contextmanager
def runnable(lever: str, folder: Path) -> Iterator[None]:
    """Say of a graph that cannot be opened from a folder, or not be run on rows, whose work it is.

    Raises
    ------
    ShrunkUnfit
        With what was wrong: inputs or outputs of another shape, operators that nothing runs, scores that are none.
    """
    try:
        yield
    except RowsRefused as problem:
        raise ShrunkUnfit(f"{lever} made a graph that does not answer ({said(problem)}); {STANDS}.") from None
    except BundleRefused as problem:
        why = said(problem).removeprefix(f"bundle {folder}: ")
        raise ShrunkUnfit(f"{lever} made a graph that cannot be run ({why}); {STANDS}.") from None


def check_answers(lever: str, task: Task, held: Split, answer: Answer) -> None:
    """Refuse answers that cannot be judged.

    Raises
    ------
    ShrunkUnfit
        If they are not finite, no probabilities, or not as many as there are rows and classes.
    """
    try:
        check_answer(task, held.target, answer, held.weights)
    except AnswerUnfit as problem:
        raise ShrunkUnfit(f"{lever} made a graph whose answers are none ({said(problem)}); {STANDS}.") from None


def said(problem: BaseException) -> str:
    """Return what an error says, to stand within a sentence."""
    return " ".join(str(problem).split()).rstrip(".")
