"""A run folder is made once, written by one process, and never half-written."""

import os
import subprocess
import sys

import pytest

from steelyard.errors import RunLocked, RunUnreadable, RunUnwritable
from steelyard.search.folder import RunFolder, write_atomically


def test_a_new_folder_is_named_for_the_run_and_never_reused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = RunFolder.create("credit risk/2", None), RunFolder.create("credit risk/2", None)
    assert first.path.parent == tmp_path / "runs"
    assert first.path.name.startswith("credit-risk-2-")
    assert first.path != second.path


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RunUnwritable, match="not empty; name another folder with --out"):
        RunFolder.create("x", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunUnwritable, match="cannot make the run folder"):
        RunFolder.create("x", tmp_path / "file" / "run")


def test_two_processes_cannot_write_one_run(tmp_path):
    folder = RunFolder.create("x", tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from steelyard.search.folder import RunFolder\n"
        "from steelyard.errors import RunLocked\n"
        "try:\n    with RunFolder(Path(sys.argv[1])).locked(): print('in')\n"
        "except RunLocked as e: print('out', e)"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    with folder.locked():
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.startswith("out another process is writing")
        with pytest.raises(RunLocked), RunFolder(folder.path).locked():
            pass
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"


def test_a_folder_without_events_is_not_a_run(tmp_path):
    with pytest.raises(RunUnreadable, match=r"no events\.jsonl"):
        RunFolder.existing(tmp_path)


def test_a_failed_write_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write_atomically(path, "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunUnwritable, match="No space left on device; free some space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
