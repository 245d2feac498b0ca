"""The folder of ``--to c``: the header, a program that uses it, the manifest, and what there is to know."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from steelyard.bundle.opening import Opened
from steelyard.contracts import Problem
from steelyard.errors import ExportRefused, need
from steelyard.export.bundles import Source, graphs_of, manifest_of, write
from steelyard.export.c.graph import WAY_OUT
from steelyard.export.c.header import Header, example_of, header_of
from steelyard.export.c.measured import chosen
from steelyard.export.c.names import comment
from steelyard.export.c.rounding import leaves_of, rounded
from steelyard.export.formats import Given, Written

HEADER, EXAMPLE = "steelyard.h", "example.c"
_README = """\
# {target} in C

```c
#define STEELYARD_IMPLEMENTATION   /* in one file of the program */
#include "steelyard.h"
```

```console
$ cc -std=c99 -O2 -o example example.c -lm
$ printf '{row}\\n' | ./example
```

`steelyard.h` needs nothing but a C99 compiler and `<math.h>`; `example.c` shows its use and answers rows from its
standard input. `manifest.json` is that of the bundle: classes, columns, recipe, and the data it was trained on.

- tables: {flash:,} bytes; local arrays: at most {stack:,} bytes
{said}
"""


def folder(source: Source, given: Given) -> Written:
    """Write the folder.

    Raises
    ------
    ExportRefused
        If the bundle has no C form, or rows are needed to choose the width of its weights.
    MissingExtra
        If onnx is not installed.
    """
    assert given.out is not None, "a folder was asked for"
    opened = source.opened
    _check_task(opened)
    header_of(opened, 32, ())  # what has no C form is told before anything is asked or measured
    rows = source.rows(given.rows)
    if rows is None:
        bits, said = 16, _unmeasured(opened)
    else:
        found = chosen(opened, rows[0])
        bits, said = found.bits, found.said(rows[1])
    header = header_of(opened, bits, tuple(_wrapped(said)))
    files = {HEADER: header.text.encode(), EXAMPLE: example_of(header).encode(), **manifest_of(opened)}
    files["README.md"] = _readme(opened, header, said).encode()
    write(given.out, files)
    sizes = f"tables: {header.flash:,} bytes; local arrays: at most {header.stack:,} bytes"
    return Written(str(given.out), said=(sizes, said))


def _check_task(opened: Opened) -> None:
    if opened.manifest.task.problem not in {Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION}:
        raise ExportRefused(
            f"{opened.manifest.task.problem.value} has no C form here, which answers a row by a class or a number; "
            f"{WAY_OUT}"
        )


def _unmeasured(opened: Opened) -> str:
    """Return what is known of 16 bits without rows: trees add up rounding that has a bound.

    Raises
    ------
    ExportRefused
        If there are weights of another kind.
    """
    bound = max(_bound(one.artefact().graph) for _, one in graphs_of(opened))
    return (
        f"weights: 16 bits with a scale: the sum that a row's trees come to moves by {bound:.2g} at most (half a step "
        "a tree, a bound); no rows were given to count decisions on"
    )


def _bound(graph: bytes) -> float:
    """Return the farthest that a sum over trees can move: half a step for each of them."""
    model = need("onnx", for_="--to c").load_from_string(graph)
    trees = {
        node.output[0]: len(set(next(a.ints for a in node.attribute if a.name == "target_treeids")))
        for node in model.graph.node
        if node.op_type == "TreeEnsembleRegressor"
    }
    found = 0.0
    for name, made in rounded(graph, 16)[1].items():
        count = trees.get(name) or len(leaves_of(model.graph, name))
        if not count and not (made.step == 1).all():
            raise ExportRefused(
                "what rounding does to a linear model shows on rows alone; give some with --rows FILE, or name the "
                "run instead of its bundle"
            )
        found += count * float(made.step.max()) / 2
    return found


def _wrapped(said: str) -> Iterator[str]:
    yield from textwrap.wrap(comment(said), 110)


def _readme(opened: Opened, header: Header, said: str) -> str:
    row = "\\t".join("0" if not field.is_category else "" for field in header.fields)
    return _README.format(
        target=opened.manifest.task.target, row=row, flash=header.flash, stack=header.stack, said=f"- {said}"
    )
