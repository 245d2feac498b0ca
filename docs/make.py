"""Make the pages of docs/ that are made from the code: ``make docs``. The tests check that they are fresh."""

from __future__ import annotations

import json
from pathlib import Path

from steelyard.errors import MEANING
from steelyard.spec import json_schema, reference

HERE = Path(__file__).parent

_EXIT_CODES = """\
# Exit codes

Every ending of the `steelyard` command has a number and a sentence. A number is never used again for something else, \
so scripts may rely on them; from 10 on they say what to look at: 10s the spec and the data, 20s the outcome, \
30s the run folder, 40s the bundle, 50s the server, 60s asking one. Beside its code, every foreseen error prints one \
message with the way out, and no traceback.

| code | name | meaning |
|---|---|---|
"""


def exit_codes() -> str:
    """Return the page of exit codes."""
    rows = [f"| {code.value} | `{code.name}` | {meaning} |" for code, meaning in MEANING.items()]
    return _EXIT_CODES + "\n".join(rows) + "\n\nThis page is made from the table in `steelyard.errors` (`make docs`).\n"


def pages() -> dict[str, str]:
    """Return every page that is made from the code, by its file name."""
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    return {"exit-codes.md": exit_codes(), "spec.md": reference(), "spec.schema.json": schema}


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"made docs/{name}")
