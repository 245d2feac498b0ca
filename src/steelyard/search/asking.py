"""An endpoint of the Open Inference Protocol as a model: its tensors filled from columns, its answers read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.client import Client
from steelyard.contracts import Answer, Floats, Problem, Task, Weight
from steelyard.datatypes import BYTES, DATATYPES
from steelyard.errors import ServerRefused
from steelyard.measure.timing import mean, percentile, time_calls
from steelyard.search.incumbent import MOST_CALLS
from steelyard.units import Estimate, How, Seconds

KEY = "STEELYARD_INCUMBENT_KEY"
"""The environment variable that holds the key of the endpoint, if it wants one."""
WARM, LEAST = 10, 100
"""Calls of one row: before the clock runs, and at least."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an endpoint said of some rows: decisions, and scores where it gives them."""

    decided: NDArray[Any]
    scores: Floats | None

    def answer(self, task: Task) -> Answer:
        """Return it as an answer; without scores what was decided has all of the probability."""
        if self.scores is not None:
            return Answer(self.scores, self.decided)
        scores = np.zeros((len(self.decided), task.width))
        scores[np.arange(len(self.decided)), self.decided] = 1.0
        return Answer(scores, self.decided)


@dataclass(slots=True, kw_only=True)
class Endpoint:
    """One model of a server, asked by columns."""

    url: str
    model: str
    columns: Sequence[str]
    classes: Sequence[str]
    task: Task
    client: Client
    inputs: Sequence[Mapping[str, Any]]
    batch: int = 64

    @classmethod
    def of(cls, facts: Mapping[str, Any], task: Task) -> Endpoint:
        """Return the endpoint that a run's spec names, once it has said what it takes.

        Raises
        ------
        ServerUnreachable, ServerRefused
            If it says nothing, or has no such model.
        MissingExtra
            If httpx is not installed.
        """
        model = facts["model"]
        client = Client(facts["url"], key=os.environ.get(KEY, ""))
        try:
            about = client.metadata(model)
        except ServerRefused as problem:
            client.close()
            hint = f"; its key is read from the environment variable {KEY}" if "key" in str(problem) else ""
            raise ServerRefused(f"{problem}{hint}") from None
        parameters = about.get("parameters") or {}
        named = parameters.get("classes") if isinstance(parameters, Mapping) else None
        return cls(
            url=facts["url"],
            model=model,
            columns=tuple(facts["columns"]),
            classes=tuple(facts["classes"]) or tuple(named or ()) or task.classes,
            task=task,
            client=client,
            inputs=tuple(about.get("inputs") or ()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def ask(self, columns: Mapping[str, Sequence[object]]) -> Said:
        """Return what it says of rows.

        Raises
        ------
        ServerRefused
            If its tensors do not fit the columns, or its answer not the task.
        """
        outputs = self.client.infer(self.model, self._tensors(columns), binary=False).outputs
        rows = len(next(iter(columns.values())))
        return self._value(outputs, rows) if self.task.problem is Problem.REGRESSION else self._classes(outputs, rows)

    def weigh(self, columns: Mapping[str, Sequence[object]], seconds: float) -> Weight:
        """Time calls of one row over the network, as the machine of the run sees them."""
        rows = len(next(iter(columns.values())))

        def one(call: int) -> object:
            return self.ask({name: [cells[call % rows]] for name, cells in columns.items()})

        limit = Seconds(max(0.05, min(seconds, 20.0)))
        warm = time_calls(one, least=WARM, most=WARM, aim=Seconds(0), limit=Seconds(limit / 5))
        times = time_calls(one, least=LEAST, most=MOST_CALLS - WARM, aim=Seconds(2.0), limit=limit)
        middle = self._marked(percentile(times, 0.50))
        rate = Estimate(1000 / middle.value, 1000 / middle.high, 1000 / middle.low, unit="rows/s", source=middle.source)
        unknown = Estimate.exact(0.0, how=How.ESTIMATED, unit="bytes", source="it runs elsewhere")
        return Weight(
            p50=middle,
            p95=self._marked(percentile(times, 0.95)),
            p99=self._marked(percentile(times, 0.99)),
            throughput=rate,
            batch=1,
            size_bytes=0,
            memory_bytes=unknown,
            threads=1,
            calls=len(warm) + len(times),
            mean=self._marked(mean(times)),
        )

    def _marked(self, figure: Estimate) -> Estimate:
        return replace(figure, source=f"{figure.source}, over the network to {self.url}")

    def _tensors(self, columns: Mapping[str, Sequence[object]]) -> dict[str, NDArray[Any]]:
        names = [str(one["name"]) for one in self.inputs]
        if set(names) <= set(columns) and names:
            return {str(one["name"]): _tensor([columns[str(one["name"])]], one, self.url) for one in self.inputs}
        if len(names) == 1:
            return {names[0]: _tensor([columns[name] for name in self.columns], self.inputs[0], self.url)}
        raise ServerRefused(
            f"{self.url} takes the inputs {', '.join(names) or 'none'}, which are neither columns of the data nor one "
            "table; name its columns with `incumbent.columns`"
        )

    def _value(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> Said:
        for values in outputs.values():
            if values.dtype.kind in "fiu" and values.size == rows:
                found = values.reshape(rows).astype(np.float64)
                return Said(found, found[:, None])
        raise ServerRefused(f"{self.url} answers no number a row: it says {_said(outputs)}")

    def _classes(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> Said:
        decided, scores = self._labels(outputs, rows), self._scores(outputs, rows)
        if decided is None and scores is None:
            raise ServerRefused(f"{self.url} answers neither classes nor probabilities: it says {_said(outputs)}")
        if decided is None:
            assert scores is not None, "one of the two is there"
            decided = scores.argmax(axis=1)
        return Said(decided, scores)

    def _labels(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> NDArray[Any] | None:
        codes = {name: code for code, name in enumerate(self.task.classes)}
        for values in outputs.values():
            if values.size == rows and values.dtype.kind in "OUSiu":
                words = [str(value) for value in values.reshape(rows).tolist()]
                if set(words) <= set(codes):
                    return np.array([codes[word] for word in words], np.int64)
        return None

    def _scores(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> Floats | None:
        """Return probabilities in the order of the task, from an output that holds one a class."""
        width = self.task.width
        if set(self.classes) != set(self.task.classes):
            raise ServerRefused(
                f"{self.url} knows the classes {', '.join(self.classes)}, and the data {', '.join(self.task.classes)}; "
                "name them in its order with `incumbent.classes`"
            )
        order = [list(self.classes).index(name) for name in self.task.classes]
        for values in outputs.values():
            if values.dtype.kind == "f" and values.size == rows * width:
                scores: Floats = values.reshape(rows, width).astype(np.float64)[:, order]
                return scores
        return None


def _tensor(cells: Sequence[Sequence[object]], one: Mapping[str, Any], url: str) -> NDArray[Any]:
    """Return columns as one tensor of the type and the number of sides that a server asks for."""
    kind = str(one.get("datatype"))
    if kind not in DATATYPES:
        raise ServerRefused(f"{url} wants input {one.get('name')!r} of the unknown datatype {kind!r}")
    if kind == BYTES:
        table = np.array([["" if c is None else str(c) for c in column] for column in cells], dtype=object).T
    else:
        try:
            table = np.array([[np.nan if c is None else c for c in column] for column in cells], np.float64).T
        except (TypeError, ValueError):
            raise ServerRefused(
                f"{url} wants numbers for input {one.get('name')!r}, and the data holds words"
            ) from None
        table = table.astype(DATATYPES[kind])
    flat = len(one.get("shape") or (-1, 1)) == 1
    return table[:, 0] if flat and table.shape[1] == 1 else table


def _said(outputs: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} of shape {list(values.shape)}" for name, values in outputs.items()) or "nothing"
