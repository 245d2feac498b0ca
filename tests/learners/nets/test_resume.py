import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from net_toys import Clock, made, numbers  # noqa: E402
from safetensors import safe_open  # noqa: E402

from steelyard.contracts import Problem, Split, Task  # noqa: E402
from steelyard.learners.nets import _shelf  # noqa: E402
from steelyard.learners.nets.course import Course  # noqa: E402
from steelyard.learners.nets.judge import Judge  # noqa: E402
from steelyard.learners.nets.loop import train  # noqa: E402
from steelyard.learners.nets.scale import Scale  # noqa: E402

COURSE = Course(epochs=6, batch=32, learning_rate=0.02)
TASK = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("no", "yes"), positive="yes")


class Killed(Exception):
    """What ends a process in the middle."""


class Roomy(Clock):
    """A meter with room for checkpoints, whose process is killed after some reports."""

    def __init__(self, folder, killed_after=99):
        super().__init__()
        self.folder, self.killed_after = folder, killed_after

    def place(self):
        return self.folder

    def report(self, step, value):
        super().report(step, value)
        if len(self.reports) == self.killed_after:
            raise Killed
        return True


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(_shelf.Shelf, "due", property(lambda shelf: shelf.file is not None))


def judge():
    material, target = numbers(60, seed=1)
    valid = Split({}, target, np.arange(60))
    return Judge(TASK, valid, material, Scale())


def trained(course, meter, *, net=None, rows=None):
    net = net or made(dropout=0.4)
    material, target = rows or numbers()
    how = train(net, material, target, None, course, judge=judge(), meter=meter, vary=shaken)
    return net, how


def shaken(inputs, generator):
    return {"x": inputs["x"] + 0.1 * torch.randn(inputs["x"].shape, generator=generator)}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimiser": "sgd"},
        {"average": "ema"},
        {"average": "swa"},
        {"patience": 2},
        {"precision": "bf16", "accumulate": 2},
    ],
    ids=str,
)
def test_a_killed_training_goes_on_from_its_last_epoch_and_ends_at_the_same_weights(tmp_path, change):
    course = replace(COURSE, **change)
    whole, how = trained(course, Clock())
    with pytest.raises(Killed):
        trained(course, Roomy(tmp_path, killed_after=4))
    meter = Roomy(tmp_path)
    again, how_again = trained(course, meter)
    assert meter.notes == ["net goes on after epoch 3 of 6, from its checkpoint."]
    assert same(whole, again)
    assert how == how_again
    assert [step for step, _ in meter.reports] == [1, 2, 3, 4, 5, 6][: len(meter.reports)]


def test_several_processes_go_on_together_where_nothing_is_drawn_by_chance(tmp_path):
    course, (material, target) = replace(COURSE, processes=2), numbers()

    def plain(meter):
        net = made()
        return net, train(net, material, target, None, course, judge=judge(), meter=meter)

    with pytest.raises(Killed):
        plain(Roomy(tmp_path, killed_after=4))
    (whole, how), (again, how_again) = plain(Clock()), plain(Roomy(tmp_path))
    assert same(whole, again)
    assert how == how_again


def test_a_training_that_was_over_is_not_done_again(tmp_path):
    first, how = trained(COURSE, Roomy(tmp_path))
    net = made(dropout=0.4)
    net.first.register_forward_pre_hook(lambda *_: pytest.fail("trained again") if net.training else None)
    again, how_again = trained(COURSE, Roomy(tmp_path), net=net)
    assert same(first, again)
    assert how == how_again


@pytest.mark.parametrize(
    "other",
    [
        {"course": replace(COURSE, learning_rate=0.01)},
        {"net": lambda: made(seed=1, dropout=0.4)},
        {"rows": numbers(seed=9)},
    ],
    ids=["course", "weights", "rows"],
)
def test_the_checkpoint_of_another_training_is_left_alone(tmp_path, other):
    trained(COURSE, Roomy(tmp_path))
    meter = Roomy(tmp_path)
    net = other["net"]() if "net" in other else None
    trained(other.get("course", COURSE), meter, net=net, rows=other.get("rows"))
    assert not meter.notes


def test_what_is_kept_is_tensors_and_json(tmp_path):
    trained(COURSE, Roomy(tmp_path))
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".safetensors"
    with safe_open(file, framework="np") as held:
        assert json.loads(held.metadata()["facts"])["done"] == 6


def test_a_damaged_checkpoint_is_said_and_the_training_starts_anew(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 40)
    meter = Roomy(tmp_path)
    _, how = trained(COURSE, meter)
    assert how.rounds == 6
    assert "starts anew" in meter.notes[0]


def test_no_space_for_checkpoints_ends_no_training(tmp_path):
    meter = Roomy(tmp_path / "file" / "below")
    (tmp_path / "file").write_bytes(b"")
    net, how = trained(COURSE, meter)
    assert how.rounds == 6
    assert len(meter.notes) == 1
    assert "No checkpoint can be kept" in meter.notes[0]
    assert same(net, trained(COURSE, Clock())[0])


def test_short_trainings_keep_nothing(tmp_path, monkeypatch):
    monkeypatch.undo()
    trained(COURSE, Roomy(tmp_path))
    assert not list(tmp_path.iterdir())
