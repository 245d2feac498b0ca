"""An encoder as a table: whose vectors, what it answers, what it is refused for."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from steelyard.bundle.front_ends.tokenizing import Cutter, Ragged
from steelyard.contracts import Context, Kind, Problem
from steelyard.learners._settings import SettingsRefused
from steelyard.levers import LeverRefused
from steelyard.levers.shrinking._static_embeddings import StaticEmbeddings
from steelyard.levers.shrinking.distilling.tabling import components, encoder_of, framing, means, rarity, token_vectors
from steelyard.recipe import Settings, Shrink, Train
from steelyard.testing import check_lever
from steelyard.testing.pupils import Watch
from steelyard.testing.situations import Pretender, Situation, _context, situation, trial
from steelyard.units import Estimate

FROZEN = Settings(epochs=0, dimensions=16, synthetic=0.0)


def pulled(made, settings=FROZEN, rows=None, meter=None):
    artefact, world = made
    return StaticEmbeddings().apply(
        artefact, world.train if rows is None else rows, settings, world.work, meter or Watch()
    )


def heavy_trial(number, recipe, task, aim, size=90_000_000):
    from steelyard.contracts import Weight

    figures = dict.fromkeys(("p50", "p95", "p99", "throughput", "memory_bytes"), Estimate.exact(1.0))
    weight = Weight(batch=1, size_bytes=size, threads=1, calls=9, **figures)
    return replace(trial(number, recipe, task, aim), weight=weight)


@pytest.fixture
def told(encoders):
    """A situation in which an encoder was trained."""

    def make(problem=Problem.MULTICLASS):
        (artefact, world), one = encoders(problem), situation(problem)
        trials = (heavy_trial(1, Train(learner="transformer"), world.task, 0.9),)
        context = _context(world.task, world.schema, trials)
        context = replace(context, learner={"transformer": Pretender("transformer")}.__getitem__)
        return Situation(
            name="an encoder leads",
            context=context,
            rows=world.train,
            plan=one.plan,
            artefact=artefact,
            evidence=one.evidence,
        )

    return make


@pytest.mark.slow
def test_it_keeps_its_contract(told):
    pytest.importorskip("torch")
    check_lever(StaticEmbeddings(), among=[told()])


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION])
def test_a_table_answers_about_as_its_encoder_does(encoders, scores, problem):
    made = encoders(problem)
    table, world = pulled(made), made[1]
    valid = world.valid
    before, after = scores(made[0], world, valid), scores(table, world, valid)
    chance = before.mean(axis=0)
    assert np.abs(after - before).mean() < 0.7 * np.abs(chance - before).mean()
    assert len(table.graph) < len(made[0].graph) / 5
    kinds = {node.op_type for node in onnx.load_model_from_string(table.graph).graph.node}
    assert "LayerNormalization" not in kinds
    assert "Gather" in kinds


def test_training_the_table_brings_it_nearer_to_its_encoder(encoders, scores):
    pytest.importorskip("torch")
    made = encoders()
    artefact, world = made
    told = scores(artefact, world, world.train)

    def apart(settings):
        own = scores(pulled(made, settings), world, world.train)
        return -(told * np.log(own)).sum(1).mean()

    few = FROZEN.with_(dimensions=4, trust=1.0, temperature=1.0)
    assert apart(few.with_(epochs=8)) < 0.95 * apart(few)


def test_a_token_that_no_row_holds_keeps_what_the_encoder_says_of_it(encoders, scores, texts):
    """`zebra` stands in no text: trained tables move the others, and its vector is that of the frozen one."""
    pytest.importorskip("torch")
    made = encoders()
    rows = texts(made[1], "zebra", "zebra late")
    frozen, moved = (_table(pulled(made, FROZEN.with_(epochs=epochs))) for epochs in (0, 3))
    zebra, late = 17, 4
    np.testing.assert_array_equal(frozen[zebra], moved[zebra])
    assert np.abs(frozen[late] - moved[late]).max() > 1e-3
    assert np.abs(frozen[zebra]).max() > 0
    assert np.isfinite(scores(pulled(made), made[1], rows)).all()


def _table(artefact):
    model = onnx.load_model_from_string(artefact.graph)
    name = next(n.input[0] for n in model.graph.node if n.op_type == "Gather")
    return next(onnx.numpy_helper.to_array(a) for a in model.graph.initializer if a.name == name)


def test_what_frames_a_text_counts_for_nothing_and_padding_changes_nothing(encoders, scores, texts):
    made = encoders()
    table, world = pulled(made), made[1]
    assert not _table(table)[[0, 2, 3]].any()
    alone = scores(table, world, texts(world, "late refund"))
    beside = scores(table, world, texts(world, "late refund", "kind quick thanks lovely parcel late late late"))
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-6)
    assert np.isfinite(scores(table, world, texts(world, ""))).all()


def test_order_is_lost_and_nothing_else(encoders, scores, texts):
    made = encoders()
    table, world = pulled(made), made[1]
    first, second, third = scores(table, world, texts(world, "late refund", "refund late", "refund refund late"))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first - third).max() > 1e-4


def test_the_vector_of_a_token_is_what_the_encoder_says_of_it_alone(encoders, texts):
    artefact, world = encoders()
    encoder = encoder_of(artefact)
    cutter = Cutter.of(encoder.feed, artefact.files)
    before, after, frame = framing(cutter)
    assert (before, after, frame) == ([2], [3], [0, 2, 3])
    vectors = token_vectors(encoder, cutter, world.work, Watch())
    model = onnx.load_model_from_string(artefact.graph)
    model.graph.output.append(onnx.helper.make_tensor_value_info(encoder.vector, onnx.TensorProto.FLOAT, None))
    import onnxruntime

    run = onnxruntime.InferenceSession(model.SerializeToString())
    ids, mask, _ = cutter.rows(texts(world, "refund").columns).padded(np.array([0]), 0)
    (own,) = run.run([encoder.vector], {"ids": ids, "mask": mask})
    np.testing.assert_allclose(vectors[6], own[0], atol=1e-5)


def test_what_is_rare_weighs_more():
    seen = Ragged.of([([4, 4, 4, 5], [0] * 4)])
    weights = rarity(8, seen)
    assert weights[4] < weights[5] < weights[6] == weights[7]
    share = 4 / 12
    assert weights[4] == pytest.approx(1e-3 / (1e-3 + share))
    zipf = rarity(8, None)
    assert (np.diff(zipf) > 0).all()


def test_components_keep_what_differs_most(random):
    plane = random.normal(size=(200, 2)) @ random.normal(size=(2, 12)) + 3
    kept = components(plane.astype(np.float32), 2)
    centred = plane - plane.mean(axis=0)
    np.testing.assert_allclose(kept @ kept.T, centred @ centred.T, atol=1e-2)
    assert components(plane.astype(np.float32), 99).shape == (200, 12)


def test_the_mean_is_that_of_the_graph(random):
    table = random.normal(size=(6, 3)).astype(np.float32)
    cut = Ragged.of([([1, 2], [0, 0]), ([], []), ([5], [0])])
    made = means(table, cut)
    np.testing.assert_allclose(made[0], (table[1] + table[2]) / np.linalg.norm(table[1] + table[2]), atol=1e-6)
    assert not made[1].any()


def test_what_is_no_encoder_is_refused_in_a_sentence(encoders):
    artefact, world = encoders()
    plain = situation(Problem.MULTICLASS).artefact
    with pytest.raises(LeverRefused, match="reads something else"):
        pulled((plain, world))
    with pytest.raises(LeverRefused, match="there are none"):
        pulled((artefact, world), rows=world.train.take(np.arange(0)))
    with pytest.raises(LeverRefused, match="layers"):
        pulled((pulled((artefact, world)), world))
    with pytest.raises(SettingsRefused, match="weights"):
        pulled((artefact, world), FROZEN.with_(weights="loud"))
    with pytest.raises(LeverRefused, match="had time for"):
        pulled((artefact, world), meter=Watch(seconds=0.0))


def test_it_is_proposed_once_for_a_large_encoder_and_for_nothing_else(told):
    context: Context = told().context
    lever, task = StaticEmbeddings(), context.task
    (move,) = lever.moves(context.trials[0], context)
    assert move.recipe == Shrink(lever="static-embeddings", parent=Train(learner="transformer"))
    small = (heavy_trial(1, Train(learner="transformer"), task, 0.9, size=1000),)
    assert not list(lever.moves(small[0], replace(context, trials=small)))
    other = (heavy_trial(1, Train(learner="text-cnn"), task, 0.9),)
    assert not list(lever.moves(other[0], replace(context, trials=other)))
    fixed = (heavy_trial(1, Shrink(lever="quantise", parent=Train(learner="transformer")), task, 0.9),)
    assert not list(lever.moves(fixed[0], replace(context, trials=fixed)))
    known = (*context.trials, heavy_trial(2, move.recipe, task, 0.8))
    assert not list(lever.moves(known[0], replace(context, trials=known)))


def test_it_reads_what_its_encoder_read(encoders):
    artefact, world = encoders()
    made = pulled((artefact, world))
    assert (made.feeds, made.files) == (artefact.feeds, artefact.files)
    assert world.schema.of(Kind.TEXT)
