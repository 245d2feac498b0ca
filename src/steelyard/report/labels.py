"""Where the labels of a chart go: beside their points, on none of the others, and never on one another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LETTER, LINE = 6.7, 14.0
"""Width of a letter and height of a line at 12 px, on the generous side."""
_RADII = (9.0, 14.0, 22.0, 34.0, 48.0, 66.0, 90.0, 120.0)
_ANGLES = (0, 180, -45, 45, -135, 135, -90, 90)
_LEADER_FROM = 20.0


class Box(NamedTuple):
    """A rectangle in chart coordinates, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Tell whether two rectangles share any area."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, other: Box) -> bool:
        """Tell whether this rectangle lies inside another."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


@dataclass(frozen=True, slots=True)
class Anchor:
    """A point that wants a label."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label with its place; ``leader`` is where the line to its point begins, if it is far from it."""

    anchor: Anchor
    box: Box
    leader: tuple[float, float] | None


def place(anchors: Sequence[Anchor], frame: Box, *, solid: Iterable[Box], soft: Iterable[Box]) -> tuple[Label, ...]:
    """Place labels one after another, most important first; one that finds no room is left out.

    A label stays inside ``frame``, off ``solid`` boxes and off the labels before it; it keeps off ``soft`` ones
    (error bars, lines) where it can. Greedy, over 8 directions and growing distances.
    """
    taken, lines = list(solid), list(soft)
    placed: list[Label] = []
    for anchor in anchors:
        free = [(_burden(box, far, lines), box, far) for box, far in _places(anchor) if _fits(box, frame, taken)]
        if free:
            _, box, far = min(free, key=lambda entry: entry[0])
            placed.append(Label(anchor, box, _leader(anchor, box) if far >= _LEADER_FROM else None))
            taken.append(box)
    return tuple(placed)


def _places(anchor: Anchor) -> Iterable[tuple[Box, float]]:
    wide = len(anchor.text) * LETTER
    for far in _RADII:
        for angle in _ANGLES:
            x = anchor.x + far * math.cos(math.radians(angle))
            y = anchor.y + far * math.sin(math.radians(angle))
            left = x - wide / 2 if abs(angle) == 90 else x - wide if abs(angle) > 90 else x
            yield Box(left, y - LINE / 2, left + wide, y + LINE / 2), far


def _fits(box: Box, frame: Box, taken: Iterable[Box]) -> bool:
    return box.within(frame) and not any(box.meets(other) for other in taken)


def _burden(box: Box, far: float, lines: Iterable[Box]) -> float:
    return far + 25 * sum(box.meets(line) for line in lines)


def _leader(anchor: Anchor, box: Box) -> tuple[float, float]:
    x = min(max(anchor.x, box.left), box.right)
    return x, min(max(anchor.y, box.top), box.bottom)
