"""The bar on advice: five rounds of what it says, on eight data sets, beside exhaustive search, chance and more labels.

    STEELYARD_DATA=... MINUTES=4 python benchmarks/money/advice.py

Every cell is measured once (``cells.py``); policies then walk through the table (``world.py``, ``policy.py``) and see
what they paid for. Returns are on test rows, over doing nothing, with every label paid; the best return is that of the
cell that exhaustive search picks by validation. The harder figure, the share of what there was to gain over the first
cell, stands beside it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cells import LEVELS, cases, learners_of, mean, measure
from policy import follow
from sets import HELD, there
from world import LABEL, Walk, World

from rows import Bench

ROUNDS, NEAR = 5, 0.95
CHANCES = 200
Policy = Callable[[Walk], str | None]


def worlds(bench: Bench, label: float = LABEL) -> list[World]:
    """Return the worlds that are measured completely."""
    made = []
    for one in HELD:
        names, rows = learners_of(one), {}
        for level, share in enumerate(LEVELS):
            for name in names:
                found = bench.rows(bar="cells", set=one.name, share=share, learner=name)
                if found:
                    rows[level, name] = found[-1]
        if len(rows) == len(LEVELS) * len(names):
            made.append(World(one.name, LEVELS, names, rows, label))
    return made


def walked(world: World, policy: Policy) -> tuple[Walk, list[str], float]:
    """Return where a policy comes to in five rounds, what it did, and what was spent when it first came near the best.

    Near is :data:`NEAR` of the best return; where that is never reached it is all that was spent.
    """
    walk, done, near = Walk.begin(world), [], float("inf")
    for _ in range(ROUNDS):
        near = min(near, _near(world, walk))
        what = policy(walk)
        if what is None:
            break
        done.append(what)
    return walk, done, min(near, _near(world, walk), walk.spent)


def _near(world: World, walk: Walk) -> float:
    return walk.spent if walk.returned >= NEAR * world.exhaustive()[0] else float("inf")


def by_chance(seed: int) -> Policy:
    """Return the policy that does anything."""
    generator = random.Random(seed)

    def policy(walk: Walk) -> str | None:
        options = walk.options()
        if not options:
            return None
        kind, learner = generator.choice(options)
        walk.do(kind, learner)
        return f"{kind} {learner}".strip()

    return policy


def more_labels(walk: Walk) -> str | None:
    """Buy labels as long as there are any."""
    if ("labels", "") not in walk.options():
        return None
    walk.do("labels", "")
    return "labels"


def judged(world: World, walk: Walk, near: float) -> dict[str, float]:
    """Return a walk's shares of the best return, of its cost, and of what there was to gain over the first cell.

    And the share of the cost that was spent when the walk was first near the best return.
    """
    best, cost = world.exhaustive()
    first = Walk.begin(world).returned
    room = best - first
    gained = 1.0 if room <= 0 else min(1.0, (walk.returned - first) / room)
    return {"return": walk.returned / best, "cost": walk.spent / cost, "near": near / cost, "gained": gained}


def _judged(world: World, policy: Policy) -> dict[str, float]:
    walk, _, near = walked(world, policy)
    return judged(world, walk, near)


def table(found: Sequence[World], *, show: bool) -> Mapping[str, dict[str, float]]:
    """Return the mean shares of each policy; print each set's where asked."""
    policies: dict[str, list[dict[str, float]]] = {"advise": [], "chance": [], "labels": [], "nothing": []}
    for world in found:
        walk, done, near = walked(world, follow)
        policies["advise"].append(judged(world, walk, near))
        several = [_judged(world, by_chance(seed)) for seed in range(CHANCES)]
        policies["chance"].append({k: mean([one[k] for one in several]) for k in several[0]})
        policies["labels"].append(_judged(world, more_labels))
        policies["nothing"].append(_judged(world, lambda _: None))
        if show:
            best, cost = world.exhaustive()
            line = f"  {world.name:22} best {best:8,.0f} USD found for {cost:6,.0f}; " + "; ".join(
                f"{name} {ones[-1]['return']:.1%} for {ones[-1]['cost']:.0%}" for name, ones in policies.items()
            )
            sys.stdout.write(f"{line}\n{'':25}{', '.join(done) or 'nothing'}\n")
    return {name: {k: mean([one[k] for one in ones]) for k in ones[0]} for name, ones in policies.items()}


def main() -> None:
    """Measure what is missing, then walk."""
    if not there():
        sys.stdout.write("the data sets are not at hand; name their folder in STEELYARD_DATA\n")
        return
    bench = Bench("money-advice", ("lightgbm", "scikit-learn", "numpy"))
    for one, share, learner in cases():
        case = {"bar": "cells", "set": one.name, "share": share, "learner": learner}
        bench.measure(case, lambda one=one, share=share, learner=learner: measure(one, share, learner))
    found = worlds(bench)
    if found:
        for price in (LABEL, LABEL / 10, LABEL * 10):
            sys.stdout.write(f"a label at {price:g} USD\n")
            for name, shares in table(worlds(bench, price), show=price == LABEL).items():
                words = ", ".join(f"{k} {v:.1%}" for k, v in shares.items())
                sys.stdout.write(f"  {name:8} {words}\n")
    rows: list[Any] = [table(found, show=False)["advise"]] if found else []
    least = len(HELD) if len(found) < len(HELD) else 1
    bench.bar(
        "five rounds of advice reach 95% of the best return",
        rows,
        lambda ones: (ones[0]["return"] >= 0.95, f"{ones[0]['return']:.1%} over {len(found)} sets"),
        least=least,
    )
    bench.bar(
        "95% is first reached at no more than 20% of what finding the best costs",
        rows,
        lambda ones: (ones[0]["near"] <= 0.20, f"{ones[0]['near']:.1%} over {len(found)} sets"),
        least=least,
    )
    bench.bar(
        "stricter: all five rounds at no more than 20% of it",
        rows,
        lambda ones: (ones[0]["cost"] <= 0.20, f"{ones[0]['cost']:.1%} over {len(found)} sets"),
        least=least,
    )
    bench.finish()


if __name__ == "__main__":
    main()
