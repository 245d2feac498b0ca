"""The file that says which rows leave a bundle for a dearer answer, and what that was calibrated to.

``steelyard escalate`` writes it, ``steelyard serve --escalate`` reads it. It holds no secret: of a key it names the
environment variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from steelyard.bundle.scores import IN_MONEY, MEASURES
from steelyard.client.calls import checked_address
from steelyard.errors import RequestInvalid, ServingRefused, nearest
from steelyard.serve.model import Served
from steelyard.tasks.money import widest
from steelyard.units import Money

_HOUR = 3600.0
_MOST_BYTES = 2**20


def _money(text: object) -> Money:
    found = Money.parse(text)
    if not found.amount.is_finite() or found.amount < 0:
        raise ValueError(f"{text!r} is below 0; a price is 0 or more")
    return found


def written(money: Money) -> str:
    """Return an amount with every digit.

    Examples
    --------
    >>> written(Money.parse("0.00025 USD"))
    '0.00025 USD'
    """
    return f"{money.amount:f} {money.currency}"


def _address(url: str) -> str:
    try:
        return checked_address(url)
    except RequestInvalid as problem:
        raise ValueError(str(problem)) from None


Price = Annotated[Money, BeforeValidator(_money), PlainSerializer(written)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """A plain record of the file: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Cut(_Part):
    """Rows of which the bundle is less sure than ``at`` are escalated; the measures are those of the lever cascade."""

    measure: Literal["margin", "confidence", "worth", "regret"]
    at: Share


class Wiring(_Part):
    """How rows are said to another server, and where its answer stands."""

    block: str = ""
    """The one input that takes all columns, in the order of the bundle's signature; empty: an input a column."""
    inputs: dict[str, str] = Field(min_length=1)
    """The datatype of each input, by name."""
    scores: str
    """The output of probabilities, shape (rows, classes)."""
    label: str = ""
    """The output of decisions, if it has one; otherwise they are made from the probabilities."""
    classes: tuple[str, ...] = Field(min_length=2)
    """What the columns of ``scores`` speak of, in their order."""


class Remote(_Part):
    """Another server of the Open Inference Protocol, version 2, as the last stage."""

    url: Annotated[str, BeforeValidator(_address)]
    model: str = Field(min_length=1)
    version: str = ""
    key_env: str = ""
    """The environment variable that holds its key."""
    ca: str = ""
    """A file of certificates to trust instead of the system's."""
    timeout_ms: float = Field(default=1000.0, gt=0, le=600_000)
    """Longest time of one call; no request waits longer for it than its own deadline allows."""
    price: Price
    """Of one row."""
    batch: int = Field(default=64, ge=1, le=4096)
    """Most rows of one call."""
    calls: int = Field(default=4, ge=1, le=256)
    """Most calls at once."""
    wiring: Wiring

    @property
    def key(self) -> str:
        """The key, or nothing where none is named.

        Raises
        ------
        ServingRefused
            If the environment variable is not set.
        """
        if not self.key_env:
            return ""
        found = os.environ.get(self.key_env, "")
        if not found:
            raise ServingRefused(f"the environment variable {self.key_env} is empty; put the key of {self.url} there")
        return found


class Person(_Part):
    """People as the last stage: rows are parked for them."""

    price: Price
    """Of one decision."""
    accuracy: Share = 1.0
    """How often a person is right; assumed."""
    database: str = "reviews.db"
    """SQLite file of parked rows and labels; relative to the folder of this file."""
    most: int = Field(default=10_000, ge=1)
    """Rows that may be parked at once."""
    megabytes: int = Field(default=1024, ge=1)
    """Size that parked rows may come to, in MiB."""
    days: float = Field(default=30.0, gt=0)
    """Age at which a parked row is given up."""


class Budget(_Part):
    """What escalation may cost at most; where it is spent, the bundle's answer stands."""

    share: Share | None = None
    """Of all rows, over the window."""
    window_seconds: float = Field(default=60.0, gt=0, le=_HOUR)
    money_per_hour: Price | None = None


class Promise(_Part):
    """What calibration promises, with its confidence; where money chose, nothing but that it was most."""

    metric: str
    lost_at_most: float | None = Field(default=None, gt=0)
    """Against always asking the other server, in units of the metric."""
    error_at_most: float | None = Field(default=None, gt=0, lt=1)
    """Share of wrong decisions among the rows that no person sees."""
    confidence: float = Field(gt=0, lt=1)


