"""Pieces of splines: where they bend, and what weights on them can say."""

import numpy as np

from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import Prelude
from steelyard.learners._splines import CLOSE, FEW, Splines, knots


def run(block, columns):
    (matrix,) = Prelude((block,)).run(columns, threads=1)
    return matrix


def bent(columns, *, most=8, **more):
    numbers = Numbers.fit(columns, tuple(columns), standard=True)
    return Splines.fit(numbers, columns, most=most, **more)


def test_sums_of_pieces_are_the_line_through_any_points_at_the_knots():
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=500)}
    block = bent(columns, alone=True)
    ends = np.append(block.low, block.high[-1])
    heights = rng.normal(size=len(ends))
    sums = run(block, columns) @ np.diff(heights) + heights[0]
    scaled = run(block.inner, columns)[:, 0]
    np.testing.assert_allclose(sums, np.interp(scaled, ends, heights), atol=1e-5)


def test_a_column_of_few_values_gets_a_weight_for_each():
    columns = {"x": np.repeat(np.arange(FEW, dtype=float), 3)}
    pieces = run(bent(columns, most=FEW, alone=True), columns)
    assert np.linalg.matrix_rank(np.column_stack([np.ones(len(pieces)), pieces])) == FEW


def test_a_heavy_value_takes_one_knot_and_leaves_the_others_to_the_rest():
    rest = np.linspace(1, 100, 500, dtype=np.float32)
    found = knots(np.concatenate([np.zeros(9_500, np.float32), rest]), 8)
    assert found[0] == 0
    assert len(found) == 9
    np.testing.assert_allclose(np.diff(found[1:]), 99 / 7, rtol=0.05)


def test_knots_that_float32_cannot_tell_apart_are_one():
    assert len(knots(np.array([0, CLOSE / 10, 1, 2], np.float32), 8)) == 3


def test_columns_of_two_values_do_not_bend_and_their_numbers_stay():
    columns = {"flag": np.tile([0.0, 1.0], 30), "x": np.arange(60.0)}
    assert set(bent(columns).places) == {1}
    assert bent({"flag": columns["flag"]}) is None
    assert run(bent(columns), columns).shape[1] == 2 + len(bent(columns).places)


def test_missing_and_absurd_cells_give_finite_pieces():
    columns = {"x": np.where(np.arange(90) % 9 == 0, np.nan, np.arange(90.0))}
    pieces = run(bent(columns), {"x": np.array([np.nan, 1e300, -1e300])})
    assert np.isfinite(pieces).all()
    assert pieces[:, 2:].min() == 0
    assert pieces[:, 2:].max() == 1
