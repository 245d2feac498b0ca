import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from net_toys import Clock, Line, made, numbers  # noqa: E402

from steelyard.contracts import Problem, Split, Task  # noqa: E402
from steelyard.learners.nets import COURSE as SETTINGS  # noqa: E402
from steelyard.learners.nets._average import MEMORY, Average  # noqa: E402
from steelyard.learners.nets._batches import Targets  # noqa: E402
from steelyard.learners.nets._shelf import Shelf  # noqa: E402
from steelyard.learners.nets._team import Team  # noqa: E402
from steelyard.learners.nets._training import NoCompiler, Training  # noqa: E402
from steelyard.learners.nets.course import HONOURS, Course, course_of  # noqa: E402
from steelyard.learners.nets.fitted import outputs  # noqa: E402
from steelyard.learners.nets.judge import Judge  # noqa: E402
from steelyard.learners.nets.loop import train  # noqa: E402
from steelyard.learners.nets.scale import Scale  # noqa: E402
from steelyard.recipe import Plan, Settings, Step  # noqa: E402

COURSE = Course(epochs=6, batch=32, learning_rate=0.02)
TASK = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("no", "yes"), positive="yes")


def judge(rows=60, seed=1):
    material, target = numbers(rows, seed=seed)
    return Judge(TASK, Split({}, target, np.arange(rows)), material, Scale())


def trained(course=COURSE, *, net=None, meter=None, rows=None, judged=None, weights=None):
    material, target = rows or numbers()
    net = net or made()
    return net, train(net, material, target, weights, course, judge=judged, meter=meter or Clock())


def training(course, net=None, n=200, meter=None):
    material, target = numbers(n)
    targets, meter = Targets(target, np.linspace(0.1, 2.0, n)), meter or Clock()
    shelf = Shelf(None, "", meter)
    return Training(net or made(), material, targets, course, team=Team(), meter=meter, vary=None, shelf=shelf)


def gradients(one, rows):
    held = {}
    one.walk.step = lambda _: held.update({name: p.grad.clone() for name, p in one.net.named_parameters()})
    loss = one.step(np.arange(rows), 1)
    return held, float(loss)


class Hungry(Line):
    """A net that memory cannot hold for more than so many rows at once."""

    holds = 8
    problem = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def forward(self, inputs):
        if len(inputs["x"]) > self.holds and self.training:
            raise self.problem
        return super().forward(inputs)


class HungryOnACpu(Hungry):
    problem = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("kind", [Hungry, HungryOnACpu])
