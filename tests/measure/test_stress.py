import numpy as np
import pytest

from steelyard.contracts import Column, Kind, Schema
from steelyard.errors import RowsRefused
from steelyard.measure.stress import mistyped, stressed

SCHEMA = Schema(
    (
        Column(name="note", kind=Kind.TEXT),
        Column(name="评论", kind=Kind.TEXT, spaced=False),
        Column(name="age", kind=Kind.NUMBER),
    )
)


def rows(n=400):
    notes, chinese = np.empty(n, object), np.empty(n, object)
    notes[:], chinese[:] = "a very quiet room with fine views", "房间很大服务不错早餐一般"
    return {"note": notes, "评论": chinese, "age": np.arange(n, dtype=float)}


def test_so_many_words_are_mistyped_as_were_asked_for():
    harmed = stressed(rows(), SCHEMA, "typos", share=0.2)
    words = [pair for text in harmed["note"] for pair in zip(text.split(), rows(1)["note"][0].split(), strict=False)]
    wrong = np.mean([one != other for one, other in words])
    assert 0.13 < wrong < 0.22  # two like letters exchanged are no error, and a short word may be lost
    changed = np.mean([one != rows(1)["评论"][0] for one in harmed["评论"]])
    assert 0.7 < changed < 1.0


def test_nothing_else_is_touched_and_the_given_rows_are_left_alone():
    given = rows(50)
    harmed = stressed(given, SCHEMA, "typos", share=1.0)
    assert harmed["age"] is given["age"]
    assert (given["note"] == rows(50)["note"]).all()
    assert all(abs(len(one) - len(given["note"][0])) <= 7 for one in harmed["note"])


def test_the_same_seed_does_the_same_harm():
    one, same, other = (stressed(rows(20), SCHEMA, "typos", seed=seed)["note"].tolist() for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("text", ["", " ", "a", "猫", "😀", "\n\n  x"])
def test_texts_with_hardly_anything_to_mistype_stay_texts(text):
    for seed in range(20):
        for spaced in (True, False):
            assert isinstance(mistyped(text, 1.0, np.random.default_rng(seed), spaced=spaced), str)
    assert mistyped(text, 0.0, np.random.default_rng(0)) == text


def test_an_unknown_stress_and_one_that_reaches_nothing_are_refused():
    with pytest.raises(RowsRefused, match="did you mean 'typos'"):
        stressed(rows(2), SCHEMA, "typo")
    with pytest.raises(RowsRefused, match="changes columns of text"):
        stressed({"age": np.zeros(2)}, Schema((Column(name="age", kind=Kind.NUMBER),)), "typos")


@pytest.mark.slow
def test_a_bundle_is_evaluated_under_stress_beside_as_it_is(tmp_path):
    import json
    import subprocess
    import sys

    from steelyard.bundle import About, write
    from steelyard.contracts import Problem
    from steelyard.learners._tfidf_linear import TfidfLinear
    from steelyard.recipe import Plan, Train
    from steelyard.testing.pupils import Watch
    from steelyard.testing.scenes import scene

    one = scene("text", Problem.BINARY)
    fitted = TfidfLinear().fit(Plan(), one.train, None, one.work, Watch())
    write(tmp_path / "bundle", fitted.export(), About(one.task, one.schema, Train(learner="tfidf-linear"), "0" * 16))
    file = tmp_path / "rows.csv"
    lines = [f"{n},{one.task.classes[t]}" for n, t in zip(one.valid.columns["note"], one.valid.target, strict=True)]
    file.write_text("note,answer\n" + "\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "steelyard.cli", "evaluate", tmp_path / "bundle", file, "--stress", "typos"]
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert told["stress"]["kind"] == "typos"
    assert told["stress"]["quality"].keys() == told["quality"].keys()
    assert told["stress"]["quality"]["roc_auc"]["value"] <= told["quality"]["roc_auc"]["value"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "roc_auc with typos" in shown
