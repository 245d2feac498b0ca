"""Does a ledger balance? Random ledgers of every kind of line, and the ledger of a real run, cut every way.

    python benchmarks/money/ledger.py

Counts the ledgers where a cut differs from the total by any digit, in the exact amounts, in what is shown, and in the
CSV; and, for comparison, those where rounding each row by itself would have left the reader a last digit short.
"""

from __future__ import annotations

import csv
import io
import random
import sys
import tempfile
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import steelyard as sy
from rows import Bench
from steelyard.money import Entry, EntryKind, Ledger, Price
from steelyard.money.export import as_csv, lines
from steelyard.money.ledger import EXACT, entry
from steelyard.money.shares import BYS, places_for, table
from steelyard.units import Money

LEDGERS = 200
LEVERS = ("start", "tune", "quantise", "ensemble", "distil")


def random_ledger(rng: random.Random) -> tuple[Ledger, dict[int, str]]:
    """Make a ledger of up to 60 lines of any kind, prices and quantities over twelve orders of magnitude."""
    ledger, levers = Ledger("EUR"), {k: rng.choice(LEVERS) for k in range(12)}
    for _ in range(rng.randint(1, 60)):
        price = Decimal(rng.randint(0, 10**6)).scaleb(-rng.randint(0, 12))
        quantity = Decimal(rng.randint(0, 10**9)).scaleb(-rng.randint(0, 6))
        trial = rng.choice([None, *levers])
        kind = rng.choice([kind for kind in EntryKind if kind is not EntryKind.NOTE])
        ledger.append(entry(kind, "x", quantity, Price(Money(price, "EUR"), "unit", "us"), trial=trial))
    return ledger, levers


def off(entries: tuple[Entry, ...], ledger: Ledger, levers: dict[int, str]) -> dict[str, int]:
    """Return which of the sums differ: 1 for each that does in any cut."""
    found = dict.fromkeys(("exact", "shown", "csv", "naive"), 0)
    with localcontext(EXACT):
        for by in BYS:
            told = table(ledger, by, levers)
            amounts = [Decimal(part["amount"]) for part in told["parts"]]
            unit = Decimal(1).scaleb(-places_for(amounts))
            found["exact"] |= sum(amounts) != ledger.total.amount
            found["shown"] |= sum(Decimal(part["shown"]) for part in told["parts"]) != Decimal(told["shown"])
            with localcontext(Context(prec=120)):
                rounded = sum(amount.quantize(unit) for amount in amounts)
                found["naive"] |= rounded != ledger.total.amount.quantize(unit)
        rows = csv.DictReader(io.StringIO(as_csv(lines(entries, levers))))
        found["csv"] |= sum(Decimal(row["amount"]) for row in rows) != ledger.total.amount
    return {name: int(wrong) for name, wrong in found.items()}


def many(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    counts = {"ledgers": LEDGERS, "exact": 0, "shown": 0, "csv": 0, "naive": 0}
    for _ in range(LEDGERS):
        ledger, levers = random_ledger(rng)
        for name, wrong in off(tuple(ledger), ledger, levers).items():
            counts[name] += wrong
    return counts


def real() -> dict[str, Any]:
    """Make a run of three trials whose electricity is paid for, and look at its ledger and its report."""
    rng = random.Random(0)
    a, b = ([round(rng.gauss(0, 1), 4) for _ in range(200)] for _ in range(2))
    bought = ["yes" if x - y + rng.gauss(0, 1) > 0 else "no" for x, y in zip(a, b, strict=True)]
    with tempfile.TemporaryDirectory() as home:
        prices = Path(home) / "prices.yaml"
        prices.write_text("core_hour: 0.037\nelectricity: 0.293\ncountry: DEU\n", encoding="utf-8")
        frame = {"a": a, "b": b, "bought": bought}
        spec = sy.Spec(data=frame, target="bought", budget=sy.Budget(trials=3), prices=prices)
        run = sy.run(spec, out=Path(home) / "run", in_process=True)
        record, report = run.record, run.report
    ledger = Ledger.of(record.entries, record.prices.currency)
    wrong = off(record.entries, ledger, {t.number: t.lever for t in record.trials})
    report_off = int(Decimal(repr(report["ledger"]["total"])) != ledger.total.amount)
    return {"ledgers": 1, **wrong, "report": report_off, "lines": len(ledger)}


def main() -> None:
    bench = Bench("money-ledger")
    for seed in range(10):
        bench.measure({"ledgers": "random"}, lambda seed=seed: many(seed), seed=seed)
    bench.measure({"ledgers": "a real run"}, real)
    rows = bench.rows()
    count = sum(row["ledgers"] for row in rows)
    for name, what in (
        ("exact", "the parts of every cut sum to the total, to the last digit"),
        ("shown", "the parts as they are shown sum to the total as it is shown"),
        ("csv", "the lines of the CSV sum to the total, to the last digit"),
    ):
        bench.bar(f"6. {what}", rows, lambda rows, n=name: _none(rows, n, count), least=11)
    bench.bar("6. report.json tells the run's exact total", bench.rows(ledgers="a real run"), _report)
    naive = sum(row["naive"] for row in rows)
    print(f"       rounding each row by itself would leave {naive / max(1, count):.0%} of the ledgers a digit off")
    bench.finish()


def _none(rows: Any, name: str, count: int) -> tuple[bool, str]:
    wrong = sum(row[name] for row in rows)
    return wrong == 0, f"{wrong} of {count} ledgers off"


def _report(rows: Any) -> tuple[bool, str]:
    wrong = sum(row["report"] for row in rows)
    return wrong == 0, f"{wrong} of {len(rows)} off, {rows[0]['lines']} lines"


if __name__ == "__main__":
    main()
