"""What is told of versions: as JSON to the operator, as counters to Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from steelyard.serve.releases.board import Board
from steelyard.serve.releases.tally import Agreement

_ROLES = ("stable", "previous", "canary", "shadow")
_FAMILIES = {
    "steelyard_release_role": ("gauge", "1 for each version that has a role."),
    "steelyard_switches_total": ("counter", "Switches in the log, by what was done and by whom."),
    "steelyard_compared_rows_total": ("counter", "Rows that two versions were to compute, by outcome."),
    "steelyard_compared_difference_total": ("counter", "Sum over compared rows of the mean difference of scores."),
}


def releases(board: Board, there: tuple[str, ...]) -> dict[str, Any]:
    """Return the roles, every version, and what was compared by this process.

    Parameters
    ----------
    board
        Of the model.
    there
        The versions that could be opened.
    """
    roles = board.log.roles
    versions = [_version(board, version) for version in dict.fromkeys((*there, *roles.versions))]
    told = {"model": board.endpoint.name, **roles.to_json(), "switches": len(board.log.lines), "versions": versions}
    return told | ({"damage": "the log of switches is not what was written"} if board.damage else {})


def _version(board: Board, version: str) -> dict[str, Any]:
    deployed, tally = board.resident.get(version), board.router.tallies.get(version)
    told: dict[str, Any] = {
        "version": version,
        "roles": list(board.log.roles.of(version)),
        "resident": deployed is not None,
        "digest": deployed.served.digest if deployed else board.log.digest_of(version),
    }
    if tally is not None:
        told["requests"], told["failures"], told["late"] = tally.requests, tally.failures, tally.late
    if version in board.problems:
        told["problem"] = board.problems[version]
    compared = {role: _agreement(found) for (role, v), found in board.router.agreements.items() if v == version}
    return told | ({"compared": compared} if compared else {})


def _agreement(agreement: Agreement) -> dict[str, Any]:
    return {
        "rows": agreement.rows,
        "disagreed": agreement.disagreed,
        "mean_difference": agreement.mean_difference,
        "dropped": agreement.dropped,
        "failed": agreement.failed,
    }


def log(board: Board, most: int) -> list[dict[str, Any]]:
    """Return the last switches, the newest first."""
    return [line.to_json() for line in reversed(board.log.lines[-most:])]


def metrics(board: Board) -> str:
    """Return the lines for Prometheus, ready to be put behind the others."""
    lines: list[str] = []
    made = {"release_role": _roles, "switches_total": _switches, "compared_rows_total": _rows}
    for family, (kind, about) in _FAMILIES.items():
        of_family = made.get(family.removeprefix("steelyard_"), _differences)
        lines += [f"# HELP {family} {about}", f"# TYPE {family} {kind}", *of_family(board, family)]
    return "\n".join(lines) + "\n"


def _roles(board: Board, family: str) -> Iterator[str]:
    roles = board.router.roles
    for role in _ROLES:
        if version := getattr(roles, role):
            yield f'{family}{{model="{board.endpoint.name}",version="{version}",role="{role}"}} 1'


def _switches(board: Board, family: str) -> Iterator[str]:
    by = Counter((line.action.value, line.who if line.who in {"start", "watch"} else "key") for line in board.log.lines)
    for (action, who), count in sorted(by.items()):
        yield f'{family}{{model="{board.endpoint.name}",action="{action}",by="{who}"}} {count}'


def _rows(board: Board, family: str) -> Iterator[str]:
    for labels, agreement in _agreements(board):
        outcomes = {
            "agreed": agreement.rows - agreement.disagreed,
            "disagreed": agreement.disagreed,
            "dropped": agreement.dropped,
            "failed": agreement.failed,
        }
        for outcome, count in outcomes.items():
            yield f'{family}{{{labels},outcome="{outcome}"}} {count}'


def _differences(board: Board, family: str) -> Iterator[str]:
    for labels, agreement in _agreements(board):
        yield f"{family}{{{labels}}} {agreement.difference:.9g}"


def _agreements(board: Board) -> Iterator[tuple[str, Agreement]]:
    for (role, version), agreement in board.router.agreements.items():
        yield f'model="{board.endpoint.name}",version="{version}",role="{role}"', agreement
