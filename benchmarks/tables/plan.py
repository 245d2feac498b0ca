"""Which cases there are, in which order they are run, and how a slice of them is named.

All tools of one set, budget and seed stand together, so that wherever a call ends, the rows it leaves can be compared
in pairs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sets import PLANNED, SETS
from store import Case
from tools import BUDGETS, LONG, LONG_SETS, SEEDS, TOOLS

GROUPS = {
    "peers": lambda name: name != "ours",
    "autogluon": lambda name: name.startswith("autogluon"),
    "defaults": lambda name: not TOOLS[name].searches,
    "searches": lambda name: TOOLS[name].searches,
}
SIZES = {
    "small": lambda name: SETS[name].small,
    "large": lambda name: not SETS[name].small,
    "more": lambda name: name not in PLANNED,
}


@dataclass(frozen=True, slots=True)
class Slice:
    """What a call is about: names from the environment, everything where a variable is unset."""

    tools: frozenset[str]
    sets: frozenset[str]
    budgets: frozenset[int] | None
    seeds: frozenset[int] | None
    named: bool
    """It was narrowed by ``ONLY`` or ``SETS``: then rows of ours that older code left are measured again."""

    @classmethod
    def asked(cls, environment: Mapping[str, str] = os.environ) -> Slice:
        """Read ``ONLY``, ``SETS``, ``BUDGETS`` and ``SEEDS``: names or numbers with commas or spaces between.

        Raises
        ------
        ValueError
            If a name is not known.
        """
        only, sets = (_words(environment.get(name, "")) for name in ("ONLY", "SETS"))
        budgets, seeds = (_words(environment.get(name, "")) for name in ("BUDGETS", "SEEDS"))
        return cls(
            tools=_named("ONLY", only, TOOLS, GROUPS),
            sets=_named("SETS", sets, SETS, SIZES) if sets else PLANNED,
            budgets=frozenset(map(int, budgets)) or None,
            seeds=frozenset(map(int, seeds)) or None,
            named=bool(only or sets),
        )

    def holds(self, case: Case) -> bool:
        """Tell whether a case belongs to it; a model without a budget belongs to every budget."""
        return (
            case.tool in self.tools
            and case.set in self.sets
            and (self.budgets is None or not case.budget or case.budget in self.budgets)
            and (self.seeds is None or case.seed in self.seeds)
        )


def cases(sets: frozenset[str] = PLANNED) -> Iterator[Case]:
    """Yield every case, the most telling first: first seed, then the others, then what is told of beside the bars."""
    short, main = BUDGETS
    yield from _pass(sets, (0, main), 0)
    yield from _pass(sets, (short,), 0)
    for seed in range(1, SEEDS):
        yield from _pass(sets, (0, short, main), seed)
    extra = sorted({b for tool in TOOLS.values() for b in tool.budgets} - {0, *BUDGETS})
    yield from _pass(sets, tuple(extra), 0)
    for name in LONG_SETS:
        for tool in TOOLS.values():
            if tool.searches and tool.long:
                yield Case(tool.name, name, LONG, 0)


def _pass(sets: frozenset[str], budgets: tuple[int, ...], seed: int) -> Iterator[Case]:
    for table in SETS.values():
        if table.name not in sets or (seed and not table.small):
            continue
        for budget in budgets:
            for tool in TOOLS.values():
                if budget in tool.budgets and (tool.every_seed or not seed):
                    yield Case(tool.name, table.name, budget, seed)


def seconds_of(case: Case) -> float:
    """Return what a case is expected to take, its loading and timing included: to start none that cannot end."""
    return 1.05 * case.budget + 25 if case.budget else 30.0


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _named(
    variable: str, words: list[str], known: Mapping[str, object], groups: Mapping[str, object]
) -> frozenset[str]:
    found = set(known) if not words else set()
    for word in words:
        if word in known:
            found.add(word)
        elif word in groups:
            found |= {name for name in known if groups[word](name)}  # type: ignore[operator]
        else:
            raise ValueError(f"{variable}: {word!r} is not known; names are {', '.join([*groups, *known])}")
    return frozenset(found)
