"""Sounds in learners of tables: the cheap rival of a net."""

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.data.waves import encode
from steelyard.learners._sounds import OF_SOUND, Sounds
from steelyard.recipe import Plan, Train
from steelyard.registry import learners
from steelyard.testing.pupils import Watch

TASK = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("low", "high"), positive="high")
SCHEMA = Schema((Column(name="call", kind=Kind.AUDIO), Column(name="age", kind=Kind.NUMBER)))


def rows(n=80, seed=0):
    """Low and high tones beside a number; either alone leaves half of the target open."""
    random = np.random.default_rng(seed)
    pitch, age = random.integers(0, 2, n), random.normal(size=n)
    cells = np.empty(n, object)
    for i, one in enumerate(pitch):
        tone = np.sin(2 * np.pi * (500, 900)[one] * np.arange(2000) / 8000)
        cells[i] = encode(0.3 * tone + random.normal(scale=0.05, size=2000), 8000)
    return Split({"call": cells, "age": age}, (2 * pitch - 1 + age > 0).astype(np.int64), np.arange(n))


@pytest.mark.parametrize("name", ["linear", "lightgbm", "extra-trees"])
def test_a_sound_beside_numbers_is_heard(name, tmp_path):
    fitted = learners().get(name).fit(Plan(), rows(), rows(40, 1), Work(task=TASK, schema=SCHEMA), Watch())
    new = rows(60, 2)
    write(tmp_path / "bundle", fitted.export(), About(TASK, SCHEMA, Train(learner=name), "0" * 16))
    answer = load(tmp_path / "bundle").answer(new.columns)
    np.testing.assert_allclose(answer.scores, fitted.scores(new.columns), atol=1e-4)
    assert (answer.decided == new.target).mean() > 0.8


@pytest.mark.parametrize("name", ["catboost", "mlp", "tfidf-linear", "cnn"])
def test_who_hears_nothing_says_so(name):
    sentence = learners().get(name).accepts(TASK, Schema(SCHEMA.columns[:1])).sentence
    assert "sound" in sentence or "none" in sentence


def test_numbers_of_sounds_are_standardised_for_models_that_add_up():
    made = Sounds.fit(rows().columns, "call", tag="0", standard=True)
    assert made.width == OF_SOUND == len(made.shift)
    assert Sounds.fit(rows().columns, "call", tag="0", standard=False).shift is None
