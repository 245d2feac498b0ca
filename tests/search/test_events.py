"""The record of a run survives whatever happens to the process that writes it."""

import json
import os

import pytest

from steelyard.errors import RunUnreadable, RunUnwritable
from steelyard.search.events import EventLog, read_events


def written(tmp_path, count=3):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for number in range(count):
        log.append("note", number / 2, {"sentence": f"第 {number} 号 €"})
    log.close()
    return path


def test_what_was_appended_is_read_back_in_order(tmp_path):
    events, size = read_events(written(tmp_path))
    assert [e.number for e in events] == [0, 1, 2]
    assert events[2].facts == {"sentence": "第 2 号 €"}
    assert events[2].elapsed == 1.0
    assert size == (tmp_path / "events.jsonl").stat().st_size


@pytest.mark.parametrize("cut", [1, 2, 9, 20])
def test_a_torn_last_line_is_dropped_and_the_next_event_takes_its_place(tmp_path, cut):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    log = EventLog(path)
    assert len(log.events) == 2
    log.append("note", 9.0, {"sentence": "again"})
    log.close()
    events, _ = read_events(path)
    assert [e.facts["sentence"] for e in events][-1] == "again"
    assert [e.number for e in events] == [0, 1, 2]


def test_every_possible_cut_leaves_a_prefix(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    lines = [json.loads(line.partition(b" ")[2])["facts"] for line in whole.splitlines()]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        events, size = read_events(path)
        assert [dict(e.facts) for e in events] == lines[: len(events)]
        assert len(events) == whole[:cut].count(b"\n")
        assert size <= cut


def test_damage_before_the_last_line_is_refused_with_its_line(tmp_path):
    path = written(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[15] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(RunUnreadable, match=r"damaged at line 1; restore the file from a copy, or start a new run"):
        read_events(path)


def test_a_missing_line_is_noticed(tmp_path):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2] + lines[2])
    with pytest.raises(RunUnreadable, match="line 2"):
        read_events(path)


def test_a_full_disk_leaves_the_events_before_it(tmp_path, monkeypatch):
    path = written(tmp_path)
    log = EventLog(path)
    real = os.write

    def full(handle, data):
        return real(handle, data[:10]) if handle == log._file else real(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RunUnwritable, match=r"No space left on device.*--resume"):
        log.append("note", 5.0, {"sentence": "too much"})
    monkeypatch.undo()
    log.append("note", 6.0, {"sentence": "fits"})
    log.close()
    assert [e.facts["sentence"] for e in read_events(path)[0]][-1] == "fits"


def test_no_run_there_is_one_sentence(tmp_path):
    with pytest.raises(RunUnreadable, match="is not a run folder"):
        read_events(tmp_path / "events.jsonl")


def test_an_interrupt_while_an_event_is_written_leaves_it_written_and_counted(tmp_path, monkeypatch):
    import signal

    # Anew, because Polars puts a handler of its own in front, which holds back what it takes for its queries'.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    path = written(tmp_path)
    log = EventLog(path)
    real = os.fsync

    def interrupted(handle):
        signal.raise_signal(signal.SIGINT)
        real(handle)

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        log.append("note", 5.0, {"sentence": "in between"})
    monkeypatch.undo()
    log.append("note", 6.0, {"sentence": "after"})
    log.close()
    assert [e.facts["sentence"] for e in read_events(path)[0]][-2:] == ["in between", "after"]
