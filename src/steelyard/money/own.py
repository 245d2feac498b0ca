"""A file of the user's own prices: every row checked, every problem told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from steelyard.errors import nearest
from steelyard.money import catalogue
from steelyard.money.catalogue import FAMILIES, Carbon, Function, Machine
from steelyard.money.catalogue.bounds import GRAMS, odd, outside
from steelyard.money.price import NAMED, SINGLE, Price, PricesInvalid, Rate, converted, known, less, rounded
from steelyard.units import Estimate, How, Money

if TYPE_CHECKING:
    from steelyard.money.prices import Prices

_PARTS = ("amount", "discount", "source", "date", "sure")
_MACHINE = ("on_demand", "spot", "discount", "cores", "memory_gb", "accelerator", "accelerators", "family")
_FUNCTION = ("gb_second", "request", "cold_start_ms")
_ABOUT = ("source", "date", "sure")
_REST = ("currency", "rates", "date", "source", "country", "carbon", "tdp_watts", "discounts", "machines", "functions")
_NAMES = (*SINGLE, *NAMED, *_REST)
_SURE = "if it is right, add `sure: true` to the row"


def laid_over(own: Prices, path: Path, today: date) -> Prices:
    """Return the prices in force where a file of the user's is laid over the package's.

    Raises
    ------
    PricesInvalid
        With every problem of the file, one a line.
    """
    rows = _read(path)
    reader = _Reader(path, today, rows)
    for name in rows:
        if name not in _NAMES:
            reader.problems.append(f"{path}: no price named {name!r}{nearest(name, _NAMES)}; known: {known(_NAMES)}")
    found = reader.prices(own)
    if reader.problems:
        raise PricesInvalid("\n".join(reader.problems))
    return _one_currency(replace(own, **found), rows.get("currency"), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        why = "not UTF-8" if isinstance(problem, UnicodeDecodeError) else problem.strerror
        raise PricesInvalid(
            f"{path}: the prices cannot be read ({why}); check `prices:` in the spec, or --prices"
        ) from problem
    except (yaml.YAMLError, ValueError) as problem:  # a day such as 2026-02-30 is a ValueError of YAML's
        raise PricesInvalid(f"{path}: the prices are not YAML ({problem})") from problem
    if not isinstance(rows, dict):
        shown = repr(rows) if len(repr(rows)) <= 60 else f"{repr(rows)[:60]} ..."
        raise PricesInvalid(f"{path}: must map names to prices, for example `core_hour: 0.04 USD`; got {shown}")
    return {str(name): row for name, row in rows.items()}


def _one_currency(prices: Prices, asked: object, path: Path) -> Prices:
    """Bring every price into the currency that was asked for, or into that of the core-hour."""
    currency = prices.currency if asked is None else str(asked)
    changed: dict[str, Any] = {}
    try:
        for name, price in prices.priced().items():
            part, _, inner = name.partition(": ")
            new = converted(price, currency, prices.rates)
            if inner:
                changed[part] = {**changed.get(part, getattr(prices, part)), inner: new}
            else:
                changed[part] = new
    except PricesInvalid as problem:
        given, one = price.amount.currency, prices.core_hour.amount.currency
        clash = f"{name} is in {given} but core_hour in {one}" if given != one else f"{name} is in {given}"
        raise PricesInvalid(
            f"{path}: {clash}, and {problem}, or give all in one currency, for example `core_hour: 0.04 {given}`"
        ) from None
    return replace(prices, **changed)


@dataclass(slots=True)
class _Reader:
    """Reads the parts of one file; what is wrong with one is put down, and the next is read."""

    path: Path
    today: date
    rows: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)
    rates: dict[str, Rate] = field(default_factory=dict)
    day: str = ""
    """The date of every row without one of its own."""

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except ValueError as problem:
            self.problems.append(f"{self.path}: {name}: {problem}")

    def prices(self, own: Prices) -> dict[str, Any]:
        """Return the fields of :class:`Prices` that the file gives."""
        with self._noting("date"):
            self.day = self._date(self.rows.get("date", ""))
        with self._noting("currency"):
            _currency(self.rows.get("currency", "USD"))
        self.rates |= self._each("rates", self._rate)
        found: dict[str, Any] = {"rates": self.rates}
        for name, per in SINGLE.items():
            if name in self.rows:
                with self._noting(name):
                    found[name] = self._row(name, self.rows[name], per, getattr(own, name))
        for part, per in NAMED.items():
            found[part] = self._each(part, partial(self._named, part, per))
        for name, read in (("tdp_watts", _watts), ("country", self._country), ("carbon", self._carbon)):
            if name in self.rows:
                with self._noting(name):
                    found["carbon" if name == "country" else name] = read(self.rows[name])
        found["discounts"] = self._each("discounts", _cloud_discount)
        found["own_machines"] = tuple(self._each("machines", self._machine).values())
        found["own_functions"] = tuple(self._each("functions", self._function).values())
        return found

    def _each(self, part: str, read: Callable[[str, Any], Any]) -> dict[str, Any]:
        given, found = self.rows.get(part, {}), {}
        if not isinstance(given, dict):
            self.problems.append(f"{self.path}: {part}: must map names to rows; got {given!r}")
            return {}
        for name, row in given.items():
            with self._noting(f"{part}: {name}"):
                found[str(name)] = read(str(name), row)
        return found

    def _row(self, name: str, given: object, per: str, base: Price | None, part: str = "") -> Price:
        """Return one price; it may be the name of a row of the catalogue."""
        row = _parts(given if isinstance(given, dict) else {"amount": given}, _PARTS)
        listed = catalogue.units().get(part or name, {})
        share = discount(row.get("discount", 0))
        if isinstance(row.get("amount"), str) and row["amount"] in listed:
            base = listed[row["amount"]]
        elif "amount" in row:
            amount = _amount(row["amount"], listed)
            amount = amount * (1 - Decimal(str(share))) if share else amount
            price = Price(rounded(amount), per, self._source(row), self._dated(row))
            self._sane(price, row)
            return price
        elif base is None or "discount" not in row:
            raise ValueError(f"needs an `amount`, for example `amount: 0.04 USD`{_offered(listed)}")
        return base if not share else replace(less(base, share, name), source=_less(base, str(self.path)))

    def _named(self, part: str, per: str, name: str, given: object) -> Price:
        return self._row(name, given, per, None, part)

    def _sane(self, price: Price, row: Mapping[str, Any]) -> None:
        """Refuse a price that is out by a digit, unless the user says that it is meant."""
        usd = self._usd(price.amount)
        wrong = None if usd is None or row.get("sure") is True else outside(price.per, usd)
        if wrong is not None:
            raise ValueError(f"{wrong}: is the unit right? {_SURE}")

    def _usd(self, money: Money) -> Decimal | None:
        if money.currency == "USD":
            return money.amount
        rate = self.rates.get(money.currency)
        return None if rate is None else money.amount * rate.usd

    def _source(self, row: Mapping[str, Any]) -> str:
        return str(row.get("source", self.rows.get("source", self.path)))

    def _dated(self, row: Mapping[str, Any]) -> str:
        return self._date(row["date"]) if "date" in row else self.day

    def _date(self, given: object) -> str:
        try:
            day = date.fromisoformat(str(given)) if given else None
        except ValueError:
            raise ValueError(f"date must be a day such as 2026-11-22; got {given!r}") from None
        if day is not None and day > self.today + timedelta(days=1):
            raise ValueError(f"date must not lie in the future; got {day} on {self.today}")
        return day.isoformat() if day else ""

    def _rate(self, name: str, given: object) -> Rate:
        row = _parts(given if isinstance(given, dict) else {"usd": given}, ("usd", "source", "date"))
        _currency(name)
        try:
            usd = Decimal(str(row["usd"]))
        except (KeyError, InvalidOperation):
            raise ValueError(f"needs what one {name} is in USD, for example `usd: 1.08`; got {given!r}") from None
        if not usd.is_finite() or usd <= 0:
            raise ValueError(f"must be above 0: what one {name} is in USD; got {row['usd']!r}")
        dated = self._dated(row)
        if not dated:
            raise ValueError("needs the `date` that it is of, for example `date: 2026-11-20`")
        return Rate(usd, self._source(row), dated)

    def _country(self, given: object) -> Carbon:
        if "carbon" in self.rows:
            return self._carbon(self.rows["carbon"])
        found = catalogue.carbon().get(str(given))
        if found is None:
            near = nearest(given, catalogue.carbon())
            raise ValueError(
                f"the catalogue has no carbon intensity of {given!r}{near}; give it as `carbon: {{grams: 400}}` (a kWh)"
            )
        return found

    def _carbon(self, given: object) -> Carbon:
        row = _parts(given if isinstance(given, dict) else {"grams": given}, ("grams", "low", "high", *_ABOUT))
        grams, low, high = _range(row, "grams")
        least, most = GRAMS
        if row.get("sure") is not True and not (low == 0 or (least <= low and high <= most)):
            raise ValueError(f"{grams:g} g a kWh is not between {least:g} and {most:g}; {_SURE}")
        estimate = Estimate(grams, low, high, How.MEASURED, "g CO2e/kWh", self._source(row))
        return Carbon(country=str(self.rows.get("country", "")), grams=estimate, date=self._dated(row))

    def _machine(self, key: str, given: object) -> Machine:
        row = _parts(given, (*_MACHINE, *_ABOUT))
        base = {m.key: m for m in catalogue.machines()}.get(key)
        cloud, name, region = _key(key, (m.key for m in catalogue.machines()))
        if base is None and not {"on_demand", "cores", "memory_gb"} <= row.keys():
            raise ValueError("is not in the catalogue, so it needs `on_demand`, `cores` and `memory_gb`")
        share = discount(row.get("discount", 0))
        spot = row.get("spot", base.spot if base else None)
        machine = Machine(
            name=name,
            cloud=cloud,
            region=region,
            cores=_count(row, "cores", base.cores if base else None, least=1),
            memory_gb=_number(row, "memory_gb", base.memory_gb if base else None, least=0.1),
            accelerator=str(row.get("accelerator", base.accelerator if base else "")),
            accelerators=_count(row, "accelerators", base.accelerators if base else 0, least=0),
            on_demand=self._hourly(row, "on_demand", base.on_demand if base else None),
            spot=None if spot is None else self._hourly(row, "spot", base.spot if base else None),
            family=_family(row.get("family", base.family if base else FAMILIES[0])),
        )
        usd = self._usd(machine.on_demand.amount)
        taken = None if machine.spot is None else self._usd(machine.spot.amount)
        wrong = None if usd is None or row.get("sure") is True else odd(usd, taken, machine.cores, machine.accelerators)
        if wrong is not None:
            raise ValueError(f"{wrong}; {_SURE}")
        return machine if not share else replace(machine, on_demand=less(machine.on_demand, share, key))

    def _hourly(self, row: Mapping[str, Any], name: str, base: Price | None, per: str = "machine-hour") -> Price:
        if row.get(name) is None:
            if base is None:
                raise ValueError(f"needs `{name}`, for example `{name}: 0.10 USD`")
            return base
        return Price(rounded(_amount(row[name], {})), per, self._source(row), self._dated(row))

    def _function(self, key: str, given: object) -> Function:
        row = _parts(given, (*_FUNCTION, *_ABOUT))
        base = {one.key: one for one in catalogue.functions()}.get(key)
        cloud, name, region = _key(key, (one.key for one in catalogue.functions()))
        found = Function(
            name=name,
            cloud=cloud,
            region=region,
            gb_second=self._hourly(row, "gb_second", base.gb_second if base else None, "GB-second"),
            request=self._hourly(row, "request", base.request if base else None, "request"),
            cold_start=self._cold(row, base),
        )
        for price in (found.gb_second, found.request):
            self._sane(price, row)
        return found

    def _cold(self, row: Mapping[str, Any], base: Function | None) -> Estimate:
        given = row.get("cold_start_ms")
        if given is None:
            if base is None:
                raise ValueError("needs `cold_start_ms`: how long the first request of a new instance waits, ms")
            return base.cold_start
        parts = _parts(given if isinstance(given, dict) else {"value": given}, ("value", "low", "high"))
        return Estimate(*_range(parts, "value"), How.MEASURED, "ms", self._source(row))


def discount(given: object) -> float:
    """Read a share from 0 to 1.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise ValueError(f"discount must be a share from 0 to 1; got {given!r}")
    return float(given)


