"""Levers on the training of nets that were made for text."""

import pytest

from steelyard.contracts import Kind
from steelyard.learners._settings import SettingsRefused
from steelyard.learners.nets.text_learner import EPOCHS, HIDDEN, RADIUS
from steelyard.levers.training._adversarial import Adversarial
from steelyard.levers.training._self_supervised import SelfSupervised
from steelyard.recipe import Plan, Settings
from steelyard.testing import check_lever
from steelyard.testing.situations import of_nets


@pytest.mark.parametrize("lever", [Adversarial, SelfSupervised])
def test_the_lever_keeps_the_contract(lever):
    check_lever(lever(), among=[of_nets(Kind.TEXT)])


def test_what_a_learner_does_untold_is_what_the_lever_says_it_does():
    assert Adversarial.space["radius"].default == RADIUS
    assert {name: setting.default for name, setting in SelfSupervised.space.items()} == {
        "epochs": EPOCHS,
        "hidden": HIDDEN,
    }


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingsRefused, match="radius must be from"):
        Adversarial().apply(Plan(), Settings(radius=7))
    with pytest.raises(SettingsRefused, match="hidden must be from"):
        SelfSupervised().apply(Plan(), Settings(hidden=0.9))
