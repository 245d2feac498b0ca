"""Labels that come after the prediction: ``POST /labels``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from steelyard.errors import RequestInvalid
from steelyard.predictions import Label, RecordsRefused, StoreUnavailable, label_from, open_store
from steelyard.serve.faults import malformed, overloaded, unfit
from steelyard.serve.limits import Limits, json_object, name_of
from steelyard.serve.log.settings import LogSettings
from steelyard.serve.metrics import Metrics

_MOST_WAITING = 32
"""Requests that may wait for the store; one more gets 503."""


class LabelDesk:
    """Takes labels and stores them before it answers, on a thread of its own.

    Parameters
    ----------
    settings
        Of the log.
    metrics
        Where labels are counted by what became of them.
    """

    def __init__(self, settings: LogSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._store = open_store(settings.address)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="labels")
        self._waiting = 0
        about = "Labels that came, by what became of them."
        self._counts = {
            outcome: metrics.counter("steelyard_labels_total", about, outcome=outcome)
            for outcome in ("joined", "waiting", "not_logged")
        }

    async def take(self, labels: Sequence[Label]) -> dict[str, int]:
        """Store labels; return how many of them belong to a prediction of the log, may yet do so, or never will.

        Raises
        ------
        Fault
            503 if the store cannot be written now, 400 if it can never take one of them.
        """
        if self._waiting >= _MOST_WAITING:
            raise overloaded("log", "too many labels wait to be stored; try again in a second")
        self._waiting += 1
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, self._take, labels)
        except RecordsRefused:
            raise unfit("the log cannot hold these labels; send plain text or numbers") from None
        except StoreUnavailable:
            raise overloaded("log", "the log cannot be written now; try again in a second") from None
        finally:
            self._waiting -= 1
        for outcome, count in outcomes.items():
            self._counts[outcome].add(count)
        return outcomes

    async def close(self, grace: float) -> None:
        """End the thread, and give up the connection."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        await asyncio.wait([closing], timeout=grace)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _take(self, labels: Sequence[Label]) -> dict[str, int]:
        known = self._store.known((label.request, label.row) for label in labels)
        kept: list[Label] = []
        joined = 0
        for label in labels:
            is_known = (label.request, label.row) in known
            joined += is_known
            if is_known or self._settings.draws(label.request):
                kept.append(label)
        if kept:
            self._store.label(kept, received=time.time())
        return {"joined": joined, "waiting": len(kept) - joined, "not_logged": len(labels) - len(kept)}


def parse_labels(body: bytes, limits: Limits) -> list[Label]:
    """Read ``{"id": ..., "label": ..., "at": ...}``, or many of them under ``"labels"``.

    Raises
    ------
    Fault
        If the body is malformed, or holds too many.
    """
    data = json_object(body, limits)
    given = data.get("labels", [data])
    if type(given) is not list:
        raise malformed(f"'labels' must be a list of objects; got {name_of(given)}")
    limits.check_rows(len(given))
    now = time.time()
    return [_label_of(each, place, now) for place, each in enumerate(given)]


def _label_of(given: Any, place: int, now: float) -> Label:
    if type(given) is not dict:
        raise malformed(f"label {place} (from 0) must be an object with 'id' and 'label'; got {name_of(given)}")
    try:
        return label_from(given, now)
    except RequestInvalid as problem:
        raise malformed(f"label {place} (from 0): {problem}") from None
