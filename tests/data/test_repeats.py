"""Small tables: folds are dealt more than once, and no answer is averaged before it is scored."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from steelyard.data import load, store
from steelyard.spec import Spec, SplitPart


@pytest.fixture
def iris():
    x, y = load_iris(return_X_y=True)
    return {**{f"x{i}": column for i, column in enumerate(x.T)}, "y": [f"class {code}" for code in y]}


def dataset(frame, **split):
    return load(Spec(data=frame, target="y", split=SplitPart(**split)))


def test_few_rows_are_dealt_into_folds_three_times_and_more_rows_once(iris):
    assert dataset(iris).partition.protocol == "3 x 5-fold"
    many = {name: [*cells] * 3 for name, cells in iris.items()}
    many["x0"] = np.arange(len(many["y"])) / 7
    assert dataset(many).partition.protocol == "5-fold"
    assert dataset(iris, folds=5).partition.protocol == "5-fold"
    assert dataset(iris, repeats=2).partition.protocol == "2 x 5-fold"


def test_every_dealing_scores_every_row_once_on_other_folds_and_fits_none_of_the_rows_it_scores(iris):
    made = dataset(iris)
    source, partition = made.rows.rows, made.partition
    known = sorted(source[partition.development].tolist())
    folds = []
    for turn in (1, 2, 3):
        parts = [part for part in partition.parts if part.turn == turn]
        assert sorted(np.concatenate([source[part.score] for part in parts]).tolist()) == known
        for part in parts:
            assert not set(source[part.fit]) & set(source[part.score])
            assert sorted([*source[part.fit], *source[part.score]]) == known
        folds.append({frozenset(source[part.score]) for part in parts})
    assert all(not first & second for i, first in enumerate(folds) for second in folds[i + 1 :])


def test_copies_have_the_cells_of_their_rows_and_no_test_row_is_copied(iris):
    made = dataset(iris)
    first = {row: i for i, row in enumerate(made.rows.rows.tolist()) if i < 150}
    for i in made.partition.validation:
        origin = first[made.rows.rows[i]]
        assert made.rows.columns["x2"][i] == made.rows.columns["x2"][origin]
        assert made.rows.target[i] == made.rows.target[origin]
    assert not set(made.rows.rows[made.partition.test]) & set(made.rows.rows[made.partition.validation])
    assert len(made.partition.development) + len(made.partition.test) == 150


def test_resamples_take_the_copies_of_a_row_together(iris):
    made = dataset(iris)
    clusters = made.clusters[made.partition.validation]
    assert (np.unique(clusters, return_counts=True)[1] == 3).all()
    assert dataset(iris, folds=5).clusters is None


def test_what_is_stored_comes_back(iris, tmp_path):
    made = dataset(iris)
    store.save(made, tmp_path)
    again = store.read(tmp_path)
    assert again.fingerprint == made.fingerprint != dataset(iris, folds=5).fingerprint
    assert [part.turn for part in again.partition.parts] == [part.turn for part in made.partition.parts]
    np.testing.assert_array_equal(again.rows.rows, made.rows.rows)
