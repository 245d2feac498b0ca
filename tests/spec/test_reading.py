"""A spec is read from YAML; whatever is wrong is told at once, in plain words, with its line."""

from decimal import Decimal

import pytest

from steelyard.errors import Exit, SpecInvalid
from steelyard.spec import load, parse
from steelyard.units import Money

LEAST = "data: credit.csv\ntarget: class\n"


def complaints(text):
    with pytest.raises(SpecInvalid) as caught:
        parse(text, source="credit.yaml")
    return str(caught.value).splitlines()


def test_two_lines_are_a_spec():
    spec = parse(LEAST)
    assert (spec.data, spec.target, spec.seed) == ("credit.csv", "class", 0)
    assert spec.model_fields_set == {"data", "target"}


def test_every_part_of_the_design_is_read():
    spec = parse("""
name: credit
data: german_credit/data.csv.gz
target: class
task: classification
columns: {ignore: [id], text: [note], weight: w, price: {bureau_score: 0.05 USD}}
split: {test: 0.2, group: customer}
quality: {metric: roc_auc, at_least: 0.78, tolerance: 0.01}
serving: {latency_p95_ms: 20, device: server-core, traffic: {mean_rps: 50, peak_rps: 200}}
budget: {minutes: 10, money: 5 USD, labels: 2000, trials: 60}
value: {true_positive: 500 USD, false_positive: -40 USD, per: decision}
horizon_months: 12
levers: {only: [tune, ensemble, quantise]}
prices: my-prices.yaml
workers: 2
seed: 0
""")
    assert spec.columns.price == {"bureau_score": Money(Decimal("0.05"))}
    assert spec.value is not None
    assert spec.value.false_positive == Money(Decimal(-40))
    assert spec.serving.traffic is not None
    assert spec.serving.traffic.peak_rps == 200


def test_all_problems_are_told_at_once_in_the_order_of_the_file_with_their_lines():
    wrong = "quality:\n  at_leest: 0.7\n  at_most: high\nbudget: {minutes: ten}\nsplit: {test: 2}\ntask: regresion\n"
    assert complaints(LEAST + wrong) == [
        "credit.yaml has 5 problems:",
        "  quality.at_leest (line 4): no such field (did you mean 'at_least'?)",
        "  quality.at_most (line 5): must be a number; got 'high'",
        "  budget.minutes (line 6): must be a number of 0 or more; got 'ten'",
        "  split.test (line 7): must be a number above 0 and below 0.9; got 2",
        (
            "  task (line 8): must be one of classification, regression, tagging, forecasting; got 'regresion' "
            "(did you mean 'regression'?)"
        ),
    ]


def test_a_contradiction_is_told_beside_a_wrong_type():
    told = complaints(LEAST + "columns: {ignore: [class]}\nseed: -1\n")
    assert told[1].startswith("  columns.ignore[0] (line 3): names 'class', which is the target")
    assert told[2].startswith("  seed (line 4): must be a whole number")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("at_least: 0.8", "at_least (line 3): no such field here; it is written as quality.at_least"),
        ("quality: 0.8", "must be a mapping of names to values, such as {metric: roc_auc, at_least: 0.78}; got 0.8"),
        ("columns: {ignore: id}", "columns.ignore (line 3): must be a list, each a name; got 'id'"),
        ("columns: {ignore: [[id]]}", "columns.ignore[0] (line 3): must be a name; got a list"),
        ("columns: {price: {a: dear}}", "columns.price.a (line 3): must be an amount of money of 0 or more"),
        ("budget: {money: -1 USD}", "budget.money (line 3): must be an amount of money of 0 or more"),
        ("seed: true", "seed (line 3): must be a whole number of 0 or more and below 4294967296; got 'true'"),
        ("seed:", "seed (line 3): must be a whole number of 0 or more and below 4294967296; got nothing"),
        ("horizon_months: .inf", "horizon_months (line 3): must be a number above 0; got inf"),
        ("name: a/b", "name (line 3): must be letters, digits, '.', '_' and '-', at most 100; got 'a/b'"),
        ("workers: 0", "workers (line 3): must be a whole number from 1 to 256; got 0"),
        ("target: other", "target (line 2): given twice, on lines 2 and 3; keep one"),
        ("? [a, b]\n: 3", "names are plain words"),
        ("positive: !!binary aGk=", "tags such as !!binary are not part of a spec"),
        ("serving: {traffic: {peak_rps: 3}}", "serving.traffic.mean_rps (line 3): is missing"),
        ("serving: {traffic: {mean_rps: x, peak_rps: 3}}", "serving.traffic.mean_rps (line 3): must be a number"),
    ],
)
def test_a_wrong_line_is_explained(line, told):
    (_, only) = complaints(f"{LEAST}{line}\n")
    assert told in only


