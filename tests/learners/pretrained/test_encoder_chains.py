"""Graph levers in any order on an encoder: a tiny one with random weights, with a linear model on its vectors."""

from itertools import permutations

import numpy as np
import onnx
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Problem
from steelyard.learners._embed_linear import EmbedLinear
from steelyard.recipe import Plan, Settings, Shrink, Step, Train
from steelyard.registry import levers
from steelyard.testing.chains import check_chain, check_chains, size_of
from steelyard.testing.pupils import Watch

pytestmark = pytest.mark.deep
STEPS = {
    "fuse": Settings(),
    "vocabulary": Settings(),
    "factorise": Settings(keep=0.8, rows=48),
    "quantise": Settings(),
    "prune": Settings(share=0.25, epochs=1),
}
TOLERANCE = 0.12


def steps(*names):
    known = set(levers().names())
    return [Step(lever=name, settings=STEPS[name]) for name in names or STEPS if name in known]


@pytest.fixture(scope="module")
def encoder(letters):
    """Return the artefact with those rows that hold none of some words."""
    one = letters(Problem.MULTICLASS, "wide")
    artefact = EmbedLinear().fit(Plan(), one.train, None, one.work, Watch()).export()
    kept = [not {"invoice", "address", "change", "account"} & set(text.split()) for text in one.train.columns["note"]]
    return artefact, one.train.take(np.flatnonzero(kept)), one.work


def operators(artefact):
    return {node.op_type for node in onnx.load_from_string(artefact.graph).graph.node}


@pytest.mark.slow
def test_every_pair_works_in_both_orders(encoder):
    found = check_chains(*encoder, steps(), tolerance=TOLERANCE)
    refused = {each.steps for each in found if each.refusal}
    assert refused <= {("quantise", "factorise"), ("quantise", "prune"), ("fuse", "prune")}


@pytest.mark.slow
@pytest.mark.parametrize("names", list(permutations(("vocabulary", "factorise", "fuse"), 3)))
def test_three_in_any_order_and_8_bits_at_the_end(encoder, names):
    artefact, rows, work = encoder
    made = check_chain(artefact, rows, work, steps(*names, "quantise"), tolerance=TOLERANCE)
    assert not made.refusal
    assert "MultiHeadAttention" in operators(made.artefact)
    assert size_of(made.artefact) < 0.6 * size_of(artefact)


def test_attention_is_found_in_what_the_learner_exports(encoder):
    artefact, rows, work = encoder
    made = check_chain(artefact, rows, work, steps("fuse"), tolerance=1e-6)
    assert "MultiHeadAttention" in operators(made.artefact)


def test_rows_with_known_words_are_answered_exactly_as_before_by_a_smaller_vocabulary(encoder):
    artefact, rows, work = encoder
    made = check_chain(artefact, rows, work, steps("vocabulary"), tolerance=0.0)
    assert size_of(made.artefact) < size_of(artefact)


def test_a_bundle_says_which_operators_beside_the_standard_ones_it_needs(encoder, tmp_path):
    artefact, rows, work = encoder
    recipe = Shrink(lever="fuse", parent=Train(learner="embed-linear"))
    fused = check_chain(artefact, rows, work, steps("fuse"), tolerance=1e-6).artefact
    for name, made in (("plain", artefact), ("fused", fused)):
        write(tmp_path / name, made, About(work.task, work.schema, recipe, "0" * 16))
    assert load(tmp_path / "fused").manifest.extra["operators"] == ["MultiHeadAttention"]
    assert "operators" not in load(tmp_path / "plain").manifest.extra
    before, after = (load(tmp_path / name).answer(rows.columns).scores for name in ("plain", "fused"))
    np.testing.assert_allclose(after, before, atol=1e-6)
