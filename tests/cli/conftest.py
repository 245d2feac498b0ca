"""The command line as its users call it: a process in a folder of its own, and what it leaves there."""

import contextlib
import csv
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

COMMAND = Path(sys.executable).with_name("steelyard")
ENVIRONMENT = {**{k: v for k, v in os.environ.items() if k != "STEELYARD_DATA"}, "OMP_NUM_THREADS": "1"}
PATIENCE = 300
"""Seconds that a command may take on a busy machine; the longest takes a few alone."""
HEAD = ("a", "b", "colour", "bought")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self, code, *words):
        """See that it printed one message with the way out, on standard error alone, and ended with its number."""
        assert (self.code, self.out) == (code, ""), self.err
        first, *more = self.err.strip().splitlines()
        assert first.startswith("steelyard: ")
        assert all(line.startswith(("  ", "(")) for line in more), self.err  # a list belongs to the sentence above it
        for word in words:
            assert word in self.err
        return self


def call(*words, cwd, **more):
    """Run the command line to its end."""
    done = subprocess.run(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        timeout=PATIENCE,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
    )
    return Ended(done.returncode, done.stdout or "", done.stderr or "")


@contextlib.contextmanager
def begun(*words, cwd):
    """Start the command line; give the process, and files that its output goes to."""
    with (cwd / "out.txt").open("w") as out, (cwd / "err.txt").open("w") as err:
        process = subprocess.Popen([COMMAND, *map(str, words)], cwd=cwd, env=ENVIRONMENT, stdout=out, stderr=err)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def end(process, cwd):
    """Wait for a command begun, and return how it ended."""
    code = process.wait(PATIENCE)
    return Ended(code, (cwd / "out.txt").read_text(), (cwd / "err.txt").read_text())


def wait_until(happened, process=None):
    """Look until something happened; fail if it never does, or if the process ends before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        assert process is None or process.poll() is None, "the command ended before it happened"
        time.sleep(0.01)


def children_of(process):
    """Return the ids of the processes that a process started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell the children of a process")
    return [int(word) for word in children.read_text().split()]


def is_alive(pid):
    """Tell whether a process is still at work."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def rows_of(count=160):
    """Return rows of two numbers, a colour, and whether it was bought."""
    rng = random.Random(0)  # the same rows in every order of tests
    rows = []
    for _ in range(count):
        a, b, colour = rng.gauss(0, 1), rng.gauss(0, 1), rng.choice(["red", "green", "blue"])
        bought = "yes" if a - b + (colour == "red") + rng.gauss(0, 0.7) > 0 else "no"
        rows.append([f"{a:.4f}", f"{b:.4f}", colour, bought])
    return rows


def write_csv(path, rows, head=HEAD):
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([head, *rows])
    return path


def write_spec(folder, data, target="bought", more="budget: {trials: 2}"):
    """Write a spec that lies beside its data."""
    path = folder / "spec.yaml"
    path.write_text(f"data: {data}\ntarget: {target}\n{more}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def cli():
    """The helpers above: test folders are no packages to import from."""
    return SimpleNamespace(
        call=call,
        begun=begun,
        end=end,
        wait_until=wait_until,
        children_of=children_of,
        is_alive=is_alive,
        rows=rows_of,
        write_csv=write_csv,
        write_spec=write_spec,
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder with a finished run in ``run``, its spec and its data; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    write_csv(folder / "good.csv", rows_of())
    done = call("run", write_spec(folder, "good.csv"), "--out", "run", cwd=folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a small file system of its own; only root may."""
    place = tmp_path / "mounted"
    place.mkdir()

    def mount(options):
        again = os.path.ismount(place)
        words = ["-o", f"remount,{options}", place] if again else ["-t", "tmpfs", "-o", options, "none", place]
        if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
            pytest.skip("a file system can only be mounted by root")
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(["umount", "-l", place], check=True)
