"""What is the local pool's own: one worker for all slots, and news that no interrupt or duplicate can spoil."""

import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from steelyard.contracts import Ending
from steelyard.search.courier import let_go
from steelyard.search.pool import LocalPool
from steelyard.search.store import Store, outcome_from_json
from steelyard.testing.executors import MEMORY
from steelyard.testing.shifts import LONGEST
from steelyard.units import Seconds


@pytest.fixture(scope="module")
def pool(tmp_path_factory, saboteurs):
    log = tmp_path_factory.mktemp("pool") / "log"
    made = LocalPool(2, log=log, threads=1, memory_bytes=MEMORY, modules=(saboteurs,))
    yield made
    made.close()


def done(executor, job):
    executor.submit(job)
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if found := executor.wait(Seconds(0.2)).finished:
            assert len(found) == 1
            return found[0]
    pytest.fail("the job never came back")


def test_a_learner_that_does_not_accept_the_task_is_refused_with_its_reason(pool, job):
    outcome = outcome_from_json(done(pool, job("tfidf-linear")).left)
    assert outcome.ending is Ending.REFUSED
    assert "text" in outcome.note


def test_running_out_of_memory_in_python_is_an_ending_of_its_own(pool, job):
    assert outcome_from_json(done(pool, job("oom")).left).ending is Ending.OUT_OF_MEMORY


def test_a_result_that_is_delivered_again_is_told_once(pool, job):
    heard = []
    take = pool._take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_take", lambda worker, said, news: [heard.append(said), take(worker, said, news)])
        finished = done(pool, job("constant"))
    assert finished.left is not None
    assert any("exit" in said for said in heard)
    news = pool.wait(Seconds(0))
    for said in heard:
        take(pool._worker, said, news)
    assert not news.finished
    assert not pool.busy


def test_one_worker_serves_every_slot_and_reads_the_data_once(pool, job, kept):
    jobs = [job("hang", 1), job("hang", 2)]
    for one in jobs:
        pool.submit(one)
    while sum(errand.pid is not None for errand in pool._errands.values()) < 2:
        pool.wait(Seconds(0.1))
    pids = [errand.pid for errand in pool._errands.values()]
    parents = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] for pid in pids}
    assert parents == {str(pool._worker.process.pid)}
    let_go(pool)


def test_a_job_knows_nothing_of_the_key_to_a_cluster(monkeypatch):
    from steelyard.search.start import environment

    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert "secret" not in environment(1).values()


INTERRUPTED = dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from steelyard.search.courier import let_go
    from steelyard.search.pool import LocalPool
    from steelyard.testing.executors import MEMORY, begin
    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        pool = LocalPool(2, log=folder / "log", threads=1, memory_bytes=MEMORY)
        shift = begin(pool, folder / "store", patience=30.0)
        shift.goes_on()
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        for number in range(30):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.003 * number)
                while True:
                    shift.done(shift.job("constant"))
            except KeyboardInterrupt:
                let_go(pool)
            assert not pool.busy
        shift.goes_on()
        pool.close()
        print("went on")
    """
)


@pytest.mark.slow  # on a busy machine it once took more than two minutes
def test_ctrl_c_at_any_moment_leaves_a_pool_that_goes_on(tmp_path):
    """Interrupts fall into waiting, hearing and submitting alike; after each the pool lets go, and works again.

    In a process of its own: Polars holds interrupts back in one where it believes that a query is under way.
    """
    (tmp_path / "driver.py").write_text(INTERRUPTED)
    command = [sys.executable, tmp_path / "driver.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert (done.stdout, done.returncode) == ("went on\n", 0), done.stderr


@pytest.mark.slow
def test_a_worker_that_cannot_even_load_does_not_keep_a_run_waiting(tmp_path, job, monkeypatch):
    (tmp_path / "quits_when_imported.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = LocalPool(1, log=tmp_path / "log", threads=1, memory_bytes=MEMORY, modules=("quits_when_imported",))
    try:
        for number in range(2):
            finished = done(made, job("registered nowhere", number))
            assert finished.cause == "lost"
            assert "exit code 3" in finished.problem
    finally:
        made.close()


def test_nothing_half_written_is_left_by_jobs_that_end_by_themselves(pool, job, kept):
    done(pool, job("linear", 5))
    assert Store(kept[0]).place(job("linear").recipe).is_dir()
    assert not list((kept[0] / "bundles").glob(".*"))
