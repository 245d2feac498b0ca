"""The options of ``steelyard escalate``, checked all at once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from steelyard.bundle.scores import MEASURES
from steelyard.errors import RequestInvalid, nearest
from steelyard.serve.escalation.plan import Budget

PERSON = "person"
REGRET = "regret"
"""The measure that chooses by money what goes to persons."""
TOLERANCE, MAX_ERROR = 0.01, 0.05
_CONFIDENCES = (0.5, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command; ``None`` and empty words are unset.

    Raises
    ------
    RequestInvalid
        If one is out of its range, or says nothing about this last stage.
    """

    to: str
    price: str = ""
    tolerance: float | None = None
    max_error: float | None = None
    confidence: float = 0.95
    metric: str = ""
    measure: str = "margin"
    model: str = "model"
    version: str = ""
    key_env: str = ""
    timeout_ms: float = 1000.0
    accuracy: float | None = None
    reviews: str = ""
    budget_share: float | None = None
    money_per_hour: str = ""
    prices: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        problems = [*self._of_any()]
        problems += self._of_person() if self.is_person else self._of_server()
        if problems:
            raise RequestInvalid("cannot calibrate:\n" + "\n".join(f"  {problem}" for problem in problems))

    @property
    def is_person(self) -> bool:
        """Whether rows go to persons."""
        return self.to == PERSON

    def _of_any(self) -> list[str]:
        low, high = _CONFIDENCES
        problems = []
        if not low <= self.confidence <= high:
            problems.append(f"--confidence must be from {low} to {high}; got {self.confidence:g}")
        if self.measure not in MEASURES:
            near = nearest(self.measure, MEASURES)
            problems.append(f"--measure must be one of {', '.join(MEASURES)}{near}; got {self.measure!r}")
        return problems

    def _of_person(self) -> list[str]:
        problems = []
        if self.tolerance is not None or self.metric:
            problems.append("--tolerance and --metric are about another model; for persons give --max-error")
        if self.max_error is not None and not 0 < self.max_error < 1:
            problems.append(f"--max-error must lie between 0 and 1; got {self.max_error:g}")
        if self.max_error is not None and self.measure == REGRET:
            problems.append("--max-error is a promise, and --measure regret chooses by money; leave one out")
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            problems.append(f"--accuracy must be above 0 and at most 1; got {self.accuracy:g}")
        if not self.price:
            problems.append("--price is needed: what one decision of a person costs, as '0.40 USD'")
        if self.key_env or self.version or self.model != "model":
            problems.append("--model, --version and --key-env are about another server; leave them out")
        return problems

    def _of_server(self) -> list[str]:
        problems = []
        if self.max_error is not None or self.accuracy is not None or self.reviews:
            problems.append("--max-error, --accuracy and --reviews are about persons; for a server give --tolerance")
        if self.measure == REGRET:
            problems.append("--measure regret weighs the price of a person; for a server take margin or worth")
        if self.tolerance is not None and not (self.tolerance > 0 and math.isfinite(self.tolerance)):
            problems.append(f"--tolerance must be above 0; got {self.tolerance:g}")
        if not self.to.startswith(("http://", "https://")):
            problems.append(f"--to must be 'person' or the address of a server; got {self.to!r}")
        return problems

    @property
    def budget(self) -> Budget:
        """What may be escalated at most.

        Raises
        ------
        RequestInvalid
            If it is out of its range.
        """
        try:
            return Budget.model_validate({"share": self.budget_share, "money_per_hour": self.money_per_hour or None})
        except ValidationError as problem:
            first = problem.errors()[0]
            option = "--budget-share" if first["loc"] == ("share",) else "--money-per-hour"
            raise RequestInvalid(f"{option}: {first['msg']}") from None

    @property
    def key(self) -> str:
        """The key of the other server, or nothing where none is named.

        Raises
        ------
        RequestInvalid
            If the environment variable is empty.
        """
        found = os.environ.get(self.key_env, "") if self.key_env else ""
        if self.key_env and not found:
            raise RequestInvalid(f"the environment variable {self.key_env} is empty; put the key of {self.to} there")
        return found
