"""The drafted spec as text: YAML in front, what it is for behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from steelyard.contracts import Kind, Problem
from steelyard.data import Finding
from steelyard.draft._look import Look, look
from steelyard.draft._words import ABOUT_IN_CHINESE, LANGUAGES
from steelyard.errors import SpecInvalid, nearest
from steelyard.spec import compact, parse
from steelyard.tasks import metric

Line = tuple[str, str]
"""YAML, and the comment behind it."""

_MOST_ALIGNED = 40
_MOST_CLASSES = 6


def draft(data: str | Path, target: str, *, lang: str = "en") -> str:
    """Draft a spec from data; it is YAML with every line explained, and runs unedited.

    Parameters
    ----------
    data
        File, folder, zip, or ``sklearn:NAME``; relative to the current folder or to ``STEELYARD_DATA``.
    target
        Column to predict.
    lang
        Language of the comments: ``en`` or ``zh``.

    Raises
    ------
    SpecInvalid
        If there is no such language.
    DataUnreadable
        If the data is not found or cannot be read.
    DataUnfit
        If nothing can be learned from it, whatever the spec says.
    """
    if lang not in LANGUAGES:
        raise SpecInvalid(f"no language {lang!r}{nearest(lang, LANGUAGES)}; known: {', '.join(LANGUAGES)}")
    source = os.fspath(data)
    seen = look(source, target)
    text = "\n".join(_aligned(list(_lines(seen, source, target, lang)))) + "\n"
    parse(text, source="the draft")
    return text


def _lines(seen: Look, data: str, target: str, lang: str) -> Iterator[Line | None]:
    """Yield each line, and ``None`` for an empty one."""
    say = LANGUAGES[lang]
    name = _file_name(seen.dataset.name)
    counts = {"rows": f"{seen.rows:,}", "columns": f"{len(seen.dataset.schema.features):,}"}
    yield "", say["head"].format(data=data, **counts)
    yield "", say["run"].format(file=f"{name}.yaml")
    yield "", say["more"]
    yield None
    yield f"name: {compact(name)}", say["name"]
    yield f"data: {compact(data)}", say["data"]
    yield f"target: {compact(target)}", say["target"]
    yield from _task(seen, say)
    yield from _columns(seen, say)
    yield from _split(seen, say)
    yield from _quality(seen, say, lang)
    yield "serving:", say["serving"]
    yield "  latency_p95_ms: 50", say["latency"]
    yield "  # traffic: {mean_rps: 5, peak_rps: 20}", say["traffic"]
    yield "budget:", say["budget"]
    yield "  minutes: 5", say["minutes"]
    yield from _value(seen, say)
    if seen.drop:
        yield "checks: {missing_target: drop}", say["checks"]
    yield "seed: 0", say["seed"]


def _task(seen: Look, say: Mapping[str, str]) -> Iterator[Line]:
    task, values = seen.dataset.task, seen.dataset.originals.target
    if task.problem is Problem.REGRESSION:
        figures = {"low": f"{values.min():.6g}", "high": f"{values.max():.6g}", "mean": f"{values.mean():.6g}"}
        yield "task: regression", say["regression"].format(**figures)
        return
    if task.problem is Problem.TAGGING:
        yield (
            "task: tagging",
            say["tagging"].format(count=len(task.classes), classes=", ".join(task.classes[:_MOST_CLASSES])),
        )
        return
    counts = np.bincount(values, minlength=len(task.classes))
    most = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    listed = ", ".join(f"{_shown(task.classes[code])} ({counts[code]:,})" for code in most)
    more = ", ..." if len(task.classes) > _MOST_CLASSES else ""
    yield "task: classification", say["classification"].format(count=len(task.classes), classes=listed + more)
    if task.positive is not None:
        yield f"positive: {compact(task.positive)}", say["positive"]


def _columns(seen: Look, say: Mapping[str, str]) -> Iterator[Line]:
    yield "columns:", say["columns"]
    if seen.stopping or seen.unused or seen.suspects:
        sure = seen.stopping or seen.unused
        yield "  ignore:" if sure else "  # ignore:", say["ignore"]
    for finding in seen.stopping:
        yield f"    - {compact(finding.column)}", _reason(finding, say)
    for column in seen.unused:
        yield f"    - {compact(column.name)}", say["constant" if column.kind is Kind.CONSTANT else "id"]
    for finding in seen.suspects:
        yield f"    # - {compact(finding.column)}", _reason(finding, say)
    read = seen.dataset.schema.of(Kind.NUMBER, Kind.CATEGORY, Kind.TEXT)
    if read:
        other = "text" if read[0].kind is Kind.CATEGORY else "category"
        yield f"  # {other}: {compact([read[0].name])}", say["kinds"]


def _reason(finding: Finding, say: Mapping[str, str]) -> str:
    score = finding.numbers.get("solo_score")
    if finding.code in ("leak", "suspect") and score is not None:
        return say[finding.code].format(score=f"{score:.3f}")
    return say[f"{finding.code}-plain"]


def _split(seen: Look, say: Mapping[str, str]) -> Iterator[Line]:
    if seen.sides is not None:
        yield f"split: {compact({'column': seen.sides})}", say["split-column"]
        return
    if seen.sided:
        yield "", say["split-files"]
        return
    yield "split: {test: 0.2}", say["split-content"]
    dated = next((c.name for c in seen.dataset.schema.of(Kind.TIME)), None)
    yield "", say["split-more"].format(time=say["some"] if dated is None else compact(dated))


def _quality(seen: Look, say: Mapping[str, str], lang: str) -> Iterator[Line]:
    aim = metric(seen.dataset.task.aim)
    about = ABOUT_IN_CHINESE.get(aim.name, aim.about) if lang == "zh" else aim.about
    yield "quality:", say["quality"]
    yield f"  metric: {aim.name}", say["metric"].format(about=about.rstrip("."))
    asked, tolerance = ("at_least: 0.8", "0.01") if aim.better == "higher" else _error_targets(seen)
    yield f"  # {asked}", say["target-line"]
    yield f"  tolerance: {tolerance}", say["tolerance"]


def _error_targets(seen: Look) -> tuple[str, str]:
    """Return a target and a tolerance in the unit of the predicted number: a half and a hundredth of its spread."""
    spread = float(seen.dataset.originals.target.std())
    return f"at_most: {float(f'{spread / 2:.2g}'):g}", f"{float(f'{spread / 100:.1g}'):g}"


def _value(seen: Look, say: Mapping[str, str]) -> Iterator[Line]:
    amounts = {
        Problem.BINARY: "{true_positive: 10 USD, false_positive: -1 USD}",
        Problem.MULTICLASS: "{right: 1 USD, wrong: -1 USD}",
    }.get(seen.dataset.task.problem)
    if amounts is not None:
        yield f"# value: {amounts}", say["value"]


def _aligned(lines: list[Line | None]) -> Iterator[str]:
    width = max((len(line[0]) for line in lines if line and len(line[0]) <= _MOST_ALIGNED), default=0)
    for line in lines:
        if line is None:
            yield ""
        elif not line[0]:
            yield f"# {line[1]}"
        else:
            yield f"{line[0]:<{width}}  # {line[1]}"


def _shown(word: str) -> str:
    """Return a class in one line of a comment."""
    flat = " ".join(word.split())
    return flat if len(flat) <= 30 else f"{flat[:27]}..."


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "_-" else "-" for c in name).strip("-")[:60]
    return kept or "data"
