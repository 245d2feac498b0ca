"""When to ask again: after a lost connection or a server that is too busy, each time after a longer, random wait.

The waits are drawn evenly between nothing and a limit that doubles ("full jitter"), so that many clients that were
turned away together do not come back together; a server that says when to come back (``Retry-After``) is obeyed.
A refusal (4xx) is never asked again: the same request would be refused again.

References
----------
.. [1] Brooker. Exponential backoff and jitter. AWS Architecture Blog, 2015.
.. [2] Fielding, Nottingham, Reschke. HTTP semantics. RFC 9110, 2022, section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from steelyard.errors import RequestInvalid
from steelyard.units import Seconds

_FIRST, _LONGEST, _PATIENCE = Seconds(0.1), Seconds(5.0), Seconds(30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how long to wait.

    Attributes
    ----------
    most
        How many times to ask again; 0: never.
    first, longest
        Limit of the first wait and of any wait, in seconds; the limit doubles from one to the next.
    patience
        The longest ``Retry-After``, in seconds, that is waited for; a server that asks for more is given up on.
    """

    most: int = 3
    first: Seconds = _FIRST
    longest: Seconds = _LONGEST
    patience: Seconds = _PATIENCE

    def __post_init__(self) -> None:
        if self.most < 0 or not 0 <= self.first <= self.longest or self.patience < 0:
            raise RequestInvalid("retries need most >= 0, 0 <= first <= longest and patience >= 0")

    def wait(self, attempt: int, *, status: int | None, retry_after: str | None) -> Seconds | None:
        """Return how long to wait before asking again, or ``None`` to give up.

        Parameters
        ----------
        attempt
            How many times was asked so far, from 1.
        status
            Status of the answer; ``None`` where the connection was lost, or none was made.
        retry_after
            The header of that name, if any.

        Examples
        --------
        >>> Retries().wait(1, status=400, retry_after="1") is None
        True
        >>> Retries().wait(1, status=503, retry_after="2") >= 2.0
        True
        """
        if attempt > self.most or status not in {None, HTTPStatus.SERVICE_UNAVAILABLE}:
            return None
        limit = min(self.longest, self.first * 2 ** (attempt - 1))
        jitter = random.uniform(0.0, limit)  # noqa: S311 - spreads clients, keeps no secret
        asked = seconds_of(retry_after)
        if asked is None:
            return Seconds(jitter)
        return Seconds(asked + jitter) if asked <= self.patience else None


def seconds_of(retry_after: str | None) -> Seconds | None:
    """Read ``Retry-After``: seconds, or a date; ``None`` where it is absent or neither.

    Examples
    --------
    >>> seconds_of("2"), seconds_of("Wed, 21 Oct 2015 07:28:00 GMT"), seconds_of("soon")
    (2.0, 0.0, None)
    """
    if retry_after is None:
        return None
    try:
        value = float(retry_after)
    except ValueError:
        try:
            value = (_aware(parsedate_to_datetime(retry_after)) - datetime.now(UTC)).total_seconds()
        except ValueError:
            return None
    return Seconds(max(0.0, value)) if math.isfinite(value) else None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
