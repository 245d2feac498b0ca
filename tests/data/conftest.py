import numpy as np
import pytest

from steelyard.spec import Spec


@pytest.fixture
def table():
    """Make a table that can be learned from: numbers, a category, text, a date, an id, and two classes."""

    def make(rows=120, **more):
        rng = np.random.default_rng(7)
        age = rng.normal(40, 10, rows).round(1)
        made = {
            "id": [f"c-{i:05d}" for i in range(rows)],
            "age": age,
            "city": rng.choice(["Oslo", "Bonn", "Lima"], rows).tolist(),
            "note": [f"a short note with number {i} in it" for i in range(rows)],
            "day": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(rows)],
            "y": np.where(age + rng.normal(0, 8, rows) > 40, "yes", "no").tolist(),
        }
        return {**made, **more}

    return make


@pytest.fixture
def spec():
    def make(data, target="y", *, split=None, **more):
        # One dealing of folds: a further one puts copies of rows behind the rows that were read.
        return Spec(data=data, target=target, split={"repeats": 1, **(split or {})}, **more)

    return make