def _cloud_discount(cloud: str, given: object) -> float:
    clouds = {machine.cloud for machine in catalogue.machines()}
    if cloud not in clouds:
        raise ValueError(f"no cloud of that name{nearest(cloud, clouds)}; known: {known(clouds)}")
    return discount(given)


def _parts(given: object, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"must be a row of {', '.join(names)}; got {given!r}")  # noqa: TRY004 - gathered as problems
    for name in given:
        if name not in names:
            raise ValueError(f"has no part {name!r}{nearest(name, names)}; known: {', '.join(names)}")
    return given


def _amount(given: object, listed: Mapping[str, Price]) -> Money:
    try:
        amount = Money.parse(given)
    except ValueError as problem:
        raise ValueError(f"{problem}{_offered(listed)}") from None
    if amount.amount < 0:
        raise ValueError(f"must be 0 or more; got {given!r}")
    return amount


def _offered(listed: Mapping[str, Price]) -> str:
    return f", or the name of a row of the catalogue: {', '.join(listed)}" if listed else ""


def _less(base: Price, origin: str) -> str:
    return f"{base.source}, less the discount in {origin}"


def _currency(given: object) -> None:
    if not (isinstance(given, str) and len(given) == 3 and given.isascii() and given.isupper()):
        raise ValueError(f"a currency has three letters, for example EUR; got {given!r}")


