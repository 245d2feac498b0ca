"""YAML as people write it: keys in their order, a word of comment first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, and never refers from one place to another."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - as it is called
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as it is called
        return True


def written(data: Mapping[str, Any], *comments: str) -> str:
    """Return a document, below lines of comment.

    Examples
    --------
    >>> print(written({"kind": "Service", "ports": [80]}, "One port."), end="")
    # One port.
    kind: Service
    ports:
      - 80
    """
    head = "".join(f"# {line}\n" for line in comments)
    body = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120)
    return head + body
