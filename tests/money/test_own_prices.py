"""A file of the user's own prices: any row, discounts, currencies, ages; and what is wrong with one, in a sentence."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.money import Price, Prices, PricesInvalid, compute_entry, stale
from steelyard.money.price import Rate, converted
from steelyard.units import How, Money, Seconds

TODAY = date(2026, 11, 22)
RATES = "rates: {EUR: {usd: 1.25, source: our bank, date: 2026-11-20}}\n"


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "my-prices.yaml"
        path.write_text(text, encoding="utf-8")
        return Prices.load(path, today=TODAY)

    return read


def machine(prices, key):
    (one,) = (m for m in prices.machines() if m.key == key)
    return one


def test_every_kind_of_price_may_be_given(load):
    prices = load(
        "accelerator_hour: 1.2\nmemory_gb_hour: 0.004\nelectricity: 0.31\negress: 0.08\nstorage: 0.02\n"
        "labels: {intent: 0.04, box: {amount: 0.10, source: our agency, date: 2026-10-01}}\n"
        "people: {reviewer: 38 USD}\ntdp_watts: 65\ncarbon: {grams: 400, low: 300, high: 500}\n"
    )
    assert prices.electricity.per == "kWh"
    assert prices.need_label("box").cited == "our agency, 2026-10-01"
    assert prices.need_person("reviewer").amount == Money(Decimal(38))
    assert (prices.carbon.grams.low, prices.carbon.grams.high, prices.tdp_watts) == (300, 500, 65)
    assert Prices.from_json(prices.to_json()) == prices


def test_a_label_without_a_task_of_its_own_costs_what_any_label_costs(load):
    prices = load("label: 0.07\nlabels: {box: 0.2}\n")
    assert prices.need_label("intent").amount.amount == Decimal("0.07")
    assert prices.need_label("box").amount.amount == Decimal("0.2")
    with pytest.raises(PricesInvalid, match="a label has no price"):
        load("labels: {box: 0.2}\n").need_label("intent")


def test_nobody_s_hour_is_assumed(load):
    with pytest.raises(PricesInvalid, match=r"people: \{reviewer: 60 USD\}"):
        load("{}").need_person("reviewer")


def test_a_row_of_the_catalogue_is_taken_by_its_name_and_stays_assumed_where_it_is(load):
    prices = load("people: {analyst: USA data scientist}\nstorage: {amount: gcp standard, discount: 0.5}\n")
    analyst = prices.need_person("analyst")
    assert (analyst.how, analyst.amount.amount) == (How.ASSUMED, Decimal("54.13"))
    assert analyst.cited.endswith("(assumed)")
    assert prices.storage.amount.amount == Decimal("0.010")


def test_a_machine_is_overridden_discounted_or_added(load):
    prices = load(
        "discounts: {aws: 0.1}\n"
        "machines:\n"
        "  aws/m7i.large/us-east-1: {on_demand: 0.08, source: our contract, date: 2026-11-01}\n"
        "  aws/c7i.large/us-east-1: {discount: 0.2, spot: null}\n"
        "  mine/box/cellar: {cores: 16, memory_gb: 64, on_demand: 0.11}\n"
    )
    assert machine(prices, "aws/m7i.large/us-east-1").on_demand.cited == "our contract, 2026-11-01"
    assert machine(prices, "aws/m7i.large/us-east-1").on_demand.amount.amount == Decimal("0.08")
    other = machine(prices, "aws/c7i.large/us-east-1")
    assert (other.on_demand.amount.amount, other.spot) == (Decimal("0.0714"), None)
    assert machine(prices, "aws/m7i.2xlarge/us-east-1").on_demand.amount.amount == Decimal("0.36288")
    assert "less the discount of 10% on aws" in machine(prices, "aws/m7i.2xlarge/us-east-1").on_demand.source
    assert machine(prices, "mine/box/cellar").cores == 16
    assert machine(prices, "gcp/n2-highcpu-2/us-central1").on_demand.amount.amount == Decimal("0.0717")
    assert Prices.from_json(prices.to_json()).machines() == prices.machines()


def test_a_function_is_overridden(load):
    prices = load(
        "functions: {aws/lambda/us-east-1: {request: 0.0000001, cold_start_ms: {value: 300, low: 200, high: 900}}}\n"
    )
    (one,) = (f for f in prices.functions() if f.cloud == "aws")
    assert (one.request.amount.amount, one.cold_start.value) == (Decimal("0.0000001"), 300)
    assert one.gb_second == next(f for f in Prices.load().functions() if f.cloud == "aws").gb_second
    assert Prices.from_json(prices.to_json()) == prices


def test_another_currency_is_converted_by_the_rate_of_the_file_which_the_source_then_tells(load):
    prices = load(f"{RATES}core_hour: 0.04 EUR\nlabel: 0.05 USD\n")
    assert prices.currency == "EUR"
    assert prices.label.amount == Money(Decimal("0.04"), "EUR")
    assert "at 1 EUR = 1.25 USD (our bank, 2026-11-20)" in prices.label.source
    assert {m.on_demand.amount.currency for m in prices.machines()} == {"EUR"}
    assert machine(prices, "aws/m7i.large/us-east-1").on_demand.amount.amount == Decimal("0.08064")


def test_all_may_be_told_in_a_currency_that_is_asked_for(load):
    prices = load(f"{RATES}currency: EUR\nelectricity: DEU household\n")
    assert prices.core_hour.amount == Money(Decimal("0.04032"), "EUR")
    assert prices.electricity.amount == Money(Decimal("0.3835"), "EUR")


def test_a_currency_without_a_rate_is_refused_where_it_is_needed(load):
    with pytest.raises(PricesInvalid, match=r"no rate of EUR to USD; add for example `rates: \{EUR: \{usd: 1\.08"):
        load("label: 1 EUR\n")
    with pytest.raises(PricesInvalid, match="electricity is in EUR but core_hour in USD"):
        load("electricity: DEU household\n")
    prices = load("core_hour: 0.04 EUR\n")  # enough for a run
    with pytest.raises(PricesInvalid, match="no rate of EUR"):
        prices.machines()


@given(st.decimals("0.000001", "1000", places=6), st.decimals("0.001", "200", places=6))
def test_there_and_back_a_price_is_the_same_to_nine_digits(amount, usd):
    price = Price(Money(amount, "EUR"), "label", "us")
    rates = {"EUR": Rate(usd, "bank", "2026-11-20")}
    back = converted(converted(price, "USD", rates), "EUR", rates)
    assert back.amount.currency == "EUR"
    assert abs(back.amount.amount - amount) <= max(amount * Decimal("1e-9"), Decimal("1e-9") / usd)


def test_a_file_of_2019_is_told_beside_every_result_that_used_it(load):
    prices = load("date: 2019-03-01\nsource: our old contract\ncore_hour: 0.05\n")
    (sentence,) = prices.old()
    assert sentence.startswith("The price per core-hour is 7.7 years old (our old contract, 2019-03-01)")
    assert "is 7.7 years old" in compute_entry("fit", Seconds(60), prices).source
    again = Prices.from_json(prices.to_json())
    assert again.old() == prices.old()


def test_a_price_of_this_year_or_without_a_date_is_not_called_old(load):
    assert load("date: 2026-01-01\ncore_hour: 0.05\n").old() == ()
    assert load("core_hour: 0.05\n").old() == ()
    assert load("{}\n").old() == ()


def test_an_old_rate_is_told(load):
    prices = load("rates: {EUR: {usd: 1.25, source: our bank, date: 2020-01-01}}\ncurrency: EUR\n")
    assert any("rate of exchange is 6.9 years old" in sentence for sentence in prices.old())


def test_an_old_price_taken_from_the_catalogue_is_told(load):
    (sentence,) = load("electricity: USA business\n").old()
    assert "6.0 years old" in sentence


def test_stale_is_a_year_and_a_day():
    price = Price(Money(Decimal(1)), "label", "us", "2025-11-22")
    assert stale(price, date(2026, 11, 22)) is None
    assert stale(price, date(2026, 11, 23)) is not None


def test_prices_of_a_run_from_before_there_were_more_are_read():
    kept = {
        "core_hour": {"amount": "0.0504 USD", "per": "core-hour", "source": "AWS", "date": "2026-11-22"},
        "label": None,
    }
    prices = Prices.from_json(kept)
    assert (prices.currency, prices.label, prices.old()) == ("USD", None, ())
    assert prices.machines()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("core_hour: -1\n", "core_hour: must be 0 or more"),
        ("electricity: {}\n", "needs an `amount`"),
        ("electricity: DEU houshold\n", "or the name of a row of the catalogue: EU household"),
        ("core_hour: 504\n", "504 USD per core-hour is not between 0.0005 and 10 USD"),
        ("core_hour: 504\n", "if it is right, add `sure: true` to the row"),
        ("rates: {EUR: {usd: 0, date: 2026-01-01}}\n", "must be above 0"),
        ("rates: {EUR: {usd: 1.1}}\n", "needs the `date`"),
        ("rates: {EUR: 1.1}\n", "needs the `date`"),
        ("rates: {euro: {usd: 1.1, date: 2026-01-01}}\n", "three letters"),
        ("rates: {EUR: {usd: one, date: 2026-01-01}}\n", "needs what one EUR is in USD"),
        ("currency: euro\n", "three letters"),
        ("currency: CHF\n", "no rate of CHF"),
        ("date: 2031-01-01\n", "must not lie in the future"),
        ("date: 2019\ncore_hour: 0.05\nlabel: 0.1\n", "date must be a day"),
        ("core_hour: {amount: 1, date: 2026-02-30}\n", "day is out of range|are not YAML"),
        ("carbon: {grams: 400, low: 500, high: 300}\n", "upside down: low 500 is above high 300; swap them"),
        ("carbon: {grams: 400, low: 410, high: 500}\n", "lies outside of its range"),
        ("carbon: 40000\n", "not between 5 and 1500"),
        ("country: GER\n", "no carbon intensity of 'GER'"),
        ("country: NLD\n", r"give it as `carbon: \{grams: 400\}`"),
        ("tdp_watts: -5\n", "tdp_watts must be a number"),
        ("discounts: {aws: 1.2}\n", "share from 0 to 1"),
        ("discounts: {amazon: 0.2}\n", "no cloud of that name"),
        ("labels: 3\n", "must map names to rows"),
        ("machines: {aws/m7i.large: {on_demand: 1}}\n", "did you mean 'aws/m7i.large/us-east-1'"),
        ("machines: {mine/box/home: {on_demand: 1}}\n", "needs `on_demand`, `cores` and `memory_gb`"),
        ("machines: {aws/m7i.large/us-east-1: {on_demand: 60}}\n", "not between 0.002 and 0.5 USD for each core"),
        ("machines: {aws/m7i.large/us-east-1: {spot: 0.2}}\n", "dearer than on demand"),
        ("machines: {aws/m7i.large/us-east-1: {cores: 2.5}}\n", "cores must be a whole number"),
        ("machines: {aws/m7i.large/us-east-1: {on_demand: -1}}\n", "must be 0 or more"),
        ("machines: {aws/m7i.large/us-east-1: {pirce: 1}}\n", "has no part 'pirce'"),
        ("machines: {aws/m7i.large/us-east-1: 0.1}\n", "must be a row of"),
        ("machines: {aws/m7i.large/us-east-1: {family: fast}}\n", "family must be one of general"),
        ("functions: {aws/lambda/us-east-1: {gb_second: 1}}\n", "1 USD per GB-second is not between"),
        ("functions: {me/mine/home: {gb_second: 0.00001, request: 0}}\n", "needs `cold_start_ms`"),
        ("functions: {me/mine/home: {cold_start_ms: 1}}\n", "needs `gb_second`"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_with_the_way_out(load, text, words):
    with pytest.raises(PricesInvalid, match=words) as problem:
        load(text)
    assert len(str(problem.value).splitlines()) == 1


def test_a_price_out_of_bounds_is_taken_where_the_user_is_sure_and_zero_is_free(load):
    assert load("core_hour: {amount: 504, sure: true}\n").core_hour.amount.amount == 504
    assert load("core_hour: 0\nelectricity: 0\n").electricity.amount.amount == 0


def test_bounds_count_in_usd_where_there_is_a_rate(load):
    with pytest.raises(PricesInvalid, match="is not between"):
        load(f"{RATES}core_hour: 9 EUR\n")
    assert load("core_hour: 9 JPY\n").currency == "JPY"  # without a rate nobody can tell
