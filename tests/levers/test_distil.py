from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from steelyard.contracts import Answer, Column, Ending, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._settings import SettingsRefused
from steelyard.levers.shrinking._distil import Distil
from steelyard.levers.shrinking.distilling.lessons import lesson_of, unrolled
from steelyard.levers.shrinking.distilling.munge import munge
from steelyard.levers.shrinking.distilling.students import HEAVY
from steelyard.recipe import Combine, Plan, Settings, Shrink, Step, Train
from steelyard.testing import check_lever
from steelyard.testing.hands import Hand
from steelyard.testing.pupils import Watch
from steelyard.testing.situations import led_by_an_ensemble
from steelyard.units import Estimate, Seconds


@pytest.fixture
def tumours():
    cells = load_breast_cancer()
    columns = {name: cells.data[:, i] for i, name in enumerate(cells.feature_names)}
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in columns))
    task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("bad", "good"), positive="good")
    rows = Split(columns, cells.target.astype(np.int64), np.arange(len(cells.target)))
    return rows, Work(task=task, schema=schema, seed=1)


def doubting(columns):
    """A teacher that is sure of small radii, and knows nothing of the others."""
    small = columns["mean radius"] < 13
    chance = np.where(small, 0.999, 0.5)
    scores = np.column_stack([1 - chance, chance])
    return Answer(scores, scores.argmax(axis=1))


# ------------------------------------------------------------------------------------------------ lessons


def test_it_keeps_its_contract():
    check_lever(Distil())


def test_a_row_counts_for_each_class_by_what_the_teacher_gives_it(tumours, meter):
    rows, work = tumours
    rows = replace(rows, weights=np.linspace(1, 2, len(rows)))
    lesson = unrolled(Distil().teach(rows, doubting, Settings(synthetic=0.0), work, meter))
    sure = rows.columns["mean radius"] < 13
    assert len(lesson) == sure.sum() + 2 * (~sure).sum(), "a class of one in a thousand has a row of its own"
    for number in (np.flatnonzero(sure)[0], np.flatnonzero(~sure)[0]):
        mine = lesson.rows == rows.rows[number]
        assert lesson.weights[mine].sum() == pytest.approx(rows.weights[number])
    assert set(lesson.target[np.isin(lesson.rows, rows.rows[sure])]) == {1}


def test_the_truth_is_not_looked_at(tumours, meter):
    rows, work = tumours
    turned = replace(rows, target=1 - rows.target)
    one, other = (unrolled(Distil().teach(r, doubting, Settings(), work, meter)) for r in (rows, turned))
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_the_teacher_also_says_what_rows_without_a_target_are(tumours, meter):
    rows, work = tumours
    rows, strangers = (
        replace(rows, weights=np.linspace(1, 2, len(rows))).take(np.arange(300)),
        rows.take(np.arange(300, 500)),
    )
    work = replace(work, unlabelled=replace(strangers, target=np.full(200, -1)))
    lesson = Distil().teach(rows, doubting, Settings(synthetic=0.5, trust=0.5), work, meter)
    assert len(lesson) == 300 + 150 + 200
    assert "what 200 rows without a target are" in meter.notes[0]
    there = np.isin(lesson.rows, strangers.rows)
    assert there.sum() == 200
    np.testing.assert_array_equal(lesson.target[there], doubting(strangers.columns).decided)
    np.testing.assert_array_equal(lesson.lesson.trust[there], 1.0)  # nobody else says what they are
    assert lesson.weights[there].mean() == pytest.approx(rows.weights.mean())
    fewer = {name: cells for name, cells in rows.columns.items() if name != "mean radius"}
    work = replace(work, unlabelled=replace(strangers, columns=fewer))  # not what the student reads
    assert len(Distil().teach(rows, doubting, Settings(synthetic=0.0), work, meter)) == 300


