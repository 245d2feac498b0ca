"""What ``steelyard escalate`` does with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from steelyard.bundle import load as load_bundle
from steelyard.contracts import Answer, Evidence, Task
from steelyard.data.columns import to_columns
from steelyard.errors import DataUnfit, RequestInvalid
from steelyard.escalate import costs
from steelyard.escalate.asked import MAX_ERROR, REGRET, TOLERANCE, Asked
from steelyard.escalate.asking import ask_all, table_of
from steelyard.escalate.calibrate import Calibrated, against_another, check_measure, for_persons
from steelyard.escalate.value import Persons, for_value
from steelyard.measure import weigh
from steelyard.money import Prices, cost_per_million
from steelyard.rows import count, read_rows, sample, stakes, targets
from steelyard.serve.escalation.plan import Person, Plan, written
from steelyard.serve.model import Served
from steelyard.serve.table import Table
from steelyard.tasks import metric
from steelyard.units import Money

_WEIGHED = 256
_SECONDS = 10.0
"""For measuring what the bundle costs."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A bundle on labelled rows: what it said of them, what they are, and a few of them as they came."""

    served: Served
    task: Task
    table: Table
    answer: Answer
    target: NDArray[np.int64]
    some: list[Mapping[str, Any]]


def escalate(bundle: Path, rows: Any, asked: Asked) -> Plan:
    """Measure a bundle and the dear stage on labelled rows, and calibrate which rows are passed on.

    Parameters
    ----------
    bundle
        Folder of the bundle that is going to be served.
    rows
        Labelled rows that it was not trained on: a file, or anything like a table.
    asked
        The options.

    Raises
    ------
    RequestInvalid, RowsRefused, DataUnfit
        If the options or the rows do not allow a promise; the message says how many rows it needs.
    ServerUnreachable, ServerRefused
        If the other server does not answer, or answers what cannot be used.
    """
    prices = Prices.load(asked.prices)
    price, budget = _price(asked, prices), asked.budget
    seen = _measured(bundle, rows, asked)
    found, last, figures = (_with_persons if asked.is_person else _with_server)(seen, asked, price)
    weight = weigh(bundle, seen.some, threads=asked.threads, seconds=_SECONDS, fresh=False)
    alone = cost_per_million(weight, prices)
    try:
        return Plan(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            bundle=seen.served.digest,
            rule=found.rule,
            promise=found.promise,
            escalated=found.escalated,
            budget=budget,
            figures=figures | {"cost_per_million": costs.costs(alone, price, found.escalated)},
            **last,
        )
    except ValidationError as problem:
        raise RequestInvalid(f"cannot calibrate: {problem.errors()[0]['msg']}") from None


def _measured(bundle: Path, rows: Any, asked: Asked) -> _Measured:
    opened = load_bundle(bundle, threads=asked.threads)
    served = Served("model", "1", opened)
    check_measure(asked.measure, opened.task)
    task = replace(opened.task, aim=metric(asked.metric, opened.task).name) if asked.metric else opened.task
    frame = read_rows(rows)
    target = targets(frame, task)
    table = table_of(served, to_columns(frame, opened.reads), count(frame))
    some = sample(frame, list(served.layout.columns), _WEIGHED)
    answer = replace(opened.answer(served.layout.columns_of(table)), amounts=stakes(frame, opened.task))
    return _Measured(served, task, table, answer, target, some)


def _price(asked: Asked, prices: Prices) -> Money:
    try:
        price = Money.parse(asked.price or "0", prices.currency)
    except ValueError as problem:
        raise RequestInvalid(f"--price: {problem}") from None
    if price.amount < 0:
        raise RequestInvalid(f"--price must be 0 or more; got {asked.price!r}")
    if price.currency != prices.currency:
        raise RequestInvalid(
            f"--price is in {price.currency} and the price of a core-hour in {prices.currency}; give both in one "
            "currency (a core-hour with --prices FILE)"
        )
    limit = asked.budget.money_per_hour
    if limit is not None and (limit.currency != price.currency or limit.amount < price.amount):
        raise RequestInvalid(
            f"--money-per-hour {asked.money_per_hour} does not pay for one row at {written(price)}; give more, in "
            f"{price.currency}"
        )
    return price


_Found = tuple[Calibrated, dict[str, Any], dict[str, Any]]
"""The calibration, the last stage of the plan, and figures of quality."""


def _with_persons(seen: _Measured, asked: Asked, price: Money) -> _Found:
    accuracy = 1.0 if asked.accuracy is None else asked.accuracy
    limit = MAX_ERROR if asked.max_error is None else asked.max_error
    value: dict[str, Any] = {}
    if asked.measure == REGRET:
        found, value = _by_value(seen, asked, price, accuracy)
    else:
        found = for_persons(
            seen.task, seen.answer, seen.target, measure=asked.measure, limit=limit, confidence=asked.confidence
        )
    database = {"database": asked.reviews} if asked.reviews else {}
    person = Person.model_validate({"price": written(price), "accuracy": accuracy, **database})
    figures = {**value, "error": costs.with_persons(seen.target, seen.answer, found, accuracy)}
    return found, {"person": person}, figures


def _by_value(
    seen: _Measured, asked: Asked, price: Money, accuracy: float
) -> tuple[Calibrated, dict[str, dict[str, Any]]]:
    """Choose by money which rows a person decides."""
    if price.currency != seen.task.currency:
        raise RequestInvalid(
            f"--price is in {price.currency} and the bundle's decisions are worth {seen.task.currency}; give both in "
            "one currency"
        )
    persons = Persons(float(price.amount), accuracy)
    found, told = for_value(seen.task, seen.answer, seen.target, persons, confidence=asked.confidence)
    return found, {"value": told}


def _with_server(seen: _Measured, asked: Asked, price: Money) -> _Found:
    remote = {
        "url": asked.to,
        "model": asked.model,
        "version": asked.version,
        "key_env": asked.key_env,
        "timeout_ms": asked.timeout_ms,
        "price": written(price),
    }
    asked_for, dear, milliseconds = ask_all(remote, seen.served, seen.table, asked.key)
    tolerance = TOLERANCE if asked.tolerance is None else asked.tolerance
    _within(seen.task, seen.answer)
    evidence = Evidence((seen.answer, replace(dear, amounts=seen.answer.amounts)), seen.target)
    found = against_another(
        seen.task, evidence, measure=asked.measure, tolerance=tolerance, confidence=asked.confidence
    )
    figures = {
        seen.task.aim: costs.against_another(seen.task, seen.target, seen.answer, dear, found),
        "call_ms": {"mean": sum(milliseconds) / len(milliseconds), "longest": max(milliseconds)},
    }
    return found, {"remote": asked_for}, figures


def _within(task: Task, answer: Answer) -> None:
    """Refuse rows that stake more than any that the bundle was made with: what may be lost would have no bound."""
    if task.aim != "value" or answer.amounts is None:
        return
    for amount, most in zip(task.amounts, answer.amounts.max(axis=0).tolist(), strict=True):
        if most > amount.high:
            raise DataUnfit(
                f"{amount.column!r} goes up to {most:g} in these rows, and to {amount.high:g} in those that the bundle "
                "was made with, so nothing can be promised about money: leave larger ones out, or choose with --metric "
                "accuracy"
            )
