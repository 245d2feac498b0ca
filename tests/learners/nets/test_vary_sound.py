"""Training recordings heard differently: each change does what its paper says, and nothing else."""

import math

import numpy as np
import pytest

from steelyard.bundle.front_ends.mel import FLOOR
from steelyard.learners._settings import SettingsRefused
from steelyard.learners.nets.augment_sound import OFFERED, SOUNDS, USUAL, Strengths, strengths
from steelyard.recipe import Settings

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from steelyard.learners.nets import vary_sound as vary  # noqa: E402

SILENCE = math.log(FLOOR)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(*lengths, bands=20):
    """Log-mel cells of noise around -8, padded with silence."""
    random = np.random.default_rng(0)
    table = np.full((len(lengths), bands, max(lengths)), SILENCE, np.float32)
    for row, length in enumerate(lengths):
        table[row, :, :length] = random.normal(-8, 1, (bands, length))
    return torch.from_numpy(table), torch.tensor(lengths)


def changed(how, x, frames, seed=0):
    return vary.varying(how)({"spectrogram": x.clone(), "frames": frames.clone()}, seeded(seed)).values()


def test_nothing_asked_for_is_nothing_done():
    assert vary.varying(Strengths()) is None
    assert vary.varying(strengths(None, 0.0)) is None


@pytest.mark.parametrize("name", [*SOUNDS, "all"])
def test_each_change_is_drawn_from_the_generator_and_edits_nothing(name):
    how = USUAL if name == "all" else Strengths(**{name: getattr(USUAL, name)})
    x, frames = batch(40, 25, 7)
    before = x.clone()
    (one, n), (again, _), (other, _) = (changed(how, x, frames, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)
    assert torch.equal(x, before)
    assert torch.isfinite(one).all()
    assert (n > 0).all()
    assert one.shape[2] >= n.max()


def test_speed_draws_out_and_hurries_but_keeps_what_is_said():
    ramp = torch.arange(41.0)[None, None].expand(2, 3, 41).clone()
    made, frames = vary.hurried(ramp, torch.tensor([41, 21]), torch.tensor([2.0, 0.5]))
    assert frames.tolist() == [20, 42]
    np.testing.assert_allclose(made[0, 1, :20], np.linspace(0, 40, 20), atol=1e-4)
    np.testing.assert_allclose(made[1, 1, :42], np.linspace(0, 20, 42), atol=1e-4)
    assert vary.hurried(ramp, torch.tensor([2, 1]), torch.tensor([9.0, 9.0]))[1].tolist() == [4, 4]


def test_voices_move_bands_and_not_frames():
    bands = torch.zeros(2, 40, 5)
    bands[:, 19] = 1.0
    made = vary.stretched(bands, torch.tensor([1.0, 1.2]))
    assert torch.equal(made[0], bands[0])
    assert made[1, :, 0].argmax() == 16  # what stood at 19.5 is now looked up at 16.25 x 1.2
    assert torch.equal(made[1, :, 0], made[1, :, 4])


def test_a_tone_curve_is_the_same_in_every_frame():
    x, _ = batch(10)
    made = vary.coloured(x, torch.tensor([[1.0, 0.5, 0.0, -0.5]])) - x
    np.testing.assert_allclose(made, made[:, :, :1].expand_as(made), atol=1e-5)
    assert made[0, :, 0].abs().max() <= 2.0
    assert made[0, :, 0].std() > 0.3


def test_noise_only_adds_and_lies_ten_to_forty_decibels_below_the_peak():
    x = torch.full((400, 20, 30), SILENCE)
    x[:, 10, 15] = -2.0
    made = vary.noisy(x, 0.5, vary._Draw(400, seeded()))
    assert (made >= x - 1e-4).all()
    noised = (made - x).flatten(1).amax(1) > 1
    assert 0.35 < noised.float().mean() < 0.65
    levels = made[noised].exp().mean((1, 2)).log()
    assert levels.max() < -2.0 - 10 * vary.NEPERS + vary.SLOPE
    assert levels.min() > -2.0 - 40 * vary.NEPERS - vary.SLOPE


def test_gaps_are_as_wide_as_allowed_and_as_loud_as_the_recording():
    x, frames = batch(*[50] * 200)
    made = vary.gapped(x, frames, 0.2, vary._Draw(200, seeded()))
    blank = made != x
    mean = x.mean((1, 2))
    for row in range(200):
        assert torch.isclose(made[row][blank[row]], mean[row], atol=1e-4).all()
    whole_frames, whole_bands = blank.all(1).sum(1), blank.all(2).sum(1)
    assert whole_frames.max() <= 2 * (0.2 * 50 + 1)
    assert whole_bands.max() <= 2 * (0.2 * 20 + 1)
    assert 0.1 < blank.float().mean() < 0.45


def test_the_lever_overrides_the_usual_and_leaves_other_kinds_alone():
    assert strengths(None, 1.0) == USUAL
    assert strengths(None, 2.0).hiss == 1.0
    assert strengths(Settings(flip="sideways"), 1.0) == USUAL
    assert strengths(Settings(gaps=0.3, flip="sideways"), 1.0) == Strengths(gaps=0.3)
    with pytest.raises(SettingsRefused, match=r"gaps must be from 0 to 0.5"):
        strengths(Settings(gaps=7.0), 1.0)
    for settings, gain, slower, why in OFFERED:
        assert strengths(settings, 0.0).any
        assert gain[1] <= gain[0] <= gain[2]
        assert slower >= 1
        assert why
