"""Whatever a job does to its process, it comes back once, and the next job runs."""

import os
import signal
import time
from pathlib import Path

import pytest

from steelyard.contracts import Ending
from steelyard.search.executors import InProcess
from steelyard.search.pool import LocalPool
from steelyard.search.store import Store, outcome_from_json
from steelyard.units import Seconds


@pytest.fixture(scope="module")
def pool(tmp_path_factory, saboteurs):
    log = tmp_path_factory.mktemp("pool") / "log"
    made = LocalPool(1, log=log, threads=1, memory_bytes=1_500_000_000, modules=(saboteurs,))
    yield made
    made.close()


def done(executor, job, limit=60.0):
    executor.submit(job)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if found := executor.wait(Seconds(0.2)).finished:
            assert len(found) == 1
            return found[0]
    pytest.fail("the job never came back")


def test_a_trial_leaves_its_outcome_and_a_complete_folder(pool, job, kept):
    finished = done(pool, job("constant"))
    outcome = outcome_from_json(finished.left)
    assert outcome.ending is Ending.MEASURED
    assert 0.3 < outcome.validation["roc_auc"].value < 0.7
    assert Store(kept[0]).place(outcome.recipe).is_dir()
    assert not list((kept[0] / "bundles").glob(".*"))


def test_a_recipe_made_before_is_not_made_again(pool, job):
    first, again = done(pool, job("constant", 0)), done(pool, job("constant", 1))
    assert outcome_from_json(first.left).kept is False
    assert outcome_from_json(again.left).kept is True
    assert again.left["validation"] == first.left["validation"]


@pytest.mark.parametrize(("deed", "cause", "words"), [("crash", "died", "SIGSEGV"), ("quit", "died", "exit code 7")])
def test_a_job_that_kills_its_process_ends_alone(pool, job, deed, cause, words):
    finished = done(pool, job(deed))
    assert (finished.left, finished.cause) == (None, cause)
    assert words in finished.problem
    assert done(pool, job("constant", 1)).left is not None


def test_a_job_that_hangs_is_killed_at_its_deadline(pool, job):
    done(pool, job("constant"))
    start = time.monotonic()
    finished = done(pool, job("hang", 1, seconds=1.0))
    assert finished.cause == "late"
    assert 1.0 <= time.monotonic() - start < 3.0
    assert done(pool, job("constant", 2)).left is not None


def test_a_job_that_holds_too_much_memory_is_killed(pool, job):
    finished = done(pool, job("eat"))
    assert finished.cause == "memory"
    assert "memory_gb" in finished.problem


def test_an_exception_is_an_ending_with_its_sentence(pool, job):
    outcome = outcome_from_json(done(pool, job("raise")).left)
    assert (outcome.ending, outcome.note) == (Ending.FAILED, "ValueError: no luck today")


def test_running_out_of_memory_is_an_ending_of_its_own(pool, job):
    assert outcome_from_json(done(pool, job("oom")).left).ending is Ending.OUT_OF_MEMORY


def test_a_learner_that_does_not_accept_the_task_is_refused_with_its_reason(pool, job):
    outcome = outcome_from_json(done(pool, job("tfidf-linear")).left)
    assert outcome.ending is Ending.REFUSED
    assert "text" in outcome.note


def test_a_worker_that_is_killed_is_replaced_and_its_job_comes_back(pool, job):
    done(pool, job("constant"))
    pool.submit(job("hang", 1))
    while pool._workers[0].child is None:
        pool.wait(Seconds(0.1))
    child = pool._workers[0].child
    os.kill(pool._workers[0].process.pid, signal.SIGKILL)
    found = []
    while not found:
        found = pool.wait(Seconds(0.5)).finished
    assert found[0].cause in {"memory", "died"}
    time.sleep(0.3)
    assert not _alive(child)
    assert done(pool, job("constant", 2)).left is not None


def test_cancelled_jobs_come_back_and_the_worker_lives_on(pool, job):
    done(pool, job("constant"))
    worker = pool._workers[0].process.pid
    pool.submit(job("hang", 1))
    pool.wait(Seconds(0.5))
    pool.cancel()
    found = []
    while not found:
        found = pool.wait(Seconds(0.5)).finished
    assert found[0].cause == "cancelled"
    assert pool._workers[0].process.pid == worker


def test_closing_leaves_no_process(tmp_path, saboteurs, job):
    made = LocalPool(2, log=tmp_path / "log", threads=1, memory_bytes=10**10, modules=(saboteurs,))
    made.submit(job("hang"))
    while made._workers[0].child is None:
        made.wait(Seconds(0.1))
    pids = [made._workers[0].child, *(w.process.pid for w in made._workers)]
    made.close()
    made.close()
    time.sleep(0.2)
    assert not any(_alive(pid) for pid in pids)


def test_in_process_keeps_the_same_contract_for_what_can_be_caught(job, kept):
    executor = InProcess()
    outcome = outcome_from_json(done(executor, job("constant")).left)
    assert outcome.ending is Ending.MEASURED
    assert executor.wait(Seconds(0)).finished == []


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False
