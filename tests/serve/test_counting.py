"""Counters that several processes write and anyone reads: exact, never falling, whoever is killed in between."""

import os
import signal
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from steelyard.serve.counting import Board, Counter, Kind, Series
from steelyard.serve.faults import Fault
from steelyard.serve.metrics import Metrics, ModelMetrics

ROWS = Series("rows_total", Kind.COUNTER, "Rows.", 'model="m"')


def in_child(board, place, work):
    """Run some work in a process of its own, as a worker would."""
    pid = os.fork()
    if not pid:
        try:
            board.regions[place].own(os.getpid())
            work(Metrics(board, board.regions[place]))
        finally:
            os._exit(0)
    return pid


def count(metrics):
    """Count once what a worker counts."""
    metrics.ended("predict", 200, "", 0.002)
    model = ModelMetrics(metrics, "m", "1")
    model.rows.add(3)
    model.waiting.set(5)
    model.last.set(float(metrics.region.pid))
    model.batch_rows.observe(3)
    metrics.region.connections = 2


def samples(metrics):
    families = text_string_to_metric_families(metrics.text())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_whatever_processes_count_is_added_up():
    board = Board(4)
    for place in (1, 2, 3):
        os.waitpid(in_child(board, place, count), 0)
    told = samples(Metrics(board))
    assert told["steelyard_rows_total", "1", "m"] == 9
    assert told["steelyard_queue_rows", "1", "m"] == 15
    assert told["steelyard_batch_rows_sum", "1", "m"] == 9
    assert told["steelyard_batch_rows_bucket", "1", "4", "m"] == 3
    assert told["steelyard_batch_rows_bucket", "1", "2", "m"] == 0
    assert told["steelyard_connections",] == 6
    assert told["steelyard_last_batch_timestamp_seconds", "1", "m"] == max(r.pid for r in board.regions[1:])


def test_what_an_ended_process_counted_stays_and_its_gauges_go():
    board = Board(3)
    for _ in range(5):
        os.waitpid(in_child(board, 1, count), 0)
        latest = board.regions[1].pid
        with board.changing():
            board.fold(board.regions[1])
    told = samples(Metrics(board))
    assert told["steelyard_rows_total", "1", "m"] == 15
    assert told["steelyard_requests_total", "200", "predict"] == 5
    assert told["steelyard_request_seconds_count", "predict"] == 5
    assert ("steelyard_queue_rows", "1", "m") not in told
    assert told["steelyard_connections",] == 0
    assert told["steelyard_last_batch_timestamp_seconds", "1", "m"] >= latest


def test_no_reader_ever_sees_a_counter_fall_while_processes_come_and_go():
    board = Board(3)
    reading = os.fork()
    if not reading:
        last, code = 0.0, 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            now = board.read().of(ROWS)[0]
            code |= now < last
            last = now
        os._exit(code)
    rounds, end = 0, time.monotonic() + 1.2
    while time.monotonic() < end:
        pid = in_child(board, 1, lambda metrics: Counter(ROWS, metrics.region.cells(ROWS)).add(7))
        os.waitpid(pid, 0)
        with board.changing():
            board.fold(board.regions[1])
        rounds += 1
    assert os.waitstatus_to_exitcode(os.waitpid(reading, 0)[1]) == 0
    assert board.read().of(ROWS) == [7 * rounds]


def test_a_process_that_is_killed_while_it_counts_leaves_whole_numbers():
    board = Board(2)

    def work(metrics):
        counter = Counter(ROWS, metrics.region.cells(ROWS))
        for place in range(10**9):
            counter.add()
            metrics.counter("more_total", "More.", place=place % 500).add()

    pid = in_child(board, 1, work)
    while board.read().of(ROWS)[0] < 1000:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    before = board.read().of(ROWS)[0]
    with board.changing():
        board.fold(board.regions[1])
    assert board.read().of(ROWS) == [before]
    assert before.is_integer()


def test_a_region_that_is_full_counts_on_for_itself(monkeypatch):
    monkeypatch.setattr("steelyard.serve.counting._REGION_BYTES", 2**14)
    metrics = Metrics()
    metrics.ended("predict", 200, "", 0.1)
    for place in range(200):
        metrics.counter("many_total", "Many.", place=place).add()
    late = metrics.counter("late_total", "Late.")
    late.add(4)
    assert late.value == 4
    metrics.ended("predict", 200, "", 0.1)
    told = samples(metrics)
    assert told["steelyard_requests_total", "200", "predict"] == 2
    assert ("late_total",) not in told


def test_a_supervisor_that_stands_still_makes_readers_give_up(monkeypatch):
    monkeypatch.setattr("steelyard.serve.counting._TRIES", 3)
    board = Board(2)
    with board.changing(), pytest.raises(Fault, match="try again"):
        board.read()
    assert board.read().connections == 0


def test_labels_are_escaped():
    metrics = Metrics()
    metrics.counter("odd_total", "Odd.", name='a"b\\c\nd').add()
    assert samples(metrics)["odd_total", 'a"b\\c\nd'] == 1
