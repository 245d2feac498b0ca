"""A pretrained encoder that is trained further, whole or in part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import OF_ROWS, Problem, Work
from steelyard.learners._settings import SettingsRefused
from steelyard.learners._transformer import Transformer
from steelyard.learners.pretrained.checkpoints import find
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.testing import check_learner
from steelyard.testing.pupils import Watch

pytestmark = pytest.mark.deep
PARTS = {
    "whole": {},
    "upper half": {"freeze": {"share": 0.5}},
    "head": {"freeze": {"share": 1.0}},
    "one by one": {"freeze": {"share": 0.0, "gradual": True}},
    "lora": {"lora": {"rank": 2}},
    "lora in attention": {"lora": {"rank": 2, "where": "attention"}},
    "ia3": {"ia3": {"rescale": True}},
    "prefix": {"prefix": {"tokens": 3}},
    "adapter": {"adapter": {"size": 4}},
    "adapters above": {"adapter": {"size": 4}, "freeze": {"share": 0.5}},
    "prefix above": {"prefix": {"tokens": 3}, "freeze": {"share": 0.5}},
    "from scratch": {"pretrained": {"scratch": True}},
}


def slowly(names, *, but):
    """Return names as parameters, those marked as slow that the quick tests can do without."""
    return [name if name in but else pytest.param(name, marks=pytest.mark.slow) for name in names]


def plan_of(name, **settings):
    parts = tuple(Step(lever=lever, settings=Settings(given)) for lever, given in PARTS[name].items())
    return Plan(settings=Settings({"epochs": 2, "learning_rate": 0.001, **settings}), parts=parts)


def fit(one, plan, watch=None):
    return Transformer().fit(plan, one.train, one.valid, one.work, watch or Watch())


@pytest.mark.slow
@pytest.mark.parametrize("problem", OF_ROWS)
def test_it_keeps_what_every_learner_keeps(letters, problem):
    check_learner(Transformer(), plan=Plan(settings=Settings(epochs=2, learning_rate=0.001)), among=[letters(problem)])


@pytest.mark.parametrize("name", slowly(PARTS, but={"whole", "upper half", "lora", "prefix", "adapter"}))
def test_what_was_trained_is_what_ships(letters, tmp_path, name):
    one, watch = letters(), Watch()
    fitted = fit(one, plan_of(name), watch)
    write(tmp_path / "b", fitted.export(), About(one.task, one.schema, Train(learner="transformer"), "0" * 16))
    columns = {"note": np.array(["", "late refund", "kind " * 60, *one.valid.columns["note"][:20]], object)}
    assert np.abs(load(tmp_path / "b").answer(columns).scores - fitted.scores(columns)).max() < 1e-5
    assert [step for step, _ in watch.reports] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["electra", "roberta", "distilbert"])
@pytest.mark.parametrize("name", ["whole", "upper half", "lora", "ia3", "adapter"])
def test_other_architectures_ship_what_was_trained(letters, tmp_path, kind, name):
    one = letters(Problem.BINARY, kind)
    fitted = fit(one, plan_of(name))
    write(tmp_path / "b", fitted.export(), About(one.task, one.schema, Train(learner="transformer"), "0" * 16))
    columns = {"note": one.valid.columns["note"][:20]}
    assert np.abs(load(tmp_path / "b").answer(columns).scores - fitted.scores(columns)).max() < 1e-5


def moved(one, fitted):
    """Return the names of the encoder's weights that training moved."""
    from steelyard.learners.pretrained.net import encoder_of

    before = encoder_of(find(one.schema.columns[0].checkpoints[0])).state_dict()
    after = {k.replace(".base_layer", "").replace(".linear", ""): v for k, v in fitted.net.model.state_dict().items()}
    return {name for name, tensor in before.items() if not tensor.equal(after[name])}


def test_layers_that_are_frozen_stay_as_they_were(letters):
    one = letters()
    names = moved(one, fit(one, plan_of("upper half")))
    assert names
    assert all(name.startswith("encoder.layer.2.") for name in names)  # of three layers the lower two


