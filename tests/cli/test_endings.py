"""Runs that are stopped, shut out or run out of room: nothing is lost, doubled or half-written."""

import json
import os
import resource
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from steelyard.cli.words import the_api

FULL = Path("/dev/full")
INTERRUPTED, LOCKED, UNWRITABLE, UNREADABLE = 22, 30, 31, 32


@pytest.fixture
def folder(cli, tmp_path):
    cli.write_csv(tmp_path / "good.csv", cli.rows())
    cli.write_spec(tmp_path, "good.csv")
    return tmp_path


def half_written(run):
    """Return what lies in a run that somebody was writing when it ended."""
    known = {".clock", ".lock"}
    return [p.name for place in (run, run / "bundles") for p in place.glob(".*") if p.name not in known]


@pytest.fixture(scope="module")
def stopped(cli, tmp_path_factory):
    """A run that others tried to write meanwhile, and that Ctrl-C stopped after its first trial."""
    folder = tmp_path_factory.mktemp("stopped")
    cli.write_csv(folder / "good.csv", cli.rows())
    cli.write_spec(folder, "good.csv", more="budget: {trials: 50}")
    with cli.begun("run", "spec.yaml", "--out", "run", "--json", cwd=folder) as process:
        cli.wait_until(lambda: '"kind":"ended"' in events(folder / "run"), process)
        workers = cli.children_of(process)
        resumed = cli.call("run", "--resume", "run", cwd=folder)
        begun_again = cli.call("run", "spec.yaml", "--out", "run", cwd=folder)
        process.send_signal(signal.SIGINT)
        ended = cli.end(process, folder)
    return SimpleNamespace(
        folder=folder, ended=ended, resumed=resumed, begun_again=begun_again, workers=workers, run=folder / "run"
    )


def events(run):
    try:
        return (run / "events.jsonl").read_text()
    except FileNotFoundError:
        return ""


def test_two_processes_cannot_write_one_run(stopped):
    stopped.resumed.refused(LOCKED, "another process is writing", "wait for it, stop it, or start a new run")
    stopped.begun_again.refused(UNWRITABLE, "run is not empty; name another folder with --out")


def test_ctrl_c_in_the_search_ends_with_a_decision_on_what_was_measured(cli, stopped):
    assert stopped.ended.code == INTERRUPTED
    assert "Traceback" not in stopped.ended.err
    report = json.loads(stopped.ended.out)
    assert report["decision"]["number"] in {trial["number"] for trial in report["trials"]}
    assert not half_written(stopped.run)
    assert cli.call("predict", stopped.run, "good.csv", cwd=stopped.folder).out.count("\n") == 161


def test_ctrl_c_leaves_no_process_behind(cli, stopped):
    assert stopped.workers
    cli.wait_until(lambda: not any(map(cli.is_alive, stopped.workers)))


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_before_the_data_is_read_leaves_nothing(cli, folder, how):
    head, *lines = (folder / "good.csv").read_bytes().splitlines(keepends=True)
    (folder / "good.csv").write_bytes(head + b"".join(lines) * 16_000)  # takes seconds, however late the signal is sent
    with cli.begun("run", "spec.yaml", "--out", "run", cwd=folder) as process:
        cli.wait_until((folder / "run" / "events.jsonl").exists, process)
        process.send_signal(how)
        cli.end(process, folder).refused(INTERRUPTED, "stopped by Ctrl-C; nothing is half-written", "--resume FOLDER")
    assert not (folder / "run").exists()


@pytest.mark.slow
def test_a_killed_run_takes_its_workers_with_it_and_goes_on(cli, folder):
    with cli.begun("run", "spec.yaml", "--out", "run", cwd=folder) as process:
        cli.wait_until(lambda: '"kind":"started"' in events(folder / "run"), process)
        workers = cli.children_of(process)
        process.kill()
    assert workers
    cli.wait_until(lambda: not any(map(cli.is_alive, workers)))
    assert cli.call("run", "--resume", "run", cwd=folder).code == 0
    assert not half_written(folder / "run")


def test_a_disk_that_is_full_from_the_start_leaves_nothing(cli, folder):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))

    ended = cli.call("run", "spec.yaml", "--out", "run", cwd=folder, preexec_fn=limit)
    ended.refused(UNWRITABLE, "run cannot be written: File too large; free space there, or choose another folder")
    assert not (folder / "run").exists()