def test_what_is_required_is_named_with_its_meaning():
    data, target = complaints("seed: 1")[1:]
    assert data.startswith(
        "  data: is missing; it is a file, a folder, a zip, files by side, sklearn:NAME, or a data frame: What"
    )
    assert target == "  target: is missing; it is a name: Column to predict."


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "true", "True", "y", "2011-01-01", "1:30", "0x1f", "007"])
def test_words_that_yaml_would_guess_at_stay_words(word):
    assert parse(f"{LEAST}positive: {word}").positive == word


@pytest.mark.parametrize(("number", "name"), [("1", "1"), ("-1", "-1"), ("1.0", "1"), ("0.5", "0.5"), ("'01'", "01")])
def test_a_class_or_column_may_be_named_by_a_number(number, name):
    spec = parse(f"data: a\ntarget: {number}\npositive: {number}\ncolumns: {{price: {{7: 1}}, number: [8]}}")
    assert (spec.target, spec.positive) == (name, name)
    assert (set(spec.columns.price), spec.columns.number) == ({"7"}, ("8",))


def test_a_budget_of_zero_is_zero_and_one_left_out_is_none():
    budget = parse(LEAST + "budget: {minutes: 0, money: 0}").budget
    assert (budget.minutes, budget.money, budget.trials) == (0, Money(Decimal(0)), None)


def test_a_part_without_anything_in_it_is_the_part_with_its_defaults():
    assert parse(LEAST + "columns:\n  # ignore: [id]\nbudget:\nvalue:\n") == parse(LEAST)


def test_shorthands_at_the_top_are_the_fields_they_are_short_for():
    short = parse(LEAST + "latency_p95_ms: 20\ntraffic: {mean_rps: 5}\n")
    assert short == parse(LEAST + "serving: {latency_p95_ms: 20, traffic: {mean_rps: 5}}")


def test_a_shorthand_beside_its_long_form_is_refused_and_a_wrong_one_is_told_where_it_stands():
    assert complaints(LEAST + "latency_p95_ms: 20\nserving: {latency_p95_ms: 30}")[1:] == [
        "  latency_p95_ms (line 3): given twice, here and as serving.latency_p95_ms; keep one"
    ]
    assert complaints(LEAST + "latency_p95_ms: 0")[1:] == ["  latency_p95_ms (line 3): must be a number above 0; got 0"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a,b\n1,2\n", "is no spec: it must hold `name: value` lines"),
        ("- data: a\n", "is no spec"),
        ("data: a\n\ttarget: b\n", "line 2: holds a tab"),
        ("data: [a\n", "is not YAML"),
        ("data: a: b\n", "line 1, column 8: is not YAML"),
        ("data: &a x\ntarget: *a\n", "line 2: aliases"),
        ("data: a\n---\ntarget: b\n", "line 2: this begins a second document"),
        ("a: " + "[" * 50 + "]" * 50, "nested too deeply"),
        ("a: \x00", "control character"),
        ("#" * 300_000, "holds 300,000 characters"),
    ],
)
def test_what_is_no_spec_at_all_ends_in_one_sentence(text, told):
    with pytest.raises(SpecInvalid) as caught:
        parse(text, source="credit.yaml")
    assert str(caught.value).startswith("credit.yaml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path):
    (tmp_path / "credit.yaml").write_text(LEAST)
    with pytest.raises(SpecInvalid, match=r"there is no spec at .*credti.yaml \(did you mean 'credit.yaml'\?\)"):
        load(tmp_path / "credti.yaml")
    with pytest.raises(SpecInvalid, match="is a folder"):
        load(tmp_path)
    assert SpecInvalid.exit_code is Exit.SPEC_INVALID


def test_a_file_that_is_not_utf_8_is_refused_and_a_byte_order_mark_is_not(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"data: a\ntarget: gr\xf6\xdfe\n")
    with pytest.raises(SpecInvalid, match=r"not text in UTF-8 \(byte 18\)"):
        load(file)
    file.write_bytes(b"\xef\xbb\xbfdata: \xe6\x95\xb0\xe6\x8d\xae.csv\ntarget: \xe7\xb1\xbb\n")
    assert load(file).target == "类"


def test_a_file_of_prices_that_is_not_there_is_a_problem_of_the_spec(tmp_path):
    (tmp_path / "spec.yaml").write_text(LEAST + "prices: mine.yaml\n")
    with pytest.raises(SpecInvalid, match=r"prices \(line 3\): there is no file"):
        load(tmp_path / "spec.yaml")
    (tmp_path / "mine.yaml").write_text("{}")
    assert str(load(tmp_path / "spec.yaml").prices) == "mine.yaml"
