import pytest

from steelyard.levers.training._mixed_precision import MixedPrecision
from steelyard.testing import check_lever
from steelyard.testing.situations import of_nets, situations

ALL = (MixedPrecision,)


@pytest.mark.parametrize("lever", ALL, ids=lambda kind: kind.name)
def test_every_lever_on_nets_keeps_the_contract(lever):
    check_lever(lever(), among=[of_nets()])


@pytest.mark.parametrize("lever", ALL, ids=lambda kind: kind.name)
def test_learners_that_do_not_honour_a_lever_are_left_alone(lever):
    for one in situations():
        if one.name != "nets":
            assert not [m for t in one.context.trials for m in lever().moves(t, one.context)]
