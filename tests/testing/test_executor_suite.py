"""Every check of the suite for executors, proved by an executor that must fail it."""

import inspect
import shutil
import time
from dataclasses import replace

import pytest

from steelyard.search.executors import Finished, InProcess, News
from steelyard.search.pool import LocalPool
from steelyard.search.store import Store
from steelyard.testing import executors as suite
from steelyard.testing import isolation
from steelyard.testing.executors import MEMORY, begin, end
from steelyard.testing.shifts import Shift, gone
from steelyard.units import Seconds

PATIENCE = 1.0


class Loyal:
    """Hands everything on to an executor that keeps its contract."""

    def __init__(self, inner):
        self.inner, self.isolates, self.slots = inner, inner.isolates, inner.slots

    @property
    def busy(self):
        return self.inner.busy

    def submit(self, job):
        self.inner.submit(job)

    def load(self, modules, store=None):
        self.inner.load(modules, store)

    def wait(self, seconds):
        news = self.inner.wait(seconds)
        return News([self.bent(f) for f in news.finished], news.reports)

    def bent(self, finished):
        return finished

    def cancel(self):
        self.inner.cancel()

    def close(self):
        self.inner.close()


def told(**changes):
    """An executor that tells of its jobs what is not so."""

    class Liar(Loyal):
        def bent(self, finished):
            return replace(finished, **changes)

    return Liar


class NeverBusy(Loyal):
    busy = False


class TellsOthers(Loyal):
    def bent(self, finished):
        return replace(finished, job=replace(finished.job))


class KeepsNothing(Loyal):
    def bent(self, finished):
        shutil.rmtree(finished.job.store / "bundles")
        (finished.job.store / "bundles").mkdir()
        return finished


class LeavesLitter(Loyal):
    def bent(self, finished):
        place = Store(finished.job.store).place(finished.job.recipe)
        place.with_name(f".{place.name}.1").mkdir()
        return finished


class Dawdles(Loyal):
    def wait(self, seconds):
        time.sleep(0.5)
        return super().wait(seconds)


class StumblesOverModules(Loyal):
    def load(self, modules, store=None):
        self.bent = lambda finished: replace(finished, left=None, problem="no such module")


class Softens(Loyal):
    """Makes a failure an ending like any other."""

    def bent(self, finished):
        return replace(finished, left={**finished.left, "ending": "REFUSED"}) if finished.left else finished


class DoesTwice(Loyal):
    """Does a job again that is under way."""

    def __init__(self, inner):
        super().__init__(inner)
        self.again = InProcess()

    def submit(self, job):
        (self.again if self.inner.busy else self.inner).submit(job)

    def wait(self, seconds):
        first, second = self.inner.wait(seconds), self.again.wait(seconds)
        return News(first.finished + second.finished, [])


class TellsTwice(Loyal):
    held = ()

    def wait(self, seconds):
        news = super().wait(seconds)
        now, self.held = self.held, tuple(news.finished)
        return News([*now, *news.finished], news.reports)


class SkipsReports(Loyal):
    def wait(self, seconds):
        news = super().wait(seconds)
        return News(news.finished, news.reports[1:])


class MixesReports(Loyal):
    def wait(self, seconds):
        news = super().wait(seconds)
        return News(news.finished, news.reports[::-1])


class StaysBusy(Loyal):
    closed = False

    @property
    def busy(self):
        return self.closed or self.inner.busy

    def close(self):
        self.closed = True
        self.inner.close()


ORDINARY = [
    ("check_a_job_comes_back_with_what_it_left", NeverBusy, "says busy"),
    ("check_a_job_comes_back_with_what_it_left", TellsOthers, "not the job that was submitted"),
    ("check_a_job_comes_back_with_what_it_left", told(problem="oh"), "has a problem"),
    ("check_a_job_comes_back_with_what_it_left", told(seconds=0.0), "no time"),
    ("check_a_job_comes_back_with_what_it_left", KeepsNothing, "does not hold"),
    ("check_a_job_comes_back_with_what_it_left", LeavesLitter, "half-written"),
    ("check_waiting_for_nothing_ends_in_time", Dawdles, "took"),
    ("check_loading_what_is_not_there_harms_nothing", StumblesOverModules, "left nothing"),
    ("check_an_error_in_a_job_is_its_ending", Softens, "ended a trial"),
    ("check_what_cannot_be_done_is_refused_in_a_sentence", told(cause="died"), "not as 'refused'"),
    ("check_what_cannot_be_done_is_refused_in_a_sentence", told(problem="no"), "not a sentence"),
    ("check_what_cannot_be_done_is_refused_in_a_sentence", told(exit_code=0), "exit code is 0"),
    ("check_a_job_submitted_twice_is_done_and_told_once", DoesTwice, "twice"),
    ("check_a_job_submitted_twice_is_done_and_told_once", TellsTwice, "once more"),
    ("check_a_recipe_made_before_is_not_made_again", KeepsNothing, "made again"),
    ("check_a_slow_reader_loses_nothing", SkipsReports, "reports came"),
    ("check_a_slow_reader_loses_nothing", MixesReports, "out of order"),
    ("check_cancelled_jobs_come_back", told(cause="died"), "not as 'cancelled'"),
    ("check_closing_ends_everything", StaysBusy, "although it is closed"),
]