def test_values_are_the_teachers(meter):
    cells = load_diabetes()
    columns = {name: cells.data[:, i] for i, name in enumerate(cells.feature_names)}
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    work = Work(task=task, schema=Schema(tuple(Column(name=n, kind=Kind.NUMBER) for n in columns)))
    rows = Split(columns, cells.target, np.arange(len(cells.target)))

    def teacher(columns):
        value = 100 + columns["bmi"]
        return Answer(value.reshape(-1, 1), value)

    lesson = Distil().teach(rows, teacher, Settings(synthetic=1.5), work, meter)
    assert len(lesson) == len(rows) + round(1.5 * len(rows))
    np.testing.assert_array_equal(lesson.target, 100 + lesson.columns["bmi"])
    assert lesson.weights is None


def test_when_half_the_time_is_gone_the_teacher_is_asked_no_more(tumours, meter):
    rows, work = tumours
    clock = iter([100.0] + [40.0] * 99)
    meter.remaining = lambda: Seconds(next(clock))
    lesson = Distil().teach(rows.take(np.arange(9_000) % len(rows)), doubting, Settings(synthetic=1.0), work, meter)
    assert len(lesson) == 8_192
    assert len(np.unique(lesson.rows)) > 500, "the rows asked about are the first ones, not a sample"
    assert "8,192 of 18,000 rows" in meter.notes[0]


def test_settings_are_checked(tumours, meter):
    rows, work = tumours
    with pytest.raises(SettingsRefused, match="learner"):
        Distil().student(Settings(learner="oracle"))
    with pytest.raises(SettingsRefused, match="synthetic"):
        Distil().teach(rows, doubting, Settings(synthetic=-1.0), work, meter)


# ------------------------------------------------------------------------------------------ synthetic rows


def test_made_rows_lie_where_real_ones_do_and_are_none_of_them(tumours, random):
    rows, work = tumours
    made = munge(rows, 2 * len(rows), work.schema, random)
    real, drawn = (np.column_stack(list(split.columns.values())) for split in (rows, made))
    assert drawn.shape == (2 * len(real), 30)
    assert (drawn.min(axis=0) >= real.min(axis=0)).all()
    assert (drawn.max(axis=0) <= real.max(axis=0)).all()
    apart = np.abs(np.corrcoef(real.T) - np.corrcoef(drawn.T))
    shuffled = np.column_stack([random.permutation(column) for column in real.T])
    assert apart.mean() < 0.2 * np.abs(np.corrcoef(real.T) - np.corrcoef(shuffled.T)).mean()
    assert not (drawn[:, None, :5] == real[None, :, :5]).all(axis=2).all(axis=1).any()


def test_made_cells_keep_their_kind(random):
    n = 300
    columns = {
        "count": random.integers(0, 9, n).astype(float),
        "gap": np.where(random.random(n) < 0.3, np.nan, random.normal(size=n)),
        "void": np.full(n, np.nan),
        "colour": random.choice(np.array(["red", "green", None], object), n),
        "note": random.choice(np.array(["good stuff", ""], object), n),
    }
    kinds = (Kind.NUMBER, Kind.NUMBER, Kind.NUMBER, Kind.CATEGORY, Kind.TEXT)
    schema = Schema(tuple(Column(name=name, kind=kind) for name, kind in zip(columns, kinds, strict=True)))
    rows = Split(columns, np.zeros(n), np.arange(n), np.linspace(1, 2, n))
    made = munge(rows, 2 * n, schema, random)
    assert set(made.columns["count"]) <= set(range(9))
    assert 0.2 < np.isnan(made.columns["gap"]).mean() < 0.4
    assert np.isnan(made.columns["void"]).all()
    for name in ("colour", "note"):
        assert made.columns[name].dtype == object
        assert set(made.columns[name]) == set(columns[name])
    np.testing.assert_array_equal(made.weights, rows.weights[made.rows])
    assert np.bincount(made.rows).tolist() == [2] * n, "some row was started from more often than another"


def test_one_row_makes_no_others(tumours, random):
    rows, work = tumours
    assert len(munge(rows.take(np.arange(1)), 5, work.schema, random)) == 0


# ------------------------------------------------------------------------------------------------- moves


def heavy(trial, size=HEAVY):
    exact = Estimate.exact(1.0)
    from steelyard.contracts import Weight

    figures = dict.fromkeys(("p50", "p95", "p99", "throughput", "memory_bytes"), exact)
    return replace(trial, weight=Weight(batch=1, size_bytes=size, threads=1, calls=9, **figures))


