"""What can go wrong, as sentences with a way out, each with a numbered exit code."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from enum import IntEnum
from types import ModuleType


class Exit(IntEnum):
    """Exit codes of the command line. A number is never used again for something else."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SPEC_INVALID = 10
    DATA_UNREADABLE = 11
    DATA_UNFIT = 12
    EXTRA_MISSING = 13
    CLUSTER_REFUSED = 14
    NOT_FEASIBLE = 20
    NOTHING_MEASURED = 21
    INTERRUPTED = 22
    RUN_LOCKED = 30
    RUN_UNWRITABLE = 31
    RUN_UNREADABLE = 32
    BUNDLE_REFUSED = 40
    ROWS_REFUSED = 41
    SERVING_REFUSED = 50
    STORE_UNAVAILABLE = 51
    SWITCHES_DAMAGED = 54
    SIGNING_REFUSED = 55
    DEPLOYMENT_REFUSED = 56
    SERVER_UNREACHABLE = 60
    SERVER_REFUSED = 61
    LOAD_TOO_WEAK = 62
    TARGET_MISSED = 63


MEANING: dict[Exit, str] = {
    Exit.DONE: "Done; where targets were given, the decision meets them.",
    Exit.UNEXPECTED: "An error that Steelyard did not foresee: a defect, please report it with the message.",
    Exit.USAGE: "The command line does not parse; `--help` shows what it takes.",
    Exit.SPEC_INVALID: "The spec does not validate; every problem is listed with its path and line.",
    Exit.DATA_UNREADABLE: "The data cannot be read as a table; the message names the file and the line.",
    Exit.DATA_UNFIT: "The data can be read but not learned from (leak, one class, missing targets); "
    "the message says how to go on.",
    Exit.EXTRA_MISSING: "A package that this step needs is not installed; the message names the extra that brings it.",
    Exit.CLUSTER_REFUSED: "A cluster cannot be reached, or must not be used without a token; the message says which.",
    Exit.NOT_FEASIBLE: "No candidate meets every target; the best one is shipped and the tightest target is named.",
    Exit.NOTHING_MEASURED: "The budget ended before the first candidate was measured.",
    Exit.INTERRUPTED: "Stopped by Ctrl-C; the decision rests on what was measured until then.",
    Exit.RUN_LOCKED: "Another process is writing this run folder.",
    Exit.RUN_UNWRITABLE: "The run folder cannot be written (read-only, or the disk is full).",
    Exit.RUN_UNREADABLE: "The run folder is missing, or its record is damaged.",
    Exit.BUNDLE_REFUSED: "The bundle is damaged, unsafe, or of a newer protocol, and was not loaded.",
    Exit.ROWS_REFUSED: "The rows do not fit the bundle's signature; the message names the column.",
    Exit.SERVING_REFUSED: "A server cannot start as it was asked to (a setting, a port, a certificate); "
    "the message names every problem.",
    Exit.STORE_UNAVAILABLE: "The log of predictions cannot be reached, read or written; the message says why.",
    Exit.SWITCHES_DAMAGED: "The log of switches of a shelf was edited, shortened, or cannot be read; "
    "the message names the line.",
    Exit.SIGNING_REFUSED: "A key to sign with, or to trust, is no Ed25519 key; the message names the file.",
    Exit.DEPLOYMENT_REFUSED: "The files of a deployment cannot be made as they were asked for (a name, a folder "
    "that is not empty, a bundle that cannot be served); the message names every problem.",
    Exit.SERVER_UNREACHABLE: "A server cannot be reached, is not ready, or does not answer in time.",
    Exit.SERVER_REFUSED: "A server refused a request, or answered what its protocol does not allow; "
    "the message says which.",
    Exit.LOAD_TOO_WEAK: "The load generator is not twice as fast as what it measured; "
    "the figures are printed, not vouched for.",
    Exit.TARGET_MISSED: "Under load the server missed the target of latency (in a search: at every rate).",
}


class SteelyardError(Exception):
    """Base of every foreseen error.

    The message says what happened and how to go on; the command line prints it without a traceback
    and ends with ``exit_code``.
    """

    exit_code: Exit = Exit.UNEXPECTED


class SpecInvalid(SteelyardError):
    """The spec has problems; the message holds all of them, one a line."""

    exit_code = Exit.SPEC_INVALID


