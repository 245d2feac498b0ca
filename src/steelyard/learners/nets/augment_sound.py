"""How far training recordings are varied, and what the lever ``augment`` may ask for; loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from steelyard.contracts import Setting, Space
from steelyard.learners._settings import settings_of
from steelyard.recipe import Plan, Settings

NAME = "augment"
"""The part of a plan that asks for it."""

SOUNDS: Mapping[str, Setting] = {
    "speed": Setting(
        default=0.0, low=0.0, high=0.5, about="Most that a recording is drawn out or hurried, as a power of e."
    ),
    "voice": Setting(
        default=0.0, low=0.0, high=0.3, about="Most that frequencies are stretched, as a longer vocal tract would."
    ),
    "tone": Setting(default=0.0, low=0.0, high=12.0, unit="dB", about="Most that a band is raised, as microphones do."),
    "hiss": Setting(default=0.0, low=0.0, high=1.0, about="Share of the recordings that get noise, 10 to 40 dB below."),
    "gaps": Setting(default=0.0, low=0.0, high=0.5, about="Most of the time, and of the bands, that is blanked."),
}
"""The options of sounds; every default is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """How far recordings are varied; see :data:`SOUNDS`."""

    speed: float = 0.0
    voice: float = 0.0
    tone: float = 0.0
    hiss: float = 0.0
    gaps: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is varied at all."""
        return self != Strengths()


USUAL = Strengths(speed=0.1, voice=0.1, tone=3.0, hiss=0.5, gaps=0.15)
"""What the setting ``vary`` at 1 stands for: speed and voice by a tenth, as in the papers; the others are assumed."""


def strengths(asked: Settings | None, vary: float) -> Strengths:
    """Return how far recordings are varied.

    Parameters
    ----------
    asked
        The part of the plan: what it says of sounds goes, and what it does not say is off; ``None``, or nothing of
        sounds: :data:`USUAL`, times ``vary``.
    vary
        The learner's own setting.

    Examples
    --------
    >>> strengths(Settings(gaps=0.3), 1.0), strengths(None, 0.0).any
    (Strengths(speed=0.0, voice=0.0, tone=0.0, hiss=0.0, gaps=0.3), False)
    """
    mine = {} if asked is None else {name: value for name, value in asked.items() if name in SOUNDS}
    if mine:
        told = settings_of(NAME, Space(SOUNDS), Plan(settings=Settings(mine)))
        return Strengths(**{name: told.number(name, 0.0) for name in SOUNDS})
    usual = {name: vary * getattr(USUAL, name) for name in SOUNDS}
    return replace(USUAL, **usual | {"hiss": min(1.0, usual["hiss"])})


OFFERED: tuple[tuple[Settings, tuple[float, float, float], float, str], ...] = (
    (
        Settings(speed=0.3, voice=0.2, tone=6.0, hiss=0.8, gaps=0.3),
        (0.02, -0.05, 0.08),
        1.1,
        "voices, rooms and microphones that no training row has: everything varied further than usual",
    ),
    (
        Settings(gaps=0.3),
        (0.01, -0.05, 0.05),
        1.0,
        "gaps in time and frequency alone (SpecAugment, Park et al. 2019), where pitch and speed tell classes apart",
    ),
    (
        Settings(tone=4.0, hiss=0.7, gaps=0.2),
        (0.01, -0.05, 0.05),
        1.05,
        "other microphones and rooms, the same voices: pitch and speed may be what tells classes apart",
    ),
)
"""What the lever proposes for sounds: options, gain assumed (likely, least, most), times as slow, and why."""
