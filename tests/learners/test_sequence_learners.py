"""Sequences of readings: figures of them under learners of tables, and nets that read them whole."""

from importlib.util import find_spec

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Problem, Schema
from steelyard.learners._summaries import FIGURES, Summaries, figures_of
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.registry import learners
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

CHEAP = ("linear", "lightgbm", "extra-trees")
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="`deep` is not installed")


def sequences(problem=Problem.BINARY):
    return scene("sequences", problem)


def made(net):
    from importlib import import_module

    module, _, name = net.partition(":")
    return getattr(import_module(f"steelyard.learners.{module}"), name)()


@pytest.mark.parametrize("name", CHEAP)
def test_a_bundle_of_figures_answers_as_its_framework(name, tmp_path):
    one = sequences()
    fitted = (
        learners().get(name).fit(Plan(rounds=20 if name == "lightgbm" else None), one.train, None, one.work, Watch())
    )
    write(tmp_path / "b", fitted.export(), About(one.task, one.schema, Train(learner=name), "0" * 16))
    shipped = load(tmp_path / "b").answer(one.valid.columns).scores
    np.testing.assert_allclose(shipped, fitted.scores(one.valid.columns), atol=1e-4)
    assert (shipped.argmax(1) == one.valid.target).mean() > 0.8


def test_a_table_may_mix_sequences_with_numbers_and_categories():
    one, table = sequences(), scene("mixture", Problem.BINARY)
    schema = Schema((*table.schema.columns, *one.schema.columns))
    train = type(one.train)({**table.train.columns, **one.train.columns}, one.train.target, one.train.rows)
    work = type(one.work)(task=one.task, schema=schema, seed=0, threads=1)
    fitted = learners().get("linear").fit(Plan(), train, None, work, Watch())
    read = {name for feed in fitted.export().feeds for name in feed.columns}
    assert read == {column.name for column in schema.features}


def test_the_figures_of_a_table_are_counted():
    channels = Column(name="r", kind=Kind.SEQUENCE, channels=("a", "b", "c"))
    assert figures_of(Schema((channels,))) == 1 + 3 * FIGURES
    assert figures_of(Schema(())) == 0
    one = sequences()
    block = Summaries.fit(one.train.columns, one.schema.columns[0], tag="s", standard=False)
    assert len(block.numbers.columns) == figures_of(one.schema)


@pytest.fixture(scope="module")
def fitted():
    one = sequences(Problem.REGRESSION)
    return made("_tcn:Tcn").fit(Plan(settings=Settings(epochs=3, width=16)), one.train, None, one.work, Watch())


