"""What every bundle must keep, whoever trained it: ``check_bundle(folder)``.

Each check is a function with a claim; it raises ``AssertionError`` with a sentence where the claim does not hold.
No test runner is needed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from steelyard.bundle import About, Bundle, load, write
from steelyard.bundle.manifest import CARD, Single
from steelyard.contracts import Answer, Column, Kind, Problem, Schema
from steelyard.contracts.ragged import flattened
from steelyard.data.waves import encode
from steelyard.errors import BundleRefused, RowsRefused

_NEAR = 1e-5
_WORDS = ["the", "parcel", "never", "came", "but", "客服", "was", "kind", "and", "退款", "took", "three", "days"]
_CODE = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".npy", ".py", ".pyc", ".so", ".dll"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A bundle under test with raw rows for it."""

    folder: Path
    bundle: Bundle
    rows: Sequence[Mapping[str, Any]]


Check = Callable[[Subject], None]


def check_bundle(folder: Path, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Run every check on a bundle, with rows of your own or with rows made up from its schema.

    Raises
    ------
    AssertionError
        With the first claim that does not hold.
    """
    bundle = load(folder)
    subject = Subject(folder=folder, bundle=bundle, rows=rows_for(bundle.schema) if rows is None else rows)
    for check in yield_checks(subject):
        check(subject)


def yield_checks(subject: Subject) -> Iterator[Check]:
    """Yield the checks that apply to a bundle."""
    yield check_it_holds_no_code
    yield check_the_card_says_what_is_known
    yield check_answers_are_of_the_task
    yield check_a_row_is_answered_as_among_others
    yield check_the_order_of_rows_does_not_matter
    yield check_the_same_rows_get_the_same_answer
    yield check_threads_do_not_matter
    yield check_no_rows_get_no_answers
    yield check_missing_and_unseen_cells_are_answered
    yield check_a_missing_column_is_named
    yield check_extra_columns_are_ignored
    yield check_any_change_is_refused
    if isinstance(subject.bundle.manifest.model, Single):
        yield check_its_artefact_is_the_whole_model


def rows_for(schema: Schema, count: int = 12, seed: int = 0) -> list[dict[str, Any]]:
    """Return made-up rows for a schema; the same seed gives the same rows.

    Examples
    --------
    >>> rows_for(Schema((Column(name="age", kind=Kind.NUMBER, low=0, high=1),)), count=1)
    [{'age': 0.6369616873214543}]
    """
    random = np.random.default_rng(seed)
    return [{column.name: _cell(column, random) for column in schema.features} for _ in range(count)]


def _cell(column: Column, random: np.random.Generator) -> Any:  # noqa: PLR0911 - one return a kind
    match column.kind:
        case Kind.TEXT:
            return " ".join(random.choice(_WORDS, size=random.integers(0, 20)))
        case Kind.IMAGE:
            side = int(random.integers(8, 40))
            return Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8))
        case Kind.AUDIO:
            rate = int(random.choice([8_000, 16_000, 44_100]))
            return encode(random.normal(scale=0.1, size=int(random.integers(rate // 10, rate))), rate)
        case Kind.SEQUENCE:
            shape = (int(random.integers(1, 40)), len(column.channels))
            return [[None if random.random() < 0.1 else float(value) for value in r] for r in random.normal(size=shape)]
        case Kind.CATEGORY:
            return str(random.choice(["a", "b", "yes", "no", "1"]))
        case Kind.TOKENS:
            return random.choice(_WORDS, size=random.integers(0, 20)).tolist()
    low = -3.0 if column.low is None else column.low
    high = 3.0 if column.high is None else column.high
    return float(low + (high - low) * random.random())


# ---------------------------------------------------------------------------------------------- checks


def check_it_holds_no_code(subject: Subject) -> None:
    """See that a bundle holds graphs and plain data: nothing that runs by being read."""
    for path in sorted(p for p in subject.folder.rglob("*") if p.is_file()):
        assert path.suffix not in _CODE, f"{path.name} is of a kind that can hold code"
        with path.open("rb") as file:
            start = file.read(2)
        # A pickle of protocol 2 or later starts so; an ONNX model starts with its version, field 1.
        assert not (start[:1] == b"\x80" and start[1:] <= b"\x05"), f"{path.name} is a pickle"


def check_the_card_says_what_is_known(subject: Subject) -> None:
    """See that the card names the target, the data and every column that is read."""
    card, manifest = (subject.folder / CARD).read_text(errors="surrogatepass"), subject.bundle.manifest
    for word in (manifest.task.target, manifest.fingerprint):
        assert word in card, f"the card does not speak of {word!r}"
    for value in manifest.signature.inputs:
        assert f"| {value.name} |" in card.replace("\\|", "|"), f"the card does not list column {value.name!r}"


def check_answers_are_of_the_task(subject: Subject) -> None:
    """See that scores are probabilities of the task's classes, or one finite value a row, and decisions of the task."""
    task, answer = subject.bundle.task, subject.bundle.answer_rows(subject.rows)
    shape = (len(subject.rows), task.width)
    if task.problem is Problem.TAGGING:  # a token is judged as a row is elsewhere
        assert len(answer.scores) == len(answer.decided) == shape[0], "not every row is answered"
        tokens = flattened(answer.scores)[0]
        answer = Answer(tokens, flattened(answer.decided)[0].astype(np.int64))
        shape = (len(answer.decided), task.width)
    assert answer.scores.shape == shape, f"scores have shape {answer.scores.shape}, not {shape}"
    assert answer.scores.dtype == np.float64, f"scores are {answer.scores.dtype}, not float64"
    assert np.isfinite(answer.scores).all(), "a score is not finite"
    assert answer.decided.shape == shape[:1], f"decisions have shape {answer.decided.shape}, not {shape[:1]}"
    if task.problem is Problem.REGRESSION:
        return
    assert (answer.scores >= 0).all(), "a probability is negative"
    assert np.allclose(answer.scores.sum(axis=1), 1.0, atol=1e-9), "the probabilities of a row do not sum to one"
    assert set(answer.decided.tolist()) <= set(range(task.width)), "a decision is no class of the task"


def check_a_row_is_answered_as_among_others(subject: Subject) -> None:
    """See that one row as a dict gets the answer that it gets in a batch."""
    many = subject.bundle.answer_rows(subject.rows)
    for number, row in enumerate(subject.rows):
        alone = subject.bundle.answer_row(row)
        _same(alone.scores, many.scores[number : number + 1], f"row {number} alone and among others")


def check_the_order_of_rows_does_not_matter(subject: Subject) -> None:
    """See that rows in reverse get the same answers, in reverse."""
    forward = subject.bundle.answer_rows(subject.rows).scores
    backward = subject.bundle.answer_rows(list(reversed(subject.rows))).scores
    _same(forward, backward[::-1], "rows in order and in reverse")


def check_the_same_rows_get_the_same_answer(subject: Subject) -> None:
    """See that nothing random is left: the same rows get the same scores bit for bit, from a second copy too."""
    first = subject.bundle.answer_rows(subject.rows)
    for bundle in (subject.bundle, load(subject.folder)):
        again = bundle.answer_rows(subject.rows)
        pairs = ((first.scores, again.scores), (first.decided, again.decided))
        equal = all(np.array_equal(_table(one), _table(other)) for one, other in pairs)
        assert equal, "the same rows got another answer the second time"


def check_threads_do_not_matter(subject: Subject) -> None:
    """See that two threads give what one gives."""
    two = load(subject.folder, threads=2).answer_rows(subject.rows)
    _same(subject.bundle.answer_rows(subject.rows).scores, two.scores, "one thread and two")


def check_no_rows_get_no_answers(subject: Subject) -> None:
    """See that an empty table is answered by an empty answer of the right shape."""
    answer = subject.bundle.answer_rows({column.name: [] for column in subject.bundle.reads.features})
    tags = subject.bundle.task.problem is Problem.TAGGING
    shape = (0,) if tags else (0, subject.bundle.task.width)
    assert answer.scores.shape == shape, f"no rows got scores of shape {answer.scores.shape}, not {shape}"


def check_missing_and_unseen_cells_are_answered(subject: Subject) -> None:
    """See that missing numbers, unseen categories and empty text get an answer; files alone must be there."""
    usual = subject.rows[0]
    kinds = {column.name: column.kind for column in subject.bundle.reads.features}
    empty = {name: (usual[name] if kind in (Kind.IMAGE, Kind.AUDIO) else None) for name, kind in kinds.items()}
    unseen = {name: ("never seen before" if kind is Kind.CATEGORY else empty[name]) for name, kind in kinds.items()}
    for row in (empty, unseen):
        _finite(_tried(subject.bundle, row, "missing or unseen cells"), "missing or unseen cells")


def check_a_missing_column_is_named(subject: Subject) -> None:
    """See that rows without a column that is read are refused, one or many, by a sentence that names it."""
    for name in (column.name for column in subject.bundle.reads.features):
        fewer = [{key: cell for key, cell in row.items() if key != name} for row in subject.rows]
        for ask in (subject.bundle.answer_rows, lambda rows: subject.bundle.answer_row(rows[0])):
            sentence = _refusal(ask, fewer)
            assert sentence, f"rows without column {name!r} were answered"
            assert repr(name) in sentence, f"the refusal does not name column {name!r}: {sentence}"


def check_extra_columns_are_ignored(subject: Subject) -> None:
    """See that a column that nobody asked for changes nothing."""
    more = [{**row, "a column of nobody": "x"} for row in subject.rows]
    usual = subject.bundle.answer_rows(subject.rows).scores
    _same(usual, subject.bundle.answer_rows(more).scores, "rows with and without an extra column")
    _same(usual[:1], subject.bundle.answer_row(more[0]).scores, "a row with and without an extra column")


def check_any_change_is_refused(subject: Subject) -> None:
    """See that a flipped byte in any file, a cut one, an added and a removed one are refused before anything runs."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "copy"
        shutil.copytree(subject.folder, copy)
        for path in sorted(p for p in copy.rglob("*") if p.is_file()):
            content = path.read_bytes()
            flipped = bytearray(content)
            flipped[len(content) // 2] ^= 1
            for change, changed in (("a flipped byte in", bytes(flipped)), ("a cut", content[:-1])):
                path.write_bytes(changed)
                _must_refuse(copy, f"{change} {path.relative_to(copy)}")
            path.unlink()
            _must_refuse(copy, f"the loss of {path.relative_to(copy)}")
            path.write_bytes(content)
        (copy / "added.bin").write_bytes(b"x")
        _must_refuse(copy, "an added file")


def check_its_artefact_is_the_whole_model(subject: Subject) -> None:
    """See that the artefact written anew answers alike: shrinking levers start from it."""
    bundle = subject.bundle
    about = About(bundle.task, bundle.schema, bundle.recipe, bundle.manifest.fingerprint)
    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / "again", bundle.artefact(), about)
        again = load(Path(place) / "again").answer_rows(subject.rows)
    _same(bundle.answer_rows(subject.rows).scores, again.scores, "the bundle and its artefact written anew")


# --------------------------------------------------------------------------------------------- helpers


def _table(scores: Any) -> Any:
    """Return scores as one table: those of rows of tokens one behind the other."""
    return flattened(scores)[0] if scores.dtype == object else scores


def _same(first: Any, second: Any, what: str) -> None:
    first, second = _table(first), _table(second)
    apart = float(np.abs(np.asarray(first) - np.asarray(second)).max(initial=0.0))
    close = np.allclose(first, second, rtol=_NEAR, atol=_NEAR)
    assert close, f"{what} differ by {apart:.3g} in a score"


def _tried(bundle: Bundle, row: Mapping[str, Any], what: str) -> Answer:
    try:
        return bundle.answer_row(row)
    except (RowsRefused, BundleRefused) as refusal:
        raise AssertionError(f"{what} got no answer: {refusal}") from refusal


def _refusal(ask: Callable[[Any], Answer], rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        ask(rows)
    except RowsRefused as refusal:
        return str(refusal)
    return ""


def _finite(answer: Answer, what: str) -> None:
    assert np.isfinite(_table(answer.scores)).all(), f"{what} got a score that is not finite"


def _must_refuse(folder: Path, what: str) -> None:
    try:
        load(folder)
    except BundleRefused:
        return
    raise AssertionError(f"{what} went unnoticed")
