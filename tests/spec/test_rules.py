"""Fields that are each right by themselves may still contradict each other."""

import pytest

from steelyard.contracts import Problem, Task
from steelyard.errors import SpecInvalid
from steelyard.spec import Budget, Spec, Value, check_task, parse, unused

LEAST = "data: credit.csv\ntarget: class\n"


def told(lines):
    with pytest.raises(SpecInvalid) as caught:
        parse(LEAST + lines)
    return str(caught.value).split("\n", 1)[1]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("quality: {at_least: 0.7, at_most: 0.9}", "quality.at_most (line 3): given beside at_least"),
        ("quality: {confidence: 0.95}", "asks for the bound to meet a target, but there is none"),
        ("quality: {metric: value}", "no outcome has one; add a `value:` part"),
        ("quality: {metric: rocauc}", "(did you mean 'roc_auc'?)"),
        ("quality: {metric: rmse, at_least: 3}", "rmse is better when lower; ask for it with at_most"),
        ("quality: {metric: accuracy, at_most: 0.3}", "accuracy is better when higher; ask for it with at_least"),
        ("quality: {metric: roc_auc, at_least: 78}", "lies between 0 and 1; got 78 (did you mean 0.78?)"),
        ("task: classification\nquality: {metric: rmse}", "rmse is a metric of forecasting, regression, and this is"),
        ("task: regression\nquality: {at_least: 0.7}", "rmse is better when lower"),
        ("columns: {number: [class]}", "columns.number[0] (line 3): names 'class', which is the target"),
        ("columns: {weight: class}", "columns.weight (line 3): names 'class'"),
        ("split: {group: class}", "split.group (line 3): names 'class'"),
        ("columns: {number: [a], text: [a]}", "'a' is listed under number too; a column has one kind"),
        ("columns: {ignore: [a], text: [a]}", "'a' is listed under text too; keep one of the two"),
        ("split: {column: s, time: t}", "split.time (line 3): column 's' already says which rows are test"),
        ("split: {column: s, test: 0.3}", "split.test (line 3): column 's' already says"),
        ("split: {by: index, test: 0.3}", "by: index already says which rows are test"),
        ("split: {by: index, time: t}", "by: index already says which rows are test"),
        ("split: {folds: 1}", "one fold leaves nothing to train on"),
        ("split: {time: t, group: t}", "names the same column as split.time"),
        ("value: {per: decision}", "names no outcome"),
        ("value: {right: 1, true_positive: 1}", "mixes right with outcomes of a positive class"),
        (
            "task: regression\nvalue: {right: 1}",
            "value.right (line 4): speaks of classes, and this is regression; give over and under",
        ),
        ("task: regression\npositive: yes", "names a class, and a regression has none"),
        ("value: {right: 1 EUR}\nbudget: {money: 1}", "is in EUR, and budget.money in USD"),
        ("levers: {only: [quantize]}", "there is no lever 'quantize' (did you mean 'quantise'?)"),
        ("learners: {without: [zzzz]}", "there is no learner 'zzzz'; known: "),
        ("levers: {only: [tune], without: [tune]}", "given beside only"),
        ("learners: {only: []}", "leaves no learner"),
        (
            "serving: {device: gpu}",
            "serving.device (line 3): must be server-core, the only one in this version; got 'gpu'",
        ),
        (
            "compute: {address: 10.0.0.1:6379}",
            "compute.address (line 3): names a Ray cluster, and the executor is local; add executor: ray",
        ),
        (
            "compute: {executor: ray, address: me:secret@10.0.0.1:6379}",
            "compute.address (line 3): must be host:port of a Ray cluster, or auto",
        ),
        ("compute: {executor: ray, token: abc}", "compute.token (line 3): no such field"),
        ("traffic: {mean_rps: 5, peak_rps: 1}", "traffic.peak_rps (line 3): the peak (1) cannot be below the mean (5)"),
    ],
)
def test_a_contradiction_is_one_clear_sentence(lines, sentence):
    text = told(lines)
    assert sentence in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "lines",
    [
        "quality: {metric: rmse, at_most: 3}",
        "quality: {metric: log_loss, at_most: 0.4, confidence: 0.95}",
        "quality: {metric: value, at_least: 100}\nvalue: {right: 1}",
        "columns: {ignore: [date]}\nsplit: {time: date}",
        "split: {time: date, group: customer}",
        "split: {column: split}",
        "split: {by: index}",
        "levers: {only: []}",
        "traffic: {mean_rps: 5, peak_rps: 5}",
        "value: {true_positive: 5 USD, false_negative: -1}",
        "learners: {only: [constant]}",
    ],
)
def test_what_fits_together_is_accepted(lines):
    assert parse(LEAST + lines).target == "class"


def test_what_only_the_task_shows_is_checked_when_it_is_known():
    many = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
    number = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    outcomes = Spec(data="a", target="y", value=Value(true_positive=1))
    with pytest.raises(SpecInvalid, match=r"value.true_positive: speaks of two classes, and there are 3; use right"):
        check_task(outcomes, many)
    with pytest.raises(SpecInvalid, match=r"value.true_positive: speaks of classes, and this is regression"):
        check_task(outcomes, number)
    with pytest.raises(SpecInvalid, match="rmse is better when lower; ask for it with at_most"):
        check_task(Spec(data="a", target="y", quality={"at_least": 0.7}), number)
    with pytest.raises(SpecInvalid, match="pr_auc is a metric of"):
        check_task(Spec(data="a", target="y", quality={"metric": "pr_auc"}), number)
    check_task(Spec(data="a", target="y", quality={"at_least": 0.7}), many)


def test_with_values_a_target_of_quality_is_one_of_the_usual_metric_unless_money_is_named():
    two = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y")

    def asked(**quality):
        return Spec(data="a", target="y", value=Value(right=1), quality=quality)

    with pytest.raises(
        SpecInvalid, match=r"roc_auc lies between 0 and 1; got 500; to ask for money, write metric: val"
    ):
        check_task(asked(at_least=500), two)
    with pytest.raises(SpecInvalid, match="roc_auc is better when higher"):
        check_task(asked(at_most=0.5), two)
    check_task(asked(at_least=0.7), two)
    check_task(asked(metric="value", at_least=500), two)


def test_fields_that_are_set_and_have_no_effect_are_named():
    assert unused(Spec(data="a", target="y", budget=Budget(labels=0))) == ()
    assert unused(parse(LEAST)) == ()
    months, labels = unused(parse(LEAST + "horizon_months: 12\nbudget: {labels: 50}"))
    assert months.startswith("`horizon_months` (12) has no effect: returns have no price")
    assert "no lever of this version buys labels, so none are bought" in labels
