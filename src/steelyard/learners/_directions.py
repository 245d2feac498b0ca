"""Text columns for models that want few features: directions of their n-grams."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Meter, Split, Work
from steelyard.errors import need
from steelyard.learners._prelude import Prelude
from steelyard.learners._table import texts
from steelyard.learners._words import Directions, Words
from steelyard.recipe import Settings

DIRECTIONS = 32
"""Directions that a text column is seen along."""


def directions(train: Split, settings: Settings, work: Work, meter: Meter) -> tuple[Directions, ...]:
    """Return one fitted block a text column; columns without a repeated n-gram are left out, with a note."""
    return tuple(_of(words, train, work) for words in texts(train, work.schema, settings, meter))


def _of(words: Words, train: Split, work: Work) -> Directions:
    (features,) = Prelude((words,)).run({words.column: train.columns[words.column]}, threads=work.threads)
    count = min(DIRECTIONS, *features.shape)
    if count < features.shape[1]:
        svd = need("sklearn.decomposition", for_="text in few features").TruncatedSVD(count, random_state=work.seed)
        model = svd.fit(features.astype(np.float64))
        return Directions(words, model.components_.T)
    return Directions(words, np.eye(features.shape[1]))
