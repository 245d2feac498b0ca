"""A real cluster of two nodes: both do the work, what one loses the other goes on with, and a run ends with a decision.

The nodes are real Ray nodes with addresses of their own (127.0.0.2 and 127.0.0.3) in process groups of their own, so
that killing a group is what losing a machine is.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from steelyard.search.events import read_events
from steelyard.testing.shifts import alive

BIN = Path(sys.executable).parent
TOKEN = "of-these-tests-" + "x" * 24
PORT = 26379
ADDRESS = f"127.0.0.2:{PORT}"
LONGEST = 240.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BIN / "ray").exists(), reason="the extra `ray` is not installed"),
]


class Node:
    """One node of a cluster: everything that it starts is of one process group."""

    def __init__(self, folder, name, *words, environment):
        self.log = folder / f"{name}.log"
        command = [BIN / "ray", "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *words]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_for(lambda: "Ray runtime started" in self.log.read_text(), f"{name} did not start", self.log)

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def jobs(self):
        """Return the processes of jobs on this node: children of workers of pools of its actors."""
        return [pid for pid in family(self.process.pid) if "steelyard.search.worker" in words_of(parent_of(pid))]


class Cluster:
    def __init__(self, folder, environment):
        self.folder, self.environment, self.nodes = folder, environment, 0
        head = ["--head", f"--port={PORT}", "--node-ip-address=127.0.0.2", "--include-dashboard=false"]
        self.head = Node(
            folder, "head", *head, f"--temp-dir={folder}/r", "--disable-usage-stats", environment=environment
        )
        self.second = None

    def add(self):
        self.nodes += 1
        words = [
            f"--address={ADDRESS}",
            "--node-ip-address=127.0.0.3",
            f"--dashboard-agent-listen-port={52400 + self.nodes}",
        ]
        self.second = Node(self.folder, f"second-{self.nodes}", *words, environment=self.environment)
        return self.second

    def stop(self):
        for node in (self.second, self.head):
            if node is not None:
                node.kill()


def wait_for(held, what, log=None, limit=LONGEST):
    end = time.monotonic() + limit
    while not held():
        assert time.monotonic() < end, f"{what}\n{log.read_text()[-2000:] if log else ''}"
        time.sleep(0.05)


def family(pid):
    """Yield a process and its descendants."""
    yield pid
    try:
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def words_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    given = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "HOME": str(home)}
    return {**given, **quiet, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


@pytest.fixture(scope="module")
def cluster(environment):
    folder = Path(
        subprocess.run(["mktemp", "-d", "/tmp/syc-XXXXXX"], capture_output=True, text=True, check=True).stdout[:-1]
    )
    made = Cluster(folder, environment)
    try:
        made.add()
        yield made
    finally:
        made.stop()
        wait_for(
            lambda: not any(str(folder) in words_of(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()),
            "a process of the cluster is left",
        )
        subprocess.run(["rm", "-rf", folder], check=True)


@pytest.fixture
def two(cluster):
    """The cluster with both its nodes."""
    if cluster.second is None or cluster.second.process.poll() is not None:
        cluster.add()
    return cluster


LOSSES = dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from steelyard.search.remote import RayExecutor
    from steelyard.testing.executors import MEMORY, begin, end
    from steelyard.testing.shifts import ended, gone, outcome_of
    from steelyard.units import Seconds

    def parent(pid):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    def two_at_work():
        limit = time.monotonic() + 120
        while shift.executor.slots < 2:
            assert time.monotonic() < limit, "the second actor did not come back"
            shift.executor.wait(Seconds(0.2))
        jobs = [shift.submit(shift.job("deed-hang")) for _ in range(2)]
        shift.until(lambda: all(map(shift.processes, jobs)), "not both began")
        return jobs

    def back(jobs):
        found = []
        while len(found) < len(jobs):
            found += shift.executor.wait(Seconds(0.5)).finished
        return {finished.job.number: finished for finished in found}

    if __name__ == "__main__":
        folder, second, address = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        made = RayExecutor(2, log=folder / "log", threads=1, memory_bytes=MEMORY, address=address, silence=3.0)
        shift = begin(made, folder / "store", patience=3.0)
        try:
            shift.goes_on()
            # An actor is killed, then one stands still: its job is lost, the other's goes on.
            for deed in (signal.SIGKILL, signal.SIGSTOP):
                first, other = two_at_work()
                process, worker = shift.processes(first)[0]
                os.kill(parent(worker), deed)
                ended(shift.back(first, 30.0), "lost")
                assert gone((process, worker)), "what the actor had started outlives it"
                made.cancel()
                ended(shift.back(other, 30.0), "cancelled")
                shift.goes_on()
            # A job on each node, the second node goes: one job is lost, the other is not.
            jobs = two_at_work()
            os.killpg(second, signal.SIGKILL)
            lost = shift.executor.wait(Seconds(60.0)).finished
            assert [finished.cause for finished in lost] == ["lost"], lost
            made.cancel()
            (kept,) = [job for job in jobs if job is not lost[0].job]
            ended(shift.back(kept, 30.0), "cancelled")
            for _ in range(3):
                shift.goes_on()
            print("as promised")
        finally:
            end(shift)
    """
)


