"""The text of the header: what a row is, what its values are called, and the code that answers it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.bundle.manifest import Single
from steelyard.bundle.opening import Opened
from steelyard.contracts import Column, Kind, Task
from steelyard.errors import ExportRefused
from steelyard.export.c.code import Code, array
from steelyard.export.c.graph import WAY_OUT
from steelyard.export.c.helpers import helpers_of
from steelyard.export.c.names import Names, comment, string
from steelyard.export.c.rules import Functions

LARGEST = 8 * 2**20
"""Bytes of tables beyond which no header is written."""
NAMED = 64
"""Values of a category up to which each has an enumerator."""
_READS = {Kind.NUMBER, Kind.TIME, Kind.CATEGORY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a row: its name in C, and of a category its values in the order of their codes, from 1."""

    column: Column
    name: str
    values: tuple[str, ...] = ()

    @property
    def is_category(self) -> bool:
        """Whether a row holds its code."""
        return self.column.kind is Kind.CATEGORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header, and what there is to say of it.

    ``flash`` is the number of bytes of its tables without the names of values, ``stack`` at most those of local
    arrays.
    """

    text: str
    fields: tuple[Field, ...]
    prefix: str
    flash: int
    stack: int
    double: bool
    """Whether rows hold doubles and nothing else may be chosen, as a time is read."""


def fields_of(opened: Opened) -> tuple[Field, ...]:
    """Return the columns that a bundle reads, in the order of its table.

    Raises
    ------
    ExportRefused
        If one is of a kind that C rows do not hold.
    """
    read = _read(opened)
    names = Names("column")
    found = []
    for column in opened.manifest.columns:
        if column.name in read:
            if column.kind not in _READS:
                raise ExportRefused(
                    f"column {column.name!r} is {column.kind.value}, and a row of C holds numbers, times and "
                    f"categories; {WAY_OUT}"
                )
            found.append(Field(column=column, name=names.take(column.name)))
    return tuple(found)


def _read(opened: Opened) -> set[str]:
    model = opened.manifest.model
    if isinstance(model, Single):
        return {column for feed in model.feeds for column in feed.columns}
    return {column for name in model.members for column in _read(opened.member(name))}


def header_of(opened: Opened, bits: int, said: tuple[str, ...], prefix: str = "steelyard") -> Header:
    """Return the header of a bundle whose weights have so many bits, 32 for floats.

    Parameters
    ----------
    said
        What was measured, for the comment on top.

    Raises
    ------
    ExportRefused
        If the bundle has no C form, or would be too large.
    """
    fields = fields_of(opened)
    numbers = tuple(field.column.name for field in fields if not field.is_category)
    categories = tuple(field.column.name for field in fields if field.is_category)
    task = opened.manifest.task
    seen = Functions(Code(prefix, categories), numbers, task, bits)
    seen.scoring(opened)
    _check_size(seen.code)
    values = {name: sorted(found - {""}, key=_bytes) for name, found in seen.code.categories.items()}
    for name in categories:
        if nul := [value for value in values.get(name, ()) if "\0" in value]:
            raise ExportRefused(f"column {name!r} has the value {nul[0]!r}, which no string of C holds; {WAY_OUT}")
    made = Functions(Code(prefix, categories, values), numbers, task, bits)
    scoring = made.scoring(opened)
    decision = made.deciding(opened)
    _check_size(made.code)
    fields = tuple(
        Field(column=field.column, name=field.name, values=tuple(values.get(field.column.name, ()))) for field in fields
    )
    made.code.helpers |= {name for name, is_used in (("known", numbers), ("code", categories)) if is_used}
    stack = made.code.stack + 8 * len(numbers) + 4 * len(categories)
    double = any(field.column.kind is Kind.TIME for field in fields)
    text = "".join(
        (
            _about(opened, said, prefix, made.code.size, stack, double=double),
            _declared(fields, task, prefix, double=double),
            _defined(made, fields, task, scoring, decision),
        )
    )
    return Header(text=text, fields=fields, prefix=prefix, flash=made.code.size, stack=stack, double=double)


def _bytes(value: str) -> bytes:
    return value.encode(errors="surrogatepass")


def _check_size(code: Code) -> None:
    if code.size > LARGEST:
        raise ExportRefused(
            f"the tables would take {code.size / 1e6:,.0f} MB, and a header holds {LARGEST / 1e6:,.0f}: train fewer or "
            f"smaller trees, or distil the model; {WAY_OUT}"
        )


def _about(opened: Opened, said: tuple[str, ...], prefix: str, size: int, stack: int, *, double: bool) -> str:
    task = opened.manifest.task
    lines = [
        f"{comment(task.target)}: {task.problem.value}, as a function of C99. Made by `steelyard export --to c`.",
        "",
        "In one file of the program:",
        f"    #define {prefix.upper()}_IMPLEMENTATION",
        f'    #include "{prefix}.h"',
        "",
        f"Tables: {size:,} bytes of constants, beside names of categories. Local arrays: at most {stack:,} bytes.",
        "No allocation, no recursion, no state: calls from several threads do not disturb each other. Of the library",
        "only <math.h> is used. Do not compile with -ffast-math: a missing number is a NaN.",
        *(
            []
            if double
            else [
                f"With {prefix.upper()}_NUMBER defined as float, rows hold floats and no double is computed with; a",
                "number is then rounded to 24 bits before its median is taken off.",
            ]
        ),
        "",
        *said,
    ]
    return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def _declared(fields: tuple[Field, ...], task: Task, prefix: str, *, double: bool) -> str:
    big = prefix.upper()
    chosen = "double" if double else f"{big}_NUMBER"
    choice = "" if double else f"#ifndef {big}_NUMBER\n#define {big}_NUMBER double\n#endif\n"
    cells = "".join(_cell(field, prefix) for field in fields)
    result = (
        f"/* Fill {task.width} probabilities in the order of the classes; return the class that is decided on. */"
        if task.classes
        else "/* Fill one value, the prediction; return 0. */"
    )
    names = _enumerated(fields, prefix)
    codes = "".join(
        f"int32_t {prefix}_code_{field.name}(const char *value);\n" for field in fields if field.is_category
    )
    codes = codes and (
        "/* The code of a value of a column (UTF-8, no spaces around it, a whole number without .0): 0 for none,\n"
        "   -1 for a value that training did not know, which is answered too. */\n" + codes
    )
    classes = _classes(task, prefix)
    named = "/* The name of a class; the empty string for a number that is none. */\n" if task.classes else ""
    named += f"const char *{prefix}_class(int code);\n" if task.classes else ""
    return f"""\
