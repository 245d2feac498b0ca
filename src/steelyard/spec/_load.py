"""A spec from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steelyard.errors import SpecInvalid, nearest
from steelyard.spec._gather import complaint, gather
from steelyard.spec._spec import SHORT, Spec
from steelyard.spec._words import Problem
from steelyard.spec._yaml import read


def load(path: Path | str) -> Spec:
    """Read a spec from a YAML file in UTF-8.

    Raises
    ------
    SpecInvalid
        If there is no such file, it is not YAML, or it has problems: all of them are listed, each with its line.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecInvalid(
            f"there is no spec at {file}{_neighbour(file)}; `steelyard init DATA --target COLUMN` drafts one"
        ) from None
    except IsADirectoryError:
        raise SpecInvalid(f"{file} is a folder; name the YAML file in it") from None
    except UnicodeDecodeError as problem:
        raise SpecInvalid(
            f"{file} is not text in UTF-8 (byte {problem.start}); save it as UTF-8. "
            "If it is the data, `steelyard init FILE --target COLUMN` drafts a spec for it."
        ) from None
    except OSError as problem:
        raise SpecInvalid(f"{file} cannot be read: {problem.strerror}; check its path and permissions") from None
    return parse(text, source=str(file), folder=file.parent)


def parse(text: str, *, source: str = "the spec", folder: Path | None = None) -> Spec:
    r"""Read a spec from YAML text; ``source`` names it in messages, ``folder`` is where its prices are looked for.

    Raises
    ------
    SpecInvalid
        With every problem and its line.

    Examples
    --------
    >>> parse("data: credit.csv\ntarget: class\npositive: yes").positive
    'yes'
    >>> parse("data: credit.csv\ntarget: class\nquality:\n  at_leest: high")
    Traceback (most recent call last):
    steelyard.errors.SpecInvalid: the spec has 1 problem:
      quality.at_leest (line 4): no such field (did you mean 'at_least'?)
    """
    tree = read(text, source)
    found = [Problem(place, sentence) for place, sentence in tree.problems]
    if folder is not None:
        _place_traffic(tree.values, folder)
    found += gather(Spec, tree.values, SHORT)
    prices = tree.values.get("prices")
    if folder is not None and isinstance(prices, str) and not (folder / prices).is_file():
        found.append(Problem(("prices",), f"there is no file {folder / prices}"))
    if found:
        raise complaint(source, found, tree.lines)
    return Spec.model_validate(tree.values)


def _place_traffic(values: dict[str, Any], folder: Path) -> None:
    """Have the file of traffic looked for beside the spec."""
    serving = values.get("serving")
    for owner in (values, serving):
        traffic = owner.get("traffic") if isinstance(owner, dict) else None
        if isinstance(traffic, dict) and isinstance(traffic.get("file"), str):
            traffic["file"] = str(folder / traffic["file"])


def _neighbour(file: Path) -> str:
    if not file.parent.is_dir():
        return ""
    return nearest(file.name, [p.name for p in file.parent.iterdir() if p.suffix in (".yaml", ".yml")])
