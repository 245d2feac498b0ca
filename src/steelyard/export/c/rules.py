"""From a bundle to functions of C: its graphs, the rules that join them, and the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steelyard.bundle.manifest import Several
from steelyard.bundle.opening import Opened
from steelyard.bundle.scores import FAINT
from steelyard.contracts import Artefact, Problem, Task
from steelyard.errors import ExportRefused
from steelyard.export.c.code import Code
from steelyard.export.c.graph import WAY_OUT, Translation
from steelyard.export.c.names import real
from steelyard.export.c.rounding import rounded
from steelyard.export.c.tensors import Numbers, Strings, Tensor

SCORING = frozenset({"blend", "pool", "temperature", "isotonic"})
"""Rules that change scores; the others only decide on those of their one member."""
DECIDING = frozenset({"threshold", "odds", "line"})


@dataclass(slots=True)
class Functions:
    """The functions of one bundle; ``texts`` are those that score, innermost first."""

    code: Code
    numbers: tuple[str, ...]
    """Columns of numbers and times in the order of ``cell``."""
    task: Task
    bits: int
    texts: list[str] = field(default_factory=list)

    def scoring(self, opened: Opened) -> str:
        """Add what fills the scores of a bundle; return the name of the function."""
        model = opened.manifest.model
        if not isinstance(model, Several):
            return self._function(lambda: self._graph(opened.artefact()))
        members = [opened.member(name) for name in model.members]
        rule = model.rule
        if rule["rule"] in DECIDING:
            return self.scoring(members[0])
        if rule["rule"] not in SCORING:
            raise ExportRefused(
                f"the bundle joins its members by rule {rule['rule']!r}, which has no C form here; export one of its "
                f"members (a folder below members), or with --to ort, which writes each graph"
            )
        names = [self.scoring(member) for member in members]
        return self._function(lambda: self._joined(dict(rule), names))

    def _function(self, body: Callable[[], None]) -> str:
        name = f"{self.code.prefix}_{self.code.fresh('score')}"
        self.code.lines = []
        body()
        head = f"static void {name}(const @number *cell, const int32_t *category, float *scores)\n{{\n"
        used = "\n".join(self.code.lines)
        silent = [
            f"    (void){each};\n" for each in ("cell", "category") if f"{each}[" not in used and f"{each}," not in used
        ]
        self.texts.append(head + "".join(silent) + used + "\n}\n")
        return name

    def _graph(self, artefact: Artefact) -> None:
        code, width = self.code, self.task.width
        graph, roundings = rounded(artefact.graph, self.bits)
        inputs = {feed.inputs[0]: self._input(feed.front_end, feed.columns) for feed in artefact.feeds}
        scores = Translation(code, graph, inputs, roundings).scores()
        if scores.size != width:
            raise ExportRefused(f"the graph has {scores.size} scores a row, and the task {width}; {WAY_OUT}")
        with code.loop(width) as k:
            code.add(f"scores[{k}] = {scores.at(k)};")
        if self.task.classes:
            self._share()

    def _input(self, front_end: str, columns: tuple[str, ...]) -> Tensor:
        if front_end == "strings":
            return Strings((1, len(columns)), columns, ("",) * len(columns))
        if front_end != "numbers":
            raise ExportRefused(
                f"column {columns[0]!r} goes through the front end {front_end!r}, which has no C form here; C takes "
                f"numbers, times and categories: {WAY_OUT}"
            )
        places = np.array([self.numbers.index(column) for column in columns], np.int64)
        kind = np.dtype(np.float64)
        return Numbers((1, len(columns)), kind, lambda i: f"cell[{self.code.index(places, i)}]", stored=True)

    def _share(self) -> None:
        self.code.helpers.add("share")
        self.code.add(f"{self.code.prefix}_share(scores, {self.task.width});")

    def _joined(self, rule: dict[str, Any], members: list[str]) -> None:
        code, width = self.code, self.task.width
        if rule["rule"] == "isotonic":
            code.add(f"{members[0]}(cell, category, scores);")
            return self._isotonic(rule)
        weights = [1 / float(rule["at"])] if rule["rule"] == "temperature" else [float(w) for w in rule["weights"]]
        is_mean = rule["rule"] == "blend"
        shares = np.array(weights) / (sum(weights) if is_mean else 1.0)
        offsets = np.array(rule.get("offsets", [0.0] * width), np.float32)
        logs = bool(self.task.classes) and not is_mean
        part = code.buffer("float", width, "part")
        total = code.buffer("float", width, "sum")
        with code.loop(width) as k:
            code.add(f"{total}[{k}] = {code.constant(offsets, k)};")
        for name, share in zip(members, shares, strict=True):
            if share == 0:
                continue
            code.add(f"{name}(cell, category, {part});")
            with code.loop(width) as k:
                value = f"logf({part}[{k}] < {real(FAINT)} ? {real(FAINT)} : {part}[{k}])" if logs else f"{part}[{k}]"
                code.add(f"{total}[{k}] += {real(share)} * {value};")
        if logs:
            code.helpers.add("softmax")
            code.add(f"{code.prefix}_softmax({total}, {width});")
        with code.loop(width) as k:
            code.add(f"scores[{k}] = {total}[{k}];")
        return None

    def _isotonic(self, rule: dict[str, Any]) -> None:
        code = self.code
        code.helpers.add("curve")
        curves = [[np.array(curve[end], np.float32) for end in ("from", "to")] for curve in rule["curves"]]
        for place, (shown, meant) in enumerate(curves):
            at = 1 if len(curves) == 1 else place
            words = f"{code.table(shown, 'shown')}, {code.table(meant, 'meant')}, {len(shown)}, scores[{at}]"
            code.add(f"scores[{at}] = {code.prefix}_curve({words});")
        if len(curves) == 1:
            code.add("scores[0] = 1.0f - scores[1];")
        else:
            self._share()

    def deciding(self, opened: Opened) -> list[str]:
        """Return the statements that decide on the scores, and return the decision."""
        model, code = opened.manifest.model, self.code
        rule = dict(model.rule) if isinstance(model, Several) else {"rule": ""}
        code.lines = []
        if self.task.problem is Problem.REGRESSION:
            self._lines(opened)
            return [*code.lines, "    return 0;"]
        if rule["rule"] == "threshold":
            positive = int(rule["positive"])
            at = above32(float(rule["at"]))
            code.add(f"return scores[{positive}] >= {real(at)} ? {positive} : {1 - positive};")
            return code.lines
        worth = "scores"
        if rule["rule"] == "odds":
            worth = code.buffer("float", 2, "swayed")
            positive = int(rule["positive"])
            code.add(f"{worth}[{1 - positive}] = scores[{1 - positive}];")
            code.add(f"{worth}[{positive}] = scores[{positive}] * {real(float(rule['times']))};")
        if self.task.value is not None:
            worth = self._worth(worth)
        code.add("int best = 0;")
        with code.loop(self.task.width) as k:
            code.add(f"if ({worth}[{k}] > {worth}[best]) best = (int){k};")
        code.add("return best;")
        return code.lines

    def _lines(self, opened: Opened) -> None:
        model = opened.manifest.model
        if isinstance(model, Several) and model.rule["rule"] == "line":
            self._lines(opened.member(model.members[0]))
            times, plus = (real(float(model.rule[name])) for name in ("times", "plus"))
            self.code.add(f"scores[0] = {plus} + {times} * scores[0];")

    def _worth(self, scores: str) -> str:
        """Add what each decision is expected to bring; return the array."""
        task, code = self.task, self.code
        if known := [amount.column for amount in task.amounts if amount.known]:
            raise ExportRefused(
                f"decisions depend on the amount in {known[0]!r} of each row, which has no C form here; {WAY_OUT}"
            )
        matrix = np.asarray(task.value, np.float64)
        for amount in task.amounts:
            matrix = matrix + np.asarray(amount.times) * np.asarray(amount.means)[:, None]
        name, width = code.buffer("float", task.width, "worth"), task.width
        table = code.table(matrix.astype(np.float32), "money")
        with code.loop(width) as k:
            code.add(f"{name}[{k}] = 0;")
            with code.loop(width) as true:
                code.add(f"{name}[{k}] += {scores}[{true}] * {table}[{true} * {width} + {k}];")
        return name


def above32(value: float) -> float:
    """Return the least float32 that is not below a number, so that no float32 falls between the two.

    Examples
    --------
    >>> above32(0.1) >= 0.1, above32(0.5)
    (True, 0.5)
    """
    near = np.float32(value)
    return float(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))
