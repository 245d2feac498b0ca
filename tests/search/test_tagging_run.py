"""Tagging through the whole house: CoNLL files in; a decision, a page, predictions and an evaluation out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from steelyard import api
from steelyard.draft import draft
from steelyard.errors import RowsRefused, SteelyardError
from steelyard.measure import AnswerUnfit
from steelyard.search.store import Store
from steelyard.spec import Spec, parse

pytestmark = pytest.mark.slow
NAMES, CITIES = ("Ann", "Bob", "Cleo", "Dirk"), ("Oslo", "Rome", "New York", "Rio Grande")


def sentences(count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        city = str(rng.choice(CITIES)).split()
        tokens = [str(rng.choice(NAMES)), str(rng.choice(["sleeps", "eats"])), "in", *city, f"w{rng.integers(10_000)}"]
        tags = ["B-per", "O", "O", "B-loc", *["I-loc"] * (len(city) - 1), "O"]
        noise = rng.random(len(tags)) < 0.03
        yield tokens, ["O" if odd else tag for tag, odd in zip(tags, noise, strict=True)]


def conll(rows):
    return "".join("".join(f"{a}\t{b}\n" for a, b in zip(*row, strict=True)) + "\n" for row in rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("tagging")
    for seed, (side, count) in enumerate((("train", 400), ("dev", 80), ("test", 80))):
        (made / f"{side}.conll").write_text(conll(sentences(count, seed)))
    return made


@pytest.fixture(scope="module")
def run(home):
    spec = Spec(
        data=str(home), target="tags", budget={"trials": 4}, learners={"only": ["constant", "token-linear"]}, seed=1
    )
    return api.run(spec, out=home / "run", in_process=True)


def test_the_cheap_tagger_is_taken_and_told_by_type(run):
    report = run.report
    assert report["task"]["problem"] == "tagging"
    assert report["decision"]["recipe"].startswith("token-linear")
    assert report["decision"]["test"]["entity_f1"]["value"] > 0.7
    constant = next(row for row in report["trials"] if row["recipe"] == "constant")
    assert constant["validation"]["entity_f1"]["value"] == 0.0
    chosen = next(row for row in report["trials"] if row["chosen"])
    assert set(chosen["outcomes"]["types"]) == {"loc", "per"}
    page = (run.folder / "report.html").read_text()
    assert "By type and tag" in page
    assert "Entities by type" in page
    assert "entity" in (run.folder / "card.md").read_text()


def test_a_small_net_is_trained_and_its_answers_are_whole(home, tmp_path):
    spec = Spec(data=str(home), target="tags", budget={"trials": 2}, learners={"only": ["constant", "tagger"]}, seed=1)
    report = api.run(spec, out=tmp_path / "run", in_process=True).report
    net = next(row for row in report["trials"] if row["recipe"] == "tagger")
    assert net["ending"] == "measured", net["note"]
    assert net["validation"]["entity_f1"]["value"] > 0.5


def test_answers_that_are_kept_are_read_back_the_same(run):
    store = Store(run.folder)
    trial = next(t for t in run.record.trials if t.number == 1)
    again, data = store.answers(trial.recipe), store.dataset()
    lengths = [len(row) for row in data.rows.target[data.partition.scored]]
    assert [len(row) for row in again.decided] == lengths
    assert [row.shape for row in again.scores] == [(length, 5) for length in lengths]


def test_what_is_decided_is_the_same_in_a_report_made_anew(run):
    before = json.loads((run.folder / "report.json").read_text())
    api.open_run(run.folder).write_views()
    again = json.loads((run.folder / "report.json").read_text())
    assert before["decision"] == again["decision"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".conll"])
def test_rows_are_predicted_into_every_kind_of_file(run, home, tmp_path, ending):
    told = api.predict(run.folder, home / "test.conll")
    told.write(tmp_path / f"told{ending}")
    text = (tmp_path / f"told{ending}").read_text()
    first = told.prediction[0]
    if ending == ".jsonl":
        row = json.loads(text.splitlines()[0])
        assert row["prediction"] == first
        assert row["entities"][0]["type"] == "per"
    elif ending == ".csv":
        assert json.dumps(first).replace('"', '""') in text.splitlines()[1]
    else:
        assert [line.partition("\t")[2] for line in text.split("\n\n")[0].splitlines()] == first
        again = api.evaluate(run.folder, tmp_path / "told.conll")
        assert again["quality"]["token_accuracy"]["value"] == 1.0


def test_labelled_rows_are_evaluated_as_the_run_did(run, home):
    found = api.evaluate(run.folder, home / "test.conll")
    test = run.report["decision"]["test"]["entity_f1"]["value"]
    assert found["quality"]["entity_f1"]["value"] == pytest.approx(test)
    assert {row["name"] for row in found["types"]} == {"loc", "per"}


def test_rows_that_do_not_fit_are_refused_with_a_sentence(run):
    with pytest.raises(RowsRefused, match="never saw"):
        api.evaluate(run.folder, [{"tokens": ["Ann"], "tags": ["B-org"]}])
    with pytest.raises(RowsRefused, match="without a tag"):
        api.evaluate(run.folder, [{"tokens": ["Ann"], "tags": None}])
    with pytest.raises(AnswerUnfit, match="1 tokens, and is answered for 2"):
        api.evaluate(run.folder, [{"tokens": ["Ann", "eats"], "tags": ["O"]}])
    with pytest.raises(RowsRefused, match="no list of tokens"):
        api.predict(run.folder, [{"tokens": [["Ann"]]}])


def test_a_tagger_in_use_is_weighed_beside_and_an_endpoint_refused(run, tmp_path):
    bundle, fresh = str(api.bundle_folder(run.folder)), tmp_path / "fresh"
    fresh.mkdir()
    for seed, side in enumerate(("train", "dev", "test"), start=7):
        (fresh / f"{side}.conll").write_text(conll(sentences(60, seed)))
    asked = {"data": str(fresh), "target": "tags", "budget": {"trials": 2}, "learners": {"only": ["constant"]}}
    found = api.run(Spec(**asked, incumbent={"bundle": bundle}), out=tmp_path / "beside", in_process=True).report
    assert max(row["validation"]["entity_f1"]["value"] for row in found["trials"]) > 0.7
    spec = Spec(**asked, incumbent={"endpoint": "http://127.0.0.1:9", "model": "x", "per_call": "0 USD"})
    with pytest.raises(SteelyardError, match="only a bundle"):
        api.run(spec, out=tmp_path / "refused", in_process=True)


def test_a_draft_runs_unedited(home):
    text = draft(str(home), "tags")
    spec = parse(text)
    assert (spec.task, spec.quality.metric) == ("tagging", "entity_f1")
    assert api.check(spec).dataset is not None
