"""Images varied a batch at a time: each its own way, within what was asked, and nothing where nothing was."""

import numpy as np
import pytest

from steelyard.contracts import Kind
from steelyard.errors import SteelyardError
from steelyard.learners.nets.augment import IMAGES, OFFERS, OPTIONS, options_of
from steelyard.recipe import Settings

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from steelyard.learners._image_augment import variation  # noqa: E402

N, SIDE = 64, 12


def batch(channels=3, side=(SIDE, SIDE), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (N, channels, *side), dtype=torch.uint8, generator=generator)


def varied(images, *, shift=0.0, seed=0, **asked):
    vary = variation(shift, options_of(Kind.IMAGE, Settings(asked)))
    return vary({"image": images}, torch.Generator().manual_seed(seed))


def ways(image):
    """Return the eight ways to lay a square."""
    turned = [torch.rot90(image, k, (1, 2)) for k in range(4)]
    return [*turned, *(one.flip(2) for one in turned)]


def test_nothing_asked_changes_nothing():
    images = batch()
    assert torch.equal(varied(images)["image"], images)
    assert options_of(Kind.IMAGE, Settings()) is None


def test_a_shift_moves_whole_pixels_and_repeats_edges():
    images = batch()
    out = varied(images, shift=0.2)["image"]
    assert out.dtype == torch.uint8
    seen = set()
    for before, after in zip(images, out, strict=True):
        index = torch.arange(SIDE)
        found = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(before[:, (index + dy).clamp(0, SIDE - 1)][:, :, (index + dx).clamp(0, SIDE - 1)], after)
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) > 15


def test_sideways_mirrors_about_half_and_nothing_else():
    images = batch()
    out = varied(images, flip="sideways")["image"]
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    assert torch.equal(same, ~mirrored)
    assert 15 < int(mirrored.sum()) < 49


def test_all_lays_a_square_in_each_of_eight_ways_and_an_oblong_in_four():
    images = batch()
    found = [
        next(k for k, way in enumerate(ways(before)) if torch.equal(way, after))
        for before, after in zip(images, varied(images, flip="all")["image"], strict=True)
    ]
    assert set(found) == set(range(8))
    assert varied(batch(side=(8, 12)), flip="all")["image"].shape == (N, 3, 8, 12)


def test_a_turn_keeps_the_middle_and_a_zoom_shows_a_part():
    ring = torch.zeros(N, 1, 21, 21, dtype=torch.uint8)
    ring[:, :, 10, 10] = 255
    turned = varied(ring, turn=45.0)["image"]
    assert (turned[:, 0, 10, 10] > 250).all()
    frame = torch.full((N, 1, 20, 20), 255, dtype=torch.uint8)
    frame[:, :, 2:-2, 2:-2] = 0
    shown = varied(frame, zoom=0.6)["image"].mean((1, 2, 3))
    assert (shown <= frame.float().mean((1, 2, 3)) + 1).all()
    assert shown.min() < 0.2 * frame.float().mean()


def test_a_cutout_is_a_square_of_the_mean_somewhere():
    images = batch()
    out = varied(images, cutout=0.5)["image"]
    changed = (out != images).any(1)
    sizes = changed.flatten(1).sum(1)
    assert sizes.max() <= 49
    assert sizes.min() >= 9
    row = int(sizes.argmax())
    hole = out[row][:, changed[row]]
    torch.testing.assert_close(hole, images[row].float().mean((1, 2))[:, None].expand_as(hole))


def test_light_stays_within_black_and_white_and_grey_stays_grey():
    for asked in ({"colour": 0.8}, {"random": 1.0}):
        out = varied(batch(), **asked)["image"]
        assert out.min() >= 0
        assert out.max() <= 255
        assert (out != batch()).flatten(1).any(1).float().mean() > 0.5
    grey = batch(1).expand(-1, 3, -1, -1)
    out = varied(grey, colour=0.8)["image"]
    torch.testing.assert_close(out[:, 0], out[:, 2])


def test_mixtures_name_partners_and_shares_and_leave_the_pixels_to_the_net():
    images = batch()
    out = varied(images, mixup=0.4)
    assert torch.equal(out["image"], images)
    assert sorted(out["partner"].tolist()) == list(range(N))
    assert 0 <= out["share"].min() < 0.2
    assert 0.8 < out["share"].max() <= 1


@pytest.mark.parametrize("offer", OFFERS[Kind.IMAGE], ids=lambda offer: str(dict(offer.settings)))
@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_lever_offers_is_a_batch_of_the_same_shape_decided_by_the_generator(offer, channels):
    images = batch(channels)
    state = torch.random.get_rng_state()
    one, again, other = (varied(images, seed=seed, shift=0.1, **offer.settings) for seed in (1, 1, 2))
    assert one["image"].shape == images.shape
    for name, tensor in one.items():
        assert torch.equal(tensor, again[name])
    assert not torch.equal(one["image"], other["image"])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(images, batch(channels))


def test_options_of_other_kinds_are_left_alone_and_unknown_ones_refused():
    assert set(options_of(Kind.IMAGE, Settings(flip="all"))) == set(IMAGES)
    with pytest.raises(SteelyardError, match="no setting 'flop'"):
        options_of(Kind.IMAGE, Settings(flop=1))
    with pytest.raises(SteelyardError, match="turn must be from 0 to 45"):
        options_of(Kind.IMAGE, Settings(turn=90.0))
    names = [name for options in OPTIONS.values() for name in options]
    assert len(names) == len(set(names))
    assert np.all([setting.about for options in OPTIONS.values() for setting in options.values()])
