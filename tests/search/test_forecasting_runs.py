"""A forecast from spec to served answer: run, predict, evaluate, serve, and the money of errors."""

import csv
import json

import numpy as np
import pytest

import steelyard as sy
from steelyard import api
from steelyard.bundle.intervals import Bands, conformal
from steelyard.contracts import Answer
from steelyard.errors import RowsRefused
from steelyard.serve.endpoint import Answered
from steelyard.serve.limits import Limits
from steelyard.serve.model import Served
from steelyard.serve.rows import read, reply
from steelyard.spec import Spec


def values(n, seed=0, lift=0.0):
    random = np.random.default_rng(seed)
    steps = np.arange(n)
    holiday = (steps % 9 == 0).astype(float)
    return (20 + lift + 3 * np.sin(steps * 2 * np.pi / 7) + random.normal(size=n)).round(3), holiday


def rows(n=260, ahead=0, shops=("east", "west")):
    day = [str(d) for d in np.datetime64("2023-01-01") + np.arange(n + ahead)]
    table = {"day": [], "shop": [], "sold": [], "holiday": []}
    for place, shop in enumerate(shops):
        sold, holiday = values(n + ahead, place, 30.0 * place)
        table["day"] += day
        table["shop"] += [shop] * (n + ahead)
        table["sold"] += [*sold[:n].tolist(), *[None] * ahead]
        table["holiday"] += holiday.tolist()
    return table


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    spec = Spec(
        name="shops",
        data=rows(),
        target="sold",
        forecast={"time": "day", "series": "shop", "horizon": 3, "known": ["holiday"], "history": 28},
        learners={"only": ["seasonal-naive", "dlinear"]},
        levers={"only": ["ensemble"]},
        budget={"trials": 3},
        split={"folds": 0},
    )
    return sy.run(spec, out=tmp_path_factory.mktemp("forecast") / "run", in_process=True)


def test_the_run_decides_between_forecasts_and_reads_test(finished):
    decision = finished.report["decision"]
    assert decision["recipe"] == "dlinear"
    assert any("worth it here: seasonal-naive reaches" in reason for reason in decision["reasons"])
    assert {"mae", "rmse", "smape", "mase", "coverage"} <= set(decision["test"])
    assert 0.8 < decision["test"]["coverage"]["value"] < 0.98
    assert decision["test"]["mase"]["value"] < 0.9
    assert (finished.folder / "report.html").exists()


def test_the_bundle_forecasts_what_follows_the_latest_value_of_each_series(finished):
    told = api.predict(finished.bundle, rows(260, ahead=3))
    written = list(csv.DictReader(told.text(".csv").splitlines()))
    assert list(written[0]) == ["series", "time", "step", "prediction", "low", "high"]
    assert [(row["series"], row["time"], row["step"]) for row in written[:4]] == [
        ("east", "2023-09-18", "1"),
        ("east", "2023-09-19", "2"),
        ("east", "2023-09-20", "3"),
        ("west", "2023-09-18", "1"),
    ]
    for row in written:
        assert float(row["low"]) < float(row["prediction"]) < float(row["high"])
    assert 15 < float(written[0]["prediction"]) < 26
    assert 45 < float(written[3]["prediction"]) < 56
    assert json.loads(told.text(".jsonl").splitlines()[0])["series"] == "east"


def test_a_series_that_training_never_saw_is_forecast_from_its_own_history(finished):
    told = api.predict(finished.bundle, rows(60, ahead=3, shops=("north",))).rows()
    assert {row["series"] for row in told} == {"north"}
    assert all(15 < row["prediction"] < 26 for row in told)