def test_layers_are_let_go_from_the_top_and_all_of_them_by_the_last_epoch(letters):
    from steelyard.learners.pretrained.net import EncoderNet, encoder_of

    checkpoint = find(letters().schema.columns[0].checkpoints[0])
    net = EncoderNet(encoder_of(checkpoint), checkpoint.architecture, width=(16, 3), pooling="mean", gradual=2)
    seen = []
    for _ in range(2):
        net.train()
        seen.append({name.split(".")[2] for name, p in net.model.named_parameters() if p.requires_grad})
        net.eval()
    assert seen[0] == {"1", "2"}  # of three layers and the embeddings below them the upper half
    assert seen[1] >= {"0", "1", "2", "weight"}


@pytest.mark.parametrize("name", slowly(["lora", "ia3", "prefix", "adapter", "head"], but={"lora"}))
def test_the_weights_that_were_learned_before_stay_and_few_are_trained(letters, name):
    one, watch = letters(), Watch()
    assert moved(one, fit(one, plan_of(name), watch)) == set()
    note = next(note for note in watch.notes if "numbers" in note)
    share = float(note.partition("(")[2].partition("%")[0])
    assert 0 < share < 50


@pytest.mark.parametrize("name", slowly(["lora", "ia3"], but={"lora"}))
def test_what_can_be_merged_costs_nothing_to_serve(letters, name):
    one = letters()
    plain, tuned = (onnx.load_model_from_string(fit(one, plan_of(n)).export().graph) for n in ("whole", name))
    assert [node.op_type for node in plain.graph.node] == [node.op_type for node in tuned.graph.node]
    assert abs(plain.ByteSize() - tuned.ByteSize()) < 500


@pytest.mark.slow
def test_vectors_of_frozen_layers_are_those_that_running_them_gives(letters, monkeypatch):
    one = letters()
    kept = fit(one, plan_of("upper half")).scores(one.valid.columns)
    monkeypatch.setattr("steelyard.learners.pretrained.pieces.ROOM", 0)
    again = fit(one, plan_of("upper half")).scores(one.valid.columns)
    assert np.abs(kept - again).max() < 1e-4


def test_two_ways_to_train_few_numbers_at_once_are_refused(letters):
    one = letters()
    both = plan_of("lora").parts + plan_of("adapter").parts
    with pytest.raises(SettingsRefused, match="lora and adapter"):
        fit(one, Plan(parts=both))


def test_layers_that_are_let_go_and_few_numbers_at_once_are_refused(letters):
    one = letters()
    both = plan_of("one by one").parts + plan_of("ia3").parts
    with pytest.raises(SettingsRefused, match="leave out `gradual`"):
        fit(one, Plan(parts=both))


def test_a_part_with_a_value_out_of_range_is_refused(letters):
    one = letters()
    with pytest.raises(SettingsRefused, match="rank"):
        fit(one, Plan(parts=(Step(lever="lora", settings=Settings(rank=0)),)))


def test_training_begins_with_the_head_that_suits_the_encoder(letters):
    one = letters()
    still = fit(one, plan_of("whole", learning_rate=0.000005, epochs=1)).scores(one.valid.columns)
    from steelyard.learners._embed_linear import EmbedLinear

    probe = EmbedLinear().fit(Plan(settings=Settings(C=10.0)), one.train, None, one.work, Watch())
    assert np.abs(still - probe.scores(one.valid.columns)).max() < 0.01


def test_a_checkpoint_whose_shapes_are_not_what_it_says_is_not_trained(letters, tiny, tmp_path):
    import json
    import shutil

    from steelyard.learners.pretrained.checkpoints import CheckpointRefused

    folder = shutil.copytree(tiny("bert"), tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 99}
    (folder / "config.json").write_text(json.dumps(config))
    one = letters()
    part = Step(lever="pretrained", settings=Settings(checkpoint=find(str(folder)).mark))
    with pytest.raises(CheckpointRefused, match="of another shape"):
        fit(one, Plan(parts=(part,)))


def test_a_table_that_is_not_one_text_is_refused(letters):
    one = letters()
    schema = replace(one.schema, columns=(*one.schema.columns, replace(one.schema.columns[0], name="more")))
    assert "'more'" in Transformer().accepts(one.task, schema).sentence
    assert isinstance(one.work, Work)
