"""Takes back a promotion, and ends a canary, when the figures speak against it.

Each process of a server judges by the requests that it saw itself; the first that is sure makes the switch, if the
roles are still those it judged.
"""

from __future__ import annotations

import logging
import time

from steelyard.serve.faults import Fault
from steelyard.serve.releases.board import Board
from steelyard.serve.releases.roles import Action, Roles
from steelyard.serve.releases.switches import Order
from steelyard.serve.releases.tally import Agreement, Tally
from steelyard.serve.releases.verdict import Judge

WHO = "watch"
"""What the log names for a switch that the server made by itself."""
_PERIOD = 0.25
_AGAIN = 5.0
_LOGGER = logging.getLogger("steelyard.serve")


class Watch:
    """Looks at the canary, and at a version that was promoted.

    Parameters
    ----------
    board
        Of the model.
    """

    def __init__(self, board: Board) -> None:
        self._board, self._limits = board, board.releasing.watching
        self._judged = Roles()
        self._canary, self._stable = Judge(self._limits), Judge(self._limits)
        self._next = 0.0

    async def look(self) -> None:
        """Judge, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PERIOD
        roles = self._board.router.roles
        self._begin(roles)
        if roles.canary and (why := self._why(self._canary, "canary", roles.canary, roles.stable)):
            await self._switch(roles, Action.RETIRE, roles.canary, why)
        elif roles.previous and self._is_new(roles):
            if why := self._why(self._stable, "stable", roles.stable, roles.previous):
                await self._switch(roles, Action.ROLLBACK, "", why)
        elif roles.previous:
            self._board.router.stop_comparing(roles.stable)

    def _begin(self, roles: Roles) -> None:
        """Judge anew what has come into its place."""
        old, self._judged = self._judged, roles
        if (roles.canary, roles.stable) != (old.canary, old.stable):
            self._canary = Judge(self._limits)
        if roles.stable != old.stable:
            self._stable = Judge(self._limits)

    def _is_new(self, roles: Roles) -> bool:
        """Tell whether the stable version was promoted, not gone back to, and not long ago."""
        line = next((line for line in reversed(self._board.log.lines) if line.before.stable != roles.stable), None)
        if line is None or line.action is not Action.PROMOTE:
            return False
        return time.time() - line.time < self._limits.watch_seconds

    def _why(self, judge: Judge, role: str, new: str, old: str) -> str:
        router = self._board.router
        agreement = router.agreements.get((role, new), Agreement())
        return judge.why(router.tallies.get(new, Tally()), router.tallies.get(old, Tally()), agreement)

    async def _switch(self, judged: Roles, action: Action, version: str, why: str) -> None:
        now = self._board.log.roles
        if (now.stable, now.canary) != (judged.stable, judged.canary):
            return  # another process has switched, and its versions are being opened here
        try:
            await self._board.switch(Order(action=action, version=version, who=WHO, why=why, expect=now))
        except Fault as problem:
            _LOGGER.error("%s is called for, and was not made: %s (%s)", action, problem.sentence, why)  # noqa: TRY400
            self._next = time.monotonic() + _AGAIN
            self._judged = Roles()  # so that all is judged anew
        else:
            _LOGGER.warning("%s %s by itself: %s", action, version, why)
