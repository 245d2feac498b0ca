"""The table of ``make bench-serve``, and its bars, from the rows alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from servers import ALL, BATCH, Tool

ROUNDS = 3
QUIET = 0.1
"""Share of the server's core that others may take before the figures are doubted."""
_HEAD = (
    "req/s c=1",
    "c=16",
    "c=64",
    "CPU ms",
    "of raw",
    "p50 c=1",
    "p50 c=64",
    "p99 c=64",
    "p99 at half",
    "MiB",
    "start s",
    "others",
)
Rows = Sequence[Mapping[str, Any]]
_Bound = Callable[[float], tuple[bool, str]]


def case_of(tool: Tool, model: str, number: int) -> dict[str, Any]:
    """Return what a row is keyed by."""
    return {"tool": tool.name, "version": tool.version, "model": model, "setting": tool.setting, "round": number}


class Found:
    """The rows of one model, medians over the rounds."""

    def __init__(self, bench: Any, model: str) -> None:
        self.model = model
        self.raw: Rows = bench.rows(tool="raw", model=model)
        self.of = {
            tool: rows
            for tool in ALL
            if (rows := bench.rows(tool=tool.name, setting=tool.setting, version=tool.version, model=model))
        }

    def median(self, tool: Tool, read: Callable[[Mapping[str, Any]], float]) -> float:
        """Return the median of a figure."""
        return statistics.median(read(row) for row in self.of[tool])

    def raw_of(self, name: str) -> float:
        """Return the median of a figure of raw inference."""
        return statistics.median(row[name] for row in self.raw)

    def rate(self, tool: Tool, connections: int) -> float:
        """Return answers a second."""
        return self.median(tool, lambda row: row["closed"][str(connections)]["rps"])

    def cpu(self, tool: Tool, connections: int = 64) -> float:
        """Return processor ms a request."""
        return self.median(tool, lambda row: row["closed"][str(connections)]["cpu_ms"])

    def most(self, tool: Tool) -> float:
        """Return the most answers a second at any number of connections."""
        return self.median(tool, lambda row: max(each["rps"] for each in row["closed"].values()))

    def share(self, tool: Tool) -> float:
        """Return the share of raw batched inference at 64 connections, both on one core."""
        return self.rate(tool, 64) * self.raw_of(f"cpu_ms_{BATCH}") / 1000

    def half(self, tool: Tool) -> float:
        """Return p99 at half of the tool's own most, ms."""
        return self.median(tool, lambda row: row["half"]["p99_ms"])

    def others(self, tool: Tool) -> float:
        """Return the share of the server's core that somebody else took."""
        return self.median(tool, lambda row: row["closed"]["64"]["others"])

    def named(self, name: str) -> list[Tool]:
        """Return the settings of a tool that were measured."""
        return [tool for tool in self.of if tool.name == name]

    def ours(self, setting: str) -> list[Tool]:
        """Return our setting, if it was measured."""
        return [tool for tool in self.named("ours") if tool.setting == setting]


def show(bench: Any) -> None:
    """Print a table for each model, and how the bars stand."""
    for model in ("tiny", "big"):
        found = Found(bench, model)
        if found.raw:
            print(f"\n{_title(found)}\n{_table(found)}")
            if any(found.others(tool) > QUIET for tool in found.of):
                print(f"others took more than {QUIET:.0%} of the server's core: measure again on a quiet machine")
    print()
    for model in ("tiny", "big"):
        found = Found(bench, model)
        if found.raw:
            _bars(bench, found)


def _title(found: Found) -> str:
    one, many = found.raw_of("cpu_ms_1"), found.raw_of(f"cpu_ms_{BATCH}")
    return (
        f"{found.model}: raw ONNX Runtime takes {one:.4f} ms of processor a row alone, {many:.4f} in batches of "
        f"{BATCH}; medians of {len(found.raw)} rounds"
    )


def _table(found: Found) -> str:
    lines: list[Sequence[str]] = [("server", *_HEAD)]
    for tool in found.of:
        closed = {c: found.rate(tool, c) for c in (1, 16, 64)}

        def latency(connections: int, which: str, tool: Tool = tool) -> float:
            return found.median(tool, lambda row: row["closed"][str(connections)][which])

        lines.append(
            (
                f"{tool.name} {tool.version}, {tool.setting}",
                *(f"{rate:,.0f}" for rate in closed.values()),
                f"{found.cpu(tool):.3f}",
                f"{found.share(tool):.1%}",
                f"{latency(1, 'p50_ms'):.2f}",
                f"{latency(64, 'p50_ms'):.1f}",
                f"{latency(64, 'p99_ms'):.1f}",
                f"{found.half(tool):.1f}",
                f"{found.median(tool, lambda row: row['memory_bytes']) / 2**20:,.0f}",
                f"{found.median(tool, lambda row: row['start_seconds']):.2f}",
                f"{found.others(tool):.0%}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def _bars(bench: Any, found: Found) -> None:
    json, binary = found.ours("v2 json"), found.ours("v2 binary")

    def bar(sentence: str, tools: Sequence[Tool], values: Sequence[float], holds: _Bound) -> None:
        rows = found.of[tools[0]] if values else []
        bench.bar(f"{found.model}: {sentence}", rows, lambda _: holds(values[0]))

    if found.model == "tiny":
        over = [found.cpu(t) - found.raw_of(f"cpu_ms_{BATCH}") for t in json]
        bar("1. processor time of a JSON request over raw <= 0.15 ms", json, over, _most(0.15, "ms"))
    else:
        bar("2. JSON >= 45% of raw batched", json, [found.share(t) for t in json], _least(0.45, ""))
        bar("2. binary >= 60% of raw batched", binary, [found.share(t) for t in binary], _least(0.60, ""))
    for rival, times in (("mlserver", 2.0), ("litserve", 5.0), ("bentoml", 5.0)):
        theirs = found.named(rival)
        ratios = [found.most(t) / max(map(found.most, theirs)) for t in json if theirs]
        bar(f"3. >= {times:g} times the best of {rival}", json, ratios, _least(times, "times"))
        ratios = [found.half(t) / min(map(found.half, theirs)) for t in json if theirs]
        bar(f"3. p99 at half of its own most below the best of {rival}", json, ratios, _most(1.0, "times theirs"))
    alone = found.raw_of("p50_ms_1")
    over = [found.median(t, lambda row: row["closed"]["1"]["p50_ms"]) - alone for t in json]
    bar("4. one connection within 0.4 ms of raw", json, over, _most(0.4, "ms"))


def _least(bound: float, unit: str) -> _Bound:
    return lambda value: (value >= bound, f"{value:.3g} {unit}".strip())


def _most(bound: float, unit: str) -> _Bound:
    return lambda value: (value <= bound, f"{value:.3g} {unit}".strip())
