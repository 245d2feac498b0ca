"""The clock of a trial: what sleeps waits, what reads loads, and one thread on two cores leaves one of them idle."""

import os
import time
from pathlib import Path
from textwrap import dedent

import pytest

from steelyard.clock import Phase, Times, phase, timed
from steelyard.contracts import Ending
from steelyard.recipe import Train
from steelyard.registry import learners
from steelyard.search import store as stores
from steelyard.search.executors import InProcess
from steelyard.search.history import trial_of
from steelyard.search.pool import LocalPool
from steelyard.search.store import outcome_from_json
from steelyard.units import Seconds

PAUSE = 0.15
"""Seconds of a deed in each of the five trainings."""
FOLDS = 5
DEEDS = dedent(
    '''
    """Constant models that waste time first, each in its own way."""
    import time
    from pathlib import Path
    from steelyard.clock import Phase, phase
    from steelyard.registry import learners
    from steelyard.testing.deeds import Deed

    PAUSE = {pause}
    FILE = Path({file!r})

    def sleep(*_):
        time.sleep(PAUSE)

    def compute(*_):
        end = time.thread_time() + PAUSE
        while time.thread_time() < end:
            pass

    def prepare(*_):
        with phase(Phase.PREPARING):
            compute()

    def read(*_):
        with FILE.open("rb", buffering=0) as file:
            while file.read(1 << 18):
                time.sleep(PAUSE / 8)

    def load(*_):
        with phase(Phase.LOADING):
            read()

    for act in (sleep, compute, prepare, read, load):
        learners().add("deed-" + act.__name__, Deed("deed-" + act.__name__, act))
    '''
)


@pytest.fixture
def deeds(tmp_path, monkeypatch):
    """The name of a module that registers the deeds; here they are registered for this test alone."""
    (tmp_path / "large").write_bytes(bytes(1 << 21))
    (tmp_path / "wasters.py").write_text(DEEDS.format(pause=PAUSE, file=str(tmp_path / "large")))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(learners(), "_made", dict(learners()._made))
    exec(compile((tmp_path / "wasters.py").read_text(), "wasters.py", "exec"), {"__name__": "wasters"})
    return "wasters"


def left(executor, job):
    """Have a job done; return where its seconds went, and how it came back."""
    executor.submit(job)
    news = executor.wait(Seconds(60.0))
    while not news.finished:
        news = executor.wait(Seconds(60.0))
    outcome = outcome_from_json(news.finished[0].left)
    assert outcome.ending is Ending.MEASURED, outcome.note
    return outcome.times, news.finished[0]


@pytest.mark.parametrize("deed", ["sleep", "compute", "prepare", "read", "load"])
def test_each_waste_is_charged_to_what_it_is(deeds, job, deed):
    times, finished = left(InProcess(), job(f"deed-{deed}", threads=2))
    seconds = {name: getattr(times, name) for name in ("loading", "preparing", "computing", "waiting")}
    charged = {"sleep": "waiting", "compute": "computing", "prepare": "preparing", "read": "waiting", "load": "loading"}
    assert seconds.pop(charged[deed]) >= 0.95 * FOLDS * PAUSE
    for name, value in seconds.items():
        if name != "waiting":  # which a busy machine may add to any of them
            assert value < 0.8 * FOLDS * PAUSE, (name, times)
    assert times.total == pytest.approx(finished.seconds, abs=0.1)
    assert (times.read_bytes > FOLDS << 21) == (deed in {"read", "load"})


def test_one_of_two_cores_is_idle_where_one_thread_computes(deeds, job):
    one, _ = left(InProcess(), job("deed-compute", threads=1))
    two, _ = left(InProcess(), job(Train(learner="deed-compute", seed=1), number=1, threads=2))
    assert (one.cores, two.cores) == (1, 2)
    assert two.idle_share >= 0.49
    assert two.idle_share == pytest.approx(1 - two.busy / (2 * two.total))
    assert one.busy >= FOLDS * PAUSE


def test_a_store_that_is_slow_to_read_is_loading(deeds, job, monkeypatch):
    def slowly(path, real=stores.store.read):
        time.sleep(0.3)
        return real(path)

    stores._read.cache_clear()
    monkeypatch.setattr(stores.store, "read", slowly)
    times, _ = left(InProcess(), job("constant"))
    assert times.loading >= 0.3
    assert times.waiting < times.loading


@pytest.mark.slow
def test_what_passes_before_a_child_begins_counts_too(deeds, job, tmp_path):
    pool = LocalPool(1, log=tmp_path / "log", threads=1, memory_bytes=2 << 30, modules=(deeds,))
    try:
        first, back = left(pool, job("deed-sleep"))
        second, again = left(pool, job(Train(learner="deed-sleep", seed=1), number=1))
    finally:
        pool.close()
    for times, finished in ((first, back), (second, again)):
        assert 0.8 * finished.seconds <= times.total <= finished.seconds
        assert times.waiting >= 0.95 * FOLDS * PAUSE
    assert first.loading + first.waiting > second.loading + second.waiting  # the worker had everything to import


def test_a_trial_keeps_its_times_and_one_of_an_older_run_has_none(job):
    executor = InProcess()
    executor.submit(job("constant"))
    plain = dict(executor.wait(Seconds(60.0)).finished[0].left)
    trial = trial_of(0, "start", outcome_from_json(plain), "5-fold")
    assert isinstance(trial.times, Times)
    del plain["times"]
    assert outcome_from_json(plain).times is None


def test_marks_within_marks_are_charged_for_themselves_and_a_failure_ends_its_mark():
    with timed() as clock:
        with phase(Phase.PREPARING):
            time.sleep(0.02)
            with phase(Phase.LOADING):
                time.sleep(0.05)
        with pytest.raises(ZeroDivisionError), phase(Phase.LOADING):
            raise ZeroDivisionError
        before = clock.times(1).loading
        time.sleep(0.05)
        after = clock.times(1)
    assert before >= 0.05
    assert after.loading == pytest.approx(before, abs=1e-9)
    assert after.waiting >= 0.06


def test_without_a_clock_a_mark_does_nothing_and_a_clock_within_another_is_that_one():
    with phase(Phase.LOADING):
        pass
    with timed(waited=2.0, loaded=1.0, loaded_busy=0.5) as outer, timed(waited=9.0) as inner:
        assert inner is outer
        times = outer.times(1)
    assert (round(times.waiting), round(times.loading)) == (2, 1)
    assert times.busy >= 0.5


def test_time_for_which_other_work_held_the_cores_is_told_where_linux_tells_it():
    if not Path("/proc/thread-self/schedstat").exists():
        pytest.skip("this system does not tell how long a thread waited for a core")
    with timed() as clock:
        time.sleep(0.05)
        times = clock.times(1)
    assert 0 <= times.for_cores <= times.waiting


def test_a_mark_costs_microseconds():
    with timed():
        began = time.thread_time()
        for _ in range(1000):
            with phase(Phase.LOADING):
                pass
        assert time.thread_time() - began < 0.1
