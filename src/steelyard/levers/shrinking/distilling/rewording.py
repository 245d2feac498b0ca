"""Texts that are like others but are none of them, for a teacher to say what they are.

Tang, Lu, Liu, Mou, Vechtomova, Lin, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks" (2019,
arXiv:1903.12136): words are hidden, and texts are cut down to a run of words. Beside them words are moved: Wei, Zou,
"EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks" (EMNLP 2019).
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

LOST = 0.1
"""Chance of a word to be left out."""
MOVED = 0.1
"""Chance of a word to change places with the next one."""
CUT = 0.25
"""Chance of a text to be cut down to a run of its words."""
LEAST = 0.5
"""Share of the words that such a run has at least."""
_WORD = re.compile(r"\S+\s*")


def reworded(text: str, random: np.random.Generator, *, spaced: bool = True) -> str:
    """Return a text with words lost and moved, or a run of its words; never an empty one of one that is not.

    ``spaced`` tells whether words are parted by spaces; where they are not, characters stand for them.

    Examples
    --------
    >>> reworded("my card has not arrived yet and I wait", np.random.default_rng(2))
    'my card not arrived yet I wait'
    """
    words = _WORD.findall(text) if spaced else list(text)
    if len(words) < 2:
        return text
    if random.random() < CUT:
        length = int(random.integers(max(1, round(LEAST * len(words))), len(words) + 1))
        start = int(random.integers(0, len(words) - length + 1))
        words = words[start : start + length]
    kept = [word for word, chance in zip(words, random.random(len(words)), strict=True) if chance >= LOST] or words[:1]
    for place in np.flatnonzero(random.random(len(kept) - 1) < MOVED):
        kept[place], kept[place + 1] = kept[place + 1], kept[place]
    return _joined(kept) if spaced else "".join(kept)


def _joined(words: list[str]) -> str:
    """Return words as a text: one that stood last and is moved gets a space."""
    return " ".join(word.strip() for word in words)


def reworded_cells(cells: NDArray[np.object_], random: np.random.Generator, *, spaced: bool) -> NDArray[np.object_]:
    """Return each text reworded."""
    made = np.empty(len(cells), object)
    made[:] = [reworded(cell, random, spaced=spaced) for cell in cells]
    return made
