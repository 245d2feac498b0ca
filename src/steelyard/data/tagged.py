"""The target of a tagging: a tag for each token, coded as IOB2, and everything about tags that stops a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Ints, Kind, Problem, Schema, Task
from steelyard.contracts.ragged import flattened
from steelyard.data.coerce import objects
from steelyard.data.dataset import Finding, Partition, Severity
from steelyard.data.fast import as_list
from steelyard.data.hashing import Hashes, hash_tokens
from steelyard.data.infer import Typed
from steelyard.data.table import Cells
from steelyard.data.target import Target, what_becomes
from steelyard.data.tokenised import NotTokens, tokens_of
from steelyard.spec import Spec
from steelyard.tasks.spans import OUTSIDE, as_iob2, codes_of, entities_in, spans_of, spells_entities, split_tag

_SHOWN = 5
_RARE = 10
"""Entities of a type below which its figures are rough."""


def code_tags(spec: Spec, cells: Cells, typed: Sequence[Typed], usable: NDArray[np.bool_] | None) -> Target:
    """Code the tags of each row; whatever their scheme, the codes are of IOB2.

    Parameters
    ----------
    spec
        Its ``target`` and ``checks.missing_target``.
    cells
        Lists of tags, or strings of tags with spaces between; one a row.
    typed
        The columns, one of tokens among them: there is a tag for each of these.
    usable
        The rows whose tokens can be used; all, where it is not given.
    """
    several, name = as_list(cells), spec.target
    try:
        tags = [_tags_of(cell) for cell in several]
    except NotTokens as problem:
        sentence = f"the target {name!r} holds {str(problem)[:80]}, which is no list of tags; write one tag a token"
        return _stopped(name, len(several), "misfit", sentence)
    column = next((t for t in typed if t.column.kind is Kind.TOKENS and t.values is not None), None)
    if column is None or column.values is None:
        return _stopped(name, len(several), "no_tokens", _no_tokens(name))
    missing = np.array([each is None for each in tags], dtype=bool)
    if missing.all():
        sentence = f"no row has tags in the target {name!r}; write a tag beside each token"
        return _stopped(name, len(several), "missing_target", sentence)
    if uneven := _uneven(name, tags, column):
        return _stopped(name, len(several), "uneven_tags", uneven)
    keep = ~missing if usable is None else ~missing & usable
    kept = [each if each is not None and keep[row] else () for row, each in enumerate(tags)]
    seen = {tag for each in kept for tag in each}
    if len(seen) < 2:
        what = f"the tag {next(iter(seen))!r}" if seen else "no tag"
        sentence = f"all tokens have {what} in the target {name!r}, so there is nothing to learn; add rows that differ"
        return _stopped(name, len(several), "one_class", sentence)
    findings = _missing(spec, missing)
    if spells_entities(seen):
        findings += _scheme(name, kept)
        kept = [tuple(as_iob2(each)) for each in kept]
        classes = _whole({tag for each in kept for tag in each})
    else:
        classes = tuple(sorted(seen))
        findings.append(_plain(name, classes))
    code = {tag: i for i, tag in enumerate(classes)}
    values = objects(np.array([code[tag] for tag in each], np.int64) for each in kept)
    return Target(Problem.TAGGING, classes, values, keep, tuple(findings))


def _tags_of(cell: object) -> tuple[str, ...] | None:
    """Return the tags of a cell; ``None`` where it is missing, or one of its tags is."""
    if isinstance(cell, list | tuple | np.ndarray) and any(tag is None or tag == "" for tag in cell):
        return None
    tags = tokens_of(cell)
    return tags if tags or isinstance(cell, list | tuple | np.ndarray) else None


def _no_tokens(name: str) -> str:
    return (
        f"there is no column of tokens for the tags in {name!r}; give a list of tokens in each row, or name a column "
        "of text that white space parts under columns: {tokens: [...]}"
    )


def _uneven(name: str, tags: Sequence[Sequence[str] | None], column: Typed) -> str:
    """Return what is wrong with a row that has more or fewer tags than tokens."""
    assert column.values is not None
    for row, (own, tokens) in enumerate(zip(tags, column.values, strict=True)):
        if own is not None and len(own) != len(tokens):
            return (
                f"row {row} (from 0) has {len(own):,} tags in {name!r} for {len(tokens):,} tokens in "
                f"{column.column.name!r}; give one tag a token"
            )
    return ""


def _stopped(name: str, rows: int, code: str, sentence: str) -> Target:
    stop = Finding(code=code, severity=Severity.STOP, column=name, sentence=sentence)
    return Target(None, (), objects([()] * rows), np.ones(rows, dtype=bool), (stop,))


def _missing(spec: Spec, missing: NDArray[np.bool_]) -> list[Finding]:
    count = int(missing.sum())
    if not count:
        return []
    share = f"{count:,} of {len(missing):,} rows have a token without a tag in {spec.target!r}"
    severity, sentence = what_becomes(spec, share, "tag them, or leave them out with checks: {missing_target: drop}")
    if spec.checks.missing_target == "use":
        severity, way_out = Severity.STOP, "leave them out with checks: {missing_target: drop}"
        sentence = f"{share}, and nothing learns from tokens without tags; {way_out}"
    numbers = {"rows": float(count)}
    return [Finding(code="missing_target", severity=severity, column=spec.target, sentence=sentence, numbers=numbers)]


def scheme_of(rows: Sequence[Sequence[str]]) -> str:
    """Return which scheme rows of tags keep: IOB2, IOB1, IOBES, BILOU, BMES, or ``""`` where they keep none.

    Examples
    --------
    >>> scheme_of([["I-per", "I-per", "B-per"]]), scheme_of([["B-per", "I-per", "O"]]), scheme_of([["U-per", "O"]])
    ('IOB1', 'IOB2', 'BILOU')
    """
    letters = {tag[:1] for row in rows for tag in row if tag != OUTSIDE}
    for scheme, own in (("BILOU", "LU"), ("BMES", "M"), ("IOBES", "ES")):
        if letters & set(own):
            return scheme
    begun = [(row, span) for row in rows for span in spans_of(row)]
    if all(row[span.start][:1] == "B" for row, span in begun):
        return "IOB2"
    ends = {(id(row), span.end, span.kind) for row, span in begun}
    needed = [(row[span.start][:1] == "B") == ((id(row), span.start, span.kind) in ends) for row, span in begun]
    return "IOB1" if all(needed) else ""


def _scheme(name: str, rows: Sequence[Sequence[str]]) -> list[Finding]:
    """Say that tags were read as another scheme than they are kept in, or keep none."""
    scheme = scheme_of(rows)
    if scheme == "IOB2":
        return []
    if scheme:
        sentence = (
            f"the tags in {name!r} keep {scheme} and are read as IOB2, the same entities; nothing needs to be done"
        )
        return [Finding(code="tag_scheme", severity=Severity.NOTE, column=name, sentence=sentence)]
    loose = sum(row[span.start][:1] == "I" for row in rows for span in spans_of(row))
    sentence = (
        f"{loose:,} entities in {name!r} begin with I instead of B, others do not; each is read as beginning there, "
        "correct the tags if that is not meant"
    )
    numbers = {"entities": float(loose)}
    return [Finding(code="loose_tags", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)]


def _plain(name: str, classes: Sequence[str]) -> Finding:
    odd = next((tag for tag in classes if split_tag(tag) is None), classes[0])
    sentence = (
        f"the tags in {name!r} spell no entities ({odd!r} begins with neither B- nor I-), so tokens are judged one by "
        "one; write B- and I- before the types to be judged by entities"
    )
    return Finding(code="plain_tags", severity=Severity.NOTE, column=name, sentence=sentence)


def _whole(tags: set[str]) -> tuple[str, ...]:
    """Return the tags of IOB2: O first, then B and I of each type, whether both were seen or not."""
    ends = sorted({tag[1:] for tag in tags if tag != OUTSIDE})
    return (OUTSIDE, *(f"{letter}{end}" for end in ends for letter in "BI"))


# ------------------------------------------------------------------------------------------- once it is split


def strata_of(target: NDArray[np.object_], task: Task) -> Ints:
    """Return 1 for rows that hold an entity and 0 for others, so that parts of a split hold equal shares of them."""
    begins = codes_of(task.classes).begins
    return np.fromiter((bool(begins[tags].any()) for tags in target), dtype=np.int64, count=len(target))


def hash_targets(target: NDArray[np.object_]) -> Hashes:
    """Return one hash for the tags of each row."""
    return hash_tokens(tuple(map(str, tags.tolist())) for tags in target)


def of_tags(target: NDArray[np.object_], task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield tags, or types of entities, that some part of the split lacks, or has too few of to be judged by."""
    names, counts = _counts(target, task, partition)
    what = "entities of type" if codes_of(task.classes).spells else "tokens of tag"
    lost = [name for name, own in zip(names, counts["development"], strict=True) if not own]
    if lost:
        sentence = (
            f"{what} {_listed(lost)} stand in test rows only, so no model can know them; change the split or add rows"
        )
        yield Finding(code="unseen_class", severity=Severity.WARN, column=task.target, sentence=sentence)
    untested = [
        n for n, own, test in zip(names, counts["development"], counts["test"], strict=True) if own and not test
    ]
    if untested:
        sentence = (
            f"{what} {_listed(untested)} stand in no test row, so the test says nothing of them; add rows of them"
        )
        yield Finding(code="untested_class", severity=Severity.WARN, column=task.target, sentence=sentence)
    least = np.minimum(counts["test"], counts["validation"])
    few = [(n, int(c)) for n, c in zip(names, least, strict=True) if 0 < c < _RARE]
    if few:
        sentence = (
            f"few {what} {_listed([name for name, _ in few])} are there to judge by, so that figures of each type are "
            "rough; add rows of them"
        )
        numbers = {"classes": float(len(few)), "least": float(min(c for _, c in few))}
        yield Finding(
            code="rough_class", severity=Severity.WARN, column=task.target, sentence=sentence, numbers=numbers
        )


