import math
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import onnx
import pytest
from PIL import Image

from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.errors import SteelyardError
from steelyard.learners._cnn import Cnn
from steelyard.learners._cnn_pictures import feed_of
from steelyard.recipe import Plan, Settings, Train
from steelyard.units import Seconds

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

SCHEMA = Schema((Column(name="photo", kind=Kind.IMAGE),))
SHORT = Plan(settings=Settings(epochs=4, width=8))


class Clock:
    """A meter whose time runs by calls, or not at all."""

    def __init__(self, seconds=math.inf, *, stop_after=math.inf, a_call=0.0):
        self.left, self.stop_after, self.a_call = seconds, stop_after, a_call
        self.reports, self.notes = [], []

    def report(self, step, value):
        self.reports.append((step, value))
        return len(self.reports) < self.stop_after

    def remaining(self):
        self.left -= self.a_call
        return Seconds(self.left)

    def note(self, sentence):
        self.notes.append(sentence)


def task(classes=("down", "up"), aim="accuracy"):
    problem = Problem.BINARY if len(classes) == 2 else Problem.MULTICLASS
    return Task(
        problem=problem, target="y", aim=aim, classes=classes, positive=classes[1] if len(classes) == 2 else None
    )


NUMBERS = Task(problem=Problem.REGRESSION, target="y", aim="rmse")


def pictures(n=96, *, seed=0, side=(12, 10), colour=False, classes=2):
    """Bright bars at one of several heights, in noise; the height is the class."""
    random = np.random.default_rng(seed)
    height, width = side
    cells, target = np.empty(n, object), random.integers(0, classes, n)
    for i, one in enumerate(target):
        picture = random.integers(0, 120, (height, width, 3) if colour else (height, width))
        top = round((one + 0.5) / classes * height) - 1
        picture[top : top + 2, :] += 120
        cells[i] = picture.astype(np.uint8)
    return Split({"photo": cells}, target.astype(np.int64), np.arange(n))


def fit(train, plan=SHORT, valid=None, asked=None, meter=None, **more):
    work = Work(task=asked or task(), schema=SCHEMA, **more)
    return Cnn().fit(plan, train, valid, work, meter or Clock())


def bundled(fitted, asked, folder):
    write(folder / "bundle", fitted.export(), About(asked, SCHEMA, Train(learner="cnn"), "0" * 16))
    return load(folder / "bundle")


@pytest.fixture(scope="module")
def trained():
    return fit(pictures(), Plan(settings=Settings(epochs=8, width=8)), pictures(40, seed=1))


def test_bars_are_told_apart(trained):
    new = pictures(60, seed=2)
    assert (trained.scores(new.columns).argmax(1) == new.target).mean() > 0.9
    assert trained.rounds == 8


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_bundle_says_what_pytorch_says(tmp_path, colour, classes):
    asked = task(tuple("abc"[:classes]))
    fitted = fit(pictures(colour=colour, classes=classes), asked=asked)
    new = pictures(20, seed=3, colour=colour, classes=classes)
    answer = bundled(fitted, asked, tmp_path).answer(new.columns)
    np.testing.assert_allclose(answer.scores, fitted.scores(new.columns), atol=1e-4)


def test_whose_own_light_is_its_scale_hardly_sees_another_lamp(tmp_path):
    train, new = pictures(), pictures(60, seed=2)
    dark = replace(
        new, columns={"photo": np.fromiter(((0.3 * p + 4).astype(np.uint8) for p in new.columns["photo"]), object)}
    )
    plan = Plan(settings=Settings(epochs=8, width=8, light="own"))
    fitted = fit(train, plan)
    np.testing.assert_allclose(fitted.scores(dark.columns), fitted.scores(new.columns), atol=0.1)
    assert np.abs(fitted.scores(dark.columns) - fitted.scores(new.columns)).mean() < 0.02
    usual = fit(train, Plan(settings=plan.settings.with_(light="all")))
    assert np.abs(usual.scores(dark.columns) - usual.scores(new.columns)).mean() > 0.1
    flat = {"photo": np.fromiter((np.full((12, 10), shade, np.uint8) for shade in (0, 90, 255)), object)}
    both = {"photo": np.concatenate([dark.columns["photo"], flat["photo"]])}
    np.testing.assert_allclose(bundled(fitted, task(), tmp_path).answer(both).scores, fitted.scores(both), atol=1e-4)
    told = fitted.scores(flat)
    np.testing.assert_allclose(told, told[[0, 0, 0]], atol=1e-4)


def test_numbers_are_predicted_in_their_own_unit(tmp_path):
    train, new = (replace(s, target=20_000 + 50.0 * s.target) for s in (pictures(), pictures(40, seed=4)))
    fitted = fit(train, Plan(settings=Settings(epochs=10, width=8)), new, NUMBERS)
    shipped = bundled(fitted, NUMBERS, tmp_path).answer(new.columns)
    np.testing.assert_allclose(shipped.scores, fitted.scores(new.columns), atol=1e-4 * 25)
    assert np.sqrt(np.mean((shipped.decided - new.target) ** 2)) < 20


