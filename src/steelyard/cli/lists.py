"""Commands that list what there is: learners, levers."""

from __future__ import annotations

from steelyard.cli.words import Json, app, console, print_json, the_api, views


@app.command(short_help="List what can be trained.")
def learners(as_json: Json = False) -> None:
    """List what can be trained."""
    _list("learners", as_json=as_json)


@app.command(short_help="List what makes models better or cheaper.")
def levers(as_json: Json = False) -> None:
    """List what can make a model better or cheaper, with the paper of each."""
    _list("levers", as_json=as_json)


def _list(kind: str, *, as_json: bool) -> None:
    rows = the_api().registered(kind)
    if as_json:
        print_json(rows)
    else:
        views().show_rows(rows, console())
