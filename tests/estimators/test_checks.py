"""scikit-learn's own checks of what an estimator is, all of them, on both."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from steelyard import SteelyardClassifier, SteelyardRegressor

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "9 of its 15 rows have a weight above 0, one of them is alone in its class; a fit refuses fewer than 10 rows, "
        "or 3 of a class, because nothing could be chosen by them"
    )
}
QUICK = {"trials": 2, "folds": 2, "learners": ("constant", "linear")}


@parametrize_with_checks(
    [SteelyardClassifier(**QUICK), SteelyardRegressor(**QUICK)],
    expected_failed_checks=lambda _: EXPECTED,
    xfail_strict=True,
)
def test_scikit_learn(estimator, check):
    check(estimator)
