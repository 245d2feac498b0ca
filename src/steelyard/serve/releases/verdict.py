r"""Whether a version is worse than the one it is held against: by intervals, never by a point.

*Errors*: the difference of two shares, by Newcombe's interval from two Wilson intervals (method 10 of R. G. Newcombe,
"Interval estimation for the difference between independent proportions", Statistics in Medicine 17, 1998, 873-890). A
version against which nothing can be held yet counts as one that never fails.

*Latency*: the 95th percentile of each lies between two order statistics, at ranks of a binomial (H. A. David and
H. N. Nagaraja, Order Statistics, 3rd edition, 2003, section 7.1); the lower end of the one is held against the upper
end of the other. Each end takes half of what may go wrong, so that both hold together.

*Disagreement*: Wilson's interval (E. B. Wilson, Journal of the American Statistical Association 22, 1927, 209-212) of
the share of rows, counted by requests: rows of one request are alike, and a mean of values from 0 to 1 varies no more
than a share does, so the interval errs on the long side.

Who looks often sees something some day. The looks are 25% of requests apart, and the k-th may go wrong, in each kind,
with probability a / (k (k + 1)), which sums to a = 1 - confidence over all of them. Requests that queue together are
alike, which these intervals do not know; ``latency_ratio`` and ``latency_slack_ms`` are to cover that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from steelyard.serve.releases.settings import Watching
from steelyard.serve.releases.tally import Agreement, Tally

_QUANTILE = 0.95
_APART = 1.25
_MILLISECONDS = 1e3


def wilson(successes: float, n: int, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share.

    Examples
    --------
    >>> low, high = wilson(5, 50, 1.96)
    >>> round(low, 4), round(high, 4)
    (0.0435, 0.2136)
    """
    share, extra = successes / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    reach = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def more(worse: tuple[int, int], better: tuple[int, int], z: float) -> float:
    """Return the lower end of Newcombe's interval of the difference of two shares, each (successes, n).

    Examples
    --------
    The first example of Newcombe's paper, 56/70 against 48/80: 0.0524 to 0.3339.

    >>> round(more((56, 70), (48, 80), 1.959964), 4)
    0.0524
    """
    (a, m), (b, n) = worse, better
    low, _ = wilson(a, m, z)
    _, high = wilson(b, n, z)
    return a / m - b / n - math.hypot(a / m - low, high - b / n)


def percentile(tally: Tally, z: float) -> tuple[float, float]:
    """Return an interval of the 95th percentile of latency, seconds; from 0 or to infinity where requests are few."""
    n = tally.timed
    reach = z * math.sqrt(n * _QUANTILE * (1 - _QUANTILE))
    low, high = math.floor(n * _QUANTILE - reach), math.ceil(n * _QUANTILE + reach) + 1
    return (
        tally.between(low)[0] if low >= 1 else 0.0,
        tally.between(high)[1] if high <= n else math.inf,
    )


@dataclass(slots=True)
class Judge:
    """Looks at one version now and then.

    Parameters
    ----------
    limits
        What is allowed.
    """

    limits: Watching
    looks: int = 0
    _next: float = 0.0
    _next_compared: float = 0.0

    def why(self, new: Tally, old: Tally, agreement: Agreement) -> str:
        """Return the figures that speak against a version, or ``""``.

        Parameters
        ----------
        new
            Of the version.
        old
            Of the one that it is held against.
        agreement
            Of both on the same rows.
        """
        least, found = self.limits.min_requests, ""
        if new.requests >= max(least, self._next):
            self._next = new.requests * _APART
            confidence, z = self._look()
            found = self._errors(new, old, confidence, z) or self._latency(new, old, confidence, z)
        if not found and agreement.requests >= max(least, self._next_compared):
            self._next_compared = agreement.requests * _APART
            found = self._disagreement(agreement, *self._look())
        return found

    def _look(self) -> tuple[float, float]:
        """Return how sure this look must be, and the quantile for one end of an interval."""
        self.looks += 1
        wrong = (1 - self.limits.confidence) / (self.looks * (self.looks + 1))
        return 1 - wrong, NormalDist().inv_cdf(1 - wrong / 2)

    def _errors(self, new: Tally, old: Tally, confidence: float, z: float) -> str:
        failed = (new.failures, new.requests)
        if old.requests:
            least = more(failed, (old.failures, old.requests), z)
        else:
            least, _ = wilson(*failed, z)
        if least <= self.limits.error_points:
            return ""
        against = f"{old.failures / old.requests:.2%} of {old.requests:,}" if old.requests else "none seen"
        return (
            f"errors: {new.failures / new.requests:.2%} of {new.requests:,} requests against {against}, at least "
            f"{least:.2%} more ({confidence:.3%} sure; allowed {self.limits.error_points:.2%})"
        )

    def _latency(self, new: Tally, old: Tally, confidence: float, z: float) -> str:
        if min(new.timed, old.timed) < self.limits.min_requests:
            return ""
        low, high = percentile(new, z)[0], percentile(old, z)[1]
        allowed = max(self.limits.latency_ratio * high, high + self.limits.latency_slack_ms / _MILLISECONDS)
        if low <= allowed:
            return ""
        return (
            f"latency: p95 of {new.timed:,} requests is at least {_ms(low)}, that of {old.timed:,} at most {_ms(high)} "
            f"({confidence:.3%} sure; allowed {_ms(allowed)})"
        )

    def _disagreement(self, agreement: Agreement, confidence: float, z: float) -> str:
        least, _ = wilson(agreement.shares, agreement.requests, z)
        if least <= self.limits.disagreement:
            return ""
        return (
            f"disagreement: {agreement.share:.1%} of {agreement.rows:,} rows in {agreement.requests:,} requests, at "
            f"least {least:.1%} ({confidence:.3%} sure; allowed {self.limits.disagreement:.1%})"
        )


def _ms(seconds: float) -> str:
    return f"{seconds * _MILLISECONDS:.3g} ms" if math.isfinite(seconds) else "the limit of the queue"
