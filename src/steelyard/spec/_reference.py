"""The spec for editors and for readers: its JSON Schema, and its reference page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steelyard.spec._spec import SHORT, Spec
from steelyard.spec._words import dotted, models, takes
from steelyard.spec._yaml import compact
from steelyard.tasks import METRICS

_INTRODUCTION = """\
# The spec

One YAML file says what is wanted. All but `data` and `target` may be left out; a name that is not listed here is an \
error, and so are two fields that contradict each other. Every problem is told at once, with its line:

```console
$ steelyard check credit.yaml
credit.yaml has 2 problems:
  quality.at_leest (line 4): no such field (did you mean 'at_least'?)
  budget.minutes (line 6): must be a number of 0 or more; got 'ten'
```

Words need no quotes: `yes`, `no`, `on`, `true` and dates stay the words they are, so `positive: yes` names the class \
`yes`, and `positive: 1` names the class `1`. Amounts of money are `5 USD`; a bare number is in USD. Zero is zero, \
not a default. `latency_p95_ms` and `traffic` may also stand at the top, short for `serving.latency_p95_ms` and \
`serving.traffic`.

`docs/spec.schema.json` is the same as a JSON Schema: put \
`# yaml-language-server: $schema=path/to/spec.schema.json` on the first line of a spec, and editors complete and \
check it while you write. `steelyard init DATA --target COLUMN` drafts a spec with every line explained.

This page is made from the fields themselves (`make docs`).
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec file."""
    schema = Spec.model_json_schema()
    for name, owner in SHORT.items():
        part = schema["properties"][owner]["$ref"].rsplit("/", 1)[1]
        short = schema["$defs"][part]["properties"][name]
        schema["properties"][name] = {**short, "description": f"Short for {owner}.{name}."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Steelyard spec"}


def reference() -> str:
    """Return the reference page as Markdown: one table a part."""
    return "\n".join([_INTRODUCTION, *_tables(Spec, (), "The whole"), _metrics()])


def _metrics() -> str:
    head = ["## Metrics", "", "What `quality.metric` may name.", "", "| metric | better | from, to | of | meaning |"]
    rows = [
        f"| `{m.name}` | {m.better} | {m.low:g}, {m.high:g} | {', '.join(sorted(m.problems))} | {m.about} |"
        for m in METRICS.values()
    ]
    return "\n".join([*head, "|---|---|---|---|---|", *rows, ""])


def _tables(model: type[BaseModel], above: tuple[str, ...], title: str) -> Iterator[str]:
    about = (model.__doc__ or "").partition("\n")[0]
    rows = [_row(model, name) for name in model.model_fields]
    yield "\n".join(
        [f"## {title}", "", about, "", "| field | takes | default | meaning |", "|---|---|---|---|", *rows, ""]
    )
    for name, field in model.model_fields.items():
        for part in models(field.annotation):
            inner = (*above, name)
            yield from _tables(part, inner, f"`{dotted(inner)}`")


def _row(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    inside = next(models(field.annotation), None)
    words = f"`{compact(field.examples[0])}`" if inside and field.examples else takes(field)
    default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True), inside)
    return f"| `{name}` | {words} | {default} | {field.description} |"


def _default(value: Any, inside: type[BaseModel] | None) -> str:
    if value is None:
        return "unset"
    if inside or value in ((), {}):
        return "empty"
    return f"`{value}`"
