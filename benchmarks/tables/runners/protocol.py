"""What the harness asks of a tool, and how a table reaches it: the same cells for all, as a data frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One fit: the set's folder, where to leave the model, and what is asked."""

    data: Path
    folder: Path
    columns: Mapping[str, str]
    """Kind of each feature: ``number`` or ``text``."""
    target: str
    problem: str
    metric: str
    budget: int
    """Seconds that a search is told; 0 for a model that has no budget."""
    seed: int
    threads: int
    options: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read a job from its JSON."""
        facts = json.loads(path.read_text(encoding="utf-8"))
        return cls(**facts | {"data": Path(facts["data"]), "folder": Path(facts["folder"])})

    @property
    def text(self) -> list[str]:
        """The columns of text."""
        return [name for name, kind in self.columns.items() if kind == "text"]


class Model(Protocol):
    """A model that was kept on disk and is loaded again."""

    classes: Sequence[str] | None
    """Names of the classes in the order of the probabilities; ``None`` for values."""
    size_bytes: int
    """What its documentation says to deploy, on disk."""

    def many(self, table: Any) -> Any:
        """Answer a whole table: probabilities of shape (n, classes), or values of shape (n,)."""
        ...

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        """Return the ways to answer one row as a dict, the documented one first; each gives what ``many`` gives."""
        ...


def read_table(job: Job, name: str) -> Any:
    """Read ``train.csv`` or ``test.csv``: an empty cell is missing, and nothing else is."""
    import pandas as pd

    types: dict[str, Any] = dict.fromkeys(job.text, str)
    if job.problem != "regression":
        types[job.target] = str
    return pd.read_csv(job.data / name, dtype=types, keep_default_na=False, na_values=[""])


def as_frame(answer: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a call that answers one dict by way of a data frame of one row."""
    import pandas as pd

    def one(row: Mapping[str, Any]) -> Any:
        return answer(pd.DataFrame([row]))

    return one


def bytes_under(path: Path) -> int:
    """Return the bytes of a file, or of every file in a folder."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
