"""What a browser says is what the bundle says, row by row, with the server gone."""

import base64
import importlib.util
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steelyard.bundle import About, Joined, load, write
from steelyard.bundle.front_ends.pictures import Opener, pixels
from steelyard.contracts import Problem, Schema, Work
from steelyard.data.loading import load as load_data
from steelyard.export.browser.linking import library
from steelyard.learners.pretrained.checkpoints import find
from steelyard.recipe import Combine, Plan, Settings, Step, Train
from steelyard.registry import learners
from steelyard.spec import parse
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

pytestmark = pytest.mark.slow
DATA = Path(os.environ.get("STEELYARD_DATA", ""))
ROWS = 200
SCENES = (
    ("linear", "numbers", Problem.BINARY),
    ("lightgbm", "mixture", Problem.MULTICLASS),
    ("catboost", "numbers", Problem.REGRESSION),
    ("tfidf-linear", "text", Problem.MULTICLASS),
)
SETS = {
    "adult_income": ("adult_income/data.csv.gz", "lightgbm", {}, {"target": "income", "split": {"column": "split"}}),
    "sms_spam": ("sms_spam/data.csv.gz", "tfidf-linear", {}, {"target": "label", "split": {"by": "index"}}),
    "chnsenticorp": (
        "chnsenticorp_hotel_zh/data.csv.gz",
        "text-cnn",
        {"epochs": 2},
        {"target": "label", "columns": {"text": ["text"]}, "split": {"by": "index"}},
    ),
    "mnist_10k": (
        "mnist_10k/mnist_10k.npz",
        "cnn",
        {"epochs": 4},
        {"target": "label", "task": "classification", "split": {"by": "index"}},
    ),
}


