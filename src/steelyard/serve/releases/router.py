"""Which version answers a request, what is counted of it, and whose rows are compared."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping

from steelyard.contracts import Answer
from steelyard.errors import BundleRefused
from steelyard.serve.endpoint import Asking, Deployed
from steelyard.serve.faults import Fault, malformed, not_found
from steelyard.serve.http import Headers
from steelyard.serve.releases.comparing import Comparer, Copy
from steelyard.serve.releases.roles import Roles
from steelyard.serve.releases.settings import Watching
from steelyard.serve.releases.tally import Agreement, Tally
from steelyard.serve.table import Table

_KEYS = (b"x-route-key", b"authorization", b"x-api-key", b"x-request-id")
"""Headers, the first of which that is there says who asks; a request without any is drawn by itself."""
_WHOLE = 2**64
_REMEMBERED = 16


class Router:
    """Sends requests to the versions that have a role, and keeps what a judge wants to know of them.

    Parameters
    ----------
    watching
        What is compared, and how often.
    """

    def __init__(self, watching: Watching) -> None:
        self.roles = Roles()
        """Those that requests go by now; all of their versions are in memory."""
        self.is_in_step = True
        """Whether requests go as the log says, or will once a version has been opened."""
        self.comparer = Comparer(watching.value_tolerance)
        self.tallies: dict[str, Tally] = {}
        self.agreements: dict[tuple[str, str], Agreement] = {}
        """By role and version; the last few are remembered."""
        self._share = watching.compare_share if watching.enabled else 0.0
        self._random = random.Random()  # noqa: S311 - draws a sample, keeps no secret
        self._resident: Mapping[str, Deployed] = {}
        self._against: dict[str, list[tuple[Deployed, Agreement, float]]] = {}
        """By the version that answered: who computes its rows again, and which share of them."""

    def turn(self, roles: Roles, resident: Mapping[str, Deployed]) -> None:
        """Send requests by other roles from now on; a version that takes another place is counted anew."""
        old, self.roles, self._resident = self.roles, roles, resident
        if roles.stable != old.stable:
            self.tallies[roles.stable] = Tally()
        if roles.canary and (roles.canary, roles.stable) != (old.canary, old.stable):
            self.tallies[roles.canary], self.tallies[roles.stable] = Tally(), Tally()
        self.tallies = {version: self.tallies.get(version) or Tally() for version in roles.versions}
        self._against = {}
        self._compare("shadow", roles.stable, roles.shadow, old.shadow == roles.shadow, 1.0)
        self._compare("canary", roles.canary, roles.stable, old.canary == roles.canary, self._share)
        self._compare("stable", roles.stable, roles.previous, old.stable == roles.stable, self._share)

    def _compare(self, role: str, answers: str, again: str, is_kept: bool, share: float) -> None:
        if not answers or not again:
            return
        name = (role, again if role == "shadow" else answers)
        agreement = self.agreements.pop(name, None) if is_kept else None
        agreement = self.agreements[name] = agreement or Agreement()
        while len(self.agreements) > _REMEMBERED:
            self.agreements.pop(next(iter(self.agreements)))
        if share:
            self._against.setdefault(answers, []).append((self._resident[again], agreement, share))

    def stop_comparing(self, version: str) -> None:
        """Have the rows of a version that is watched no longer not be computed by the previous one any more."""
        kept = [each for each in self._against.get(version, ()) if each[0].served.version == self.roles.shadow]
        self._against[version] = kept

    def close(self) -> None:
        """End the thread that compares."""
        self.comparer.close()

    def choose(self, headers: Headers) -> Deployed:
        """Return the version that answers a request which names none.

        Raises
        ------
        Fault
            If the header ``X-Version-Role`` asks for a role that nobody has, or that is not answered from.
        """
        roles = self.roles
        asked = headers.get(b"x-version-role")
        if asked is not None:
            return self._resident[self._asked(asked)]
        if roles.canary and self._is_drawn(headers):
            return self._resident[roles.canary]
        return self._resident[roles.stable]

    def _asked(self, asked: bytes) -> str:
        if asked == b"stable":
            return self.roles.stable
        if asked != b"canary":
            raise malformed("the header X-Version-Role must be 'stable' or 'canary'")
        if not self.roles.canary:
            raise not_found("there is no canary now; leave the header X-Version-Role out")
        return self.roles.canary

    def _is_drawn(self, headers: Headers) -> bool:
        """Tell whether who asks belongs to the canary's share: the same for a key as long as the canary stays."""
        key = next((found for name in _KEYS if (found := headers.get(name))), None)
        if key is None:
            return self._random.random() < self.roles.share
        digest = hashlib.blake2b(key, digest_size=8, salt=_salt(self.roles.canary)).digest()
        return int.from_bytes(digest, "big") < self.roles.share * _WHOLE

    async def answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answer:
        """Answer rows by a version, and count how that went.

        Raises
        ------
        Fault
            503 if the queue is full, or the rows waited for too long.
        RowsRefused, BundleRefused
            If the model does not answer these rows.
        ClientLeft
            If the client did not wait.
        """
        tally = self.tallies.get(deployed.served.version)
        began = time.perf_counter()
        try:
            answer = await deployed.batcher.answer(table, wait=asking.wait, has_left=asking.has_left)
        except BundleRefused:
            if tally is not None:
                tally.failed()
            raise
        except Fault as fault:
            if tally is not None:
                tally.was_late() if fault.status == 503 else tally.failed()
            raise
        if tally is not None:
            tally.answered(time.perf_counter() - began)
        for other, agreement, share in self._against.get(deployed.served.version, ()):
            if share >= 1 or self._random.random() < share:
                self.comparer.offer(Copy(table, answer, other.served, agreement))
        return answer


def _salt(version: str) -> bytes:
    """Return what makes each canary draw other keys than the last one did."""
    return hashlib.blake2b(version.encode(), digest_size=16).digest()
