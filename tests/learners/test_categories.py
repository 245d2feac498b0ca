"""Categories in the graph: one look-up for all columns, nothing for the rare and the unseen."""

import numpy as np

from steelyard.learners._categories import Codes, Ids, frequent
from steelyard.learners._prelude import Prelude


def strings(*values):
    return np.array(values, object)


def run(block, columns):
    (matrix,) = Prelude((block,)).run(columns, threads=1)
    return matrix


def test_rare_and_unseen_values_have_no_feature_and_missing_is_a_value_of_its_own():
    columns = {"c": strings("a", "a", "b", None, None)}
    block = Ids(("c",), frequent(columns, ("c",), least=2, most=10))
    assert block.values == (("", "a"),)
    ones = run(block, {"c": strings("a", "b", "z", None)}).toarray()
    np.testing.assert_array_equal(ones, [[0, 1], [0, 0], [0, 0], [1, 0]])


def test_columns_do_not_borrow_each_other_s_values():
    columns = {"x": strings("1", "1"), "y": strings("1:1", "1")}
    block = Ids(("x", "y"), frequent(columns, ("x", "y"), least=1, most=10))
    swapped = run(block, {"x": strings("1:1", "1"), "y": strings("1", "1:1")}).toarray()
    np.testing.assert_array_equal(swapped, [[0, 1, 0], [1, 0, 1]])


def test_only_the_most_frequent_values_are_kept_and_they_stand_in_order():
    columns = {"c": strings("10", "10", "10", "9", "9", "9", "word", "word", "rare")}
    assert frequent(columns, ("c",), least=1, most=3) == (("9", "10", "word"),)


def test_codes_are_nan_where_training_met_nan_and_the_usual_value_elsewhere():
    columns = {"whole": strings("a", "b", "b"), "gappy": strings("a", None, "a")}
    block = Codes.fit(columns, ("whole", "gappy"), least=1, most=10)
    unseen = run(block, {"whole": strings("z", "a"), "gappy": strings("z", "a")})
    np.testing.assert_array_equal(unseen, [[1, np.nan], [0, 0]])


def test_missing_cells_are_nan_even_when_most_cells_are_missing():
    columns = {"c": strings(None, None, None, "a", "b")}
    block = Codes.fit(columns, ("c",), least=1, most=10)
    np.testing.assert_array_equal(run(block, columns), [[np.nan], [np.nan], [np.nan], [0], [1]])
