"""The log of switches: what a reader may rely on whatever happened to the file."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import RunUnwritable, SwitchesDamaged
from steelyard.serve.faults import Fault
from steelyard.serve.releases.roles import Action, Roles, after
from steelyard.serve.releases.switches import LOG, Switch, Switches


def add(log, action, version="", share=0.0, who="test"):
    with log.writing() as write:
        roles = log.roles
        write(
            Switch(
                number=len(log.lines) + 1,
                time=1.5,
                who=who,
                action=action,
                version=version,
                digest="d",
                why="because, ü",
                before=roles,
                after=after(roles, action, version, share),
            )
        )


def write_some(folder):
    """Write three switches; return the bytes after each."""
    log, states = Switches(folder), []
    for action, version in ((Action.PROMOTE, "1"), (Action.CANARY, "2"), (Action.PROMOTE, "2")):
        add(log, action, version, 0.1)
        states.append((folder / LOG).read_bytes())
    return states


def test_what_was_written_is_read_again(tmp_path):
    write_some(tmp_path)
    log = Switches(tmp_path)
    added = log.read()
    assert [line.action for line in added] == ["promote", "canary", "promote"]
    assert log.roles == Roles(stable="2", previous="1")
    assert log.read() == []
    assert not log.has_grown()


def test_a_last_line_that_was_torn_anywhere_never_happened_and_the_next_writer_cuts_it(tmp_path, caplog):
    states = write_some(tmp_path)
    for end in range(len(states[1]) + 1, len(states[2])):
        (tmp_path / LOG).write_bytes(states[2][:end])
        log = Switches(tmp_path)
        log.read()
        assert log.roles == Roles(stable="1", canary="2", share=0.1)
        assert log.has_grown()
    add(log, Action.SHADOW, "3")
    assert "never finished" in caplog.text
    again = Switches(tmp_path)
    again.read()
    assert again.roles == Roles(stable="1", canary="2", share=0.1, shadow="3")
    assert (tmp_path / LOG).read_bytes().startswith(states[1])


@pytest.mark.parametrize("line", [1, 2, 3])
def test_an_edited_line_is_seen_and_named(tmp_path, line):
    lines = write_some(tmp_path)[-1].splitlines(keepends=True)
    data = json.loads(lines[line - 1])
    data["why"] = "another reason"
    lines[line - 1] = json.dumps(data).encode() + b"\n"
    (tmp_path / LOG).write_bytes(b"".join(lines))
    with pytest.raises(SwitchesDamaged, match=f"line {line} of .* is not what was written"):
        Switches(tmp_path).read()


@pytest.mark.parametrize("kept", [[1, 2], [0, 2], [0, 2, 1], [0, 1, 1, 2]])
def test_a_line_that_is_lost_moved_or_repeated_is_seen(tmp_path, kept):
    lines = write_some(tmp_path)[-1].splitlines(keepends=True)
    (tmp_path / LOG).write_bytes(b"".join(lines[place] for place in kept))
    with pytest.raises(SwitchesDamaged, match="is lost"):
        Switches(tmp_path).read()


@pytest.mark.parametrize("line", [b"\n", b"null\n", b"[1]\n", b'{"chain": 1}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_any_other_line_is_refused(tmp_path, line):
    states = write_some(tmp_path)
    (tmp_path / LOG).write_bytes(states[-1] + line)
    with pytest.raises(SwitchesDamaged, match="line 4"):
        Switches(tmp_path).read()


def test_a_log_that_becomes_shorter_or_goes_while_it_is_followed_is_seen(tmp_path):
    states = write_some(tmp_path)
    log = Switches(tmp_path)
    log.read()
    (tmp_path / LOG).write_bytes(states[1])
    assert log.has_grown()
    with pytest.raises(SwitchesDamaged, match="became shorter"):
        log.read()
    (tmp_path / LOG).unlink()
    assert log.has_grown()
    with pytest.raises(SwitchesDamaged, match="is gone"):
        log.read()


def test_a_disk_that_takes_half_a_line_leaves_the_log_as_it_was(tmp_path):
    states = write_some(tmp_path)
    log = Switches(tmp_path)
    log.read()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(states[-1]) + 100, limits[1]))
    try:
        with pytest.raises(RunUnwritable, match=r"free some space"):
            add(log, Action.ROLLBACK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (tmp_path / LOG).read_bytes() == states[-1]
    assert log.roles.stable == "2"
    add(log, Action.ROLLBACK)
    assert log.roles.stable == "1"


def test_a_reader_waits_for_a_line_to_be_on_the_disk(tmp_path, monkeypatch):
    write_some(tmp_path)
    log, reader = Switches(tmp_path), Switches(tmp_path)
    reader.read()
    seen, flush = [], os.fsync

    def fsync(number):
        seen.append((reader.has_grown(), reader.read(), reader.roles.stable))
        flush(number)

    monkeypatch.setattr(os, "fsync", fsync)
    add(log, Action.ROLLBACK)
    assert seen == [(True, [], "2")]
    reader.read()
    assert reader.roles.stable == "1"


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_switches import add
from steelyard.serve.releases.switches import Switches
log = Switches(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    add(log, "shadow", f"{sys.argv[3]}-{number}", who=sys.argv[3])
"""


def test_two_processes_add_to_one_log_without_losing_a_line(tmp_path):
    write_some(tmp_path)
    here = str(Path(__file__).parent)
    words = [sys.executable, "-c", WRITER, str(tmp_path), here]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*words, name], **pipes) for name in "ab"]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [(writer.communicate(timeout=60), writer.returncode)[1] for writer in writers] == [0, 0]
    log = Switches(tmp_path)
    log.read()
    assert len(log.lines) == 203
    for name in "ab":
        assert [line.version for line in log.lines if line.who == name] == [f"{name}-{n}" for n in range(100)]


ORDERS = st.tuples(st.sampled_from(list(Action)), st.sampled_from("1234"))


@given(st.lists(ORDERS, max_size=12))
def test_whatever_is_switched_one_version_answers_and_nobody_is_two_things_that_exclude_each_other(orders):
    roles = after(Roles(), Action.PROMOTE, "1")
    for action, version in orders:
        try:
            new = after(roles, action, "" if action is Action.ROLLBACK else version, 0.5)
        except Fault:
            continue
        assert new.stable
        assert new.stable not in {new.previous, new.canary, new.shadow}
        assert not new.canary or new.canary != new.shadow
        assert bool(new.canary) == (new.share > 0)
        if action is Action.ROLLBACK:
            assert (new.stable, new.previous) == (roles.previous, "")
        if action is Action.PROMOTE:
            assert (new.stable, new.previous) == (version, roles.stable)
        roles = new
