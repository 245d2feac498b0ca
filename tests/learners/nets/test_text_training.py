"""What is done to texts in training: words dropped and moved, embeddings attacked, hidden tokens guessed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._rnn import Rnn
from steelyard.learners._settings import SettingsRefused
from steelyard.learners._text_cnn import TextCnn
from steelyard.recipe import Plan, Settings, Step
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep
QUICK = Settings(epochs=2, embedding=16)


def asked(lever=None, rounds=None, **settings):
    return Plan(settings=QUICK, rounds=rounds, parts=(Step(lever=lever, settings=Settings(settings)),) if lever else ())


def batch(lengths, width=None):
    width = width or max(lengths)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids = (torch.arange(10, 10 + width).repeat(len(lengths), 1)) * mask
    ids[:, 0] = 2
    return {"ids_0": ids, "mask_0": mask}


# ------------------------------------------------------------------------------------------------- augmentation


def test_dropped_words_are_unknown_ones_and_no_other_is_touched():
    from steelyard.learners.nets.vary_text import Noise

    given = batch([400, 200])
    kept = {name: tensor.clone() for name, tensor in given.items()}
    made = Noise(drop=0.25)(given, torch.Generator().manual_seed(0))
    changed = made["ids_0"] != given["ids_0"]
    assert (made["ids_0"][changed] == 1).all()
    assert not changed[:, 0].any()
    assert not changed[given["mask_0"] == 0].any()
    assert 0.2 < changed.sum() / (600 - 2) < 0.3
    assert made["mask_0"] is given["mask_0"]
    assert all(torch.equal(kept[name], given[name]) for name in given)


def test_moved_words_stay_near_and_in_their_row():
    from steelyard.learners.nets.vary_text import REACH, Noise

    given = batch([60, 30], width=64)
    made = Noise(swap=0.3)(given, torch.Generator().manual_seed(0))["ids_0"]
    for row, length in enumerate((60, 30)):
        assert sorted(made[row].tolist()) == sorted(given["ids_0"][row].tolist())
        assert made[row, 0] == 2
        assert made[row, length:].tolist() == given["ids_0"][row, length:].tolist()
        moved = [abs(token - 10 - place) for place, token in enumerate(made[row, 1:length].tolist(), 1)]
        assert 0 < max(moved) <= 2 * REACH + 1
        assert 5 < sum(map(bool, moved)) < length - 5


def test_the_same_chance_makes_the_same_noise_and_another_another():
    from steelyard.learners.nets.vary_text import Noise

    noise, given = Noise(drop=0.3, swap=0.3), batch([50])
    one, same, other = (noise(given, torch.Generator().manual_seed(seed))["ids_0"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_augmentation_changes_the_training_and_options_of_images_are_not_read_by_text():
    one = scene("text", Problem.BINARY)
    plain = TextCnn().fit(asked(), one.train, None, one.work, Watch()).losses
    assert TextCnn().fit(asked("augment", drop=0.3), one.train, None, one.work, Watch()).losses != plain
    assert TextCnn().fit(asked("augment", flip="all"), one.train, None, one.work, Watch()).losses == plain
    with pytest.raises(SettingsRefused, match=r"drop must be from 0 to 0\.5"):
        TextCnn().fit(asked("augment", drop=0.9), one.train, None, one.work, Watch())


# ------------------------------------------------------------------------------------------------------ attacks


class Sum(torch.nn.Module):
    """The logits of two classes from the first number of each token's embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 4)

    def forward(self, inputs):
        total = self.embedding(inputs["ids_0"])[:, :, 0].sum(1)
        return torch.stack([total, -total], 1)


def test_a_step_of_fgm_goes_along_the_gradient_as_far_as_its_radius():
    from steelyard.learners.nets.attack import Fgm

    net, given = Sum(), {"ids_0": torch.tensor([[3, 4, 5], [6, 7, 0]])}
    seen = []

    def lost(inputs):
        x = net.embedding(inputs["ids_0"])
        seen.append(x.detach())
        total = x[:, :, 0].sum(1)
        return torch.nn.functional.cross_entropy(torch.stack([total, -total], 1), torch.tensor([0, 0]))

    clean, harmed = Fgm(0.2).losses(net, given, lost)
    step = seen[1] - seen[0]
    assert harmed > clean
    assert torch.allclose(step.flatten(1).norm(dim=1), 0.2 * seen[0].flatten(1).norm(dim=1), rtol=1e-4)
    assert (step[:, :, 1:] == 0).all()  # only the first number of an embedding matters to this net
    assert (step[:, :, 0] < 0).all()  # and class 0 is right, so less of it harms


