"""Schema and task as plain JSON and back. Needs nothing but the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from steelyard.contracts import Amount, Column, Gathered, Kind, Matrix, Problem, Schema, Task
from steelyard.units import Money


def schema_to_json(schema: Schema) -> list[dict[str, Any]]:
    """Return the columns as plain JSON, fields at their defaults left out.

    Examples
    --------
    >>> schema_to_json(Schema((Column(name="age", kind=Kind.NUMBER, distinct=9),)))
    [{'name': 'age', 'kind': 'number', 'distinct': 9}]
    """
    return [_column_to_json(column) for column in schema.columns]


def schema_from_json(data: list[dict[str, Any]]) -> Schema:
    """Read what :func:`schema_to_json` wrote."""
    return Schema(tuple(_column_from_json(column) for column in data))


def _column_to_json(column: Column) -> dict[str, Any]:
    bare = Column(name=column.name, kind=column.kind)
    fields = ("missing", "distinct", "low", "high", "spaced", "notation", "lenient", "why")
    made: dict[str, Any] = {"name": column.name, "kind": column.kind.value}
    made |= {f: getattr(column, f) for f in fields if getattr(column, f) != getattr(bare, f)}
    made |= {"channels": list(column.channels)} if column.channels else {}
    made |= {"gathered": asdict(column.gathered)} if column.gathered else {}
    return made if column.price is None else made | {"price": f"{column.price.amount} {column.price.currency}"}


def _column_from_json(data: Mapping[str, Any]) -> Column:
    price = Money.parse(data["price"]) if "price" in data else None
    gathered = Gathered(**data["gathered"]) if "gathered" in data else None
    channels = tuple(data.get("channels", ()))
    return Column(**{**data, "kind": Kind(data["kind"]), "price": price, "channels": channels, "gathered": gathered})


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as plain JSON; amounts only where there are some."""
    made = {
        "problem": task.problem.value,
        "target": task.target,
        "aim": task.aim,
        "classes": list(task.classes),
        "positive": task.positive,
        "value": None if task.value is None else [list(row) for row in task.value],
        "currency": task.currency,
    }
    return made | ({"amounts": [_amount_to_json(amount) for amount in task.amounts]} if task.amounts else {})


def _amount_to_json(amount: Amount) -> dict[str, Any]:
    return {
        "column": amount.column,
        "times": [list(row) for row in amount.times],
        "known": amount.known,
        "means": list(amount.means),
        "high": amount.high,
    }


def _amount_from_json(data: Mapping[str, Any]) -> Amount:
    return Amount(**{**data, "times": _matrix(data["times"]), "means": tuple(map(float, data["means"]))})


def _matrix(rows: list[list[float]]) -> Matrix:
    return tuple(tuple(float(amount) for amount in row) for row in rows)


def task_from_json(data: Mapping[str, Any]) -> Task:
    """Read what :func:`task_to_json` wrote.

    Examples
    --------
    >>> task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1"), positive="1")
    >>> task_from_json(task_to_json(task)) == task
    True
    """
    value = data["value"]
    return Task(
        problem=Problem(data["problem"]),
        target=data["target"],
        aim=data["aim"],
        classes=tuple(data["classes"]),
        positive=data["positive"],
        value=None if value is None else _matrix(value),
        currency=data["currency"],
        amounts=tuple(_amount_from_json(amount) for amount in data.get("amounts", ())),
    )
