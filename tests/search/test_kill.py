"""A run that is killed at any instant and resumed ends as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.search.events import read_events

KILLS = 30
SEED = 20261122
LONGEST = 6.0
"""Seconds after which a process is killed at the latest; starting alone takes up to two."""


def start(*words):
    command = [Path(sys.executable).with_name("steelyard"), "run", *map(str, words), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def finish(process, limit=240):
    _, said = process.communicate(timeout=limit)
    assert process.returncode == 0, said.decode()


def killed(process, after):
    """Kill a process after a while; return whether it was still alive by then."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    process.communicate()
    return False


def story(folder):
    """What must not depend on interruptions: recipes, scores and endings; and the figures on test of what ships.

    Which of several equals ships does depend on their latencies, which no two runs measure alike.
    """
    report = json.loads((folder / "report.json").read_text())
    trials = [(t["number"], t["recipe"], t["ending"], t["validation"]) for t in report["trials"]]
    return trials, {report["decision"]["recipe"]: report["decision"]["test"]}


@pytest.fixture
def spec(tmp_path, frame):
    rows = zip(*frame.values(), strict=True)
    lines = [",".join(frame), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "spec.yaml").write_text(
        "name: killed\ndata: data.csv\ntarget: bought\nbudget: {trials: 9}\nworkers: 1\nthreads: 1\nseed: 3\n"
        "learners: {only: [constant, linear, lightgbm]}\n"  # quick ones: the run is made again after every kill
    )
    return tmp_path / "spec.yaml"


@pytest.mark.slow
def test_thirty_kills_change_nothing(spec, tmp_path):
    finish(start(spec, "--out", tmp_path / "whole"))
    expected, tested = story(tmp_path / "whole")
    draw, kills, chain = random.Random(SEED), 0, 0
    moments = []
    while kills < KILLS:
        folder, chain = tmp_path / f"chain-{chain}", chain + 1
        words = (spec, "--out", folder)
        while killed(start(*words), after := draw.uniform(0.2, LONGEST)):
            kills += 1
            moments.append(round(after, 2))
            if (folder / "events.jsonl").exists() and (folder / "events.jsonl").stat().st_size:
                words = ("--resume", folder)
            else:  # killed before there was anything to resume
                subprocess.run(["rm", "-rf", str(folder)], check=True)
        finish(start("--resume", folder))
        trials, shipped = story(folder)
        assert trials == expected, f"after kills at {moments}"
        for recipe, test in shipped.items():
            assert tested.setdefault(recipe, test) == test, f"after kills at {moments}"
        events, _ = read_events(folder / "events.jsonl")
        ended = [e.facts["trial"]["number"] for e in events if e.kind == "ended"]
        assert sorted(ended) == sorted(set(ended)), "a trial was told twice"
        assert not list((folder / "bundles").glob(".*")), "something half-written was left"
    assert kills >= KILLS


@pytest.mark.slow
def test_ctrl_c_at_any_moment_decides_and_the_run_goes_on_to_the_same_trials(spec, tmp_path):
    finish(start(spec, "--out", tmp_path / "whole"))
    expected, _ = story(tmp_path / "whole")
    draw, codes = random.Random(SEED), set()
    for number in range(8):
        folder = tmp_path / f"run-{number}"
        process = start(spec, "--out", folder)
        time.sleep(draw.uniform(1.0, LONGEST))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        codes.add(process.returncode)
        assert process.returncode in {0, 22}, said.decode()
        assert b"Traceback" not in said, said.decode()
        if not (folder / "data.json").exists():
            assert not folder.exists(), "a run without data was left behind"
            continue
        if process.returncode == 22 and (folder / "report.json").exists():
            assert json.loads((folder / "report.json").read_text())["decision"]["bundle"]
        process = start("--resume", folder)
        finish(process)
        assert story(folder)[0] == expected
    assert 22 in codes


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_run(spec, tmp_path):
    process = start(spec, "--out", tmp_path / "run")
    while not list((tmp_path / "run").glob("bundles/*")):
        time.sleep(0.05)
    children = [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert children
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end, "a worker outlived its run"
        time.sleep(0.05)
