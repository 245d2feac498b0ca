"""The process that :mod:`steelyard.measure.memory` starts: prints the bytes it grew by running a bundle."""

from __future__ import annotations

import pickle
import sys

from steelyard import bundle
from steelyard.measure.resources import peak_rss_bytes, rss_bytes


def main(folder: str, threads: str) -> None:
    """Answer the rows on standard input with the bundle in a folder."""
    rows = pickle.load(sys.stdin.buffer)  # noqa: S301 - a pipe from the process that started this one
    before, peak_before = rss_bytes(), peak_rss_bytes()
    loaded = bundle.load(folder, threads=int(threads))
    for row in rows:
        loaded.answer_row(row)
    loaded.answer_rows(rows)
    peak = peak_rss_bytes()
    # A peak that importing left behind is not the bundle's.
    sys.stdout.write(str(max(0, (peak if peak > peak_before else rss_bytes()) - before)))


if __name__ == "__main__":
    main(*sys.argv[1:])
