"""A run told again from what lies in its folder: the record that every report is made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steelyard.contracts import Schema
from steelyard.data import store
from steelyard.decide import serving_cost
from steelyard.decide.words import span
from steelyard.devices import Footing
from steelyard.errors import RunUnreadable
from steelyard.money import Entry, Ledger, Prices, compute_entry, note_entry
from steelyard.money.energy import energy_entries, energy_of
from steelyard.money.ledger import call_entry
from steelyard.recipe import Given, describe
from steelyard.search.compared import Compared
from steelyard.search.events import read_events
from steelyard.search.folder import RunFolder
from steelyard.search.history import History
from steelyard.search.record import Final, RunRecord, Spent
from steelyard.spec import Spec, parse
from steelyard.units import Seconds


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
    prices = prices_then(history)
    known = store.describe(folder.path)
    entries = tuple(entries_of(history, prices))
    kept = history.facts.get("edge")
    footing = None if kept is None else Footing.from_json(kept)
    money = Ledger.of(entries, prices.currency).total
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
        notes=tuple(dict.fromkeys((*history.notes, *(() if footing is None else footing.old)))),
        test_reads=history.test_reads,
        machine=dict(history.facts["machine"]),
        compared=None if history.compared is None else Compared.from_json(history.compared),
        footing=footing,
        escalated=history.escalated,
    )


def prices_then(history: History) -> Prices:
    """Return the prices that were in force when a run was begun, whatever they are today."""
    kept = history.facts["prices"]
    return Prices.from_json({"read": str(history.facts["created"])[:10], **kept})


def shipped(folder: RunFolder) -> Path | None:
    """Return the bundle that a run ships, once there is one; reads the events alone."""
    history = History.of(read_events(folder.events)[0])
    found = history.shipped
    return None if found is None or not _ships(history) else folder.bundles / found.bundle


def _ships(history: History) -> bool:
    """Tell whether what was decided on is a bundle: an endpoint or past decisions stay where they are."""
    assert history.decision is not None, "something was decided on before it shipped"
    recipe = history.trials[history.decision.number].recipe
    return not isinstance(recipe, Given) or recipe.ships


def entries_of(history: History, prices: Prices) -> Iterable[Entry]:
    """Yield the ledger: each trial, the weighing, the refit, what the cores held beside that, and the energy.

    Cores are paid for from the first second to the last, busy or not, so the lines sum to the whole command.
    """
    assert history.data is not None, "a run without data has no ledger"
    cores, threads = int(history.data["cores"]), int(history.data["threads"])
    spent = 0.0
    yield from asked_of(history, prices)
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
    held = Seconds(history.elapsed)
    energy = energy_of(history.facts["machine"], cores, held, history.metered, prices.tdp_watts)
    if energy is not None and history.elapsed > 0:
        yield from energy_entries(energy, prices)
    yield from steps_of(history, prices)
    for sentence in dict.fromkeys(history.notes):
        yield note_entry(sentence, prices)


def steps_of(history: History, prices: Prices) -> Iterable[Entry]:
    """Yield what each step of shrinking came to: bytes, latency and quality, and whether it was kept."""
    for found in () if history.decision is None else history.decision.shrunk:
        trial, other = history.trials[found.number], history.trials.get(found.against or 0)
        if found.against is None or other is None or trial.weight is None or other.weight is None:
            continue
        assert found.lost is not None, "what was held against another has a difference"
        bytes_ = f"{trial.weight.size_bytes:,} bytes instead of {other.weight.size_bytes:,}"
        times = "latency unknown" if found.p50 is None else f"{span(found.p50)} times its median latency"
        sentence = (
            f"{trial.lever}, trial {found.number}, held against trial {found.against}: {bytes_}, {times}, "
            f"{span(found.lost)} lost in quality; {'kept' if found.kept else 'rejected'}."
        )
        yield note_entry(sentence, prices, trial=found.number)


def asked_of(history: History, prices: Prices) -> Iterable[Entry]:
    """Yield what asking the endpoint that is used today came to: every row sent, at its price a decision."""
    facts = history.facts.get("incumbent") or {}
    for number, trial in sorted(history.trials.items()):
        if isinstance(trial.recipe, Given) and trial.recipe.kind == "endpoint" and trial.ending.usable:
            assert history.data is not None, "a trial has data"
            rows = history.data["scored"] + (0 if trial.weight is None else trial.weight.calls)
            chosen = history.decision is not None and history.decision.number == number
            rows += history.data["row_counts"]["test"] if chosen and history.test is not None else 0
            yield call_entry(f"trial {number}: asking {trial.recipe.name}", rows, facts["per_call"], prices, number)


def final_of(history: History, folder: RunFolder, spec: Spec, prices: Prices, schema: Schema) -> Final | None:
    """Return what ships with its figures, once that is settled."""
    shipped, decision = history.shipped, history.decision
    if shipped is None or decision is None:
        return None
    trial = history.trials[decision.number]
    return Final(
        bundle=folder.bundles / shipped.bundle if _ships(history) else None,
        refitted=shipped.refitted,
        validation=trial.validation,
        test=history.test or {},
        weight=shipped.weight,
        cost_per_million=serving_cost(shipped.weight, prices, spec, trial.recipe, schema),
        rounds=trial.rounds,
    )