@needs_torch
@pytest.mark.deep
class TestNets:
    """What nets over sequences do beside keeping promises."""

    def test_predicted_values_stay_within_those_of_training(self, fitted):
        one = sequences(Problem.REGRESSION)
        far = {"readings": one.valid.columns["readings"].copy()}
        for row, cell in enumerate(far["readings"]):
            far["readings"][row] = cell * np.float32(1 + row)
        said = fitted.scores(far)
        assert said.min() >= one.train.target.min() - 1e-3
        assert said.max() <= one.train.target.max() + 1e-3
        assert np.ptp(said) > 1

    def test_no_step_looks_at_a_later_one(self):
        import torch

        from steelyard.learners.nets.sequence_bodies import Convolutional
        from steelyard.learners.nets.sequences import learned

        one = sequences()
        reading = learned(one.train, one.work, longest=0)
        net = Convolutional(reading, width=8, levels=3, kernel=3, dropout=0.0, outputs=2).eval()
        x, mask = torch.randn(1, 12, net.into), torch.ones(1, 12, 1)
        before = net.states(x, mask)[0, :7]
        x[0, 7:] += 5
        assert torch.equal(net.states(x, mask)[0, :7], before)
        x[0, 0] += 5  # which the last step sees: three levels reach 29 steps back
        assert not torch.equal(net.states(x, mask)[0, 6:7], before[6:7])

    def test_scales_are_those_of_known_readings_alone(self):
        from steelyard.learners.nets.sequences import scales

        rng = np.random.default_rng(0)
        cells = [rng.normal([2400.0, 0.0], [0.05, 3.0], (9, 2)).astype(np.float32) for _ in range(50)]
        cells[0][3] = np.nan
        every = np.concatenate(cells)[~np.isnan(np.concatenate(cells)).any(axis=1)].astype(np.float64)
        centre, spread, gaps = scales(cells, 2)
        np.testing.assert_allclose(centre, every.mean(axis=0), atol=1e-3)
        np.testing.assert_allclose(spread, every.std(axis=0), rtol=1e-2)
        assert gaps.all()

    def test_a_channel_that_never_changes_is_left_as_it_is(self):
        from steelyard.learners.nets.sequences import scales

        cells = [np.tile(np.array([518.67, np.nan], np.float32), (5, 1))] * 3
        centre, spread, _ = scales(cells, 2)
        assert spread.tolist() == [1, 1]
        assert centre == pytest.approx([518.67, 0], rel=1e-6)

    @pytest.mark.parametrize("asked", [{"slicing": 0.5}, {"jitter": 0.2, "scaling": 0.1, "slicing": 0.5}])
    def test_what_is_varied_keeps_the_mask_the_marks_and_the_last_reading(self, asked):
        import torch

        from steelyard.learners.nets.vary_series import varied

        values = torch.randn(40, 10, 2) + 100
        values = torch.cat([values, (torch.rand(40, 10, 1) < 0.3).float()], 2)
        mask = (torch.arange(10) < torch.randint(1, 11, (40, 1))).float()
        values = values * mask.unsqueeze(2)
        made = varied(Settings(asked))({"values": values, "mask": mask}, torch.Generator().manual_seed(0))
        kept = made["mask"].sum(1).long()
        assert (kept >= 1).all()
        assert (kept < mask.sum(1)).any()
        assert not (made["values"] * (1 - made["mask"]).unsqueeze(2)).any()
        for row in range(40):
            length = int(mask[row].sum())
            assert torch.equal(made["values"][row, : kept[row], 2], values[row, length - kept[row] : length, 2])
            if "jitter" not in asked:
                assert torch.equal(made["values"][row, : kept[row]], values[row, length - kept[row] : length])

    def test_a_part_that_augments_is_carried_out(self, monkeypatch):
        from steelyard.learners.nets import vary_series

        told = []
        real = vary_series.varied
        monkeypatch.setattr(vary_series, "varied", lambda asked: told.append(dict(asked)) or real(asked))
        one = sequences()
        plan = Plan(
            settings=Settings(epochs=2, width=16), parts=(Step(lever="augment", settings=Settings(jitter=0.2)),)
        )
        scores = made("_tcn:Tcn").fit(plan, one.train, None, one.work, Watch()).scores(one.valid.columns)
        assert told == [{"jitter": 0.2}]
        assert np.isfinite(scores).all()

    def test_a_longer_row_than_any_in_training_is_answered_by_its_last_readings(self, fitted):
        one = sequences(Problem.REGRESSION)
        cell = one.valid.columns["readings"][0]
        longest = int(fitted.export().feeds[0].options["longest"])
        long = np.concatenate([np.full((40, 2), 7.0, np.float32), np.tile(cell, (5, 1))[-longest:]])
        both = np.empty(2, object)
        both[0], both[1] = long, long[-longest:]
        first, second = fitted.scores({"readings": both})
        assert first == pytest.approx(second)


@pytest.mark.parametrize("net", ["_tcn:Tcn", "_sequence_rnn:SequenceRnn"])
def test_nets_refuse_tables_without_sequences_and_mixtures(net):
    learner, one, table = made(net), sequences(), scene("numbers", Problem.BINARY)
    assert "none: say under `sequence`" in learner.accepts(table.task, table.schema).sentence
    mixed = Schema((*one.schema.columns, *table.schema.columns))
    assert "'age'" in learner.accepts(one.task, mixed).sentence
