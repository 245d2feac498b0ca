"""Text: how it is weighed, cut and learnt, with and without spaces."""

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from steelyard.bundle.front_ends.text import Analyser, read_vocabulary
from steelyard.contracts import Kind, Problem, Split
from steelyard.errors import DataUnfit
from steelyard.learners._prelude import Prelude
from steelyard.learners._words import Words
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners

TEXTS = ["the cat sat", "the dog sat sat", "a cat and a dog", "unrelated words here", ""]


@pytest.fixture
def tfidf():
    return learners().get("tfidf-linear")


def test_weights_are_scikit_learn_s_tf_idf_but_for_the_damping_of_counts():
    words = Words.fit("t", TEXTS, tag="0", analyser=Analyser(high=2), least=1, most=1000)
    (ours,) = Prelude((words,)).run({"t": np.array(TEXTS, object)}, threads=1)
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", vocabulary=list(words.grams))
    vectoriser.fit(TEXTS)
    counts = vectoriser.transform(TEXTS)  # scaled rows: scikit-learn's own, where no word stands twice in a row
    single = [0, 3, 4]
    np.testing.assert_allclose(ours.toarray()[single], counts.toarray()[single], atol=1e-6)
    np.testing.assert_allclose(np.sqrt((ours.toarray() ** 2).sum(axis=1)), [1, 1, 1, 1, 0], atol=1e-6)
    sat, dog = (words.grams.index(word) for word in ("sat", "dog"))
    assert ours[1, sat] / ours[1, dog] == pytest.approx(math.log(3) / math.log(2), rel=1e-5)


def test_the_vocabulary_keeps_repeated_grams_the_most_frequent_first():
    words = Words.fit("t", TEXTS, tag="0", analyser=Analyser(), least=2, most=3)
    assert words.grams == ("cat", "dog", "sat")
    assert read_vocabulary(words.files["vocabulary_0.json"]) == {"cat": 0, "dog": 1, "sat": 2}


@pytest.mark.parametrize("spaced", [True, False])
def test_opinions_are_told_apart_with_and_without_spaces(spaced, tfidf, table, serve, meter):
    made = table(kinds=(Kind.TEXT,), spaced=spaced)
    artefact = tfidf.fit(Plan(), made.train, None, made.work, meter).export()
    assert (serve(artefact, made.test.columns).argmax(axis=1) == made.test.target).all()
    analysers = [feed.options["analyser"] for feed in artefact.feeds]
    assert analysers == (["word", "char"] if spaced else ["char"])


def test_characters_beside_words_forgive_a_typo(tfidf, table, meter):
    made = table(kinds=(Kind.TEXT,))
    typos = {"remark": np.array(["lovelyy", "brokenn", "warmth", "coldish"], object)}

    def decide(**settings):
        plan = Plan(settings=Settings(settings))
        return tfidf.fit(plan, made.train, None, made.work, meter).scores(typos)[:, 1]

    assert ((decide() > 0.5) == [True, False, True, False]).all()
    assert np.ptp(decide(characters_high=0)) < 1e-9


def test_probabilities_are_scaled_to_the_rows_that_were_held_out(tfidf, meter, table):
    made = table(kinds=(Kind.TEXT,), rows=1200)
    noisy = np.random.default_rng(0).random(len(made.train)) < 0.2
    target = np.where(noisy, 1 - made.train.target, made.train.target)
    fitted = tfidf.fit(Plan(), Split(made.train.columns, target, made.train.rows), None, made.work, meter)
    sure = fitted.scores(made.test.columns).max(axis=1).mean()
    assert sure == pytest.approx(0.8, abs=0.06)


def test_rows_told_apart_without_an_error_are_still_not_answered_with_certainty(tfidf, meter, table):
    made = table(kinds=(Kind.TEXT,))
    sure = tfidf.fit(Plan(), made.train, None, made.work, meter).scores(made.test.columns).max()
    assert 0.99 < sure < 0.99999


def test_values_are_learnt_from_text_by_ridge_regression(tfidf, meter, table):
    made = table(Problem.REGRESSION, kinds=(Kind.TEXT,))
    predicted = tfidf.fit(Plan(), made.train, None, made.work, meter).scores(made.test.columns)[:, 0]
    assert np.corrcoef(predicted, made.test.target)[0, 1] > 0.7


def test_text_of_empty_strings_is_refused_with_a_way_out(tfidf, meter, table):
    made = table(kinds=(Kind.TEXT,))
    silent = Split({"remark": np.full(len(made.train), "", object)}, made.train.target, made.train.rows)
    with pytest.raises(DataUnfit, match="gram_min_count"):
        tfidf.fit(Plan(), silent, None, made.work, meter)
