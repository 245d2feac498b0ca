"""The model card: what the model is for, how good it is and for whom that was not tested, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from steelyard.decide.words import span
from steelyard.report.ladder import became, cells, measured, threads_said
from steelyard.report.words import (
    DASH,
    Json,
    cost,
    data_words,
    estimate,
    headline,
    keeps,
    milliseconds,
    price,
    size,
    spent,
    times,
)
from steelyard.units import Estimate


def card(report: Json) -> str:
    """Return the card. Text of the user's cannot break out of its line or cell."""
    decision = report["decision"]
    parts = [f"# {_plain(report['name'])}", _plain(headline(report))]
    if decision is not None:
        parts += [
            *_model(report),
            *_quality(report),
            *_weight(report),
            *_ladder(report),
            "## Why this one",
            _bullets(decision["reasons"]),
        ]
    parts += [*_data(report), *_measured(report)]
    return "\n\n".join(parts) + "\n"


def _model(report: Json) -> tuple[str, ...]:
    task, decision = report["task"], report["decision"]
    what = "a number" if task["problem"] == "regression" else f"one of {len(task['classes'])} classes"
    classes = f" ({', '.join(task['classes'][:20])}{', ...' if len(task['classes']) > 20 else ''})"
    how = "refitted on all rows but test" if decision["refitted"] else "as it was measured"
    rows = [
        ("predicts", f"{task['target']}: {what}{classes if task['classes'] else ''}"),
        ("recipe", decision["recipe"]),
        ("bundle", f"{decision['bundle'] or DASH}, {how}"),
        ("format", "ONNX graphs and a manifest; no pickle; runs with the core install"),
    ]
    if keeps(decision) and decision["bundle"] is None:
        rows[-2:] = [("bundle", "none: what is used today stays where it is")]
    if task["positive"] is not None:
        rows.insert(1, ("positive class", task["positive"]))
    return "## Model", _table(("", ""), rows)


def _quality(report: Json) -> tuple[str, ...]:
    decision = report["decision"]
    names = sorted(decision["validation"].keys() | decision["test"].keys())
    rows = [(n, _figure(decision["test"], n), _figure(decision["validation"], n)) for n in names]
    read = f"Test rows were read {times(report['test_reads'])}. Validation: {report['protocol']}."
    return "## Quality, with 95% intervals", _table(("metric", "test", "validation"), rows), _plain(read)


def _weight(report: Json) -> tuple[str, ...]:
    decision = report["decision"]
    rows = [
        ("p95 latency of one row", milliseconds(decision)),
        ("size", size(decision["size_bytes"])),
        ("a million predictions", cost(decision, report)),
        ("spent to find it", spent(report)),
    ]
    million = estimate(decision["figures"], "cost_per_million")
    assumed = () if million is None else (_plain(f"Cost is {million.how.value}: {million.source}."),)
    return "## Weight", _table(("", ""), rows), *assumed


def _ladder(report: Json) -> tuple[str, ...]:
    """Tell what was made cheaper: a table a family, then what became of each step."""
    aim, parts = report["task"]["aim"], list[str]()
    for family in report.get("ladder", ()):
        heads = ("trial", "candidate", "size", "p50, ms", "p95, ms", "rows a second", "memory", aim, "worse by (95%)")
        rows = [(str(s["number"]), s["title"], *_loss_joined(cells(s, aim))) for s in measured(family)]
        said = [f"Trial {s['number']}: {became(s, family)}" for s in family["steps"]]
        title = f"## Made cheaper from {_plain(family['steps'][0]['title'])}, {threads_said(family)}"
        parts += [title, _table(heads, rows), _bullets(said)]
    return tuple(parts)


def _loss_joined(words: tuple[str, ...]) -> tuple[str, ...]:
    *shown, lost, ends = words
    return *shown, f"{lost} ({ends})" if ends else lost


def _data(report: Json) -> tuple[str, ...]:
    columns = ", ".join(f"{c['name']} ({c['kind']})" for c in report["columns"])
    findings = [f"{f['severity']}: {f['sentence']}" for f in report["checks"]]
    lines = [data_words(report), f"Columns: {columns}", f"Fingerprint: {report['fingerprint']}", *findings]
    return "## Data", _bullets(lines)


def _measured(report: Json) -> tuple[str, ...]:
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items()) or "not recorded"
    lines = [
        "Every figure is of the bundle in ONNX Runtime, preprocessing included.",
        f"Machine: {machine}.",
        f"Price in force: {price(report['prices']['core_hour'])}.",
        "Rows unlike those above (another time, place or population) were not tested; watch the quality in use.",
        *report["notes"],
    ]
    return "## How it was measured, and where that ends", _bullets(lines)


def _figure(figures: Json, name: str) -> str:
    found = figures.get(name)
    return DASH if found is None or found["value"] is None else span(Estimate.from_json(found))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(c if c == "---" else _plain(c) for c in line) + " |" for line in lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would take for markup, and keep it on one line."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", flat)