def test_a_disk_that_fills_up_in_the_search_loses_nothing(cli, folder):
    run = folder / "run"
    with cli.begun("run", "spec.yaml", "--out", "run", cwd=folder) as process:
        cli.wait_until(lambda: '"kind":"started"' in events(run), process)
        size = (run / "events.jsonl").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        ended = cli.end(process, folder)
    assert (ended.code, ended.out) == (UNWRITABLE, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("steelyard: cannot write")
    assert "File too large; free some space, then go on with `steelyard run --resume`" in last
    assert not half_written(run)
    resumed = cli.call("run", "--resume", "run", "--json", cwd=folder)
    assert [trial["number"] for trial in json.loads(resumed.out)["trials"]] == [0, 1]


@pytest.mark.slow
def test_a_full_disk_met_by_a_worker_stops_the_run_with_the_way_out(cli, folder, mounted):
    place = mounted("size=60k")
    ended = cli.call("run", "spec.yaml", "--out", place / "run", cwd=folder)
    assert (ended.code, ended.out) == (UNWRITABLE, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"steelyard: cannot write {place / 'run' / 'bundles'}: No space left on device")
    assert f"go on with `steelyard run --resume {place / 'run'}`" in last
    assert not half_written(place / "run")
    mounted("size=50m")
    assert cli.call("run", "--resume", place / "run", cwd=folder).code == 0


def test_a_read_only_folder_is_refused_to_writers_and_shown_to_readers(cli, finished, tmp_path, mounted):
    place = mounted("size=50m")
    shutil.copytree(finished / "run", place / "run")
    mounted("ro")
    for words, way_out in (
        (("run", finished / "spec.yaml", "--out", place / "new"), "name a writable one with --out"),
        (("run", "--resume", place / "run"), "make the folder writable, or start a new run with --out"),
        (("report", place / "run"), "make it writable"),
        (("predict", place / "run", finished / "good.csv", "-o", place / "out.csv"), "name another file with -o"),
    ):
        cli.call(*words, cwd=tmp_path).refused(UNWRITABLE, "Read-only file system", way_out)
    assert cli.call("show", place / "run", cwd=tmp_path).code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; see the read-only file system above")
def test_a_folder_without_permission_is_refused(cli, finished, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    cli.call("run", finished / "spec.yaml", "--out", "closed/run", cwd=tmp_path).refused(
        UNWRITABLE, "Permission denied"
    )


def test_a_run_is_only_resumed_by_the_spec_it_was_begun_with(cli, finished, tmp_path):
    cli.write_csv(tmp_path / "good.csv", cli.rows())
    other = cli.write_spec(tmp_path, "good.csv", more="budget: {trials: 3}")
    before = events(finished / "run")
    ended = cli.call("run", other, "--resume", finished / "run", cwd=tmp_path)
    ended.refused(UNREADABLE, "the spec is not the one that", "start a new run for it with --out")
    assert events(finished / "run") == before


def test_a_damaged_run_is_named_with_the_file_and_the_way_out(cli, finished, tmp_path):
    run = shutil.copytree(finished / "run", tmp_path / "run")
    (run / "spec.yaml").unlink()
    for words in (("show", run), ("run", "--resume", run)):
        cli.call(*words, cwd=tmp_path).refused(
            UNREADABLE, "spec.yaml is missing or damaged; put the spec of the run back"
        )
    content = bytearray((run / "events.jsonl").read_bytes())
    content[200] ^= 1
    (run / "events.jsonl").write_bytes(content)
    cli.call("show", run, cwd=tmp_path).refused(UNREADABLE, "events.jsonl is damaged at line 1", "restore the file")


def test_nobody_who_reads_the_output_is_no_error(cli, finished, tmp_path):
    for words in (("show", "run"), ("show", "run", "--json"), ("run", "--resume", "run"), ("--help",)):
        read, write = os.pipe()
        os.close(read)
        ended = cli.call(*words, cwd=finished, stdout=write)
        os.close(write)
        assert (ended.code, ended.err) == (0, ""), words


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_standard_output_is_said(cli, finished):
    for words in (("show", "run"), ("predict", "run", "good.csv")):
        with FULL.open("w") as full:
            ended = cli.call(*words, cwd=finished, stdout=full)
        ended.refused(UNWRITABLE, "cannot write standard output: No space left on device; free some space")


def test_ctrl_c_in_an_import_waits_for_its_end(monkeypatch):
    done = []

    def load(name):
        signal.raise_signal(signal.SIGINT)
        done.append(name)

    monkeypatch.setattr("importlib.import_module", load)
    with pytest.raises(KeyboardInterrupt):
        the_api()
    assert done == ["steelyard.api"]
