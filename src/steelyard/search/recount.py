"""A run told again from what lies in its folder: the record that every report is made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steelyard.contracts import Schema
from steelyard.data import store
from steelyard.decide import serving_cost
from steelyard.errors import RunUnreadable
from steelyard.money import Entry, Prices, compute_entry, note_entry
from steelyard.recipe import describe
from steelyard.search.compared import Compared
from steelyard.search.events import read_events
from steelyard.search.folder import RunFolder
from steelyard.search.history import History
from steelyard.search.record import Final, RunRecord, Spent
from steelyard.spec import Spec, parse
from steelyard.units import Money, Seconds


def recount(folder: RunFolder, *, spec: Spec | None = None) -> RunRecord:
    """Return the record of a run, finished or not. Reads only; never locks.

    Raises
    ------
    RunUnreadable
        If the folder holds no run, or one that did not come as far as its data.
    """
    events, _ = read_events(folder.events)
    history = History.of(events)
    if history.data is None:
        raise RunUnreadable(f"{folder.path} ended before its data was read; start a new run, or `run --resume` it")
    spec = spec or parse(folder.asked(), source=str(folder.spec))
    prices = Prices.from_json(history.facts["prices"])  # those in force when it was run, whatever they are today
    known = store.describe(folder.path)
    entries = tuple(entries_of(history, prices))
    money = sum((e.amount for e in entries), start=Money(prices.core_hour.amount.amount * 0, prices.currency))
    return RunRecord(
        name=str(history.facts["name"]),
        folder=folder.path,
        created=str(history.facts["created"]),
        spec=spec,
        schema=known.schema,
        task=known.task,
        fingerprint=str(history.data["fingerprint"]),
        row_counts=dict(history.data["row_counts"]),
        protocol=str(history.data["protocol"]),
        prices=prices,
        ending=history.ending or "The run has not ended; go on with `steelyard run --resume`.",
        spent=Spent(seconds=Seconds(history.elapsed), money=money),
        findings=tuple(f.to_json() for f in known.findings),
        trials=tuple(t for _, t in sorted(history.trials.items())),
        entries=entries,
        decision=history.decision,
        final=final_of(history, folder, spec, prices, known.schema),
        notes=tuple(dict.fromkeys(history.notes)),
        test_reads=history.test_reads,
        machine=dict(history.facts["machine"]),
        compared=None if history.compared is None else Compared.from_json(history.compared),
    )


def shipped(folder: RunFolder) -> Path | None:
    """Return the bundle that a run ships, once there is one; reads the events alone."""
    found = History.of(read_events(folder.events)[0]).shipped
    return None if found is None else folder.bundles / found.bundle


def entries_of(history: History, prices: Prices) -> Iterable[Entry]:
    """Yield the ledger: each trial, the weighing, the refit, and what the cores held beside that.

    Cores are paid for from the first second to the last, busy or not, so the lines sum to the whole command.
    """
    assert history.data is not None, "a run without data has no ledger"
    cores, threads = int(history.data["cores"]), int(history.data["threads"])
    spent = 0.0
    for number, trial in sorted(history.trials.items()):
        took = float(trial.seconds) * threads
        spent += took
        yield compute_entry(f"trial {number}: {describe(trial.recipe)}", Seconds(took), prices, trial=number)
    others = {"weighing bundles": history.weigh_seconds * threads}
    if history.shipped is not None:
        others["refit, test and final weighing"] = history.final_seconds * threads
    for what, took in others.items():
        spent += took
        yield compute_entry(what, Seconds(took), prices)
    rest = max(0.0, history.elapsed * cores - spent)
    yield compute_entry("reading data, deciding, reporting, idle cores", Seconds(rest), prices)
    for sentence in dict.fromkeys(history.notes):
        yield note_entry(sentence, prices)


def final_of(history: History, folder: RunFolder, spec: Spec, prices: Prices, schema: Schema) -> Final | None:
    """Return what ships with its figures, once that is settled."""
    shipped, decision = history.shipped, history.decision
    if shipped is None or decision is None:
        return None
    trial = history.trials[decision.number]
    return Final(
        bundle=folder.bundles / shipped.bundle,
        refitted=shipped.refitted,
        validation=trial.validation,
        test=history.test or {},
        weight=shipped.weight,
        cost_per_million=serving_cost(shipped.weight, prices, spec, trial.recipe, schema),
        rounds=trial.rounds,
    )
