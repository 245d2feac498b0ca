"""A drafted spec runs unedited, and says of every line what it is for."""

import numpy as np
import pandas as pd
import pytest

from steelyard.data import load
from steelyard.draft import draft
from steelyard.errors import DataUnfit, DataUnreadable, SpecInvalid
from steelyard.spec import parse


def credit(rows=240):
    random = np.random.default_rng(0)
    age = random.integers(18, 80, rows)
    city = random.choice(["Oslo", "Rome", "Bonn"], rows)
    bad = (age + random.normal(0, 20, rows) < 35) | (city == "Rome") & (random.random(rows) < 0.3)
    return pd.DataFrame({
        "customer": [f"C{i:05d}" for i in range(rows)],
        "age": age,
        "income": random.normal(3000, 800, rows).round(2),
        "city": city,
        "country": "X",
        "class": np.where(bad, "bad", "good"),
    })  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEELYARD_DATA", raising=False)
    return tmp_path


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_draft_runs_unedited_and_explains_every_line(here, lang):
    credit().to_csv("credit.csv", index=False)
    text = draft("credit.csv", "class", lang=lang)
    spec = parse(text)
    assert (spec.data, spec.target, spec.task, spec.positive) == ("credit.csv", "class", "classification", "bad")
    assert set(spec.columns.ignore) == {"customer", "country"}
    assert (spec.quality.metric, spec.budget.minutes) == ("roc_auc", 5)
    assert load(spec, here).task.positive == "bad"
    assert all("#" in line for line in text.splitlines() if line)
    assert any("一" <= c <= "鿿" for c in text) == (lang == "zh")


def test_what_is_commented_out_is_right_when_it_is_put_in(here):
    credit().to_csv("credit.csv", index=False)
    lines = draft("credit.csv", "class").splitlines()
    used = [line.replace("# ", "", 1) if line.lstrip().startswith("# ") else line for line in lines[4:]]
    spec = parse("\n".join(line for line in used if not line.startswith("or ")))
    assert spec.value is not None
    assert spec.serving.traffic is not None
    assert spec.quality.at_least == 0.8
    assert spec.columns.category == ("age",)
    assert "good (154), bad (86)" in "\n".join(lines)


def test_a_column_that_gives_the_target_away_is_left_out_with_the_reason(here):
    table = credit(400)
    table["grade"] = np.where(table["class"] == "bad", "F", "A")
    table.to_csv("credit.csv", index=False)
    text = draft("credit.csv", "class")
    assert "grade" in parse(text).columns.ignore
    assert "gives the target away" in next(line for line in text.splitlines() if line.lstrip().startswith("- grade"))
    assert "grade" not in load(parse(text), here).rows.columns


def test_a_column_that_holds_train_and_test_becomes_the_split(here):
    table = credit()
    table["split"] = np.where(np.arange(len(table)) % 4 == 0, "test", "train")
    table.to_csv("credit.csv", index=False)
    spec = parse(draft("credit.csv", "class"))
    assert spec.split.column == "split"
    assert "split" not in spec.columns.ignore
    assert len(load(spec, here).partition.test) == 60


def test_a_number_is_predicted_with_a_target_in_its_own_unit(here):
    credit().to_csv("credit.csv", index=False)
    text = draft("credit.csv", "income")
    spec = parse(text)
    assert (spec.task, spec.quality.metric, spec.positive) == ("regression", "rmse", None)
    assert "at_most" in text
    assert "# value:" not in text
    assert load(spec, here).task.target == "income"


def test_rows_without_a_target_are_dropped_and_the_draft_says_so(here):
    table = credit()
    table.loc[:9, "class"] = None
    table.to_csv("credit.csv", index=False)
    spec = parse(draft("credit.csv", "class"))
    assert spec.checks.missing_target == "drop"
    assert len(load(spec, here).originals) == 230


def test_names_that_yaml_would_misread_are_quoted(here):
    table = credit().rename(columns={"class": "yes: no #1", "customer": "- id"})
    table.to_csv("a b.csv", index=False)
    spec = parse(draft("a b.csv", "yes: no #1"))
    assert spec.target == "yes: no #1"
    assert "- id" in spec.columns.ignore
    assert spec.name == "a-b"


def test_data_of_scikit_learn_is_drafted_by_name(here):
    spec = parse(draft("sklearn:breast_cancer", "diagnosis"))
    assert (spec.data, spec.positive, spec.name) == ("sklearn:breast_cancer", "malignant", "breast_cancer")
    assert parse(draft("sklearn:wine", "kind")).quality.metric == "accuracy"


def test_what_no_spec_can_settle_ends_in_a_sentence(here):
    table = credit()
    table.assign(**{"class": "good"}).to_csv("one.csv", index=False)
    with pytest.raises(DataUnfit, match="class"):
        draft("one.csv", "class")
    with pytest.raises(DataUnreadable, match="no data at"):
        draft("none.csv", "class")
    table.to_csv("credit.csv", index=False)
    with pytest.raises(DataUnfit, match="clas"):
        draft("credit.csv", "clas")
    with pytest.raises(SpecInvalid, match=r"no language 'ch'; known: en, zh"):
        draft("credit.csv", "class", lang="ch")


def test_a_column_that_may_give_the_target_away_is_offered_to_be_left_out(here):
    table = credit(150)
    table["grade"] = np.where(table["class"] == "bad", "F", "A")
    table.to_csv("credit.csv", index=False)
    text = draft("credit.csv", "class")
    assert "grade" not in parse(text).columns.ignore
    assert "    # - grade" in text
    assert "grade" in parse(text.replace("    # - grade", "    - grade")).columns.ignore