#ifndef {big}_H
#define {big}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{choice}typedef {chosen} {prefix}_number;

{classes}#define {big}_SCORES {task.width}

/* One row. A missing number is NAN (an infinite one counts as missing), a missing category 0. */
struct {prefix}_row {{
{cells}}};

{names}{codes}{result}
/* -1: there is no score, as a pointer is null or a number lies beyond what the model can compute with. */
int {prefix}_predict(const struct {prefix}_row *row, float *scores);
{named}
#ifdef __cplusplus
}}
#endif
#endif
"""


def _cell(field: Field, prefix: str) -> str:
    kind = "int32_t" if field.is_category else f"{prefix}_number"
    unit = ", seconds since 1970-01-01 UTC" if field.column.kind is Kind.TIME else ""
    code = f", a code of {prefix}_code_{field.name}()" if field.is_category else ""
    return f"    {kind} {field.name}; /* {comment(field.column.name)}{unit}{code} */\n"


def _enumerated(fields: tuple[Field, ...], prefix: str) -> str:
    """Return an enumeration of the values of each category that has few."""
    all_names = Names("value", ("h", "number", "scores", "implementation"))
    texts = []
    for field in fields:
        if not 0 < len(field.values) <= NAMED:
            continue
        names = Names("value")
        lines = [
            f"    {prefix.upper()}_{all_names.take(f'{field.name}_{names.take(value)}').upper()} = {code}"
            f"{',' if code < len(field.values) else ''} /* {comment(value)} */\n"
            for code, value in enumerate(field.values, 1)
        ]
        texts.append(f"enum {{ /* {comment(field.column.name)} */\n{''.join(lines)}}};\n\n")
    return "".join(texts)


def _classes(task: Task, prefix: str) -> str:
    if not task.classes:
        return ""
    names = Names("class")
    lines = [
        f"#define {prefix.upper()}_IS_{names.take(name).upper()} {code} /* {comment(name)} */\n"
        for code, name in enumerate(task.classes)
    ]
    return "".join(lines)


def _defined(made: Functions, fields: tuple[Field, ...], task: Task, scoring: str, decision: list[str]) -> str:
    code, prefix = made.code, made.code.prefix
    big = prefix.upper()
    names = "".join(_names(field, prefix) for field in fields if field.is_category)
    own = "\n".join(array(kind, name, values) for name, (kind, values) in code.tables.items())
    body = "\n".join((helpers_of(code.helpers, prefix), own, *made.texts, _predict(made, fields, scoring, decision)))
    body = body.replace("@number", f"{prefix}_number")
    classes = _class_names(task, prefix) if task.classes else ""
    return f"""