@pytest.fixture
def moves(trial, context):
    """What distil proposes among trials of which the last is the candidate; `lightgbm` and `linear` were trained."""

    def make(recipe, aim=0.75, size=1000, others=(("lightgbm", 0.7), ("linear", 0.71)), unlabelled=0, **more):
        before = [trial(number, name, value) for number, (name, value) in enumerate(others)]
        last = heavy(trial(9, aim=aim, recipe=recipe, **more), size)
        made = replace(context(*before, last), learner=lambda name: context().learner("trees"), unlabelled=unlabelled)
        return list(Distil().moves(last, made))

    return make


def pupils(found):
    """Name the students of moves."""
    asked = [move.recipe.settings for move in found]
    assert all(Distil().student(settings) for settings in asked)
    return [f"{s['learner']}, {s['rounds']} rounds" if "rounds" in s else str(s["learner"]) for s in asked]


PAIR = (Train(learner="lightgbm"), Train(learner="linear"))
BLEND = Combine(lever="ensemble", parents=PAIR)
BAG = Train(learner="trees", plan=Plan(parts=(Step(lever="bag", settings=Settings(folds=5)),)))


@pytest.mark.parametrize("recipe", [BLEND, BAG])
def test_what_is_several_in_one_is_distilled_into_each_student(moves, recipe):
    found = moves(recipe)
    assert pupils(found) == ["lightgbm, 60 rounds", "lightgbm", "linear"]
    assert all(m.recipe.parent == recipe for m in found)


def test_one_model_is_distilled_if_it_is_large(moves):
    single = Train(learner="trees")
    assert not moves(single)
    assert moves(single, size=HEAVY)


def test_a_rule_on_one_model_is_not_distilled(moves):
    assert not moves(Combine(lever="threshold", parents=(BLEND,)))


def test_learners_that_were_not_tried_or_fell_far_behind_are_no_students(moves):
    assert pupils(moves(BLEND, others=[("linear", 0.7)])) == ["linear"]
    assert pupils(moves(BLEND, others=[("linear", 0.5), ("lightgbm", 0.7)])) == ["lightgbm, 60 rounds", "lightgbm"]


def test_where_most_rows_have_no_target_one_that_fell_far_behind_may_be_taught(moves, context):
    others, rows = [("linear", 0.5), ("lightgbm", 0.7)], context().rows
    boosted = ["lightgbm, 60 rounds", "lightgbm"]
    assert pupils(moves(BLEND, others=others, unlabelled=rows - 1)) == boosted
    assert pupils(moves(BLEND, others=others, unlabelled=rows)) == [*boosted, "linear"]
    assert pupils(moves(BLEND, others=others[:1], unlabelled=rows)) == ["linear"]


def test_what_was_not_measured_is_not_distilled(moves):
    assert not moves(BLEND, ending=Ending.FAILED)


def test_more_teachers_and_rows_cost_more():
    one = led_by_an_ensemble(Problem.BINARY)
    (_, few), *_ = Hand(lever=Distil(), situation=one).moves()
    (_, many), *_ = Hand(lever=Distil(), situation=one).moves(replace(one.context, rows=2 * one.context.rows))
    assert many.prior.seconds.value > 1.3 * few.prior.seconds.value


# ------------------------------------------------------------------------------------- texts, pictures, encoders


def test_made_texts_are_words_of_real_ones_and_not_copies(random):
    texts = np.array(["my card has not come yet and I wait for it", "one", "", "the fee is wrong"], object)
    schema = Schema((Column(name="note", kind=Kind.TEXT),))
    rows = Split({"note": texts}, np.arange(4), np.arange(4))
    made = munge(rows, 400, schema, random)
    assert np.bincount(made.rows).tolist() == [100] * 4
    for cell, number in zip(made.columns["note"], made.rows, strict=True):
        words, own = cell.split(), str(texts[number]).split()
        assert set(words) <= set(own)
        assert len(words) <= len(own)
        assert bool(words) == bool(own), "a text lost all of its words"
    first = made.columns["note"][made.rows == 0]
    assert len(set(first)) > 50, "texts are copied"
    places = {word: place for place, word in enumerate(texts[0].split())}
    assert any(np.any(np.diff([places[word] for word in cell.split()]) < 0) for cell in first), "no word is moved"
    assert {c.split()[0] for c in first} > {"my"}, "no text begins elsewhere"


