from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from net_toys import Clock, Mean, Ragged, Tagger, Toy, made, numbers, tokens  # noqa: E402

from steelyard.learners.nets.course import Course  # noqa: E402
from steelyard.learners.nets.fitted import outputs  # noqa: E402
from steelyard.learners.nets.loop import Diverged, train  # noqa: E402
from steelyard.testing import check_learner  # noqa: E402

COURSE = Course(epochs=6, batch=32, learning_rate=0.02)


def trained(course=COURSE, *, net=None, rows=None, judge=None, meter=None, weights=None, vary=None):
    material, target = numbers() if rows is None else rows
    net = made() if net is None else net
    how = train(net, material, target, weights, course, judge=judge, meter=meter or Clock(), vary=vary)
    return net, how


def right(net, rows):
    material, target = rows
    return (np.array(outputs(net, material)).argmax(-1) == target).mean()


def test_a_net_on_numbers_learns():
    net, how = trained()
    assert right(net, numbers(seed=1)) > 0.9
    assert (how.rounds, how.stopped) == (6, False)
    assert how.losses[-1] < how.losses[0]


def test_rows_of_any_length_are_learned_and_share_batches_with_rows_of_like_length():
    rows = tokens(2000)
    net, _ = trained(replace(COURSE, epochs=3, batch=16), net=made(Mean), rows=rows)
    assert right(net, tokens(seed=1)) > 0.9
    spread = [np.ptp(rows[0].lengths[taken]) for taken in rows[0].taken[:100]]
    assert np.mean(spread) < 2


def test_every_token_has_a_class_of_its_own():
    random = np.random.default_rng(0)
    ids = [random.integers(1, 20, random.integers(1, 9)) for _ in range(150)]
    target = np.empty(len(ids), object)
    target[:] = [one % 3 for one in ids]
    net, _ = trained(replace(COURSE, epochs=20, learning_rate=0.1), net=made(Tagger), rows=(Ragged(ids), target))
    found = [row.argmax(-1)[: len(one)] for row, one in zip(outputs(net, Ragged(ids)), ids, strict=True)]
    assert all(np.array_equal(one, tags) for one, tags in zip(found, target, strict=True))


def test_unknown_numbers_count_for_nothing():
    material, _ = numbers()
    target = material.arrays["x"][:, :2].astype(float)
    holes = target.copy()
    holes[::2, 1] = np.nan
    net, how = trained(replace(COURSE, epochs=30), rows=(material, holes))
    assert np.isfinite(how.losses).all()
    assert np.mean((np.array(outputs(net, material)) - target) ** 2) < 0.1


def test_the_same_seed_gives_the_same_weights_and_pytorch_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, _ = trained(net=made(dropout=0.3))
    again, _ = trained(net=made(dropout=0.3))
    other, _ = trained(replace(COURSE, seed=1), net=made(dropout=0.3))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_loss_that_is_no_number_is_said_with_the_way_out():
    with pytest.raises(Diverged, match="lower `learning_rate`"):
        trained(replace(COURSE, learning_rate=1e30, optimiser="sgd"))


@pytest.mark.slow
def test_the_smallest_family_keeps_the_contract():
    check_learner(Toy())
