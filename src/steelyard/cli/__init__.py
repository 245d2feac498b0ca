"""The command line: parses words, calls one function of :mod:`steelyard.api`, prints, exits with a number."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

from steelyard.cli import (
    advising,
    capacity,
    deploying,
    devices,
    escalation,
    exporting,
    lists,
    logs,
    pages,
    pricing,
    pulling,
    releases,
    returning,
    runs,
    serving,
)
from steelyard.cli.words import app, let_go_of_output
from steelyard.errors import Exit, SteelyardError

__all__ = [
    "advising",
    "app",
    "capacity",
    "deploying",
    "devices",
    "escalation",
    "exporting",
    "lists",
    "logs",
    "main",
    "pages",
    "pricing",
    "pulling",
    "releases",
    "returning",
    "runs",
    "serving",
]

_PARSER_INTERRUPTED, _PARSER_UNHEARD = 130, 1
"""How Typer ends on Ctrl-C, and how it and Rich end where standard output is closed."""
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What a disk says that cannot be written."""


def _interrupt(*_: object) -> None:
    """Treat a request to terminate as Ctrl-C: decide on what was measured."""
    raise KeyboardInterrupt


def _parsed() -> int:
    """Run what the words ask for; undo what the parser makes of Ctrl-C and of a closed standard output."""
    try:
        app()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(Exit.DONE)
        if code == _PARSER_INTERRUPTED:
            raise KeyboardInterrupt from None
        if code == _PARSER_UNHEARD:
            raise BrokenPipeError from None
        sys.stdout.flush()
        return code
    return int(Exit.DONE)


def main() -> None:
    """Run the command line; every foreseen error is one sentence and a numbered exit."""
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.stdout is None:  # started with a closed standard output
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end of the process
    try:
        code = _parsed()
    except SteelyardError as problem:
        code = _say(str(problem), problem.exit_code)
    except KeyboardInterrupt:
        code = _say(
            "stopped by Ctrl-C; nothing is half-written, and a run that has read its data goes on with "
            "`steelyard run --resume FOLDER`",
            Exit.INTERRUPTED,
        )
    except BrokenPipeError:
        let_go_of_output()
        code = int(Exit.DONE)
    except OSError as problem:
        if problem.errno not in _REFUSALS:
            raise
        place = problem.filename or "standard output"
        code = _say(
            f"cannot write {place}: {problem.strerror}; free some space, or write elsewhere", Exit.RUN_UNWRITABLE
        )
        let_go_of_output()
    raise SystemExit(code)


def _say(sentence: str, code: Exit) -> int:
    sys.stderr.write(f"steelyard: {sentence}\n")
    return int(code)