def test_padding_is_not_attacked():
    from steelyard.learners.nets.attack import Fgm
    from steelyard.learners.nets.text_bodies import TextCnn as Body

    torch.manual_seed(0)
    net = Body(channels=4, widths=(3,), vocabulary=40, columns=1, embedding=6, dropout=0.0, outputs=2).eval()
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    ids = torch.tensor([[2, 9, 17, 0, 0]])
    padded, alone = {"ids_0": ids, "mask_0": mask}, {"ids_0": ids[:, :3], "mask_0": mask[:, :3]}
    (_, one), (_, other) = (
        Fgm(1.0).losses(net, given, lambda x: torch.nn.functional.cross_entropy(net(x), torch.tensor([1])))
        for given in (padded, alone)
    )
    assert torch.allclose(one, other)


def test_an_attack_leaves_no_hook_and_no_gradient_behind():
    from steelyard.learners.nets.attack import Fgm, hardened

    net = Sum()
    net.attack = Fgm(0.1)
    given = {"ids_0": torch.tensor([[3, 4]])}
    before = net(given).detach()
    loss = hardened(net, given, lambda inputs: net(inputs)[:, 0].sum())
    assert all(p.grad is None for p in net.parameters())
    loss.backward()
    assert net.embedding.weight.grad[3].abs().sum() > 0
    assert torch.equal(net(given).detach(), before)
    assert not net.embedding._forward_hooks


def test_training_against_an_attack_is_told_beside_what_it_costs():
    one, watch = scene("text", Problem.BINARY), Watch()
    fitted = Rnn().fit(asked("adversarial", radius=0.1), one.train, one.valid, one.work, watch)
    (note,) = watch.notes
    assert "of the validation rows rightly" in note
    assert "moved by 0.1 of their length" in note
    assert fitted.losses != Rnn().fit(asked(), one.train, None, one.work, Watch()).losses
    assert fitted.export().feeds[0].front_end == "tokens"


def test_rows_attacked_hard_enough_are_decided_wrongly():
    from steelyard.learners.nets.attack import Fgm, accuracies

    one = scene("text", Problem.BINARY)
    plan = Plan(settings=Settings(epochs=6, embedding=16))
    fitted = TextCnn().fit(plan, one.train, None, one.work, Watch())
    material = fitted.reading.material(one.valid.columns)
    clean, unmoved = accuracies(Fgm(0.0), fitted.net, material, one.valid.target)
    same, harmed = accuracies(Fgm(3.0), fitted.net, material, one.valid.target)
    said = fitted.scores(one.valid.columns).argmax(1)
    assert clean == unmoved == same == pytest.approx((said == one.valid.target).mean())
    assert harmed < clean - 0.2


# ------------------------------------------------------------------------------------------------ hidden tokens


def test_hidden_tokens_are_told_beside_what_is_shown():
    from steelyard.learners.nets.masking import MASK, Hide

    given = batch([500])
    given["ids_0"] %= 40
    given["ids_0"][:, 0] = 2
    made = Hide(0.2, 40)(given, torch.Generator().manual_seed(0))
    truth, hidden = made["truth_0"], made["truth_0"] > 0
    assert torch.equal(truth[hidden], given["ids_0"][hidden])
    assert torch.equal(made["ids_0"][~hidden], given["ids_0"][~hidden])
    assert 0.13 < hidden.float().mean() < 0.27
    assert 0.7 < (made["ids_0"][hidden] == MASK).float().mean() < 0.9
    assert (given["ids_0"][hidden] >= 4).all()


@pytest.mark.slow
@pytest.mark.parametrize("learner", [TextCnn, Rnn])
def test_guessing_learns_what_stands_beside_what(learner):
    from steelyard.learners.nets.course import Course, Told
    from steelyard.learners.nets.masking import guess_hidden

    random = np.random.default_rng(0)
    texts = np.array([" ".join(["red rose", "blue sky", "hot tea"][i] for i in random.integers(3, size=6))
                      for _ in range(200)], object)  # fmt: skip
    train = Split({"note": texts}, np.zeros(200, np.int64), np.arange(200))
    task = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("a", "b"), positive="b")
    work = Work(task=task, schema=Schema((Column(name="note", kind=Kind.TEXT),)))
    told = Told({**{k: s.default for k, s in learner.settings.items()}, "embedding": 16}, Plan())
    made = learner()
    reading = made.reading(train, work, told)
    torch.manual_seed(0)
    net = made.net(reading, task, told)
    head = net.head.weight.detach().clone()
    course = Course(learning_rate=0.01, batch=32)
    loss = guess_hidden(net, reading.material(train.columns), course, epochs=12, share=0.2, meter=Watch())
    assert loss < 0.75 * math.log(6)  # six words: a guess without looking costs log 6, with the neighbour far less
    assert torch.equal(net.head.weight, head)


