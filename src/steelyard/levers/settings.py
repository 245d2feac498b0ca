"""The settings of a lever, checked against what it declares, and the error of a lever that cannot act."""

from __future__ import annotations

from steelyard.contracts import Setting, Space
from steelyard.errors import SteelyardError, nearest
from steelyard.recipe import Scalar, Settings


class LeverRefused(SteelyardError):
    """A lever that cannot do what a recipe asks of it; the message is a sentence with the way out."""


def chosen(lever: str, space: Space, given: Settings) -> Settings:
    """Return every setting of a lever: the given ones, and its defaults for the rest.

    Raises
    ------
    LeverRefused
        If a name is unknown or a value is out of range; every problem is named, one a line.

    Examples
    --------
    >>> space = Space({"share": Setting(default=0.25, low=0.01, high=1.0)})
    >>> chosen("subsample", space, Settings())
    Settings(share=0.25)
    >>> chosen("subsample", space, Settings(shar=0.5))
    Traceback (most recent call last):
    steelyard.levers.settings.LeverRefused: subsample has no setting 'shar' (did you mean 'share'?); it has: share
    """
    problems = [
        f"{lever} has no setting {name!r}{nearest(name, space.settings)}; it has: {', '.join(space.settings) or 'none'}"
        for name in given
        if name not in space.settings
    ]
    for name, setting in space.settings.items():
        if name in given and (why := _complaint(setting, given[name])):
            problems.append(f"{lever}.{name} must be {why}; got {given[name]!r}")
    if problems:
        raise LeverRefused("\n".join(problems))
    return space.complete(given)


def _complaint(setting: Setting, value: Scalar) -> str | None:
    if value == setting.default and type(value) is type(setting.default):
        return None
    if setting.options:
        return None if value in setting.options else f"one of {', '.join(map(repr, setting.options))}"
    if setting.low is None or setting.high is None:
        return None
    fits = isinstance(value, int | float) and not isinstance(value, bool) and setting.low <= value <= setting.high
    return None if fits else f"a number from {setting.low:g} to {setting.high:g} {setting.unit}".rstrip()