#ifdef {big}_IMPLEMENTATION
#ifdef __FAST_MATH__
#error "a missing number is a NaN, which -ffast-math does away with"
#endif
#include <math.h>

{body}
{names}{classes}#endif
"""


def _names(field: Field, prefix: str) -> str:
    what = f"a value of column {field.column.name!r}"
    if not field.values:
        return (
            f"int32_t {prefix}_code_{field.name}(const char *value)\n{{\n    return {prefix}_code(0, 0, value);\n}}\n\n"
        )
    texts = ",\n".join(f"    {string(value, what)}" for value in field.values)
    return (
        f"static const char *const {prefix}_names_{field.name}[{len(field.values)}] = {{\n{texts}\n}};\n\n"
        f"int32_t {prefix}_code_{field.name}(const char *value)\n{{\n"
        f"    return {prefix}_code({prefix}_names_{field.name}, {len(field.values)}, value);\n}}\n\n"
    )


def _class_names(task: Task, prefix: str) -> str:
    texts = ",\n".join(f"    {string(name, 'a class')}" for name in task.classes)
    return (
        f"static const char *const {prefix}_class_names[{task.width}] = {{\n{texts}\n}};\n\n"
        f"const char *{prefix}_class(int code)\n{{\n"
        f'    return code >= 0 && code < {task.width} ? {prefix}_class_names[code] : "";\n}}\n\n'
    )


def _predict(made: Functions, fields: tuple[Field, ...], scoring: str, decision: list[str]) -> str:
    prefix = made.code.prefix
    numbers = [field for field in fields if not field.is_category]
    categories = [field for field in fields if field.is_category]
    lines = [f"    @number cell[{max(1, len(numbers))}];", f"    int32_t category[{max(1, len(categories))}];"]
    lines.append("    if (row == 0 || scores == 0) return -1;")
    lines += [f"    cell[{i}] = {prefix}_known(row->{field.name});" for i, field in enumerate(numbers)] or [
        "    cell[0] = 0;"
    ]
    lines += [f"    category[{i}] = row->{field.name};" for i, field in enumerate(categories)] or [
        "    category[0] = 0;"
    ]
    lines.append(f"    {scoring}(cell, category, scores);")
    with_check = f"    for (int32_t k = 0; k < {made.task.width}; k++) if (!isfinite(scores[k])) return -1;"
    check = [with_check]
    # What is checked of a prediction is what a line made of it.
    tail = check + decision if made.task.classes else decision[:-1] + check + decision[-1:]
    head = f"int {prefix}_predict(const struct {prefix}_row *row, float *scores)\n{{\n"
    return head + "\n".join([*lines, *tail]) + "\n}\n"


def example_of(header: Header) -> str:
    """Return a program that answers rows from its standard input, cells separated by tabulators."""
    prefix = header.prefix
    reads = []
    for i, field in enumerate(header.fields):
        cell = f"cells[{i}]"
        if field.is_category:
            reads.append(f"        row.{field.name} = {prefix}_code_{field.name}({cell});")
        else:
            reads.append(f"        row.{field.name} = ({prefix}_number)({cell}[0] == 0 ? NAN : strtod({cell}, 0));")
    names = ", ".join(comment(field.column.name) for field in header.fields)
    width = int(np.ceil(len(names) / 100)) and names
    return f"""\
/* Answers rows: a line a row, its cells separated by tabulators, an empty one missing, in this order:
   {width}.
   Prints the decision and the scores. cc -std=c99 -O2 example.c -lm */
#define {prefix.upper()}_IMPLEMENTATION
#include "{prefix}.h"
#include <stdio.h>
#include <stdlib.h>

int main(void)
{{
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {{
        struct {prefix}_row row;
        float scores[{prefix.upper()}_SCORES];
        char *cells[{len(header.fields)}], *at = line;
        int decided;
        for (int i = 0; i < {len(header.fields)}; i++) {{
            cells[i] = at;
            while (*at != 0 && *at != '\\t' && *at != '\\n') at++;
            if (*at != 0) *at++ = 0;
        }}
{chr(10).join(reads)}
        decided = {prefix}_predict(&row, scores);
        printf("%d", decided);
        for (int i = 0; decided >= 0 && i < {prefix.upper()}_SCORES; i++) printf("\\t%.9g", (double)scores[i]);
        printf("\\n");
    }}
    return 0;
}}
"""
