"""What is told of versions to the operator."""

from __future__ import annotations

from typing import Any

from steelyard.serve.releases.board import Board
from steelyard.serve.releases.tally import Agreement


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
    if deployed is not None and deployed.escalation is not None:
        told["escalates"] = True
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
