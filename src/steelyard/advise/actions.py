"""What may be done next: each with its expected gain and cost, and the rule that picks the one thing to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from steelyard.decide.words import decimals, figure, money
from steelyard.search.moves import LEAST
from steelyard.search.spending import Gain, Worth
from steelyard.units import Estimate, How

WORTH_A_ROUND = 0.1
"""Share of the greatest net gain on offer below which an action is no reason to put the others off."""

ROUND = 1_000.0
"""Money from which on cents are not shown."""


class Kind(StrEnum):
    """What sort of thing is done."""

    LABELS = "labels"
    LEVER = "lever"
    TUNE = "tune"
    LEARNER = "learner"
    CLEAN = "clean"
    COMPUTE = "compute"
    COLUMN = "column"
    LATENCY = "latency"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that may be done next.

    ``gain`` is money over the horizon, or in the unit of the aim where no values are stated; ``cost`` is money, or
    ``None`` where nobody said the price; then ``break_even`` is the price of one ``per`` up to which it returns more
    than it costs, where values are stated.
    """

    name: str
    kind: Kind
    gain: Estimate
    cost: Estimate | None
    evidence: str
    break_even: Estimate | None = None
    per: str = ""

    @property
    def per_dollar(self) -> Estimate | None:
        """The gain for each unit of money, infinite where it costs nothing; ``None`` where the cost is unknown."""
        if self.cost is None:
            return None
        ends = (
            _ratio(self.gain.value, self.cost.value),
            _ratio(self.gain.low, self.cost.high if self.gain.low > 0 else self.cost.low),
            _ratio(self.gain.high, self.cost.low if self.gain.high > 0 else self.cost.high),
        )
        return Estimate(*ends, How.ESTIMATED, f"{self.gain.unit} per {self.cost.unit}", "gain over cost")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; what is infinite or unknown is ``null``."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "gain": self.gain.to_json(),
            "cost": _json(self.cost),
            "per_dollar": _json(self.per_dollar),
            "break_even": _json(self.break_even),
            "evidence": self.evidence,
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """What it should bring for what price, for people."""
        gain = f"{self.name}: expected to bring {_shown(self.gain)}"
        if not _is_money(self.gain.unit):
            bare = replace(self.gain, unit="")
            gain = f"{self.name}: expected to better {self.gain.unit or 'the aim'} by {_shown(bare)}"
        if self.cost is not None:
            return f"{gain} for {_shown(self.cost)}."
        if self.break_even is None:
            return f"{gain}; what it costs is not known."
        return f"{gain}; what it costs is not known: worth it below {self.worth_below}."

    @property
    def worth_below(self) -> str:
        """The break-even price for people, such as ``0.12 USD a label``."""
        if self.break_even is None:
            return "an unknown price"
        price = _money(max(0.0, self.break_even.value), self.break_even.unit.split(" ", maxsplit=1)[0])
        return f"{price} {'an' if self.per[:1] in 'aeiouh' else 'a'} {self.per}"


def _ratio(gain: float, cost: float) -> float:
    if cost > 0:
        return gain / cost
    return math.copysign(math.inf, gain) if gain else 0.0


def _json(estimate: Estimate | None) -> dict[str, object] | None:
    return None if estimate is None else estimate.to_json()


def _is_money(unit: str) -> bool:
    first = unit.split(" ", maxsplit=1)[0]
    return len(first) == len("USD") and first.isupper()


def _money(amount: float, currency: str) -> str:
    """Return money without cents where they do not count."""
    return f"{amount:,.0f} {currency}" if abs(amount) >= ROUND else money(amount, currency)


