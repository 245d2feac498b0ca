"""What is said of the device, a server, or both: the sentence, the notes, and the table on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steelyard.decide.words import figure, money
from steelyard.search.record import RunRecord
from steelyard.spec import EdgePart
from steelyard.units import Estimate, How

Json = dict[str, Any]
WAYS = {"edge": "the device alone", "server": "a server alone", "cascade": "the device first"}


def sentence_of(block: Json) -> str:
    """Return who wins, and where the winner changes."""
    won = next(row for row in block["ways"] if row["way"] == block["winner"])
    seen = "no bounded time" if won["p95_ms"] is None else f"{figure(won['p95_ms'])} ms at p95"
    trip = block["round_trip_ms"]
    first = (
        f"With a round trip of {figure(trip['p50'])} ms (p95 {figure(trip['p95'])} ms) and {figure(block['mean_rps'])} "
        f"requests/s, {WAYS[won['way']]} should answer: {block['why']} ({seen}, {_month(won['month'], block)} a month)."
    )
    if won["unanswered"]:
        first += f" It leaves {won['unanswered']:.1%} of the requests, those without a server, unanswered."
    return " ".join([first, _crossed("round trip", "ms", block["by_round_trip"]),
                     _crossed("traffic", "requests/s", block["by_traffic"])])  # fmt: skip


def _crossed(what: str, unit: str, found: list[Json]) -> str:
    if not found:
        return (
            f"No other {what} that was looked at changes that."
            if what == "traffic"
            else ("No other round trip from 0.1 to 3,000 ms changes that.")
        )
    told = [f"above {figure(one['at'])} {unit}, {WAYS[one['above']]} (below: {WAYS[one['below']]})" for one in found]
    return f"By {what}: {'; '.join(told)}."


def notes_of(record: RunRecord, part: EdgePart, why: str) -> list[str]:
    """Return what the figures rest on."""
    notes = []
    final = record.final
    weight = None if final is None else final.weight
    p95 = None if weight is None else weight.there.get("p95")
    if p95 is not None:
        notes.append(f"Times on {part.device} are {p95.how.value} from those here: {p95.source}.")
    if why:
        notes.append(f"The device first is not offered: {why}.")
    if part.offline:
        notes.append(
            f"{part.offline:.0%} of requests find no server: the device's own answer stands then, and a server alone "
            "leaves them without one."
        )
    return notes


def lines(block: Json) -> Iterator[str]:
    """Yield the block as lines of a terminal."""
    yield block["sentence"]
    if not block["ways"]:
        return
    yield ""
    yield from table(block)
    share = block["escalated"]
    if share is not None:
        yield (
            f"  the device passes on {share['share']:.1%} ({share['low']:.1%} to {share['high']:.1%}) of "
            f"{share['rows']:,} validation rows"
        )
    yield from ("", "models", *(f"  {which}: {name}" for which, name in block["models"].items() if name))
    yield from ("", "notes", *(f"  {note}" for note in block["notes"]))


def table(block: Json) -> Iterator[str]:
    """Yield the three ways as rows."""
    yield f"  {'':18} {'p50':>9} {'p95':>9}  {block['aim']:26} {'a month':>14}  server / devices / energy / egress"
    for row in block["ways"]:
        mark = "*" if row["way"] == block["winner"] else " "
        costs = " / ".join(_month(row["costs"][name], block) for name in ("server", "devices", "energy", "egress"))
        late = "" if row["keeps_target"] else "  misses the target"
        yield (
            f"{mark} {WAYS[row['way']]:18} {ms(row['p50_ms']):>9} {ms(row['p95_ms']):>9}  {quality(row):26} "
            f"{_month(row['month'], block):>14}  {costs}{late}"
        )


def quality(row: Json) -> str:
    """Return the quality of a way with its interval."""
    one = Estimate.from_json(row["quality"])
    return f"{figure(one.value)} ({figure(one.low)} to {figure(one.high)})"


def known(row: Json) -> str:
    """Return how the time on the device is known; empty where no device answers."""
    one = row["device_p95"]
    if one is None:
        return ""
    found = Estimate.from_json(one)
    text = f"{figure(found.value)} ({figure(found.low)} to {figure(found.high)}) ms"
    return text if found.how is How.MEASURED else f"{text}, {found.how.value}"


def ms(value: float | None) -> str:
    """Return a time; none is one without bounds."""
    return "unbounded" if value is None else f"{figure(value)} ms"


def _month(value: float, block: Json) -> str:
    return money(value, block["currency"])
