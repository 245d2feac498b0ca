"""What a bundle weighs on this machine: latency of one row, throughput, memory, bytes on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard import bundle as bundles
from steelyard.contracts import Weight
from steelyard.devices.arithmetic import arithmetic_of
from steelyard.measure.answers import AnswerUnfit
from steelyard.measure.memory import growth_of_a_process
from steelyard.measure.resources import rss_bytes
from steelyard.measure.timing import mean, percentile, time_calls
from steelyard.units import Estimate, How, Seconds

Row = Mapping[str, Any]

BATCHES = (1, 8, 32, 128, 512)
WARM_CALLS = 20
MOST_CALLS = 1000
AIM = Seconds(0.3)
"""A fast bundle is called until this has gone by, so that its 99th percentile is bounded too."""
BATCH_AIM = Seconds(0.05)
BATCH_CALLS = 6
"""The fewest calls whose extremes hold the median 95% of the time."""
FRESH_NEEDS = Seconds(5.0)
"""Where less time than this is given, memory is not worth a process of its own."""


def weigh(
    bundle_folder: Path | str,
    rows: Sequence[Row],
    *,
    threads: int = 1,
    calls: int = 200,
    seconds: float = 30.0,
    fresh: bool = True,
) -> Weight:
    """Weigh a bundle: load it once, warm it up, time single rows, find the best batch, watch the memory.

    Latency is from one row as a dict of raw values by name to its scores. Throughput is rows a second from such
    dicts at the best batch of 1, 8, 32, 128 and 512. Nothing else should run on the machine meanwhile.

    Parameters
    ----------
    bundle_folder : Path or str
        Where the bundle lies.
    rows : sequence of dict
        A sample of raw rows; they are called in turn, again from the start when they run out.
    threads : int
        Threads that one answer may use.
    calls : int
        The fewest timed calls of one row; up to 1,000 where they are fast.
    seconds : float
        Time that all of it may take. Where it runs out, fewer calls are timed, and the figures say how many.
    fresh : bool
        Whether memory is read from a fresh process, at the price of starting one; otherwise it is the growth of
        this process, which reused memory makes too small.

    Raises
    ------
    AnswerUnfit
        If there are no rows to call it with.
    BundleRefused, RowsRefused
        If the bundle cannot be loaded, or does not take the rows.
    """
    if not rows:
        raise AnswerUnfit(f"cannot weigh {bundle_folder}: there are no rows to call it with; give at least one")
    end = time.monotonic() + seconds
    child = (
        growth_of_a_process(Path(bundle_folder), rows, threads, timeout=seconds / 3) if _worth(fresh, seconds) else None
    )
    before = rss_bytes()
    loaded = bundles.load(bundle_folder, threads=threads)

    def one(call: int) -> object:
        return loaded.answer_row(rows[call % len(rows)])

    left = Seconds(end - time.monotonic())
    time_calls(one, least=WARM_CALLS, most=WARM_CALLS, aim=Seconds(0), limit=Seconds(left / 10))
    times = time_calls(one, least=calls, most=max(calls, MOST_CALLS), aim=AIM, limit=Seconds(left * 0.6))
    throughput, batch = _best_batch(loaded.answer_rows, rows, end)
    grown = max(0, rss_bytes() - before)
    return Weight(
        p50=percentile(times, 0.50),
        p95=percentile(times, 0.95),
        p99=percentile(times, 0.99),
        throughput=throughput,
        batch=batch,
        size_bytes=loaded.size_bytes,
        memory_bytes=_own_growth(grown, fresh, seconds) if child is None else child,
        threads=threads,
        calls=len(times),
        mean=mean(times),
        arithmetic=arithmetic_of(Path(bundle_folder), percentile(times, 0.50).value).value,
    )


def _worth(fresh: bool, seconds: float) -> bool:
    return fresh and seconds >= FRESH_NEEDS


def _own_growth(grown: int, fresh: bool, seconds: float) -> Estimate:
    why = ""
    if fresh:
        why = (
            ", since a fresh one did not end well" if _worth(fresh, seconds) else ", for want of time to start another"
        )
    source = f"growth of the measuring process{why}; too small where it reused memory"
    return Estimate.exact(float(grown), how=How.ESTIMATED, unit="bytes", source=source)


def _best_batch(answer: Callable[[Any], object], rows: Sequence[Row], end: float) -> tuple[Estimate, int]:
    """Return rows a second at the batch where they are most, and that batch; larger ones only while time is left."""
    best, best_batch, per_row = Estimate.exact(0.0), 1, 0.0
    for batch in BATCHES:
        left = end - time.monotonic()
        if batch > 1 and per_row * batch * (BATCH_CALLS + 1) > left:
            break
        frame = [rows[i % len(rows)] for i in range(batch)]
        call = _called_with(answer, frame)
        call(0)
        times = time_calls(call, least=BATCH_CALLS, most=MOST_CALLS, aim=BATCH_AIM, limit=Seconds(max(left, 0.0)))
        median = percentile(times, 0.5)
        per_row = median.value / 1000 / batch
        value, low, high = (batch * 1000 / ms for ms in (median.value, median.high, median.low))
        if value > best.value:
            best = Estimate(value, low, high, unit="rows/s", source=f"batch of {batch}, {median.source}")
            best_batch = batch
    return best, best_batch


def _called_with(answer: Callable[[Any], object], frame: Sequence[Row]) -> Callable[[int], object]:
    return lambda _: answer(frame)
