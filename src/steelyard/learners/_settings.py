"""What a learner was told, checked: unknown names and values out of range are refused, all at once."""

from __future__ import annotations

from steelyard.contracts import Setting, Space
from steelyard.errors import SteelyardError, nearest
from steelyard.recipe import Plan, Scalar, Settings


class SettingsRefused(SteelyardError):
    """A plan holds settings that the learner does not have, or values that it cannot use."""


def settings_of(learner: str, space: Space, plan: Plan) -> Settings:
    """Return every setting of a plan, defaults included.

    Raises
    ------
    SettingsRefused
        If a name is unknown or a value is not a number in its range or one of its options; all are listed.
    """
    complaints = [
        f"{learner}: {name} {why}; got {value!r}"
        for name, value in plan.settings.items()
        if name in space.settings
        and not _unset(space.settings[name], value)
        and (why := _complaint(space.settings[name], value))
    ]
    complaints += [
        f"{learner} has no setting {name!r}{nearest(name, space.settings)}"
        for name in plan.settings
        if name not in space.settings
    ]
    if complaints:
        raise SettingsRefused("; ".join(complaints))
    return space.complete(plan.settings)


def _unset(setting: Setting, value: Scalar) -> bool:
    return value is None and setting.default is None


def _complaint(setting: Setting, value: Scalar) -> str | None:
    if setting.options:
        return None if value in setting.options else f"must be one of {', '.join(map(str, setting.options))}"
    if isinstance(setting.default, str):
        return None if isinstance(value, str) else "must be a text"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    if isinstance(setting.default, int) and not float(value).is_integer():
        return "must be a whole number"
    low, high = setting.low, setting.high
    if (low is not None and value < low) or (high is not None and value > high):
        return f"must be from {low:g} to {high:g}"
    return None
