"""What a terminal shows of a training in progress."""

import io

from rich.console import Console

from steelyard.recipe import Train
from steelyard.report.live import LiveView


def test_the_loss_of_a_training_stands_in_its_line_until_it_has_ended():
    screen = io.StringIO()
    view = LiveView(Console(file=screen, force_terminal=True, width=100))
    with view:
        view.losing(3, 1, 0.5)  # of a trial that nobody started
        assert "loss" not in screen.getvalue()
        view.started(3, Train(learner="cnn"))
        view.losing(3, 2, 0.12345)
        view.phase("searching")
        assert "loss 0.1235 in 2" in screen.getvalue()
