"""The application that all commands join, and what they share."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="steelyard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading what draws boxes would take half of the 0.4 s that help may take
    help="Weigh every way to build a model: what it costs, what it returns, in your money, with an error bar.",
    epilog="Exit codes are listed in docs/exit-codes.md. Start with: steelyard demo",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
RunPath = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]
AnyBundle = Annotated[Path, typer.Argument(help="A bundle, or a run whose bundle is meant.", show_default=False)]
SpecPath = Annotated[Path, typer.Argument(help="The YAML file that says what is wanted.", show_default=False)]


def the_api() -> Any:
    """Load what does the work; `--help` answers without it."""
    with _held_back():
        return importlib.import_module("steelyard.api")


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Have Ctrl-C, and a request to terminate, wait: in the middle of an import it may come out as any other error."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, _: heard.append(got)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if heard:
        raise KeyboardInterrupt


def start_ahead() -> None:
    """Have a worker load itself on another core while this process does."""
    importlib.import_module("steelyard.search.start").ahead()


def print_json(data: object) -> None:
    """Write data on standard output."""
    sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def views() -> Any:
    """Load what shows runs."""
    return importlib.import_module("steelyard.report")


def console(*, err: bool = False) -> Any:
    """Return a terminal to draw tables on."""
    return importlib.import_module("rich.console").Console(stderr=err)


def let_go_of_output() -> None:
    """Write to nowhere from now on: whoever read standard output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
