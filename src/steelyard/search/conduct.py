"""A whole run: folder, data, workers, loop, decision, final bundle; resumable at any instant."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from steelyard.data import Dataset, load, store
from steelyard.errors import Exit, NothingMeasured, RunUnreadable
from steelyard.measure import cores
from steelyard.money import Prices
from steelyard.registry import learners
from steelyard.search.allowance import Allowance
from steelyard.search.events import EventLog
from steelyard.search.executors import Executor, InProcess
from steelyard.search.finish import choose, conclude_run
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.journal import Journal
from steelyard.search.loop import Loop, search_of
from steelyard.search.pool import LocalPool
from steelyard.search.store import Store
from steelyard.search.watching import Silent, Watcher
from steelyard.spec import Spec, parse

DEFAULT_MINUTES = 5.0
"""The budget of time where a spec names none of any kind."""
MEMORY_SHARE = 0.8
"""Share of the machine's memory that all trials together may hold, where the spec does not say."""


def conduct(
    spec: Spec,
    *,
    folder: RunFolder,
    base: Path | None = None,
    watcher: Watcher | None = None,
    in_process: bool = False,
    started: float | None = None,
) -> Exit:
    """Run a spec in a folder, from its beginning or from where an earlier process left off.

    Parameters
    ----------
    spec
        What is wanted.
    folder
        A new run folder, or one whose events are to be continued.
    base
        Where relative data paths start.
    watcher
        Who is told what happens.
    in_process
        Do the trials in this process, one by one: no isolation, no start-up.
    started
        When the command began, on the monotonic clock; now, where it is not given.

    Returns
    -------
    Exit
        How it ended.
    """
    begin = time.monotonic() if started is None else started
    watcher = watcher or Silent()
    with folder.locked(), contextlib.closing(EventLog(folder.events)) as log:
        journal = Journal(log)
        if journal.history.exit_code is not None and journal.history.verdict is not None:
            return Exit(journal.history.exit_code)
        _open(journal, folder, spec)
        prices = Prices.load(_beside(spec.prices, base))
        refuse_empty_budget(spec)
        spec, note = with_default_budget(spec)
        if note:
            _note(journal, note)
        threads = spec.threads or max(1, cores() // spec.workers)
        with _executor(spec, folder, threads, in_process=in_process) as executor:
            watcher.phase("reading the data")
            dataset = _data(spec, base, folder, journal)
            watcher.data(dataset)
            allowance = _allowance(spec, dataset, prices, begin, journal, threads)
            journal.price_by(allowance)
            loop = _loop(spec, dataset, folder, executor, journal, allowance, watcher, threads)
            return _to_the_end(loop)


def _to_the_end(loop: Loop) -> Exit:
    why = loop.run()
    loop.watcher.phase("deciding")
    try:
        if loop.history.decision is None or not loop.history.verdict:
            decision = choose(loop)
            loop.journal.write("decided", {"decision": decision.to_json()})
            conclude_run(loop, decision)
    except NothingMeasured:
        loop.journal.write("finished", {"ending": why, "exit_code": int(Exit.NOTHING_MEASURED)})
        raise
    decision = loop.history.decision
    assert decision is not None, "there is a decision by now"
    code = Exit.DONE if decision.feasible else Exit.NOT_FEASIBLE
    if loop.journal.interrupted:
        code = Exit.INTERRUPTED
    loop.journal.write("finished", {"ending": why, "exit_code": int(code)})
    return code


def with_default_budget(spec: Spec) -> tuple[Spec, str]:
    """Return the spec with a budget of time, and a sentence where that was not the user's own."""
    budget = spec.budget
    if any(given is not None for given in (budget.minutes, budget.money, budget.trials)):
        return spec, ""
    limited = replace_budget(spec, DEFAULT_MINUTES)
    return limited, f"No budget was given: it is {DEFAULT_MINUTES:g} minutes (set `budget.minutes`)."


def replace_budget(spec: Spec, minutes: float) -> Spec:
    """Return the spec with another budget of time."""
    return spec.model_copy(update={"budget": spec.budget.model_copy(update={"minutes": minutes})})


def refuse_empty_budget(spec: Spec) -> None:
    """Refuse a budget of nothing before anything is started: 0 means 0.

    Raises
    ------
    NothingMeasured
        Naming the limit that is 0.
    """
    budget = spec.budget
    money = None if budget.money is None else budget.money.amount
    for name, given in (("minutes", budget.minutes), ("money", money), ("trials", budget.trials)):
        if given is not None and given <= 0:
            raise NothingMeasured(f"`budget.{name}` is 0, so nothing can be tried; raise it, or leave it out")


def _open(journal: Journal, folder: RunFolder, spec: Spec) -> None:
    if not journal.events:
        write_atomically(folder.spec, spec.to_yaml())
        facts = {
            "name": spec.name or folder.path.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
        }
        journal.write("created", facts)
        return
    if parse(folder.spec.read_text(encoding="utf-8")).to_yaml() != folder.spec.read_text(encoding="utf-8"):
        raise RunUnreadable(f"{folder.spec} was edited after the run began; start a new run for the changed spec")
    Store(folder.path).sweep()
    journal.write("resumed", {})


def machine() -> dict[str, str]:
    """Return what figures were measured on."""
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "memory": f"{_memory() / 1e9:.1f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "steelyard": version("steelyard"),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _note(journal: Journal, sentence: str) -> None:
    if sentence not in journal.history.notes:
        journal.write("note", {"sentence": sentence})


@contextlib.contextmanager
def _executor(spec: Spec, folder: RunFolder, threads: int, *, in_process: bool) -> Iterator[Executor]:
    share = spec.budget.memory_gb
    memory = int(share * 1e9 if share is not None else _memory() * MEMORY_SHARE / spec.workers)
    executor: Executor = (
        InProcess()
        if in_process
        else LocalPool(spec.workers, log=folder.log, threads=threads, memory_bytes=memory)
    )
    try:
        yield executor
    finally:
        executor.close()


def _data(spec: Spec, base: Path | None, folder: RunFolder, journal: Journal) -> Dataset:
    known = journal.history.data
    if known is not None:
        dataset = store.read(folder.path)
        if dataset.fingerprint != known["fingerprint"]:
            raise RunUnreadable(f"the data in {folder.path} is not what the run began with; start a new run")
        return dataset
    dataset = load(spec, base)
    store.save(dataset, folder.path)
    partition = dataset.partition
    counts = {
        "all": len(dataset.rows),
        "development": len(partition.development),
        "validation": len(partition.validation),
        "calibration": len(partition.calibration),
        "test": len(partition.test),
    }
    facts = {"fingerprint": dataset.fingerprint, "protocol": partition.protocol, "row_counts": counts}
    journal.write("data", facts)
    return dataset


def _allowance(
    spec: Spec, dataset: Dataset, prices: Prices, begin: float, journal: Journal, threads: int
) -> Allowance:
    parts = dataset.partition.parts
    fitted = sum(len(p.fit) for p in parts) / len(parts)
    return Allowance(
        budget=spec.budget,
        prices=prices,
        start=begin,
        before=journal.history.elapsed if len(journal.events) > 3 else 0.0,
        cores=threads * spec.workers,
        parts=len(parts),
        growth=len(dataset.partition.development) / max(1.0, fitted),
    )


def _loop(
    spec: Spec,
    dataset: Dataset,
    folder: RunFolder,
    executor: Executor,
    journal: Journal,
    allowance: Allowance,
    watcher: Watcher,
    threads: int,
) -> Loop:
    search, refused = search_of(spec, dataset, threads)
    for sentence in refused:
        _note(journal, sentence)
    modules = [m for name in search.names for m in getattr(learners().get(name), "modules", ())]
    executor.load(tuple(dict.fromkeys(modules)))
    for _, trial in sorted(journal.history.trials.items()):
        search.tell(trial)
    return Loop(
        spec=spec,
        dataset=dataset,
        store=Store(folder.path),
        search=search,
        executor=executor,
        journal=journal,
        allowance=allowance,
        watcher=watcher,
        threads=threads,
    )


def _beside(path: Path | None, base: Path | None) -> Path | None:
    return path if path is None or path.is_absolute() or base is None else base / path


