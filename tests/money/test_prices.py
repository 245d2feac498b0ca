"""Prices: one sourced default, a file of the user's over it, and nothing silently wrong."""

from decimal import Decimal

import pytest

from steelyard.errors import Exit
from steelyard.money import Prices, PricesInvalid
from steelyard.units import Money


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "my-prices.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_default_core_hour_has_a_source_and_a_date_and_a_label_has_no_price():
    prices = Prices.load()
    assert prices.core_hour.amount == Money(Decimal("0.0504"))
    assert "m7i.large" in prices.core_hour.cited
    assert prices.core_hour.cited.endswith("2026-11-22")
    assert prices.label is None


def test_a_label_without_a_price_is_an_error_with_a_way_out():
    with pytest.raises(PricesInvalid, match=r"label: 0\.05 USD"):
        Prices.load().need_label()


def test_a_file_overrides_what_it_names_and_leaves_the_rest(written):
    path = written("label: 0.05 USD\n")
    prices = Prices.load(path)
    assert prices.label.amount == Money(Decimal("0.05"))
    assert prices.label.source == str(path)
    assert prices.core_hour == Prices.load().core_hour


def test_a_price_of_zero_is_zero(written):
    assert Prices.load(written("core_hour: 0\n")).core_hour.amount == Money(Decimal(0))


def test_a_discount_is_taken_off_the_catalogue_and_said(written):
    price = Prices.load(written("core_hour: {discount: 0.25}\n")).core_hour
    assert price.amount.amount == Decimal("0.0378")
    assert "less the discount in" in price.source
    assert price.date == "2026-11-22"


def test_a_row_may_name_its_source_and_date(written):
    row = "core_hour: {amount: 0.03 EUR, source: our contract, date: 2026-01-31, discount: 0.1}\n"
    price = Prices.load(written(row)).core_hour
    assert price.cited == "our contract, 2026-01-31"
    assert price.amount == Money(Decimal("0.027"), "EUR")


def test_all_problems_of_a_file_are_reported_at_once_with_the_nearest_name(written):
    path = written("core_hours: 1\nlabel: -2 USD\ncore_hour: {amount: 1, sorce: me}\n")
    with pytest.raises(PricesInvalid) as problem:
        Prices.load(path)
    text = str(problem.value)
    assert "no price named 'core_hours' (did you mean 'core_hour'?)" in text
    assert "label: must be 0 or more; got '-2 USD'" in text
    assert "core_hour: has no part 'sorce' (did you mean 'source'?)" in text
    assert problem.value.exit_code is Exit.SPEC_INVALID


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1\n", "must map names to prices"),
        ("a: [1\n", "are not YAML"),
        ("core_hour: cheap\n", "is not an amount of money"),
        ("core_hour: {discount: 2}\n", "share from 0 to 1"),
        ("core_hour: {amount: 1, date: yesterday}\n", "date must be a day"),
        ("label: {source: me}\n", "needs an `amount`"),
        ("label: {discount: 0.1}\n", "needs an `amount`"),
        ("label: 1 EUR\n", "label is in EUR but core_hour in USD"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_clear_sentence(written, text, words):
    with pytest.raises(PricesInvalid, match=words):
        Prices.load(written(text))


def test_a_missing_file_says_where_the_spec_names_it(tmp_path):
    with pytest.raises(PricesInvalid, match="check `prices:` in the spec"):
        Prices.load(tmp_path / "nowhere.yaml")


def test_prices_survive_the_way_through_json(written):
    prices = Prices.load(written("label: 0.05 USD\n"))
    assert Prices.from_json(prices.to_json()) == prices
    assert Prices.from_json(Prices.load().to_json()) == Prices.load()