class Escalated(_Part):
    """The share of rows that calibration expects to escalate, with its 95% interval."""

    share: Share
    low: Share
    high: Share
    rows: int = Field(ge=1)


class Plan(_Part):
    """The whole file."""

    escalation: Literal[1] = 1
    """Version of its layout."""
    created: str
    bundle: str = Field(pattern="^[0-9a-f]{16}$")
    """Digest of the bundle that it was calibrated for."""
    rule: Cut
    remote: Remote | None = None
    person: Person | None = None
    promise: Promise
    escalated: Escalated
    budget: Budget = Budget()
    figures: dict[str, Any] = Field(default_factory=dict)
    """What was measured; read by people."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.remote is None) == (self.person is None):
            raise ValueError("name one last stage: `remote` or `person`")
        limit = self.budget.money_per_hour
        if limit is not None and limit.currency != self.price.currency:
            raise ValueError(f"budget.money_per_hour is in {limit.currency}, the price in {self.price.currency}")
        if limit is not None and limit.amount < self.price.amount:
            raise ValueError("budget.money_per_hour is below the price of one row, so that nothing would be escalated")
        return self

    @property
    def price(self) -> Money:
        """What one escalated row costs."""
        last = self.person or self.remote
        assert last is not None
        return last.price

    @property
    def rows_per_hour(self) -> int | None:
        """Most rows that the money for an hour pays; ``None``: any number."""
        limit = self.budget.money_per_hour
        return None if limit is None or not self.price.amount else int(limit.amount / self.price.amount)

    def to_yaml(self) -> str:
        """Return the text of the file."""
        data = self.model_dump(mode="json", exclude_none=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def read_plan(path: Path) -> Plan:
    """Read the file.

    Raises
    ------
    ServingRefused
        If it cannot be read, or does not say what it must; every problem is named.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ServingRefused(f"{path} is too long to be a file of `steelyard escalate`; name that one")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        why = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else problem.strerror
        raise ServingRefused(f"{path} cannot be read: {why}; make it with `steelyard escalate`") from None
    except yaml.YAMLError as problem:
        raise ServingRefused(f"{path} is no YAML: {problem}") from None
    if not isinstance(data, dict):
        raise ServingRefused(f"{path} holds no escalation; make it with `steelyard escalate`")
    try:
        return Plan.model_validate(data)
    except ValidationError as problem:
        lines = [f"  {_place(error['loc'])}: {error['msg']}" for error in problem.errors()]
        near = "".join(nearest(name, Plan.model_fields) for name in data if name not in Plan.model_fields)
        raise ServingRefused(f"{path} cannot be honoured{near}:\n" + "\n".join(lines)) from None


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc)) or "the file"


def check_plan(plan: Plan, served: Served, path: Path) -> None:
    """Refuse a file that is not for this bundle.

    Raises
    ------
    ServingRefused
        If it was calibrated for another bundle, or speaks of other columns or classes.
    """
    if plan.bundle != served.digest:
        raise ServingRefused(
            f"{path} was calibrated for the bundle {plan.bundle}, and this one is {served.digest}: calibrate again "
            "with `steelyard escalate`"
        )
    if served.predicts_value or served.tags or plan.rule.measure not in MEASURES:
        raise ServingRefused(f"{path}: a bundle that predicts values is never unsure of them; serve it without")
    if plan.rule.measure in IN_MONEY and not widest(served.task):
        measure = plan.rule.measure
        raise ServingRefused(f"{path}: the measure {measure!r} needs a bundle that knows what decisions are worth")
    wiring = plan.remote.wiring if plan.remote else None
    if wiring is None:
        return
    if sorted(wiring.classes) != sorted(served.task.classes):
        raise ServingRefused(f"{path}: remote.wiring.classes are not the classes of the bundle; calibrate again")
    if wiring.block and not served.layout.is_numeric:
        raise ServingRefused(f"{path}: remote.wiring.block needs columns that are all numbers; calibrate again")
    if not wiring.block and (unknown := sorted(set(wiring.inputs) - set(served.layout.columns))):
        raise ServingRefused(f"{path}: remote.wiring.inputs names {unknown[0]!r}, which the bundle does not read")
