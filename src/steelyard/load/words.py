"""What the command line says of a load, in plain lines."""

from __future__ import annotations

import math
from collections.abc import Mapping

from steelyard.load.maximum import Maximum
from steelyard.load.run import Ceiling
from steelyard.load.summary import Result
from steelyard.units import Estimate


def milliseconds(value: float) -> str:
    """Write a latency.

    Examples
    --------
    >>> milliseconds(1.234), milliseconds(float("inf")), milliseconds(1234.5)
    ('1.23', 'never', '1,234')
    """
    if math.isnan(value):
        return "none"
    if math.isinf(value):
        return "never"
    return f"{value:,.{max(0, 2 - max(0, int(math.log10(max(value, 1)))))}f}"


def describe(result: Result) -> str:
    """Return the figures of a test as lines."""
    asked = f" of {result.asked:,.1f} asked" if result.mode == "open" else ""
    first = f"{result.mode} loop, {result.seconds:g} s, {result.requests:,} requests"
    lines = [
        f"{first}: {result.rate:,.1f} good answers/s{asked}",
        *_percentiles(result.latency, "from the planned time" if result.mode == "open" else "from sending"),
    ]
    if result.failed:
        lines += _percentiles(result.answered, "of those that were answered")
    lines.append("endings: " + (", ".join(f"{how} x {count:,}" for how, count in result.endings.items()) or "none"))
    if result.server_cpu is not None:
        cpu = result.server_cpu
        lines.append(f"server: {cpu.value:.3f} ms of processor time a request [{cpu.low:.3f}, {cpu.high:.3f}]")
    lines.append(
        f"generator: late by {milliseconds(result.late)} ms at p99, {result.own_share:.0%} of one core, "
        f"{result.connections:,} connections"
    )
    return "\n".join(lines)


def _percentiles(latency: Mapping[str, Estimate], how: str) -> list[str]:
    few = "; unknown: too few requests to tell" if any(map(_is_open, latency.values())) else ""
    lines = [f"latency in ms, {how}, with 95% intervals (block bootstrap{few}):"]
    return lines + [f"  {name:6} {milliseconds(e.value):>8}  [{_range(e)}]" for name, e in latency.items()]


def _is_open(estimate: Estimate) -> bool:
    return math.isinf(estimate.high) and math.isfinite(estimate.value)


def _range(estimate: Estimate) -> str:
    """Write an interval; an end for which too few requests were seen is unknown."""
    high = "unknown" if _is_open(estimate) else milliseconds(estimate.high)
    return f"{milliseconds(estimate.low)}, {high}"


def one_line(result: Result) -> str:
    """Return a test of the search in one line."""
    p95 = result.latency["p95"]
    late = f"generator late by {milliseconds(result.late)} ms"
    said = f"p95 {milliseconds(p95.value)} ms [{_range(p95)}], {result.failed} failed, {late}"
    return f"{result.asked:10,.1f} requests/s: {said}"


def describe_ceiling(ceiling: Ceiling) -> str:
    """Return the generator's own ceiling as a line."""
    return (
        f"the generator's own ceiling here: {ceiling.rate:,.0f} requests/s "
        f"({ceiling.per_core:,.0f} per second of one core)"
    )


def describe_maximum(found: Maximum, p95_ms: float) -> str:
    """Return what the search found as a line."""
    rate = found.rate
    if not rate.value:
        return f"no rate keeps p95 within {p95_ms:g} ms, not even {min(r for r, _ in found.tests):g} requests/s"
    if found.capped:
        return f"at least {rate.value:,.0f} requests/s keep p95 within {p95_ms:g} ms; the generator can test no more"
    high = f"{rate.high:,.0f}" if math.isfinite(rate.high) else "unknown"
    return (
        f"{rate.value:,.0f} requests/s keep p95 within {p95_ms:g} ms; kept every time at {rate.low:,.0f}, "
        f"missed every time at {high} ({len(found.tests)} tests)"
    )