def test_where_words_are_not_spaced_characters_are_lost_and_moved(random):
    texts = np.array(["今天天气很好我们去公园"], object)
    schema = Schema((Column(name="note", kind=Kind.TEXT, spaced=False),))
    rows = Split({"note": np.repeat(texts, 2)}, np.zeros(2), np.arange(2))
    made = munge(rows, 60, schema, random).columns["note"]
    assert len(set(made)) > 30
    assert all(set(cell) <= set(texts[0]) and " " not in cell for cell in made)


def test_made_pictures_are_crops_of_real_ones_at_their_own_size(random):
    shades = np.tile(np.arange(12, dtype=np.uint8) * 20, (8, 1))
    colour = np.stack([shades, shades // 2, shades // 4], axis=2)
    cells = np.empty(2, object)
    cells[:] = [shades, colour]
    schema = Schema((Column(name="seen", kind=Kind.IMAGE),))
    made = munge(Split({"seen": cells}, np.array([0, 1]), np.arange(2)), 40, schema, random)
    turned = 0
    for cell, number in zip(made.columns["seen"], made.rows, strict=True):
        assert cell.dtype == np.uint8
        assert cell.shape == cells[number].shape
        line = (cell if cell.ndim == 2 else cell[..., 0]).astype(int).mean(axis=0)
        steps = np.sign(np.diff(line))
        assert abs(steps.sum()) >= len(steps) - 2, "a crop of shades that rise falls nowhere"
        turned += steps.sum() < 0
    assert 8 < turned < 32


def test_rounds_make_a_quick_student_of_boosted_trees_and_of_nothing_else():
    quick = Distil().student(Settings(learner="lightgbm", rounds=40))
    assert (quick.learner, quick.plan.rounds) == ("lightgbm", 40)
    assert Distil().student(Settings(learner="lightgbm")).plan.rounds is None
    with pytest.raises(SettingsRefused, match="linear has no rounds of boosting; leave rounds unset"):
        Distil().student(Settings(learner="linear", rounds=40))


def test_a_temperature_is_for_students_that_take_it(tumours, meter):
    rows, work = tumours
    with pytest.raises(SettingsRefused, match="takes no temperature"):
        Distil().student(Settings(learner="lightgbm", temperature=2.0))
    with pytest.raises(SettingsRefused, match="takes no temperature"):
        Distil().teach(rows, doubting, Settings(learner="linear", temperature=2.0), work, meter)
    lesson = Distil().teach(rows, doubting, Settings(learner="text-cnn", temperature=2.0), work, meter).lesson
    assert lesson.temperature == 2.0


def test_of_real_rows_a_share_is_the_truths_of_made_ones_none(tumours, meter):
    rows, work = tumours
    lesson = Distil().teach(rows, doubting, Settings(synthetic=1.0, trust=0.7), work, meter)
    real = np.arange(len(lesson)) < len(rows)
    np.testing.assert_array_equal(lesson.lesson.trust, np.where(real, 0.7, 1.0))
    np.testing.assert_array_equal(lesson.target[real], rows.target)
    np.testing.assert_array_equal(lesson.target[~real], lesson.lesson.scores[~real].argmax(axis=1))
    flat = unrolled(lesson)
    first = int(np.flatnonzero((rows.columns["mean radius"] >= 13) & (rows.target == 0))[0])
    own = flat.weights[(flat.rows == rows.rows[first])][:2]
    assert own.tolist() == pytest.approx([0.65, 0.35])


@pytest.fixture
def led(trial, context):
    """What distil proposes for a large model on one column."""

    def make(learner, kind, others=(), plan=None, size=HEAVY):
        schema = Schema((Column(name="seen", kind=kind),))
        before = [trial(number, name, value) for number, (name, value) in enumerate(others)]
        last = heavy(trial(9, aim=0.75, recipe=Train(learner=learner, plan=plan or Plan())), size)

        class Wide:
            def prior(self, task, schema, rows):
                return context().learner("trees").prior(task, schema, rows)

            def burden(self, settings):
                return settings.number("width", 32)

        made = replace(context(*before, last), learner=lambda name: Wide(), schema=schema)
        return [m.recipe.settings for m in Distil().moves(last, made)]

    return make


def test_a_text_model_is_distilled_into_what_reads_text(led):
    others = [("tfidf-linear", 0.72), ("text-cnn", 0.73), ("lightgbm", 0.72)]
    found = led("rnn", Kind.TEXT, others)
    assert [s["learner"] for s in found] == ["lightgbm", "lightgbm", "tfidf-linear", "text-cnn"]
    assert [s["temperature"] for s in found] == [1.0, 1.0, 1.0, 2.0]
    assert [s["learner"] for s in led("resnet", Kind.IMAGE, [*others, ("cnn", 0.73)])] == ["cnn"]


def test_a_student_of_its_own_learner_is_a_lighter_one(led):
    others = [("cnn", 0.73)]
    assert [s["learner"] for s in led("cnn", Kind.IMAGE, others, Plan(settings=Settings(width=64)))] == ["cnn"]
    assert led("cnn", Kind.IMAGE, others, Plan(settings=Settings(width=8))) == []


def test_a_large_encoder_is_proposed_with_half_of_its_layers_then_with_a_third(led, trial, context):
    (half,) = led("transformer", Kind.TEXT)
    assert (half["learner"], half["keep"]) == ("encoder", 0.5)
    assert not led("transformer", Kind.TEXT, size=HEAVY - 1)
    teacher = heavy(trial(9, aim=0.75, recipe=Train(learner="transformer")))
    known = trial(10, aim=0.74, recipe=Shrink(lever="distil", parent=teacher.recipe, settings=half))
    made = replace(context(teacher, known), learner=lambda name: context().learner("trees"), schema=Schema((NOTE,)))
    (third,) = Distil().moves(teacher, made)
    assert third.recipe.settings["keep"] == pytest.approx(0.34)
    assert third.prior.seconds.value < 4 * 1000 * 1e-3, "fewer layers cost less than training all of them as often"


def test_what_is_quantised_is_not_cut_and_a_student_has_no_students(led, trial, context):
    for steps in (("quantise",), ("distil",), ("static-embeddings",)):
        recipe = Train(learner="transformer")
        for step in steps:
            recipe = Shrink(lever=step, parent=recipe)
        last = heavy(trial(9, aim=0.75, recipe=recipe))
        made = replace(context(last), learner=lambda name: context().learner("trees"), schema=Schema((NOTE,)))
        assert not list(Distil().moves(last, made))


def test_what_is_cut_out_of_its_teacher_is_no_training():
    from steelyard.contracts import ShrinkingLever
    from steelyard.search.distilling import distils

    assert Distil().student(Settings(learner="encoder")) is None
    assert isinstance(Distil(), ShrinkingLever)
    own, other = (
        Shrink(lever="distil", parent=Train(learner="transformer"), settings=Settings(learner=name))
        for name in ("encoder", "linear")
    )
    assert (distils(own), distils(other)) == (False, True)


NOTE = Column(name="note", kind=Kind.TEXT)


def test_texts_of_like_length_are_asked_together_and_answers_keep_their_rows(random):
    texts = np.array(["a " * count for count in random.integers(1, 60, 300)], object)
    asked = []

    def teacher(columns):
        asked.append([len(cell) for cell in columns["note"]])
        long = np.array(asked[-1]) / 200
        scores = np.column_stack([1 - long, long])
        return Answer(scores, scores.argmax(1))

    task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")
    rows = Split({"note": texts}, np.zeros(300, np.int64), np.arange(300))

    made = lesson_of(rows, rows.take(np.arange(0)), teacher, task, Watch(), random=random)
    assert asked[0] == sorted(asked[0])
    np.testing.assert_allclose(made.lesson.scores[:, 1], [len(cell) / 200 for cell in made.columns["note"]])
