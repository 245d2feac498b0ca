"""A bundle is complete or absent."""

import errno
import json
import os
import subprocess
import sys

import pytest

from steelyard.bundle import About, disk, load, sweep, write
from steelyard.bundle.manifest import signature_of
from steelyard.contracts import Artefact, Feed
from steelyard.errors import BundleRefused, Exit, RunUnwritable


def test_an_existing_folder_is_never_changed(make, tmp_path):
    folder = make.write(tmp_path / "b")
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(RunUnwritable, match="exists already"):
        make.write(folder)
    assert (folder / "manifest.json").read_bytes() == before


def test_an_empty_folder_and_a_dangling_link_count_as_existing(make, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("empty", "link"):
        with pytest.raises(RunUnwritable, match="exists already"):
            make.write(tmp_path / name)


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir", "write"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_nothing_behind(call, number, make, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    home = tmp_path / "runs"
    home.mkdir()
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    elif call == "write":
        monkeypatch.setattr(disk, "_fill", refuse)
    else:
        monkeypatch.setattr(disk.Path, call, refuse)
    with pytest.raises(RunUnwritable) as caught:
        make.write(home / "b")
    assert os.strerror(number) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code is Exit.RUN_UNWRITABLE
    assert list(home.iterdir()) == []


def test_a_disk_that_fills_up_half_way_leaves_nothing_behind(make, tmp_path, monkeypatch):
    flush, calls = os.fsync, iter(range(100))

    def fills_up(number):
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(number)

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(RunUnwritable, match="No space left on device; free some space"):
        make.write(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing_behind(make, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make.write(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_that_was_faster_is_not_overwritten(make, tmp_path, monkeypatch):
    fill = disk._fill

    def slow(aside, files):
        fill(aside, files)
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "theirs").write_text("x")

    monkeypatch.setattr(disk, "_fill", slow)
    with pytest.raises(RunUnwritable, match="exists already"):
        make.write(tmp_path / "b")
    assert [p.name for p in tmp_path.rglob("*")] == ["b", "theirs"]


KILLED = """
import os, pathlib, signal, sys
from steelyard.bundle import disk
at, calls, flush = int(sys.argv[2]), iter(range(100)), os.fsync
def fsync(number):
    if next(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(number)
os.fsync = fsync
disk.write(pathlib.Path(sys.argv[1]), {"a": b"1", "files/b": b"2"})
"""


@pytest.mark.parametrize("at", [1, 3])
def test_a_writer_that_is_killed_leaves_no_bundle_and_what_it_left_is_swept(at, make, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "b", str(at)], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "b").exists()
    assert len(sweep(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []
    load(make.write(tmp_path / "b"))


def test_parents_are_made_and_files_are_plain(make, tmp_path):
    folder = make.write(tmp_path / "deep" / "er" / "b", make.mixed())
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert names == ["card.md", "files/words.json", "manifest.json", "manifest.sha256", "model.onnx"]


def test_the_seal_is_what_sha256sum_reads(make, tmp_path):
    folder = make.write(tmp_path / "b")
    subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=folder, check=True)


def test_the_size_is_that_of_every_file(folder, bundle):
    assert bundle.size_bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["../escape.json", "/tmp/x", "a//b", ""])
def test_a_file_of_a_front_end_cannot_leave_the_bundle(name, make, tmp_path):
    mixed = make.mixed()
    with pytest.raises(BundleRefused, match="leaves the bundle"):
        make.write(tmp_path / "b", Artefact(mixed.graph, mixed.feeds, {**mixed.files, name: b""}))
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_could_not_be_loaded_is_not_written(make, tmp_path):
    feeds = (Feed("numbers", ("x",), ("agee",)),)
    with pytest.raises(BundleRefused, match="'agee'"):
        make.write(tmp_path / "b", Artefact(make.artefact().graph, feeds))
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_says_what_was_asked(make, tmp_path):
    folder = tmp_path / "b"
    write(folder, make.mixed(), make.about(rounds=12, protocol="5-fold"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["extra"] == {"rounds": 12, "protocol": "5-fold"}
    assert [value["name"] for value in manifest["signature"]["inputs"]] == ["age", "when", "city", "note"]
    assert [value["name"] for value in manifest["signature"]["outputs"]] == [
        "prediction",
        "probability_no",
        "probability_yes",
    ]
    assert manifest["recipe"]["train"] == "linear"
    assert set(manifest["versions"]) == {"python", "steelyard", "onnxruntime", "numpy", "pillow"}


def test_a_model_that_reads_nothing_asks_for_the_whole_table(make, tmp_path):
    bundle = load(make.write(tmp_path / "b", make.artefact(columns=())))
    assert [column.name for column in bundle.reads.features] == ["age", "when", "city", "note", "photo", "unused"]
    row = {"age": 1, "when": 2, "city": "a", "note": "", "photo": None, "unused": 0}
    assert len(bundle.predict([row, row])) == 2
    assert bundle.answer_row(row).scores.tolist() == bundle.answer_rows(row).scores.tolist()


def test_signature_and_manifest_survive_odd_names(make, tmp_path):
    from steelyard.contracts import Column, Kind, Problem, Schema, Task
    from steelyard.recipe import Train

    name = 'a | "b"\n\ud800 客'
    task = Task(problem=Problem.BINARY, target=name, aim="f1", classes=("\ud800", "客"))
    about = About(task, Schema((Column(name=name, kind=Kind.NUMBER),)), Train(learner="linear"), "f")
    write(tmp_path / "b", make.artefact(columns=(name,)), about)
    bundle = load(tmp_path / "b")
    assert bundle.task == task
    assert bundle.predict({name: [1.0]})[0] in task.classes
    assert signature_of(task, about.schema.columns) == bundle.manifest.signature


def test_a_schema_survives_with_prices_and_without_ranges(make, tmp_path):
    from steelyard.contracts import Column, Kind, Schema
    from steelyard.recipe import Train
    from steelyard.units import Money

    age = Column(name="age", kind=Kind.NUMBER, low=float("nan"), high=float("inf"), price=Money.parse("0.10 EUR"))
    write(tmp_path / "b", make.artefact(), About(make.task, Schema((age,)), Train(learner="linear"), "f"))
    (read,) = load(tmp_path / "b").schema.columns
    assert (read.price, read.low, read.high) == (age.price, None, None)


def test_joined_members_of_another_task_are_refused(make, ready, tmp_path):
    with pytest.raises(BundleRefused, match="join bundles of one task only"):
        make.joined(tmp_path / "b", {"rule": "blend", "weights": [1, 1]}, ready["numbers"], ready["regression"])


def test_a_damaged_member_is_not_joined(make, copy, tmp_path):
    member = copy("numbers")
    (member / "card.md").write_text("x")
    with pytest.raises(BundleRefused, match=r"card\.md"):
        make.joined(tmp_path / "b", {"rule": "blend", "weights": [1]}, member)


def test_a_joined_bundle_needs_nothing_outside_itself(make, copy, tmp_path):
    member = copy("numbers")
    folder = make.joined(tmp_path / "b", {"rule": "threshold", "positive": 1, "at": 0.5}, member)
    before = load(folder).predict({"age": [1, 80]}).tolist()
    (member / "model.onnx").unlink()
    assert load(folder).predict({"age": [1, 80]}).tolist() == before