def of_untagged(schema: Schema) -> Iterator[Finding]:
    """Yield columns of tokens where no token is tagged: no model reads them."""
    for column in schema.of(Kind.TOKENS):
        sentence = (
            f"column {column.name!r} is given as tokens, which only models that tag each of them read; list it under "
            "columns.text if its rows are texts, or write task: tagging"
        )
        yield Finding(code="untagged_tokens", severity=Severity.STOP, column=column.name, sentence=sentence)


def _counts(target: NDArray[np.object_], task: Task, partition: Partition) -> tuple[Sequence[str], dict[str, Ints]]:
    """Return types of entities (or tags, where they spell none), and how often each stands in some parts."""
    codes = codes_of(task.classes)
    sides = {"test": partition.test, "development": partition.development, "validation": partition.validation}
    found: dict[str, Ints] = {}
    for side, rows in sides.items():
        tags, lengths = flattened(target[rows])
        tags = tags.astype(np.int64)
        own = entities_in(tags, lengths, codes).kinds if codes.spells else tags
        found[side] = np.bincount(own, minlength=len(codes.kinds if codes.spells else task.classes))
    return (codes.kinds if codes.spells else task.classes), found


def of_conflicts(content: Hashes, target: NDArray[np.object_]) -> Iterator[Finding]:
    """Yield how many rows with the same tokens are tagged differently: no model can be right about all of them."""
    pairs = set(zip(content.tolist(), hash_targets(target).tolist(), strict=True))
    several = {unit for unit, count in Counter(unit for unit, _ in pairs).items() if count > 1}
    rows = sum(unit in several for unit in content.tolist())
    if rows:
        sentence = (
            f"{rows:,} of {len(target):,} rows outside the test have the same tokens as another row and other tags, so "
            "no model can be right about all of them; correct the tags that are wrong"
        )
        numbers = {"rows": float(rows), "share": rows / len(target)}
        yield Finding(code="conflicting_targets", severity=Severity.NOTE, sentence=sentence, numbers=numbers)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
