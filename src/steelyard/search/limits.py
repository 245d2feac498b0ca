"""Limits of a spec that are settled before a run begins: a budget of nothing, none at all, or one nobody could keep."""

from __future__ import annotations

from steelyard.errors import NothingMeasured, SpecInvalid
from steelyard.spec import Spec

DEFAULT_MINUTES = 5.0
"""The budget of time where a spec names none of any kind."""


def with_default_budget(spec: Spec) -> tuple[Spec, str]:
    """Return the spec with a budget of time, and a sentence where that was not the user's own."""
    budget = spec.budget
    if any(given is not None for given in (budget.minutes, budget.money, budget.trials)):
        return spec, ""
    limited = spec.model_copy(update={"budget": budget.model_copy(update={"minutes": DEFAULT_MINUTES})})
    return limited, f"No budget was given: it is {DEFAULT_MINUTES:g} minutes (set `budget.minutes`)."


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


def refuse_hard_limits(spec: Spec) -> None:
    """Refuse limits that can only be kept by stopping another process.

    Raises
    ------
    SpecInvalid
        Naming them.
    """
    budget = spec.budget
    limits = {
        "budget.minutes": budget.minutes is not None,
        "budget.money": budget.money is not None,
        "budget.memory_gb": budget.memory_gb is not None,
        "workers": spec.workers > 1,
    }
    if asked := [name for name, given in limits.items() if given]:
        raise SpecInvalid(f"{' and '.join(asked)} cannot be kept in this very process; leave out in_process")
