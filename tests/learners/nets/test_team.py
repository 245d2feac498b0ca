import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from net_toys import Clock, Line, made, numbers  # noqa: E402

from steelyard.learners.nets import _team  # noqa: E402
from steelyard.learners.nets.course import Course  # noqa: E402
from steelyard.learners.nets.fitted import outputs  # noqa: E402
from steelyard.learners.nets.loop import HelperLost, train  # noqa: E402

COURSE = Course(epochs=4, batch=32, learning_rate=0.02)


def trained(course, *, rows=None, meter=None, kind=Line):
    material, target = rows or numbers(203)
    net = made(kind)
    return net, train(net, material, target, None, course, judge=None, meter=meter or Clock())


slow = pytest.mark.slow


@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=slow), 3])
@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=slow)])
def test_several_processes_have_the_loss_curve_and_the_weights_of_one(processes, accumulate):
    course = replace(COURSE, accumulate=accumulate)
    one, alone = trained(course)
    many, together = trained(replace(course, processes=processes))
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-4)
    for a, b in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@slow
def test_steps_of_fewer_rows_than_processes_are_taken_too():
    rows = numbers(2)
    _, alone = trained(replace(COURSE, batch=2), rows=rows)
    _, together = trained(replace(COURSE, batch=2, processes=3), rows=rows)
    np.testing.assert_allclose(together.losses, alone.losses, rtol=1e-4)


@pytest.mark.parametrize("sync_every", [5, pytest.param(2, marks=slow), pytest.param(1000, marks=slow)])
def test_weights_averaged_every_few_steps_learn_too(sync_every):
    net, how = trained(replace(COURSE, processes=2, sync_every=sync_every))
    material, target = numbers(seed=1)
    assert how.losses[-1] < how.losses[0]
    assert (np.array(outputs(net, material)).argmax(-1) == target).mean() > 0.9


class Fatal(Line):
    """A net that ends the second process in which it is trained, in its third step."""

    end = staticmethod(lambda: os.kill(os.getpid(), signal.SIGKILL))

    def __init__(self):
        super().__init__()
        self.home, self.steps = os.getpid(), 0

    def forward(self, inputs):
        self.steps += self.training
        if os.getpid() != self.home and self.steps == 3:
            self.end()
        return super().forward(inputs)


class Raising(Fatal):
    end = staticmethod(lambda: 1 / 0)


@pytest.mark.parametrize(("kind", "how"), [(Fatal, "SIGKILL"), pytest.param(Raising, "exit code 1", marks=slow)])
@pytest.mark.parametrize("sync_every", [1, pytest.param(2, marks=slow)])
def test_a_process_that_dies_ends_the_training_with_a_sentence(kind, how, sync_every):
    with pytest.raises(HelperLost, match=rf"process 2 of 2 ended \({how}\).*in one process"):
        trained(replace(COURSE, processes=2, sync_every=sync_every), kind=kind)


class Wrong(Line):
    def forward(self, inputs):
        raise RuntimeError("shapes differ")


def test_an_error_of_the_net_is_its_own():
    with pytest.raises(RuntimeError, match="shapes differ"):
        trained(replace(COURSE, processes=2), kind=Wrong)


class Wide(Line):
    def __init__(self):
        super().__init__(width=2000)


class Stopped(Fatal):
    end = staticmethod(lambda: os.kill(os.getpid(), signal.SIGSTOP))


def test_a_process_that_hangs_ends_the_training_too(monkeypatch):
    monkeypatch.setattr(_team, "PATIENCE", _team.timedelta(seconds=1))
    monkeypatch.setattr(_team, "DYING", 0.1)
    with pytest.raises(HelperLost, match="does not answer"):
        trained(replace(COURSE, processes=2), kind=Stopped)


def children():
    """Return the processes that this one has started and not yet waited for; other tests may have some."""
    return {pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


def test_no_process_is_left_behind():
    before = children()
    trained(replace(COURSE, processes=3))
    assert children() <= before


@slow
def test_the_deadline_ends_all_of_them():
    meter = Clock(seconds=0.5, a_call=0.01)
    _, how = trained(replace(COURSE, epochs=60, processes=2), meter=meter)
    assert how.stopped
    assert how.rounds < 60
    assert "to keep its time" in meter.notes[0]


def test_threads_that_ran_before_the_fork_stop_no_helper():
    wide = numbers(256, width=2000)
    before = torch.get_num_threads()
    torch.set_num_threads(4)  # a helper has two, for products that are large enough to be shared by them
    try:
        torch.randn(600, 600) @ torch.randn(600, 600)
        _, how = trained(replace(COURSE, epochs=1, batch=128, processes=2), rows=wide, kind=Wide)
        assert how.rounds == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_helpers_end_with_the_process_that_leads():
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from dataclasses import replace\n"
        "from test_team import COURSE, Line, trained\n"
        "class Telling(Line):\n"
        "    def forward(self, inputs):\n"
        "        if not hasattr(self, 'told'):\n"
        "            self.told = True; os.write(1, f'{os.getpid()}\\n'.encode())\n"
        "        return super().forward(inputs)\n"
        "trained(replace(COURSE, epochs=100000, processes=2), kind=Telling)\n"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as leader:
        told = {int(leader.stdout.readline()) for _ in range(2)}
        leader.kill()
        leader.stdout.read()  # ends once nobody holds the other end
    assert leader.pid in told
    assert len(told) == 2