def _shown(estimate: Estimate) -> str:
    """Return a figure with its interval in its unit; money as money is written."""
    unit, currency = estimate.unit, estimate.unit.split(" ", maxsplit=1)[0]
    if _is_money(unit):
        ends = [_money(x, currency).removesuffix(f" {currency}") for x in (estimate.low, estimate.high)]
        whole = f"{_money(estimate.value, currency)}{unit.removeprefix(currency)}"
    else:
        ends = [figure(x, decimals(estimate.value)) for x in (estimate.low, estimate.high)]
        whole = f"{figure(estimate.value)} {unit}".rstrip()
    return whole if estimate.low == estimate.high else f"{whole} ({ends[0]} to {ends[1]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Yard:
    """What gains are measured in: money over the horizon where the spec states values, else the aim's own unit.

    ``aim`` is the unit of the aim as it is shown, ``way`` the length from the constant model to a perfect one;
    ``decisions`` those of the whole horizon, ``None`` where no traffic is known.
    """

    worth: Worth
    aim: str
    way: float
    decisions: float | None = None

    @property
    def priced(self) -> bool:
        """Whether gains are money over the horizon."""
        return self.worth.money(Gain(0.0, 0.0, 0.0, 0.0)) is not None

    def gain(self, value: float, low: float, high: float, source: str, how: How = How.ESTIMATED) -> Estimate:
        """Return a gain in the aim's own unit, higher better, as it counts here."""
        found = self.worth.money(Gain(value, low, high, 0.0))
        if found is None:
            return Estimate(value, low, high, how, self.aim, source)
        return replace(found, how=how, source=source)

    def seconds(self, value: float, low: float, high: float, source: str, how: How = How.ESTIMATED) -> Estimate:
        """Return what so many seconds of the run's cores cost."""
        price = self.worth.price
        ends = price(value).value, price(low).value, price(high).value
        return Estimate(*ends, how, self.worth.currency, source)

    def net(self, action: Action) -> float:
        """Return what an action should leave once it is paid for; without values its gain, -inf where it is nothing.

        An action of unknown cost leaves -inf.
        """
        if action.cost is None or not math.isfinite(action.gain.value):
            return -math.inf
        if self.priced:
            return action.gain.value - action.cost.value
        return action.gain.value if action.gain.value >= LEAST * self.way else -math.inf

    def break_even(self, gain: Estimate, units: float, per: str) -> Estimate | None:
        """Return the price of one unit up to which an action returns more than it costs; without values ``None``."""
        if not self.priced or units <= 0:
            return None
        source = f"the gain shared out over {units:,.0f} {per}s"
        return gain.scaled(1 / units, unit=f"{self.worth.currency} per {per}", how=How.ESTIMATED, source=source)


def in_order(actions: Iterable[Action], yard: Yard) -> tuple[Action, ...]:
    """Return actions, those that pay first, and of these the one with the highest return per dollar."""

    def key(action: Action) -> tuple[bool, bool, float, float, str]:
        rate = action.per_dollar
        ratio = -math.inf if rate is None else rate.value
        return (yard.net(action) <= 0, rate is None, -ratio, -action.gain.value, action.name)

    return tuple(sorted(actions, key=key))


def choose(actions: Sequence[Action], yard: Yard) -> int | None:
    """Return the place of the one thing to do next, ``None`` where nothing is expected to return its price.

    Of those that leave at least a tenth of the greatest net gain on offer it is the one with the highest return per
    dollar: cheap steps go first, but not one that hardly matters beside a greater one.
    """
    nets = [yard.net(action) for action in actions]
    most = max(nets, default=-math.inf)
    if most <= 0:
        return None
    worthy = [k for k, net in enumerate(nets) if net >= WORTH_A_ROUND * most]
    rates = {k: rate.value for k in worthy if (rate := actions[k].per_dollar) is not None}
    return max(worthy, key=lambda k: (rates.get(k, -math.inf), nets[k], -k))


def stop_sentence(actions: Sequence[Action], yard: Yard) -> str:
    """Say that nothing is left to do, what came nearest, and what price would change that."""
    known = [a for a in actions if a.cost is not None]
    lines = ["Stop: nothing left is expected to return its price."]
    if not yard.priced:
        lines = [f"Stop: nothing left is expected to improve {yard.aim or 'the aim'} by anything that counts."]
    if known:
        best = max(known, key=lambda a: a.gain.value - (a.cost.value if a.cost and yard.priced else 0.0))
        lines.append(f"What came nearest: {best.sentence}")
    for action in actions:
        if action.cost is None and action.break_even is not None and action.break_even.value > 0:
            lines.append(f"{action.name[:1].upper()}{action.name[1:]} would pay below {action.worth_below}.")
    return " ".join(lines)
