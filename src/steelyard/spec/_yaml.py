"""YAML as a spec needs it: every value with its line, and nothing that YAML guesses.

The scalars are those of YAML 1.2's core schema without booleans, since no field of a spec is one: ``yes``, ``no``,
``on``, ``true`` and dates stay the words that were written, so ``positive: yes`` names the class ``yes``. Aliases
and tags are refused: a spec has no use for them, and without them nothing in a file can grow or run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from steelyard.errors import SpecInvalid

MOST_CHARACTERS = 200_000
DEEPEST = 20

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"(?:[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
        list("-+0123456789."),
    ),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - aliases are refused when read
        return True


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^{_pattern}$"), _first)


@dataclass(slots=True)
class Tree:
    """What a file says: plain values, the line (from 1) of every name, and what is wrong with its form."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    problems: list[tuple[tuple[str | int, ...], str]] = field(default_factory=list)


def read(text: str, source: str) -> Tree:
    """Read one YAML document that is a mapping.

    Raises
    ------
    SpecInvalid
        If the text is not YAML, is empty, or is no mapping. What is merely doubled or of a strange form is
        listed in ``problems``.
    """
    _scan(text, source)
    root = yaml.compose(text, Loader=_Loader)
    if root is None:
        raise SpecInvalid(f"{source} is empty; a spec names at least `data` and `target`")
    if not isinstance(root, yaml.MappingNode):
        raise SpecInvalid(
            f"{source} is no spec: it must hold `name: value` lines, at least `data:` and `target:`. "
            "If it is the data, `steelyard init FILE --target COLUMN` drafts a spec for it."
        )
    tree = Tree()
    tree.values = _build(root, (), tree)
    return tree


def dump(values: Mapping[str, Any]) -> str:
    """Write plain values so that :func:`read` gives them back."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def compact(values: object) -> str:
    """Write plain values on one line, as in ``{test: 0.2, group: customer}``."""
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _scan(text: str, source: str) -> None:
    """Refuse what must not be built: too long, too deep, aliases, several documents, broken YAML."""
    if len(text) > MOST_CHARACTERS:
        raise SpecInvalid(
            f"{source} holds {len(text):,} characters; a spec is a page. "
            "If it is the data, `steelyard init FILE --target COLUMN` drafts a spec for it."
        )
    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            line = _line(event)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if isinstance(event, yaml.AliasEvent):
                raise SpecInvalid(f"{source}, line {line}: aliases (*name) are not part of a spec; write the value out")
            if depth > DEEPEST or documents > 1:
                what = "is nested too deeply for a spec" if depth > DEEPEST else "begins a second document; keep one"
                raise SpecInvalid(f"{source}, line {line}: this {what}")
    except yaml.YAMLError as problem:
        raise SpecInvalid(f"{source}{_why(problem, text)}") from None


def _line(of: yaml.Event | yaml.Node) -> int:
    """Return the line, from 1, on which something starts."""
    return of.start_mark.line + 1 if of.start_mark else 1


def _why(problem: yaml.YAMLError, text: str) -> str:
    if isinstance(problem, yaml.reader.ReaderError):
        line = text.count("\n", 0, problem.position) + 1
        return f", line {line}: holds a control character; a spec is plain text"
    mark = getattr(problem, "problem_mark", None)
    if mark is None:
        return f" is not YAML: {problem}"
    lines = text.splitlines()
    here = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in here[: max(mark.column + 1, len(here) - len(here.lstrip()))]:
        return f", line {mark.line + 1}: holds a tab where YAML wants spaces; indent with spaces"
    return f", line {mark.line + 1}, column {mark.column + 1}: is not YAML: {getattr(problem, 'problem', problem)}"


def _build(node: yaml.Node, place: tuple[str | int, ...], tree: Tree) -> Any:
    tree.lines.setdefault(place, _line(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, tree)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*place, i), tree) for i, item in enumerate(node.value)]
    return _scalar(node, place, tree)


def _mapping(node: yaml.MappingNode, place: tuple[str | int, ...], tree: Tree) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        line = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            tree.problems.append((place, f"a name on line {line} is a list or a mapping; names are plain words"))
            continue
        inner = (*place, key.value)
        if key.value in values:
            tree.problems.append((inner, f"given twice, on lines {tree.lines[inner]} and {line}; keep one"))
            continue
        tree.lines[inner] = line
        values[key.value] = _build(value, inner, tree)
    return values


def _scalar(node: yaml.Node, place: tuple[str | int, ...], tree: Tree) -> Any:
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "int":
            return int(text)
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    tree.problems.append((place, f"tags such as {node.tag.replace(_TAG, '!!')} are not part of a spec; take it off"))
    return text
