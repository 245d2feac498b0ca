"""What the lever ``augment`` may ask of a training, by the kind of column that is varied; loads no PyTorch.

Each kind has its own options, told apart by name, so that a table of text and images can have both varied. Whoever
reads a kind takes its options with :func:`options_of` and leaves the others alone; what the lever proposes for it is
listed in :data:`OFFERS`, most promising first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.contracts import Kind, Setting, Space
from steelyard.learners._settings import settings_of
from steelyard.learners.nets.augment_sound import OFFERED, SOUNDS
from steelyard.learners.nets.series_options import SERIES
from steelyard.recipe import Plan, Settings

NAME = "augment"
"""The part of a plan that asks for it."""

IMAGES: Mapping[str, Setting] = {
    "flip": Setting(
        default="none",
        options=("none", "sideways", "all"),
        about="Half of the images mirrored (sideways), or all eight turns and mirrorings of a square: no up, no left.",
    ),
    "turn": Setting(default=0.0, low=0.0, high=45.0, unit="degrees", about="Most that an image is turned."),
    "zoom": Setting(default=0.0, low=0.0, high=0.6, unit="of the side", about="Most of an image that is cut away."),
    "cutout": Setting(default=0.0, low=0.0, high=0.6, unit="of the side", about="Side of a square that is blanked."),
    "colour": Setting(default=0.0, low=0.0, high=0.8, about="Most that light, contrast and colour change, as a share."),
    "mixup": Setting(default=0.0, low=0.0, high=2.0, about="How evenly two images are mixed (alpha); 0: not at all."),
    "random": Setting(
        default=0.0, low=0.0, high=1.0, about="Strength of two changes that each image draws from ten; 0: none."
    ),
}

TEXTS: Mapping[str, Setting] = {
    "drop": Setting(default=0.0, low=0.0, high=0.5, about="Share of a text's tokens that are hidden."),
    "swap": Setting(default=0.0, low=0.0, high=0.5, about="Share of a text's tokens that move by a place or two."),
}

OPTIONS: Mapping[Kind, Mapping[str, Setting]] = {
    Kind.IMAGE: IMAGES,
    Kind.TEXT: TEXTS,
    Kind.AUDIO: SOUNDS,
    Kind.SEQUENCE: SERIES,
}
"""By kind of column, what may be asked for; every default is off."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to vary a kind of column that is worth trying.

    Attributes
    ----------
    settings
        The options.
    gain
        What it is assumed to bring, least and most: shares of the way from the constant model to a perfect one.
    slower
        How many times as long a training takes with it.
    why
        A sentence for people, with its source.
    """

    settings: Settings
    gain: tuple[float, float, float]
    slower: float
    why: str


OFFERS: Mapping[Kind, tuple[Offer, ...]] = {
    Kind.IMAGE: (
        Offer(
            Settings(flip="sideways"),
            (0.03, -0.05, 0.08),
            1.02,
            "an object looks the same in a mirror, a letter does not: validation decides",
        ),
        Offer(
            Settings(flip="all"),
            (0.02, -0.08, 0.08),
            1.02,
            "what is seen from above or under a microscope has no up: eight times the images",
        ),
        Offer(
            Settings(flip="sideways", cutout=0.25, zoom=0.15),
            (0.03, -0.05, 0.08),
            1.15,
            "parts of an object must do where others are hidden or cut away (DeVries and Taylor 2017)",
        ),
        Offer(
            Settings(turn=12.0, zoom=0.15),
            (0.01, -0.03, 0.05),
            1.15,
            "nothing stands quite straight or fills the same part of the picture",
        ),
        Offer(
            Settings(flip="sideways", random=0.4),
            (0.02, -0.05, 0.08),
            1.3,
            "two changes an image, drawn from ten at one strength (RandAugment, Cubuk et al. 2020)",
        ),
        Offer(
            Settings(colour=0.4),
            (0.01, -0.03, 0.08),
            1.15,
            "light and contrast are the lamp's and the camera's, not the thing's",
        ),
        Offer(
            Settings(flip="sideways", mixup=0.2),
            (0.01, -0.03, 0.05),
            1.05,
            "between two images lies a mixture of their classes (Zhang et al. 2018)",
        ),
    ),
    Kind.TEXT: (
        Offer(
            Settings(drop=0.15),
            (0.01, -0.02, 0.03),
            1.02,
            "what a text says should not hang on a single word (Iyyer et al. 2015)",
        ),
        Offer(
            Settings(drop=0.1, swap=0.1),
            (0.005, -0.02, 0.03),
            1.05,
            "words that change places with their neighbours rarely change what a text says (Wei and Zou 2019)",
        ),
    ),
    Kind.AUDIO: tuple(Offer(*offered) for offered in OFFERED),
    Kind.SEQUENCE: (
        Offer(
            Settings(jitter=0.1),
            (0.01, -0.03, 0.05),
            1.05,
            "sensors are noisy (Um et al. 2017)",
        ),
        Offer(
            Settings(jitter=0.05, slicing=0.3),
            (0.01, -0.03, 0.05),
            1.05,
            "a recording may begin at any time (Le Guennec et al. 2016)",
        ),
    ),
}
"""By kind of column, what the lever proposes, in this order."""


def options_of(kind: Kind, asked: Settings | None) -> Settings | None:
    """Return the options for one kind out of a plan's part, defaults for the rest; ``None`` where it asks for none.

    Parameters
    ----------
    kind
        The kind of column that is read.
    asked
        The settings of the part, of all kinds; ``None`` where the plan has no such part.

    Raises
    ------
    SettingsRefused
        If a value is out of range, or no kind has an option of that name.

    Examples
    --------
    >>> options_of(Kind.IMAGE, Settings(flip="all"))["flip"]
    'all'
    >>> options_of(Kind.IMAGE, None) is None
    True
    """
    if asked is None:
        return None
    every = Space({name: setting for options in OPTIONS.values() for name, setting in options.items()})
    complete = settings_of(NAME, every, Plan(settings=asked))
    mine = Settings({name: complete[name] for name in OPTIONS[kind]})
    return mine if any(mine[name] != setting.default for name, setting in OPTIONS[kind].items()) else None