def test_guessing_comes_before_labels_and_takes_half_of_the_time_at_most():
    one = scene("text", Problem.MULTICLASS)
    plain = TextCnn().fit(asked(), one.train, None, one.work, Watch()).losses
    first = TextCnn().fit(asked("self-supervised", epochs=2), one.train, None, one.work, Watch())
    assert first.losses != plain
    assert first.rounds == 2
    late = Watch(seconds=0.0)
    cut = TextCnn().fit(asked("self-supervised", epochs=40), one.train, None, one.work, late)
    assert any(note.startswith("before any label was learned") for note in late.notes)
    assert np.isfinite(cut.scores(one.valid.columns)).all()


def test_texts_without_a_label_are_guessed_at_too_and_lend_their_words():
    one = scene("text", Problem.MULTICLASS)
    few = one.train.take(np.arange(12))
    strange = np.array([f"zebra quokka {text}" for text in one.train.columns["note"][12:]], object)
    spare = Split({"note": strange}, np.zeros(len(strange), np.int64), np.arange(len(strange)))
    work = replace(one.work, unlabelled=spare)
    alone, first = (TextCnn().fit(asked("self-supervised", epochs=2), few, None, w, Watch()) for w in (one.work, work))
    assert first.reading.size > alone.reading.size  # words that no labelled text has
    assert first.losses != alone.losses
    plain = [TextCnn().fit(asked(), few, None, w, Watch()) for w in (one.work, work)]
    assert plain[0].losses == plain[1].losses  # only who learns without labels looks at them
    assert plain[0].reading.size == plain[1].reading.size


# ---------------------------------------------------------------------------------------------------- learners


@pytest.mark.slow
@pytest.mark.parametrize("learner", [TextCnn, Rnn])
def test_odd_texts_are_trained_on_and_answered_by_the_bundle_as_by_the_framework(learner, tmp_path):
    from steelyard.bundle import About, load, write
    from steelyard.recipe import Train

    odd = ["", "😀👩‍👩‍👧", "\ud83d half", "word " * 20_000, "猫 кот cat", "x" * 100_000] * 6
    texts = np.array(odd, object)
    rows = Split({"note": texts}, np.arange(36) % 2, np.arange(36))
    task = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("a", "b"), positive="b")
    schema = Schema((Column(name="note", kind=Kind.TEXT),))
    fitted = learner().fit(asked(), rows, None, Work(task=task, schema=schema), Watch())
    write(tmp_path / "b", fitted.export(), About(task, schema, Train(learner=learner.name), "0" * 16))
    bundle = load(tmp_path / "b")
    assert np.allclose(bundle.answer(rows.columns).scores, fitted.scores(rows.columns), atol=1e-5)
    alone = bundle.answer_row({"note": odd[3]}).scores[0]
    assert np.allclose(alone, fitted.scores(rows.columns)[3], atol=1e-5)


@pytest.mark.parametrize("learner", [TextCnn, Rnn])
def test_tables_that_hold_more_or_less_than_text_are_refused_with_a_way_out(learner):
    for kind in ("numbers", "mixture", "images"):
        one = scene(kind, Problem.BINARY)
        assert "columns." in learner().accepts(one.task, one.schema).sentence
    one = scene("text", Problem.BINARY)
    assert learner().accepts(one.task, one.schema) is None
    tagging = Task(problem=Problem.TAGGING, target="y", aim="accuracy", classes=("a", "b"))
    assert "this task is tagging" in learner().accepts(tagging, one.schema).sentence


@pytest.mark.slow
@pytest.mark.parametrize("learner", [TextCnn, Rnn])
def test_the_learner_keeps_the_contract(learner):
    from steelyard.testing import check_learner

    size = {"channels": 16} if learner is TextCnn else {"units": 16}
    check_learner(learner(), plan=Plan(settings=Settings(embedding=32, **size)))
