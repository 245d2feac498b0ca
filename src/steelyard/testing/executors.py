"""What every executor must keep: ``check_executor(make)``.

Each check is a function with a claim; it raises ``AssertionError`` with a sentence where the claim does not hold.
No test runner is needed. The checks share one executor: what one does to it must not harm the next.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from steelyard.contracts import Ending, Job
from steelyard.errors import Exit
from steelyard.search.executors import Executor
from steelyard.testing.isolation import isolation_checks
from steelyard.testing.shifts import DEEDS, Check, Shift, alive, ended, furnish, gone, outcome_of
from steelyard.units import Seconds

MEMORY = 900_000_000
"""Bytes that the executor under test must be told to allow a job."""


def check_executor(make: Callable[[], Executor], *, patience: float) -> None:
    """Run every check on an executor.

    Parameters
    ----------
    make
        Makes one whose jobs may take :data:`MEMORY` bytes each. It is closed in the end.
    patience
        Seconds after which it gives up a worker that does not answer, or a job that was stopped.

    Raises
    ------
    AssertionError
        With the first claim that does not hold.
    """
    with tempfile.TemporaryDirectory() as place:
        shift = begin(make(), Path(place) / "store", patience=patience)
        try:
            for check in yield_checks(shift):
                check(shift)
        finally:
            end(shift)


def begin(executor: Executor, folder: Path, *, patience: float) -> Shift:
    """Return an executor with a store of data in a folder, ready to be checked."""
    shift = Shift(executor=executor, folder=folder, patience=patience, fingerprint=furnish(folder))
    if executor.isolates:
        executor.load((DEEDS,), folder)
    else:
        importlib.import_module(DEEDS).enlist()
    return shift


def end(shift: Shift) -> None:
    """Close the executor, and leave this process as it was."""
    shift.executor.close()
    if not shift.executor.isolates:
        importlib.import_module(DEEDS).dismiss()


def yield_checks(shift: Shift) -> Iterator[Check]:
    """Yield the checks that apply to an executor; the one that closes it comes last."""
    yield check_a_job_comes_back_with_what_it_left
    yield check_waiting_for_nothing_ends_in_time
    yield check_loading_what_is_not_there_harms_nothing
    yield check_an_error_in_a_job_is_its_ending
    yield check_what_cannot_be_done_is_refused_in_a_sentence
    yield check_a_job_submitted_twice_is_done_and_told_once
    yield check_a_recipe_made_before_is_not_made_again
    yield check_a_slow_reader_loses_nothing
    yield check_cancelled_jobs_come_back
    if shift.executor.isolates:
        yield from isolation_checks()
    yield check_closing_ends_everything


# -------------------------------------------------------------------------------------------- ordinary work


def check_a_job_comes_back_with_what_it_left(shift: Shift) -> None:
    """See that a trial comes back measured, and its folder is whole."""
    assert shift.executor.slots >= 1, "it has no slot"
    job, busy = shift.job("constant"), [shift.executor.busy]
    shift.submit(job)
    busy.append(shift.executor.busy)
    finished = shift.back(job)
    busy.append(shift.executor.busy)
    assert busy == [False, True, False], f"before, during and after its one job it says busy: {busy}"
    assert (finished.problem, finished.cause, finished.exit_code) == ("", "", 0), f"it has a problem: {finished}"
    assert finished.seconds > 0, "it says that a job took no time"
    outcome = outcome_of(finished)
    assert outcome.ending is Ending.MEASURED, f"a constant model ended with {outcome.ending.value!r} {outcome.note}"
    kept = shift.store.outcome(job.recipe)
    assert kept is not None, "the store does not hold what the trial left"
    assert kept.validation == outcome.validation, "the store holds other figures than the trial told"
    aside = [folder.name for folder in shift.store.bundles.glob(f".{shift.store.place(job.recipe).name}.*")]
    assert not aside, f"the trial came back and left {aside} half-written"
    _what_counts_is_whole(shift)


def check_waiting_for_nothing_ends_in_time(shift: Shift) -> None:
    """See that waiting ends when asked, and takes the time that it was given."""
    began = time.monotonic()
    assert not shift.executor.wait(Seconds(0.2)), "there is news of no job"
    took = time.monotonic() - began
    assert took < shift.prompt, f"waiting 0.2 s took {took:.1f} s"
    assert took > 0.1 or not shift.executor.isolates, "it does not wait, so whoever listens to it spins"


def check_loading_what_is_not_there_harms_nothing(shift: Shift) -> None:
    """See that a module or a store that is missing is left to the job that needs it."""
    shift.executor.load(("no.such.module",), shift.folder / "no-such-store")
    shift.goes_on()


def check_an_error_in_a_job_is_its_ending(shift: Shift) -> None:
    """See that an exception ends a trial with its sentence."""
    outcome = shift.outcome(shift.job("deed-raise"))
    assert outcome.ending is Ending.FAILED, f"an exception ended a trial with {outcome.ending.value!r}"
    assert outcome.note == "ValueError: no luck today", f"the error is told as {outcome.note!r}"


def check_what_cannot_be_done_is_refused_in_a_sentence(shift: Shift) -> None:
    """See that a job for other data is refused, with the exit code of the error."""
    finished = shift.done(shift.job("constant", fingerprint="of other data"))
    ended(finished, "refused", "new run")
    assert finished.exit_code == Exit.RUN_UNREADABLE, f"the exit code is {finished.exit_code}"


def check_a_job_submitted_twice_is_done_and_told_once(shift: Shift) -> None:
    """See that a job under way that is submitted again is neither done nor told a second time."""
    job = shift.job()
    shift.submit(job)
    finished = shift.done(job)
    shift.quiet()
    outcome_of(finished)
    times = len(shift.processes(job))
    assert times == 1, f"a job that was submitted twice was done {times} times"


def check_a_recipe_made_before_is_not_made_again(shift: Shift) -> None:
    """See that a trial whose folder is there is found, not trained: a result that comes twice is paid for once."""
    job = shift.job()
    first = shift.outcome(job)
    again = shift.outcome(_renumbered(shift, job))
    assert (first.kept, again.kept) == (False, True), "it was made again, or not said to be found"
    assert again.validation == first.validation, "the figures of one recipe differ"
    assert len(shift.processes(job)) == 1, "it was trained again"


def check_a_slow_reader_loses_nothing(shift: Shift) -> None:
    """See that every report and the result wait for whoever listens late, in order."""
    shift.reports.clear()
    job = shift.submit(shift.job("deed-talk"))
    time.sleep(1.5)
    outcome = outcome_of(shift.back(job))
    heard = tuple((r.step, r.value) for r in shift.reports if r.number == job.number)
    assert heard == outcome.curve, f"{len(heard)} of {len(outcome.curve)} reports came, or out of order"


def check_cancelled_jobs_come_back(shift: Shift) -> None:
    """See that what is under way is ended by cancelling and comes back so, and that the next job is done."""
    job = shift.job("deed-hang")
    process: tuple[int, ...] = ()
    if shift.executor.isolates:
        process = shift.begun(job)[:1]
    else:
        shift.submit(job)
    shift.executor.cancel()
    ended(shift.back(job, shift.patience + shift.prompt), "cancelled")
    assert gone(process), "the process of a cancelled job lives on"
    shift.goes_on()


# ------------------------------------------------------------------------------------------------ the end


def check_closing_ends_everything(shift: Shift) -> None:
    """See that nothing is left of a job under way, and that closing twice is closing once."""
    processes: tuple[int, ...] = ()
    if shift.executor.isolates:
        processes = shift.begun(shift.job("deed-hang"))
        assert all(map(alive, processes)), "a job at work has no process"
    shift.executor.close()
    shift.executor.close()
    assert gone(processes), "a process outlives its executor"
    assert not shift.executor.busy, "it is busy although it is closed"
    _what_counts_is_whole(shift)


# ------------------------------------------------------------------------------------------------ helpers


def _renumbered(shift: Shift, job: Job) -> Job:
    return replace(job, number=shift.job().number)


def _what_counts_is_whole(shift: Shift) -> None:
    """See that every folder that counts is whole; what a job that was killed left aside does not count."""
    for folder in shift.store.bundles.iterdir():
        if not folder.name.startswith("."):
            assert (folder / "outcome.json").exists(), f"{folder.name} counts, and is not whole"
