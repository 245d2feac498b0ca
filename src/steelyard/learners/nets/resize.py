"""What the lever ``resize`` may ask of a training: a share of the pixels, or of the tokens, of a row; no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.contracts import Setting, Space
from steelyard.learners._settings import settings_of
from steelyard.recipe import Plan, Settings

NAME = "resize"
"""The part of a plan that asks for it."""

RESIZE: Mapping[str, Setting] = {
    "share": Setting(default=1.0, low=0.1, high=2.0, log=True, about="Of the side of images, of the length of texts."),
}


def share_of(asked: Settings | None) -> float:
    """Return the share that a plan's part asks for, 1 where it has none.

    Raises
    ------
    SettingsRefused
        If it is out of range.

    Examples
    --------
    >>> share_of(None), share_of(Settings(share=0.5))
    (1.0, 0.5)
    """
    return settings_of(NAME, Space(RESIZE), Plan(settings=asked or Settings())).number("share", 1.0)