def test_jobs_of_lost_actors_and_of_a_lost_node_come_back_and_the_rest_goes_on(two, environment, tmp_path):
    (tmp_path / "losses.py").write_text(LOSSES)
    words = [sys.executable, tmp_path / "losses.py", tmp_path, str(two.second.process.pid), ADDRESS]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST)
    assert "as promised" in done.stdout, done.stderr[-3000:]


def test_a_wrong_token_is_refused_in_a_sentence(two, environment, spec, tmp_path):
    done = command(spec, tmp_path / "run", {**environment, "RAY_AUTH_TOKEN": "another-" + "y" * 30}).wait()
    assert done not in {0, 1}
    assert "the same token" in (tmp_path / "run.said").read_text()


# ------------------------------------------------------------------------------------------------ whole runs


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "spec.yaml").write_text(
        "name: two-nodes\ndata: sklearn:breast_cancer\ntarget: diagnosis\nquality: {metric: roc_auc}\n"
        "budget: {trials: 6, minutes: 4}\nlearners: {only: [constant, linear, lightgbm]}\nworkers: 2\nthreads: 1\n"
        f"compute: {{executor: ray, address: '{ADDRESS}'}}\n"
    )
    return tmp_path / "spec.yaml"


def command(spec, out, environment, *words):
    asked = words or (spec, "--out", out)
    with Path(f"{out}.said").open("a") as said:
        return subprocess.Popen([BIN / "steelyard", "run", *map(str, asked)], stdout=said, stderr=said, env=environment)


def measured(out):
    events, _ = read_events(out / "events.jsonl")
    return [e.facts["trial"]["ending"] for e in events if e.kind == "ended"]


def both_at_work(two, process):
    seen = set()

    def looked():
        assert process.poll() is None, "the run ended before both nodes had worked"
        seen.update(node for node in (two.head, two.second) if node.jobs())
        return len(seen) == 2 and two.second.jobs()

    return looked


def test_a_run_on_two_nodes_ends_with_a_decision_although_one_is_killed(two, environment, spec, tmp_path):
    out = tmp_path / "run"
    process = command(spec, out, environment)
    wait_for(both_at_work(two, process), "both nodes did not work", Path(f"{out}.said"))
    two.second.kill()
    assert process.wait(LONGEST) == 0, Path(f"{out}.said").read_text()[-2000:]
    report = json.loads((out / "report.json").read_text())
    assert report["decision"]["bundle"]
    assert measured(out).count("MEASURED") >= 3
    assert not list((out / "bundles").glob(".*")), "something half-written was left"


def test_a_driver_that_is_killed_leaves_no_work_behind_and_the_run_goes_on_with_resume(
    two, environment, spec, tmp_path
):
    out = tmp_path / "run"
    process = command(spec, out, environment)
    wait_for(both_at_work(two, process), "both nodes did not work", Path(f"{out}.said"))
    at_work = [*two.head.jobs(), *two.second.jobs(), *family(process.pid)]
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(alive, at_work)), "a process outlives the driver", limit=60.0)
    before = measured(out)
    assert command(spec, out, environment, "--resume", out).wait(LONGEST) == 0
    assert measured(out)[: len(before)] == before
    events, _ = read_events(out / "events.jsonl")
    started = {e.facts["number"] for e in events if e.kind == "started"}
    assert started == {e.facts["trial"]["number"] for e in events if e.kind == "ended"}, "what was under way was lost"