def test_normalisation_is_folded_and_pixels_go_in_as_bytes(trained):
    graph = onnx.load_from_string(trained.export().graph).graph
    assert "BatchNormalization" not in {n.op_type for n in graph.node}
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_same_seed_gives_the_same_net_and_another_one_another():
    train, new = pictures(), pictures(10, seed=5)
    one, again, other = (fit(train, seed=seed).scores(new.columns) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_pytorch_is_left_as_it_was():
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit(pictures(), threads=2)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_rounds_are_epochs_and_can_be_fixed():
    assert fit(pictures(), replace(SHORT, rounds=2)).rounds == 2


def test_every_epoch_is_reported_in_the_aim():
    meter = Clock()
    fit(pictures(), valid=pictures(40, seed=1), meter=meter)
    assert [step for step, _ in meter.reports] == [1, 2, 3, 4]
    assert all(0 <= value <= 1 for _, value in meter.reports)
    errors = Clock()
    numbers = [replace(s, target=s.target.astype(float)) for s in (pictures(), pictures(40, seed=1))]
    fit(numbers[0], valid=numbers[1], asked=NUMBERS, meter=errors)
    assert all(value < 0 for _, value in errors.reports)


def test_it_stops_when_told_to():
    meter = Clock(stop_after=2)
    assert fit(pictures(), valid=pictures(40, seed=1), meter=meter).rounds == 2


def test_no_time_left_means_one_epoch_and_a_note():
    meter = Clock(seconds=0.0)
    assert fit(pictures(), valid=pictures(40, seed=1), meter=meter).rounds == 1
    assert meter.notes == ["cnn stops after 1 of 4 epochs to keep its time."]


def test_time_that_runs_out_shortens_the_training():
    meter = Clock(seconds=30.0, a_call=1.0)
    assert fit(pictures(), Plan(settings=Settings(epochs=40, width=8)), meter=meter).rounds < 40
    assert meter.notes


def test_weights_of_rows_count():
    train, new = pictures(), pictures(40, seed=6)
    up, down = (
        fit(replace(train, weights=np.where(train.target == one, 20.0, 0.05))).scores(new.columns)[:, 1].mean()
        for one in (1, 0)
    )
    assert up > down + 0.1


def test_size_and_colour_are_those_of_the_images():
    def options(cells, side=64, *, given=False):
        made = feed_of("photo", cells, side, given=given).options
        return made["height"], made["width"], made["channels"]

    grey, colour = pictures().columns["photo"], pictures(colour=True).columns["photo"]
    assert options(grey) == (12, 10, 1)
    assert options(colour) == (12, 10, 3)
    assert options([np.repeat(cell[:, :, None], 3, axis=2) for cell in grey]) == (12, 10, 1)
    assert options([Image.fromarray(cell) for cell in colour]) == (12, 10, 3)
    assert options(pictures(side=(100, 200)).columns["photo"]) == (32, 64, 1)
    assert options(grey, 24, given=True) == (24, 20, 1)
    assert options(pictures(side=(3, 3)).columns["photo"]) == (8, 8, 1)


def test_files_and_bytes_are_read_like_arrays(tmp_path):
    train = pictures(30)
    paths, encoded = train.columns["photo"].copy(), train.columns["photo"].copy()
    for i, cell in enumerate(train.columns["photo"]):
        Image.fromarray(cell).save(tmp_path / f"{i}.png")
        paths[i] = str(tmp_path / f"{i}.png")
        held = BytesIO()
        Image.fromarray(cell).save(held, "png")
        encoded[i] = held.getvalue()
    usual = fit(train).scores(train.columns)
    for cells in (paths, encoded):
        np.testing.assert_array_equal(fit(replace(train, columns={"photo": cells})).scores({"photo": cells}), usual)


def test_an_unreadable_image_is_named(tmp_path):
    train = pictures(30)
    (tmp_path / "broken.png").write_bytes(b"not an image")
    train.columns["photo"][3] = str(tmp_path / "broken.png")
    with pytest.raises(SteelyardError, match=r"'photo'.*broken\.png"):
        fit(train)


@pytest.mark.parametrize(
    "settings", [Settings(epoch=3), Settings(width=5), Settings(size=4), Settings(shift=0.9), Settings(mirror=True)]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(SteelyardError, match="cnn"):
        fit(pictures(), Plan(settings=settings))


@pytest.mark.parametrize(
    "settings", [{"blocks": 2}, {"weight_decay": 0.4}, {"size": 24}, {"light": "own"}, {"batch": 8}]
)
def test_settings_are_honoured(settings):
    train = pictures(150)
    usual = fit(train).scores(train.columns)
    assert (
        np.abs(fit(train, Plan(settings=SHORT.settings.with_(**settings))).scores(train.columns) - usual).max() > 1e-4
    )


def test_tables_without_images_or_with_more_are_refused_with_a_way_out():
    none = Schema((Column(name="age", kind=Kind.NUMBER),))
    more = Schema((*SCHEMA.columns, *none.columns, Column(name="row", kind=Kind.ID)))
    assert "columns.image" in Cnn().accepts(task(), none).sentence
    assert "also has 'age'" in Cnn().accepts(task(), more).sentence
    assert Cnn().accepts(task(), SCHEMA) is None


def test_without_pytorch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "steelyard[deep]" in Cnn().accepts(task(), SCHEMA).sentence


def test_naming_the_learner_does_not_load_pytorch():
    code = (
        "import sys; from steelyard.registry import learners; cnn = learners().get('cnn');"
        "from steelyard.contracts import *;"
        "schema = Schema((Column(name='photo', kind=Kind.IMAGE),));"
        "asked = Task(problem=Problem.BINARY, target='y', aim='accuracy', classes=('a', 'b'));"
        "cnn.accepts(asked, schema), cnn.space(asked, schema), cnn.prior(asked, schema, 9);"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
