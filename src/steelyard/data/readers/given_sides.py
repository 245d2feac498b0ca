"""Files that are each one side of a split: named in the spec, or by what they are called in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.data.coerce import objects
from steelyard.data.conll import CONLL_ENDINGS, TOKENS, read_conll
from steelyard.data.fast import is_strings
from steelyard.data.plain import ending_of
from steelyard.data.sides import SIDE_OF, SIDES
from steelyard.data.table import Cells, Table
from steelyard.errors import DataUnreadable, need


def conll_table(path: Path, target: str) -> Table:
    """Return a CoNLL file as a table: a column of tokens, and the target.

    Raises
    ------
    DataUnreadable
        If it cannot be read, or no sentence has tags.
    """
    found = read_conll(path)
    if not found.is_tagged:
        raise DataUnreadable(f"{path} holds tokens without tags; write the tag of each behind it, with a tab between")
    name = TOKENS if target != TOKENS else "words"
    columns: dict[str, Cells] = {name: objects(found.tokens), target: objects(found.tags)}
    return Table(name=path.name.partition(".")[0], source=str(path), columns=columns, folder=path.resolve().parent)


def sides_in(folder: Path) -> dict[str, Path]:
    """Return the CoNLL files of a folder by the side that their names say; none where there is no such file.

    Raises
    ------
    DataUnreadable
        If a name says no side, or two files say the same.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if ending_of(path) not in CONLL_ENDINGS or path.name.startswith("."):
            continue
        words = set(path.name.lower().replace("-", ".").replace("_", ".").split("."))
        said = {side for word, side in SIDE_OF.items() if word in words}
        if len(said) != 1:
            raise DataUnreadable(
                f"the name of {path} does not say whether it is for train, validation or test; rename it, or name the "
                "files in the spec: data: {train: ..., test: ...}"
            )
        side = said.pop()
        if side in found:
            raise DataUnreadable(f"{found[side]} and {path} are both for {side}; join them, or name one in the spec")
        found[side] = path
    return found


def joined_sides(files: Mapping[str, Path], read: Callable[[Path], Table], name: str, source: str) -> Table:
    """Return several files as one table that knows the side of each row.

    Raises
    ------
    DataUnreadable
        If there is none for training or none for the test, their columns differ, or one is too large to be read whole.
    """
    lacking = [side for side in ("train", "test") if side not in files]
    if lacking:
        raise DataUnreadable(f"{source} has no file for {lacking[0]}; name one for train and one for test at least")
    tables = {side: read(files[side]) for side in SIDES if side in files}
    first = tables["train"]
    for side, table in tables.items():
        if list(table.columns) != list(first.columns):
            odd = sorted(set(table.columns) ^ set(first.columns)) or list(table.columns)
            raise DataUnreadable(f"{table.source}: the columns of {side} differ from those of train in {odd[0]!r}")
        if table.drawn is not None or table.images:
            raise DataUnreadable(
                f"{table.source} cannot be one of several files: join them, with a column for the side"
            )
    columns = {column: _stacked([table.columns[column] for table in tables.values()]) for column in first.columns}
    sides = np.repeat(np.array(list(tables), np.str_), [table.rows for table in tables.values()])
    return replace(first, name=name, source=source, columns=columns, sides=sides)


def _stacked(several: list[Cells]) -> Cells:
    if all(is_strings(cells) for cells in several):
        return cast("Cells", need("polars", for_="reading a table").concat(several))
    arrays: list[NDArray[Any]] = [objects(c.to_list()) if is_strings(c) else np.asarray(c) for c in several]
    if any(array.dtype == object for array in arrays):
        return objects(cell for array in arrays for cell in array)
    return np.concatenate(arrays)
