"""What an executor must keep whose jobs have processes of their own: whatever a job does, the next one is done.

The checks look at processes through ``/proc``: workers must run on this machine, and this machine must be Linux.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from steelyard.contracts import Job
from steelyard.testing.shifts import Check, Shift, ended, gone, outcome_of
from steelyard.units import Seconds


def isolation_checks() -> Iterator[Check]:
    """Yield the checks."""
    yield check_its_slots_work_at_the_same_time
    yield check_a_job_past_its_deadline_is_ended
    yield check_deadlines_hold_while_nobody_listens
    yield check_a_job_that_takes_too_much_memory_is_ended
    yield check_a_job_that_dies_ends_alone
    yield check_a_stopped_job_is_given_up
    yield check_a_killed_worker_is_replaced
    yield check_a_job_that_had_not_begun_is_handed_on
    yield check_a_worker_that_does_not_answer_is_replaced


def check_its_slots_work_at_the_same_time(shift: Shift) -> None:
    """See that as many jobs train at once as there are slots."""
    jobs = [shift.submit(shift.job("deed-hang")) for _ in range(shift.executor.slots)]
    shift.until(lambda: all(map(shift.processes, jobs)), "not all slots began to work")
    assert len({shift.processes(job)[0][0] for job in jobs}) == len(jobs), "two jobs share a process"
    shift.executor.cancel()
    back: list[Job] = []
    while len(back) < len(jobs):
        back += [finished.job for finished in shift.executor.wait(Seconds(1.0)).finished]
    assert sorted(j.number for j in back) == [j.number for j in jobs], "the jobs that came back are others"


def check_a_job_past_its_deadline_is_ended(shift: Shift) -> None:
    """See that a job that goes on beyond its time is ended with all it started, and the next one done."""
    shift.goes_on()  # so that no time goes into a start
    job, began = shift.job("deed-spawn", seconds=1.0), time.monotonic()
    finished = shift.done(job)
    took = time.monotonic() - began
    ended(finished, "late")
    assert 1.0 <= took < 1.0 + shift.prompt, f"a job with 1 s came back after {took:.1f} s"
    assert gone(tuple(process for process, _ in shift.processes(job))), "a process of a late job lives on"
    shift.goes_on()


def check_deadlines_hold_while_nobody_listens(shift: Shift) -> None:
    """See that a late job is ended although whoever submitted it is busy with something else."""
    shift.goes_on()  # whoever does the jobs has loaded what that takes
    job = shift.job("deed-hang", seconds=1.0)
    process, _ = shift.begun(job)
    assert gone((process,), 1.0 + shift.prompt), "a late job goes on for as long as nobody asks"
    ended(shift.back(job), "late")


def check_a_job_that_takes_too_much_memory_is_ended(shift: Shift) -> None:
    """See that a job above its memory is ended, and the sentence names the limit."""
    ended(shift.done(shift.job("deed-eat")), "memory", "memory_gb")
    shift.goes_on()


def check_a_job_that_dies_ends_alone(shift: Shift) -> None:
    """See that a crash and an exit come back with what happened, and the next job is done."""
    ended(shift.done(shift.job("deed-crash")), "died", "SIGSEGV")
    ended(shift.done(shift.job("deed-quit")), "died", "exit code 7")
    shift.goes_on()


def check_a_stopped_job_is_given_up(shift: Shift) -> None:
    """See that a job whose process stands still comes back in the stated time, and the next one is done."""
    job = shift.job("deed-hang")
    process, _ = shift.begun(job)
    os.kill(process, signal.SIGSTOP)
    ended(shift.back(job, shift.patience + shift.prompt), "silent")
    assert gone((process,)), "the process of a job that was given up is still there"
    shift.goes_on()


def check_a_killed_worker_is_replaced(shift: Shift) -> None:
    """See that a job comes back as lost when its worker is killed, its process with it, and the next one is done."""
    job = shift.job("deed-hang")
    process, worker = shift.begun(job)
    os.kill(worker, signal.SIGKILL)
    ended(shift.back(job, shift.patience + shift.prompt), "lost")
    assert gone((process,)), "the process of a job outlives its worker"
    shift.quiet()
    shift.goes_on()


def check_a_job_that_had_not_begun_is_handed_on(shift: Shift) -> None:
    """See that a job is done, once, although the worker that it was given to died before it began."""
    first = shift.job()
    shift.done(first)
    _, worker = shift.processes(first)[-1]
    os.kill(worker, signal.SIGSTOP)
    job = shift.submit(shift.job())
    os.kill(worker, signal.SIGKILL)
    outcome = outcome_of(shift.back(job))
    assert outcome.ending.usable, f"a job that had not begun ended with {outcome.ending.value!r}"
    assert len(shift.processes(job)) == 1, f"it was done {len(shift.processes(job))} times"
    shift.quiet()


def check_a_worker_that_does_not_answer_is_replaced(shift: Shift) -> None:
    """See that a job comes back as lost in the stated time when its worker stands still, and the next one is done."""
    shift.goes_on()  # so that no time goes into a start
    job = shift.job("deed-hang")
    process, worker = shift.begun(job)
    os.kill(worker, signal.SIGSTOP)
    ended(shift.back(job, shift.patience + shift.prompt), "lost")
    assert gone((process, worker)), "a worker that was given up is still there"
    shift.goes_on()