@pytest.fixture(scope="session")
def rows_of(request):
    """Returns typed columns as rows of plain cells; arrays of levels as the bytes of a PNG."""

    def plain(cell):
        if isinstance(cell, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(cell).save(file, "PNG")
            return file.getvalue()
        if isinstance(cell, float) and np.isnan(cell):
            return None
        return cell.item() if isinstance(cell, np.generic) else cell

    def made(columns, asked):
        return [{name: plain(columns[name][row]) for name in columns} for row in asked]

    return made


@pytest.mark.parametrize(("learner", "kind", "problem"), SCENES)
def test_rows_are_answered_as_by_the_bundle(fitted, held, learner, kind, problem):
    bundle, rows = fitted(learner, kind, problem)
    held(bundle, [*rows, dict.fromkeys(rows[0])])


@pytest.mark.parametrize("name", SETS)
def test_real_rows_are_answered_as_by_the_bundle(name, held, rows_of, tmp_path):
    file, learner, settings, more = SETS[name]
    if not os.environ.get("STEELYARD_DATA") or not (DATA / file).exists():
        pytest.skip(f"STEELYARD_DATA holds no {file}")
    data = load_data(parse(json.dumps({"data": str(DATA / file), **more})))
    plan = Plan(settings=Settings(settings))
    train = data.rows.take(data.partition.development[:2000])
    work = Work(task=data.task, schema=data.schema, seed=0, threads=1)
    found = learners().get(learner).fit(plan, train, None, work, Watch())
    write(tmp_path / "bundle", found.export(), About(data.task, data.schema, Train(learner=learner, plan=plan), "0"))
    rows = rows_of(data.rows.columns, data.partition.test[:ROWS])
    assert len(rows) == ROWS
    held(tmp_path / "bundle", rows)


@pytest.mark.deep
def test_texts_go_through_an_encoder_as_in_the_bundle(held, rows_of, tmp_path):
    place = Path(__file__).parents[2] / "learners" / "pretrained" / "conftest.py"
    spec = importlib.util.spec_from_file_location("encoders", place)
    encoders = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(encoders)
    (tmp_path / "tiny").mkdir()
    mark = find(str(encoders._written(tmp_path / "tiny", "bert"))).mark
    told = scene("text", Problem.MULTICLASS)
    schema = Schema(tuple(replace(column, checkpoints=(mark,)) for column in told.schema.columns))
    plan = Plan(settings=Settings({"epochs": 1}), parts=(Step(lever="freeze", settings=Settings({"share": 1.0})),))
    work = Work(task=told.task, schema=schema, seed=7, threads=1)
    found = learners().get("transformer").fit(plan, told.train, None, work, Watch())
    write(tmp_path / "bundle", found.export(), About(told.task, schema, Train(learner="transformer", plan=plan), "0"))
    rows = [*rows_of(told.valid.columns, range(60)), {"note": "Café [SEP] 不错 LATE!? " * 30}, {"note": ""}]
    held(tmp_path / "bundle", rows)


def test_a_cascade_asks_its_second_member_about_the_rows_that_the_bundle_does(fitted, held, tmp_path):
    cheap, rows = fitted("linear", "numbers", Problem.BINARY)
    dear, _ = fitted("catboost", "numbers", Problem.BINARY)
    told = scene("numbers", Problem.BINARY)
    recipe = Combine(lever="cascade", parents=(Train(learner="linear"), Train(learner="catboost")))
    rule = {"rule": "cascade", "measure": "margin", "at": 0.8}
    write(tmp_path / "both", Joined(rule, (cheap, dear)), About(told.task, told.schema, recipe, "0" * 16))
    said = held(tmp_path / "both", rows)
    members = load(tmp_path / "both").answer_rows(rows).members.tolist()
    assert [each["member"] for each in said] == members
    assert set(members) == {0, 1}


def saved(image, form, **more):
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def pictures():
    """Return image files of every kind that a browser and Pillow both read."""
    random = np.random.default_rng(9)
    rough = Image.fromarray(random.integers(0, 256, (40, 61, 3)).astype(np.uint8))
    smooth = rough.resize((183, 120), Image.Resampling.BICUBIC)
    clear = smooth.copy()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    made = {"png": saved(smooth, "PNG"), "grey": saved(smooth.convert("L"), "PNG"), "rough": saved(rough, "PNG")}
    made |= {"palette": saved(smooth.convert("P"), "PNG"), "bmp": saved(smooth, "BMP"), "gif": saved(smooth, "GIF")}
    made |= {"clear": saved(clear, "PNG"), "webp": saved(smooth, "WEBP", lossless=True)}
    made |= {"jpeg": saved(smooth, "JPEG", quality=90), "line": saved(smooth.crop((0, 0, 1, 50)), "PNG")}
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        made[f"turned {turn}"] = saved(smooth, "JPEG", quality=95, exif=exif)
    return made


LEVELS = """async ([images, options]) => {
    const { levelsOf } = await import("./levels.js");
    const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return Promise.all(images.map(async (image) => Array.from(await levelsOf(bytes(image), options))));
}"""


@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_the_same_levels(tab, served, tmp_path, channels):
    (tmp_path / "levels.js").write_text(library("pictures.js", "levelsOf"), encoding="utf-8")
    (tmp_path / "index.html").write_text("<!doctype html><link rel=icon href='data:,'>", encoding="utf-8")
    files = pictures()
    options = {"height": 32, "width": 48, "channels": channels}
    with served(tmp_path) as address:
        page = tab(f"{address}/index.html")
        said = page.evaluate(LEVELS, [[base64.b64encode(content).decode() for content in files.values()], options])
    for (name, content), levels in zip(files.items(), said, strict=True):
        with Opener() as opener:
            expected = pixels(opener(content), 32, 48, channels).astype(int)
        assert np.abs(np.array(levels).reshape(expected.shape) - expected).max() <= 1, name


def test_a_large_photograph_is_averaged_to_about_what_pillow_decodes(tab, served, tmp_path):
    """Pillow has the decoder of JPEG shrink it, a browser averages blocks: levels are close, not the same."""
    (tmp_path / "levels.js").write_text(library("pictures.js", "levelsOf"), encoding="utf-8")
    (tmp_path / "index.html").write_text("<!doctype html><link rel=icon href='data:,'>", encoding="utf-8")
    coarse = Image.fromarray(np.random.default_rng(2).integers(0, 256, (30, 40, 3)).astype(np.uint8))
    content = saved(coarse.resize((1203, 901), Image.Resampling.BICUBIC), "JPEG", quality=90)
    options = {"height": 48, "width": 64, "channels": 3, "draft": True}
    with served(tmp_path) as address:
        page = tab(f"{address}/index.html")
        (levels,) = page.evaluate(LEVELS, [[base64.b64encode(content).decode()], options])
    with Opener(128) as opener:
        expected = pixels(opener(content), 48, 64, 3).astype(int)
    off = np.abs(np.array(levels).reshape(expected.shape) - expected)
    assert off.mean() < 0.5
    assert off.max() <= 4
