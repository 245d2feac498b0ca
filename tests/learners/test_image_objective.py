"""What a net of images makes small: mixtures by their shares, and attacks that stay within their reach and do harm."""

import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from steelyard.learners._image_objective import Attack, Objective, Withstood  # noqa: E402
from steelyard.learners._image_pixels import Pixels  # noqa: E402
from steelyard.learners._image_pretext import Pretext  # noqa: E402
from steelyard.learners.nets._losses import usual_loss  # noqa: E402


def test_a_mixture_counts_for_both_of_its_targets_by_their_shares():
    torch.manual_seed(0)
    outputs, target, weights = torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.tensor([1.0, 2.0, 0.5])
    partner, share = torch.tensor([1, 0, 2]), torch.tensor([0.25, 1.0, 0.5])
    objective = Objective(usual_loss(0.0))
    objective.heed({"partner": partner, "share": share}, outputs)
    own, other = (functional.cross_entropy(outputs, t, reduction="none") for t in (target, target[partner]))
    expected = ((share * own + (1 - share) * other) * weights).sum() / weights.sum()
    torch.testing.assert_close(objective(outputs, target, weights), expected)
    objective.heed({}, outputs)
    torch.testing.assert_close(objective(outputs, target, weights), (own * weights).sum() / weights.sum())


def test_of_mixed_numbers_the_target_is_mixed():
    outputs, target, weights = torch.tensor([[1.0], [4.0]]), torch.tensor([0.0, 10.0]), torch.ones(2)
    objective = Objective(usual_loss(0.0))
    objective.heed({"partner": torch.tensor([1, 0]), "share": torch.tensor([0.9, 0.5])}, outputs)
    torch.testing.assert_close(objective(outputs, target, weights), torch.tensor(0.5))  # targets 1 and 5


@pytest.fixture
def pixels():
    made = Pixels(1)
    made.standardise(torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8))
    return made


@pytest.mark.parametrize("steps", [1, 5])
def test_an_attack_stays_within_its_reach_and_within_black_and_white_and_raises_the_loss(pixels, steps):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (64, 1, 4, 4), dtype=torch.uint8)
    x, direction = pixels({"image": images}), torch.randn(16)

    def loss(found):
        return (found.flatten(1) @ direction).sum()

    attacked = Attack(4.0, steps)(x, pixels, loss)
    shades = attacked / pixels.scale + pixels.mean
    moved = (shades - images).abs()
    assert moved.max() <= 4.01
    assert shades.min() >= -0.01
    assert shades.max() <= 255.01
    assert (moved > 3.9).float().mean() > (0.5 if steps == 1 else 0.8)  # one step from a random start falls short
    assert loss(attacked) > loss(x) + 10
    assert not attacked.requires_grad


class Linear(nn.Module):
    """As much of a net as an attack needs."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels, self.head = pixels, nn.Linear(16, 2)
        self.norm = nn.BatchNorm1d(16)

    def answer(self, x):
        return self.head(self.norm(x.flatten(1)))


def test_half_of_the_loss_is_taken_under_attack_which_moves_no_statistics(pixels):
    torch.manual_seed(2)
    net = Linear(pixels).train()
    x = pixels({"image": torch.randint(0, 256, (32, 1, 4, 4), dtype=torch.uint8)})
    target, weights, plain = torch.randint(0, 2, (32,)), torch.ones(32), usual_loss(0.0)
    objective = Withstood(plain, Attack(8.0, 5), net)
    objective.heed({}, x)
    outputs = net.answer(x)
    batches = int(net.norm.num_batches_tracked)
    loss = objective(outputs, target, weights)
    assert loss > plain(outputs, target, weights) + 0.01
    assert int(net.norm.num_batches_tracked) == batches + 1
    assert net.training
    loss.backward()
    assert net.head.weight.grad.abs().sum() > 0


def test_the_pretext_wants_views_alike_spread_and_independent():
    loss = Pretext.loss
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(64, 256, generator=generator)
    other = torch.randn(64, 256, generator=generator)

    def of(first, second):
        return float(loss(None, torch.cat([first, second]), None, None))

    assert of(views, views) < of(views, other)
    assert of(views, views) < of(views * 0.1, views * 0.1)
    same = views[:, :1].expand(-1, 256)
    assert of(views, views) < of(same, same)
