"""A bundle whose decisions depend on the money in a column decides over HTTP as it does in Python."""

import numpy as np
import pytest

from steelyard.bundle import About, Joined, load, write
from steelyard.client import Client
from steelyard.contracts import Amount, Column, Kind, Problem, Schema, Task
from steelyard.errors import ServerRefused
from steelyard.recipe import Train

LOSS = ((0.0, 0.0), (-1.0, 0.0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory, maker):
    """A bundle that reads ``age`` and decides by ``loan``, and one that counts its odds for less."""
    home = tmp_path_factory.mktemp("money")
    known = Amount("loan", LOSS, known=True, means=(20.0, 30.0), high=500.0)
    task = Task(
        problem=Problem.BINARY,
        target="y",
        aim="value",
        classes=("no", "yes"),
        positive="yes",
        value=((9.0, 0.0), (0.0, 0.0)),
        amounts=(known,),
    )
    schema = Schema((Column(name="age", kind=Kind.NUMBER), Column(name="loan", kind=Kind.NUMBER)))
    about = About(task=task, schema=schema, recipe=Train(learner="linear"), fingerprint="0")
    write(home / "plain", maker.artefact(("age",)), about)
    rule = {"rule": "odds", "positive": 1, "times": 0.25, "chosen": {"low": 0.1, "high": 0.5, "rows": 900}}
    write(home / "odds", Joined(rule, (home / "plain",)), about)
    return {"plain": home / "plain", "odds": home / "odds"}


def rows(count=64):
    random = np.random.default_rng(1)
    return [
        {"age": float(a), "loan": float(m)}
        for a, m in zip(random.normal(0, 1, count), random.lognormal(2, 1, count), strict=True)
    ]


@pytest.mark.parametrize("name", ["plain", "odds"])
def test_what_is_served_decides_as_the_bundle_does(folders, name, start):
    bundle, asked = load(folders[name]), rows()
    said = bundle.predict(asked).tolist()
    assert set(said) == {"no", "yes"}
    assert said == [bundle.task.classes[bundle.answer_row(row).decided[0]] for row in asked]
    with Client(f"http://127.0.0.1:{start(name).port}") as client:
        assert [answer.label for answer in client.predict(asked)] == said
        assert client.predict([asked[0]])[0].label == said[0]
        with pytest.raises(ServerRefused, match="has nothing in 'loan', the money at stake that decides"):
            client.predict([{**asked[0], "loan": None}])


def test_the_amount_decides_and_the_rule_is_told_on_the_card(folders):
    bundle = load(folders["plain"])
    assert [column.name for column in bundle.reads.columns] == ["age", "loan"]
    one = {"age": 0.0}
    assert bundle.predict([{**one, "loan": 0.0}, {**one, "loan": 400.0}]).tolist() == ["no", "yes"]
    proba = bundle.predict_proba([{**one, "loan": 0.0}, {**one, "loan": 400.0}])
    assert proba[0].tolist() == proba[1].tolist()
    assert (
        "odds of `yes` count 0.25 times (95% interval 0.1 to 0.5), then money by `loan`"
        in (folders["odds"] / "card.md").read_text()
    )
