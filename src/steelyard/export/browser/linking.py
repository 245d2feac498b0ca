"""The modules under ``web`` as one script: what a page on a disk can load, where a browser imports no files.

The modules keep a form that makes this plain: named imports from beside them, named exports, and no name twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_LIST = re.compile(r"^export \{([^}]*)\};\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)


@cache
def source(name: str) -> str:
    """Return the text of a file under ``web``."""
    return files("steelyard.export.browser").joinpath(f"web/{name}").read_text(encoding="utf-8")


def modules(entry: str) -> tuple[str, ...]:
    """Return a module and all that it imports, each behind those that it needs.

    Examples
    --------
    >>> modules("rules.js")
    ('scores.js', 'rules.js')
    """
    return tuple(dict.fromkeys(_walk(entry)))


def _walk(name: str) -> Iterator[str]:
    for needed in _IMPORT.findall(source(name)):
        yield from _walk(needed)
    yield name


def linked(entry: str) -> str:
    """Return a module and all that it imports as one text, without imports and exports."""
    texts = (_LIST.sub("", _IMPORT.sub("", source(name))) for name in modules(entry))
    return "\n".join(_EXPORT.sub("", text) for text in texts)


def library(entry: str, *names: str) -> str:
    """Return a module that needs no others and exports some names."""
    return f"{linked(entry)}\nexport {{ {', '.join(names)} }};\n"


def script(entry: str) -> str:
    """Return a classic script that leaves no name behind."""
    return f'(() => {{\n"use strict";\n{linked(entry)}}})();\n'
