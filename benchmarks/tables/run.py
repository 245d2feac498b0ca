"""Every tool on every table: ``make bench-tables`` measures what is missing, then prints the bars.

``MINUTES=150`` (the default) starts nothing that cannot end by then. ``ONLY=ours,flaml``, ``SETS=churn,small``,
``BUDGETS=120`` and ``SEEDS=0`` name a slice; within one that ``ONLY`` or ``SETS`` names, rows of ours that another
state of the code left are measured again. ``FRESH=1`` measures all of the slice anew. ``KEEP=1`` keeps the models.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import summary
from plan import Slice, cases, seconds_of
from sets import DATA
from store import Case, Store
from tools import TOOLS, installed, version_of

from measure import measure

MINUTES = 150.0


def missing(store: Store, asked: Slice) -> Iterator[Case]:
    """Yield the cases of a slice that are to be measured."""
    fresh = os.environ.get("FRESH", "") not in ("", "0")
    for case in cases(asked.sets):
        if not asked.holds(case):
            continue
        tool = TOOLS[case.tool]
        exact = version_of(tool) if asked.named or case.tool != "ours" else None
        if fresh or not store.has(case, exact):
            yield case


def main() -> None:
    """Measure what is missing within the time, then hold the rows against the bars."""
    minutes = float(os.environ.get("MINUTES") or MINUTES)
    end = time.monotonic() + 60 * minutes
    if not DATA.is_dir():
        sys.exit(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds pmlb/ and the others")
    try:
        asked = Slice.asked()
    except ValueError as problem:
        sys.exit(str(problem))
    store = Store()
    left = list(missing(store, asked))
    print(f"{len(left)} cases are missing, about {sum(map(seconds_of, left)) / 3600:.1f} hours", flush=True)
    skipped = 0
    for number, case in enumerate(left, 1):
        if time.monotonic() + seconds_of(case) > end:
            skipped += 1
            continue
        print(f"[{number}/{len(left)}] {case}", flush=True)
        version = version_of(TOOLS[case.tool])
        result = measure(case)
        store.add(case, version, result, installed(case.tool))
        print(f"    {words(result)}", flush=True)
    if skipped:
        print(f"{skipped} cases were left for another call: MINUTES={minutes:g} are up")
    summary.main(store)


def words(result: dict) -> str:
    """Say in a line how a case went."""
    if result["ending"] != "done":
        return f"{result['ending']} after {result['seconds']:.1f} s: {result['note'][-200:]}"
    p50 = next(iter(result["latency"]["1"].values()))["p50"]
    return (
        f"{result['metric']} {result['value']:.5g} in {result['seconds']:.1f} s; one row {p50:.3g} ms; "
        f"{result['peak_bytes'] / 2**20:,.0f} MiB; {result['size_bytes'] / 1e6:,.2f} MB on disk"
    )


if __name__ == "__main__":
    main()
