"""A trial whose process is killed while a net is trained goes on where it was, and ends as one that was left alone."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from steelyard.contracts import Ending, Feed, Kind  # noqa: E402
from steelyard.learners.nets import NetLearner, PlainReading, _shelf  # noqa: E402
from steelyard.recipe import Plan, Settings, Train  # noqa: E402
from steelyard.registry import learners  # noqa: E402
from steelyard.search.codec import job_from_json, job_to_json  # noqa: E402
from steelyard.search.execute import execute  # noqa: E402
from steelyard.search.store import Store, outcome_from_json  # noqa: E402

PACE = 0.02


class Line(torch.nn.Module):
    """A net on numbers, each step of which takes some time."""

    pace = 0.0

    def __init__(self, width, outputs):
        super().__init__()
        self.first, self.last = torch.nn.Linear(width, 8), torch.nn.Linear(8, outputs)
        self.drop = torch.nn.Dropout(0.2)

    def forward(self, inputs):
        if self.training:
            time.sleep(self.pace)
        return self.last(self.drop(torch.relu(self.first(inputs["x"].nan_to_num().float()))))


class Numbered(NetLearner):
    name = "numbered"
    about = "A net on the numbers of a table, for these tests."

    def accepts(self, task, schema):
        return None

    def reading(self, train, work, settings):
        names = tuple(column.name for column in work.schema.of(Kind.NUMBER))
        return PlainReading((Feed("numbers", ("x",), names),))

    def net(self, reading, task, settings):
        return Line(len(reading.feeds[0].columns), task.width)


@pytest.fixture
def numbered(monkeypatch):
    learners().add("numbered", Numbered())
    monkeypatch.setattr(_shelf.Shelf, "due", property(lambda shelf: shelf.file is not None))
    yield Train(learner="numbered", plan=Plan(settings=Settings(epochs=8, batch=32)))
    learners()._made.pop("numbered", None)


def killed_in_the_middle(job, file):
    """Execute a job in a process of its own, and kill it once its checkpoint has been replaced a few times."""
    process = subprocess.Popen([sys.executable, __file__, json.dumps(job_to_json(job))])
    seen = set()
    while len(seen) < 3:
        assert process.poll() is None, "it was over before it could be killed"
        if file.exists():
            seen.add(file.stat().st_mtime_ns)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_killed_trial_goes_on_and_answers_as_one_that_was_left_alone(kept, job, numbered):
    store = Store(kept[0])
    file = store.places(numbered, refit=False) / "1" / "checkpoint.safetensors"
    killed_in_the_middle(job(numbered), file)
    again = outcome_from_json(execute(job(numbered)))
    assert again.ending is Ending.MEASURED
    assert "goes on after epoch" in again.notes[0]
    assert not file.parent.parent.parent.exists(), "what an ended trial kept to go on is left behind"
    answers = store.answers(again.recipe)
    for folder in store.bundles.iterdir():
        folder.rename(store.path / f"set-aside-{folder.name}")
    whole = outcome_from_json(execute(job(numbered)))
    assert not whole.notes
    assert whole.curve == again.curve
    assert whole.rounds == again.rounds
    np.testing.assert_array_equal(store.answers(whole.recipe).scores, answers.scores)


def test_the_loss_of_a_training_is_shown_and_kept_for_tensorboard(kept, job, numbered):
    shown = []
    outcome = outcome_from_json(execute(job(numbered), None, lambda step, loss: shown.append((step, loss))))
    assert [step for step, _ in shown][:8] == list(range(1, 9))
    kept_losses = (Store(kept[0]).place(outcome.recipe) / "part-0-loss.csv").read_text().splitlines()
    assert kept_losses[0] == "epoch,loss"
    assert len(kept_losses) == 9


if __name__ == "__main__":
    learners().add("numbered", Numbered())
    _shelf.Shelf.due = property(lambda shelf: shelf.file is not None)
    Line.pace = PACE
    execute(job_from_json(json.loads(sys.argv[1])))
