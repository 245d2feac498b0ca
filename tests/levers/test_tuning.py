"""Training a finished graph on: by labels, by a teacher, by hidden values, within the clock."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from finished_models import answers, pictures, table, texts
from onnx import numpy_helper

from steelyard.contracts import Problem, Task
from steelyard.levers.refusal import LeverRefused

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")

from steelyard.levers.shrinking.tuning import tuned as tuning  # noqa: E402 - needs PyTorch
from steelyard.levers.shrinking.tuning.feeding import Joint, Kept, material_of, rows_of  # noqa: E402 - as above
from steelyard.levers.shrinking.tuning.tuned import outputs_of, teacher_answers, tuned  # noqa: E402 - as above

pytestmark = pytest.mark.deep
MODELS = {"table": table, "pictures": pictures, "texts": texts}


def spoilt(artefact, noise=0.5):
    """Return the artefact with noise on its weights."""
    model, random = onnx.load_from_string(artefact.graph), np.random.default_rng(0)
    for array in model.graph.initializer:
        values = numpy_helper.to_array(array)
        if values.dtype == np.float32 and values.ndim > 1:
            moved = values + noise * values.std() * random.normal(size=values.shape).astype(np.float32)
            array.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), array.name))
    return replace(artefact, graph=model.SerializeToString())


def apart(one, other, split):
    return np.abs(answers(one, split) - answers(other, split)).mean()


@pytest.mark.parametrize("kind", MODELS)
def test_a_spoilt_graph_learns_to_answer_like_its_teacher(kind, random, meter):
    teacher, split, work = MODELS[kind](random)
    pupil = spoilt(teacher)
    learnt = tuned(pupil, teacher, split, work, meter, epochs=6, learning_rate=3e-3)
    assert apart(learnt, teacher, split) < 0.7 * apart(pupil, teacher, split)
    assert learnt.feeds == teacher.feeds


def test_numbers_far_from_zero_are_learned_in_their_own_spread(random, meter):
    teacher, split, work = table(random, Problem.REGRESSION, centre=1e5, spread=300.0)
    pupil = spoilt(teacher)
    learnt = tuned(pupil, teacher, split, work, meter, epochs=8, learning_rate=3e-3)
    assert apart(learnt, teacher, split) < 0.5 * apart(pupil, teacher, split)
    assert abs(answers(learnt, split).mean() - 1e5) < 1e3


@pytest.mark.parametrize(("share", "follows"), [(0.0, "labels"), (1.0, "teacher")])
def test_the_share_says_whom_to_follow(share, follows, random, meter):
    teacher, split, work = table(random)
    turned = replace(split, target=(split.target + 1) % 3)
    learnt = tuned(teacher, teacher, turned, work, meter, epochs=12, learning_rate=2e-2, share=share)
    decided = answers(learnt, split).argmax(1)
    agrees = {"labels": (decided == turned.target).mean(), "teacher": (decided == split.target).mean()}
    assert agrees[follows] > 0.8
    assert sum(agrees.values()) <= 1


def test_rows_of_more_weight_are_learned_more(random, meter):
    teacher, split, work = table(random)
    turned = replace(split, target=np.where(split.rows % 2 == 0, (split.target + 1) % 3, split.target))
    heavy = replace(turned, weights=np.where(split.rows % 2 == 0, 10.0, 0.1))
    learnt = tuned(teacher, teacher, heavy, work, meter, epochs=12, learning_rate=2e-2, share=0.0)
    right = answers(learnt, split).argmax(1) == turned.target
    assert right[::2].mean() > 0.8 > right[1::2].mean()


def test_the_same_seed_gives_the_same_bytes_and_no_epochs_the_same_graph(random, meter):
    teacher, split, work = texts(random)
    one, again = (tuned(teacher, teacher, split, work, meter, epochs=1, learning_rate=1e-3) for _ in range(2))
    assert one == again
    assert one.graph != teacher.graph
    assert tuned(teacher, teacher, split, work, meter, epochs=0, learning_rate=1e-3) is teacher


def test_values_inside_come_to_be_alike(random, meter):
    teacher, split, work = table(random, units=16)
    pupil = spoilt(teacher)
    (inner,) = [n.output[0] for n in onnx.load_from_string(teacher.graph).graph.node if n.op_type == "Relu"]

    def hidden(artefact):
        material = material_of(artefact, split.columns)
        net = tuning_net(artefact.graph, inner)
        net(material.batch(np.arange(len(split))))
        values = net.kept[inner].detach()
        return values / values.norm(dim=1, keepdim=True)

    alike = tuned(pupil, teacher, split, work, meter, epochs=8, learning_rate=2e-2, hidden=[(inner, inner)])
    plain = tuned(pupil, teacher, split, work, meter, epochs=8, learning_rate=2e-2)
    whole = hidden(teacher)
    assert (hidden(alike) - whole).norm() < 0.6 * (hidden(plain) - whole).norm()


def tuning_net(graph, wanted):
    from steelyard.learners.nets.graph_net import GraphNet

    net = GraphNet(graph)
    net.wanted = frozenset({wanted})
    return net


def test_a_teacher_beside_the_pupil_answers_the_rows_as_they_were_changed(random, meter):
    teacher, split, work = table(random)
    seen = []

    def vary(inputs, generator):
        seen.append(len(inputs["numbers"]))
        return {"numbers": inputs["numbers"] + torch.randn(inputs["numbers"].shape, generator=generator)}

    pupil = spoilt(teacher)
    learnt = tuned(pupil, teacher, split, work, meter, epochs=6, learning_rate=3e-3, share=1.0, vary=vary)
    assert sum(seen) == 6 * len(split)
    assert apart(learnt, teacher, split) < 0.7 * apart(pupil, teacher, split)


def test_a_rate_of_nothing_is_looked_for(random, meter):
    teacher, split, work = table(random)
    learnt = tuned(spoilt(teacher), teacher, split, work, meter, epochs=4, learning_rate=0)
    assert any("found by a range test" in note for note in meter.notes)
    assert apart(learnt, teacher, split) < apart(spoilt(teacher), teacher, split)


class Hurried:
    """A meter whose time runs out as it is asked."""

    def __init__(self, left, tick):
        self.left, self.tick, self.notes = left, tick, []

    def report(self, step, value):
        return True

    def remaining(self):
        self.left -= self.tick
        return self.left

    def note(self, sentence):
        self.notes.append(sentence)


def test_a_teacher_answers_as_many_rows_as_there_is_time_for(random):
    teacher, split, work = table(random, rows=600)
    meter = Hurried(100.0, 20.0)
    found = teacher_answers(teacher, split, work, meter)
    assert 0 < len(found.rows) < len(split)
    np.testing.assert_allclose(found.scores, answers(teacher, split.take(found.rows)), atol=1e-6)
    assert f"{len(found.rows):,} of 600 rows" in meter.notes[0]


def test_training_ends_when_the_time_does(random):
    teacher, split, work = table(random)
    meter = Hurried(6.0, 0.1)
    tuned(teacher, teacher, split, work, meter, epochs=10_000, learning_rate=1e-3)
    assert meter.left > -5


def test_answers_come_in_the_order_of_the_rows_whatever_their_length(random):
    artefact, split, _ = texts(random, rows=300)
    np.testing.assert_allclose(outputs_of(artefact, split, threads=1), answers(artefact, split), atol=1e-5)


def test_texts_are_padded_to_the_longest_of_their_batch_alone(random):
    artefact, split, _ = texts(random)
    rows = rows_of(artefact, split.columns)
    short, long = np.argsort(rows.lengths)[[0, -1]]
    name = artefact.feeds[0].inputs[0]
    assert rows.arrays(np.array([short]))[name].shape[1] == rows.lengths[short]
    assert rows.arrays(np.array([short, long]))[name].shape[1] == rows.lengths[long]


def test_tensors_too_many_to_keep_are_made_batch_by_batch(random, monkeypatch):
    artefact, split, _ = pictures(random)
    kept = rows_of(artefact, split.columns)
    monkeypatch.setattr("steelyard.levers.shrinking.tuning.feeding.MOST_BYTES", 10)
    made = rows_of(artefact, split.columns)
    assert isinstance(kept, Kept)
    assert not isinstance(made, Kept)
    some = np.array([3, 1, 59])
    np.testing.assert_array_equal(made.arrays(some)["image"], kept.arrays(some)["image"])
    assert len(made) == len(kept) == len(split)


def test_several_front_ends_give_their_inputs_together():
    one = Kept({"a": np.arange(3)}, np.array([1, 2, 3]))
    joint = Joint([one, Kept({"b": np.arange(3) * 2})])
    assert joint.lengths.tolist() == [1, 2, 3]
    assert {name: array.tolist() for name, array in joint.arrays(np.array([2, 0])).items()} == {
        "a": [2, 0],
        "b": [4, 0],
    }


def test_what_cannot_be_trained_on_is_refused(random, meter):
    teacher, split, work = table(random)
    tags = replace(work, task=Task(problem=Problem.TAGGING, target="y", aim="f1", classes=("O", "B-x")))
    for changed, said in ((tags, "does not train taggers"), (work, "needs rows to train on")):
        rows = split if changed is tags else split.take(np.empty(0, np.int64))
        with pytest.raises(LeverRefused, match=said):
            tuned(teacher, teacher, rows, changed, meter, epochs=1, learning_rate=1e-3)
    graph = onnx.load_from_string(teacher.graph)
    next(node for node in graph.graph.node if node.op_type == "Relu").op_type = "Softsign"
    strange = replace(teacher, graph=graph.SerializeToString())
    with pytest.raises(LeverRefused, match="computes Softsign"):
        tuned(strange, teacher, split, work, meter, epochs=1, learning_rate=1e-3)
    with pytest.raises(LeverRefused, match="cannot compute its teacher"):
        tuned(teacher, strange, split, work, meter, epochs=1, learning_rate=1e-3, hidden=[("a", "b")])


def test_a_teacher_of_other_inputs_is_asked_beforehand_alone(random, meter):
    teacher, split, work = texts(random)
    other = replace(teacher, files={name: content + b" " for name, content in teacher.files.items()})
    with pytest.raises(LeverRefused, match="read the same inputs"):
        tuned(teacher, other, split, work, meter, epochs=1, learning_rate=1e-3, hidden=[("a", "a")])
    assert tuned(teacher, other, split, work, meter, epochs=1, learning_rate=1e-3).graph != teacher.graph


def test_the_defaults_are_those_that_are_documented():
    assert 0 < tuning.SHARE < 1 < tuning.TEMPERATURE
