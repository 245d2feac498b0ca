"""Linear-chain conditional random fields: rows of tags by their marginal probabilities, and the loss they learn by.

Lafferty, McCallum, Pereira, "Conditional random fields: probabilistic models for segmenting and labeling sequence
data", ICML 2001; the recursions are those of Rabiner, "A tutorial on hidden Markov models", 1989, scaled at each step.
All rows of a batch go through a step together, so that a batch costs as many steps as its longest row has tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints

TINY = 1e-30
"""Added to sums that are divided by."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What is learned of neighbours, in logarithms: a tag to the next, shape (C, C), and the first tag, shape (C,)."""

    between: Floats
    first: Floats


@dataclass(frozen=True, slots=True)
class Expected:
    """What a chain expects of a batch.

    ``tags`` are the probabilities of tags, shape (n, T, C), meaningless behind the end of a row; ``pairs`` those of a
    tag and the next, summed over all tokens, each row by its weight, shape (C, C); ``total`` the logarithm of the sum
    over all rows of tags, shape (n,).
    """

    tags: Floats
    pairs: Floats
    total: Floats


def expected(emissions: Floats, mask: NDArray[np.bool_], chain: Chain, weights: Floats) -> Expected:
    """Return what a chain expects of a padded batch.

    Parameters
    ----------
    emissions
        What each token says of each tag, in logarithms, shape (n, T, C).
    mask
        Where tokens are, shape (n, T); every row begins with one.
    chain
        What neighbours say.
    weights
        Of each row, shape (n,).

    Examples
    --------
    >>> chain = Chain(np.zeros((2, 2)), np.zeros(2))
    >>> found = expected(np.log([[[0.2, 0.8], [0.5, 0.5]]]), np.ones((1, 2), dtype=bool), chain, np.ones(1))
    >>> found.tags.round(3).tolist(), found.total.round(3).tolist()
    ([[[0.2, 0.8], [0.5, 0.5]]], [0.0])
    """
    rows, steps, classes = emissions.shape
    top = emissions.max(axis=2, keepdims=True)
    said = np.exp(emissions - top)
    step, start = np.exp(chain.between), np.exp(chain.first)
    ahead, behind = np.empty_like(said), np.ones_like(said)
    scale = np.ones((rows, steps))
    for place in range(steps):
        known = said[:, 0] * start if place == 0 else (ahead[:, place - 1] @ step) * said[:, place]
        total = known.sum(axis=1) + TINY
        live = mask[:, place]
        ahead[:, place] = np.where(live[:, None], known / total[:, None], ahead[:, place - 1] if place else known)
        scale[:, place] = np.where(live, total, 1.0)
    for place in range(steps - 2, -1, -1):
        live = mask[:, place + 1]
        back = (said[:, place + 1] * behind[:, place + 1]) @ step.T / scale[:, place + 1, None]
        behind[:, place] = np.where(live[:, None], back, 1.0)
    tags = ahead * behind
    tags /= tags.sum(axis=2, keepdims=True) + TINY
    pairs = np.zeros((classes, classes))
    if steps > 1:
        follows = mask[:, 1:] * weights[:, None]
        left = ahead[:, :-1] * follows[:, :, None]
        right = (said * behind)[:, 1:] / scale[:, 1:, None]
        pairs = (left.reshape(-1, classes).T @ right.reshape(-1, classes)) * step
    total_log = (np.log(scale) + top[:, :, 0] * mask).sum(axis=1)
    return Expected(tags, pairs, total_log)


def observed(emissions: Floats, tags: Ints, mask: NDArray[np.bool_], chain: Chain) -> Floats:
    """Return the logarithm of what a chain gives to the true tags of each row, shape (n,), before it is normalised."""
    own = np.take_along_axis(emissions, tags[:, :, None], axis=2)[:, :, 0]
    follows = mask[:, 1:]
    between = chain.between[tags[:, :-1], tags[:, 1:]] * follows
    found: Floats = (own * mask).sum(axis=1) + chain.first[tags[:, 0]] + between.sum(axis=1)
    return found