def _key(key: str, listed: Iterator[str]) -> list[str]:
    parts = key.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"a row is named cloud/name/region, for example aws/m7i.large/us-east-1{nearest(key, listed)}")
    return parts


def _family(given: object) -> Any:
    if given not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {given!r}")
    return given


def _watts(given: object) -> float:
    return _number({"tdp_watts": given}, "tdp_watts", None, least=0.1)


def _number(row: Mapping[str, Any], name: str, base: float | None, *, least: float) -> float:
    given = row.get(name, base)
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given) or given < least:
        raise ValueError(f"{name} must be a number of {least:g} or more; got {given!r}")
    return float(given)


def _count(row: Mapping[str, Any], name: str, base: int | None, *, least: int) -> int:
    found = _number(row, name, base, least=least)
    if found != int(found):
        raise ValueError(f"{name} must be a whole number; got {row[name]!r}")
    return int(found)


def _range(row: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    """Read a figure with its range; without one the figure is exact."""
    value = _number(row, name, None, least=0)
    low, high = _number(row, "low", value, least=0), _number(row, "high", value, least=0)
    if low > high:
        raise ValueError(f"the range is upside down: low {low:g} is above high {high:g}; swap them")
    if not low <= value <= high:
        raise ValueError(f"{name} {value:g} lies outside of its range, {low:g} to {high:g}; widen it")
    return value, low, high