def test_older_rows_than_the_history_change_no_forecast(finished):
    whole, recent = rows(260, ahead=3, shops=("east",)), rows(260, ahead=3, shops=("east",))
    recent = {name: cells[200:] for name, cells in recent.items()}
    one, other = (api.predict(finished.bundle, each).rows() for each in (whole, recent))
    assert one == other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("sold"), ["'sold'"]),
        (lambda t: t["day"].__setitem__(3, t["day"][2]), ["rows 2 and 3", "2023-01-03"]),
        (lambda t: t["shop"].__setitem__(3, None), ["row 3", "'shop'"]),
        (lambda t: t.update(sold=[None] * len(t["sold"])), ["no row has a value"]),
    ],
)
def test_tables_that_cannot_be_forecast_from_are_refused_with_the_way_out(finished, change, words):
    table = rows(60, ahead=3)
    change(table)
    with pytest.raises(RowsRefused) as refused:
        api.predict(finished.bundle, table)
    for word in words:
        assert word in str(refused.value)


def test_evaluating_measures_every_origin_of_a_table_with_the_scales_of_its_series(finished, tmp_path):
    table = rows(120)
    with (tmp_path / "new.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    found = api.evaluate(finished.folder, tmp_path / "new.csv")
    assert found["rows"] == 2 * (120 - 3)
    assert 0.5 < found["quality"]["mase"]["value"] < 1.0
    assert found["quality"]["coverage"]["value"] > 0.8


def test_the_server_answers_histories_with_values_by_series_and_their_ends(finished):
    served = Served("shops", "1", finished.bundle)
    served.warm_up()
    sold, holiday = values(40)
    history = np.column_stack([sold, holiday]).tolist()
    body = {"history": history, "future": [[0.0]] * 3, "time": "2023-02-09", "shop": "east", "series": "east"}
    table = read(served, json.dumps({"rows": [body]}).encode(), Limits())
    answered = Answered(served=served, answer=served.answer(table))
    (one,) = reply(answered, table)["predictions"]
    assert [len(one[part]["sold"]) for part in ("values", "low", "high")] == [3, 3, 3]
    expected = finished.bundle.answer_rows({name: [cell] for name, cell in body.items()})
    np.testing.assert_allclose(one["values"]["sold"], expected.decided[0])


def test_money_of_errors_moves_the_choice_of_the_aim(tmp_path):
    spec = Spec(
        data=rows(),
        target="sold",
        forecast={"time": "day", "series": "shop", "horizon": 3},
        value={"over": "-1 USD", "under": "-3 USD"},
        learners={"only": ["seasonal-naive", "theta"]},
        levers={"only": []},
        budget={"trials": 2},
        split={"folds": 0},
    )
    run = sy.run(spec, out=tmp_path / "run", in_process=True)
    assert run.report["task"]["aim"] == "value"
    assert run.report["decision"]["test"]["value"]["value"] < 0


def test_half_widths_are_the_conformal_quantile_of_the_errors():
    errors = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))
    assert conformal(errors, 0.9) == 90.0
    assert conformal(errors, 0.995) == 99.0


def test_intervals_of_a_long_table_are_as_wide_as_its_series_move(finished):
    bands = finished.bundle._bands
    assert isinstance(bands, Bands)
    assert bands.scaled
    calm, wild = ({"history": [np.column_stack([size * values(40)[0], np.zeros(40)])]} for size in (1.0, 10.0))
    flat = Answer(np.zeros((1, 3)), np.zeros((1, 3)))
    task = finished.bundle.task
    narrow, wide = (bands.around(flat, {"history": np.array(c["history"])}, task).high for c in (calm, wild))
    np.testing.assert_allclose(wide, 10 * narrow, rtol=1e-6)


def test_the_report_tells_the_error_of_each_step_beside_that_of_doing_nothing(finished):
    told = finished.report["forecast"]
    assert (told["horizon"], told["series"], told["step"]) == (3, 2, "day")
    assert len(told["chosen"]["mae"]) == len(told["baseline"]["mase"]) == 3
    assert np.mean(told["chosen"]["mase"]) < np.mean(told["baseline"]["mase"])
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "Errors by step ahead" in page
    assert "0 classes" not in page
    assert "the next" in page
