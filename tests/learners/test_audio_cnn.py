import subprocess
import sys

import numpy as np
import onnx
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.data.waves import encode
from steelyard.errors import DataUnfit
from steelyard.learners._audio_cnn import AudioCnn
from steelyard.learners._hearing import hearing_of
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.testing.pupils import Watch

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

SCHEMA = Schema((Column(name="call", kind=Kind.AUDIO),))
TASK = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("up", "down", "flat"))
SHORT = Settings(epochs=4, width=32, blocks=2)


def calls(n=60, *, seed=0, rate=8000):
    """Tones that glide up, down, or not at all, in noise: what only their course in time tells apart."""
    random = np.random.default_rng(seed)
    cells, target = np.empty(n, object), random.integers(0, 3, n)
    for i, one in enumerate(target):
        at = np.linspace(0, 1, int(rate * random.uniform(0.2, 0.5)))
        pitch = 600 * np.exp(random.uniform(-0.3, 0.3) + (0.8, -0.8, 0.0)[one] * (at - 0.5))
        tone = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
        cells[i] = encode(0.2 * tone + random.normal(scale=0.02, size=len(at)), rate)
    return Split({"call": cells}, target.astype(np.int64), np.arange(n))


def fit(train, settings=SHORT, valid=None, parts=(), **more):
    plan = Plan(settings=settings, parts=parts)
    return AudioCnn().fit(plan, train, valid, Work(task=TASK, schema=SCHEMA, **more), Watch())


@pytest.fixture(scope="module")
def trained():
    return fit(calls(), Settings(epochs=8, width=32, blocks=2))


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio") / "bundle"
    write(folder, trained.export(), About(TASK, SCHEMA, Train(learner="audio-cnn"), "0" * 16))
    return load(folder)


def test_what_moves_in_time_is_told_apart(trained):
    new = calls(45, seed=2)
    assert (trained.scores(new.columns).argmax(1) == new.target).mean() > 0.8


def test_a_recording_is_answered_the_same_alone_beside_longer_ones_and_in_the_bundle(trained, bundle):
    new = calls(12, seed=3)
    long = calls(1, seed=4).columns["call"][0]
    new.columns["call"][5] = encode(np.tile(np.frombuffer(long[44:], "<i2") / 2**15, 3), 8000)
    together = trained.scores(new.columns)
    np.testing.assert_allclose(bundle.answer(new.columns).scores, together, atol=1e-4)
    for row in range(12):
        alone = {"call": new.columns["call"][row : row + 1]}
        np.testing.assert_allclose(trained.scores(alone)[0], together[row], atol=1e-5)
        np.testing.assert_allclose(bundle.answer_row({"call": alone["call"][0]}).scores[0], together[row], atol=1e-4)


def test_loudness_and_rate_hardly_change_an_answer(trained):
    samples = np.frombuffer(calls(1, seed=5).columns["call"][0][44:], "<i2") / 2**15
    quiet = np.array([encode(samples, 8000), encode(0.3 * samples, 8000)], object)
    one, other = trained.scores({"call": quiet})
    np.testing.assert_allclose(one, other, atol=0.05)


@pytest.mark.parametrize(
    "cell", [encode(np.zeros(1), 8000), encode(np.zeros(9000), 44100), encode(np.ones(9000), 48000)]
)
def test_silence_and_a_single_sample_are_answered(bundle, cell):
    assert np.isfinite(bundle.answer_row({"call": cell}).scores).all()


def test_batch_normalisation_is_folded_and_any_length_goes_in(trained):
    graph = onnx.load_from_string(trained.export().graph).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    shape = next(i for i in graph.input if i.name == "spectrogram").type.tensor_type.shape.dim
    assert [d.dim_param for d in shape][::2] == ["n", "steps"]
    assert shape[1].dim_value == 26


def test_the_lever_and_the_setting_change_what_is_trained():
    train, new = calls(32), calls(6, seed=6)
    usual, none, gaps = (
        fit(train, Settings({**SHORT, **told}), parts=parts).scores(new.columns)
        for told, parts in (({}, ()), ({"vary": 0.0}, ()), ({}, (Step(lever="augment", settings=Settings(gaps=0.3)),)))
    )
    assert np.abs(usual - none).max() > 1e-4
    assert np.abs(usual - gaps).max() > 1e-4
    assert "augment" in AudioCnn.honours


def test_how_sounds_are_heard_is_found_in_their_headers():
    cells = [*calls(5).columns["call"], *calls(3, rate=44100).columns["call"]]
    assert hearing_of("call", cells).rate == 8000
    assert hearing_of("call", cells[3:]).rate == 16000
    assert hearing_of("call", cells).seconds == 1.0
    long = [encode(np.zeros(80_000), 4000)] * 2
    assert hearing_of("call", long).seconds == 25.0
    assert hearing_of("call", [encode(np.zeros(400_000), 4000)]).seconds == 30.0
    assert hearing_of("call", cells, rate=11025, seconds=2.0, bands=64).options()["rate"] == 11025
    with pytest.raises(DataUnfit, match=r"column 'call': there is no sound file 'lost.wav'"):
        hearing_of("call", ["lost.wav"])


def test_what_it_cannot_read_is_refused_by_a_sentence():
    number = Column(name="age", kind=Kind.NUMBER)
    assert "reads sounds, and this table has none" in AudioCnn().accepts(TASK, Schema((number,))).sentence
    assert "also has 'age'" in AudioCnn().accepts(TASK, Schema((*SCHEMA.columns, number))).sentence
    assert AudioCnn().accepts(TASK, SCHEMA) is None


def test_describing_it_loads_no_pytorch():
    code = (
        "import sys; from steelyard.learners._audio_cnn import AudioCnn; AudioCnn().space(None, None); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
