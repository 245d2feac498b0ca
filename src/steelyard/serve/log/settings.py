"""What an operator may set about the log of predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from steelyard.errors import RequestInvalid, ServingRefused
from steelyard.predictions import Address, Bounds, parse_address
from steelyard.serve.log.inputs import problem_of

_WHOLE = 2**64
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where predictions are logged, which of them, and what of each."""

    address: Address
    sample: float = 1.0
    """Share of requests that are logged, drawn by a hash of their id: every worker and every retry agrees."""
    inputs: str = "summary"
    """``summary``: numbers, times and categories as they are, of texts and images a hash and the length; ``numbers``:
    numbers and times alone; ``none``; or ``columns:a,b``: these alone, a text among them in full."""
    bounds: Bounds = field(default_factory=Bounds)

    def draws(self, request: str) -> bool:
        """Tell whether a request is logged.

        Examples
        --------
        >>> half = LogSettings(address=parse_address("log.db"), sample=0.5)
        >>> 450 < sum(half.draws(f"r-{n}") for n in range(1000)) < 550
        True
        """
        if self.sample >= 1.0:
            return True
        drawn = hashlib.blake2b(request.encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "little") < self.sample * _WHOLE

    def problems(self) -> Iterator[str]:
        """Yield what cannot be honoured."""
        if not 0 < self.sample <= 1:
            yield f"log_sample must be above 0 and at most 1; got {self.sample:g}: leave out --log to log nothing"
        if problem := problem_of(self.inputs):
            yield problem
        for name in ("rows", "bytes", "seconds"):
            if not 0 < getattr(self.bounds, name) < float("inf"):
                yield f"the log's bound of {name} must be above 0; got {getattr(self.bounds, name):g}"
        path = self.address.path
        if path is not None and not path.absolute().parent.is_dir():
            yield f"the folder of the log {path} is not there; make it, or name another file"
        if path is not None and path.is_dir():
            yield f"the log {path} is a folder; name a file in it"


def parse_log(
    where: str | None,
    *,
    sample: float | None = None,
    inputs: str | None = None,
    rows: int | None = None,
    megabytes: float | None = None,
    days: float | None = None,
) -> LogSettings | None:
    """Return the settings of the log out of the options of the command line; without an address there is no log.

    Raises
    ------
    ServingRefused
        If the address is none, or anything is set of a log that is off.
    """
    given = {"sample": sample, "inputs": inputs, "rows": rows, "mb": megabytes, "days": days}
    if not where:
        if asked := [f"--log-{name}" for name, value in given.items() if value is not None]:
            raise ServingRefused(f"{' and '.join(asked)} say how to log predictions; say where too, with --log")
        return None
    try:
        address = parse_address(where)
    except RequestInvalid as problem:
        raise ServingRefused(f"cannot serve: {problem}") from None
    usual = Bounds()
    bounds = Bounds(
        rows=usual.rows if rows is None else rows,
        bytes=usual.bytes if megabytes is None else round(megabytes * 2**20),
        seconds=usual.seconds if days is None else days * _DAY,
    )
    return LogSettings(
        address=address,
        sample=1.0 if sample is None else sample,
        inputs="summary" if inputs is None else inputs,
        bounds=bounds,
    )
