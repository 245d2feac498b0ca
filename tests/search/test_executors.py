"""The executors keep their contract, each check by itself; a driver that is killed leaves nothing behind."""

import json
import subprocess
import sys
from textwrap import dedent

import pytest

from steelyard.search.executors import InProcess
from steelyard.search.pool import LocalPool
from steelyard.testing import check_executor
from steelyard.testing.executors import MEMORY, begin, end, yield_checks
from steelyard.testing.shifts import gone

PATIENCE = 2.0
"""Seconds after which the pools of these tests miss a worker."""


def in_process(folder):
    return InProcess()


def pool_of_one(folder):
    return LocalPool(1, log=folder / "log", threads=1, memory_bytes=MEMORY, silence=PATIENCE)


def pool_of_two(folder):
    return LocalPool(2, log=folder / "log", threads=1, memory_bytes=MEMORY, silence=PATIENCE)


class Stub:
    """Enough of an executor to list the checks that apply to it."""

    def __init__(self, isolates):
        self.isolates = isolates

    @property
    def executor(self):
        return self


def cases():
    for make, isolates in ((in_process, False), (pool_of_two, True)):
        for check in yield_checks(Stub(isolates)):
            yield pytest.param(make, check.__name__, id=f"{make.__name__}-{check.__name__[6:]}")


@pytest.fixture(scope="module")
def shifts(tmp_path_factory):
    """A function from a maker to its executor at work; each is made once."""
    made = {}

    def at_work(make):
        if make not in made:
            folder = tmp_path_factory.mktemp(make.__name__)
            made[make] = begin(make(folder), folder / "store", patience=PATIENCE)
        return made[make]

    yield at_work
    for shift in made.values():
        end(shift)


@pytest.mark.parametrize(("make", "name"), list(cases()))
def test_an_executor_keeps_its_contract(shifts, make, name):
    shift = shifts(make)
    {check.__name__: check for check in yield_checks(shift)}[name](shift)


@pytest.mark.slow
def test_the_whole_suite_runs_without_a_test_runner(tmp_path):
    check_executor(lambda: pool_of_one(tmp_path), patience=PATIENCE)


DRIVER = dedent(
    """
    import json, sys, time
    from pathlib import Path
    from steelyard.search.pool import LocalPool
    from steelyard.testing.executors import MEMORY, begin
    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        pool = LocalPool(2, log=folder / "log", threads=1, memory_bytes=MEMORY)
        shift = begin(pool, folder / "store", patience=30.0)
        made = shift.job("constant")
        shift.done(made)
        print(json.dumps(shift.begun(shift.job("deed-hang")) + shift.begun(shift.job("deed-hang"))), flush=True)
        time.sleep(3600)
    """
)


def test_a_driver_that_is_killed_leaves_no_process_and_nothing_half_written_that_counts(tmp_path):
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        pids = tuple(json.loads(driver.stdout.readline()))
        driver.kill()
    assert len(set(pids)) == 3, "two jobs and their worker"
    assert gone(pids), "a process outlives the driver"
    for folder in (tmp_path / "store" / "bundles").iterdir():
        whole = (folder / "outcome.json").exists()
        assert whole != folder.name.startswith("."), f"{folder.name} counts and is not whole, or the reverse"