@pytest.mark.parametrize(("name", "saboteur", "words"), ORDINARY)
def test_a_saboteur_of_ordinary_work_is_found_out(tmp_path, name, saboteur, words):
    found_out(name, begin(saboteur(InProcess()), tmp_path / "store", patience=PATIENCE), words, prompt=0.2)


def found_out(name, shift, words, *, prompt):
    shift.prompt = prompt
    check = getattr(suite, name, None) or getattr(isolation, name)
    try:
        with pytest.raises(AssertionError, match=words):
            check(shift)
    finally:
        end(shift)


# ------------------------------------------------------------------------------------------------ isolation


class Lent(Loyal):
    """A saboteur over a pool that others use after it: closing is letting go."""

    def close(self):
        self.inner.cancel()
        while self.inner.busy:
            self.inner.wait(Seconds(0.1))


class OneAtATime(Lent):
    def __init__(self, inner):
        super().__init__(inner)
        self.slots, self.queue = 2, []

    def submit(self, job):
        self.queue.append(job)

    def wait(self, seconds):
        if self.queue and not self.inner.busy:
            self.inner.submit(self.queue.pop(0))
        return super().wait(seconds)


class TellsBeforeItIsSo(Lent):
    """Says that a job is late when it should be, and lets it run on."""

    def __init__(self, inner):
        super().__init__(inner)
        self.given = {}

    def submit(self, job):
        self.given[job.number] = (job, time.monotonic())
        self.inner.submit(replace(job, seconds=Seconds(60.0)))

    def wait(self, seconds):
        news = self.inner.wait(Seconds(min(seconds, 0.1)))
        found = [replace(f, job=self.given.pop(f.job.number)[0]) for f in news.finished]
        for number, (job, began) in list(self.given.items()):
            if time.monotonic() - began > job.seconds:
                del self.given[number]
                found.append(Finished(job=job, left=None, problem="it is late by now", cause="late"))
        return News(found, news.reports)


def lent_told(**changes):
    class Liar(Lent):
        def bent(self, finished):
            return replace(finished, **changes)

    return Liar


class ForgetsWhatHadNotBegun(Lent):
    """Lets a job that had not begun be lost with its worker."""

    def submit(self, job):
        self.inner.submit(job)
        for errand in self.inner._errands.values():
            errand.again = True


class LeavesProcesses(Lent):
    closed = False

    @property
    def busy(self):
        return not self.closed and self.inner.busy

    def close(self):
        if self.closed:
            super().close()
        self.closed = True


ISOLATION = [
    ("check_its_slots_work_at_the_same_time", OneAtATime, "not all slots"),
    ("check_a_job_past_its_deadline_is_ended", lent_told(cause="died"), "not as 'late'"),
    ("check_a_job_past_its_deadline_is_ended", TellsBeforeItIsSo, "lives on"),
    ("check_deadlines_hold_while_nobody_listens", TellsBeforeItIsSo, "as long as nobody asks"),
    ("check_a_job_that_takes_too_much_memory_is_ended", lent_told(cause="died"), "not as 'memory'"),
    ("check_a_job_that_dies_ends_alone", lent_told(problem="it is not there any more"), "SIGSEGV"),
    ("check_a_stopped_job_is_given_up", lent_told(cause="late"), "not as 'silent'"),
    ("check_a_killed_worker_is_replaced", lent_told(cause="died"), "not as 'lost'"),
    ("check_a_job_that_had_not_begun_is_handed_on", ForgetsWhatHadNotBegun, "left nothing"),
    ("check_a_worker_that_does_not_answer_is_replaced", lent_told(cause="died"), "not as 'lost'"),
    ("check_closing_ends_everything", LeavesProcesses, "outlives its executor"),
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    log = tmp_path_factory.mktemp("pool") / "log"
    made = LocalPool(2, log=log, threads=1, memory_bytes=MEMORY, silence=PATIENCE)
    yield made
    made.close()


@pytest.fixture
def hurried(monkeypatch):
    """Have the checks wait no longer than it takes to find a saboteur out."""

    def gone_soon(pids, limit=0.3):
        return gone(pids, min(limit, 2.0))

    def briefly(shift, held, what, limit=1.0):
        deadline = time.monotonic() + limit
        while not held():
            assert time.monotonic() < deadline, what
            shift.executor.wait(Seconds(0.05))

    monkeypatch.setattr(isolation, "gone", gone_soon)
    monkeypatch.setattr(suite, "gone", gone_soon)
    return lambda: monkeypatch.setattr(Shift, "until", briefly)


@pytest.mark.slow
@pytest.mark.parametrize("case", ISOLATION)
def test_a_saboteur_of_isolation_is_found_out(pool, tmp_path, hurried, case):
    name, saboteur, words = case
    if saboteur is OneAtATime:
        hurried()
    found_out(name, begin(saboteur(pool), tmp_path / "store", patience=PATIENCE), words, prompt=10.0)


def test_every_check_has_a_saboteur():
    checks = {
        name
        for module in (suite, isolation)
        for name, thing in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_") and name != "check_executor"
    }
    assert checks == {name for name, _, _ in (*ORDINARY, *ISOLATION)}
