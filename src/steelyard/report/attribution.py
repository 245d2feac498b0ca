"""What each lever cost and what it earned: the chosen path, shared out, and the best try of every other lever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from steelyard.contracts import Floats, Trial, known
from steelyard.decide import serving_cost
from steelyard.decide.attribution import Weights, before, by_orders, by_path, interactions, path, shared
from steelyard.decide.right import SECONDS_A_MONTH
from steelyard.decide.words import figure, money, span
from steelyard.money import Ledger
from steelyard.recipe import Given
from steelyard.report.rows import Json
from steelyard.search.finish import Pairs
from steelyard.search.record import RunRecord
from steelyard.search.store import Store
from steelyard.tasks import metric
from steelyard.units import Estimate, How

DIGITS = {"quality": 9, "latency_ms": 6, "size_bytes": 0, "cost_per_million": 9, "month": 6}
"""Decimals that each figure is shared out to."""
JOINED = " + "


def attribution(record: RunRecord) -> Json | None:
    """Return what the levers of a run cost and earned, if it decided on something that was made by levers.

    ``None`` too where its answers are gone.
    ``quality`` is in the aim's unit, above 0 where it became better. The shares of the levers ``on_path`` add up to
    ``total``, and what the levers cost, with ``rest``, to the ledger's total.
    """
    if record.decision is None or not (record.folder / "data.json").exists():
        return None
    chosen = next(t for t in record.trials if t.number == record.decision.number)
    return None if isinstance(chosen.recipe, Given) else _Told(record).told()


class _Told:
    """One run's levers; answers are read, and rows resampled, once."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._aim = metric(record.task.aim)
        assert record.decision is not None, "nothing was decided"
        number = record.decision.number
        self._trials = [t for t in known(record.trials) if t.weight is not None and not isinstance(t.recipe, Given)]
        self._chosen = next(t for t in self._trials if t.number == number)
        self._ledger = Ledger.of(record.entries, record.prices.currency)
        self._figures = {name: {t.number: self._figure(t, name) for t in self._trials} for name in DIGITS}
        store = Store(record.folder)
        self._pairs = Pairs(store.dataset(), store, {t.number: t.recipe for t in self._trials})

    def told(self) -> Json:
        """Return the block of the report."""
        steps = path(self._chosen, self._trials, self._better)
        shares = by_orders(self._chosen, self._trials)
        method = "path" if shares is None else "shapley"
        shares = by_path(steps) if shares is None else shares
        rows = self._on_path(shares) + self._off_path({word for name, _ in shares for word in name.split(JOINED)})
        spent = sum((Decimal(str(row["spent"])) for row in rows), start=Decimal(0))
        return {
            "currency": self._record.prices.currency,
            "method": method,
            "path": [trial.number for _, trial in steps],
            "total": self._total([weights for _, weights in shares]),
            "levers": rows,
            "rest": float(self._ledger.total.amount - spent),
            "interactions": self._interactions(),
        }

    def _better(self, trial: Trial) -> float:
        return self._aim.higher_is_better(trial.validation[self._aim.name].value)

    def _figure(self, trial: Trial, name: str) -> float:
        record, weight = self._record, trial.weight
        assert weight is not None, "only weighed trials are compared"
        cost = serving_cost(weight, record.prices, record.spec, trial.recipe, record.schema).value
        if name == "month":
            worth = self._better(trial) / 1000 if self._aim.name == "value" else 0.0
            return (worth - cost / 1e6) * self._decisions
        own = {
            "quality": self._better(trial),
            "latency_ms": weight.p95.value,
            "size_bytes": float(weight.size_bytes),
            "cost_per_million": cost,
        }
        return own[name]

    @property
    def _decisions(self) -> float:
        """Decisions a month; 0 where the spec names no traffic."""
        traffic = self._record.spec.serving.traffic
        return 0.0 if traffic is None else traffic.mean_rps * SECONDS_A_MONTH

    def _on_path(self, shares: Sequence[tuple[str, Weights]]) -> list[Json]:
        if not shares:
            return []
        columns = {n: shared(self._figures[n], [w for _, w in shares], digits) for n, digits in DIGITS.items()}
        charged: set[str] = set()
        rows = []
        for place, (name, weights) in enumerate(shares):
            words = [w for w in name.split(JOINED) if w not in charged]
            charged |= set(words)
            values = {n: column[place] for n, column in columns.items()}
            rows.append(self._row(name, words, weights, values, on_path=True))
        return rows

    def _off_path(self, charged: set[str]) -> list[Json]:
        """Return the other levers that were tried, each by its best try against the same trial without it."""
        rows = []
        for name in dict.fromkeys(t.lever for t in self._record.trials if t.lever not in charged):
            tries = [t for t in self._trials if t.lever == name]
            found = None
            for trial in sorted(tries, key=self._better, reverse=True):
                if (found := before(trial, self._trials, self._better)) is not None:
                    weights = {trial.number: Fraction(1), found[1].number: Fraction(-1)}
                    values = {n: shared(self._figures[n], [weights], d)[0] for n, d in DIGITS.items()}
                    rows.append(self._row(name, [name], weights, values, on_path=False))
                    break
            if found is None:
                rows.append(self._row(name, [name], {}, {}, on_path=False))
        return rows

    def _row(
        self, name: str, words: Sequence[str], weights: Weights, values: Mapping[str, Fraction], *, on_path: bool
    ) -> Json:
        tried = [t.number for t in self._record.trials if t.lever in words]
        spent = sum((self._ledger.of_trial(number).amount for number in tried), start=Decimal(0))
        month = values.get("month") if self._decisions else None
        row: Json = {
            "lever": name,
            "tried": len(tried),
            "spent": float(spent),
            "quality": self._spread(values.get("quality"), weights, self._unit, lambda draws: draws),
            "latency_ms": self._exact(values.get("latency_ms"), "ms"),
            "size_bytes": None if not values else int(values["size_bytes"]),
            "cost_per_million": self._exact(values.get("cost_per_million"), self._record.prices.currency),
            "month": self._month(month, weights),
            "on_path": on_path,
            "trials": sorted(weights),
        }
        return row | {"sentence": self._sentence(row)}

    @property
    def _unit(self) -> str:
        return self._aim.unit_for(self._record.task)

    def _exact(self, value: Fraction | None, unit: str) -> Json | None:
        return None if value is None else dict(Estimate.exact(float(value), unit=unit).to_json())

    def _month(self, value: Fraction | None, weights: Weights) -> Json | None:
        unit = f"{self._record.prices.currency} per month"
        if value is None:
            return None
        if self._aim.name != "value":
            return dict(Estimate.exact(float(value), how=How.ESTIMATED, unit=unit, source="serving alone").to_json())
        worth = sum((w * Fraction(self._figures["quality"][n]) for n, w in weights.items()), start=Fraction(0))
        shift = float(value) - float(worth) / 1000 * self._decisions
        return self._spread(value, weights, unit, lambda draws: draws / 1000 * self._decisions + shift)

    def _spread(
        self, value: Fraction | None, weights: Weights, unit: str, scaled: Callable[[Floats], Floats]
    ) -> Json | None:
        """Return a share with the 95% interval of the joint resamples of its trials."""
        if value is None:
            return None
        numbers = sorted(weights)
        draws = scaled(self._pairs.joint(numbers) @ np.array([float(weights[n]) for n in numbers]))
        draws = draws[np.isfinite(draws)]
        low, high = np.quantile(draws, (0.025, 0.975)) if len(draws) else (np.nan, np.nan)
        middle = float(value)
        source = f"{len(draws):,} joint resamples of the same rows"
        made = Estimate(middle, min(float(low), middle), max(float(high), middle), How.MEASURED, unit, source)
        return dict(made.to_json())

    def _total(self, weights: Sequence[Weights]) -> Json:
        sums = {n: sum(shared(self._figures[n], weights, d), start=Fraction(0)) for n, d in DIGITS.items()}
        total: Json = {name: float(value) for name, value in sums.items()}
        return total | {"size_bytes": int(sums["size_bytes"]), "month": total["month"] if self._decisions else None}

    def _interactions(self) -> list[Json]:
        found = []
        for one, other, signs in interactions(self._chosen, self._trials):
            (value,) = shared(self._figures["quality"], [signs], DIGITS["quality"])
            quality = self._spread(value, signs, self._unit, lambda draws: draws)
            verb = "more" if value > 0 else "less"
            sentence = f"{one} and {other} together bring {figure(abs(float(value)))} {verb} than each alone, added up."
            found.append({"levers": [one, other], "quality": quality, "sentence": sentence})
        return found

    def _sentence(self, row: Json) -> str:
        currency = self._record.prices.currency
        noun = "try" if row["tried"] == 1 else "tries"
        cost = f"{row['lever']} cost {money(row['spent'], currency)} in {row['tried']} {noun}"
        if row["quality"] is None:
            return f"{cost}; none of them can be held against the same model without it."
        gain = span(Estimate.from_json(row["quality"]))
        served = row["cost_per_million"]["value"]
        per = f"{money(abs(served), currency)} {'more' if served > 0 else 'less'} per million"
        ms = row["latency_ms"]["value"]
        time = f"{figure(abs(ms))} ms {'slower' if ms > 0 else 'faster'}"
        luck = "" if row["on_path"] or row["tried"] < 2 else f"; the best of {row['tried']} owes something to luck"
        return f"{cost}; {self._aim.name} changed by {gain}, above 0 is better, at {per} and {time}{luck}."