def test_batches_that_memory_cannot_hold_are_halved_and_their_gradients_summed(kind):
    meter = Clock()
    net, how = trained(net=made(kind), meter=meter)
    usual, how_usual = trained()
    assert len(meter.notes) == 1
    assert "ran out of memory at 16 rows at once and goes on with 8" in meter.notes[0]
    np.testing.assert_allclose(how.losses, how_usual.losses, rtol=1e-4)
    for a, b in zip(net.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_row_that_memory_cannot_hold_is_out_of_memory():
    net = made(Hungry)
    net.holds = 0
    with pytest.raises(MemoryError, match="single row"):
        trained(net=net)


def test_other_errors_of_a_net_are_its_own():
    net = made(Hungry)
    net.problem = RuntimeError("shapes differ")
    with pytest.raises(RuntimeError, match="shapes differ"):
        trained(net=net)


@pytest.mark.parametrize("batches", [2, 5])
def test_accumulated_gradients_are_those_of_one_large_batch(batches):
    large = training(replace(COURSE, batch=160), n=4000)
    small = training(replace(COURSE, batch=160 // batches, accumulate=batches), n=4000)
    assert large.a_step == small.a_step == 160
    one, loss = gradients(large, 160)
    many, losses = gradients(small, 160)
    assert losses == pytest.approx(loss, rel=1e-5)
    for name, gradient in one.items():
        torch.testing.assert_close(many[name], gradient, rtol=1e-4, atol=1e-7)


def test_patience_ends_a_training_and_keeps_its_best_epoch():
    course = replace(COURSE, epochs=60, learning_rate=0.2, patience=3, schedule="constant")
    meter, judged = Clock(), judge()
    net, how = trained(course, meter=meter, judged=judged)
    assert not how.stopped
    assert len(meter.reports) == how.rounds + 3
    longer, _ = trained(replace(course, patience=0, epochs=len(meter.reports)), judged=judged)
    assert judged(net).loss < judged(longer).loss


def test_early_stopping_goes_by_the_values_that_are_known():
    ahead = Task(problem=Problem.FORECASTING, target="y", aim="rmse", horizon=2, series=("a",))
    target = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])
    one = Judge(ahead, Split({}, target, np.arange(3), np.array([1.0, 9.0, 2.0])), None, Scale(0.0, 2.0))
    assert one._loss(np.array([[3.0, 9.0], [9.0, 9.0], [3.0, 1.0]])) == pytest.approx((1 * 1 + 2 * 4) / 5)


def test_fixed_rounds_end_nothing_early():
    step = Step(lever="early-stopping", settings=Settings(patience=1))
    course = course_of("net", Settings(), Plan(rounds=9, parts=(step,)), 0)
    assert (course.epochs, course.patience) == (9, 0)


def test_the_running_mean_of_weights_is_what_ships():
    usual, _ = trained()
    mean, _ = trained(replace(COURSE, average="ema"))
    again, _ = trained(replace(COURSE, average="ema"))
    assert torch.equal(mean.first.weight, again.first.weight)
    assert not torch.equal(mean.first.weight, usual.first.weight)
    one = training(replace(COURSE, average="ema"))
    steps = 200 / one.a_step
    assert one.average.mean.multi_avg_fn is not None
    assert steps * MEMORY > 1


def test_the_running_mean_of_a_short_course_has_forgotten_its_beginning_statistics_of_batch_norm_too():
    net = made(Normed)
    average = Average(net, "ema", steps=32, epochs=4)
    with torch.no_grad():
        for step in range(128):
            net.last.weight.fill_(float(step < 64))
            net.norm.running_mean.fill_(float(step < 64))
            average.stepped()
    for held in (average.shown.last.weight, average.shown.norm.running_mean):
        assert 0 < held.max() < 1e-3
    long = Average(net, "ema", steps=32, epochs=400)
    with torch.no_grad():
        for step in range(128):
            net.last.weight.fill_(float(step < 64))
            long.stepped()
    assert long.shown.last.weight.detach().mean() == pytest.approx(math.exp(-64 / (MEMORY * 32)), rel=0.05)


class Normed(Line):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(16)

    def forward(self, inputs):
        return self.last(torch.relu(self.norm(self.first(inputs["x"]))))


def test_swa_is_the_mean_of_late_epochs_with_its_own_statistics_of_batch_norm():
    seen = []
    course = replace(COURSE, epochs=8, average="swa")
    one = training(course, net=made(Normed))
    ended = one.average.ended

    def watched(progress, batches):
        shown = ended(progress, batches)
        seen.append((progress, {n: p.clone() for n, p in one.net.named_parameters()}))
        return shown

    one.average.ended = watched
    one.run(None)
    late = [weights for progress, weights in seen if progress >= 0.75]
    assert 2 <= len(late) < 8
    for name, p in one.net.named_parameters():
        torch.testing.assert_close(p.data, torch.stack([w[name] for w in late]).mean(0), rtol=1e-4, atol=1e-6)
    material = numbers()[0]
    inside = one.net.first(torch.from_numpy(material.arrays["x"]))
    torch.testing.assert_close(one.net.norm.running_mean, inside.mean(0).detach(), rtol=0.0, atol=5e-3)


def test_smoothed_labels_and_dropout_reach_the_net():
    part = Step(lever="regularise", settings=Settings(label_smoothing=0.2, dropout=0.5, weight_decay=0.3))
    course = course_of("net", Settings(), Plan(parts=(part,)), 0)
    assert (course.label_smoothing, course.dropout, course.weight_decay) == (0.2, 0.5, 0.3)
    one = training(course)
    assert one.net.drop.p == 0.5
    logits, codes = torch.tensor([[9.0, -9.0]]), torch.tensor([0])
    assert float(one.loss(logits, codes, torch.ones(1))) == pytest.approx(0.1 * 18, rel=1e-3)
    assert [group["weight_decay"] for group in one.walk.optimiser.param_groups] == [0.3, 0.0]


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_learns(optimiser):
    net, _ = trained(replace(COURSE, optimiser=optimiser, clip=1.0))
    material, target = numbers(seed=1)
    assert (np.array(outputs(net, material)).argmax(-1) == target).mean() > 0.9


def test_products_in_bfloat16_leave_weights_in_float32():
    seen = set()
    net = made()
    net.first.register_forward_hook(lambda _, __, made: seen.add(made.dtype) if net.training else None)
    trained(replace(COURSE, precision="bf16"), net=net)
    assert seen == {torch.bfloat16}
    assert net.first.weight.dtype == torch.float32
    exact, _ = trained()
    material = numbers(seed=1)[0]
    agree = np.array(outputs(net, material)).argmax(-1) == np.array(outputs(exact, material)).argmax(-1)
    assert agree.mean() > 0.95


@pytest.mark.parametrize("off", [0.01, 300.0])
def test_a_rate_that_is_far_off_is_mended_by_the_finder(off):
    meter = Clock()
    course = replace(COURSE, learning_rate=0.02 * off, clip=0.0, epochs=4)
    net, _ = trained(replace(course, finder=True), meter=meter, net=made())
    material, target = numbers(seed=1)
    assert (np.array(outputs(net, material)).argmax(-1) == target).mean() > 0.9
    assert "found by a range test" in meter.notes[0]


class Slow(Line):
    """A net each step of which takes a second of a clock of its own."""

    now = 0.0

    def forward(self, inputs):
        self.now += self.training
        return super().forward(inputs)


class Deadline(Clock):
    def __init__(self, net, seconds):
        super().__init__()
        self.net, self.seconds = net, seconds

    def remaining(self):
        return self.seconds - self.net.now


@pytest.mark.parametrize("seconds", [20.0, 40.0, pytest.param(400.0, marks=pytest.mark.slow)])
def test_time_that_runs_out_shortens_the_course_and_the_rate_still_falls_to_nothing(monkeypatch, seconds):
    net = made(Slow)
    monkeypatch.setattr("steelyard.learners.nets._clock.time.monotonic", lambda: net.now)
    one = training(replace(COURSE, epochs=50), net=net, meter=Deadline(net, seconds))
    how = one.run(None)
    assert how.stopped
    assert how.rounds < 50
    assert net.now <= seconds
    assert one.walk.progress > 0.9
    assert "to keep its time" in one.meter.notes[0]


@pytest.mark.parametrize("epochs", [0.5, 2.5])
def test_a_course_cut_short_leaves_time_to_score(monkeypatch, epochs):
    net = made(Slow)
    monkeypatch.setattr("steelyard.learners.nets._clock.time.monotonic", lambda: net.now)
    one = training(replace(COURSE, epochs=50, batch=2), net=net, meter=Deadline(net, 0.0))
    an_epoch = -(-len(one.material) // one.a_step)
    seconds = epochs * an_epoch / 0.9
    one = training(replace(COURSE, epochs=50, batch=2), net=net, meter=Deadline(net, seconds))
    assert one.run(None).stopped
    assert seconds - net.now >= min(0.25 * an_epoch, 0.45 * seconds)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own, of what it will do in a later version
def test_a_compiled_net_is_trained_like_any_other_and_ships_uncompiled():
    compiled, how = trained(replace(COURSE, compiled=True))
    plain, usual = trained()
    np.testing.assert_allclose(how.losses, usual.losses, rtol=1e-4)
    assert type(compiled) is Line
    torch.testing.assert_close(compiled.first.weight, plain.first.weight, rtol=1e-3, atol=1e-4)


def test_without_a_compiler_compiling_is_refused(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(NoCompiler, match=r"install g\+\+"):
        trained(replace(COURSE, compiled=True))


def test_the_settings_that_all_nets_share_make_sense_and_every_honoured_lever_is_known():
    for setting in SETTINGS.values():
        assert setting.about.endswith(".")
    assert {"settings", "rounds", "mixed-precision", "data-parallel"} <= HONOURS
