"""How a bundle comes to be: written aside, brought to the disk, renamed."""

from __future__ import annotations

import datetime as dt
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from steelyard import recipe as recipes
from steelyard.bundle import disk
from steelyard.bundle.card import card
from steelyard.bundle.graphs import check_graph, look
from steelyard.bundle.manifest import (
    CARD,
    FILES,
    GRAPH,
    MANIFEST,
    PROTOCOL,
    SEAL,
    File,
    Manifest,
    Several,
    Single,
    seal,
    signature_of,
)
from steelyard.bundle.opening import Opened, read
from steelyard.bundle.rules import check_rule
from steelyard.bundle.running import extractors
from steelyard.bundle.stakes import Stakes
from steelyard.bundle.tagging import tokens_column
from steelyard.contracts import Artefact, Problem, Rule, Schema, Task
from steelyard.errors import BundleRefused
from steelyard.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Joined:
    """Finished bundles to be joined by a rule; they are copied into the new one."""

    rule: Rule
    members: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What a bundle is told to say of itself. ``extra`` is plain JSON (rounds, protocol, seed ...)."""

    task: Task
    schema: Schema
    recipe: Recipe
    fingerprint: str
    extra: Mapping[str, Any] = field(default_factory=dict)


def write(folder: Path, model: Artefact | Joined, about: About) -> None:
    """Write a bundle: complete, or not at all.

    Raises
    ------
    BundleRefused
        If the model could not be loaded back: an unsafe graph, an unknown front end, a rule that does not fit.
    RunUnwritable
        If the folder exists already, or the disk refuses.
    """
    described, reads, files = _single(model, about) if isinstance(model, Artefact) else _several(model, about)
    # A model that reads no column still has to be told how many rows there are.
    inputs = [c for c in about.schema.features if c.name in reads or not reads]
    manifest = Manifest(
        protocol=PROTOCOL,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        task=about.task,
        columns=about.schema.columns,
        signature=signature_of(about.task, inputs),
        recipe=recipes.to_json(about.recipe),
        fingerprint=about.fingerprint,
        model=described,
        files={},
        extra={**about.extra, **_origin(model), **_operators(model)},
    )
    files[CARD] = card(manifest, about.recipe, sum(map(len, files.values()))).encode(errors="surrogatepass")
    listed = {name: File.of(content) for name, content in sorted(files.items())}
    content = manifest.model_copy(update={"files": listed}).to_bytes()
    disk.write(folder, {**files, MANIFEST: content, SEAL: seal(content)})


def _origin(model: Artefact | Joined) -> dict[str, str]:
    """Return where weights came from that were trained before, if there are any."""
    return {"pretrained": model.pretrained} if isinstance(model, Artefact) and model.pretrained else {}


def _operators(model: Artefact | Joined) -> dict[str, list[str]]:
    """Return the operators that a graph needs of ONNX Runtime beside the standard ones, if there are any."""
    seen = look(model.graph).operators if isinstance(model, Artefact) else {}
    own = sorted(name for domain, name in seen if domain == "com.microsoft")
    return {"operators": own} if own else {}


def amend(folder: Path, more: Mapping[str, Any]) -> None:
    """Add to what a bundle says of itself; only one that is not in its place yet may be changed.

    Raises
    ------
    BundleRefused
        If it is not as it was written.
    RunUnwritable
        If the disk refuses.
    """
    found = read(folder)
    content = found.manifest.model_copy(update={"extra": {**found.manifest.extra, **more}}).to_bytes()
    aside = folder.with_name(f"{folder.name}.amended")
    disk.write(aside, {**found.files, MANIFEST: content, SEAL: seal(content)})
    shutil.rmtree(folder)
    aside.rename(folder)


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("steelyard", "onnxruntime", "numpy", "pillow")}
    return {"python": platform.python_version(), **packages}


def _single(model: Artefact, about: About) -> tuple[Single, set[str], dict[str, bytes]]:
    check_graph(model.graph)
    extractors(model.feeds, model.files, about.schema)
    described = Single(graph=GRAPH, feeds=model.feeds, files=tuple(sorted(model.files)))
    reads = {name for feed in model.feeds for name in feed.columns}
    reads |= Stakes(about.task, about.schema).columns if reads else set()
    reads |= {tokens_column(about.schema)} if about.task.problem is Problem.TAGGING else set()
    return described, reads, {GRAPH: model.graph, **{FILES + name: content for name, content in model.files.items()}}


def _several(model: Joined, about: About) -> tuple[Several, set[str], dict[str, bytes]]:
    check_rule(model.rule, len(model.members), about.task)
    names = tuple(f"members/{number}" for number in range(len(model.members)))
    reads: set[str] = set()
    files: dict[str, bytes] = {}
    for name, source in zip(names, model.members, strict=True):
        member = read(source)
        same_question(member, about.task, str(source))
        reads |= {value.name for value in member.manifest.signature.inputs}
        files |= {f"{name}/{path}": content for path, content in member.files.items()}
    return Several(rule=dict(model.rule), members=names), reads, files


def same_question(member: Opened, task: Task, name: str) -> None:
    """Refuse a member that answers another question than the bundle it stands in."""
    asked, answered = (
        (each.problem, each.classes, *((each.horizon, each.series) if each.series else ()))
        for each in (task, member.manifest.task)
    )
    if asked != answered:
        raise BundleRefused(f"member {name} answers {answered}, not {asked}; join bundles of one task only")
