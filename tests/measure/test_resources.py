"""What a process uses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from steelyard.measure import cores, cpu_seconds, peak_rss_bytes, resources, rss_bytes


def test_work_costs_processor_time_and_sleep_does_not():
    before = cpu_seconds()
    total = sum(i * i for i in range(300_000))
    assert total
    assert 0 < cpu_seconds() - before < 5


def test_an_ended_child_counts_among_children():
    before = cpu_seconds(children=True)
    subprocess.run([sys.executable, "-c", "sum(i * i for i in range(300_000))"], check=True)
    assert cpu_seconds(children=True) > before


def test_memory_grows_by_what_is_held():
    before = rss_bytes()
    held = np.ones(8_000_000)
    assert rss_bytes() - before > 0.9 * held.nbytes
    assert peak_rss_bytes() >= rss_bytes() * 0.99


def test_memory_is_told_where_there_is_no_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "_STATUS", tmp_path / "absent")
    assert rss_bytes() == peak_rss_bytes() > 1_000_000


def test_cores_are_those_that_may_be_used(monkeypatch, tmp_path):
    assert 1 <= cores() <= (os.cpu_count() or 1)
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n", encoding="ascii")
    monkeypatch.setattr(resources, "_QUOTA", quota)
    assert cores() == 1
    quota.write_text("max 100000\n", encoding="ascii")
    unlimited = cores()
    monkeypatch.setattr(resources, "_QUOTA", tmp_path / "absent")
    assert unlimited == cores()
