"""The front ends of sounds, against scipy and against the formulas written out."""

import zipfile

import numpy as np
import pytest
from scipy import fft, signal

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.bundle.front_ends.base import RowRefused
from steelyard.bundle.front_ends.mel import FLOOR, Scale, filters, resampled, spectrogram
from steelyard.contracts import Feed
from steelyard.data.waves import encode
from steelyard.errors import BundleRefused

OPTIONS = {"rate": 8000, "seconds": 2.0}


def front(name="spectrogram", **options):
    inputs = ("spectrogram", "frames") if name == "spectrogram" else ("sounds",)
    return FRONT_ENDS[name](Feed(name, inputs, ("call",), {**OPTIONS, **options}), {})


def column(*cells):
    made = np.empty(len(cells), object)
    made[:] = cells
    return {"call": made}


def tone(hertz, seconds=0.5, rate=8000, loud=0.5):
    return loud * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def noise(seconds=0.5, rate=8000, seed=0):
    return np.random.default_rng(seed).normal(scale=0.1, size=int(seconds * rate))


def mel_filters(rate, points, bands, low):
    """Triangles on the mel scale, one by one, point by point."""
    ends = [2595 * np.log10(1 + f / 700) for f in (low, rate / 2)]
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(*ends, bands + 2)]
    table = np.zeros((points // 2 + 1, bands))
    for band in range(bands):
        left, middle, right = corners[band : band + 3]
        for point in range(points // 2 + 1):
            hertz = point * rate / points
            if left < hertz <= middle:
                table[point, band] = (hertz - left) / (middle - left)
            elif middle < hertz < right:
                table[point, band] = (right - hertz) / (right - middle)
    return table


@pytest.mark.parametrize(("rate", "bands"), [(8000, 40), (16000, 64), (44100, 40)])
def test_filters_are_triangles_on_the_scale_of_htk(rate, bands):
    scale = Scale(rate=rate, bands=bands)
    expected = mel_filters(rate, scale.points, bands, 20.0)
    filled = expected.any(axis=0)
    np.testing.assert_allclose(filters(scale)[:, filled], expected[:, filled], atol=1e-9)
    assert filters(scale).any(axis=0).all()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_spectrogram_is_that_of_scipy(rate):
    scale, samples = Scale(rate=rate), noise(rate=rate)
    window = signal.get_window("hann", scale.samples)
    _, _, found = signal.stft(
        samples,
        window=window,
        nperseg=scale.samples,
        noverlap=scale.samples - scale.step,
        nfft=scale.points,
        boundary=None,
        padded=False,
    )
    power = (2 * np.abs(found)) ** 2
    expected = np.log(np.maximum(mel_filters(rate, scale.points, 40, 20.0).T @ power, FLOOR))
    np.testing.assert_allclose(spectrogram(samples, scale), expected, atol=2e-5)
    assert scale.frames(len(samples) / rate) == expected.shape[1]


def test_a_tone_is_loudest_in_its_band_and_loudness_adds():
    scale = Scale(rate=8000)
    one = spectrogram(tone(1000), scale)
    middles = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + f / 700) for f in (20, 4000)), 42) / 2595) - 1)[1:-1]
    assert (one.argmax(axis=0) == np.abs(middles - 1000).argmin()).all()
    np.testing.assert_allclose(spectrogram(tone(1000, loud=0.05), scale).max() - one.max(), -2 * np.log(10), atol=0.01)
    assert np.isclose(spectrogram(np.zeros(800), scale), np.log(FLOOR)).all()


@pytest.mark.parametrize(
    ("rate", "wanted"), [(48000, 8000), (44100, 16000), (22050, 8000), (8000, 16000), (11025, 44100)]
)
def test_resampling_keeps_what_fits_and_drops_what_does_not(rate, wanted):
    lower = min(rate, wanted)
    kept = resampled(tone(lower / 8, 0.2, rate), rate, wanted)
    expected = tone(lower / 8, 0.2, wanted)[: len(kept)]
    edge = wanted // 50
    assert abs(len(kept) - len(tone(1, 0.2, wanted))) <= 1
    np.testing.assert_allclose(kept[edge:-edge], expected[edge:-edge], atol=2e-4)
    if rate > wanted:
        dropped = resampled(tone(0.6 * wanted, 0.2, rate), rate, wanted)
        assert np.abs(dropped[edge:-edge]).max() < 1e-4


