"""Bundles of tables under odd names, and their headers compiled, for the tests of ``--to c``."""

import math
import shutil
import subprocess

import numpy as np

from steelyard.bundle import About, Joined, load, write
from steelyard.bundle.front_ends.base import RowRefused
from steelyard.bundle.opening import read
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.errors import BundleRefused
from steelyard.export.c.header import example_of, header_of
from steelyard.recipe import Combine, Plan, Settings, Train
from steelyard.registry import learners

CC = shutil.which("cc") or shutil.which("gcc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
CHECKED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
LEARNERS = ("linear", "lightgbm", "catboost", "extra-trees")
ODD = ("int", "城市", "credit amount", "Credit-Amount", "2024", "class", "predict", 'a "*/ b??/')
"""Names of columns that are no identifiers of C, or become the same one."""


class Meter:
    def report(self, *_):
        return True

    def remaining(self):
        return math.inf

    def note(self, _):
        return None


def made_up(problem, rows=300, seed=0):
    """Return rows with gaps in numbers and categories, under odd names, and the task."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3)) * [1, 1000, 1e-3]
    numbers[rng.random(rows) < 0.2, 1] = np.nan
    words = [np.array(["red", "green", "blau", "緑", "", 'q"uo\\te?'], object)[rng.integers(0, 6, rows)] for _ in "ab"]
    many = np.array([f"v{i}" for i in rng.integers(0, 40, rows)], object)
    seconds = 1.7e9 + 86_400.0 * rng.integers(0, 700, rows)
    cells = [*numbers.T, seconds, *(np.array([w or None for w in word], object) for word in words), many]
    kinds = [Kind.NUMBER] * 3 + [Kind.TIME] + [Kind.CATEGORY] * 3
    columns = dict(zip(ODD, cells, strict=False))
    hidden = numbers[:, 0] + (words[0] == "red") + 0.3 * (many == "v3") + 0.1 * rng.normal(size=rows)
    if problem is Problem.REGRESSION:
        task, target = Task(problem=problem, target="y", aim="rmse"), 1000 + 40 * hidden
    else:
        classes = ("no", "yes") if problem is Problem.BINARY else ("a", "b", "城")
        cuts = np.quantile(hidden, [0.5] if problem is Problem.BINARY else [0.3, 0.7])
        task = Task(problem=problem, target="y", aim="accuracy", classes=classes)
        target = np.digitize(hidden, cuts).astype(np.int64)
    schema = Schema(tuple(Column(name=n, kind=k) for n, k in zip(columns, kinds, strict=True)))
    return Split(columns, target, np.arange(rows)), task, schema


def bundle(folder, learner, problem, *, rows=300, seed=0, rounds=12):
    """Train a learner and write its bundle."""
    split, task, schema = made_up(problem, rows, seed)
    plan = Plan(rounds=rounds if learner in {"lightgbm", "catboost"} else None)
    if learner == "extra-trees":
        plan = Plan(settings=Settings(trees=25))
    fitted = learners().get(learner).fit(plan, split, None, Work(task=task, schema=schema, seed=1), Meter())
    write(folder, fitted.export(), About(task, schema, Train(learner=learner), "f1ngerpr1nt", {}))
    return folder


def joined(folder, rule, *members, task=None):
    about = read(members[0]).manifest
    recipe = Combine(lever="ensemble", parents=(Train(learner="linear"),))
    write(folder, Joined(rule, members), About(task or about.task, Schema(about.columns), recipe, "f1ngerpr1nt", {}))
    return folder


class Program:
    """A header, compiled with the program that ships beside it."""

    def __init__(self, folder, opened, bits=32, *flags):
        self.header = header_of(opened, bits, ())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "steelyard.h").write_text(self.header.text, encoding="ascii")
        (folder / "example.c").write_text(example_of(self.header), encoding="ascii")
        command = [CC, *STRICT, *(flags or ("-O1", *CHECKED)), "example.c", "-o", "example", "-lm"]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (built.returncode, built.stderr) == (0, "")
        self.file = folder / "example"

    def answer(self, columns):
        """Return decisions and scores of typed columns; -1 and NaN for a row that is refused."""
        lines = [
            "\t".join(self._cell(field, columns[field.column.name][row]) for field in self.header.fields)
            for row in range(len(next(iter(columns.values()))))
        ]
        text = "\n".join(lines) + "\n"
        ran = subprocess.run([self.file], input=text.encode(), capture_output=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, b"")
        found = [line.split("\t") for line in ran.stdout.decode().splitlines()]
        width = max(map(len, found)) - 1
        scores = [[float(cell) for cell in line[1:]] or [math.nan] * width for line in found]
        return np.array([int(line[0]) for line in found]), np.array(scores)

    @staticmethod
    def _cell(field, cell):
        if field.is_category:
            return cell or ""
        return "" if np.isnan(cell) else repr(float(cell))


def answers(folder, columns):
    """Return what a bundle says of rows, one by one where it refuses one of them."""
    opened = load(folder)
    known = {n: np.where(np.isfinite(v), v, np.nan) if v.dtype != object else v for n, v in columns.items()}
    try:
        answer = opened.answer(known)
    except (RowRefused, BundleRefused):
        pass
    else:
        return answer.decided, answer.scores
    decided, scores = [], []
    for row in range(len(next(iter(known.values())))):
        try:
            one = opened.answer({name: cells[row : row + 1] for name, cells in known.items()})
        except (RowRefused, BundleRefused):
            decided.append(-1)
            scores.append([math.nan] * opened.task.width)
        else:
            decided.append(one.decided[0])
            scores.append(one.scores[0])
    return np.array(decided), np.array(scores)


def agree(program, folder, columns, *, within=2e-6):
    """Hold a program against its bundle: scores within a distance, decisions equal but where two are as near."""
    decided, scores = program.answer(columns)
    truth, told = answers(folder, columns)
    task = load(folder).task
    size = max(1.0, np.nanmax(np.abs(told))) if not task.classes else 1.0
    np.testing.assert_array_equal(np.isnan(scores[:, 0]), np.isnan(told[:, 0]))
    assert np.nanmax(np.abs(scores - told)) <= within * size
    if task.classes:
        ranked = np.sort(told, axis=1)
        clear = ~(ranked[:, -1] - ranked[:, -2] <= 4 * within)
        assert clear.mean() > 0.5
        np.testing.assert_array_equal(decided[clear], truth[clear])


def wild(columns, rows, seed):
    """Return rows of what nobody expects: gaps, infinities, huge, tiny and denormal numbers, unseen categories."""
    rng = np.random.default_rng(seed)
    odd = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -0.0, 0.0, 1e-40, 3.4e38, 3.5e38, 2**53, 1.7e9])
    found = {}
    for name, cells in columns.items():
        if cells.dtype == object:
            found[name] = np.array([*dict.fromkeys(cells), None, "never", "v", "~" * 300], object)
            found[name] = found[name][rng.integers(0, len(found[name]), rows)]
        else:
            near = np.concatenate([cells, np.nextafter(cells, np.inf), cells.astype(np.float32), odd, odd, odd])
            found[name] = near[rng.integers(0, len(near), rows)]
    return found