class DataUnreadable(SteelyardError):
    """A file or folder is not a table that can be read."""

    exit_code = Exit.DATA_UNREADABLE


class DataUnfit(SteelyardError):
    """The table is readable, but nothing can be learned from it as it stands."""

    exit_code = Exit.DATA_UNFIT


class NothingMeasured(SteelyardError):
    """The budget is too small for even the cheapest candidate."""

    exit_code = Exit.NOTHING_MEASURED


class RunLocked(SteelyardError):
    """Two processes cannot write one run."""

    exit_code = Exit.RUN_LOCKED


class RunUnwritable(SteelyardError):
    """The run folder refuses to be written."""

    exit_code = Exit.RUN_UNWRITABLE


class RunUnreadable(SteelyardError):
    """No run there, or its record is damaged."""

    exit_code = Exit.RUN_UNREADABLE


class BundleRefused(SteelyardError):
    """A bundle that must not be loaded."""

    exit_code = Exit.BUNDLE_REFUSED


class RowsRefused(SteelyardError):
    """Rows that do not fit a bundle's signature."""

    exit_code = Exit.ROWS_REFUSED


class ServingRefused(SteelyardError):
    """A server that cannot start as it was asked to."""

    exit_code = Exit.SERVING_REFUSED


class SwitchesDamaged(SteelyardError):
    """A log of switches that is not what was written, so that nobody knows which version should answer."""

    exit_code = Exit.SWITCHES_DAMAGED


class SigningRefused(SteelyardError):
    """A file that is not the key it should be."""

    exit_code = Exit.SIGNING_REFUSED


class DeploymentRefused(SteelyardError):
    """The files of a deployment that cannot be made as they were asked for."""

    exit_code = Exit.DEPLOYMENT_REFUSED


class ExportRefused(SteelyardError):
    """A run that cannot be written in another form as it was asked for."""

    exit_code = Exit.USAGE


class ServerUnreachable(SteelyardError):
    """A server that cannot be reached, is not ready, or does not answer in time."""

    exit_code = Exit.SERVER_UNREACHABLE


class ServerRefused(SteelyardError):
    """A server refused a request, or answered what its protocol does not allow."""

    exit_code = Exit.SERVER_REFUSED


class RequestInvalid(SteelyardError):
    """A request to a server, or a load of them, that cannot be made as asked."""

    exit_code = Exit.USAGE


class MissingExtra(SteelyardError, ImportError):
    """A package is needed that an extra of Steelyard brings."""

    exit_code = Exit.EXTRA_MISSING


EXTRA_OF = {
    "polars": "train",
    "pyarrow": "train",
    "sklearn": "train",
    "scipy": "train",
    "catboost": "train",
    "lightgbm": "train",
    "optuna": "train",
    "onnx": "train",
    "ml_dtypes": "train",
    "joblib": "train",
    "huggingface_hub": "deep",
    "onnxscript": "deep",
    "peft": "deep",
    "safetensors": "deep",
    "transformers": "deep",
    "torch": "deep",
    "tokenizers": "deep",
    "skl2onnx": "pipelines",
    "skops": "pipelines",
    "pandas": "pipelines",
    "cleanlab": "clean",
    "ray": "ray",
    "httpx": "client",
    "cryptography": "sign",
    "fsspec": "sources",
    "s3fs": "sources",
    "grpc": "grpc",
    "google": "grpc",
    "opentelemetry": "otel",
    "psycopg": "postgres",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard",
}


def need(module: str, *, for_: str) -> ModuleType:
    """Import ``module`` now, or say which extra brings it and what asked for it.

    Raises
    ------
    MissingExtra
        If the package is not installed. A package that is installed but broken raises its own error.

    Examples
    --------
    >>> need("json", for_="the ledger").dumps([1])
    '[1]'
    """
    top = module.split(".", maxsplit=1)[0]
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        if problem.name is None or problem.name.split(".")[0] != top:
            raise
        extra = EXTRA_OF.get(top, "all")
        raise MissingExtra(f"{for_} needs {top!r}: pip install 'steelyard[{extra}]'", name=top) from problem


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known name, or nothing.

    Examples
    --------
    >>> nearest("targt", ["target", "task"])
    " (did you mean 'target'?)"
    >>> nearest("zzz", ["target"])
    ''
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
