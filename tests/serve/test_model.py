"""What stands between a request and the bundle: tables, the pace of a model, and what it reads of a wire."""

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Schema
from steelyard.errors import BundleRefused, RowsRefused
from steelyard.recipe import Train
from steelyard.serve.model import Pace, example, open_served
from steelyard.serve.table import joined

ROW = {"age": 33.0, "when": "2011-01-31", "city": "a", "note": "the parcel is late"}


@pytest.mark.parametrize("name", ["numbers", "two", "mixed", "blend", "regression"])
def test_a_row_that_is_typed_first_is_answered_alike(opened, name):
    bundle, row = opened[name], {**ROW, "unused": 2}
    assert bundle.answer_cells(bundle.cells(row)).scores.tolist() == bundle.answer_row(row).scores.tolist()


@pytest.mark.parametrize("name", ["numbers", "two", "mixed", "blend"])
def test_tables_are_laid_together_and_answered_as_the_rows(folders, name):
    served = open_served("m", folders[name], threads=1)
    rows = [{**ROW, "age": age, "unused": 1, "city": city} for age, city in ((1, "a"), (None, None), (3, "b"))]
    tables = [served.layout.of_cells([served.bundle.cells(row)]) for row in rows]
    table = joined(tables)
    assert len(table) == 3
    np.testing.assert_allclose(served.answer(table).scores, served.bundle.predict_proba(rows), rtol=1e-6)
    for row, each in zip(rows, tables, strict=True):
        found = served.layout.cells_of(each)
        wanted = served.bundle.cells(row)
        assert {k: str(v) for k, v in found.items()} == {k: str(v) for k, v in wanted.items()}


@pytest.mark.parametrize("name", ["numbers", "mixed", "image", "regression", "blend"])
def test_warming_up_finds_the_best_batch_within_half_a_second(folders, name):
    served = open_served("m", folders[name], threads=1)
    served.warm_up()
    assert served.batch in {1, 8, 16, 32, 64, 128, 256}
    assert 0 < served.pace.expected(1) < 5
    assert len(served.layout.of_cells([example(served.layout)])) == 1


class Refuses:
    """A bundle that answers no row."""

    def __init__(self, bundle):
        self.bundle = bundle

    def answer_cells(self, cells):
        raise RowsRefused("row 0 (from 0) has no finite score")


def test_a_bundle_that_answers_no_row_is_refused_at_the_start(folders):
    served = open_served("m", folders["numbers"], threads=1)
    served.bundle = Refuses(served.bundle)
    with pytest.raises(BundleRefused, match="does not answer a plain row"):
        served.warm_up()


def test_one_pause_does_not_make_a_model_slow_and_slow_rows_do():
    pace = Pace.fitted({1: 0.0001, 101: 0.0011})
    pace.saw(1, 10.0)
    assert pace.expected(1) < 0.0002
    for _ in range(200):
        pace.saw(1, 0.1)
    assert pace.expected(1) > 0.05
    for _ in range(400):
        pace.saw(1, 0.0001)
    assert pace.expected(1) < 0.001


@pytest.fixture(scope="module")
def dated(maker, tmp_path_factory):
    """A bundle whose columns are written in ways of their own."""
    columns = (
        Column(name="when", kind=Kind.TIME, notation="yyyymmdd", low=0.0, high=1e9),
        Column(name="sum", kind=Kind.NUMBER, notation="1.234,5", low=0.0, high=9.0),
    )
    about = About(maker.task, Schema(columns), Train(learner="linear"), "f", {})
    folder = tmp_path_factory.mktemp("dated") / "bundle"
    write(folder, maker.artefact(("when", "sum")), about)
    return folder


def test_a_date_that_is_written_as_a_number_is_a_date_by_every_way(dated, folders, start):
    folders["dated"] = dated
    server, bundle = start("dated"), load(dated)
    wanted = bundle.predict_proba([{"when": 19700103, "sum": 1.5}])[0]
    assert wanted.tolist() == bundle.predict_proba([{"when": "19700103", "sum": "1,5"}])[0].tolist()
    rows = server.post("/predict", json={"when": 19700103, "sum": "1,5"}).json()
    np.testing.assert_allclose(list(rows["predictions"][0]["probabilities"].values()), wanted, rtol=1e-9)
    block = [{"name": "rows", "datatype": "FP64", "shape": [1, 2], "data": [19700103, 1.5]}]
    columns = [
        {"name": "when", "datatype": "INT64", "shape": [1, 1], "data": [19700103]},
        {"name": "sum", "datatype": "BYTES", "shape": [1, 1], "data": ["1,5"]},
    ]
    for inputs in (block, columns):
        reply = server.post("/v2/models/model/infer", json={"inputs": inputs}).json()
        np.testing.assert_allclose(reply["outputs"][0]["data"], wanted, rtol=1e-9)
    wrong = server.post("/predict", json={"when": 5, "sum": 1})
    assert wrong.status_code == 400


def test_a_clock_of_the_processor_that_stands_still_is_no_reason_not_to_start(folders):
    served = open_served("m", folders["numbers"], threads=1)
    served._clock = lambda: 0.0
    served.warm_up()
    assert 0 < served.pace.expected(1) < 0.1