def test_resampling_agrees_with_scipy_and_odd_rates_do_not_hang():
    samples = noise(0.3, 48000)
    ours, theirs = resampled(samples, 48000, 16000), signal.resample_poly(samples, 1, 3, window=("kaiser", 12.0))
    below = [np.abs(np.fft.rfft(x))[: len(ours) // 2 * 8 // 10] for x in (ours, theirs[: len(ours)])]
    assert np.corrcoef(*below)[0, 1] > 0.999
    assert len(resampled(noise(0.3, 44101), 44101, 8000)) == pytest.approx(2400, abs=2)
    np.testing.assert_allclose(resampled(np.ones(4000), 44100, 16000)[200:-200], 1.0, atol=1e-9)


def test_rows_are_padded_with_silence_and_say_how_long_they_are():
    made = front()(column(encode(noise(0.5), 8000), encode(noise(0.25, seed=1), 8000)))
    assert made["spectrogram"].shape == (2, 40, 48)
    assert made["spectrogram"].dtype == np.float32
    assert made["frames"].tolist() == [48, 23]
    assert np.isclose(made["spectrogram"][1, :, 23:], np.log(FLOOR)).all()
    alone = front()(column(encode(noise(0.25, seed=1), 8000)))
    np.testing.assert_array_equal(made["spectrogram"][1, :, :23], alone["spectrogram"][0])


@pytest.mark.parametrize("name", ["spectrogram", "sound-features"])
def test_a_row_alone_is_heard_as_among_others_from_wherever_it_comes(tmp_path, name):
    contents = [encode(noise(0.3, seed=seed), 8000) for seed in range(3)]
    (tmp_path / "one.wav").write_bytes(contents[0])
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("a/two.wav", contents[1])
    cells = (str(tmp_path / "one.wav"), f"{tmp_path}/more.zip::a/two.wav", contents[2])
    ready = front(name)
    together, plain = ready(column(*cells)), ready(column(*contents))
    for input_, table in together.items():
        np.testing.assert_array_equal(table, plain[input_])
        for row, cell in enumerate(cells):
            np.testing.assert_array_equal(ready.row({"call": cell})[input_][0], table[row])


def test_the_same_sound_at_other_rates_and_in_stereo_is_heard_alike():
    heard = [
        front(rate=8000)(column(encode(tone(700, rate=rate), rate)))["spectrogram"] for rate in (8000, 16000, 44100)
    ]
    bands = heard[0][0].mean(axis=1) > -8
    for other in heard[1:]:
        frames = min(other.shape[2], heard[0].shape[2]) - 4
        np.testing.assert_allclose(other[0, bands, 4:frames], heard[0][0, bands, 4:frames], atol=0.02)


@pytest.mark.parametrize("name", ["spectrogram", "sound-features"])
@pytest.mark.parametrize("samples", [np.zeros(1), np.ones(1), np.zeros(4000), noise(0.02), noise(0.026)])
def test_the_shortest_and_the_most_silent_are_answered(name, samples):
    for table in front(name)(column(encode(samples, 8000))).values():
        assert np.isfinite(table).all()


@pytest.mark.parametrize("name", ["spectrogram", "sound-features"])
def test_of_an_hour_the_middle_is_heard(name):
    hour = np.concatenate([np.zeros(1800 * 4000 - 2000), tone(440, 1.0, 4000), np.zeros(1800 * 4000 - 2000)])
    long, short = (front(name, seconds=1.0, rate=4000)(column(encode(x, 4000))) for x in (hour, tone(440, 1.0, 4000)))
    for input_ in long:
        np.testing.assert_allclose(long[input_], short[input_], atol=1e-3)


@pytest.mark.parametrize("name", ["spectrogram", "sound-features"])
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "missing"),
        ("", "missing"),
        (b"", r"empty \(0 bytes\)"),
        (b"RIFFxxxx", "no wav file"),
        ("nowhere/lost.wav", "no sound file 'nowhere/lost.wav'"),
        ("nowhere.zip::lost.wav", "cannot be opened"),
        (7, "got int"),
    ],
)
def test_a_sound_that_cannot_be_read_is_refused_by_its_row(name, cell, said):
    ready = front(name)
    with pytest.raises(RowRefused, match=rf"row 1 \(from 0\) of column 'call': .*{said}"):
        ready(column(encode(noise(), 8000), cell))
    with pytest.raises(RowRefused, match=said):
        ready.row({"call": cell})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("spectrogram", {"rate": 100}, "rate must be 4000 to 192000"),
        ("spectrogram", {"rate": 8000.0}, "rate must be a number"),
        ("spectrogram", {"seconds": -1.0}, "seconds must be"),
        ("spectrogram", {"seconds": float("nan")}, "seconds must be"),
        ("spectrogram", {"bands": 0}, "bands must be"),
        ("spectrogram", {"low": 4000.0}, "half the rate"),
        ("spectrogram", {"pitch": 1}, "no option 'pitch'"),
        ("sound-features", {"cepstra": 99}, "cepstra must be"),
        ("sound-features", {"cepstra": 20, "bands": 16}, "no more cepstra than bands"),
        ("sound-features", {"parts": 0}, "parts must be"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options, said):
    with pytest.raises(BundleRefused, match=said):
        front(name, **options)


def test_features_are_cepstra_over_time():
    ready, samples = front("sound-features", cepstra=5, parts=4), noise(0.5)
    (found,) = ready(column(encode(samples, 8000)))["sounds"]
    table = spectrogram(np.round(samples * 2**15) / 2**15, Scale(rate=8000, bands=26)).astype(float)
    cepstra = fft.dct(table, axis=0, norm="ortho")[:5]
    assert len(found) == ready.width == 5 * 7
    np.testing.assert_allclose(found[:4], cepstra[1:].mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(found[4:9], cepstra.std(axis=1), atol=1e-4)
    np.testing.assert_allclose(found[9:14], np.diff(cepstra).std(axis=1), atol=1e-4)
    quarters = np.stack([part.mean(axis=1) for part in np.split(cepstra, 4, axis=1)], axis=1)
    np.testing.assert_allclose(found[14:34].reshape(5, 4), quarters - cepstra.mean(axis=1)[:, None], atol=1e-4)
    np.testing.assert_allclose(found[34], np.log(0.48), atol=1e-6)


def test_features_do_not_depend_on_how_loud_a_recording_is():
    ready, samples = front("sound-features"), noise(0.5)
    one, other = (ready(column(encode(loud * samples, 8000)))["sounds"] for loud in (1.0, 0.1))
    np.testing.assert_allclose(one, other, atol=0.05)
